"""A table of families of vectors on which a logarithm of a sum of exponentials can go wrong.

Every family makes m vectors of n entries in a given format from a random generator: the same seed
gives the same vectors. The last ones of the table are hard by design: a result is near zero, or as
close to the middle of two numbers of the format as floats come.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from stablelse.numerics.formats import FORMATS, Array, Format

#: The longest vector; and the longest of families whose elements all need the last rung.
LONGEST, SHORTER = 100_000, 300

#: Lengths are drawn evenly on a logarithmic scale, one from each of this many parts, with
#: m ~ n**-0.6 vectors of each length: so 20,000 vectors have 3 million entries.
PARTS, DECAY = 48, 0.6

#: Half of the lengths are next to a power of two or, since blocks have 255 vectors, 255 times one.
BLOCKS = (1, 255)


class Stack(NamedTuple):
    """Vectors of the same length, shape (m, n), and their weights, if any."""

    x: Array
    b: Array | None = None


class Family(NamedTuple):
    """A way to make stacks, from (rng, m, n, format of the results)."""

    make: Callable[[Generator, int, int, Format], Stack]
    least: int = 1  # the smallest n, and the largest
    longest: int = LONGEST
    suits: Callable[[Format], bool] = lambda _: True

    def stacks(
        self,
        format_: Format,
        count: int,
        rng: Generator,
        longest: int = LONGEST,
        parts: int = PARTS,
    ) -> Iterator[Stack]:
        """Make at least `count` vectors, in a stack for each of several lengths."""
        longest = min(longest, self.longest)
        edges = np.linspace(np.log(self.least), np.log(longest), parts + 1)
        lengths = np.exp(rng.uniform(edges[:-1], edges[1:])).round().astype(int)
        unit = rng.choice(BLOCKS, parts)
        next_to = unit * 2 ** np.rint(np.log2(lengths / unit)) + rng.integers(-1, 2, parts)
        is_next = (rng.random(parts) < 0.5) & (next_to >= self.least) & (next_to <= longest)
        lengths = np.sort(np.where(is_next, next_to, lengths).astype(int))
        shares = lengths**-DECAY
        for n, m in zip(lengths.tolist(), np.ceil(count * shares / shares.sum()), strict=True):
            yield self.make(rng, int(m), n, format_)


#: The families by name.
FAMILIES: dict[str, Family] = {}


def _family(name: str, **limits):
    def enter(make):
        FAMILIES[name] = Family(make, **limits)
        return make

    return enter


def all_pairs(format_: Format) -> Stack:
    """Return every pair of finite numbers, or -inf, of a format of 8 bits."""
    x = np.arange(2**8, dtype=np.uint8).view(format_.dtype)
    x = x[np.isfinite(x.astype(float)) | (x == -np.inf)]
    pairs = np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2)
    return Stack(pairs[np.isfinite(pairs.astype(float)).any(axis=1)])


#: Numbers to try with every finite float16.
PARTNERS = (-np.inf, 0.0, -0.5, 3.25, -9.7, 11.09, 65504.0, -65504.0, 6e-8)


def with_partners() -> Iterator[Stack]:
    """Make stacks of every finite float16 with each of these partners."""
    x = np.arange(2**16, dtype=np.uint16).view(np.float16)
    x = x[np.isfinite(x)]
    for partner in np.array(PARTNERS, np.float16):
        yield Stack(np.stack([x, np.full_like(x, partner)], axis=1))


def rng_of(seed: int, *names: str) -> Generator:
    """Return a generator for a seed and some names."""
    return np.random.default_rng([seed, *" ".join(names).encode()])


def rounded(x: Array, format_: Format, rng: Generator) -> Array:
    """Round float64s to finite numbers of the format; a wider one gets a full significand."""
    if format_.name == "longdouble":
        return x + x * rng.uniform(-0.5, 0.5, x.shape).astype(np.longdouble) * 2.0**-52
    return format_.round(np.clip(x, -float(format_.largest), float(format_.largest)))


def _bounded(format_: Format) -> float:
    """Return the largest number of a format, or of float64."""
    return float(min(format_.largest, FORMATS["float64"].largest))


def _row(rng: Generator, m: int, low: float, high: float) -> Array:
    """Return one number for each row."""
    return rng.uniform(low, high, (m, 1))


def _sign(rng: Generator, *shape: int) -> Array:
    return rng.choice([-1.0, 1.0], shape)


# Plain ones.


@_family("normal")
def _normal(rng, m, n, format_):
    return Stack(rounded(rng.normal(size=(m, n)), format_, rng))


@_family("uniform")
def _uniform(rng, m, n, format_):
    """U(-700, 700) in float64: as far as exp goes."""
    far = 0.9862 * float(format_.overflow_threshold)
    return Stack(rounded(rng.uniform(-far, far, (m, n)), format_, rng))


@_family("beyond exp's range")
def _beyond(rng, m, n, format_):
    far = 3 * float(format_.overflow_threshold)
    return Stack(rounded(rng.uniform(-far, far, (m, n)) + _row(rng, m, -far, far), format_, rng))


@_family("one dominates", least=2)
def _dominated(rng, m, n, format_):
    x = rng.normal(size=(m, n))
    x[:, 1:] -= _row(rng, m, 3, -float(format_.underflow_threshold))
    x += rng.choice([0.0, 1.0, 30.0], (m, 1)) * rng.normal(size=(m, 1))
    return Stack(rounded(rng.permuted(x, axis=1), format_, rng))


@_family("all equal")
def _equal(rng, m, n, format_):
    value = rounded(rng.normal(size=(m, 1)) * 10.0 ** _row(rng, m, -3, 3), format_, rng)
    return Stack(np.repeat(value, n, axis=1))


@_family("masked", suits=lambda format_: format_.has_infinity)
def _masked(rng, m, n, format_):
    x = rounded(rng.normal(size=(m, n)) * rng.choice([1, 30], (m, 1)), format_, rng)
    masked = rng.random((m, n)) < _row(rng, m, 0, 1)
    masked[:, -1] = False
    x[masked] = -np.inf
    return Stack(x)


@_family("huge", longest=SHORTER)
def _huge(rng, m, n, format_):
    """All over the range, with the largest numbers and their neighbours among them."""
    largest = _bounded(format_)
    x = rounded(rng.uniform(-1, 1, (m, n)) * largest, format_, rng)
    ends = rounded(_sign(rng, m, n) * largest, format_, rng)
    ends = np.where(rng.random((m, n)) < 0.5, ends, np.nextafter(ends, format_.dtype.type(0)))
    return Stack(np.where(rng.random((m, n)) < _row(rng, m, 0, 0.5), ends, x))


@_family("tiny")
def _tiny(rng, m, n, format_):
    """Small multiples of the smallest number, and some around the smallest normal one."""
    unit = np.where(rng.random((m, 1)) < 0.5, format_.smallest_subnormal, format_.smallest_normal)
    multiple = _sign(rng, m, n) * np.rint(2.0 ** rng.uniform(-1, 4, (m, n)))
    return Stack(unit * multiple.astype(format_.dtype))


@_family("subnormal results", least=2)
def _subnormal(rng, m, n, format_):
    """A largest entry, often 0, and entries whose exponentials are subnormal or vanish."""
    low, high = float(format_.underflow_threshold) - 1, format_.subnormal_threshold + 1
    x = rng.uniform(low, high, (m, n))
    x[:, 0] = 0
    x += np.where(rng.random((m, 1)) < 0.3, rng.normal(size=(m, 1)), 0)
    return Stack(rounded(rng.permuted(x, axis=1), format_, rng))


@_family("equal residuals")
def _equal_residuals(rng, m, n, format_):
    """Close to multiples of a part of ln 2, on one side: tables of powers leave the same rest."""
    step = np.log(2) / 2 ** rng.choice([0, 4, 5, 10, 11], (m, 1))
    multiple = rng.integers(-40, 41, (m, n)) + rng.choice([0, 0.5], (m, 1))
    beside = step * _sign(rng, m, 1) * 2.0 ** _row(rng, m, -45, -1)
    return Stack(rounded(step * multiple + beside, format_, rng))


@_family("one row is different", least=2)
def _one_row(rng, m, n, format_):
    """In a stack of plain rows, one that needs care: beside others in lanes, or in their place."""
    x = rng.normal(size=(m, n))
    kind = rng.integers(4)
    row = x[rng.integers(m)]
    row *= (1, 1e3, 1e-9, float(format_.overflow_threshold))[kind]
    row += (float(format_.overflow_threshold), 0, 0, 0)[kind]
    if kind == 3:
        row[rng.integers(n)] -= 3 * float(format_.overflow_threshold)
    return Stack(rounded(x, format_, rng))


# Weights.


@_family("signed weights")
def _weighted(rng, m, n, format_):
    scale = rng.choice([1, 100], (m, 1))
    b = rng.normal(size=(m, n)) * np.exp(scale * rng.normal(size=(m, n)) / 30)
    x = rounded(scale * rng.normal(size=(m, n)), format_, rng)
    return Stack(x, rounded(b, format_, rng))


@_family("weights of any size")
def _any_weights(rng, m, n, format_):
    """Subnormal to huge, often so that all terms have about the same size."""
    ends = np.log2([max(float(format_.smallest_subnormal), 5e-324), _bounded(format_)])
    exponent = rng.uniform(*ends, (m, n))
    b = rounded(_sign(rng, m, n) * 2.0**exponent, format_, rng)
    balanced = -exponent * np.log(2) + rng.normal(size=(m, n))
    x = np.where(rng.random((m, 1)) < 0.5, balanced, rng.normal(0, 100, (m, n)))
    return Stack(rounded(x, format_, rng), b)


@_family("cancelling weights", least=2)
def _cancelling(rng, m, n, format_):
    """Pairs of terms that cancel completely or almost, and something far below them."""
    half = n // 2
    x, b = rounded(3 * rng.normal(size=(2, m, n)), format_, rng)
    x[:, half : 2 * half], b[:, half : 2 * half] = x[:, :half], -b[:, :half]
    for array in (x, b):
        steps = rng.random((m, n)) < 0.3
        steps[:, 2 * half :] = False
        array[steps] = np.nextafter(array[steps], format_.dtype.type(0))
    alone = rng.random((m, 1)) < 0.5
    x[:, -1:] = np.where(alone, rounded(_row(rng, m, -60, 0), format_, rng), x[:, -1:])
    return Stack(x, b)


@_family("weights of equal entries")
def _weights_of_equals(rng, m, n, format_):
    """Weights that add to exactly 1, -1, 0 or 1/2, on equal entries."""
    half = (n - 1) // 2
    b = np.zeros((m, n), format_.dtype)
    b[:, :half] = rounded(rng.normal(size=(m, half)), format_, rng)
    b[:, half : 2 * half] = -b[:, :half]
    b[:, -1:] = rng.choice([1.0, -1.0, 0.0, 0.5], (m, 1))
    return Stack(
        _equal(rng, m, n, format_).x, rng.permuted(b.astype(float), axis=1).astype(b.dtype)
    )


@_family("huge, with weights")
def _huge_with_weights(rng, m, n, format_):
    """The largest numbers, with weights as large: in narrow formats this overflows."""
    x = rounded(rng.choice([0.5, 1, 1, 1], (m, n)) * _bounded(format_), format_, rng)
    b = rng.uniform(0.5, 1, (m, n)) * _bounded(format_)
    return Stack(_sign(rng, m, 1).astype(x.dtype) * x, rounded(b, format_, rng))


# From one format to another.

_WIDER = {"float16": "float32", "bfloat16": "float32", "float32": "float64"}


@_family("narrowed", longest=SHORTER, suits=lambda format_: format_.significand_bits < 53)
def _narrowed(rng, m, n, format_):
    """In a wider format: a largest entry half-way between two numbers, or close to it."""
    source = FORMATS[_WIDER.get(format_.name, "float16")]
    x0 = 30 * rng.normal(size=(m, 1))
    x0[rng.random(m) < 0.1] = format_.largest
    x0 = rounded(x0, format_, rng)
    below = np.nextafter(x0, format_.dtype.type(0)).astype(float)
    middle = source.round(x0.astype(float) + (x0.astype(float) - below) / 2)
    step = rng.integers(-1, 2, (m, 1))
    nearby = np.nextafter(middle, np.where(step > 0, source.largest, -source.largest))
    gap = rng.uniform(0.1, 1, (m, n)) * 10.0 ** _row(rng, m, 1, 6)
    x = rounded(middle.astype(float) - gap, source, rng)
    x[:, :1] = np.where(step == 0, middle, nearby)
    return Stack(rng.permuted(x, axis=1))


@_family(
    "narrowed, with weights", longest=SHORTER, suits=lambda format_: format_.significand_bits < 53
)
def _narrowed_with_weights(rng, m, n, format_):
    x = _narrowed(rng, m, n, format_).x
    return Stack(x, _sign(rng, m, n).astype(x.dtype))


# Hard ones.


@_family("near zero")
def _near_zero(rng, m, n, format_):
    """Log-sum-exp from 1e-1 to 1e-15, as far as the format allows."""
    x = rng.normal(size=(m, n)) * rng.choice([0.1, 1, 10], (m, 1))
    distance = _sign(rng, m, 1) * 10.0 ** -_row(rng, m, 1, 15)
    x -= x.max(axis=1, keepdims=True)
    x -= np.log(np.exp(x).sum(axis=1, keepdims=True, dtype=np.longdouble)).astype(float) - distance
    return Stack(rounded(x, format_, rng))


@_family("equal, near zero")
def _equal_near_zero(rng, m, n, format_):
    """All about -log n: the sum is about 1."""
    x = np.full((m, n), rounded(np.array(-np.log(n)), format_, rng))
    steps = rng.integers(-1, 2, (m, n)) * (rng.random((m, n)) < _row(rng, m, 0, 0.5))
    nearby = np.nextafter(x, np.where(steps > 0, format_.largest, -format_.largest))
    return Stack(np.where(steps == 0, x, nearby))


@_family("zero, and far below", least=2)
def _zero_and_far_below(rng, m, n, format_):
    """A result of 0, although no term is missing."""
    x = -(10.0 ** rng.uniform(0, np.log10(_bounded(format_)), (m, n)))
    x[:, :1] = 0
    return Stack(rounded(rng.permuted(x, axis=1), format_, rng))


@_family("far below, on a tie", least=2, longest=SHORTER)
def _far_below_on_a_tie(rng, m, n, format_):
    """A largest a, and others whose unit in the last place is 2 a: x - a is a tie.

    log_softmax is that, except for terms of about exp(x - a) or less.
    """
    a = 2.0 ** rng.integers(-3, 4, (m, 1))
    x = -a * (2.0**format_.significand_bits + 2 * rng.integers(0, 4, (m, n)))
    x[:, :1] = a
    return Stack(rounded(rng.permuted(x, axis=1), format_, rng))


@_family("ties but for terms far below", least=2, longest=SHORTER)
def _ties_but_for(rng, m, n, format_):
    """A largest a, and the others half a unit in its last place from 0: a - x is a tie.

    log_softmax is that, except for terms of exp(-a), whose sign alone decides.
    """
    a = rounded(2.0 ** _row(rng, m, 1, np.log2(_bounded(format_))), format_, rng)
    half = (a - np.nextafter(a, format_.dtype.type(0))).astype(float) / 2
    x = rounded(half * rng.choice([-3, -1, 1, 3], (m, n)), format_, rng)
    x[:, :1] = a
    return Stack(rng.permuted(x, axis=1))


@_family("next to zero", least=2)
def _next_to_zero(rng, m, n, format_):
    return _completed(rng, m, n, format_, lambda x, total: total - total)


@_family("next to a tie of logsumexp", least=2)
def _next_to_a_tie(rng, m, n, format_):
    """The result is close to the middle of two numbers of the format."""
    return _completed(rng, m, n, format_, lambda x, total: _middle(rng, total.log(), format_), 30)


@_family("next to a tie of softmax", least=2)
def _next_to_a_tie_of_softmax(rng, m, n, format_):
    def goal(x, total):
        return x - _middle(rng, x.exp() / total, format_).log()

    return _completed(rng, m, n, format_, goal, 30)


@_family("next to a tie of log_softmax", least=2, longest=SHORTER)
def _next_to_a_tie_of_log_softmax(rng, m, n, format_):
    def goal(x, total):
        return x - _middle(rng, x - total.log(), format_)

    return _completed(rng, m, n, format_, goal, 30)


#: Bits of precision for completing sums: several significands, one after another.
_COMPLETING = 400


def _completed(rng, m, n, format_, goal, offset=0) -> Stack:
    """Choose the last entries one by one, to bring log-sum-exp as close to a goal as possible.

    Each is the logarithm of the missing part, rounded down, but the last one to nearest. The goal
    is a function of the first entry and of a sum that leaves room for the last ones.
    """
    from balls import balls
    from flint import arb, ctx

    x = rng.normal(size=(m, n)) * rng.choice([0.5, 3, 10], (m, 1))
    x[:, 0] += rng.choice([0, 0, 10, 30], m)
    x -= np.log(np.exp(x).sum(axis=1, keepdims=True)) + 1
    x += offset * rng.normal(size=(m, 1)) * rng.choice([0, 1], (m, 1))
    x = rounded(x, format_, rng)
    open_ = rng.integers(1, min(5, n), m)
    for row, first_open in zip(x, n - open_, strict=True):
        with ctx.workprec(_COMPLETING):
            entries = balls(row[:first_open])
            total = sum((v.exp() for v in entries), arb(0))
            missing = goal(entries[0], total * rng.uniform(1.1, 8)).exp() - total
            for i in range(first_open, n):
                row[i], term = _last_term(missing, format_, down=i < n - 1)
                missing -= term
    return Stack(rng.permuted(x, axis=1))


def _last_term(missing, format_: Format, *, down: bool):
    """Return an x and its exp, at most the missing part; if nothing is missing, a tiny one."""
    from balls import balls, nearest

    x = lowest = -format_.largest
    if missing > 0:
        x = format_.dtype.type(nearest(missing.log().mid(), format_))
    term = balls(np.array([x]))[0].exp()
    if down and not term <= missing:
        x = np.nextafter(x, lowest)
        term = balls(np.array([x]))[0].exp()
    return x, term


def _middle(rng, value, format_: Format):
    """Return the middle of the number of the format nearest to a ball and one beside it."""
    from balls import balls, nearest

    number = format_.dtype.type(nearest(value.mid(), format_))
    beside = np.nextafter(number, format_.dtype.type(rng.choice([-1.0, 1.0])) * format_.largest)
    low, high = balls(np.array([number, beside]))
    return (low + high) / 2
