"""The public functions: arguments mean what they mean in SciPy, and results are better."""

import itertools
import warnings

import numpy as np
import oracle
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import stablelse
from stablelse.numerics.formats import FORMATS

FLOAT64 = FORMATS["float64"]
NAMES = ("logsumexp", "softmax", "log_softmax")


def quiet(function):
    """Wrap one of SciPy's functions to silence its warnings."""

    def wrapped(*args, **kwargs):
        with np.errstate(all="ignore"):
            return function(*args, **kwargs)

    return wrapped


OURS = {name: getattr(stablelse, name) for name in NAMES}
SCIPYS = {name: quiet(getattr(scipy.special, name)) for name in NAMES}

RNG = np.random.default_rng(7)
CUBE = RNG.normal(size=(3, 4, 5))
WEIGHTS = RNG.normal(size=(3, 4, 5))


def outcome(function, *args, **kwargs):
    """Return the result of a call, or the exception that it raises."""
    try:
        return function(*args, **kwargs)
    except Exception as error:
        return error


def assert_same(ours, theirs, ulps=64):
    """Equal types, dtypes and shapes; equal values except for SciPy's rounding errors."""
    if isinstance(theirs, tuple):
        assert isinstance(ours, tuple)
        for a, b in zip(ours, theirs, strict=True):
            assert_same(a, b)
        return
    assert (type(ours), ours.dtype, ours.shape) == (type(theirs), theirs.dtype, theirs.shape)
    unit = np.spacing(np.maximum(abs(theirs), 1).astype(theirs.real.dtype))
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    with np.errstate(invalid="ignore"):
        close = (ours == theirs) | (abs(ours - theirs) <= ulps * unit) | np.isnan(theirs)
    assert np.all(close)


AXES = [None, 0, 1, -1, -3, (0, 1), (2, 0), (-1, -2), (0, 1, 2), (), np.int64(1)]


@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("name", NAMES[1:])
def test_axes(name, axis):
    assert_same(OURS[name](CUBE, axis=axis), SCIPYS[name](CUBE, axis=axis))


@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("b", [None, WEIGHTS, WEIGHTS[0], 2.0, WEIGHTS[:, :1, :1]], ids=np.shape)
def test_weights_keepdims_and_signs(axis, keepdims, b):
    for signed in (False, True):
        arguments = {"axis": axis, "b": b, "keepdims": keepdims, "return_sign": signed}
        assert_same(stablelse.logsumexp(CUBE, **arguments), SCIPYS["logsumexp"](CUBE, **arguments))


@pytest.mark.parametrize("name", NAMES)
def test_strides_do_not_matter(name):
    for x in (CUBE[::-1, ::2, ::-2], CUBE.T, np.asfortranarray(CUBE), CUBE[:, None, 1]):
        for axis in (None, 0, 1, -1):
            ours = OURS[name](x, axis=axis)
            assert np.array_equal(ours, OURS[name](np.ascontiguousarray(x), axis=axis))
            assert_same(ours, SCIPYS[name](x, axis=axis))


@pytest.mark.parametrize("dtype", ["e", "f", "d", "g", ">f4", "F", "D", "G", *"?bBhHiIqQ"])
@pytest.mark.parametrize("name", NAMES)
def test_a_floating_dtype_stays_what_it_is_and_others_give_float64(name, dtype):
    x = CUBE[0].astype(dtype)
    if x.dtype.kind == "c" and name != "logsumexp":
        return
    for axis in (1, None):
        if x.dtype.kind in "fc":
            assert_same(OURS[name](x, axis=axis), SCIPYS[name](x, axis=axis))
        else:
            found, expected = OURS[name](x, axis=axis), OURS[name](x.astype(float), axis=axis)
            assert found.dtype == np.float64
            assert np.array_equal(found, expected)


SCALARS = [5.0, 5, True, np.float32(1.5), np.array(2.5), [1, 2, 3], [[1.5, 2], [3, 4]], 1 + 4j]


