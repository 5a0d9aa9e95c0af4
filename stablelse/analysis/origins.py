"""Where a result broke: the operations that made infinity, 0 or NaN of sound numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics.formats import Array
from stablelse.numerics.formulas.formula import Kind, Operation


class Origin(NamedTuple):
    """An operation that first broke.

    Attributes
    ----------
    kind : Kind
        The operation.
    element : int or None
        At which element, from 1; ``None`` where there is one for the whole vector.
    operands : tuple of scalars
        What it was given; empty for a sum.
    value : scalar
        What it made of that.
    """

    kind: Kind
    element: int | None
    operands: tuple[Any, ...]
    value: Any


def origins(
    operations: Sequence[Operation], results: Mapping[str, Array], index: int
) -> tuple[Origin, ...]:
    """Trace a result that is infinite, NaN, or wrongly 0 to where that began.

    Parameters
    ----------
    operations : sequence of Operation
        That led to the result, the last one of them.
    results : mapping of str to ndarray
        What they gave, and what was given.
    index : int
        Which element of the last result, from 0.

    Returns
    -------
    tuple of Origin
        Those operations whose own operands are sound, each once; none where the result is.
    """
    by_symbol = {operation.symbol: operation for operation in operations}
    found = _trace(operations[-1], by_symbol, results, index) if operations else ()
    return tuple(dict.fromkeys(found))


def _trace(
    operation: Operation, by_symbol: Mapping[str, Operation], results: Mapping[str, Array], at: int
) -> Iterator[Origin]:
    value = _at(results[operation.symbol], at)
    if not _is_broken(operation.kind, value):
        return
    deeper = []
    for symbol in operation.operands:
        if symbol in by_symbol:
            where = _culprit(results[symbol], value) if operation.kind is Kind.SUM else at
            deeper += list(_trace(by_symbol[symbol], by_symbol, results, where))
    if deeper:
        yield from deeper
        return
    is_sum = operation.kind is Kind.SUM
    operands = () if is_sum else tuple(_at(results[symbol], at) for symbol in operation.operands)
    element = at + 1 if len(results[operation.symbol]) > 1 else None
    yield Origin(operation.kind, element, operands, value)


def _culprit(terms: Array, total: Any) -> int:
    """Return the first term that is as broken as the sum."""
    as_broken = terms == 0 if total == 0 else ~np.isfinite(terms)
    return int(np.argmax(as_broken))


#: What is never 0 in exact arithmetic, or is so by right.
_POSITIVE = frozenset({Kind.EXP, Kind.SUM, Kind.MULTIPLY, Kind.DIVIDE})


def _is_broken(kind: Kind, value: Any) -> bool:
    return not np.isfinite(value) or (kind in _POSITIVE and value == 0)


def _at(values: Array, index: int) -> Any:
    return values[min(index, len(values) - 1)]
