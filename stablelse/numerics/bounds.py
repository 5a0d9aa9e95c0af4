"""A-priori error bounds of each formula, from the theorems of its error analysis.

The theorems are those of P. Blanchard, D. J. Higham & N. J. Higham 2021, *Accurately computing
the log-sum-exp and softmax functions*, doi 10.1093/imanum/draa038. Each bounds the relative
error (of softmax in the infinity norm) by a coefficient times the unit roundoff u, to first order
in u, if nothing overflows or underflows. Our formulas differ from theirs in four ways:

exp and log
    The theorems assume a relative error of u. NumPy's is larger; see `ElementaryErrors`. With
    errors of epsilon_e u and epsilon_l u, a 1 in their proofs becomes an epsilon here.
The order of summation
    They add one term after another, with n - 1 roundings (they count n); we add in pairs, with
    ceil(log2 n) roundings. So their n is enough, and from four numbers on it leaves room for the
    one more rounding that a harmless underflow can add (`stablelse.analysis.findings`).
log, not log1p
    Theorem 4.2 is for a + log1p(rest), ours is a + log(sum). It bounds the absolute error of the
    logarithm by the relative error of the rest, (n + x_max - x_min) u. Our relative error of the
    sum is no larger: its largest term is exactly 1, and the others have the same errors.
Any shift
    The proofs only use that x_max is a number of the format: with any a, x_max - x_min becomes
    max |x_i - a|, and y - x_max becomes |y - a|.

We count one more rounding, the last addition in a + log(sum), which adds up to u |y|. The authors
drop it before Theorem 4.2 as innocuous. Their bound for (1000, 1000) is then 0.003 u, although the
result must be rounded in every format. In the relative error of y this rounding is the leading 1.
In Theorem 4.4 exp turns u |y| into a relative error: softmax of (1000, 1001, 1002) by exp(x_j - y)
has an error of 434 u where the theorem, as printed, allows 9.

They have no theorem for log_softmax. The naive one is the logarithm of the quotient in Theorem 3.3,
so a relative error becomes an absolute one; the shifted one has x_j - a and log(sum) as in
Theorem 4.2.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, expm1, inf, log, log1p, log2
from typing import Any, NamedTuple

import numpy as np

from stablelse.numerics.formats import Array, Format, check_arithmetic
from stablelse.numerics.formulas import Formula, Method
from stablelse.numerics.functions import Function


class ElementaryErrors(NamedTuple):
    """The largest relative errors of exp and log in a format, in units of u.

    NumPy's own tests (``numpy/_core/tests/data/umath-validation-set-*.csv``) hold float32's exp
    to 3 and its log to 4 ulps of the correctly rounded result, float64's and float16's to 1;
    the C library's longdouble is as good, and ml_dtypes computes in float32 and rounds.
    t ulps from the correctly rounded result are t + 1/2 from the exact one, and an ulp is at most
    2 u: so t ulps are 2 t + 1 units of u.
    """

    exp: float
    log: float

    @classmethod
    def of(cls, format_: Format) -> ElementaryErrors:
        """Return NumPy's errors in a format."""
        exp_ulps, log_ulps = _ULPS.get(format_.name, (1, 1))
        return cls(2 * exp_ulps + 1, 2 * log_ulps + 1)


_ULPS = {"float32": (3, 4)}

#: What the theorems assume.
ASSUMED = ElementaryErrors(1, 1)


class Quantities(NamedTuple):
    """Quantities that the coefficients depend on, for m vectors of n entries, in shape (m,).

    With y the log-sum-exp: y is abs(y); x_y is max abs(x_j - y), also the norm of the log-softmax;
    x_a is max abs(x_j - a), and y_a is abs(y - a), the logarithm of the sum, both 0 for a formula
    without an a. exp and log are `ElementaryErrors`. With weights, n also counts the rounding of
    their products, and cancellation magnifies the errors of the terms.
    """

    n: int
    y: Array
    x_y: Array
    x_a: Array
    y_a: Array
    exp: float
    log: float
    cancels: Any = 1.0  # the sum of abs(b_i) exp(x_i), divided by abs(sum b_i exp(x_i))

    @property
    def log_sum(self) -> Array:
        """The absolute error of log sum exp(x_i - a): equations 4.6 and 4.8."""
        error: Array = self.cancels * (self.n - 1 + self.exp + self.x_a) + self.log * self.y_a
        return error

    @property
    def shifted_y(self) -> Array:
        """The absolute error of a + log sum exp(x_i - a), including its last rounding."""
        return self.y + self.log_sum

    @property
    def naive_y(self) -> Array:
        """The absolute error of log sum exp(x_i): equation 3.4."""
        error: Array = self.log * self.y + self.cancels * (self.n + self.exp)
        return error


