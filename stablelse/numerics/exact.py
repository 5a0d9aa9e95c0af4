"""Correctly rounded results of rows: from the kernel, or from the reference where that is in doubt.

The kernel is `stablelse.numerics.kernel`, the reference `stablelse.numerics.reference`. The
reference also handles formats that the kernel does not, and everything if there is no kernel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics import kernel, threads
from stablelse.numerics.certificate import Certificate, Rung
from stablelse.numerics.formats import FORMATS, Array, Format, format_of
from stablelse.numerics.inputs import known_format, numbers
from stablelse.numerics.rows import Results, Rows, Stack, bands, without_terms

NAMES = ("logsumexp", "softmax", "log_softmax")
_LOGSUMEXP = 0

#: Number of elements in a thread's job; pieces of a row start at multiples of the second.
JOB, _ALIGNED = 2**17, 64

compiled = kernel.load()
threads.cores()  # a wrong environment variable is an error at once


def evaluate(name: str, rows: Rows, certified: bool = False) -> Results:
    """Compute logsumexp, softmax or log_softmax of rows, correctly rounded.

    Values are as in the public functions; there are signs only with weights, and a certificate
    only on request. Results go to `rows.place` if possible.
    """
    format_, function = known_format(rows.dtype), NAMES.index(name)
    # Results of float64 are narrowed, unless there are too many in a row to hold both.
    is_narrow = format_.significand_bits < 53 and format_.has_infinity
    is_narrow &= function == _LOGSUMEXP or rows.x.shape[1] <= JOB
    of = FORMATS["float64"] if is_narrow and rows.x.dtype == np.float64 else format_
    x = for_kernel(rows.x, of)
    b = None if rows.weights is None else for_kernel(rows.weights, of)
    if x is None or (b is None and rows.weights is not None):
        return _by_reference(name, rows)
    y, signs = rows.place, None if b is None else np.empty(len(x))
    if y is None:
        y = np.empty(x.shape if function else len(x), format_.dtype)
    rows = Rows(x, format_.dtype, rows.mask, b)
    proofs = _settle(function, rows, y, signs)
    return Results(y, signs, _certificate(function, rows, y, proofs) if certified else None)


def _by_reference(name: str, rows: Rows, places: Any = None) -> Results:
    """Compute rows, or their elements at some places, without the kernel."""
    reference, x = _reference(), rows.filled()
    if name == "logsumexp":
        return Results(*reference.logsumexp(x, known_format(rows.dtype), rows.weights))
    value, certificate = getattr(reference, name)(x, known_format(rows.dtype), places)
    return Results(value, None, certificate)


def _certificate(function: int, rows: Rows, y: Array, proofs: list[Certificate | None]) -> Any:
    """Return the certificate of results that the kernel and the reference settled."""
    counts = Counter[Rung]()
    for proof in proofs:
        counts.update(proof.settled if proof else {})
    is_nothing = np.isnan(y)
    if function != _LOGSUMEXP:
        is_nothing |= rows.filled() == -np.inf
    else:  # an infinite result may also come from overflow in rounding, or weights that cancel
        infinite = np.flatnonzero(np.isinf(y.astype(np.float64)))
        top = np.where(without_terms(rows.of(infinite)), np.inf, rows.of(infinite).filled().max(1))
        is_nothing[infinite] = ~np.isfinite(top)
    counts[Rung.CONVENTION] = max(int(np.count_nonzero(is_nothing)), counts[Rung.CONVENTION])
    counts[Rung.KERNEL] = y.size - counts.total()
    return Certificate.of(counts, kernel.name())


class Extent(NamedTuple):
    """Facts about each of m rows; four arrays of shape (m,)."""

    largest: Array  # NaN if the row has one
    least: Array
    below: Array  # numbers of finite elements below and above the bounds
    above: Array


def extent(rows: Array, low: float, high: float) -> Extent:
    """Find the extremes of every row, shape (m, n), m, n >= 1, and count elements beyond bounds.

    This is all that decides what the naive formula does: the term of a finite x overflows above
    `Format.overflow_threshold` of the rows' format, and is zero below `Format.underflow_threshold`.
    """
    format_ = format_of(rows.dtype) or FORMATS["float64"]
    x = for_kernel(rows, format_)
    if x is None or compiled is None:
        return Extent(*_reference().extent(rows, low, high))
    found = np.empty((len(x), 4))
    jobs = [(x[band], found[band], low, high) for band in bands(x.shape, JOB)]
    threads.mapped(compiled.extent, jobs, x.size)
    return Extent(*found.T)


def for_kernel(rows: Array, format_: Format) -> Array | None:
    """Return rows in a format of the kernel, if there is a kernel and the format holds them."""
    if not _is_known(format_):
        return None
    if rows.dtype.kind in "iu" and rows.dtype.itemsize == 8 and np.any(abs(rows) > 2**53):
        return None  # float64 cannot hold them
    if not np.can_cast(rows.dtype, format_.dtype, "safe"):
        return None
    x = rows.astype(format_.dtype, copy=False)
    return x if x.flags.aligned else x.copy()


@cache
def _is_known(format_: Format) -> bool:
    """Whether the kernel computes in a format. It learns those of ml_dtypes on first use."""
    if compiled is None or format_.name not in kernel.FORMATS:
        return False
    compiled.know(kernel.FORMATS.index(format_.name), np.empty(0, format_.dtype))
    return True


def _settle(function: int, rows: Rows, y: Array, signs: Array | None) -> list[Certificate | None]:
    """Put a function of rows into y, in threads if they pay; return the reference's proofs."""
    m, n = rows.x.shape
    count = threads.workers(n)
    if signs is None and count > 1 and m < 2 * count and y.dtype == rows.x.dtype:
        each = (_settle_long(function, rows.of(b), y[b], count) for b in bands((m, n), 1))
        return list(chain.from_iterable(each))
    jobs = [
        (rows.of(band), y[band], None if signs is None else signs[band])
        for band in bands((m, n), JOB)
    ]
    return threads.mapped(partial(_settle_band, function), jobs, rows.x.size)