@pytest.mark.parametrize("x", SCALARS, ids=str)
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_scalars_and_lists(x, axis):
    for keepdims in (False, True):
        arguments = {"axis": axis, "keepdims": keepdims}
        assert_same(stablelse.logsumexp(x, **arguments), SCIPYS["logsumexp"](x, **arguments))
    for name in ("softmax", "log_softmax"):
        if x is not True and x != 1 + 4j:  # SciPy cannot subtract them, and we refuse them
            assert_same(OURS[name](x, axis=axis), SCIPYS[name](x, axis=axis))


PROMOTIONS = [
    (np.float32, 2.0),
    (np.float32, 2),
    (np.float32, [1.0, 2.0]),
    (np.float32, np.array([1, 2], np.int8)),
    (np.float32, np.array([1, 2])),
    (np.float16, np.array([1, 2], np.uint8)),
    (np.float16, np.float32(3)),
    (np.int64, np.array([1, 2], np.float32)),
    (np.int8, 3),
    (np.float64, np.array([1, 2], np.longdouble)),
    (np.float32, 1j),
    (np.float64, np.array([1j, 1])),
]


@pytest.mark.parametrize(("dtype", "b"), PROMOTIONS)
def test_weights_are_promoted_as_numpy_promotes(dtype, b):
    a = np.array([1, 2], dtype=dtype)
    assert_same(stablelse.logsumexp(a, b=b), SCIPYS["logsumexp"](a, b=b))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 4)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_nothing_sums_to_nothing(shape, keepdims):
    x = np.zeros(shape)
    for axis in range(-len(shape), len(shape)):
        ours = stablelse.logsumexp(x, axis=axis, keepdims=keepdims)
        assert_same(ours, SCIPYS["logsumexp"](x, axis=axis, keepdims=keepdims))
        for name in ("softmax", "log_softmax"):
            expected = outcome(SCIPYS[name], x, axis=axis)
            result = outcome(OURS[name], x, axis=axis)
            if isinstance(expected, Exception):
                assert type(result) is type(expected) is ValueError
            else:
                assert_same(result, expected)
    value, sign = stablelse.logsumexp(x, return_sign=True)
    assert (value, sign) == (-np.inf, 0)
    assert stablelse.logsumexp(x.astype(complex)) == -np.inf


ERRORS = [
    ((CUBE,), {"axis": 3}),
    ((CUBE,), {"axis": -4}),
    ((CUBE,), {"axis": (0, 0)}),
    ((CUBE,), {"axis": (0, 3)}),
    ((CUBE,), {"axis": 1.0}),
    ((CUBE,), {"axis": "0"}),
    ((5.0,), {"axis": 1}),
    (([[1, 2], [3]],), {}),
    (([1.0, 2.0],), {"b": [1, 2, 3]}),
    (([1.0, 2.0],), {"b": np.zeros((4, 4))}),
]


@pytest.mark.parametrize(("args", "kwargs"), ERRORS)
@pytest.mark.parametrize("name", NAMES)
def test_errors_are_scipys(name, args, kwargs):
    if "b" not in kwargs or name == "logsumexp":
        theirs, ours = outcome(SCIPYS[name], *args, **kwargs), outcome(OURS[name], *args, **kwargs)
        assert isinstance(ours, Exception)
        assert isinstance(theirs, type(ours))
        assert "b" not in kwargs or str(ours).startswith("b of shape")


WEIGHTS_OF_NOTE = [0.0, 1.0, -2.0, np.inf, -np.inf, np.nan]
SPECIAL = [np.inf, -np.inf, np.nan, 0.0, 1.5]


