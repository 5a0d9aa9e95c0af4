"""The SciPy-compatible front: array_likes, axes, weights and dtypes; the sums are elsewhere.

The functions take what those of ``scipy.special`` (1.17) take and return what those return,
correctly rounded, except where SciPy means something else:

- a term of weight zero adds nothing whatever x is, and the sum of no terms has the sign 0;
- log_softmax is NaN everywhere if an x is +inf, as softmax is;
- integers and bools are computed in float64 and never wrap around; ml_dtypes' formats are
  returned in their own format;
- a masked array is a TypeError, for its mask would be ignored; `where` masks;
- of a Dask array the result is a Dask array, computed when that is asked for.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from stablelse.numerics import exact
from stablelse.numerics.certificate import Certificate
from stablelse.numerics.formats import Array
from stablelse.numerics.inputs import refuse_masks
from stablelse.numerics.rows import Axis, Results, Rows, apply
from stablelse.numerics.threads import limited

if TYPE_CHECKING:
    import numpy.typing as npt

_logsumexp_directly = exact.directly["logsumexp"]
_softmax_directly = exact.directly["softmax"]
_log_softmax_directly = exact.directly["log_softmax"]


def logsumexp(
    a: npt.ArrayLike,
    axis: Axis = None,
    b: npt.ArrayLike | None = None,
    keepdims: bool = False,
    return_sign: bool = False,
    *,
    dtype: npt.DTypeLike | None = None,
    return_certificate: bool = False,
    where: npt.ArrayLike | None = None,
    empty: str = "nan",
    out: Array | None = None,
    threads: int | None = None,
) -> Any:
    """Compute log(sum(b * exp(a))) without overflow, underflow or loss of digits.

    Parameters
    ----------
    a : array_like
        Real or complex numbers, any shape.
    axis : int or tuple of int, optional
        The axis or axes to sum over; all by default.
    b : array_like, optional
        Weights of the terms, of either sign; broadcast with `a`. A term with b = 0 is left
        out, whatever `a` is.
    keepdims : bool
        Keep the axes that were summed over, with length 1.
    return_sign : bool
        Return the sign of the sum too. Without it, the log of a negative sum is NaN.
    dtype : dtype_like, optional
        The floating-point format of the results, by default that of `a` and `b`; float64 for
        integers and bools. They are rounded to it once.
    return_certificate : bool
        Return a `Certificate` too: what proves the results, and which kernel computed them.
    where : array_like of bool, optional
        False for terms that are left out, as in NumPy and JAX; broadcast to the shape of `a`.
    empty : {"nan", "zero", "uniform", "error"}
        As in `softmax`. Without terms the logarithm is -inf, unless that is an error.
    out : ndarray, optional
        Where to put the result, of its shape and of a dtype it can be cast to.
    threads : int, optional
        The largest number of threads; by default the number of cores, or what STABLELSE_NUM_THREADS
        or OMP_NUM_THREADS says. Short arrays use the caller's thread alone.

    Returns
    -------
    result : scalar or ndarray
        The logarithm; with `return_sign`, that of the absolute value. Without terms it is -inf.
        The imaginary part of a complex logarithm lies in (-pi, pi].
    sign : scalar or ndarray
        With `return_sign` only: 1, 0, -1 or NaN, or the phase of a complex sum.
    certificate : Certificate
        With `return_certificate` only.

    Raises
    ------
    TypeError
        If an argument does not hold numbers, or is a masked array, or `where` no booleans.
    ValueError
        If shapes do not fit, an axis is repeated or (numpy's AxisError) out of bounds, or a vector
        is empty and that is an error.

    Notes
    -----
    Results are correctly rounded, so their bits are the same on every machine and for any number
    of threads. Complex ones are the exception: their error is at most 1.04 units of 2**-53 (2**-24
    in complex64) of the absolute value of the logarithm, however much cancels. A part that is less
    than 2**-60 of the whole may be 0. A Dask array, without `b` and `return_sign`, gives a Dask
    array, with the same bits for any chunks.
    """
    bare = dtype is None and where is None and out is None and threads is None and empty == "nan"
    if bare and b is None and not (return_certificate or return_sign or keepdims):
        value = _logsumexp_directly(exact.listed(a) if isinstance(a, list) else a, axis)
        if value is not None:
            return value
    options = {"dtype": dtype, "where": where, "empty": empty, "out": out}
    sums = {"b": b, "keepdims": keepdims, "signed": return_sign}
    return _answer("logsumexp", a, axis, return_certificate, threads, options, sums)


def softmax(
    x: npt.ArrayLike,
    axis: Axis = None,
    *,
    dtype: npt.DTypeLike | None = None,
    return_certificate: bool = False,
    where: npt.ArrayLike | None = None,
    empty: str = "nan",
    out: Array | None = None,
    threads: int | None = None,
) -> Any:
    """Compute exp(x) / sum(exp(x)) without overflow, underflow or loss of digits.

    Parameters
    ----------
    x : array_like
        Real numbers, any shape.
    axis : int or tuple of int, optional
        The axis or axes along which the result sums to 1; all by default.
    dtype, return_certificate, where, threads
        As of `logsumexp`; a certificate counts elements. What is masked counts as -inf, and its
        softmax is 0.
    empty : {"nan", "zero", "uniform", "error"}
        What becomes of a vector that is completely masked or holds only -inf: NaN as in SciPy,
        0 throughout, the same for all that is not masked (for all, if everything is), or a
        ValueError that names it.
    out : ndarray, optional
        As of `logsumexp`; it may be `x` itself.

    Returns
    -------
    result : scalar or ndarray
        The shape of `x`, and its dtype unless `dtype` is given; integers and bools give float64.
    certificate : Certificate
        With `return_certificate` only.

    Raises
    ------
    TypeError, ValueError
        As `logsumexp`; a TypeError for complex numbers, for nothing is proved of the error, and a
        ValueError for a softmax of no elements.

    Notes
    -----
    Elements are correctly rounded, always. Of a Dask array the result is a Dask array of the same
    bits, whatever the chunks.
    """
    bare = dtype is None and where is None and out is None and threads is None and empty == "nan"
    if bare and not return_certificate:
        value = _softmax_directly(exact.listed(x) if isinstance(x, list) else x, axis)
        if value is not None:
            return value
    options = {"dtype": dtype, "where": where, "empty": empty, "out": out}
    return _answer("softmax", x, axis, return_certificate, threads, options)


def log_softmax(
    x: npt.ArrayLike,
    axis: Axis = None,
    *,
    dtype: npt.DTypeLike | None = None,
    return_certificate: bool = False,
    where: npt.ArrayLike | None = None,
    empty: str = "nan",
    out: Array | None = None,
    threads: int | None = None,
) -> Any:
    """Compute log(softmax(x)) without overflow, underflow or loss of digits, next to zero too.

    Parameters
    ----------
    x, axis, dtype, return_certificate, where, empty, out, threads
        As of `softmax`, whose logarithm this is: -inf for masked elements.

    Returns
    -------
    result, certificate
        As of `softmax`.

    Raises
    ------
    TypeError, ValueError
        As `softmax`.
    """
    bare = dtype is None and where is None and out is None and threads is None and empty == "nan"
    if bare and not return_certificate:
        value = _log_softmax_directly(exact.listed(x) if isinstance(x, list) else x, axis)
        if value is not None:
            return value
    options = {"dtype": dtype, "where": where, "empty": empty, "out": out}
    return _answer("log_softmax", x, axis, return_certificate, threads, options)


def _answer(
    name: str,
    x: Any,
    axis: Axis,
    certified: bool,
    threads: int | None,
    options: dict[str, Any],
    sums: dict[str, Any] | None = None,
) -> Any:
    """Compute a function of what the kernel cannot take as it is."""
    sums = sums or {}
    if type(x).__module__.startswith("dask.array."):  # without importing Dask
        refuse_masks(x)
        unset = (options[option] is None for option in ("dtype", "where", "out"))
        if certified or threads is not None or options["empty"] != "nan" or not all(unset):
            raise TypeError(
                "a Dask array takes no dtype, return_certificate, where, empty, out and threads "
                "here; mask it with dask.array.where(mask, x, -numpy.inf)"
            )
        if sums.get("b") is not None or sums.get("signed"):
            raise TypeError("a Dask array takes no b and has no sign here; add log(b) to it")
        lazy = import_module("stablelse.numerics.lazy")
        return lazy.compute(name, x, axis, sums.get("keepdims", False))
    with limited(threads):
        results = apply(name, partial(_compute, name, certified), x, axis, **options, **sums)
    answer = [results.value]
    if sums.get("signed"):
        answer.append(results.sign)
    if certified:
        answer.append(results.certificate or Certificate({}, 0, 0.0))
    return answer[0] if len(answer) == 1 else tuple(answer)


def _compute(name: str, certified: bool, rows: Rows) -> Results:
    if rows.dtype.kind != "c":
        return exact.evaluate(name, rows, certified)
    if name != "logsumexp":
        raise TypeError(
            f"{name} takes real numbers, not {rows.dtype}: nothing is proved here of the error of "
            f"complex ones; scipy.special.{name} takes them"
        )
    if certified:
        raise TypeError("complex numbers have no certificate: leave out return_certificate")
    complex_plane = import_module("stablelse.numerics.complex_plane")  # on use: few need it
    return Results(*complex_plane.logsumexp(rows.filled(), rows.dtype, rows.weights))
