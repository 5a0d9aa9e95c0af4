"""The survival map: the verdicts, and the numbers on either side of their changes."""

from dataclasses import replace
from itertools import groupby, pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import stablelse
from stablelse.analysis.results import VERDICTS, Verdict
from stablelse.analysis.sweep import POINTS, Motion, Range, Trial
from stablelse.numerics.formats import find_format, numbers_at
from stablelse.numerics.formulas import ChoiceError, Method, candidates, find_shift
from stablelse.numerics.functions import Function
from stablelse.render.sweep import by_method

FORMATS = ["float8_e4m3fn", "float8_e5m2", "float16", "bfloat16", "float32", "float64"]


def above(x, format_):
    return np.nextafter(x, format_.largest)


@pytest.mark.parametrize("name", FORMATS)
def test_one_number_overflows_and_underflows_where_exp_does(name):
    """For a single zero, the sum is exp(t) itself."""
    format_ = find_format(name)
    found = stablelse.sweep([0], methods=["naive"], formats=[name])
    first, last = found.segments[0], found.segments[-1]
    assert (first.verdict, last.verdict) == (Verdict.UNDERFLOW, Verdict.OVERFLOW)
    assert above(first.last, format_) == found.segments[1].first == format_.underflow_threshold
    assert found.segments[-2].last == format_.overflow_threshold
    assert last.first == above(format_.overflow_threshold, format_)


#: Segments of each method, from one end of the range to the other: (verdict, last t) each. The open
#: ones depend on how exp rounds: there `compare` decides.
MAPS = [
    ([0], {"offset": (700, 720)}, "naive", "float64", "right 709.782712893384, overflow 720"),
    ([0], {"offset": (-750, -700)}, "naive", "float64",
     "underflow -745.1332191019412, digits_lost ?, right -700"),
    ([1, 2, -4], {"scale": (1e-3, 1e6), "function": "softmax"}, "naive", "float64",
     "right 354.891356446692, overflow 1000000"),
    # numbers that the format cannot hold are not the method's fault
    ([1, 2], {"scale": (1, 1e6)}, "naive", "float16",
     "right ?, overflow 32752, does_not_fit 65504"),
    ([1, 2], {"scale": (1, 1e6)}, "shifted", "float16", "right 32752, does_not_fit 65504"),
    ([1, 2], {"scale": (1, 1e6)}, "exact", "float16", "right 32752, does_not_fit 65504"),
    # the worst shift, and infinities, which give NaN in a shifted formula
    ([0, 1], {"shifts": ["max"], "offset": (0, 1000)}, "shifted", "float64", "right 1000"),
    ([0, 1], {"shifts": [0], "offset": (0, 1000)}, "shifted", "float64", "right ?, overflow 1000"),
    ([np.inf, 1], {}, "naive", "float64", "right 1000"),
    ([np.inf, 1], {}, "shifted", "float64", "nan 1000"),
    # 0 / 0, and an entry that is zero although its own exponential is not
    ([0, 1], {"function": "softmax"}, "naive", "float32",
     "underflow ?, digits_lost ?, right ?, overflow 1000"),
]  # fmt: skip


@pytest.mark.parametrize(("x", "options", "method", "name", "segments"), MAPS)
def test_maps(x, options, method, name, segments):
    format_ = find_format(name)
    found = stablelse.sweep(x, methods=[method], formats=[name], **options)
    expected = [text.split() for text in segments.split(", ")]
    assert [segment.verdict.value for segment in found.segments] == [word for word, _ in expected]
    for segment, (_, last) in zip(found.segments, expected, strict=True):
        assert last == "?" or segment.last == format_.round([float(last)])[0]
        is_finite = segment.verdict in (Verdict.RIGHT, Verdict.DIGITS_LOST)
        assert (segment.ulps is not None) is is_finite
    for one, other in pairwise(found.segments):
        assert above(one.last, format_) == other.first
        for segment, t in ((one, one.last), (other, other.first)):
            assert_verdict(np.array(x), t, found.motion, found.function.value, segment, format_)


def test_digits_are_found_lost_next_to_zero():
    """However narrow it is, and however wide the range."""
    lse = stablelse.logsumexp([0.0, 1.0, 2.0])
    for ends in ((-1e6, 1e6), (-3, -2)):
        found = stablelse.sweep(
            [0, 1, 2], offset=ends, methods=["shifted"], formats=["float64"], points=50
        )
        lost = [segment for segment in found.segments if segment.verdict is not Verdict.RIGHT]
        assert {segment.verdict for segment in lost} <= {Verdict.DIGITS_LOST, Verdict.NO_DIGITS}
        assert max(segment.ulps for segment in lost) > 1e15
        assert lost[0].first < -lse < lost[-1].last