@pytest.mark.parametrize("x", list(itertools.combinations_with_replacement(SPECIAL, 2)), ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64", "longdouble"])
def test_special_values(dtype, x):
    x = np.array(x, dtype)
    for name in NAMES:
        ours = OURS[name](x)
        if name == "log_softmax" and np.inf in x:  # SciPy gives -inf beside a NaN
            assert np.isnan(ours).all()
        else:
            assert_same(ours, SCIPYS[name](x))


@pytest.mark.parametrize("b", list(itertools.product(WEIGHTS_OF_NOTE, repeat=2)), ids=str)
@pytest.mark.parametrize("x", list(itertools.product([np.inf, -np.inf, 1.5], repeat=2)), ids=str)
def test_special_weights(x, b):
    value, sign = stablelse.logsumexp(x, b=b, return_sign=True)
    with np.errstate(all="ignore"):
        terms = [b_i * np.exp(x_i) for x_i, b_i in zip(x, b, strict=True) if b_i != 0]
        total = np.sum(terms)
        expected = np.log(abs(total))
    if np.isfinite(expected):
        assert oracle.ulp_error(value, oracle.as_mpf(expected), FLOAT64) <= 4
        assert sign == np.sign(total)
    else:
        assert np.array_equal([value, sign], [expected, np.sign(total)], equal_nan=True)
    unsigned = stablelse.logsumexp(x, b=b)
    expected = np.nan if sign < 0 else value
    assert np.array_equal(unsigned, expected, equal_nan=True)


def test_infinite_rows_leave_the_others_alone():
    rows = np.array([[np.inf, 1], [1000, 1], [np.nan, np.inf], [-np.inf, -np.inf], [2, -np.inf]])
    assert np.array_equal(
        stablelse.logsumexp(rows, axis=1), [np.inf, 1000, np.nan, -np.inf, 2], equal_nan=True
    )
    for function, last in ((stablelse.softmax, [1, 0]), (stablelse.log_softmax, [0, -np.inf])):
        result = function(rows, axis=1)
        assert np.isnan(result[[0, 2, 3]]).all()
        assert np.array_equal(result[4], last)
        assert np.array_equal(result[1], function(rows[1]))


def test_no_warning_for_any_number():
    numbers = [0.0, -0.0, 5e-324, 1e308, -1e308, 745.0, -745.0, np.inf, -np.inf, np.nan]
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        for x in itertools.combinations(numbers, 2):
            for dtype in ("float16", "float32", "float64", "longdouble"):
                with np.errstate(all="ignore"):
                    row = np.array(x).astype(dtype)
                for function in OURS.values():
                    function(row)
                stablelse.logsumexp(row, b=[1, -0.5])


MODERATE = st.floats(-500, 500)
VECTORS = arrays(np.float64, st.integers(1, 60), elements=MODERATE)


@given(VECTORS, st.randoms(use_true_random=False))
def test_properties(x, random):
    y, shuffled = stablelse.logsumexp(x), x.copy()
    assert x.max() <= y <= np.nextafter(x.max() + np.log(x.size) * (1 + 1e-15), np.inf)
    random.shuffle(shuffled)
    assert stablelse.logsumexp(shuffled) == y
    p = stablelse.softmax(x)
    assert ((p >= 0) & (p <= 1)).all()
    assert abs(p.sum() - 1) <= (x.size + 6) * 2.0**-53


@given(st.lists(st.tuples(MODERATE, st.integers(0, 4)), min_size=1, max_size=12))
def test_weights_are_repeated_entries(pairs):
    x, counts = map(np.array, zip(*pairs, strict=True))
    repeated = np.repeat(x, counts)
    assert stablelse.logsumexp(x, b=counts) == stablelse.logsumexp(repeated)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float8_e4m3fn", "float32"])
def test_weights_of_every_kind_have_a_result_type(name):
    dtype = FORMATS[name].dtype
    x = np.array([0, 1]).astype(dtype)
    for b in (2, 2.0, dtype.type(2)):
        for where in (None, True, [True, True]):
            assert stablelse.logsumexp(x, b=b, where=where).dtype == dtype
    assert stablelse.logsumexp(x, b=[1, 2]).dtype == np.float64


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", NAMES)
def test_a_dtype_may_be_another_object(name, dtype):
    x = np.array([0.5, -1, 2], dtype)
    told = x.astype(np.dtype(dtype, metadata={"unit": "nat"}))
    assert told.dtype is not x.dtype
    found = OURS[name](told)
    assert found.dtype == x.dtype
    assert np.array_equal(found, OURS[name](x))


@pytest.mark.parametrize("x", [[0.5, [1.0]], [0.5, None], [0.5, "1"]], ids=str)
def test_a_list_of_other_things_is_the_same_error_in_every_way(x):
    few_numbers, more = outcome(stablelse.softmax, x), outcome(stablelse.softmax, x, threads=1)
    assert isinstance(few_numbers, (TypeError, ValueError))
    assert (type(few_numbers), str(few_numbers)) == (type(more), str(more))
