"""The correctly rounded functions: every case of the table, and what their arguments mean."""

import itertools

import numpy as np
import oracle
import pytest
from cases import CASES
from families import rng_of

import stablelse
from stablelse import Certificate, Rung
from stablelse.numerics import decimals, exact, kernel, reference
from stablelse.numerics.formats import FORMATS, find_format, installed_formats

FLOAT64 = FORMATS["float64"]
NAMES = ("logsumexp", "softmax", "log_softmax")
INSTALLED = [f.name for f in installed_formats()]

CUBE = 3 * rng_of(17).normal(size=(3, 4, 5))
WEIGHTS = rng_of(18).normal(size=(3, 4, 5))


def rounded(case):
    """Return the x and the b of a case in its format."""
    format_ = find_format(case.dtype)
    x = format_.round(np.array(case.x, float))
    return x, None if case.b is None else format_.round(np.array(case.b))


def same(found, expected) -> bool:
    wide = [np.asarray(part).astype(np.longdouble) for part in (found, expected)]
    return np.array_equal(*wide, equal_nan=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_logsumexp_of_every_case(case):
    format_ = find_format(case.dtype)
    x, b = rounded(case)
    value, sign, certificate = stablelse.logsumexp(
        x, b=b, return_sign=True, return_certificate=True
    )
    assert type(value) is type(sign) is format_.dtype.type
    counts = np.ones(len(x)) if b is None else b
    if (x[counts != 0] < np.inf).all():
        truth, expected_sign = oracle.logsumexp(x, b)
        assert same(value, oracle.rounded_to(truth, format_))
        assert sign == expected_sign
    else:
        assert same(value, float(case.lse))
        assert certificate.rung is Rung.CONVENTION
    assert sum(certificate.settled.values()) == (1 if len(x) else 0)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("case", [c for c in CASES if c.b is None], ids=lambda case: case.name)
def test_elementwise_functions_of_every_case(case, name):
    format_ = find_format(case.dtype)
    x, _ = rounded(case)
    if not len(x):
        with pytest.raises(ValueError, match="of no elements"):
            getattr(stablelse, name)(x)
        return
    result, certificate = getattr(stablelse, name)(x, return_certificate=True)
    assert result.dtype == format_.dtype
    assert result.shape == x.shape
    assert sum(certificate.settled.values()) == x.size
    if not (x < np.inf).all() or not np.isfinite(x).any():
        assert np.isnan(result).all()
        assert certificate.settled == {Rung.CONVENTION: x.size}
    elif x.size <= 10:
        truth = getattr(oracle, name)(x)
        assert same(result, [oracle.rounded_to(value, format_) for value in truth])


AXES = [None, 0, 1, -1, -3, (0, 1), (2, 0), (-1, -2), (0, 1, 2), (), np.int64(1)]


def described(result):
    """Return type, dtype and shape of what a function returned."""
    if isinstance(result, tuple):
        return tuple(described(part) for part in result)
    return type(result), result.dtype, result.shape


def rows_along(x, axis):
    """Return the vectors along the axes, in rows."""
    if axis is None:
        return x.reshape(1, -1)
    along = [i % x.ndim for i in np.atleast_1d(np.array(axis, int))]
    kept = [i for i in range(x.ndim) if i not in along]
    n = int(np.prod([x.shape[i] for i in along]))
    return x.transpose(kept + along).reshape(-1, n)


@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_axes(name, axis):
    """Shapes are those of the library's functions; values, those of each vector alone."""
    result = getattr(stablelse, name)(CUBE, axis=axis)
    assert described(result) == described(getattr(stablelse, name)(CUBE, axis=axis))
    alone = [getattr(stablelse, name)(row) for row in rows_along(CUBE, axis)]
    found = np.ravel(result) if name == "logsumexp" else rows_along(result, axis)
    assert np.array_equal(found, alone)


@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("b", [None, WEIGHTS, WEIGHTS[0], 2.0, WEIGHTS[:, :1, :1]], ids=np.shape)
def test_weights_keepdims_and_signs(axis, keepdims, b):
    arguments = {"axis": axis, "b": b, "keepdims": keepdims}
    unsigned = stablelse.logsumexp(CUBE, **arguments)
    assert described(unsigned) == described(stablelse.logsumexp(CUBE, **arguments))
    value, sign = stablelse.logsumexp(CUBE, **arguments, return_sign=True)
    _, expected_sign = stablelse.logsumexp(CUBE, **arguments, return_sign=True)
    assert described((value, sign)) == described((unsigned, expected_sign))
    assert np.array_equal(sign, expected_sign)
    assert np.array_equal(unsigned, np.where(sign < 0, np.nan, value), equal_nan=True)
    weights = np.broadcast_to(1.0 if b is None else b, CUBE.shape)
    rows = zip(rows_along(CUBE, axis), rows_along(weights, axis), strict=True)
    alone = [decimals.logsumexp(x, FORMATS["float64"], w)[0] for x, w in rows]
    assert np.array_equal(np.ravel(value), alone)


@pytest.mark.parametrize("source", INSTALLED)
@pytest.mark.parametrize("target", INSTALLED)
def test_from_every_format_to_every_other(source, target):
    """A result is rounded once, from the exact value for the numbers given."""
    x = FORMATS[source].round(CUBE[0] / 2)
    format_ = FORMATS[target]
    for given in (format_.dtype, format_.dtype.type):
        for name in NAMES:
            result = getattr(stablelse, name)(x, axis=1, dtype=given)
            assert result.dtype == format_.dtype
            rows = [getattr(decimals, name)(row, format_) for row in x]
            expected = [row[0] for row in rows] if name == "logsumexp" else rows
            assert same(result, expected)


@pytest.mark.parametrize("name", NAMES)
def test_layouts_do_not_matter(name):
    function = getattr(stablelse, name)
    expected = function(CUBE, axis=1)
    frozen = CUBE.copy()
    frozen.flags.writeable = False
    swapped = CUBE.astype(CUBE.dtype.newbyteorder())
    wide = np.zeros((3, 8, 5))
    wide[:, ::2] = CUBE
    for x in (np.asfortranarray(CUBE), frozen, swapped, wide[:, ::2], CUBE.tolist()):
        result = function(x, axis=1)
        assert result.dtype == np.float64
        assert result.dtype.isnative
        assert np.array_equal(result, expected)
    for turned in ((slice(None, None, -1),), (slice(None), slice(None), slice(None, None, -1))):
        along = turned if name != "logsumexp" else tuple(s for i, s in enumerate(turned) if i != 1)
        assert np.array_equal(function(CUBE[turned], axis=1), expected[along])
    assert np.array_equal(CUBE, frozen)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["?", "b", "B", "h", "H", "i", "I", "q", "Q"])
