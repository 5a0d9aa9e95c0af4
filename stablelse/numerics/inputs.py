"""Turns arguments into arrays of numbers, or says in one line what to pass instead.

Every public function reads its arguments here, so all of them take and refuse the same things.
Only Python's own numbers in arrays of objects are rounded: once, correctly, to float64.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from math import inf, isinf, nan
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from stablelse.numerics.formats import ALIASES, FORMATS, Array, Format, find_format, format_of

if TYPE_CHECKING:
    import numpy.typing as npt

#: Kinds of NumPy dtypes that are not numbers, and what to pass instead.
_INSTEAD = {
    "U": ("strings", "numpy.asarray({0}).astype(float)"),
    "T": ("strings", "numpy.asarray({0}).astype(float)"),
    "S": ("byte strings", "numpy.asarray({0}).astype(float)"),
    "M": ("dates", "differences of dates as numbers"),
    "m": ("durations", "{0} / numpy.timedelta64(1, 's')"),
}

#: A sequence that begins with such a number is a row; its elements are not checked one by one.
_PLAIN = (float, int, np.generic)


def several(names: Any) -> list[Any]:
    """Return the names or numbers of a sequence; a single one is a sequence of one."""
    return [names] if isinstance(names, str | int | float | np.number) else list(names)


def find_formats(names: str | Iterable[str]) -> list[Format]:
    """Return the formats of some names or aliases, each once."""
    formats = list(dict.fromkeys(map(find_format, several(names))))
    if not formats:
        raise ValueError(f"no format: choose from {', '.join(FORMATS)}")
    return formats


def real_vector(x: object, caller: str) -> Array:
    """Return real numbers as an array of shape (n,), n >= 1."""
    array = real_numbers(x)
    if array.ndim != 1 or not array.size:
        one = f": pass one, x[{', '.join('0' * (array.ndim - 1))}]" if array.ndim > 1 else ""
        raise ValueError(
            f"{caller} takes a vector of at least one number, not shape {array.shape}{one}"
        )
    return array


def real_numbers(x: object, name: str = "x") -> Array:
    """Return real numbers as an array."""
    array = numbers(x, name)
    if array.dtype.kind == "c":
        raise TypeError(f"expected real {_numbers_as(name)}, not complex ones ({array.dtype})")
    return array


def _numbers_as(name: str) -> str:
    return "numbers" if name == "x" else f"numbers as {name}"


def numbers(x: object, name: str = "x") -> Array:
    """Return numbers as an array, without a copy where possible; errors call it by its name.

    It takes integers, bools, and real or complex floating-point numbers in NumPy's formats or those
    of the table; also PyTorch tensors, including bfloat16, float8 and tensors that require a
    gradient. Fractions, Decimals and integers of any size are rounded to float64.
    """
    array = as_array(x)
    dtype = array.dtype
    if dtype.kind in "biufc" or format_of(dtype) is not None:
        return array
    if dtype.kind == "O":
        return _of_objects(array, name)
    expected = f"expected {_numbers_as(name)}"
    if dtype.names:
        fields = ", ".join(map(repr, dtype.names))
        raise TypeError(f"{expected}, not records: pass one field, {name}[{fields}]")
    if dtype.type is np.void:
        raise TypeError(
            f"{expected}, not bytes ({dtype}): view them in their format first, as in "
            f"{name}.view(ml_dtypes.bfloat16)"
        )
    kind, instead = _INSTEAD.get(dtype.kind, (str(dtype), "{0}.astype(float)"))
    raise TypeError(f"{expected}, not {kind}: pass {instead.format(name)}")


def as_array(x: object) -> Array:
    """Return any array_like as an array."""
    if type(x) is np.ndarray:
        return x
    refuse_masks(x)
    torch: Any = sys.modules.get("torch")  # never imported here: without it there are no tensors
    if torch is not None:
        if isinstance(x, torch.Tensor):
            return _of_tensor(x, torch)
        if isinstance(x, (list, tuple)) and x and isinstance(x[0], torch.Tensor):
            x = [_of_tensor(part, torch) if isinstance(part, torch.Tensor) else part for part in x]
    try:
        array = np.asanyarray(x)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        raise ValueError(
            "the rows of x have different lengths: pass one at a time, or pad them with -numpy.inf"
        ) from None
    if type(array) is not np.ndarray:
        refuse_masks(array)  # x may have turned into a masked array only now
        array = np.asarray(array)
    # NumPy turns a masked number in a list into NaN, or into 0 among complex numbers.
    kind = array.dtype.kind
    if "numpy.ma" in sys.modules and (kind == "c" or (kind == "f" and np.isnan(array).any())):
        refuse_masks(x, every=True)
    return array


def refuse_masks(x: object, every: bool = False) -> None:
    """Raise if x is masked, or a list of masked things: NumPy would drop the mask.

    A list that begins with a number is not searched, unless `every`.
    """
    parts = x if isinstance(x, (list, tuple)) else ()
    if parts and not every and isinstance(parts[0], _PLAIN):
        return
    if "numpy.ma" not in sys.modules:  # without it there are no masked arrays
        return
    if x is np.ma.masked:
        raise TypeError(
            "the mask of a number would be lost (numpy.ma.masked): put -numpy.inf in its place, "
            "or any number and mask with where="
        )
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(
            "the mask of a masked array would be lost: mask with where=~numpy.ma.getmaskarray(x), "
            "or pass x.filled(-numpy.inf) to what has no where="
        )
    if isinstance(getattr(x, "_meta", None), np.ma.MaskedArray):
        raise TypeError(
            "the mask of a Dask array would be lost: pass dask.array.ma.filled(x, -numpy.inf), or "
            "compute it and mask with where="
        )
    for part in parts:
        refuse_masks(part, every)


def _of_tensor(x: Any, torch: Any) -> Array:
    """Return a tensor as an array, which shares the tensor's memory if that is on the CPU."""
    name = str(x.dtype).removeprefix("torch.")
    format_ = FORMATS.get(name)
    if format_ is None and x.is_floating_point():
        raise TypeError(f"{name} is not a known format: pass x.float()")
    if format_ is None or format_.extra is None:
        array: Array = x.numpy(force=True)
        return array
    # PyTorch does not convert to ml_dtypes' formats; the bits are the same in both.
    bits = torch.uint8 if format_.dtype.itemsize == 1 else torch.int16
    array = x.detach().resolve_neg().view(bits).numpy(force=True)
    return array.view(format_.dtype)


