"""The correctly rounded answers, by ball arithmetic, fast enough for millions of them.

A ball of python-flint holds all numbers within a radius that was rounded up at every step, so
the true value is in it. If both ends of a ball round to the same number of the format, that
number is the answer; otherwise the precision is doubled. There are no special cases: if a result
is a number of the format or half-way between two (a single term, equal entries), every step
before it is exact, and the ball has the radius 0.

Only the parameters of the formats come from the package.
"""

from collections.abc import Callable
from copy import copy
from functools import cached_property
from math import inf, ldexp

import numpy as np
from flint import arb, ctx

from stablelse.numerics.formats import Array, Format

#: The first precision; it doubles from there.
BITS = 128

#: The last precision for gradients.
MOST_BITS = 1024

#: Enough bits for exact sums of weights: longdouble's exponents and significand.
EXACTLY = 33_000

#: Returns a ball for each of the given indices, at the precision of the context.
Evaluation = Callable[[list[int]], list[arb]]


class Vector:
    """A vector x, finite or -inf, with the weights b of its entries, all 1 if left out.

    With a the x of a largest term, everything is computed from the d_i = x_i - a, and from the
    rest: the sum of b_i exp(d_i) without the term of a itself (whose d is 0).
    """

    def __init__(self, x: Array, b: Array | None = None) -> None:
        self._finite = np.isfinite(x)
        self._x = balls(x[self._finite])
        self._b = [arb(1)] * len(self._x)
        self._is_weighted = b is not None
        self._pivot = int(np.argmax(x[self._finite])) if self._x else 0
        if b is not None:
            self._x, self._b = _grouped(self._x, balls(b[self._finite]))
            self._pivot = _largest(self._x, self._b)
        self._sums: dict[int, tuple[list[arb], list[arb], arb]] = {}

    def logsumexp(self, format_: Format) -> tuple[object, int]:
        """Return log abs(sum b exp(x)) in the format, and the sign of the sum."""
        if not self._x:
            return _cast(np.array(-inf), format_)[()], 0

        def evaluate(_: list[int]) -> list[arb]:
            b = self._b[self._pivot]
            if ctx.prec > BITS and abs(b) == 1:
                return [_beside(self._x[self._pivot], self._log(), sign(b) * self._sign_of_rest)]
            return [self.log_sum()]

        return _settled(1, evaluate, format_)[0], self._sign()

    def log_sum(self) -> arb:
        """Return log abs(sum b exp(x)) at the precision of the context."""
        return self._x[self._pivot] + self._log()

    def _log(self) -> arb:
        """Return the logarithm of the sum of b exp(d), with all digits of a small rest."""
        rest, b = self._sum()[2], self._b[self._pivot]
        if abs(b) == 1 and abs(rest) < 0.5:
            return (rest * b).log1p()
        return abs(b + rest).log() if sign(b + rest) else arb(0, inf)

    def softmax(self, format_: Format) -> Array:
        """Return exp(x) / sum(exp(x)) in the format."""

        def evaluate(indices: list[int]) -> list[arb]:
            _, terms, rest = self._sum()
            total = 1 + rest
            return [terms[i] / total for i in indices]

        return self._spread(evaluate, 0.0, format_)

    def log_softmax(self, format_: Format) -> Array:
        """Return x - log(sum(exp(x))) in the format."""

        def evaluate(indices: list[int]) -> list[arb]:
            differences, _, rest = self._sum()
            log = -rest.log1p()
            if ctx.prec == BITS:
                return [differences[i] + log for i in indices]
            with ctx.workprec(EXACTLY):
                heads = [self._x[i] - self._x[self._pivot] for i in indices]
            return [_beside(head, log, -self._sign_of_rest) for head in heads]

        return self._spread(evaluate, -inf, format_)

    def gradient(
        self, label: int, s: float, o: float, t: Array, format_: Format, t_low: Array | None = None
    ) -> Array:
        """Return s softmax(x) - t - t_low in the format, and o - s (1 - softmax(x)) for the label.

        Results too close to a tie are NaN: terms far below would decide.
        """
        (places,) = np.nonzero(self._finite)

        def evaluate(indices: list[int]) -> list[arb]:
            _, terms, rest = self._sum()
            found = []
            for i in indices:
                if places[i] == label:
                    others = rest if i == self._pivot else 1 + rest - terms[i]
                    found.append(o - s * others / (1 + rest))
                else:
                    low = 0.0 if t_low is None else t_low[places[i]]
                    found.append(s * terms[i] / (1 + rest) - (arb(t[places[i]]) + arb(low)))
            return found

        result = _cast(0 - np.where(np.arange(len(t)) == label, float(s - o), t), format_)
        result[self._finite] = _settled(len(self._x), evaluate, format_, MOST_BITS)
        return result

    def _sum(self) -> tuple[list[arb], list[arb], arb]:
        """Return the d, the b exp(d), and the rest, at the precision of the context."""
        if ctx.prec not in self._sums:
            a = self._x[self._pivot]
            differences = [v - a for v in self._x]
            terms = [d.exp() for d in differences]
            if self._is_weighted:
                terms = [b * term for b, term in zip(self._b, terms, strict=True)]
            rest = sum(terms[: self._pivot], arb(0))
            rest = sum(terms[self._pivot + 1 :], rest)
            self._sums[ctx.prec] = differences, terms, rest
        return self._sums[ctx.prec]

    @cached_property
    def _sign_of_rest(self) -> int:
        """The sign of the rest, even if it is far below the term of a."""
        rest = copy(self)
        rest._x, rest._b = (p[: self._pivot] + p[self._pivot + 1 :] for p in (self._x, self._b))
        rest._sums = {}
        rest._pivot = _largest(rest._x, rest._b)
        return rest._sign()

    def _sign(self) -> int:
        bits = BITS
        while self._x:
            with ctx.workprec(bits):
                if found := sign(self._b[self._pivot] + self._sum()[2]):
                    return found
            bits *= 2
        return 0

    def _spread(self, evaluate: Evaluation, nothing: float, format_: Format) -> Array:
        """Evaluate the finite entries; an entry of -inf gives `nothing`."""
        result = _cast(np.full(len(self._finite), nothing), format_)
        result[self._finite] = _settled(len(self._x), evaluate, format_)
        return result


