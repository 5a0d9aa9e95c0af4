"""Results that the kernel settles are correctly rounded; it reports all others."""

import itertools

import numpy as np
import pytest
from families import FAMILIES, rng_of, rounded
from native import FORMATS, FUNCTIONS

import stablelse
from stablelse.numerics import exact, reference, states
from stablelse.numerics import kernel as kernels
from stablelse.numerics.formats import FORMATS as TABLE
from stablelse.numerics.formats import installed_formats
from stablelse.numerics.functions import Function

pytest.importorskip("flint")
from balls import Vector, balls
from flint import ctx
from judge import Rows, Tally


class Compiled:
    """A kernel, which returns the results of rows and the flat indices of those in doubt."""

    def __init__(self, name):
        exact.compiled.use(name)

    def __call__(self, function, x, mask=None):
        y = np.empty(len(x) if function == "logsumexp" else x.shape, x.dtype)
        return y, self.found(exact.compiled.rows(FUNCTIONS.index(function), x, y, mask))

    def weighted(self, x, b):
        y, signs = np.empty(len(x), x.dtype), np.empty(len(x), np.int8)
        return y, signs, self.found(exact.compiled.rows(0, x, y, None, b, signs))

    @staticmethod
    def found(doubtful):
        return np.array([], int) if doubtful is None else np.frombuffer(doubtful, np.int64)


