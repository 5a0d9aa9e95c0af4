"""Results as records for programs: JSON, JSON Lines and CSV, their fields taken from the results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np

from stablelse.render.numbers import json_number, number_text


def record(result: Any) -> Any:
    """Return a result as plain dicts, lists, strings and numbers, as JSON knows them.

    Parameters
    ----------
    result : dataclass, sequence, enum, NumPy array or scalar, or plain value
        Fields whose metadata say ``record=False`` are left out.

    Returns
    -------
    dict, list, str, int, float, bool or None
        What is not finite is ``"inf"``, ``"-inf"`` or ``"nan"``; numbers wider than float64
        are text.
    """
    if is_dataclass(result) and not isinstance(result, type):
        return {name: record(getattr(result, name)) for name in field_names(type(result))}
    if isinstance(result, Enum):
        return result.value
    if isinstance(result, (tuple, list)):
        return [record(item) for item in result]
    if isinstance(result, np.ndarray):
        return [json_number(item) for item in result]
    if result is None or isinstance(result, (str, bool, np.bool_, int)):
        return result
    return json_number(result)


def field_names(result_type: type) -> list[str]:
    """Return the names of the fields that a result type's records have."""
    return [f.name for f in fields(result_type) if f.metadata.get("record", True)]


def json_line(value: Any, indent: int | None = None) -> str:
    """Return a record as JSON text, non-ASCII letters as they are."""
    import json

    return json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)


def csv_lines(rows: Iterable[dict[str, Any]], header: bool = True) -> Iterator[str]:
    """Yield rows of a table as lines of CSV, the header first; quoted where it must be."""
    import csv
    from io import StringIO

    buffer = StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for number, row in enumerate(rows):
        if number == 0 and header:
            writer.writerow(row)
        writer.writerow(["" if cell is None else cell for cell in row.values()])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def flat_rows(result: Any) -> Iterator[dict[str, Any]]:
    """Yield a result that holds a tuple of results as rows: one an inner result, flat.

    Columns are the fields of both; an inner result whose value is an array gives a row per
    element. Findings are told by their kinds.
    """
    (many,) = (f.name for f in fields(result) if isinstance(getattr(result, f.name), tuple))
    outer = {name: cell(getattr(result, name)) for name in field_names(type(result))}
    outer = {name: text for name, text in outer.items() if name not in (many, "value")}
    for inner in getattr(result, many):
        row = outer | {name: cell(getattr(inner, name)) for name in field_names(type(inner))}
        value = getattr(inner, "value", None)
        if not isinstance(value, np.ndarray):
            yield row
            continue
        for element, entry in enumerate(value, start=1):
            yield row | {"element": element, "value": number_text(entry)}


def cell(value: Any) -> Any:
    """Return what stands for a field in one cell of a table."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return ";".join(str(item.kind.value) for item in value)
    if value is None or isinstance(value, (str, bool, int, np.ndarray)):
        return value
    return number_text(value)