def test_digits_are_found_lost_next_to_zero_of_a_scale():
    x = np.array([-1, -2, -3])
    found = stablelse.sweep(
        x, scale=(1e-6, 1e6), methods=["shifted"], formats=["float64"], points=40
    )
    (lost,) = (
        list(group)
        for is_right, group in groupby(found.segments, lambda s: s.verdict is Verdict.RIGHT)
        if not is_right
    )
    assert stablelse.logsumexp(lost[0].first * x) > 0 > stablelse.logsumexp(lost[-1].last * x)


def test_noise_is_one_stretch():
    """Rounding errors of about 10 ulp are above or below 10 by chance."""
    x = np.random.default_rng(0).normal(0, 10, 200)
    found = stablelse.sweep(x, "softmax", methods=["shifted"], formats=["float64", "bfloat16"])
    for row in by_method(found):
        for before, between, after in zip(row, row[1:], row[2:], strict=False):
            around = (before.verdict, between.verdict, after.verdict)
            if around == (Verdict.DIGITS_LOST, Verdict.RIGHT, Verdict.DIGITS_LOST):
                assert between.last - between.first > 2000 / 200


METHODS = (Method.NAIVE, Method.SHIFTED)
NARROW = ["float8_e4m3fn", "float8_e5m2", "float16", "bfloat16"]


@pytest.mark.parametrize("name", NARROW)
@pytest.mark.parametrize("function", ["logsumexp", "softmax", "log_softmax"])
def test_no_t_of_a_narrow_format_is_left_out(name, function):
    """Every one of them, evaluated at once and compared with the map."""
    x, format_ = np.array([0.3, -1.7, 2.9, 2.8]), find_format(name)
    every = numbers_at(np.arange(-(1 << 15), 1 << 15), format_)
    with np.errstate(all="ignore"):
        every = np.unique(every[(np.abs(every.astype(float)) <= 1000)].astype(float))
    t = format_.round(every)
    methods = candidates(Function(function), METHODS, [find_shift("max")])
    range_ = Range(Motion.OFFSET, -1000.0, 1000.0)
    outcomes = Trial(x, range_, Function(function), methods, format_).at(t)
    found = stablelse.sweep(x, function, methods=["naive", "shifted"], formats=[name])
    for row, verdicts, ulps in zip(by_method(found), *outcomes, strict=True):
        assert all(segment.every for segment in row)
        assert sum(segment.tried for segment in row) == len(t)
        begin = 0
        for segment in row:
            part = slice(begin, begin + segment.tried)
            begin += segment.tried
            assert (t[part][0], t[part][-1]) == (segment.first, segment.last)
            # some may be better by chance, none worse
            assert VERDICTS[int(verdicts[part].max())] is segment.verdict
            if segment.verdict is Verdict.RIGHT:
                assert ulps[part].max() == segment.ulps <= 10


def test_in_wide_formats_it_is_told_how_many_were_tried():
    found = stablelse.sweep([0, 1, 2], formats=["float32", "float64"])
    right = [segment for segment in found.segments if segment.verdict is Verdict.RIGHT]
    assert right
    assert not any(segment.every for segment in right)
    assert all(segment.tried > 50 for segment in right)
    for text in (str(found), str(replace(found, intervals=True))):
        assert "results between may be worse" in " ".join(text.split())
        assert "every t" not in text
    short, options = str(stablelse.sweep([0], formats=["bfloat16"])), {"methods": ["shifted"]}
    assert "every t of bfloat16." in " ".join(short.split())
    long = stablelse.sweep(
        np.zeros(3000), **options, formats=["bfloat16"], offset=(-1, 1), points=3
    )
    assert not all(segment.every for segment in long.segments)


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_it_is_looked_around_where_digits_are_lost(name):
    """A few results in a thousand are more than 10 ulp off there: most of the stretch is found."""
    x = [-4.326, 1.307, -3.883, -1.111, -3.074, -1.44]
    found = stablelse.sweep(x, methods=["naive"], formats=[name])
    lost = [s for s in found.segments if s.verdict in (Verdict.DIGITS_LOST, Verdict.NO_DIGITS)]
    near = [s for s in lost if -2 < s.first < -1]
    assert near[-1].last - near[0].first > 0.2
    assert max(s.ulps for s in near) > 1e5


