"""Every kernel against the reference: identical results, on all families and shapes."""

import itertools

import numpy as np
import pytest
from families import FAMILIES, rng_of
from fuzz.properties import computed, same

import stablelse
from stablelse.numerics import exact, kernel, threads
from stablelse.numerics.formats import FORMATS, installed_formats
from stablelse.numerics.rows import Rows

FUNCTIONS = ["logsumexp", "softmax", "log_softmax"]
DTYPES = [format_.name for format_ in installed_formats() if format_.name in kernel.FORMATS]
COMPILED = [name for name in kernel.available() if name != kernel.REFERENCE]

needs_kernel = pytest.mark.skipif(kernel.load() is None, reason="the reference is selected")


def by(name, function, rows, *weights):
    """Compute a function of rows with the kernel of that name, and the signs with weights."""
    found = computed(name, function, rows, None, *weights)
    return np.stack(found) if weights else found[0]


def assert_same_bits(found, right):
    assert found.dtype == right.dtype
    assert same(*(each.astype(np.longdouble) for each in (found, right)))


@needs_kernel
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_all_kernels_have_the_bits_of_the_reference(family, dtype):
    format_ = FORMATS[dtype]
    if family.startswith("next to"):
        pytest.importorskip("flint")
    if not FAMILIES[family].suits(format_):
        pytest.skip("a family of other formats")
    for x, b in FAMILIES[family].stacks(format_, 40, rng_of(7, family, dtype), 700, parts=6):
        if x.dtype != format_.dtype:
            pytest.skip("for the reference alone")
        weights = () if b is None else (b,)
        for function in FUNCTIONS[:1] if weights else FUNCTIONS:
            right = by(kernel.REFERENCE, function, x, *weights)
            for name in COMPILED:
                assert_same_bits(by(name, function, x, *weights), right)


@needs_kernel
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", COMPILED)
def test_rows_in_every_layout(name, dtype):
    rng, format_ = np.random.default_rng(5), FORMATS[dtype]
    for m, n in itertools.product((1, 3, 9, 33), (1, 2, 7, 8, 9, 31, 33, 127, 129, 1020, 2041)):
        x = format_.round(rng.normal(0, 5, (m, n)))
        if format_.has_infinity:
            x[rng.random(x.shape) < 0.1] = -np.inf
        if m > 2:
            x[1, n // 2] = rng.choice([np.nan, np.inf])
            x[2] = -np.inf
        wide = np.zeros((2 * m, 3 * n + 1), x.dtype)
        wide[::2, 1::3] = x
        unaligned = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape)
        for function in FUNCTIONS:
            right = by(kernel.REFERENCE, function, x)
            backward = x[:, ::-1].copy()[:, ::-1]
            for view in (x, backward, np.asfortranarray(x), wide[::2, 1::3], unaligned):
                assert_same_bits(by(name, function, view), right)
            assert_same_bits(by(name, function, x[::-1])[::-1], right)
        every = np.broadcast_to(x[0], (4, n))
        assert_same_bits(by(name, "softmax", every)[3], by(name, "softmax", x[:1])[0])


@needs_kernel
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_arrays_along_every_axis(function, dtype):
    call, x = getattr(stablelse, function), np.random.default_rng(2).normal(size=(3, 4, 1, 5))
    x = FORMATS[dtype].round(x)
    for view in (x, x[::-1], x[:, ::2], x.T, x[0], x[0, :, 0], x[..., 0], np.asfortranarray(x)):
        for axis in (*range(-view.ndim, view.ndim), None):
            alone = np.ones(view.shape, bool)  # a mask takes the general path
            found, right = call(view, axis=axis), call(view, axis=axis, where=alone)
            assert type(found) is type(right)
            assert (found.dtype, found.shape) == (right.dtype, right.shape)
            assert np.array_equal(found, right)