def _of_objects(array: Array, name: str) -> Array:
    """Return Python's numbers in float64, each rounded once, to nearest; integers unchanged."""
    values = array.ravel().tolist()
    if all(isinstance(value, int | np.integer) for value in values):
        for dtype in (np.int64, np.uint64):
            with suppress(OverflowError):  # NumPy's own integers would wrap around instead
                return np.array(list(map(int, values)), dtype).reshape(array.shape)
    rounded = np.empty(array.size)
    for index, value in enumerate(values):
        try:
            number = _as_float(value)
        except OverflowError:
            raise ValueError(f"{_place(index, array, name)} is too large for float64") from None
        if number is None and array.ndim:
            place, instead = _place(index, array, name), _instead_of_entry(value, name)
            raise TypeError(f"{place} is {_named(value)}, not a number{instead}")
        if number is None:
            expected, instead = f"expected {_numbers_as(name)}", _instead_of(value, name)
            raise TypeError(f"{expected}, not {_named(value)}{instead}")
        rounded[index] = number
    return rounded.reshape(array.shape)


def _place(index: int, array: Array, name: str) -> str:
    if not array.ndim:
        return "the number"
    return f"{name}[{', '.join(str(int(i)) for i in np.unravel_index(index, array.shape))}]"


def _as_float(value: object) -> float | None:
    """Return a real number as a float, or ``None`` for anything else."""
    from decimal import Decimal  # on use: few callers pass objects

    if not isinstance(value, Real | Decimal | np.bool_):
        return None
    if isinstance(value, Decimal) and value.is_nan():  # float() refuses a signaling NaN
        return nan
    number = float(value)
    if isinf(number):  # comparing with a Decimal would set flags in the caller's context
        given = value.is_infinite() if isinstance(value, Decimal) else value in (inf, -inf)
        if not given:
            raise OverflowError
    return number