def test_integers_and_bools_compute_in_float64(name, dtype):
    x = np.array([[1, 0, 1], [0, 0, 1]], dtype=dtype)
    result = getattr(stablelse, name)(x, axis=1)
    assert result.dtype == np.float64
    assert np.array_equal(result, getattr(stablelse, name)(x.astype(float), axis=1))


@pytest.mark.parametrize("x", [5.0, 5, True, np.float32(1.5), np.array(2.5), [1, 2], np.int8(3)])
@pytest.mark.parametrize("name", NAMES)
def test_scalars_and_lists(name, x):
    result = getattr(stablelse, name)(x)
    assert described(result) == described(getattr(stablelse, name)(x))
    if np.ndim(x) == 0:
        assert result == {"logsumexp": x, "softmax": 1, "log_softmax": 0}[name]


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 4)])
def test_nothing(shape):
    x = np.zeros(shape)
    for axis in range(-len(shape), len(shape)):
        expected = stablelse.logsumexp(x, axis=axis)
        value, certificate = stablelse.logsumexp(x, axis=axis, return_certificate=True)
        assert described(value) == described(expected)
        assert np.array_equal(value, expected)
        assert certificate == Certificate({}, 0, 0.0)
    value, sign = stablelse.logsumexp(x, return_sign=True)
    assert (value, sign) == (-np.inf, 0)
    for name in ("softmax", "log_softmax"):
        with pytest.raises(ValueError, match="of no elements"):
            getattr(stablelse, name)(x)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"x": ["a"]}, TypeError),
        ({"x": np.ma.array([1.0], mask=[True])}, TypeError),
        ({"x": [1.0], "dtype": "int64"}, TypeError),
        ({"x": [1.0], "axis": 1}, ValueError),
        ({"x": [[1.0]], "axis": (0, 0)}, ValueError),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_errors(name, arguments, error):
    x, *rest = arguments.values()
    keywords = dict(zip(list(arguments)[1:], rest, strict=True))
    with pytest.raises(error):
        getattr(stablelse, name)(x, **keywords)