def _settle_band(function: int, rows: Rows, y: Array, signs: Array | None) -> Certificate | None:
    assert compiled is not None
    # strides cost more than a copy, but a longer row is not copied
    x = rows.x if rows.x.size > JOB else np.ascontiguousarray(rows.x)
    found = np.empty(len(y), np.int8)
    weighted = () if signs is None else (rows.weights, found)
    wide = y if y.dtype == x.dtype else np.empty(y.shape, x.dtype)
    doubtful = compiled.rows(function, x, wide, rows.mask, *weighted)
    if wide is not y:
        near = _narrowed(wide, y)
        doubtful = near if doubtful is None else np.union1d(doubtful, near)
    if signs is not None:
        signs[...] = found
    return _settle_rest(function, rows, y, doubtful, signs)


def _narrowed(wide: Array, y: Array) -> Array:
    """Round correctly rounded float64 to a narrower format, y; return what is in doubt.

    Exact values lie within an ulp, 2**-52 of a normal number or less; subnormal ones become 0. If
    both ends round to the same number, so do they; otherwise rounding twice may be wrong.
    """
    format_ = known_format(y.dtype)
    low, y[...] = (format_.round(wide * (1 + ulp)) for ulp in (-(2.0**-52), 2.0**-52))
    y[y == 0] = 0  # no -0
    return np.flatnonzero((low != y) & ~np.isnan(y))


def _settle_long(function: int, rows: Rows, y: Array, count: int) -> list[Certificate | None]:
    """Put a function of one long row into y, in pieces: first their sums, then the results."""
    assert compiled is not None
    n = rows.x.shape[1]
    ends = [n * i // count // _ALIGNED * _ALIGNED for i in range(count)] + [n]
    pieces = [(function, rows.x, y, rows.mask, *ends[i : i + 2]) for i in range(count)]
    sums = threads.mapped(compiled.sum_piece, pieces, n)
    if function == _LOGSUMEXP:
        pieces = [(function, rows.x, y, rows.mask, 0, n)]
    results = threads.mapped(lambda *piece: compiled.settle_piece(*piece, *sums), pieces, n)
    return [_settle_rest(function, rows, y, doubtful) for doubtful in results]


def _settle_rest(
    function: int, rows: Rows, y: Array, doubtful: Array | None, signs: Array | None = None
) -> Certificate | None:
    """Compute results in doubt, at flat indices into y, with the reference."""
    if doubtful is None:
        return None
    if function == _LOGSUMEXP:
        y[doubtful], sign, certificate = _by_reference(NAMES[function], rows.of(doubtful))
        if signs is not None:
            signs[doubtful] = sign
        return certificate
    doubtful.sort()
    i, j = np.divmod(doubtful, rows.x.shape[1])
    some, k = np.unique(i, return_inverse=True)
    y[i, j], _, certificate = _by_reference(NAMES[function], rows.of(some), (k, j))
    return certificate


def _settle_direct(function: int, x: Array, axis: int | None, y: Array, doubtful: Array) -> None:
    rows = Rows(Stack(x.shape, axis).rows(x), x.dtype)
    _settle_rest(function, rows, y.reshape(rows.x.shape if function else len(rows.x)), doubtful)


def _reference() -> Any:
    return import_module("stablelse.numerics.reference")  # on use: it brings decimal


def listed(x: list[Any]) -> Array | None:
    """Return a list as an array for `directly`, if a format of the kernel holds its numbers."""
    array = numbers(x)
    return for_kernel(array, FORMATS["float64"]) if array.dtype.kind in "biu" else array


#: Functions of x and axis, by name. They return None unless x is an array that the kernel takes
#: without conversion and without threads; finding out costs a fraction of a microsecond.
directly: dict[str, Callable[[object, object], Any]]
directly = dict.fromkeys(NAMES, lambda x, axis: None)
if compiled is not None:
    compiled.on_doubt(_settle_direct)
    directly = {name: getattr(compiled, name) for name in NAMES}