class Bound(NamedTuple):
    """The coefficient of u in a bound of the relative error, and its theorem."""

    theorem: str
    coefficient: Callable[[Quantities], Array]


#: By function, method, and whether the formula is shifted.
BOUNDS: dict[tuple[Function, Method, bool], Bound] = {
    (Function.LOGSUMEXP, Method.NAIVE, False): Bound("3.2", lambda q: q.naive_y / q.y),
    (Function.SOFTMAX, Method.NAIVE, False): Bound(
        "3.3", lambda q: q.n + 1 + 2 * q.exp + np.zeros_like(q.y)
    ),
    (Function.LOG_SOFTMAX, Method.NAIVE, False): Bound(
        "after 3.3", lambda q: q.log + (q.n + 1 + 2 * q.exp) / q.x_y
    ),
    (Function.SOFTMAX, Method.DIVISION_FREE, False): Bound(
        "3.4", lambda q: q.naive_y + q.x_y + q.exp
    ),
    (Function.LOGSUMEXP, Method.SHIFTED, True): Bound("4.2", lambda q: q.shifted_y / q.y),
    (Function.SOFTMAX, Method.SHIFTED, True): Bound("4.3", lambda q: q.n + 2 * q.exp + 2 * q.x_a),
    (Function.LOG_SOFTMAX, Method.SHIFTED, True): Bound(
        "after 4.2", lambda q: 1 + (q.x_a + q.log_sum) / q.x_y
    ),
    (Function.SOFTMAX, Method.DIVISION_FREE, True): Bound(
        "4.4", lambda q: q.shifted_y + q.x_y + q.exp
    ),
}

#: The shifted log-sum-exp in one pass; the shift is the largest number so far. Each piece adds one
#: addition to the sum so far, which is multiplied by exp(m - m') first if a larger m' comes: errors
#: of exp, of the product and of the difference; all these differences add up to at most
#: x_max - x_min. There are no more pieces than numbers.
RUNNING = Bound(
    "after 4.2",
    lambda q: (q.y + (q.exp + 2) * q.n + q.exp + 2 * q.x_a + q.log * q.y_a) / q.y,
)


def bound_of(formula: Formula) -> Bound:
    """Return the bound of a formula's error."""
    bound = BOUNDS[formula.function, formula.method, formula.is_shifted]
    return bound._replace(theorem=f"after {bound.theorem}") if formula.is_weighted else bound


def logsumexp_of(function: Function, x: Array, value: Array) -> Array:
    """Return the log-sum-exp of each row of x, shape (m, n), from the value of a function of it.

    The largest entry loses the least: y = x_max - log p_max.
    """
    if function is Function.LOGSUMEXP:
        return value[:, 0]
    with np.errstate(all="ignore"):
        wide, largest = x.astype(np.longdouble), value.astype(np.longdouble).max(axis=-1)
        log_p = largest if function is Function.LOG_SOFTMAX else np.log(largest)
        y: Array = wide.max(axis=-1) - log_p
    return y


def coefficients(
    formula: Formula,
    x: Array,
    y: Array,
    a: Array | None,
    errors: ElementaryErrors,
    cancels: Array | None = None,
    n: int | None = None,
    bound: Bound | None = None,
) -> Array:
    """Return the coefficients of u in the bound of a formula's relative error, shape (m,).

    x has the shape (m, n), or is only the largest and the smallest finite elements of n; its
    log-sum-exp y, the shift a and, with weights, `cancels` have (m,): see `Quantities`. The result
    is inf where the exact one is zero, and NaN where x has NaN or +inf, or nothing finite. The
    bound is the formula's unless another is given.
    """
    with np.errstate(all="ignore"):
        wide, y = x.astype(np.longdouble), y.astype(np.longdouble)
        nothing = np.zeros_like(y)
        shift = None if a is None else a.astype(np.longdouble)
        quantities = Quantities(
            n=(n or x.shape[-1]) + formula.is_weighted,
            y=np.abs(y),
            x_y=_farthest(wide, y),
            x_a=nothing if shift is None else _farthest(wide, shift),
            y_a=nothing if shift is None else np.abs(y - shift),
            exp=errors.exp,
            log=errors.log,
            cancels=1.0 if cancels is None else cancels,
        )
        coefficient = (bound or bound_of(formula)).coefficient(quantities)
        kept: Array = np.where(np.isfinite(y), coefficient, np.nan)
        return kept.astype(np.float64)


