"""Correctly rounded results for many millions of results, nearly all of which are right.

enclosure.c encloses the results of rows in 128-bit integers, in about 50 ns per element, and marks
those that it cannot confirm. Ball arithmetic computes the right ones for these.
"""

import ctypes
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from balls import Vector, sign
from flint import arb, ctx
from native import FUNCTIONS, STRICT, compiled

from stablelse.numerics.formats import FORMATS, Array, Format

SOURCE = Path(__file__).with_suffix(".c")
INTEGER = np.dtype([("low", np.uint64), ("high", np.int64)])  # of 128 bits
LOGARITHM = np.dtype([("low", INTEGER), ("high", INTEGER), ("exponent", np.int64), ("_", "V8")])
TERM = np.dtype([("m", INTEGER), ("exponent", np.int64), ("_", "V8")])
FLOAT64 = FORMATS["float64"]
PRECISION = 200
BITS = 120  # of a logarithm


class Limits(ctypes.Structure):
    """enclosure.c: format."""

    _fields_ = [("bits", ctypes.c_int64), ("least", ctypes.c_int64), ("largest", ctypes.c_double)]


@cache
def _library() -> ctypes.CDLL:
    with TemporaryDirectory() as folder:
        target = Path(folder) / "enclosure.so"
        return compiled(SOURCE, target, "-std=gnu11", "-O2", *STRICT, "-shared", "-fPIC")


@cache
def _tables() -> Array:
    """Return exp(j / 2^8), exp(j / 2^16), exp(j / 2^24) and ln 2, rounded down."""
    with ctx.workprec(PRECISION):
        powers = [(arb(j) / 2**bits).exp() for bits in (8, 16, 24) for j in range(256)]
        values = [v * arb(2) ** 127 for v in powers] + [arb(2).log() * arb(2) ** 126]
        return _integers([int(v.floor().unique_fmpz()) % 2**128 for v in values])


def _integers(values: list[int]) -> Array:
    return np.frombuffer(b"".join((v % 2**128).to_bytes(16, "little") for v in values), INTEGER)


class Rows:
    """Rows of finite numbers or -inf, with or without weights, and facts about their sums."""

    def __init__(self, x: Array, b: Array | None = None) -> None:
        self.x, self.b = x, b
        self._is_open = x.dtype == np.longdouble
        if self._is_open:
            return
        self._wide = [None if part is None else part.astype(np.float64) for part in (x, b)]
        self._terms = np.empty(x.shape, TERM)
        self._rests = np.empty(len(x), INTEGER)
        self._pivots, self._units = np.empty((2, len(x)), np.int64)
        sums = self._terms, self._pivots, self._rests, self._units
        _call("sum_rows", *self._wide, *map(ctypes.c_int64, x.shape), _tables(), *sums)
        self._logarithms, self._signs = self._log()

    def truth(self, function: str, y: Array, format_: Format) -> Array:
        """Return the correctly rounded results of a function, from y where it is confirmed."""
        right = y.copy()
        for i, columns in self._open(function, y, format_):
            vector = self._vector(i)
            if function == "logsumexp":
                right[i] = vector.logsumexp(format_)[0]
            else:
                right[i, columns] = getattr(vector, function)(format_)[columns]
        return right

    def signs(self) -> Array:
        """Return the signs of the sums."""
        signs = np.zeros(len(self.x), int) if self._is_open else self._signs.copy()
        unknown = np.flatnonzero(signs == 0)
        signs[unknown] = [self._vector(i).logsumexp(FLOAT64)[1] for i in unknown]
        return signs

    def _vector(self, i: int) -> Vector:
        return Vector(self.x[i], None if self.b is None else self.b[i])

    def _open(self, function: str, y: Array, format_: Format) -> Iterator[tuple[int, Array]]:
        """Yield the rows and columns of results that are not confirmed."""
        if self._is_open or format_.name == "longdouble":
            yield from ((i, np.arange(self.x.shape[1])) for i in range(len(y)))
            return
        wide = y.astype(np.float64)
        if not format_.has_infinity:  # overflow gives NaN
            wide[np.isnan(wide)] = np.inf if function == "logsumexp" else -np.inf
        least = int(np.log2(float(format_.smallest_subnormal)))
        limits = Limits(format_.significand_bits, least, float(format_.largest))
        open_ = np.empty(y.shape, bool)
        sums = self._terms, self._pivots, self._rests, self._units, self._logarithms
        sizes = map(ctypes.c_int64, self.x.shape)
        kind = ctypes.c_int(FUNCTIONS.index(function))
        _call("judge_rows", kind, self._wide[0], wide, *sizes, *sums, ctypes.byref(limits), open_)
        open_ |= np.isnan(wide) | ((wide == 0) & np.signbit(wide))
        if self.b is not None:
            open_ |= self._signs == 0
        for i in np.flatnonzero(open_.reshape(len(y), -1).any(axis=1)):
            yield i, np.flatnonzero(open_[i])

    def _log(self) -> tuple[Array, Array]:
        """Return the ends of log(1 + rest), or of log abs(rest), and the signs of the sums."""
        error, ends, signs = 3 * self.x.shape[1], [], []
        rests = self._rests["high"].astype(object) * 2**64 + self._rests["low"]
        with ctx.workprec(PRECISION):
            for rest, unit in zip(rests, self._units.tolist(), strict=True):
                total = arb(rest, error) * arb((1, unit))
                signs.append(1 if self.b is None else sign(total))
                log = abs(total).log() if self.b is not None else total.log1p()
                ends.append(_ends(log) if log.is_finite() else (0, 0, 0))
        low, high, exponents = zip(*ends, strict=True)
        logarithms = np.zeros(len(ends), LOGARITHM)
        logarithms["low"], logarithms["high"] = _integers(low), _integers(high)
        logarithms["exponent"] = exponents
        return logarithms, np.array(signs)


def _ends(log: arb) -> tuple[int, int, int]:
    """Return (low, high, e): low 2^e and high 2^e hold a ball, and have BITS bits."""
    ends = [tuple(map(int, end.man_exp())) for end in (log.lower(), log.upper())]
    exponent = max((m.bit_length() + e for m, e in ends if m), default=0) - BITS
    (low, i), (high, j) = ends
    return _times_power(low, i - exponent), -_times_power(-high, j - exponent), exponent


def _times_power(m: int, exponent: int) -> int:
    """Return m 2^exponent, rounded down."""
    return m << exponent if exponent >= 0 else m >> -exponent


def _call(name: str, *arguments: object) -> None:
    getattr(_library(), name)(*(_pointer(a) if isinstance(a, np.ndarray) else a for a in arguments))


def _pointer(a: Array) -> ctypes.c_void_p:
    assert a.flags.c_contiguous
    return a.ctypes.data_as(ctypes.c_void_p)
