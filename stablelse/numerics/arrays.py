"""The SciPy-compatible functions: they handle array_likes, axes, weights and dtypes.

They take the arguments of their namesakes in ``scipy.special`` (1.17) and return the same kinds
of results, correctly rounded. They differ from SciPy in these points:

- a term of weight zero adds nothing, whatever x is, and a sum of no terms has the sign 0;
- log_softmax is NaN everywhere if an x is +inf, as softmax is;
- integers and bools are computed in float64 and never wrap around; ml_dtypes' formats are
  returned in their own format;
- a masked array raises a TypeError, since its mask would be ignored; use `where` instead;
- a Dask array gives a Dask array, computed on request.
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
        Weights of the terms, positive or negative; broadcast with `a`. A term with b = 0 is
        left out, whatever `a` is.
    keepdims : bool
        Keep the reduced axes, with length 1.
    return_sign : bool
        Also return the sign of the sum. Without it, the log of a negative sum is NaN.
    dtype : dtype_like, optional
        The floating-point format of the results, by default that of `a` and `b`; float64 for
        integers and bools. Results are rounded to it once.
    return_certificate : bool
        Also return a `Certificate`: what proves the results, and which kernel computed them.
    where : array_like of bool, optional
        False for terms to leave out, as in NumPy and JAX; broadcast to the shape of `a`.
    empty : {"nan", "zero", "uniform", "error"}
        As in `softmax`. The logarithm of no terms is -inf, unless "error" forbids it.
    out : ndarray, optional
        Array for the result, with its shape and a dtype that it can be cast to.
    threads : int, optional
        Largest number of threads; by default the number of cores, or the value of
        STABLELSE_NUM_THREADS or OMP_NUM_THREADS. Short arrays use only the caller's thread.

    Returns
    -------
    result : scalar or ndarray
        The logarithm of the sum; with `return_sign`, of its absolute value. For no terms, -inf.
        The imaginary part of a complex logarithm lies in (-pi, pi].
    sign : scalar or ndarray
        Only with `return_sign`: 1, 0, -1 or NaN, or the phase of a complex sum.
    certificate : Certificate
        Only with `return_certificate`.

    Raises
    ------
    TypeError
        If an argument does not hold numbers or is a masked array, or `where` is not boolean.
    ValueError
        If shapes do not fit, an axis is repeated or out of bounds (numpy's AxisError), or a vector
        is empty and `empty` is "error".

    Notes
    -----
    Results are correctly rounded, so they are identical on every machine and for any number of
    threads. Complex results are the exception: their error is at most 1.04 units of 2**-53 (2**-24
    in complex64) of the absolute value of the logarithm, however much cancels. A part smaller than
    2**-60 of the whole may be 0. A Dask array, without `b` and `return_sign`, gives a Dask array;
    its chunks do not affect the result.
    """
    bare = dtype is None and where is None and out is None and threads is None and empty == "nan"
    if bare and b is None and not (return_certificate or return_sign or keepdims):
        value = _logsumexp_directly(exact.listed(a) if isinstance(a, list) else a, axis)
        if value is not None:
            return value
    options: dict[str, Any] = {"dtype": dtype, "where": where, "empty": empty, "out": out}
    options |= {"b": b, "keepdims": keepdims, "signed": return_sign}
    return _answer("logsumexp", a, axis, return_certificate, threads, options)


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
        As in `logsumexp`; a certificate counts elements. Masked elements count as -inf, and their
        softmax is 0.
    empty : {"nan", "zero", "uniform", "error"}
        The result for a vector that is completely masked or holds only -inf: NaN as in SciPy;
        zeros; equal values for all unmasked elements (for all elements, if all are masked); or
        a ValueError that says which vector it is.
    out : ndarray, optional
        As in `logsumexp`; it may be `x` itself.

    Returns
    -------
    result : scalar or ndarray
        The shape of `x`, and its dtype unless `dtype` is given; integers and bools give float64.
    certificate : Certificate
        Only with `return_certificate`.

    Raises
    ------
    TypeError, ValueError
        As in `logsumexp`; also a TypeError for complex numbers, whose error has no proved bound,
        and a ValueError if there are no elements.

    Notes
    -----
    Every element is correctly rounded. A Dask array gives a Dask array; its chunks do not affect
    the result.
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
    """Compute log(softmax(x)) without overflow, underflow or loss of digits, even near zero.

    Parameters
    ----------
    x, axis, dtype, return_certificate, where, empty, out, threads
        As in `softmax`, whose logarithm this is: -inf for masked elements.

    Returns
    -------
    result, certificate
        As in `softmax`.

    Raises
    ------
    TypeError, ValueError
        As in `softmax`.
    """
    bare = dtype is None and where is None and out is None and threads is None and empty == "nan"
    if bare and not return_certificate:
        value = _log_softmax_directly(exact.listed(x) if isinstance(x, list) else x, axis)
        if value is not None:
            return value
    options = {"dtype": dtype, "where": where, "empty": empty, "out": out}
    return _answer("log_softmax", x, axis, return_certificate, threads, options)


def _answer(
    name: str, x: Any, axis: Axis, certified: bool, threads: int | None, options: dict[str, Any]
) -> Any:
    """Compute a function of arguments that the kernel's direct path does not handle."""
    if type(x).__module__.startswith("dask.array."):  # without importing Dask
        refuse_masks(x)
        unset = (options[option] is None for option in ("dtype", "where", "out"))
        if certified or threads is not None or options["empty"] != "nan" or not all(unset):
            raise TypeError(
                "a Dask array takes no dtype, return_certificate, where, empty, out and threads "
                "here; mask it with dask.array.where(mask, x, -numpy.inf)"
            )
        if options.get("b") is not None or options.get("signed"):
            raise TypeError("a Dask array takes no b and has no sign here; add log(b) to it")
        lazy = import_module("stablelse.numerics.lazy")
        return lazy.compute(name, x, axis, options.get("keepdims", False))
    with limited(threads):
        results = apply(name, partial(_compute, name, certified), x, axis, **options)
    sign = [results.sign] if options.get("signed") else []
    proof = [results.certificate or Certificate({})] if certified else []
    return (results.value, *sign, *proof) if sign or proof else results.value


def _compute(name: str, certified: bool, rows: Rows) -> Results:
    if rows.dtype.kind != "c":
        return exact.evaluate(name, rows, certified)
    if name != "logsumexp":
        raise TypeError(
            f"{name} takes real numbers, not {rows.dtype}, for which we have no proved bound: "
            f"use scipy.special.{name}"
        )
    if certified:
        raise TypeError("complex numbers have no certificate: leave out return_certificate")
    complex_plane = import_module("stablelse.numerics.complex_plane")  # on use: few need it
    return Results(*complex_plane.logsumexp(rows.filled(), rows.dtype, rows.weights))
