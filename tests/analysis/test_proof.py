"""The derivations: every line holds exactly, for any a; and which line fails in the format."""

from decimal import Decimal

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stablelse
from stablelse.analysis.prove import DERIVATIONS, Rule
from stablelse.analysis.results import BROKEN, Verdict
from stablelse.numerics.formats import FORMATS, find_format
from stablelse.numerics.formulas import NAIVE, SHIFTED, ChoiceError, find_shift
from stablelse.numerics.functions import Function, exact_values
from stablelse.render.numbers import number_text

FUNCTIONS = [function.value for function in DERIVATIONS]


def numbers_of(format_, size=1.0):
    """Return a strategy of numbers of a format, of all sizes, often equal."""
    limit = min(float(format_.largest), 2000.0) * size
    return st.one_of(
        st.floats(-limit, limit, width=64), st.floats(-1, 1), st.integers(-12, 12).map(float)
    ).map(lambda value: format_.round(value)[()])


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("function", FUNCTIONS)
@settings(max_examples=12)
@given(data=st.data())
def test_both_sides_of_every_line_are_one_number(function, name, data):
    format_ = find_format(name)
    x = np.array(data.draw(st.lists(numbers_of(format_), min_size=1, max_size=4)), format_.dtype)
    a = data.draw(
        st.one_of(st.sampled_from(["max", "min", "mean"]), numbers_of(format_, 0.5).map(float))
    )
    proof = stablelse.prove(x, function, shift=a, formats=[name])
    (result,) = proof.results
    for equation, line in zip(proof.equations, result.lines, strict=True):
        for row in line.rows:
            assert row.holds, (equation.rule, row)


@pytest.mark.parametrize("function", [Function.LOGSUMEXP, Function.SOFTMAX])
@given(data=st.data())
def test_the_result_is_the_correctly_rounded_one(function, data):
    """In every line of softmax, and in the first and the last of log-sum-exp."""
    format_ = find_format("float64")
    x = np.array(data.draw(st.lists(numbers_of(format_), min_size=1, max_size=4)))
    (result,) = stablelse.prove(x, function.value, shift=3).results
    truth = exact_values(function, x[np.newaxis], format_)[0]
    for line in (result.lines[0], result.lines[-1]):
        assert np.array_equal([float(row.right.exact) for row in line.rows], truth)


@given(st.lists(st.floats(-900, 900), min_size=1, max_size=4), st.floats(-900, 900))
def test_what_is_beyond_the_range_is_right_to_the_last_digit(x, a):
    """Against mpmath, digit for digit: e^y, and e^(y - a)."""
    (result,) = stablelse.prove(x, shift=a).results
    with mpmath.workdps(60):
        total = mpmath.fsum(mpmath.exp(mpmath.mpf(entry)) for entry in x)
        for number, value in ((2, total), (4, total * mpmath.exp(-mpmath.mpf(a)))):
            told = result.lines[number - 1].rows[0].right
            if isinstance(told.exact, Decimal):
                assert mpmath.mpf(str(told.exact)) == mpmath.mpf(mpmath.nstr(value, 15))
            else:
                assert told.exact == float(value)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("function", DERIVATIONS)
@pytest.mark.parametrize("shift", ["max", "-3", "mean"])
def test_first_and_last_line_are_the_formulas(function, name, shift):
    """Values in the format are those of the methods, bit for bit."""
    format_ = find_format(name)
    x = format_.round([12.5, 3, -7, 12.5, 0.1])
    (result,) = stablelse.prove(x, function.value, shift=shift, formats=[name]).results
    naive = NAIVE[function].evaluate(x, format_).value
    shifted = SHIFTED[function].evaluate(x, format_, find_shift(shift).rule).value
    for line, value in ((result.lines[0], naive), (result.lines[-1], shifted)):
        got = np.array([row.right.value for row in line.rows], format_.dtype)
        assert got.tobytes() == value.tobytes() or np.array_equal(
            got.astype(float), value.astype(float), equal_nan=True
        )


