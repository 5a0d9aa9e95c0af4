"""The loss and its gradient: arguments as in PyTorch, and all digits right."""

import mpmath
import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import stablelse
from stablelse.numerics import kernel
from stablelse.numerics.formats import format_of
from stablelse.numerics.rows import EmptyVectorError
from stablelse.numerics.targets import REDUCTIONS, LabelError

RNG = np.random.default_rng(11)

#: Typical outputs of networks, and vectors on which formulas lose digits.
FAMILIES = {
    "ordinary": lambda m, n: RNG.normal(size=(m, n)),
    "sure": lambda m, n: RNG.normal(size=(m, n)) * 20,
    "dominated": lambda m, n: np.where(np.arange(n) == 0, RNG.uniform(20, 80, (m, 1)), 0.0),
    "wide": lambda m, n: RNG.uniform(-700, 700, (m, n)),
    "offset": lambda m, n: RNG.normal(size=(m, n)) + 1e4,
    "longdouble": lambda m, n: 3 * RNG.normal(size=(m, n)).astype(np.longdouble),
}


def cases(m, n=7):
    """Yield logits and labels; half of the labels are the largest logit's."""
    for make in FAMILIES.values():
        x = make(m, n)
        labels = np.where(np.arange(m) % 2, RNG.integers(0, n, m), x.argmax(axis=1))
        yield x, labels


def ulps(value, right):
    """Return the distance from an mpmath number in its ulps."""
    return oracle.ulp_error(value, right, format_of(value.dtype))


@pytest.fixture(autouse=True)
def digits():
    """Exact numbers have enough bits."""
    with mpmath.workprec(400):
        yield


def true_losses(x, labels):
    return [-oracle.log_softmax(row)[label] for row, label in zip(x, labels, strict=True)]


def true_gradient(row, label):
    """Return softmax(x) - onehot(label), with 1 - p as the sum of all other p."""
    with mpmath.workprec(4000):
        terms = [mpmath.exp(oracle.as_mpf(x) - oracle.as_mpf(max(row))) for x in row]
        total = mpmath.fsum(terms)
        others = mpmath.fsum(t for j, t in enumerate(terms) if j != label)
        return [-others / total if j == label else t / total for j, t in enumerate(terms)]


def test_means_and_sums_are_correctly_rounded():
    for x, labels in cases(16):
        weight = RNG.uniform(0, 3, 7)
        losses = true_losses(x, labels)
        for w in (None, weight):
            factors = [1 if w is None else oracle.as_mpf(w[label]) for label in labels]
            right = mpmath.fsum(f * loss for f, loss in zip(factors, losses, strict=True))
            assert ulps(stablelse.nll(x, labels, weight=w, reduction="sum"), right) <= 0.5
            assert ulps(stablelse.nll(x, labels, weight=w), right / mpmath.fsum(factors)) <= 0.5


def test_smoothed_and_weighted_losses_are_correctly_rounded():
    for x, labels in cases(10):
        weight = RNG.uniform(0, 3, 7)
        found = stablelse.nll(x, labels, weight=weight, label_smoothing=0.25, reduction="none")
        assert found.dtype == x.dtype
        for row, label, loss in zip(x, labels, found, strict=True):
            t = [oracle.as_mpf(w) * mpmath.mpf(0.25) / 7 for w in weight]
            t[label] += oracle.as_mpf(weight[label]) * mpmath.mpf(0.75)
            terms = zip(t, oracle.log_softmax(row), strict=True)
            assert ulps(loss, -mpmath.fsum(a * b for a, b in terms)) <= 0.5