@pytest.fixture(params=kernels.available()[:-1])
def kernel(request):
    if exact.compiled is None:
        pytest.skip("the reference is selected")
    for format_ in installed_formats():
        exact._is_known(format_)
    yield Compiled(request.param)
    exact.compiled.use(kernels.name())


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("function", range(3))
def test_pieces_in_any_order(kernel, function, format_):
    """A row in pieces gives the same result as the whole, in any order of merges."""
    rng, of = np.random.default_rng(5), TABLE[format_]
    for n in (1, 40, 5000):
        plain = of.round(np.sort(rng.normal(size=n)) * 3).astype(of.dtype)
        rows = np.stack([plain, plain, plain, np.full(n, -np.inf, of.dtype)])
        rows[1, : n // 2] = -np.inf
        rows[2, n // 3] = np.nan
        edges = sorted({0, n, *rng.integers(0, n + 1, 3).tolist()})
        for x in rows[:, np.newaxis]:
            for mask in (None, rng.random((1, n)) < 0.7, np.ones((1, n), bool)):
                want, y = np.empty((2, *x.shape[: 1 + (function > 0)]), x.dtype)
                assert exact.compiled.rows(function, x, want, mask) is None
                pieces = [(function, x, y, mask, *ends) for ends in itertools.pairwise(edges)]
                sums = [exact.compiled.sum_piece(*piece) for piece in pieces]
                rng.shuffle(sums)
                for piece in pieces[:1] if function == 0 else pieces:
                    assert exact.compiled.settle_piece(*piece, *sums) is None
                assert y.tobytes() == want.tobytes()


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_masks(kernel, function, format_):
    """A masked element counts as -inf, whatever it is; a mask has its own strides."""
    rng, of = np.random.default_rng(6), TABLE[format_]
    for n in (1, 9, 127, 128, 700, 3000):
        x = of.round(rng.normal(size=(9, n)) * 3).astype(of.dtype)
        mask = rng.random((9, n)) < 0.7
        x = np.where(mask, x, rng.choice([np.nan, 0, 7], (9, 1)).astype(of.dtype))
        want = np.where(mask, x.astype(float), -np.inf)
        if of.has_infinity:
            plain, _ = kernel(function, want.astype(of.dtype))
        else:
            wide, _ = kernel(function, want)
            plain = of.round(wide).astype(of.dtype)
            plain[np.isneginf(wide)] = np.nan
        across, apart = np.asfortranarray(mask), np.repeat(mask, 2, axis=1)[:, ::2]
        for rows, given in ((x, mask), (x, across), (np.asfortranarray(x), apart)):
            y, doubtful = kernel(function, rows, mask=given)
            assert not doubtful.size
            np.testing.assert_array_equal(y.astype(float), plain.astype(float))


def test_weights_of_nothing_and_odd_ones(kernel):
    """An element with weight 0 adds no term; NaN and infinities are left in doubt."""
    x = np.array([[0, 1.0], [-np.inf, -np.inf], [np.nan, 2], [np.inf, 3], [-np.inf, 4]])
    b = np.array([[0, 0.0], [1, -1], [0, 1], [0, 1], [-1, 1]])
    y, signs, doubtful = kernel.weighted(x, b)
    assert (y.tolist(), doubtful.size) == ([-np.inf, -np.inf, 2, 3, 4], 0)
    assert signs.tolist() == [0, 0, 1, 1, 1]
    x = np.array([[0, 1.0], [0, np.nan], [np.inf, 0], [0, 0]])
    b = np.array([[1, np.nan], [1, 1], [1, 1], [1, np.inf]])
    assert kernel.weighted(x, b)[-1].tolist() == list(range(4))


def test_weights_of_huge_numbers(kernel):
    """Every x - p that matters is exact, however large p is: all are settled, and right."""
    rng = rng_of(31)
    for size in (2.0**19, 2.0**20, 1e6, 1e12, 1e100, 1.7e308):
        for sign in (1, -1):
            x = sign * size + rng.integers(-400, 400, (20, 30)) * np.spacing(size)
            b = rng.normal(size=x.shape) * 2.0 ** rng.integers(-1000, 1000, x.shape)
            x[:, :3] = [-np.finfo(float).max, sign * size / 4, sign * size * (1 - sign / 3)]
            y, signs, doubtful = kernel.weighted(x, b)
            right, right_signs, _ = reference.logsumexp(x, TABLE["float64"], b)
            assert doubtful.size == 0
            assert np.array_equal(y, right)
            assert np.array_equal(signs, right_signs)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_doubt_has_the_same_indices_across_memory(kernel, function):
    """Rows that lie across memory are copied in groups: results in doubt keep their places."""
    x, _ = FAMILIES[f"next to a tie of {function}"].make(rng_of(8), 60, 130, TABLE["float64"])
    y, doubtful = kernel(function, x)
    across, doubtful_across = kernel(function, np.asfortranarray(x))
    assert doubtful.size
    assert sorted(doubtful_across.tolist()) == sorted(doubtful.tolist())
    settled = np.setdiff1d(np.arange(y.size), doubtful)
    assert y.reshape(-1)[settled].tobytes() == across.reshape(-1)[settled].tobytes()


def test_bfloat16_next_to_half_its_smallest_number(kernel):
    """2^-134 is a tie, and float32 has few bits there: double rounding would give 0."""
    of = TABLE["bfloat16"]
    codes = np.array([-0.8, -12], of.dtype).view(np.uint16)
    u = np.arange(*codes, dtype=np.uint16).view(of.dtype)
    pairs = np.stack(np.meshgrid(u, u), axis=-1).reshape(-1, 2)
    quotients = np.exp(-92.5) / (1 + np.exp(pairs.astype(float)).sum(axis=1)) * 2.0**134
    pairs = pairs[abs(quotients - 1) < 2.0**-15]
    x = np.full((len(pairs), 40), -92.5, of.dtype)
    x[:, 0] = 0
    x[:, 1:3] = pairs
    long = np.concatenate([x, *[x[:, 3:]] * 4], axis=1)
    for rows in (x[:, :4], x, long):
        y, _ = kernel("softmax", rows)
        want = Rows(rows).truth("softmax", of)
        assert 0 < np.count_nonzero(want[:, 3:]) < want[:, 3:].size
        np.testing.assert_array_equal(y, want)


def test_quotients_next_to_the_smallest_normal_number(kernel):
    """A quotient may be on the other side of it than the high one of its two words."""
    rng = rng_of(34)
    y = -rng.uniform(0, 2, 400)
    z = np.log1p(np.exp(y)) - 1022 * np.log(2) + rng.integers(-150, 150, 400) * np.spacing(708.0)
    x = np.stack([0 * y, y, z], axis=1)
    found, doubtful = kernel("softmax", x)
    assert not doubtful.size
    assert np.array_equal(found, Rows(x).truth("softmax", TABLE["float64"]))


@pytest.mark.parametrize("gap", [650, 700, 720, 740])
def test_copies_of_the_largest_in_pieces_hide_no_other_element(kernel, gap):
    """A state without an error has equal elements only."""
    pieces = np.array([[0.0, -np.inf]]), np.array([[0.0, -gap]])
    for first, second in (pieces, pieces[::-1]):
        whole, part = states.empty(1), states.empty(1)
        states.add(whole, first)
        states.add(part, second)
        states.merge(whole, part)
        found, doubtful = states.elements(Function.SOFTMAX, pieces[1], whole, TABLE["float64"])
        assert not doubtful.size
        right = stablelse.softmax([0.0, 0.0, -gap])[1:]
        assert np.array_equal(found[0], right)


@pytest.mark.parametrize("format_", FORMATS)
def test_gradients_of_labels(kernel, format_):
    """Digits of s p - t cancel; some labels are far below, and some s p are subnormal."""
    rng, of, m, tally = rng_of(33, format_), TABLE[format_], 24, Tally()
    for n in (2, 3, 9, 40):
        rows, labels = np.arange(m), rng.integers(0, n, m)
        x = rng.normal(size=(m, n)) * rng.choice([1, 20, 100], (m, 1))
        x[0], x[0, 0] = rng.uniform(-640, -638, n), 0
        x[1, 0], labels[1] = 700, n - 1
        x, mask = rounded(x, of, rng), rng.random((m, n)) < 0.8
        mask[:2, 0] = mask[rows, labels] = True
        wide = np.where(mask, x.astype(float), -np.inf)
        s = np.where(rows == 0, 2.0**-99.5, 2.0 ** rng.uniform(-3, 3, m))
        bits = np.where(rows == 2, 38, rng.uniform(0, 27, (n, m))).T
        beside = 1 + rng.choice([-1, 1], (m, n)) * 2.0**-bits
        t = Rows(wide).truth("softmax", TABLE["float64"]) * beside * s[:, np.newaxis]
        o = (s - t[rows, labels]) * beside[:, 0]
        t[(t < 2.0**-100) | (rng.random((m, n)) < 0.2) | (rows == 0)[:, np.newaxis]] = 0
        o[(o < 2.0**-100) | (rows == 0)] = 0
        t_low, s_low, o_low = (a * rng.uniform(-1, 1, a.shape) * 2.0**-54 for a in (t, s, o))
        factors, y = np.stack([s, s_low, o, o_low], axis=1), np.empty_like(x)
        given = np.asfortranarray(x), labels, mask, y, factors, np.stack([t, t_low])
        doubtful = kernel.found(exact.compiled.gradients(*given))
        want = np.empty(x.shape)
        for i in rows:
            with ctx.workprec(300):
                s, s_low, o, o_low = balls(factors[i])
                gradient = Vector(wide[i]).gradient
                want[i] = gradient(labels[i], s + s_low, o + o_low, t[i], of, t_low[i])
        unknown = np.flatnonzero(np.isnan(want))
        tally.compare(f"gradients, n = {n}", y, want, np.concatenate([doubtful, unknown]))
        assert doubtful.size < y.size / 2
    assert not tally.wrong, "\n".join(tally.wrong[:5])
