"""The comparison: its shape, its places, its errors, and its display."""

import io
import math

import mpmath
import numpy as np
import oracle
import pytest
from families import FAMILIES, rng_of
from rich.console import Console

import stablelse
from stablelse.analysis import Place
from stablelse.analysis.compare import Compared, Problem
from stablelse.analysis.results import Verdict
from stablelse.numerics.formats import FORMATS, installed_formats
from stablelse.numerics.formulas import USUAL, Method, candidates, find_shift
from stablelse.numerics.functions import Function


@pytest.mark.parametrize(
    ("methods", "shifts", "order"),
    [
        (None, np.float32(-3.5), ["naive", "shifted -3.5", "exact"]),
        (None, ["max", -3.5], ["naive", "shifted max", "shifted -3.5", "exact"]),
        (
            ["exact", "division-free", "naive", "exact"],
            ["max", 0],
            ["naive", "division-free", "division-free max", "division-free 0", "exact"],
        ),
    ],
)
def test_methods_are_there_once_and_in_one_order(methods, shifts, order):
    names, formats = ["float16", "float32"], ["fp16", "float32", "half"]
    found = stablelse.compare([1, 2], "softmax", methods=methods, shifts=shifts, formats=formats)
    told = [(r.format, f"{r.method.value} {r.shift or ''}".rstrip()) for r in found.results]
    assert told == [(format_, name) for format_ in names for name in order]
    assert np.array_equal(found.value, found.results[len(order) - 1].value)
    assert found.value.dtype == np.float16
    assert found.results[-1].total == 1
    assert stablelse.compare([1, 2]).results[0].total is None


def test_rows_are_compared_as_if_alone():
    x = np.array([[1000.0, 1, -1000], [0, -40, -41], [-800, -900, np.inf], [np.nan, 0, 0]])
    places = [Place("x.csv", row) for row in range(1, 5)]
    for function in Function:
        shifts, formats = [find_shift("max"), find_shift("0")], [FORMATS["float64"]]
        tried = candidates(function, USUAL, shifts)
        stack = Compared(x, Problem(function), tried, formats, places.__getitem__)
        for row, comparison in zip(x, stack, strict=True):
            alone = stablelse.compare(row, function.value, shifts=["max", "0"])
            assert [str(r) for r in alone.results] == [str(r) for r in comparison.results]
        assert [c.row for c in stack] == [1, 2, 3, 4]


def test_integers_and_ml_dtypes_are_numbers():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    of_bytes = stablelse.compare(np.array([200, 201], np.uint8))
    assert of_bytes.value == stablelse.logsumexp([200.0, 201.0])
    x = np.array([1, 2], ml_dtypes.bfloat16)
    assert stablelse.compare(x, formats=["bfloat16"]).value.dtype == ml_dtypes.bfloat16


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        ([], {}, "at least one number"),
        ([[1, 2]], {}, r"not shape \(1, 2\)"),
        ([1], {"function": "max"}, "unknown function 'max': choose from logsumexp, softmax, log_s"),
        ([1], {"function": "softmax", "weights": [1]}, "softmax has no weights: add their logari"),
        ([1], {"formats": ["float17"]}, "unknown format 'float17'"),
        ([1], {"formats": []}, "no format: choose from float8_e4m3fn"),
        ([1], {"shifts": []}, "no shift: choose from max, min, mean"),
        ([1], {"shifts": np.nan}, "the shift nan leaves nothing of x - a: give a finite number"),
        ([1], {"shifts": [0, "-inf"]}, "the shift -inf leaves nothing"),
        ([1], {"shifts": ["median"]}, "unknown shift 'median'"),
        ([1], {"methods": ["best"]}, "unknown method 'best': choose from naive, shifted"),
        ([1], {"methods": []}, "no method: choose from naive"),
        ([1], {"methods": ["division-free"]}, "only softmax has a division-free method: choose"),
        ([1], {"methods": ["compensated"]}, r"no compensated method.*use --method exact"),
    ],
)
def test_errors(x, options, message):
    with pytest.raises(ValueError, match=message):
        stablelse.compare(x, **options)


@pytest.mark.parametrize(
    "call",
    [
        lambda formats: stablelse.sweep([1], formats=formats),
        lambda formats: stablelse.scan([[1]], formats=formats),
        lambda formats: stablelse.prove([1], formats=formats),
        lambda formats: stablelse.compare_peers([1], formats=formats),
        lambda formats: stablelse.StreamState(formats=formats),
    ],
)
def test_everything_needs_a_format(call):
    with pytest.raises(ValueError, match="no format: choose from float8_e4m3fn"):
        call([])


def test_functions_have_the_names_of_their_commands_too():
    for name in ("lse", "softmax", "log-softmax"):
        assert stablelse.compare([1, 2], name).function.command == name


def test_numbers_are_never_markup():
    """On a console that reads markup, [inf] would vanish as a tag."""
    console = Console(file=io.StringIO(), width=100)
    console.print(stablelse.compare([np.inf, 1]))
    assert "a = max = ∞" in console.file.getvalue()