def test_gradients_are_correctly_rounded():
    for x, labels in cases(10):
        weight = RNG.uniform(0, 3, 7)
        plain = stablelse.nll_grad(x, labels, reduction="sum")
        weighted = stablelse.nll_grad(x, labels, weight=weight, reduction="sum")
        assert plain.dtype == weighted.dtype == x.dtype
        for row, label, *found in zip(x, labels, plain, weighted, strict=True):
            factor = oracle.as_mpf(weight[label])
            for one, other, right in zip(*found, true_gradient(row, label), strict=True):
                assert ulps(one, right) <= 0.5
                assert ulps(other, factor * right) <= 0.5


def test_ties_of_losses_are_settled_by_the_kernel():
    """Far below the largest x a loss is x_max - x, except a term too small for two words."""
    x, labels = 30 * RNG.normal(size=(30_000, 3)), np.zeros(30_000, int)
    losses, certificate = stablelse.nll(x, labels, reduction="none", return_certificate=True)
    assert np.array_equal(losses, -stablelse.log_softmax(x, axis=1)[:, 0])
    if kernel.load():
        assert certificate.reference <= len(x) / 10_000


def gradient(x, label):
    return stablelse.nll_grad(x, label, reduction="none").tolist()


def test_gradients_told():
    assert gradient([2.0, 2.0, 2.0], 1) == [1 / 3, -2 / 3, 1 / 3]
    assert gradient([-np.inf, 2.0], 0) == [-1, 1]
    assert gradient([5.0], 0) == [0]
    assert np.isnan(gradient([np.inf, 2.0], 0)).all()
    assert gradient([0.0, -np.inf], 1) == [1, -1]
    zeros = stablelse.nll_grad(np.float16([40, 0, 3]), 0)
    assert (zeros == 0).all()
    assert not np.signbit(zeros).any()


def test_losses_told():
    assert stablelse.nll([0.0, -np.inf], 1) == np.inf
    assert np.isnan(stablelse.nll([0.0, np.inf], 1))
    x = [0.0, -np.inf]  # and targets that underflow
    assert stablelse.nll(x, 0, label_smoothing=5e-324) == np.inf
    assert stablelse.nll(x, [0.5, 0.5], weight=[1, 5e-324]) == np.inf
    assert stablelse.nll(x, [0.5, 0.5], weight=[1, 0]) == 0
    assert stablelse.nll(np.full((9, 2), [0.0, 1e308]), np.zeros(9, int), reduction="sum") == np.inf
    assert np.signbit(stablelse.nll([5.0], 0)) == 0
    assert stablelse.nll([40.0, 0.0], 0) == 4.248354255291589e-18  # 0 in PyTorch
    # a class without weight adds nothing
    found = stablelse.nll([[0.0, -np.inf], [1.0, 2.0]], [1, 0], weight=[1, 0], reduction="none")
    assert found.tolist() == [0, stablelse.nll([1.0, 2.0], 0)]
    assert stablelse.nll(np.array([200, 1], np.uint8), 0).dtype == np.float64


def as_pytorch_defines_it(x, targets, weight, smoothing, reduction):
    """Return the losses and their gradient as in its documentation, in longdouble."""
    n = x.shape[1]
    w = np.ones(n) if weight is None else weight
    with np.errstate(over="ignore"):
        p = np.exp(np.longdouble(x) - x.max(axis=1, keepdims=True))
    logs = np.longdouble(x) - x.max(axis=1, keepdims=True) - np.log(p.sum(axis=1, keepdims=True))
    q, counts = targets, np.ones(len(x))
    if targets.ndim == 1:
        kept = targets != -100
        labels = np.where(kept, targets, 0)
        q, counts = np.eye(n)[labels], w[labels] * kept
    t = w * ((1 - np.longdouble(smoothing)) * q + np.longdouble(smoothing) / n)
    t *= (counts > 0)[:, np.newaxis]
    losses, divisor = -(t * logs).sum(axis=1), counts.sum() if reduction == "mean" else 1
    gradient = (t.sum(axis=1, keepdims=True) * np.exp(logs) - t) / divisor
    return losses if reduction == "none" else losses.sum() / divisor, gradient


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["labels", "probabilities"])
def test_arguments_mean_what_they_mean_in_pytorch(kind, weighted, smoothing, reduction):
    for x, labels in cases(12):
        targets = np.where(np.arange(12) % 5 == 4, -100, labels)
        if kind != "labels":
            targets = RNG.dirichlet(np.ones(7), 12)
        weight = RNG.uniform(0, 3, 7) if weighted else None
        options = {"weight": weight, "label_smoothing": smoothing, "reduction": reduction}
        loss, slope = as_pytorch_defines_it(x, targets, weight, smoothing, reduction)
        found, size = stablelse.nll(x, targets, **options), 2.0**-50 * abs(x).max()
        assert found.shape == loss.shape
        assert (abs(found - loss) <= 2.0**-50 * abs(loss) + 12 * size * 2.0**-8).all()
        assert (abs(stablelse.nll_grad(x, targets, **options) - slope) <= 16 * size).all()


