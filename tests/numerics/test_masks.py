"""Masked elements count as absent, and a policy decides about vectors with nothing left."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import stablelse
from stablelse.numerics.formats import FORMATS
from stablelse.numerics.rows import POLICIES, EmptyVectorError

NAMES = ("logsumexp", "softmax", "log_softmax")

#: Numbers of any size, infinities and NaN: a mask hides them all.
WILD = st.one_of(
    st.floats(-30, 30), st.floats(-800, 800), st.sampled_from([-np.inf, np.inf, np.nan, 0.0])
)


@st.composite
def masked_rows(draw, numbers=WILD):
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 12)))
    return draw(arrays(np.float64, shape, elements=numbers)), draw(arrays(np.bool_, shape))


def same(a, b):
    return np.array_equal(a, b, equal_nan=True)


@given(case=masked_rows(st.floats(-50, 50)), weight=st.integers(-3, 3))
def test_where_drops_weights_too(case, weight):
    x, where = case
    b = np.where(where, weight, np.nan)
    found = stablelse.logsumexp(x, axis=1, b=b, where=where, return_sign=True)
    for row, kept, y, sign in zip(x, where, *found, strict=True):
        right = stablelse.logsumexp(row[kept], b=np.full(kept.sum(), weight), return_sign=True)
        assert same(y, right[0])
        assert sign == right[1]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("axis", [None, 0, 1, (0, 2), -1])
def test_any_axis_and_broadcasting(name, axis):
    x = np.random.default_rng(1).normal(size=(3, 4, 5))
    where = np.array([True, False, True, True, False])
    whole = np.where(where, x, -np.inf)
    with np.errstate(all="raise"):
        found = getattr(stablelse, name)(x, axis=axis, where=where)
    assert np.array_equal(found, getattr(stablelse, name)(whole, axis=axis), equal_nan=True)


@pytest.mark.parametrize(
    "dtype", ["float8_e4m3fn", "float16", "float32", "longdouble", "int8", "uint64", "bool"]
)
def test_the_dtype_stays(dtype):
    x = np.ones((2, 3), FORMATS[dtype].dtype if dtype in FORMATS else dtype)
    where = [True, True, False]
    for name in NAMES:
        plain = getattr(stablelse, name)(x, axis=1)
        assert getattr(stablelse, name)(x, axis=1, where=where).dtype == plain.dtype
    assert stablelse.softmax(x, axis=1, where=where).tolist() == [[0.5, 0.5, 0]] * 2


def test_what_has_no_infinity_and_what_is_not_real():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = np.array([1, 1, 2], ml_dtypes.float8_e4m3fn)
    assert stablelse.softmax(x, where=[True, True, False]).tolist() == [0.5, 0.5, 0]
    assert stablelse.logsumexp(x, where=[False, False, True]) == 2
    found = stablelse.softmax([2**62 + 1, 2**62, 5], where=[True, True, False])
    assert found.tolist() == [*stablelse.softmax([1, 0]).tolist(), 0]
    z = np.array([1 + 2j, 3 - 1j, 2])
    assert stablelse.logsumexp(z, where=[False, True, False]) == z[1]
    assert stablelse.logsumexp(z, where=[True, True, False]) == stablelse.logsumexp(z[:2])
    assert z[2] == 2


#: softmax, then log_softmax, of [masked, -inf, -inf], and of three masked elements.
LEFT = {
    "nan": ([np.nan] * 3, [np.nan] * 3),
    "zero": ([0, 0, 0], [0, 0, 0]),
    "uniform": ([0, 0.5, 0.5], [1 / 3] * 3),
}


@pytest.mark.parametrize("empty", LEFT)
def test_policies(empty):
    x = np.array([[7, -np.inf, -np.inf], [1, 2, 3], [0, 0, -np.inf]])
    where = np.array([[False, True, True], [False] * 3, [True] * 3])
    options = {"axis": 1, "where": where, "empty": empty}
    right = np.array([*LEFT[empty], [0.5, 0.5, 0]])
    assert np.array_equal(stablelse.softmax(x, **options), right, equal_nan=True)
    with np.errstate(divide="ignore"):
        logarithms = np.log(right)
    assert same(stablelse.log_softmax(x, **options), logarithms)
    sums = stablelse.logsumexp(x, **options)
    assert sums.tolist() == [-np.inf, -np.inf, np.log(2)]


@pytest.mark.parametrize("name", NAMES)
def test_empty_vectors_can_be_errors(name):
    x = np.array([[[1.0, 2], [-np.inf, -np.inf]], [[3, 4], [5, 6]]])
    where = np.array([True, True])
    call = getattr(stablelse, name)
    with pytest.raises(EmptyVectorError, match=r"vector at \[0, 1, 0\].*only -inf$"):
        call(x, axis=-1, where=where, empty="error")
    with pytest.raises(EmptyVectorError, match=r"\[0, 0, 0\].*, and 3 more vectors are"):
        call(x, axis=-1, where=[False, False], empty="error")
    assert not np.isnan(call(x[1], axis=-1, empty="error")).any()
    with pytest.raises(EmptyVectorError):
        stablelse.logsumexp([1, 2], b=[1, 0], where=[False, True], empty="error")
    assert stablelse.logsumexp([1, 1], b=[1, -1], empty="error") == -np.inf


@pytest.mark.parametrize("empty", ["nan", "zero", "uniform"])
def test_a_number_is_a_vector_of_one(empty):
    one = {"nan": np.nan, "zero": 0, "uniform": 1}[empty]
    for axis in (None, 0, -1):
        found = stablelse.softmax(3.0, axis=axis, where=False, empty=empty)
        assert found.shape == ()
        assert np.array_equal(found, one, equal_nan=True)


@pytest.mark.parametrize("empty", ["zero", "uniform"])
def test_no_policy_hides_what_is_no_number(empty):
    x = [[np.nan, -np.inf], [np.inf, -np.inf]]
    assert np.isnan(stablelse.softmax(x, axis=1, empty=empty)).all()


@pytest.mark.parametrize("name", NAMES)
def test_complaints(name):
    call = getattr(stablelse, name)
    with pytest.raises(TypeError, match="where takes booleans, not int64: say where=mask != 0"):
        call([1, 2], where=np.array([0, 1]))
    with pytest.raises(ValueError, match=r"where of shape \(3,\) does not fit .* \(2,\)"):
        call([1, 2], where=[True] * 3)
    with pytest.raises(ValueError, match="unknown policy empty='one': choose from nan, zero"):
        call([1, 2], empty="one")


def test_every_policy_is_told():
    assert set(POLICIES) == {*LEFT, "error"}
    for name in POLICIES:
        assert f'"{name}"' in stablelse.softmax.__doc__