@pytest.mark.parametrize("arguments", [{"x": [1 + 2j]}, {"x": [1.0], "dtype": complex}])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_nothing_is_proved_of_complex_elements(name, arguments):
    with pytest.raises(TypeError, match="complex"):
        getattr(stablelse, name)(**arguments)


SPECIAL = [np.inf, -np.inf, np.nan, 0.0, 1.5]


@pytest.mark.parametrize("x", list(itertools.combinations_with_replacement(SPECIAL, 2)), ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_conventions_are_those_of_every_format(name, x):
    function = getattr(stablelse, name)
    for dtype in ("float32", "longdouble"):
        found, right = function(np.array(x, dtype)), function(np.array(x))
        assert np.array_equal(np.float32(found), np.float32(right), equal_nan=True)


def hard_rows():
    """Rows of which the first rung settles all but one, and the last one cannot be rounded."""
    x = rng_of(2).normal(size=(100, 5)) + 3
    x[7] = [-np.log(2), -np.log(2), -np.inf, -np.inf, -np.inf]
    x[50] = [-0.775, -0.6174903, -np.inf, -np.inf, -800]
    x[99, 3] = np.nan
    return x


def test_the_references_certificate_counts_every_result_once():
    x = hard_rows()
    *_, certificate = reference.logsumexp(x, FLOAT64)
    settled = certificate.settled
    assert settled[Rung.CONVENTION] == 1
    assert settled[Rung.DOUBLE_WORD] == 98
    assert sum(settled.values()) == 100
    assert certificate.climbs == 1
    assert certificate.rung is max(settled, key=list(Rung).index)
    assert certificate.rung is Rung.TRIPLE_WORD
    assert 0 < certificate.bound < 0.5
    for name in ("softmax", "log_softmax"):
        result, certificate = getattr(reference, name)(x, FLOAT64)
        assert sum(certificate.settled.values()) == x.size == result.size
        assert certificate.settled[Rung.CONVENTION] >= np.isnan(result).sum() == 5
        first = certificate.settled[Rung.DOUBLE_WORD]
        assert certificate.climbs >= x.size - first - certificate.settled[Rung.CONVENTION]


@pytest.mark.parametrize("name", INSTALLED)
@pytest.mark.parametrize("weighted", [False, True])
def test_certificates_add_up_in_every_format(name, weighted):
    x = FORMATS[name].round(CUBE)
    b = FORMATS[name].round(WEIGHTS) if weighted else None
    for axis, count in ((None, 1), (0, 20), ((0, 2), 4)):
        *_, certificate = stablelse.logsumexp(x, axis=axis, b=b, return_certificate=True)
        assert sum(certificate.settled.values()) == count
        assert isinstance(certificate, Certificate)
        assert set(certificate.settled) <= set(Rung)
        assert 0 <= certificate.climbs <= count
        assert 0 <= certificate.bound < 0.5


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_long_vectors_are_settled_by_the_first_rung(name):
    """A second one would have to add up all of the vector again."""
    x = rng_of(19, name).normal(size=300_000)
    _, certificate = getattr(reference, name)(x[np.newaxis], FLOAT64)
    assert certificate.settled == {Rung.DOUBLE_WORD: x.size}


@pytest.mark.parametrize("name", ["float64", "float32", "float16"])
def test_where_one_entry_dominates_ties_are_settled_together(name):
    """Log-sum-exp exceeds the largest x by less than any rung sees: x - x_max, but for ties."""
    format_ = FORMATS[name]
    x = format_.round(400 * rng_of(20).normal(size=(3, 300)))
    x[:, 0] = 4096 + 8 * np.arange(3)
    x[:, 1] = 4  # without x_max's last bits, or with half of a unit in the difference's last place
    x[:, 2] = [-2048, -np.inf, x[2, 0]]  # the third row has the largest x twice
    result, certificate = reference.log_softmax(x, format_)
    differences = x.astype(np.longdouble) - x.max(axis=1, keepdims=True)
    assert (format_.round(differences[:2]) != result[:2]).any()
    for row, found in zip(x, result, strict=True):
        assert np.array_equal(found, decimals.log_softmax(row, format_))
    assert Rung.DECIMAL not in certificate.settled
    assert 0 < certificate.bound < 0.25


@pytest.mark.parametrize("name", ["float64", "float32", "float16"])
def test_what_is_next_to_zero_takes_no_decimals(name):
    """The log_softmax of a largest x that dominates, by exp(-12) to exp(-120), and such sums."""
    format_ = FORMATS[name]
    rng = rng_of(21)
    x = format_.round(-rng.uniform(12, 120, (60, 1)) + rng.normal(size=(60, 9)))
    x[:, 3] = 0
    for function in (stablelse.logsumexp, stablelse.log_softmax):
        result, certificate = function(x, axis=1, return_certificate=True)
        assert Rung.DECIMAL not in certificate.settled
        expected = [getattr(decimals, function.__name__)(row, format_) for row in x]
        if function is stablelse.logsumexp:
            expected = [value for value, _ in expected]
        assert np.array_equal(result, expected)


@pytest.mark.parametrize("distance", [0.01, 7, 690, 760, 1400])
def test_the_largest_may_be_anything(distance):
    x = np.array([[-1, 0, 1], [600, 601, 2], [-700, -720, -701], [5000, 4000, 4990]], float)
    x = np.concatenate([x.max(axis=1, keepdims=True) + distance, x], axis=1)
    for row, found in zip(x, stablelse.log_softmax(x, axis=1), strict=True):
        assert np.array_equal(found, decimals.log_softmax(row, FLOAT64))


@pytest.mark.parametrize("n", [100, 70_000, 150_000])
@pytest.mark.parametrize("largest", [-27.0, 0.0, 300.0])
def test_far_below_a_small_sum_nothing_is_taken_for_granted(n, largest):
    """Elements far below the rest, of vectors in one piece and in several."""
    x = rng_of(22).uniform(-660, -590, n)
    x[n // 2] = largest
    some = np.array([0, 1, 2, 3, n // 2, n - 2, n - 1])  # the others are nothing to the sum
    assert np.array_equal(stablelse.softmax(x)[some], decimals.softmax(x[some], FLOAT64))


def test_without_asking_there_is_no_certificate():
    assert (
        stablelse.logsumexp([1.0, 2.0])
        == stablelse.logsumexp([1.0, 2.0], return_certificate=True)[0]
    )
    value, sign, certificate = stablelse.logsumexp(
        [1.0, 2.0], return_sign=True, return_certificate=True
    )
    assert (value, sign) == (2.313261687518223, 1)
    assert certificate.kernel == kernel.name()
    assert certificate.rung is (
        Rung.KERNEL if exact.rungs()[0] is Rung.KERNEL else Rung.DOUBLE_WORD
    )


@pytest.mark.skipif(kernel.load() is None, reason="the reference is selected")
def test_a_certificate_names_the_kernel_and_counts_what_the_reference_settles():
    x = np.array([[1000.0, 1000, -np.inf], [1, 2, 3], [np.inf, 0, 0], [-np.inf] * 3])
    b = np.array([[1.0, -1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1]])
    for dtype in ("float64", "float32"):  # in the first row all terms cancel
        *_, certificate = stablelse.logsumexp(
            x.astype(dtype), 1, b.astype(dtype), return_certificate=True
        )
        expected = {Rung.CONVENTION: 2, Rung.KERNEL: 1, Rung.DECIMAL: 1}
        assert certificate.settled == expected
        assert (certificate.climbs, certificate.reference) == (1, 1)
        assert certificate.kernel == kernel.available()[0]
    _, certificate = stablelse.softmax(x, 1, where=x < 1000, return_certificate=True)
    assert certificate.settled == {Rung.CONVENTION: 7, Rung.KERNEL: 5}
    assert (certificate.climbs, certificate.reference) == (0, 0)
    _, certificate = stablelse.softmax(x.astype(np.longdouble), 1, return_certificate=True)
    assert (certificate.kernel, certificate.reference) == ("reference", 6)
