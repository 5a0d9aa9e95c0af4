"""The libraries compared with the exact value: counted right, whatever a library does."""

import sys
import warnings
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np
import pytest

import stablelse
from stablelse.analysis import peers
from stablelse.analysis.peers import PEERS, Outcome, Peer, Task, UnsupportedError, Worst
from stablelse.numerics.formats import FORMATS, find_format
from stablelse.numerics.functions import Function, exact_values

X = np.array([[0.5, 1.0], [-3.0, 2.0], [1000.0, 999.0], [0.25, 0.25]])


@pytest.fixture
def fake(monkeypatch):
    """Ask a fake library and this package, and return its result and the others."""

    def ask(answer, x=X, function="logsumexp", formats=("float64",), **options):
        module = ModuleType("fake")
        module.__spec__ = ModuleSpec("fake", None)
        module.__version__, module.answer = "1.2", answer
        monkeypatch.setitem(sys.modules, "fake", module)
        calls = dict.fromkeys(list(Task)[:3], "fake.answer(x)")
        peer = Peer("fake", "Fake", "fake", calls)
        monkeypatch.setattr(peers, "PEERS", (peer, PEERS[-1]))
        comparison = stablelse.compare_peers(x, function, formats=formats, **options)
        result, *others = comparison.results
        assert result.peer == "fake"
        return result, others, comparison

    return ask


def truth(x, function=Function.LOGSUMEXP, format_name="float64"):
    format_ = find_format(format_name)
    return exact_values(function, format_.round(x), format_)


def nudged(values, ulps):
    """Return float64 values the given numbers of ulps larger."""
    return values + ulps * np.spacing(np.abs(values))


def test_the_share_of_misrounded_vectors(fake):
    result, _, comparison = fake(lambda x: nudged(truth(x)[:, 0], np.array([0, 1, 3, 2])))
    assert (result.judged, result.misrounded, result.share, result.broken) == (4, 3, 0.75, 0)
    assert (result.outcome, result.ulps) == (Outcome.MISROUNDED, 3.0)
    right = truth(X)[2, 0]
    assert result.worst == Worst(row=3, value=nudged(right, 3), exact=right)
    assert result.version == "1.2"
    assert (comparison.vectors, comparison.n) == (4, 2)


def test_the_share_of_misrounded_elements(fake):
    def answer(x):
        values = truth(x, Function.SOFTMAX)
        values[1, 0] = np.nextafter(values[1, 0], 1)
        return values

    result, _, _ = fake(answer, function="softmax")
    assert (result.judged, result.misrounded, result.share, result.ulps) == (8, 1, 1 / 8, 1.0)
    assert (result.worst.row, result.worst.element) == (2, 1)


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        (np.inf, Outcome.BROKEN),
        (np.nan, Outcome.BROKEN),
        (-2.0, Outcome.BROKEN),
        (0.0, Outcome.BROKEN),
        (np.nextafter(0.0, 1), Outcome.BROKEN),
        (2.0**-50, Outcome.MISROUNDED),
        (2.0, Outcome.RIGHT),
        (np.nextafter(4.0, 0), Outcome.MISROUNDED),
        (4.0, Outcome.BROKEN),
    ],
)
def test_what_is_broken(given, outcome, fake):
    """The exact value is 2; its leading bit is wrong from an error of 2 on."""
    result, _, _ = fake(lambda x: np.array([given]), x=[2.0])
    assert result.outcome is outcome


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("no kernel\nfor this"), "RuntimeError: no kernel for this"),
        (UnsupportedError("has no such thing"), "has no such thing"),
    ],
)
def test_an_exception_is_told_and_the_others_go_on(error, reason, fake):
    def answer(x):
        raise error

    result, others, comparison = fake(answer)
    assert (result.outcome, result.reason) == (Outcome.NO_ANSWER, reason)
    assert (result.judged, result.ulps, result.share, result.value) == (0, None, None, None)
    assert [other.outcome for other in others] == [Outcome.RIGHT]
    assert reason in str(comparison)


def test_warnings_are_contained(fake):
    def answer(x):
        warnings.warn("overflow", RuntimeWarning, stacklevel=1)
        return np.log(np.exp(x * 1e300).sum(axis=-1))  # NumPy's own warning, too

    assert fake(answer)[0].outcome is Outcome.BROKEN