@pytest.mark.parametrize(
    ("options", "exact", "measured"),
    [
        ({"methods": ["naive"]}, False, True),  # compared with it, but it is not shown
        ({"methods": ["naive"], "errors": False}, False, False),
        ({"methods": ["exact"]}, True, True),
        ({}, True, True),
        ({"errors": False}, True, False),
    ],
)
def test_the_exact_value_is_shown_where_it_is_asked_for(options, exact, measured):
    comparison = stablelse.compare([-0.775, -0.6175], **options)
    assert (comparison.exact is not None) is exact
    if exact:
        assert comparison.exact == -5.237847950087536e-06
    assert (comparison.condition_number is not None) is measured
    for result in comparison.results:
        assert result.ulps is not None
        assert (result.relative_error is not None) is measured
        assert (result.correct_digits is not None) is measured
        has_bound = measured and result.method is not Method.EXACT
        assert (result.bound is not None, result.theorem is not None) == (has_bound, has_bound)


def test_a_view_of_errors_needs_errors():
    for options in ({"x": [1, 2], "errors": False}, {"x": np.arange(1000)}):
        with pytest.raises(ValueError, match="not computed: pass errors=True"):
            _ = stablelse.compare(**options).errors
    assert "condition number 1" in str(stablelse.compare(np.arange(1000), errors=True).errors)


def test_a_long_vector_has_relative_errors_on_demand():
    x = np.linspace(-1, 1, 600)
    for errors, measured in ((None, False), (True, True)):
        for result in stablelse.compare(x, errors=errors).results:
            assert result.ulps is not None
            assert (result.relative_error is not None) is measured


def test_errors_beside_their_bounds():
    x = [-0.775, -0.6175]
    comparison = stablelse.compare(x)
    assert comparison.condition_number == 0.775 / 5.237847950087536e-06
    naive, shifted, exact = comparison.results
    # mpmath gives the same, to two digits
    assert (naive.theorem, shifted.theorem) == ("3.2", "4.2")
    for result in comparison.results:
        true, _ = oracle.logsumexp(x)
        error = abs(oracle.as_mpf(result.value) - true) / abs(true)
        assert result.relative_error == float(f"{float(error):.2g}")
        digits = min(-math.log10(error), 53 * math.log10(2))
        assert result.correct_digits == round(digits, 2)
    u, y = 2.0**-53, 5.237847950087536e-06
    # exp and log are assumed right to 3 u
    bound = (3 + (2 + 3) / y) * u
    assert abs(naive.bound - bound) <= 2 * math.ulp(bound)
    assert exact.bound is None


@pytest.mark.parametrize("format_", ["float16", "float32", "float64"])
def test_what_cancels_is_in_the_bounds_and_in_the_condition_number(format_):
    rng = np.random.default_rng(6)
    for n in rng.integers(1, 9, 100):
        x, b = rng.normal(size=(2, n)) * [[rng.choice([0.1, 1, 5])], [1]]
        comparison = stablelse.compare(x, weights=b, formats=format_, errors=True)
        for result in comparison.results:
            assert result.bound is None or result.relative_error <= result.bound
    comparison = stablelse.compare([0.0, 1.0], weights=[1, -0.25])
    with mpmath.workprec(200):
        sum_, size = (1 + sign * mpmath.e / 4 for sign in (-1, 1))
        condition = float(size / sum_ / abs(mpmath.log(sum_)))
    assert abs(comparison.condition_number - condition) <= 2 * math.ulp(condition)
    assert [result.theorem for result in comparison.results] == ["after 3.2", "after 4.2", None]


def test_no_theorem_speaks_of_what_overflows():
    naive, shifted, *_ = stablelse.compare([1000, 1]).results
    assert (naive.bound, naive.theorem, naive.relative_error) == (None, None, np.inf)
    assert shifted.theorem == "4.2"
    naive, *_ = stablelse.compare([-1000, 1]).results  # underflows, harmlessly
    assert naive.theorem == "3.2"


def test_what_is_not_finite_has_no_bound_and_no_condition():
    for x in ([np.inf, 1], [np.nan, 1], [-np.inf, -np.inf]):
        comparison = stablelse.compare(x)
        assert comparison.condition_number is None
        assert {r.bound for r in comparison.results} == {None}
        errors = {str(r.relative_error) for r in comparison.results if r.ulps == 0}
        assert errors == {"nan" if np.isnan(x).any() else "0.0"}
    assert stablelse.compare([0]).condition_number is None  # 0/0


def test_relative_errors_at_the_ends_of_the_format():
    """A right infinity is not an error, and numbers too small for the format have no digits."""
    largest = np.finfo(float).max
    comparison = stablelse.compare([largest, -largest], "log_softmax", methods=["exact"])
    assert comparison.exact.tolist() == [0, -np.inf]
    assert comparison.results[0].relative_error == 0
    comparison = stablelse.compare([0, -800], methods=["exact"])
    assert (comparison.exact, comparison.results[0].relative_error) == (0, 1)
    assert comparison.results[0].correct_digits == 0


BENIGN = {Verdict.RIGHT, Verdict.DIGITS_LOST, Verdict.NO_DIGITS}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("function", Function, ids=lambda function: function.value)
def test_what_is_broken_has_a_finding_and_the_exact_result_is_right(family, function):
    if family.startswith("next to"):
        pytest.importorskip("flint")
    for format_ in filter(FAMILIES[family].suits, installed_formats()):
        name, rng = format_.name, rng_of(4, family, format_.name)
        for x, b in FAMILIES[family].stacks(format_, 6, rng, 30, parts=3):
            weights = None if b is None else b[0]
            if b is not None and function is not Function.LOGSUMEXP:
                continue
            found = stablelse.compare(x[0], function.value, formats=[name], weights=weights)
            *others, exact = found.results
            assert exact.ulps == 0
            for result in others:
                # few digits may be lost to many small errors
                assert result.findings or result.verdict in BENIGN
                assert result.method.value in str(found)
