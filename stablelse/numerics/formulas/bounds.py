"""How wrong each formula can be, before it is computed: the theorems of its error analysis.

The theorems are those of P. Blanchard, D. J. Higham & N. J. Higham 2021, *Accurately computing
the log-sum-exp and softmax functions*, doi 10.1093/imanum/draa038. Each bounds the relative
error, of softmax in the infinity norm, by a coefficient times the unit roundoff u, to first order
in u and where nothing overflows or underflows. What is evaluated here differs in four ways:

exp and log
    The theorems take each to be right to u. NumPy's are not; see `ElementaryErrors`. Their
    proofs are followed with an error of epsilon_e u for exp and of epsilon_l u for log, so that
    what is 1 there is epsilon here; with both 1 the coefficients are theirs.
The order of summation
    Theirs add one term after the other, n - 1 roundings (they count n where the first
    term is added to 0), ours two by two, ceil(log2 n) of them. So their n is enough here; from
    four numbers on there is room for what a harmless underflow (`stablelse.analysis.findings`)
    adds, which is one rounding of the sum at most.
log, not log1p
    Theorem 4.2 is for a + log1p(rest), ours is a + log(sum). The theorem bounds the error of
    the rest relative to the rest, (n + x_max - x_min) u, and then lets that same number bound
    the absolute error of the logarithm. Relative to the sum, ours is no larger: its
    largest term is exactly 1, the others have the same errors, and there are
    ceil(log2 n) <= n - 1 additions. A relative error of the sum is an absolute one of its
    logarithm, so both proofs go on alike. (Where the rest is small log1p is much better; the
    theorem does not show it.)
Any shift
    The proofs use of x_max only that it is a number of the format: with any a, x_max - x_min
    becomes max |x_i - a|, and y - x_max becomes |y - a|.

One rounding more has to be counted: that of the last addition of a + log(sum), up to u |y|. The
authors drop it before Theorem 4.2 as innocuous, so that (1000, 1000), whose exact result is no
number of any format, has a bound of 0.003 u. In a relative error of y it is the 1 that stands
in front here. In Theorem 4.4 it is not innocuous: exp makes of that u |y| a relative error, and
softmax of (1000, 1001, 1002) by exp(x_j - y) is wrong by 434 u where the theorem, as printed,
allows 9.

log_softmax has no theorem there. Naive, it is the logarithm of the quotient of Theorem 3.3,
and of a relative error it makes an absolute one; shifted, its x_j - a and log(sum) are those of
Theorem 4.2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from stablelse.numerics.formats import Array, Format
from stablelse.numerics.formulas.formula import Formula, Method
from stablelse.numerics.functions import Function


class ElementaryErrors(NamedTuple):
    """The largest relative errors of exp and log in a format, in units of u.

    NumPy's own tests (``numpy/_core/tests/data/umath-validation-set-*.csv``) hold float32's exp
    to 3 and its log to 4 ulps of the correctly rounded result, float64's and float16's to 1;
    the C library's longdouble is that good, and ml_dtypes rounds what it computed in float32.
    t ulps of the correctly rounded result are t + 1/2 of the exact one, and an ulp is at most
    2 u: t ulps are 2 t + 1 units of u.
    """

    exp: float
    log: float

    @classmethod
    def of(cls, format_: Format) -> ElementaryErrors:
        """Return those of NumPy in a format."""
        exp_ulps, log_ulps = _ULPS.get(format_.name, (1, 1))
        return cls(2 * exp_ulps + 1, 2 * log_ulps + 1)


_ULPS = {"float32": (3, 4)}

#: What the theorems assume.
ASSUMED = ElementaryErrors(1, 1)


class Quantities(NamedTuple):
    """What the coefficients are made of, of m vectors; each array has the shape (m,).

    Attributes
    ----------
    n : int
        The number of entries of a vector.
    y : ndarray
        abs(y), y being the log-sum-exp.
    x_y : ndarray
        max abs(x_j - y), which is also the norm of the log-softmax.
    x_a : ndarray
        max abs(x_j - a): with a = x_max, x_max - x_min. 0 for a formula that has no a.
    y_a : ndarray
        abs(y - a), the logarithm of the sum; 0 for a formula that has no a.
    exp, log : float
        See `ElementaryErrors`.
    """

    n: int
    y: Array
    x_y: Array
    x_a: Array
    y_a: Array
    exp: float
    log: float

    @property
    def log_sum(self) -> Array:
        """The absolute error of log sum exp(x_i - a): equations 4.6 and 4.8."""
        return self.n - 1 + self.exp + self.x_a + self.log * self.y_a

    @property
    def shifted_y(self) -> Array:
        """The absolute error of a + log sum exp(x_i - a), its last rounding counted."""
        return self.y + self.log_sum

    @property
    def naive_y(self) -> Array:
        """The absolute error of log sum exp(x_i): equation 3.4."""
        return self.log * self.y + self.n + self.exp


class Bound(NamedTuple):
    """A bound of the relative error, to first order in u.

    Attributes
    ----------
    theorem : str
        The number of the theorem; "after" one that had to be carried on.
    coefficient : callable
        Gives the coefficient of u, shape (m,), from `Quantities`.
    """

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

#: The shifted log-sum-exp in one pass, the largest number so far being the shift. A piece that is
#: taken in is one more addition of what was there, which before that is multiplied by exp(m - m')
#: if a larger m' comes: an error of exp, of the product, and of the difference, and all those
#: differences are at most x_max - x_min together. There are no more pieces than numbers.
RUNNING = Bound(
    "after 4.2",
    lambda q: (q.y + (q.exp + 2) * q.n + q.exp + 2 * q.x_a + q.log * q.y_a) / q.y,
)


def bound_of(formula: Formula) -> Bound:
    """Return the bound of a formula's error."""
    return BOUNDS[formula.function, formula.method, formula.is_shifted]