def _farthest(x: Array, point: Array) -> Array:
    """Return the largest distance of the entries from a point, leaving out -inf."""
    distance = np.abs(x - point[:, np.newaxis])
    farthest: Array = np.max(distance, axis=-1, initial=0, where=~np.isneginf(x))
    return farthest


class Guarantee(NamedTuple):
    """What the log-sum-exp y of a vector of n finite numbers tells about a formula's result.

    `right`: between these, inclusive, the computed log-sum-exp is surely within the tolerance.
    `finite`: abs(y) up to this is surely finite when rounded to the format.
    `overflow`: from here on the naive sum is surely not finite.
    """

    right: tuple[tuple[float, float], ...]
    finite: float
    overflow: float


def guarantee(
    n: int, format_: Format, inner: Format, max_ulp: float, is_shifted: bool
) -> Guarantee:
    """Return what y tells about the naive or the shifted formula, a = max; not only to first order.

    Every operation is rounded to `inner`: the format, or a wider one from which the result is
    rounded. u is its unit roundoff, eta its smallest number, L = ceil(log2 n) the depth of the sum.

    A term has an error of c_e u, or c_e eta / 2 if it underflows. A sum of positive terms adds L
    roundings, for a relative error of at most g = exp((c_e + L) u) - 1. So the naive sum errs by

        rho = g + n c_e eta (1 + g) / 2    for y >= 0,

    and by 2 g down to the y where underflow makes as much as the rest. In the shifted formula,
    rounding the difference -t changes a term by exp(u t) - 1, at most kappa u t if exp(-t) is not
    below eta / 4, and the t weighted by the softmax add up to log n at most. Smaller terms err by
    c_e eta. The sum is at least 1 and at most n, and

        rho = g + kappa u log(n) (1 + g) + n c_e eta (1 + g).

    The logarithm of the sum errs by -log(1 - rho), and by c_l u of itself. An ulp of y is at least
    u abs(y): the last addition of the shifted formula, or rounding to a narrower format, errs by at
    most 1 ulp, since the result may be beyond the end of y's binade; the correctly rounded y, with
    which we compare, errs by 1/2.

    This assumes that NumPy's exp and log are as good as `ElementaryErrors`: tested, not proved.
    """
    check_arithmetic()
    c, u, eta = ElementaryErrors.of(inner), inner.unit_roundoff, float(inner.smallest_subnormal)
    g = expm1((c.exp + ceil(log2(n))) * u)
    lost = n * c.exp * eta * (1 + g)
    # an error as large as the result is a different failure from lost digits
    allowed = 0.99 * min(max_ulp, 2.0 ** (format_.significand_bits - 2))
    finite = float(format_.largest) * (1 - 4 * format_.unit_roundoff) - 1

    def nearest(rho: float) -> float:
        """Return the smallest abs(y) that allows an error of rho in the sum."""
        if rho >= 1:
            return inf
        error = -(1 + c.log * u) * log1p(-rho)
        if is_shifted:
            error = (error + c.log * u * log(n)) * (1 + u)
            left = allowed - 1.5 - (0.0 if inner is format_ else u / format_.unit_roundoff)
        else:
            left = allowed - c.log - 0.5
        return 1.01 * error / (format_.unit_roundoff * left) if left > 0 else inf

    if is_shifted:
        t = (log(4) - log(eta)) / (1 - u)
        rho = g + expm1(u * t) / t * log(n) * (1 + g) + lost
        least = nearest(rho) if n * (1 + rho) < 0.99 * float(inner.largest) else inf
        return Guarantee(((least, finite), (-finite, -least)), finite, inf)
    rho = g + lost / 2
    if rho >= 1:
        return Guarantee((), finite, inf)
    largest = log(float(format_.largest))
    above = nearest(rho), min(finite, largest - log1p(rho) - 0.01)
    below = max(log(lost / 2) - log(g), -finite), -nearest(2 * g)
    return Guarantee((above, below), finite, largest + u - log1p(-rho) + 0.01)