def test_one_vector_is_told_with_the_exact_result(fake):
    result, others, comparison = fake(lambda x: np.array([np.inf]), x=[1000.0, 1.0])
    assert (result.value, others[-1].value) == (np.inf, 1000.0)
    assert [other.peer for other in others] == ["stablelse", "exact"]
    assert comparison.vectors == 1


def test_results_are_rounded_to_the_format(fake):
    """A result in a wider dtype is judged as if it were stored in the format."""
    result, _, _ = fake(
        lambda x: truth(x, format_name="float32").astype(float), formats=["float32"]
    )
    assert (result.returned, result.format, result.misrounded) == ("float64", "float32", 0)


def test_formats_are_counted_apart(fake):
    comparison = fake(lambda x: np.zeros(len(x)), formats=["float16", "float32"])[-1]
    assert [(r.peer, r.format) for r in comparison.results] == [
        (name, format_) for format_ in ("float16", "float32") for name in ("fake", "stablelse")
    ]


#: The formats and functions that libraries do not have.
WITHOUT = {
    ("torch", "float8_e4m3fn"),
    ("torch", "float8_e5m2"),
    ("torch", "longdouble"),
    ("jax", "longdouble"),
}

INSTALLED = [peer for peer in PEERS if peer.is_installed]


@pytest.mark.parametrize("peer", INSTALLED, ids=lambda peer: peer.name)
@pytest.mark.parametrize("function", Function, ids=lambda function: function.value)
@pytest.mark.parametrize("format_", FORMATS.values(), ids=lambda format_: format_.name)
def test_every_installed_library_in_every_format(peer, function, format_):
    find_format(format_.name)
    comparison = stablelse.compare_peers(
        [[0.0, 0.0], [1.0, 2.0]], function.value, formats=[format_.name], peers=[peer.name]
    )
    result = next(r for r in comparison.results if r.peer == peer.name)
    assert result.version
    if (peer.name, format_.name) in WITHOUT:
        assert result.reason
        return
    assert result.reason is None
    assert result.judged == (2 if function is Function.LOGSUMEXP else 4)
    if not format_.name.startswith("float8"):  # logaddexp and JAX return NaN and 1 there
        assert result.ulps <= 10


@pytest.mark.parametrize("peer", INSTALLED, ids=lambda peer: peer.name)
def test_tasks_with_weights_signs_and_gradients(peer):
    """On finite, ordinary numbers, every library is right to a few ulps."""
    x, b = np.array([[0.5, 1.0]]), np.array([[2.0, -3.0]])
    for task in peer.calls:
        value, sign = stablelse.logsumexp(x[0], b=b[0], return_sign=True)
        right = {
            Task.LOGSUMEXP: truth(x),
            Task.SOFTMAX: truth(x, Function.SOFTMAX),
            Task.LOG_SOFTMAX: truth(x, Function.LOG_SOFTMAX),
            Task.WEIGHTED: np.array([[stablelse.logsumexp(x[0], b=abs(b[0]))]]),
            Task.SIGNED: np.array([[value, sign]]),
            Task.GRADIENT: truth(x, Function.SOFTMAX),
        }[task]
        weights = abs(b) if task is Task.WEIGHTED else b if task is Task.SIGNED else None
        question = peers.Question(task, x, weights, FORMATS["float64"], right)
        result, _ = peers.ask(task, [question], [peer], ()).results
        assert result.reason is None
        assert result.ulps <= 4


def test_jax_keeps_its_own_settings():
    jax = pytest.importorskip("jax")
    before = jax.numpy.asarray([1.0]).dtype
    comparison = stablelse.compare_peers([0.0, 1.0], peers=["jax"])
    assert comparison.results[0].returned == "float64"
    assert jax.numpy.asarray([1.0]).dtype == before


@pytest.mark.parametrize(
    ("x", "options", "words"),
    [
        ([], {}, "not shape"),
        (np.zeros((2, 2, 2)), {}, "not shape"),
        ([1.0], {"peers": ["tensorflow"]}, "unknown peer 'tensorflow': choose from naive"),
        ([1.0], {"formats": ["float17"]}, "unknown format 'float17'"),
        ([1.0], {"function": "sum"}, "sum"),
        ([[1, 2], [3, 7e4]], {"formats": ["float16"]}, "row 2, x_2 is 70000.0, which does not fit"),
    ],
)
def test_bad_arguments(x, options, words):
    with pytest.raises(ValueError, match=words):
        stablelse.compare_peers(x, **options)
