"""Ball arithmetic: every ball holds what mpmath gets with many more digits."""

from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablelse.analysis.derivation import DERIVATIONS
from stablelse.numerics.formats import find_format
from stablelse.numerics.formulas import enclosure, exactly
from stablelse.numerics.formulas.enclosure import Enclosure
from stablelse.numerics.formulas.exactly import Side, evaluate
from stablelse.numerics.formulas.formula import DerivationError, Kind
from stablelse.numerics.functions import Function

CONTEXT = Context(prec=20, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])
NUMBERS = st.floats(-700, 700, allow_subnormal=False).filter(lambda x: abs(x) > 1e-30)


def exact(ball):
    """Return the ball's centre and error in mpmath."""
    return mpmath.mpf(str(ball.head)) + mpmath.mpf(str(ball.tail)), mpmath.mpf(str(ball.error))


def assert_holds(ball, value):
    centre, error = exact(ball)
    assert abs(centre - value) <= error * (1 + mpmath.mpf(10) ** -60)


UNARY = {Kind.EXP: mpmath.exp, Kind.NEGATE: lambda u: -u}
BINARY = {
    Kind.ADD: lambda u, v: u + v,
    Kind.SUBTRACT: lambda u, v: u - v,
    Kind.MULTIPLY: lambda u, v: u * v,
    Kind.DIVIDE: lambda u, v: u / v,
}


@given(NUMBERS, NUMBERS, NUMBERS)
def test_every_operation_holds_the_exact_value(x, y, z):
    """Of operands that are balls themselves, whose exact value is off the centre."""
    with mpmath.workdps(400), localcontext(CONTEXT):
        u = enclosure.divide(Enclosure(Decimal(x)), Enclosure(Decimal(z)))
        v = enclosure.multiply(Enclosure(Decimal(y)), Enclosure(Decimal(z)))
        mu, mv = mpmath.mpf(x) / mpmath.mpf(z), mpmath.mpf(y) * mpmath.mpf(z)
        assert_holds(u, mu)
        assert_holds(v, mv)
        for kind, function in BINARY.items():
            assert_holds(enclosure.OPERATIONS[kind](u, v), function(mu, mv))
        if abs(mu) < 1000:
            assert_holds(enclosure.exp(u), mpmath.exp(mu))
            assert_holds(enclosure.log(enclosure.exp(u)), mu)
            terms = [enclosure.exp(u), Enclosure(Decimal(1)), enclosure.exp(u)]
            total = enclosure.total(terms, [3, 1, 2])
            assert_holds(total, 5 * mpmath.exp(mu) + 1)
            if mu < 300:
                assert_holds(enclosure.log(total), mpmath.log1p(5 * mpmath.exp(mu)))


def test_what_is_known_exactly_stays_so():
    with localcontext(CONTEXT):
        zero = enclosure.add(Enclosure(Decimal("0.1")), Enclosure(Decimal("-0.1")))
        assert zero.is_exact
        assert enclosure.exp(zero) == Enclosure(Decimal(1))
        assert enclosure.log(enclosure.exp(zero)).is_exact


def test_a_tiny_rest_beside_one_keeps_its_digits():
    """log(1 + e^-1000000) at 20 digits, 434,295 places behind the point."""
    with localcontext(CONTEXT):
        tiny = enclosure.exp(Enclosure(Decimal(-1_000_000)))
        log = enclosure.log(enclosure.total([Enclosure(Decimal(1)), tiny], [1, 1]))
    assert abs(log.tail - tiny.tail) <= log.error
    assert log.error < log.tail.scaleb(-10)


def test_an_enclosure_of_nothing_decides_nothing():
    with localcontext(CONTEXT):
        wide = Enclosure(Decimal(0), Decimal(1), Decimal(2))
        divided = enclosure.divide(wide, wide)
        assert divided.error == Decimal("Infinity")
        assert enclosure.log(wide).error == Decimal("Infinity")
        assert enclosure.exp(wide._replace(error=Decimal(3))).error == Decimal("Infinity")
        for ball in (divided, enclosure.multiply(divided, divided), enclosure.add(wide, divided)):
            assert enclosure.nearest_to(ball, find_format("float64")) is None


def test_what_meets_and_what_does_not():
    with localcontext(CONTEXT):
        third = enclosure.divide(Enclosure(Decimal(1)), Enclosure(Decimal(3)))
        other = enclosure.divide(Enclosure(Decimal(2)), Enclosure(Decimal(6)))
        assert third.overlaps(other)
        moved = enclosure.add(other, Enclosure(Decimal("1e-15")))
        assert not third.overlaps(moved)


def test_what_thousands_of_digits_do_not_tell_is_refused(monkeypatch):
    """y = 0 + e^-1000000, by way of a = -17.5: the digits cancel."""
    monkeypatch.setattr(exactly, "_MOST_DIGITS", 640)
    format_ = find_format("float64")
    last = DERIVATIONS[Function.LOGSUMEXP][-1].right
    x = format_.round([0, -1_000_000])
    with pytest.raises(DerivationError, match="640 digits"):
        evaluate([last], x, format_.round(-17.5)[()], format_)
    (told,) = evaluate([last], x, format_.round(0)[()], format_)
    assert str(told["y"][0].decimal).startswith("3.29683147808856E-434295")
    assert Side("y").per_element == {"x", "p"}
