"""Results as records for programs, JSON and CSV, with the fields of the results."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from itertools import chain, islice, repeat
from operator import add
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from stablelse.analysis.results import Elements, Errors, Steps
from stablelse.analysis.steps import steps
from stablelse.render import Many, form
from stablelse.render.numbers import json_number, json_numbers, number_text, number_texts

if TYPE_CHECKING:
    from stablelse.analysis.gallery import Gallery
    from stablelse.analysis.peers import PeerComparison

#: The version of the JSON fields. It changes if a field disappears or changes its meaning.
SCHEMA = {"schema": 1}

#: The field of a result whose items are lines of JSON Lines.
_PARTS = {"Limits": "formats", "Gallery": "cases"}


def record(result: Any) -> Any:
    """Return a result as JSON values; an infinity, a NaN or a wide number becomes text."""
    if isinstance(result, Errors):
        result = result.comparison
    if hasattr(result, "_fields") or is_dataclass(result):
        plain = {name: record(getattr(result, name)) for name in field_names(type(result))}
        if "x" in plain:
            plain["x"] = record(_wide(result.x)) if getattr(result, "is_whole", True) else None
        return plain
    if isinstance(result, Enum):
        return result.value
    if isinstance(result, (tuple, list)):
        return [record(item) for item in result]
    if isinstance(result, dict):
        return {name: record(item) for name, item in result.items()}
    if isinstance(result, np.ndarray):
        return json_numbers(result)
    if result is None or isinstance(result, (str, bool, np.bool_, int, Elements)):
        return result
    return json_number(result)


def _wide(x: Any) -> Any:
    """Return a vector, if it is known, as numbers that read back the same."""
    if isinstance(x, Elements):
        return Elements(lambda: map(_wide, x))
    # Readers read nothing narrower than float64, in which 0.1 of float16 is 0.0999755859375.
    return x if x is None or x.dtype.kind in "iu" or x.dtype == np.longdouble else x.astype(float)


def field_names(result_type: type) -> list[str]:
    """Return the names of the fields in a result type's records."""
    if not is_dataclass(result_type):
        names = list(result_type._fields)  # type: ignore[attr-defined]
        return [name for name in names if name != "x" or "n" in names]
    return [field.name for field in fields(result_type) if field.repr]


def with_steps(view: Steps) -> dict[str, Any]:
    """Return a comparison's record with the steps of every evaluated method."""
    plain: dict[str, Any] = record(view.comparison)
    for result, result_record in zip(view.comparison.results, plain["results"], strict=True):
        if result.evaluation is not None:
            walked = steps(result.evaluation, result.findings)
            result_record["steps"] = [record(step) for _, step in walked]
    return plain


def records(result: Any) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a result: one, or one for each part."""
    name = _PARTS.get(type(result).__name__)
    parts = [result] if name is None else getattr(result, name)
    return (form(part, "json")(part) for part in parts)


def json_lines(result: Any, more: Callable[[], dict[str, Any]] = dict) -> Iterator[str]:
    """Yield JSON Lines: one for each result, and one for all of them if that says more."""
    if not isinstance(result, Many):
        for one in records(result):
            yield from json_line(one | more())
        return
    results = _begun(result.results)
    try:
        for each in results:
            for one in records(each):
                yield from json_line(one)
        if rest := result.rest():
            yield from json_line(rest | more())
    except Exception as error:
        yield from json_line(_incomplete(error))
        raise


def json_line(record: dict[str, Any]) -> Iterator[str]:
    """Yield a record as a line of JSON."""
    return _ended(_json(SCHEMA | record, None), "\n")


def _ended(parts: Iterable[str], end: str) -> Iterator[str]:
    """Yield parts and their end, even if one fails: a valid document can say it is incomplete."""
    try:
        yield from parts
    except Exception:
        yield end
        raise
    yield end


def _begun(results: Iterable[Any]) -> Iterator[Any]:
    """Return results; the first is computed now, so that its errors come before any output."""
    rest = iter(results)
    return chain(list(islice(rest, 1)), rest)


def _incomplete(error: Exception) -> dict[str, str]:
    """Return what says that the results before it are not all."""
    return {"incomplete": str(error) or type(error).__name__}


def json_document(result: Any, more: Callable[[], dict[str, Any]] = dict) -> Iterator[str]:
    """Yield a JSON document: a result's fields, or many results one by one and then the rest."""
    if not isinstance(result, Many):
        yield from _json(SCHEMA | form(result, "json")(result) | more())
        yield "\n"
        return
    results = _begun(result.results)
    yield f'{json.dumps(SCHEMA)[:-1]}, "{result.name}": ['
    comma, failure = "", None
    try:
        for each in results:
            fields = form(each, "json")(each)
            yield f"{comma}\n  "
            yield from _json(fields, "\n  ")
            comma = ","
        rest = result.rest() | more()
    except Exception as error:
        rest, failure = _incomplete(error), error
    text = "".join(_json(rest))
    yield f"\n],{text[1:]}\n" if rest else "\n]}\n"
    if failure is not None:
        raise failure