#: x, the shift; the worse verdict of the two sides of every line, and what broke the first.
CASES = {
    ("logsumexp", (1000, 1001, 1002), "max"): ("xxx--o", ["e^1000.0=inf"]),
    ("logsumexp", (-1000, -1001, -1002), "max"): ("xxx--o", ["e^-1000.0=0.0"]),
    ("logsumexp", (1000, 1001), "0"): ("xxxxxx", ["e^1000.0=inf"]),
    ("logsumexp", (1, 2, 3), "max"): ("oooooo", []),
    ("logsumexp", (-0.775, -0.6175), "max"): ("-oooo-", []),
    ("logsumexp", (0, -40), "max"): ("xooo" + "xx", []),
    ("logsumexp", (-0.001, -6.908255237315471), "max"): ("xooo-x", []),
    ("softmax", (1000, 1001), "max"): ("xxxoo", ["e^1000.0=inf"]),
    ("softmax", (-1000, -1001), "min"): ("xxxoo", ["e^-1000.0=0.0"]),
    ("softmax", (1000, 1001), "0"): ("xxxxx", ["e^1000.0=inf"]),
    ("softmax", (1, 2, 3), "mean"): ("ooooo", []),
}
_MARKS = {Verdict.RIGHT: "o", Verdict.DIGITS_LOST: "-", **dict.fromkeys(BROKEN, "x")}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_where_the_format_departs(case):
    function, x, shift = case
    marks, why = CASES[case]
    (result,) = stablelse.prove(x, function, shift=shift).results
    assert "".join(_MARKS[line.verdict] for line in result.lines) == marks
    assert result.departs == (None if set(marks) == {"o"} else 1)
    told = [f"e^{o.operands[0]}={o.value}" for o in result.lines[0].rows[0].origins]
    assert told == why


def test_the_product_of_nothing_and_infinity_is_traced_to_both():
    (result,) = stablelse.prove([1000, 1001]).results
    factor, total = result.lines[2].rows[0].origins
    assert (factor.operands, factor.value, factor.element) == ((-1001.0,), 0.0, None)
    assert (total.operands, total.value, total.element) == ((1000.0,), np.inf, 1)


def test_a_sum_that_overflows_is_its_own_origin():
    """70,000 zeros in half precision: e^(x - a) is 1, their sum is not finite."""
    (result,) = stablelse.prove(np.zeros(70_000), formats=["float16"]).results
    (row,) = result.lines[-1].rows
    assert row.holds
    assert row.left.value == np.float16(11.156)
    assert [(o.kind.value, o.operands) for o in row.origins] == [("sum", ())]


def test_only_numbers_in_the_right_places_are_rational():
    """If every x is the same, the values are known: 0, 1, n, 1/n, x - a."""
    (result,) = stablelse.prove([0.5], shift=0.5).results
    assert [str(line.rows[0].right.exact) for line in result.lines[2:]] == [
        *("1.0", "1.0", "0.0", "0.5")
    ]
    (result,) = stablelse.prove([1.0], shift=2.0**-54).results
    assert result.lines[4].rows[0].right.exact == 1  # half-way: 1 - 2^-54, ties to even
    result = stablelse.prove(np.zeros(1024), "softmax", formats=["float8_e4m3fn"]).results[0]
    assert result.lines[0].rows[0].left.value == 0  # 2^-10, half of the smallest number
    assert str(result.lines[0].rows[0].right.exact) == "0.0009765625"


def test_the_last_line_that_is_not_good_is_told_with_what_is():
    for x, shift in (([1000, 1001], 0), ([-0.775, -0.6175], "max")):
        proof = stablelse.prove(x, shift=shift)
        value = number_text(stablelse.logsumexp(x))
        assert f"stablelse.logsumexp gives {value}, correctly rounded." in str(proof)


def test_in_symbols():
    proof = stablelse.prove()
    assert (proof.n, proof.results) == (None, ())
    assert [equation.rule for equation in proof.equations] == list(Rule)[:6]
    assert [e.rule for e in stablelse.prove(function="softmax").equations] == [
        Rule.DEFINITION,
        *list(Rule)[6:],
    ]


@pytest.mark.parametrize(
    ("x", "options", "words"),
    [
        ([], {}, "a vector"),
        ([[1, 2]], {}, "a vector"),
        ([1, np.inf], {}, "x_2 is inf, but the identity holds for finite numbers"),
        ([-np.inf, 0], {}, "x_1 is -inf"),
        (
            [1],
            {"shift": 1e6, "formats": ["float16"]},
            "the shift a is 1000000.0, which is inf in float16: give another, or choose another",
        ),
        ([1], {"function": "log_softmax"}, "no derivation of log_softmax: choose from logsumexp"),
        ([1], {"function": "sum"}, "sum"),
        (np.arange(2001), {}, "more than 2,000 numbers"),
        (np.zeros(2001), {"function": "softmax"}, "more than 2,000 numbers"),
    ],
)
def test_what_there_is_no_derivation_of(x, options, words):
    with pytest.raises(ChoiceError if "x_" in words else ValueError, match=words):
        stablelse.prove(x, **options)
