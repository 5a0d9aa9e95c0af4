"""Results that the kernel settles are correctly rounded; it reports all others."""

import itertools

import numpy as np
import pytest
from families import FAMILIES, rng_of
from native import FORMATS, FUNCTIONS

from stablelse.numerics import exact, reference
from stablelse.numerics import kernel as kernels
from stablelse.numerics.formats import FORMATS as TABLE
from stablelse.numerics.formats import installed_formats

pytest.importorskip("flint")
from judge import Rows


class Compiled:
    """A kernel, which returns the results of rows and the flat indices of those in doubt."""

    def __init__(self, name):
        exact.compiled.use(name)

    def __call__(self, function, x, mask=None):
        y = np.empty(len(x) if function == "logsumexp" else x.shape, x.dtype)
        return y, self._found(exact.compiled.rows(FUNCTIONS.index(function), x, y, mask))

    def weighted(self, x, b):
        y, signs = np.empty(len(x), x.dtype), np.empty(len(x), np.int8)
        return y, signs, self._found(exact.compiled.rows(0, x, y, None, b, signs))

    @staticmethod
    def _found(doubtful):
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
        x[~mask] = np.nan
        want = np.where(mask, x.astype(float), -np.inf)
        if of.has_infinity:
            plain, _ = kernel(function, want.astype(of.dtype))
        else:
            wide, _ = kernel(function, want)
            plain = of.round(wide).astype(of.dtype)
            plain[np.isneginf(wide)] = np.nan
        for given in (mask, np.asfortranarray(mask), np.repeat(mask, 2, axis=1)[:, ::2]):
            y, doubtful = kernel(function, x, mask=given)
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