def _json(value: Any, line: str | None = "\n") -> Iterator[str]:
    """Yield a value in one line, or, given how lines begin, each of its items in a line."""
    inner = "" if line is None else f"{line}  "
    encoder = _Encoder(ensure_ascii=False, allow_nan=False, separators=(f",{inner or ' '}", ": "))
    items = value.values() if isinstance(value, dict) else value
    if isinstance(value, Elements):
        texts = (encoder.encode(json_numbers(part))[1:-1] for part in value)
        separators = chain([inner], repeat(encoder.item_separator))
        yield "["
        yield from _ended(map(add, separators, texts), f"{line or ''}]")
    elif not isinstance(value, (dict, list)) or not value:
        yield encoder.encode(value)
    elif any(isinstance(each, (dict, list, Elements)) for each in items):
        begin, end = "{}" if isinstance(value, dict) else "[]"
        separator = f"{begin}{inner}"
        try:  # as in `_ended`, which would take a third longer here
            for name in value if begin == "{" else range(len(value)):
                yield separator + (f"{encoder.encode(name)}: " if begin == "{" else "")
                yield from _json(value[name], line and inner)
                separator = encoder.item_separator
        except Exception:
            yield f"{line or ''}{end}"
            raise
        yield f"{line or ''}{end}"
    else:
        text = encoder.encode(value)
        yield f"{text[0]}{inner}{text[1:-1]}{line or ''}{text[-1]}"


class _Encoder(json.JSONEncoder):
    """Escapes what a terminal may obey, and leaves letters of any language as they are."""

    def encode(self, o: Any) -> str:
        """Return a JSON text."""
        text = super().encode(o)
        if text.isascii() and "\x7f" not in text:
            return text
        odd = {c for c in text if not c.isprintable()} - {"\n"}
        return text.translate({ord(c): json.dumps(c)[1:-1] for c in odd})


def csv_document(result: Any, more: Callable[[], dict[str, Any]] = dict) -> Iterator[str]:
    """Yield results as lines of CSV, the header first, with quotes where they are needed."""
    results = result.results if isinstance(result, Many) else [result]
    rows = (row for each in results for row in form(each, "csv")(each))
    # The writer's methods return what `write` returns. It quotes cells with a part of "\r\n".
    writer = csv.writer(SimpleNamespace(write=lambda line: f"{line[:-2]}\n"), "excel")
    for number, row in enumerate(rows):
        value: Any = row.get("value")
        is_vector = isinstance(value, (np.ndarray, Elements))
        header = "" if number else writer.writerow([*row, "element"] if is_vector else row)
        if not is_vector:
            yield f"{header}{writer.writerow(map(_harmless, row.values()))}"
            continue
        cells, place = list(map(_harmless, row.values())), list(row).index("value")
        before, after = (writer.writerow(part)[:-1] for part in (cells[:place], cells[place + 1 :]))
        yield header
        element = 0
        for part in value if isinstance(value, Elements) else [value]:
            texts = enumerate(number_texts(part), start=element + 1)
            yield "".join(f"{before},{text},{after},{element}\n" for element, text in texts)
            element += len(part)


def _harmless(cell: Any) -> Any:
    """Return a cell with an apostrophe before text that a spreadsheet would run as a formula."""
    if not isinstance(cell, str) or not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        return "" if cell is None else cell
    try:
        [*map(float, cell.split(";"))]  # numbers are text here, to keep their digits
    except ValueError:
        return f"'{cell}"
    return cell


def flat_rows(result: Any) -> Iterator[dict[str, Any]]:
    """Yield a flat row for each inner result of a result; a value may be a vector."""
    if isinstance(result, Errors):
        result = result.comparison
    names = field_names(type(result))
    (many,) = (n for n in names if n != "row" and isinstance(getattr(result, n), tuple))
    outer = _cells(result, {many, "value", "x", "weights"})
    for inner in getattr(result, many):
        yield outer | _cells(inner)


def element_rows(result: Any) -> Iterator[dict[str, Any]]:
    """Yield the same rows as for CSV, but one for each element of a vector."""
    for row in form(result, "csv")(result):
        value = row.get("value")
        if not isinstance(value, np.ndarray):
            yield row
            continue
        for element, text in enumerate(number_texts(value), start=1):
            yield row | {"element": element, "value": text}


def step_rows(view: Steps) -> Iterator[dict[str, Any]]:
    """Yield a row per elementary operation of every method of a comparison."""
    comparison = view.comparison
    place = {name: getattr(comparison, name) for name in ("source", "row", "column")}
    for result in comparison.results:
        if result.evaluation is not None:
            method = {name: cell(getattr(result, name)) for name in ("method", "format", "shift")}
            for _, step in steps(result.evaluation, result.findings):
                yield place | method | _cells(step)


def peer_rows(comparison: PeerComparison) -> Iterator[dict[str, Any]]:
    """Yield a flat row per library; a vector of results is one cell."""
    outer = _cells(comparison, {"results"})
    for result in comparison.results:
        row = dict(outer)
        for name in field_names(type(result)):
            value = getattr(result, name)
            if hasattr(value, "_fields"):
                row |= {f"{name}_{part}": inner for part, inner in _cells(value).items()}
            else:
                row[name] = cell(tuple(value) if isinstance(value, np.ndarray) else value)
        yield row


def gallery_rows(gallery: Gallery) -> Iterator[dict[str, Any]]:
    """Yield the rows of all comparisons."""
    return (row for comparison in gallery.cases for row in peer_rows(comparison))


def _cells(result: Any, without: Iterable[str] = ()) -> dict[str, Any]:
    """Return the fields of a result, except some, as cells of a table."""
    names = [name for name in field_names(type(result)) if name not in without]
    return {name: cell(getattr(result, name)) for name in names}


def cell(value: Any) -> Any:
    """Return a field as the value of one cell of a table."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return ";".join(str(cell(getattr(item, "kind", item))) for item in value)
    if value is None or isinstance(value, (str, bool, int, np.ndarray, Elements)):
        return value
    return number_text(value)