def logsumexp_of(function: Function, x: Array, value: Array) -> Array:
    """Return the log-sum-exp of each row from whichever function of it is known.

    The largest entry is the one whose softmax and log-softmax hold the most of it:
    y = x_max - log p_max.

    Parameters
    ----------
    function : Function
        What is known.
    x : ndarray
        Shape (m, n), real.
    value : ndarray
        The function of x, shape (m, 1) or (m, n).

    Returns
    -------
    ndarray
        Shape (m,).
    """
    if function is Function.LOGSUMEXP:
        return value[:, 0]
    with np.errstate(all="ignore"):
        wide, largest = x.astype(np.longdouble), value.astype(np.longdouble).max(axis=-1)
        log_p = largest if function is Function.LOG_SOFTMAX else np.log(largest)
        y: Array = wide.max(axis=-1) - log_p
    return y


def coefficients(
    formula: Formula, x: Array, y: Array, a: Array | None, errors: ElementaryErrors
) -> Array:
    """Return the coefficients of u in the bound of a formula's relative error.

    Parameters
    ----------
    formula : Formula
        What is evaluated.
    x : ndarray
        Shape (m, n), real.
    y : ndarray
        Shape (m,): the log-sum-exp of x.
    a : ndarray or None
        Shape (m,): the shift, of a formula that has one.
    errors : ElementaryErrors
        Those of exp and log.

    Returns
    -------
    ndarray of float64
        Shape (m,). inf where the exact result is zero; NaN where x has NaN or +inf, or
        nothing finite.
    """
    with np.errstate(all="ignore"):
        wide, y = x.astype(np.longdouble), y.astype(np.longdouble)
        nothing = np.zeros_like(y)
        shift = None if a is None else a.astype(np.longdouble)
        quantities = Quantities(
            n=x.shape[-1],
            y=np.abs(y),
            x_y=_farthest(wide, y),
            x_a=nothing if shift is None else _farthest(wide, shift),
            y_a=nothing if shift is None else np.abs(y - shift),
            exp=errors.exp,
            log=errors.log,
        )
        coefficient = bound_of(formula).coefficient(quantities)
        kept: Array = np.where(np.isfinite(y), coefficient, np.nan)
        return kept.astype(np.float64)


def _farthest(x: Array, point: Array) -> Array:
    """Return how far from a point the entries are at most; those that are -inf weigh nothing."""
    distance = np.abs(x - point[:, np.newaxis])
    farthest: Array = np.max(distance, axis=-1, initial=0, where=~np.isneginf(x))
    return farthest
