"""The table of floating-point formats: rounding, range, where exp leaves it, and the order.

Everything here is computed from the formats themselves; no threshold is typed in.
"""

from __future__ import annotations

from functools import cache, cached_property
from importlib.util import find_spec
from math import ldexp
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from decimal import Context, Decimal, DecimalException
    from fractions import Fraction

    import numpy.typing as npt

    Array = npt.NDArray[Any]
else:
    Array = np.ndarray  # numpy.typing is slow to import


class UnknownFormatError(ValueError):
    """A name is not in the table, or the extra for its format is not installed."""


class Format:
    """A binary floating-point format, in the notation of the IEEE 754 standard."""

    def __init__(self, name: str, extra: str | None = None) -> None:
        self.name = name
        self.extra = extra

    def __repr__(self) -> str:
        return f"<Format {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return find_format, (self.name,)

    @cached_property
    def _library(self) -> Any:
        """NumPy or ml_dtypes, which uses the same names for its formats."""
        if self.extra is None:
            return np
        try:
            import ml_dtypes
        except ImportError:
            raise UnknownFormatError(
                f"{self.name} needs ml_dtypes: pip install ml_dtypes brings it"
            ) from None
        return ml_dtypes

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype of these numbers, or UnknownFormatError if its extra is not installed."""
        dtype: np.dtype[Any] = np.dtype(getattr(self._library, self.name))
        return dtype

    @cached_property
    def _finfo(self) -> Any:
        return self._library.finfo(self.dtype)

    @cached_property
    def significand_bits(self) -> int:
        """The precision p: bits of the significand, the leading one included."""
        return int(self._finfo.nmant) + 1

    @property
    def unit_roundoff(self) -> float:
        """The largest relative error of one rounding to nearest, u = 2**-p."""
        return float(2.0**-self.significand_bits)

    @cached_property
    def largest(self) -> Any:
        """The largest finite number, a scalar of the format."""
        return self.dtype.type(self._finfo.max)

    @cached_property
    def smallest_normal(self) -> Any:
        """The smallest positive normal number, a scalar of the format."""
        return self.dtype.type(self._finfo.smallest_normal)

    @cached_property
    def smallest_subnormal(self) -> Any:
        """The smallest positive number, a scalar of the format."""
        return self.dtype.type(self._finfo.smallest_subnormal)

    @cached_property
    def has_infinity(self) -> bool:
        """Whether overflow gives infinity; float8_e4m3fn has none, and gives NaN."""
        return bool(np.isinf(self.round(np.inf)))

    @cached_property
    def overflow_threshold(self) -> Any:
        """The largest x of the format for which exp(x), rounded to nearest, is finite.

        exp(x) overflows from the largest number plus half a unit in its last place on
        (IEEE 754-2019, section 4.3.1), so x must lie below the logarithm of that sum.
        """
        largest = _fraction(self.largest)
        below = _fraction(np.nextafter(self.largest, self.dtype.type(0)))
        return self._round_down(_log(largest + (largest - below) / 2))

    @cached_property
    def underflow_threshold(self) -> Any:
        """The smallest x of the format for which exp(x), rounded to nearest, is positive.

        exp(x) rounds to zero at half the smallest subnormal number and below.
        """
        return -self._round_down(_log(2 / _fraction(self.smallest_subnormal)))

    @cached_property
    def subnormal_threshold(self) -> float:
        """The real x below which exp(x) leaves the normal range and loses digits."""
        return float(_log(_fraction(self.smallest_normal)))

    def round(self, x: npt.ArrayLike) -> Array:
        """Round real numbers to the format, to nearest with ties to even; the shape stays.

        Too large numbers become infinite, or NaN if the format has no infinity. ml_dtypes converts
        through float32, and NumPy longdouble to float16 through float64, which would round twice.
        If the first rounding is to odd, only the second one counts (Boldo & Melquiond 2008,
        doi 10.1109/TC.2007.70819, theorem 1: float32 has two bits more than any of these).
        """
        x = np.asarray(x)
        is_twice = self.extra is not None or (self.name == "float16" and x.dtype == np.longdouble)
        with np.errstate(all="ignore"):
            if is_twice and x.dtype.itemsize > 2 and x.dtype != np.float32:
                x = _float32_rounded_to_odd(x)
            return x.astype(self.dtype)

    def _round_down(self, bound: Decimal) -> Any:
        candidate = self.round(np.longdouble(str(bound)))[()]
        if _fraction(candidate) > _fraction(bound):
            candidate = np.nextafter(candidate, -self.largest)
        return candidate


def _float32_rounded_to_odd(x: Array) -> Array:
    """Truncate to float32, and set the last bit if that was inexact."""
    x = x.astype(np.longdouble) if x.dtype.kind in "iu" else x
    nearest = np.atleast_1d(x.astype(np.float32))
    too_large = np.abs(nearest) > np.abs(x)
    truncated = np.where(too_large, np.nextafter(nearest, np.float32(0)), nearest)
    inexact = (truncated != x) & np.isfinite(x)
    odd = truncated.view(np.uint32) | inexact.astype(np.uint32)
    rounded: Array = odd.view(np.float32).reshape(x.shape)
    return rounded


def check_arithmetic() -> None:
    """Raise an error unless this thread rounds to nearest, with subnormal numbers.

    Other libraries may change that: with fesetround, or because they are built with -ffast-math.
    """
    one, ulp, tiny = np.array([1.0, -1.0]), 2.0**-52, np.array([2.0**-1022, 2.0**-1074])
    rounds = ((one + one * (0.75 * ulp)) - one == one * ulp) & (one + one * (0.25 * ulp) == one)
    # Multiply by 2**1000: where subnormal numbers count as 0, they also compare equal to 0.
    keeps = (tiny * [0.5, 1.0]) * 2.0**1000 == [2.0**-23, 2.0**-74]
    if not (rounds.all() and keeps.all()):
        raise FloatingPointError(
            "this thread does not round to nearest with subnormal numbers, so results could be "
            "wrong: another library has switched that (fesetround, or a build with -ffast-math); "
            "switch it back, or compute in a new process without that library"
        )


def ratio(value: Any) -> tuple[int, int]:
    """Return a scalar of any format, or a Decimal, as a ratio of integers, exactly."""
    # ml_dtypes' scalars have no as_integer_ratio, but float64 holds them exactly.
    number = value if hasattr(value, "as_integer_ratio") else float(value)
    numerator, denominator = number.as_integer_ratio()
    return int(numerator), int(denominator)


def _fraction(value: Any) -> Fraction:
    from fractions import Fraction  # on use: it brings decimal

    return Fraction(*ratio(value))


def context(
    digits: int, rounding: str = "ROUND_HALF_EVEN", traps: tuple[type[DecimalException], ...] = ()
) -> Context:
    """Return a new context of `decimal` with the full range of exponents.

    It sets every field: others would come from ``decimal.DefaultContext``, which a program may
    change. It may also change its thread's context, which ``localcontext()`` would copy.
    """
    from decimal import MAX_EMAX, MIN_EMIN, Context  # on use: it is slow to import

    return Context(digits, rounding, MIN_EMIN, MAX_EMAX, 1, 0, [], list(traps))


def _log(value: Fraction) -> Decimal:
    """Return the logarithm to 60 digits.

    The widest significand, binary128's, has 34; and the logarithm of a rational other than 1 is
    never a number of a format (Lindemann-Weierstrass), so 60 digits tell them apart.
    """
    from decimal import Decimal

    precise = context(60)
    return precise.ln(precise.divide(Decimal(value.numerator), Decimal(value.denominator)))


#: Every format, from the narrowest to the widest; tables, choices and tests iterate this.
FORMATS: dict[str, Format] = {
    format_.name: format_
    for format_ in (
        Format("float8_e4m3fn", extra="ml"),
        Format("float8_e5m2", extra="ml"),
        Format("float16"),
        Format("bfloat16", extra="ml"),
        Format("float32"),
        Format("float64"),
        Format("longdouble"),
    )
}


#: Other names of the formats.
ALIASES = {
    "fp16": "float16",
    "half": "float16",
    "bf16": "bfloat16",
    "fp32": "float32",
    "single": "float32",
    "fp64": "float64",
    "double": "float64",
}


def find_format(name: str) -> Format:
    """Return the format of a name or alias such as ``"fp16"``, or raise an error."""
    name = ALIASES.get(name, name)
    if name not in FORMATS:
        raise UnknownFormatError(f"unknown format {name!r}: choose from {', '.join(FORMATS)}")
    format_ = FORMATS[name]
    _ = format_.dtype  # raises here, and only here, if the extra is missing
    return format_


def installed_formats() -> list[Format]:
    """Return the formats that are available here, from narrow to wide."""
    return [f for f in FORMATS.values() if f.extra is None or find_spec("ml_dtypes")]


def format_of(dtype: npt.DTypeLike) -> Format | None:
    """Return the format whose numbers a dtype holds; ``None`` for other dtypes."""
    dtype = np.dtype(dtype)
    # NumPy names longdouble by its size (float128, float96), the table by its C type.
    name = "longdouble" if dtype == np.longdouble and dtype != np.float64 else dtype.name
    return FORMATS.get(name)


def nearest(value: Fraction, format_: Format) -> Any:
    """Round a rational number to a scalar of the format, to nearest with ties to even.

    A value that is too large becomes infinite, or NaN in formats without infinity.
    """
    if format_.name == "float64":
        try:
            # Python rounds to nearest; adding 0 turns -0 into 0.
            return np.float64(value.numerator / value.denominator + 0.0)
        except OverflowError:
            return np.float64(np.inf if value > 0 else -np.inf)
    if not value:
        return format_.dtype.type(0)
    above, below = abs(value.numerator), value.denominator
    exponent = above.bit_length() - below.bit_length()
    if above << max(-exponent, 0) < below << max(exponent, 0):
        exponent -= 1
    # Now 2**exponent <= abs(value) < 2**(exponent + 1): the unit in the last place of the result is
    smallest, largest = _ends(format_)
    power = max(exponent - format_.significand_bits + 1, smallest)
    below <<= max(power, 0)
    multiple, rest = divmod(above << max(-power, 0), below)
    multiple += 2 * rest > below or (2 * rest == below and multiple % 2)
    signed = multiple if value > 0 else -multiple
    if power > 0 and multiple << power > largest:
        return format_.round(np.inf if value > 0 else -np.inf)[()]
    if format_.significand_bits > FORMATS["float64"].significand_bits:
        return np.ldexp(np.longdouble(signed), power)
    return format_.dtype.type(ldexp(signed, power))


@cache
def _ends(format_: Format) -> tuple[int, int]:
    """Return the exponent of the smallest number, and the largest number, an integer."""
    return 1 - ratio(format_.smallest_subnormal)[1].bit_length(), ratio(format_.largest)[0]


def ordinals(x: Array, format_: Format) -> Array:
    """Return the ordinals of finite numbers, from zero upward, so that neighbours differ by 1.

    0 and -0 have the ordinal 0, and the smallest subnormal number has 1. The result has the dtype
    int64, or object (Python's integers) for a longdouble of more than 64 bits.
    """
    size = format_.dtype.itemsize
    if size <= 8:
        return _mirrored(x.view(f"i{size}").astype(np.int64), size)
    p, least = format_.significand_bits, int(np.frexp(format_.smallest_normal)[1])

    def ordinal(value: Any) -> int:
        steps = max(int(np.frexp(value)[1]) - least, 0) if value else 0
        return int(np.ldexp(value, p - steps - least)) + int(np.sign(value)) * (steps << p - 1)

    counted: Array = np.frompyfunc(ordinal, 1, 1)(x)
    return counted


def numbers_at(ordinal: Array, format_: Format) -> Array:
    """Return the numbers of the format with these ordinals: the inverse of `ordinals`."""
    size = format_.dtype.itemsize
    if size <= 8:
        return _mirrored(ordinal, size).astype(f"i{size}").view(format_.dtype)
    p, least = format_.significand_bits, int(np.frexp(format_.smallest_normal)[1])

    def number(value: int) -> Any:
        steps = max((abs(value) >> p - 1) - 1, 0)
        magnitude = np.longdouble(abs(value) - (steps << p - 1))
        return np.ldexp(np.copysign(magnitude, value), steps + least - p)

    found: Array = np.frompyfunc(number, 1, 1)(ordinal).astype(format_.dtype)
    return found


def _mirrored(code: Array, size: int) -> Array:
    """Turn sign-and-magnitude codes into integers in the order of the numbers, or back."""
    return np.where(code < 0, (-1 << 8 * size - 1) - code, code)
