"""Correctly rounded results of rows: the kernel's, and the reference's where it is in doubt.

The kernel is `stablelse.numerics.kernel`, the reference `stablelse.numerics.reference`. That also
does what the kernel is not made for, and everything where there is no kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics import kernel, threads
from stablelse.numerics.certificate import Rung
from stablelse.numerics.formats import FORMATS, Array, Format, format_of
from stablelse.numerics.front import known_format, stacked
from stablelse.numerics.inputs import numbers

_LOGSUMEXP, _SOFTMAX, _LOG_SOFTMAX = range(3)
_NAMES = ("logsumexp", "softmax", "log_softmax")

#: Elements of a job for a thread, and what pieces of a row are a multiple of.
JOB, _ALIGNED = 2**17, 64

_compiled = kernel.load()


def logsumexp(rows: Array, format_: Format, weights: Array | None = None) -> tuple[Array, Array]:
    """Compute log abs(sum b_i exp(x_i)) of every row, correctly rounded, and the sign of the sum.

    Parameters
    ----------
    rows : ndarray
        Shape (m, n), m, n >= 1, real, of any format of the table.
    format_ : Format
        The format of the values.
    weights : ndarray, optional
        The b_i, shape (m, n), real; all 1 if left out.

    Returns
    -------
    value : ndarray
        Shape (m,), in the format.
    sign : ndarray
        Shape (m,): 1, 0, -1 or NaN.
    """
    x = for_kernel(rows, format_)
    b = None if weights is None else for_kernel(weights, format_)
    if x is None or (b is None and weights is not None):
        value, sign, _ = _reference().logsumexp(rows, format_, weights)
        return value, sign
    value, sign = np.empty(len(rows), format_.dtype), np.empty(len(rows))
    if b is not None:
        threads.mapped(_settle_weighted, _bands(x, b, value, sign), x.size)
        return value, sign
    _settle(_LOGSUMEXP, x, value)
    return value, np.where(np.isnan(value), value, value > -np.inf)


def softmax(rows: Array, format_: Format, place: Array | None = None) -> Array:
    """Compute the softmax of every row, correctly rounded.

    Parameters
    ----------
    rows : ndarray
        Shape (m, n), m, n >= 1, real, of any format of the table.
    format_ : Format
        The format of the results.
    place : ndarray, optional
        Where they may be put, of their shape and format, apart from `rows`.

    Returns
    -------
    ndarray
        Shape (m, n), in the format. A row that has NaN or +inf, or nothing but -inf, is NaN.
    """
    return _elementwise(_SOFTMAX, rows, format_, place)


def log_softmax(rows: Array, format_: Format, place: Array | None = None) -> Array:
    """Compute log_softmax of every row, correctly rounded; see `softmax`."""
    return _elementwise(_LOG_SOFTMAX, rows, format_, place)


class Extent(NamedTuple):
    """What each of m rows holds; four arrays of shape (m,).

    Attributes
    ----------
    largest, least : ndarray
        Of the elements; NaN where there is one.
    below, above : ndarray
        How many finite elements are below and above the bounds.
    """

    largest: Array
    least: Array
    below: Array
    above: Array


def extent(rows: Array, low: float, high: float) -> Extent:
    """Find the extremes of every row, shape (m, n), m, n >= 1, and count what is beyond bounds.

    The naive formula meets no more than that: the term of a finite x overflows above
    `Format.overflow_threshold` of the format that rows are of, and is zero below
    `Format.underflow_threshold`.
    """
    format_ = format_of(rows.dtype) or FORMATS["float64"]
    x = for_kernel(rows, format_)
    if x is None:
        return Extent(*_reference().extent(rows, low, high))
    found = np.empty((len(x), 4))
    threads.mapped(_extent, [(*band, low, high) for band in _bands(x, found)], x.size)
    return Extent(*found.T)


def _extent(x: Array, found: Array, low: float, high: float) -> None:
    assert _compiled is not None
    _compiled.extent(x, found, low, high)


def rungs() -> tuple[Rung, ...]:
    """Return what computes in words, the fastest first."""
    return (Rung.DOUBLE_WORD,) if _compiled is None else (Rung.KERNEL, Rung.DOUBLE_WORD)


def label_losses(rows: Array, labels: Array, mask: Array | None) -> tuple[Array, Array, Array]:
    """Return the loss of the label of every row in two words, and the error, from the kernel.

    Of what is left to the reference the error is infinite.
    """
    words = np.full((len(rows), 3), [np.nan, 0.0, np.inf])
    x = for_kernel(rows, format_of(rows.dtype) or FORMATS["float64"])
    if x is not None and _compiled is not None:
        _compiled.losses(x, np.ascontiguousarray(labels), mask, words)
    return words[:, 0], words[:, 1], words[:, 2]


def label_gradients(
    rows: Array, labels: Array, mask: Array | None, y: Array, factors: Array, t: Any
) -> Array:
    """Put the gradients of rows into y; labels.h says what else there is.

    Returns the flat indices of elements that are left to the reference.
    """
    x = for_kernel(rows, known_format(y.dtype))
    if x is None or _compiled is None:
        return np.arange(y.size)
    t = None if t is None else np.array(t)
    left: Array | None = _compiled.gradients(
        x, np.ascontiguousarray(labels), mask, y, np.ascontiguousarray(factors), t
    )
    return np.zeros(0, np.int64) if left is None else left


def _elementwise(function: int, rows: Array, format_: Format, place: Array | None) -> Array:
    x = for_kernel(rows, format_)
    if x is None:
        result: Array = getattr(_reference(), _NAMES[function])(rows, format_)[0]
        return result
    if place is None or not place.flags.c_contiguous:
        place = np.empty(rows.shape, format_.dtype)
    _settle(function, x, place)
    return place


def for_kernel(rows: Array, format_: Format) -> Array | None:
    """Return rows in a format of the kernel, if there is a kernel and the format holds them."""
    if not _is_known(format_):
        return None
    if rows.dtype.kind in "iu":  # of 64 bits, float64 may not hold them
        rows = _as_real(rows)
    if not np.can_cast(rows.dtype, format_.dtype, "safe"):
        return None
    x = rows.astype(format_.dtype, copy=False)
    return x if x.flags.aligned else x.copy()


@cache
def _is_known(format_: Format) -> bool:
    """Whether the kernel computes in a format. It learns those of ml_dtypes when they are used."""
    if _compiled is None or format_.name not in kernel.FORMATS:
        return False
    _compiled.know(kernel.FORMATS.index(format_.name), np.empty(0, format_.dtype))
    return True


def _as_real(x: Array) -> Array:
    """Return integers in a format that holds them: of 64 bits, float64 may not."""
    if x.dtype.itemsize == 8 and np.any(abs(x) > 2**53):
        return x.astype(np.longdouble)
    return x


def _settle(function: int, x: Array, y: Array) -> None:
    """Put a function of the rows of x into y, in threads where they pay."""
    m, n = x.shape
    count = threads.workers(n)
    if count > 1 and m < 2 * count:
        for i in range(m):
            _settle_long(function, x[i : i + 1], y[i : i + 1], count)
        return
    threads.mapped(partial(_settle_band, function), _bands(x, y), x.size)


def _bands(*arrays: Array) -> list[tuple[Array, ...]]:
    """Cut arrays into bands of rows, so many as make a job for a thread."""
    m, n = arrays[0].shape
    step = max(1, JOB // n)
    return [tuple([array[i : i + step] for array in arrays]) for i in range(0, m, step)]


def _settle_weighted(x: Array, b: Array, y: Array, sign: Array) -> None:
    """Put the logarithms and the signs of weighted sums into y and sign."""
    assert _compiled is not None
    signs = np.empty(len(x), np.int8)
    doubtful = _compiled.rows(_LOGSUMEXP, x, y, None, b, signs)
    sign[...] = signs
    if doubtful is not None:
        some = x[doubtful], known_format(x.dtype), b[doubtful]
        y[doubtful], sign[doubtful], _ = _reference().logsumexp(*some)


def _settle_band(function: int, x: Array, y: Array) -> None:
    assert _compiled is not None
    _settle_rest(function, x, y, _compiled.rows(function, x, y, None))


def _settle_long(function: int, x: Array, y: Array, count: int) -> None:
    """Put a function of one long row into y, in pieces: first their sums, then the results."""
    assert _compiled is not None
    n = x.shape[1]
    ends = [n * i // count // _ALIGNED * _ALIGNED for i in range(count)] + [n]
    pieces = [(function, x, y, None, *ends[i : i + 2]) for i in range(count)]
    sums = threads.mapped(_compiled.sum_piece, pieces, n)
    if function == _LOGSUMEXP:
        pieces = [(function, x, y, None, 0, n)]
    results = threads.mapped(lambda *piece: _compiled.settle_piece(*piece, *sums), pieces, n)
    for doubtful in results:
        _settle_rest(function, x, y, doubtful)


def _settle_rest(function: int, x: Array, y: Array, doubtful: Array | None) -> None:
    """Let the reference compute results in doubt, at flat indices into y."""
    if doubtful is None:
        return
    format_ = known_format(x.dtype)
    if function == _LOGSUMEXP:
        y[doubtful] = _reference().logsumexp(x[doubtful], format_)[0]
    else:
        places = np.divmod(doubtful, x.shape[1])
        y[places] = getattr(_reference(), _NAMES[function])(x, format_, places)[0]


def _settle_direct(function: int, x: Array, axis: int | None, y: Array, doubtful: Array) -> None:
    rows = stacked(x, axis)
    _settle_rest(function, rows, y.reshape(rows.shape if function else len(rows)), doubtful)


def _reference() -> Any:
    return import_module("stablelse.numerics.reference")  # on use: it brings decimal


def listed(x: list[Any]) -> Array | None:
    """Return a list as an array for `directly`, if the kernel has a format that holds its numbers.

    Raises
    ------
    TypeError, ValueError
        As `inputs.numbers`.
    """
    array = numbers(x)
    return for_kernel(array, FORMATS["float64"]) if array.dtype.kind in "biu" else array


def _not_directly(x: object, axis: object) -> None:
    """Stand for the direct functions where there is no kernel."""


#: By name: from x and axis to the result, if x is an array that the kernel can take as it is, of a
#: size that needs no threads; otherwise ``None``. It costs a fraction of a microsecond.
directly: dict[str, Callable[[object, object], Any]] = dict.fromkeys(_NAMES, _not_directly)

if _compiled is not None:
    _compiled.on_doubt(_settle_direct)
    directly = {name: getattr(_compiled, name) for name in _NAMES}