def _named(value: object) -> str:
    """Return what something is, in a few words without control characters."""
    if value is None or isinstance(value, str | bytes | complex):
        text = repr(value)
        return text if len(text) <= 30 else f"{text[:27]}..."
    name = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _instead_of(x: object, name: str) -> str:
    """Return what to pass instead of something that is not an array."""
    if hasattr(x, "toarray"):
        return f": pass {name}.toarray()"
    if isinstance(x, Mapping):
        return f": pass list({name}.values())"
    return f": pass list({name})" if hasattr(x, "__iter__") else ""


def _instead_of_entry(value: object, name: str) -> str:
    """Return what to pass instead of an array with such an entry."""
    if isinstance(value, str | bytes):
        return f": pass numpy.asarray({name}).astype(float)"
    if isinstance(value, complex | np.complexfloating):
        return f": pass numpy.asarray({name}).astype(complex)"
    if hasattr(value, "__len__"):
        return f": pass numpy.stack({name}), or one at a time if their lengths differ"
    if hasattr(value, "__float__") and not isinstance(value, np.datetime64 | np.timedelta64):
        return f": pass numpy.asarray({name}).astype(float)"
    return ": leave it out, or pass numpy.nan for what is missing"


def promoted(
    a: Any, b: Any = None, dtype: npt.DTypeLike | None = None
) -> tuple[Array, Array | None, np.dtype[Any]]:
    """Return both as arrays of one shape, and the dtype of the result.

    That is `dtype`, which may be a format's name, or else NumPy's promoted dtype; float64 if
    there is none (as for bfloat16 with another format) or it is not a floating-point dtype.
    """
    x, weights = numbers(a), None
    natural = np.result_type(x.dtype)
    if b is not None:
        weights = numbers(b, "b")
        try:
            x, weights = np.broadcast_arrays(x, weights)
        except ValueError:
            shapes = f"{weights.shape} does not fit an array of shape {x.shape}"
            raise ValueError(f"b of shape {shapes}") from None
        bare = (int, float, complex)
        # A bare Python number does not widen a narrow format; NumPy knows that by its type, but
        # not for ml_dtypes' formats.
        if not (type(b) in bare[:2] and format_of(x.dtype)):
            parts = [v if type(v) in bare else w.dtype for v, w in ((a, x), (b, weights))]
            try:
                natural = np.result_type(*parts)
            except TypeError:
                natural = np.dtype(np.float64)
    if isinstance(dtype, str) and ALIASES.get(dtype, dtype) in FORMATS:
        dtype = find_format(dtype).dtype
    elif dtype is None:
        dtype = np.float64 if natural.kind in "biu" else natural
    target = np.dtype(dtype)
    if natural.kind == "c" and target.kind != "c":
        raise TypeError(f"expected real numbers for {target}, not complex ones ({natural})")
    return x, weights, target


@cache
def known_format(dtype: np.dtype[Any]) -> Format:
    """Return the format whose numbers a dtype holds, which must be a real floating dtype."""
    if dtype.kind == "c":
        raise TypeError(f"expected real numbers, not complex ones ({dtype})")
    format_ = format_of(dtype)
    if format_ is None:
        choices = ", ".join(FORMATS)
        raise TypeError(f"expected a floating-point format, not {dtype}: choose from {choices}")
    return format_


def check_finite(numbers: Array | None, name: str, rule: str, least: float = -inf) -> None:
    """Raise an error that names the first number that is NaN, infinite or too small."""
    if numbers is not None and not (is_right := np.isfinite(numbers) & (numbers >= least)).all():
        place = tuple(map(int, np.argwhere(~is_right)[0]))
        raise ValueError(f"{name}[{', '.join(map(str, place))}] is {numbers[place]}: {rule}")