@pytest.mark.parametrize("axis", [0, 1, -1, -3])
def test_the_axis_of_the_classes(axis):
    x = RNG.normal(size=(3, 4, 5, 6))
    last = np.moveaxis(x, axis, -1)
    labels = RNG.integers(0, last.shape[-1], last.shape[:-1])
    weight = RNG.uniform(0.5, 2, last.shape[-1])
    probabilities = RNG.dirichlet(np.ones(last.shape[-1]), last.shape[:-1])
    where = RNG.random(last.shape) < 0.8
    assert np.array_equal(stablelse.nll(x, labels, axis=axis), stablelse.nll(last, labels))
    moved = np.moveaxis(stablelse.nll_grad(x, labels, axis=axis), axis, -1)
    assert np.array_equal(moved, stablelse.nll_grad(last, labels))
    options = {"weight": weight, "label_smoothing": 0.1}
    moved = {"axis": axis, "where": np.moveaxis(where, -1, axis)}
    assert stablelse.nll(x, labels, **options, **moved) == stablelse.nll(
        last, labels, where=where, **options
    )
    targets = np.moveaxis(probabilities, -1, axis)
    assert stablelse.nll(x, targets, axis=axis) == stablelse.nll(last, probabilities)


@st.composite
def problems(draw, numbers):
    m, n = draw(st.integers(1, 4)), draw(st.integers(1, 8))
    x = draw(arrays(np.float64, (m, n), elements=numbers))
    where = draw(arrays(np.bool_, (m, n)))
    return x, draw(arrays(np.int64, m, elements=st.integers(0, n - 1))), where


LOGITS = st.one_of(st.floats(-30, 30), st.floats(-700, 700), st.just(-np.inf))


@given(problem=problems(LOGITS))
def test_gradients_add_up_to_zero(problem):
    x, labels, _ = problem
    gradient = stablelse.nll_grad(x, labels, reduction="none")
    defined = (x != -np.inf).any(axis=1)
    assert np.isnan(gradient[~defined]).all()
    total = gradient[defined].sum(axis=1)
    assert (abs(total) <= 16 * 2.0**-53 * abs(gradient[defined]).sum(axis=1)).all()


@given(problem=problems(LOGITS), smoothing=st.sampled_from([0.0, 0.3]))
def test_where_is_dropping(problem, smoothing):
    x, labels, where = problem
    losses = stablelse.nll(
        x, labels, where=where, label_smoothing=smoothing, reduction="none", empty="zero"
    )
    gradient = stablelse.nll_grad(
        x, labels, where=where, label_smoothing=smoothing, reduction="none", empty="zero"
    )
    assert not np.isnan(gradient).any()
    assert (gradient[~where] == 0).all()
    for row, label, kept, loss, g in zip(x, labels, where, losses, gradient, strict=True):
        if not (row[kept] != -np.inf).any():
            assert loss == 0
            assert (g == 0).all()
        elif not kept[label]:
            assert loss == np.inf
        else:
            place = int(np.count_nonzero(kept[:label]))
            options = {"label_smoothing": smoothing, "reduction": "none"}
            right = stablelse.nll(row[kept], place, **options)
            assert loss == right or abs(loss - right) <= 24 * np.spacing(right)
            slope = stablelse.nll_grad(row[kept], place, **options)
            assert (abs(g[kept] - slope) <= 24 * np.spacing(abs(slope)) + smoothing * 1e-14).all()