def balls(x: Array) -> list[arb]:
    """Return finite numbers of any format as balls of radius 0."""
    if x.dtype != np.longdouble:
        return [arb(v) for v in x.astype(np.float64).tolist()]
    ratios = (v.as_integer_ratio() for v in x)
    return [arb((numerator, 1 - denominator.bit_length())) for numerator, denominator in ratios]


def sign(value: arb) -> int:
    """Return the sign of all of a ball; 0 if signs differ."""
    return 1 if value > 0 else -1 if value < 0 else 0


def nearest(value: arb, format_: Format) -> object:
    """Round a ball of radius 0 to the format, to nearest with ties to even, in integers.

    The result is a float or a longdouble; too large a value gives infinity.
    """
    if not value.is_finite() or value == 0:
        return float(value)
    significand, exponent = (int(part) for part in value.man_exp())
    size = abs(significand)
    bits = size.bit_length()
    _, smallest = _dyadic(format_.smallest_subnormal)
    power = max(exponent + bits - format_.significand_bits, smallest)
    if exponent + bits < power:  # less than half of the smallest number
        return 0.0
    if power > exponent:
        quotient, below = divmod(size, 1 << power - exponent)
        half = 1 << power - exponent - 1
        size = quotient + (below > half or (below == half and quotient % 2 == 1))
    else:
        size <<= exponent - power
    largest, largest_power = _dyadic(format_.largest)
    if power > largest_power or size > largest << largest_power - power:
        return sign(value) * inf
    if format_.name != "longdouble":
        return sign(value) * ldexp(size, power)
    high, low = divmod(size, 1 << 32)
    wide = np.ldexp(np.longdouble(high), power + 32) + np.ldexp(np.longdouble(low), power)
    return sign(value) * wide


def _grouped(x: list[arb], b: list[arb]) -> tuple[list[arb], list[arb]]:
    """Add the weights of equal entries, exactly, and leave out those that are 0."""
    weights: dict[object, arb] = {}
    with ctx.workprec(EXACTLY):
        for v, weight in zip(x, b, strict=True):
            key = v.man_exp()
            weights[key] = weights[key] + weight if key in weights else weight
        terms = [(arb(key), weight) for key, weight in weights.items() if weight != 0]
    return [v for v, _ in terms], [weight for _, weight in terms]


def _largest(x: list[arb], b: list[arb]) -> int:
    """Return where x + log abs(b) is largest, or almost."""
    sizes = [(v + abs(weight).log()).mid() for v, weight in zip(x, b, strict=True)]
    return max(range(len(sizes)), key=sizes.__getitem__, default=0)


def _beside(head: arb, tail: arb, sign_of_tail: int) -> arb:
    """Return head + tail, or a ball that rounds the same if the tail is too small to add.

    head has the radius 0. Up to the next multiple of its last bit, or of its 100th, there is no
    number of a format and no middle of two, so all tails of one sign round the same.
    """
    significand, exponent = (int(part) for part in head.man_exp())
    if significand:
        last = min(exponent, exponent + significand.bit_length() - 100)
        half = arb((1, last - 1))
        if abs(tail) < half:
            with ctx.workprec(EXACTLY):
                return head + sign_of_tail * half
    return head + tail


def _settled(count: int, evaluate: Evaluation, format_: Format, most: float = inf) -> Array:
    """Round results to the format, doubling the precision for those still open.

    Results that need more than `most` bits are NaN.
    """
    result = np.full(count, np.nan, np.longdouble if format_.name == "longdouble" else np.float64)
    indices = np.arange(count)
    bits = BITS
    while indices.size and bits <= most:
        with ctx.workprec(bits):
            low, high = _rounded_ends(evaluate(indices.tolist()), format_)
        result[indices] = low
        indices = indices[low != high]
        result[indices] = np.nan
        bits *= 2
    return _cast(result, format_)


def _rounded_ends(balls: list[arb], format_: Format) -> tuple[Array, Array]:
    """Round both ends of every ball to numbers of the format, held in a wider one."""

    def rounded(end: arb) -> object:
        # float() rounds the middle of a ball, correctly, and an end is nothing but its middle.
        return float(end) if format_.name == "float64" else nearest(end, format_)

    return tuple(
        np.array([rounded(end) for end in ends])
        for ends in ([ball.lower() for ball in balls], [ball.upper() for ball in balls])
    )


def _cast(values: Array, format_: Format) -> Array:
    """Return numbers of the format as such; infinity is NaN where there is none."""
    return values.astype(format_.dtype)


def _dyadic(value: object) -> tuple[int, int]:
    """Return a positive scalar of any format as (m, e), m 2**e, m odd."""
    number = value if isinstance(value, np.longdouble) else float(value)
    numerator, denominator = number.as_integer_ratio()
    zeros = (numerator & -numerator).bit_length() - 1
    return numerator >> zeros, zeros + 1 - denominator.bit_length()