def assert_verdict(x, t, motion, function, segment, format_):
    """Compare a verdict with that of `compare` on x, moved by t."""
    rounded = format_.round(x)
    with np.errstate(all="ignore"):
        moved = rounded + t if motion is Motion.OFFSET else rounded * t
    if segment.verdict is Verdict.DOES_NOT_FIT:
        assert not np.isfinite(moved).all()
        return
    assert np.isfinite(moved).all()
    shifts = [segment.shift] if segment.shift else ["max"]
    comparison = stablelse.compare(
        moved, function, methods=[segment.method.value], shifts=shifts, formats=[segment.format]
    )
    own = segment.method, segment.shift
    result = next(r for r in comparison.results if (r.method, r.shift) == own)
    assert result.verdict is segment.verdict
    assert segment.verdict is not Verdict.RIGHT or result.ulps <= segment.ulps <= 10


_NUMBERS = st.lists(st.floats(-50, 50, width=16), min_size=1, max_size=5)


@settings(max_examples=10)
@given(
    _NUMBERS,
    st.sampled_from(FORMATS),
    st.sampled_from(["logsumexp", "softmax", "log_softmax"]),
    st.sampled_from([{"offset": (-1000, 1000)}, {"offset": (-30, 20)}, {"scale": (1e-3, 1e6)}]),
)
@example([0.0], "float64", "logsumexp", {"offset": (-1000, 1000)})
@example([-1.0, -2.0], "float32", "logsumexp", {"scale": (1e-3, 1e6)})
@example([0.0, -60.0], "float32", "softmax", {"offset": (-1000, 1000)})
def test_neighbours_have_the_two_verdicts(x, name, function, where):
    """At every change: the last number with one verdict, and the first with the next."""
    format_ = find_format(name)
    found = stablelse.sweep(x, function, formats=[name], points=40, **where)
    for row in by_method(found):
        for segment in row:
            for t in (segment.first, segment.last):
                assert_verdict(np.array(x), t, found.motion, function, segment, format_)
        for one, other in pairwise(row):
            assert one.verdict is not other.verdict
            assert above(one.last, format_) == other.first


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"offset": (1, 1)}, "the offset 1:1 is empty"),
        ({"offset": (np.nan, 1)}, "two finite ends"),
        ({"methods": []}, "no method: choose from naive, shifted"),
        ({"offset": 5}, "must be two numbers, not 5"),
        ({"scale": (1, 2, 3)}, "must be two numbers"),
        ({"offset": np.array([1, 1])}, "the offset 1:1 is empty"),
        ({"scale": (1, 2), "offset": (1, 2)}, "not both"),
        ({"formats": ["float16"], "offset": (1e5, 1e6)}, "float16 has no number in the offset"),
    ],
)
def test_what_cannot_be_swept(arguments, complaint):
    with pytest.raises(ChoiceError, match=complaint):
        stablelse.sweep([0, 1], **arguments)


@pytest.mark.parametrize("x", [[], [[1, 2]], 5])
def test_what_is_no_vector(x):
    with pytest.raises(ValueError, match="sweep takes"):
        stablelse.sweep(x)


def test_formats_without_a_number_in_the_range_are_left_out():
    found = stablelse.sweep([0], offset=(1e5, 1e6), methods=["shifted"])
    assert {segment.format for segment in found.segments} == {"float32", "float64"}


def test_the_whole_of_float64():
    largest = np.finfo(float).max
    found = stablelse.sweep([0], offset=(-largest, largest), formats=["float64"])
    naive, shifted, exact = by_method(found)
    assert [segment.verdict for segment in naive][-2:] == [Verdict.RIGHT, Verdict.OVERFLOW]
    for row in (shifted, exact):
        assert (row[0].first, row[-1].last) == (-largest, largest)
        assert row[0].verdict is Verdict.RIGHT


def test_longdouble():
    tried = {"methods": ["naive"], "formats": ["longdouble"], "points": 5}
    found = stablelse.sweep([0], offset=(1, 2e4), **tried)
    format_ = find_format("longdouble")
    assert found.segments[-2].last == format_.overflow_threshold
    right, lost, *_ = stablelse.sweep([0, 1], offset=(-2, -1), **tried).segments
    assert (right.verdict, lost.verdict) == (Verdict.RIGHT, Verdict.DIGITS_LOST)
    assert above(right.last, format_) == lost.first


def test_points_are_as_the_command_says():
    from stablelse.cli.options import OPTIONS

    assert f"[default: {POINTS}]" in OPTIONS["Methods"]["points"].help