#: The loss and the gradient of a vector with one masked element and two of -inf.
LEFT = {"nan": (np.nan, np.nan), "zero": (0, 0), "uniform": (np.log(2), 0)}


@pytest.mark.parametrize("empty", LEFT)
def test_policies(empty):
    x, where = [1.0, -np.inf, -np.inf], [False, True, True]
    loss, slope = LEFT[empty]
    found = stablelse.nll(x, 1, where=where, empty=empty)
    assert np.array_equal(found, loss, equal_nan=True)
    gradient = stablelse.nll_grad(x, 1, where=where, empty=empty)
    assert np.array_equal(gradient, [slope] * 3, equal_nan=True)
    with pytest.raises(EmptyVectorError, match=r"at \[1\]"):
        stablelse.nll([[0, 1, 2], x], [0, 0], where=[[True] * 3, where], empty="error")
    ignored = stablelse.nll([[0, 1, 2], x], [0, -100], where=[[True] * 3, where], empty="error")
    assert ignored == stablelse.nll([0, 1, 2], 0)


def test_what_is_ignored_counts_for_nothing():
    x = np.array([[1.0, 2.0], [np.nan, np.inf], [3.0, 5.0]])
    labels = [0, 7, 1]
    options = {"ignore_index": 7}
    assert stablelse.nll(x, labels, reduction="none", **options)[1] == 0
    assert stablelse.nll(x, labels, **options) == stablelse.nll(x[::2], [0, 1])
    assert stablelse.nll_grad(x, labels, **options)[1].tolist() == [0, 0]
    assert np.isnan(stablelse.nll(x, [7, 7, 7], **options))
    assert stablelse.nll(x, [7, 7, 7], reduction="sum", **options) == 0


def test_many_rows_are_taken_in_bands(monkeypatch):
    from stablelse.numerics import exact, reference

    x, labels = RNG.normal(size=(50, 4)), RNG.integers(0, 4, 50)
    where = RNG.random((50, 4)) < 0.7
    whole = stablelse.nll_grad(x, labels, where=where, empty="zero")
    monkeypatch.setattr(exact, "JOB", 24)
    monkeypatch.setattr(reference, "BLOCK", 24)
    assert np.array_equal(stablelse.nll_grad(x, labels, where=where, empty="zero"), whole)