@needs_kernel
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", COMPILED)
def test_weights_of_all_kinds(name, dtype):
    rng, format_ = np.random.default_rng(8), FORMATS[dtype]
    special = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, format_.largest, -format_.largest]
    for m, n in itertools.product((1, 3, 20), (1, 2, 9, 40, 100)):
        x, b = (format_.round(rng.normal(0, 2, (m, n))) for _ in range(2))
        for part in (x, b):
            here = rng.random(part.shape) < 0.1
            part[here] = format_.round(rng.choice(special, here.sum()).astype(float))
        right = by(kernel.REFERENCE, "logsumexp", x, b)
        for one, other in ((x, b), (np.asfortranarray(x), b), (x[:, ::-1], b[:, ::-1])):
            assert_same_bits(by(name, "logsumexp", one, other), right)


@needs_kernel
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_long_row_in_pieces(function, monkeypatch):
    monkeypatch.setattr(threads, "_SHARE", 16)
    rng = np.random.default_rng(6)
    for n in (448, 450, 1000, 5001):
        rows = rng.normal(0, 3, (6, n))
        rows[1, -1] += 400
        rows[2] -= stablelse.logsumexp(rows[2])
        rows[3, : n // 2] = -np.inf
        rows[4, 0] = np.nan
        rows[5] = 1e300 * rows[5]
        for x in rows[:, np.newaxis]:
            right = by(kernel.REFERENCE, function, x)
            for count in (2, 3, 7):
                y = np.full(right.shape, 5.0)
                exact._settle_long(FUNCTIONS.index(function), Rows(x, x.dtype), y, count)
                assert_same_bits(y, right)
                with threads.limited(count):
                    found = exact.evaluate(function, Rows(x, x.dtype)).value
                assert_same_bits(found, right)


@needs_kernel
def test_results_in_doubt_are_settled_in_their_places():
    """As if the kernel had left these, or all, in doubt."""
    x = np.random.default_rng(4).normal(size=(6, 9))
    right = stablelse.softmax(x, axis=1)
    for indices in ([0], [13, 14, 53], range(54)):
        y = np.where(np.isin(np.arange(54), indices).reshape(x.shape), np.nan, right)
        exact._settle_direct(1, x, 1, y, np.array(indices))
        assert np.array_equal(y, right)
    sums = stablelse.logsumexp(x, axis=1)
    y = np.where([True, False, False, False, False, True], np.nan, sums)
    exact._settle_direct(0, x, -1, y, np.array([0, 5]))
    assert np.array_equal(y, sums)


@needs_kernel
def test_anything_else_is_left_to_others():
    class Special(np.ndarray):
        pass

    x = np.zeros((3, 4))
    others = [
        (x.tolist(), None), (1.0, None), (None, None), (np.zeros(()), None), (np.zeros(0), None),
        (np.zeros((2, 0)), 1), (x.astype(">f8"), 1), (x.astype(int), 1), (x.astype(complex), 1),
        (x.view(Special), 1), (x, 2), (x, -3), (x, (1,)), (x, True), (x, "1"), (x, 2**80),
        (x[:, ::2], None), (np.zeros(2**18 + 1), None), (np.zeros(8, np.uint8).view(">f4"), 0),
    ]  # fmt: skip
    for function in FUNCTIONS:
        for array, axis in others:
            assert exact.directly[function](array, axis) is None, (array, axis)
        for arguments in ([], [x], [x, 1, 2]):
            with pytest.raises(TypeError):
                exact.directly[function](*arguments)


def refused():
    """Return, by function of the module, arguments of other types, shapes, layouts and ranges."""
    x, mask, labels = np.zeros((3, 4)), np.ones((3, 4), bool), np.zeros(3, np.int64)
    y, y1, signs, read_only = x.copy(), np.zeros(3), np.zeros(3, np.int8), x.copy()
    read_only.flags.writeable = False
    sums = exact.compiled.sum_piece(1, x, y, None, 0, 4)
    words, factors, targets = np.zeros((3, 3)), np.zeros((3, 4)), np.zeros((2, 3, 4), "f4")
    return {
        "rows": [
            [None], [1, x, None], [4, x, y, None], [-1, x, y, None], [0, x, y, None],
            [1, x, y1, None], [1, x[0], np.zeros(4), None], [1, x, np.zeros((4, 3)).T, None],
            [1, x, y.astype("f4"), None], [1, x, read_only, None], [1, x.astype(int), y, None],
            ["1", x, y, None], [1, np.zeros((3, 0)), np.zeros((3, 0)), None],
            [0, x, np.zeros(4), None], [1, x, y], [1, x, y, mask[:2]], [1, x, y, x], [1, x, y, 1],
            [1, x, y, None, x, signs], [0, x, y1, None, x, y1], [0, x, y1, None, x[:2], signs],
            [0, x, y1, None, x, None], [0, x, y1, mask, x], [0, x, y1, mask, x.astype("f4"), signs],
        ],
        "sum_piece": [[1, x, y, None, *ends] for ends in ((0, 5), (-1, 2), (2, 2), (3, 1))],
        "settle_piece": [
            [], [1, x, y, None, 0], [1, x, y, None, 0, 4], [1, x, y, 0, 0, 4, sums],
            [1, x, y, None, "0", 4, sums], [1, x, y, None, 0, 4, b"sum"],
        ],
        "know": [[], [9, x], [-1, x], [0, 1.0], ["0", x]],
        "use": [["v9"], ["reference"]],
        "attach": [[], [x]],
        "losses": [
            [], [x, labels, None, words], [1, labels, None, words, None],
            [x[0], labels, None, words, None], [x, labels[:2], None, words, None],
            [x, labels.astype(np.int32), None, words, None], [x, labels, x, words, None],
            [x, labels, None, words[:2], None], [x, labels, None, None, None],
            [x, labels, None, words.astype("f4"), None], [x, labels, None, words, targets],
            [x, labels, None, np.zeros((3, 6))[:, ::2], None], [x, labels, None, words, x],
            [x, labels - 1, None, words, None], [x, labels + 4, None, words, None],
        ],
        "gradients": [
            [x, labels, None, y, factors], [x, labels, None, words, factors, None],
            [x, labels, None, x.astype("f4"), factors, None],
            [x, labels, None, None, factors, None], [x, labels, None, y, words, None],
            [x, labels, None, y, factors, x], [x, labels, None, y, factors, targets],
        ],
    }  # fmt: skip


@needs_kernel
def test_what_the_module_refuses():
    for name, several in refused().items():
        for arguments in several:
            with pytest.raises((TypeError, ValueError)):
                getattr(exact.compiled, name)(*arguments)


@needs_kernel
@pytest.mark.parametrize("n", kernel.SELF_TEST)
def test_the_self_test_expects_what_is_right(n):
    import oracle

    x = np.array(kernel.self_test_vector(n))
    lse, p, y = kernel.SELF_TEST[n]
    assert oracle.rounded_to(oracle.logsumexp(x)[0], FORMATS["float64"]) == lse
    for function, value in (("softmax", p), ("log_softmax", y)):
        truth = getattr(oracle, function)(x)[-1]
        assert oracle.rounded_to(truth, FORMATS["float64"]) == value
        assert oracle.rounded_to(truth, FORMATS["float32"]) == np.float32(value)
    assert (x.astype(np.float32) == x).all()


@needs_kernel
def test_a_kernel_that_computes_wrongly_is_not_used(python):
    code = (
        "import warnings; from stablelse.numerics import kernel;"
        "kernel.SELF_TEST[3] = (3.5, 0.25, -0.75);"
        "import stablelse; caught = warnings.catch_warnings(record=True);"
        "told = caught.__enter__(); warnings.simplefilter('always');"
        "values = [stablelse.logsumexp([1000, 1001, 1002]) for _ in range(3)];"
        "print(*values, *[w.message for w in told], sep='\\n')"
    )
    *values, told = python("-c", code, check=True).stdout.splitlines()
    assert values == ["1002.4076059644444"] * 3
    assert told == (
        "stablelse computes without its compiled kernel, more slowly: it fails its self-test"
    )