COMPLAINTS = [
    (([[1, 2]], [2]), {}, LabelError, r"label 2 at \[0\] is not a class: .* are 0 to 1"),
    (([1, 2], -1), {}, LabelError, "label -1 is not a class"),
    (([[5]], [1]), {}, LabelError, "the only label is 0"),
    (([[1, 2]], [0, 1]), {}, LabelError, r"shape \(2,\) do not fit .* needs shape \(1,"),
    ((np.zeros((2, 3, 4)), np.zeros((2, 4), int)), {}, LabelError,
     r"shape \(2, 4\) do not fit .* needs shape \(2, 3\), or say axis=1 if that axis has the cl"),
    ((np.zeros((2, 3, 4)), np.zeros((3, 4), int)), {"axis": 1}, LabelError,
     "or say axis=0 if that axis has the classes$"),
    ((np.zeros((2, 3, 4)), np.zeros((2, 5), int)), {}, LabelError, r"needs shape \(2, 3\)$"),
    (([[1, 2]], [0.5]), {}, TypeError, "class indices, integers from 0, not float64"),
    (([[1, 2]], [True]), {}, TypeError, "integers from 0, not bool"),
    ((3, 0), {}, ValueError, "not a single number"),
    ((np.zeros((2, 0)), [0, 0]), {}, ValueError, r"logits of shape \(2, 0\) have no classes"),
    (([1j, 2], 0), {}, TypeError, "complex128"),
    (([1, 2], 0), {"weight": [1]}, ValueError, r"weight of shape \(1,\): 2 classes"),
    (([1, 2], 0), {"weight": [1, -1]}, ValueError, r"weight\[1\] is -1.0: .* not negative"),
    (([1, 2], [np.nan, 1.0]), {}, ValueError, r"labels\[0\] is nan: probabilities are finite and"),
    (([1, 2], [-0.5, 1.5]), {}, ValueError, r"labels\[0\] is -0.5: .* not negative"),
    (([1, 2], 0), {"label_smoothing": 1.5}, ValueError, "label_smoothing=1.5 is not a number betw"),
    (([1, 2], 0), {"label_smoothing": None}, ValueError, "=None is not a number between 0 and 1"),
    (([1, 2], 0), {"ignore_index": "0"}, TypeError, "ignore_index must be an integer, not '0'"),
    (([1, 2], 0), {"reduction": "max"}, ValueError, "'max': choose from none, mean, sum"),
    (([1, 2], 0), {"empty": "one"}, ValueError, "unknown policy"),
    (([1, 2], 0), {"where": [1, 0]}, TypeError, "where takes booleans"),
    (([1, 2], 0), {"axis": 1}, ValueError, "out of bounds"),
]  # fmt: skip


@pytest.mark.parametrize("name", ["nll", "nll_grad"])
@pytest.mark.parametrize(("args", "options", "kind", "message"), COMPLAINTS)
def test_complaints(name, args, options, kind, message):
    with pytest.raises(kind, match=message):
        getattr(stablelse, name)(*args, **options)


def test_logits_that_no_words_hold():
    x, labels = [[1e308, 0.0], [1.0, 2.0]], [1, 0]
    assert stablelse.nll(x, labels, reduction="sum") == 1e308
    assert stablelse.nll(x, labels, weight=[1.0, 2.0**-1020], reduction="sum") == float(
        oracle.as_mpf(1e308) * mpmath.mpf(2) ** -1020 + true_losses([[1.0, 2.0]], [0])[0]
    )
    # p vanishes beside t, which is a tie of float16
    t = 1 + 3 * 2.0**-11
    options = {"reduction": "sum", "dtype": "float16"}
    assert stablelse.nll_grad([0.0, -1e300], [0.0, t], **options)[1] == -(1 + 2.0**-10)


@pytest.mark.parametrize("row", [[493.0, -384.8, -175.7], [40.7, 693.1, -236.2], [0.0, -700.0]])
def test_losses_too_small_for_the_kernel_are_added_without_decimals(row, monkeypatch):
    """Decimals take a hundred times as long, and such rows are common."""
    (alone,) = stablelse.nll([row], [np.argmax(row)], reduction="none")
    monkeypatch.delattr("stablelse.numerics.loss._loss_as_fraction")
    monkeypatch.delattr("stablelse.numerics.loss._loss_in_decimals")
    assert 0 < stablelse.nll([row] * 8, [np.argmax(row)] * 8, reduction="sum") == 8 * alone


@pytest.mark.parametrize("t", [0.0, 0.25])
def test_equal_logits_next_to_a_tie_of_the_gradient(t):
    # T / 3 - t is the middle of 1 + 2**-10 and 1 + 2**-9, except for a term of exp(-1e300).
    middle = 1 + 3 * 2.0**-11
    labels = [t, 3 * (middle + t) - t, 0.0, 0.0]
    x = [0.0, 0.0, 0.0, -1e300]
    found = stablelse.nll_grad(x, labels, reduction="sum", dtype="float16")
    assert found[0] == 1 + 2.0**-10
