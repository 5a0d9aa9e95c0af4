"""The guided tour: scenes whose every number is computed when they are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis import Displayed
from stablelse.analysis.compare import compare
from stablelse.analysis.gallery import CASES, gallery
from stablelse.analysis.peers import PEERS, Outcome, Peer, PeerComparison, Question, Task, ask
from stablelse.analysis.results import Comparison, MethodResult
from stablelse.numerics.formats import FORMATS
from stablelse.numerics.formulas import ChoiceError
from stablelse.numerics.functions import Function, exact
from stablelse.numerics.running import RunningShifted


class Pass(NamedTuple):
    """One step of a single pass over the numbers."""

    entry: Any  # The next number
    maximum: Any  # The largest so far
    factor: Any  # By which the sum is multiplied: exp(old maximum - new maximum)
    total: Any  # The sum of exp(x - maximum) so far
    value: Any  # The log-sum-exp so far


class Figure(NamedTuple):
    """A number in the scene's words, with the name it has there."""

    name: str
    value: Any


class Facts(NamedTuple):
    """The computed facts of a scene."""

    figures: tuple[Figure, ...] = ()  # The numbers in its words
    comparisons: tuple[Comparison, ...] = ()  # Methods side by side
    passes: tuple[Pass, ...] = ()  # The steps of a single pass
    cases: tuple[PeerComparison, ...] = ()  # Libraries side by side


@dataclass(frozen=True)
class Scene(Displayed):
    """One scene of the tour: its number, its facts, and a command that shows more."""

    name: str
    number: int
    of: int
    command: str
    facts: Facts


class Plan(NamedTuple):
    """The plan of a scene: the command to type, and the function that computes its facts."""

    command: str
    compute: Callable[[], Facts]


_FLOAT64, _FLOAT16 = FORMATS["float64"], FORMATS["float16"]

#: The results of the compared methods on a scene's numbers.
_Results = dict[str, MethodResult]


def _figures(**values: Any) -> tuple[Figure, ...]:
    return tuple(Figure(name, value) for name, value in values.items())


def _limits(results: _Results) -> dict[str, Any]:
    """Return the figures of most scenes: the last exact result, and the limits of float64."""
    return {
        "value": np.ravel(results["exact"].value)[-1],
        "largest": _FLOAT64.largest,
        "smallest": _FLOAT64.smallest_subnormal,
        "overflow": _FLOAT64.overflow_threshold,
        "underflow": _FLOAT64.underflow_threshold,
    }


def _likelihood(results: _Results) -> dict[str, Any]:
    n, p = 2000, 0.5
    return {"n": n, "p": p, "likelihood": np.full(n, p).prod(), "logarithm": n * np.log(p)}


def _moved(results: _Results) -> dict[str, Any]:
    p, q = results["exact"].value, compare([2, 3, 4], "softmax", methods=["exact"]).value
    return {"total": p.sum(), "first": p[0], "moved": q[0]}


def _near_zero(results: _Results) -> dict[str, Any]:
    naive = results["naive"].evaluation
    return {
        "value": results["exact"].value,
        "total": naive.results["s"][0] if naive else None,
        "naive_ulps": round(results["naive"].ulps or 0),
        "shifted_ulps": round(results["shifted"].ulps or 0),
    }


def _half_precision(results: _Results) -> dict[str, Any]:
    return {"n": 70_000, "largest": _FLOAT16.largest, "value": results["exact"].value}


def _division_free(results: _Results) -> dict[str, Any]:
    names = {"quotient_ulps": "shifted", "free_ulps": "division-free"}
    return {name: round(results[method].ulps or 0) for name, method in names.items()}


def _compared(
    x: Any,
    function: str = "logsumexp",
    methods: Sequence[str] = ("naive", "shifted", "exact"),
    figures: Callable[[_Results], dict[str, Any]] = _limits,
    **options: Any,
) -> Callable[[], Facts]:
    """Return a function that compares methods on numbers, with figures from their results."""

    def compute() -> Facts:
        comparison = compare(x, function, methods=methods, **options)
        results = {result.method.value: result for result in reversed(comparison.results)}
        return Facts(_figures(**figures(results)), (comparison,))

    return compute


def _digits() -> Facts:
    value = np.float64(1) / 3
    ulps = {f"off{k}": value + k * np.spacing(value) for k in (1, 10, 1_000, 1_000_000)}
    bits = _FLOAT64.significand_bits
    digits = round(bits * np.log10(2))
    return Facts(_figures(bits=bits, digits=digits, value=value, ulp=np.spacing(value), **ulps))


def _one_pass() -> Facts:
    state, passes = RunningShifted(), []
    for x in np.array([3.0, 1000.0, 998.0, 1001.0]):
        before = state.shift
        state.update(x)
        factor = np.exp(before - state.shift)
        passes.append(Pass(x, state.shift, factor, state.total, state.result()))
    return Facts(_figures(value=passes[-1].value), passes=tuple(passes))


def _libraries() -> Facts:
    shown = next(case for case in CASES if case.name == "one dominates at zero")
    cases = gallery(cases=[shown._replace(tasks=shown.tasks[:1])]).cases
    others = cases[0].results[:-2]  # without this package, and the exact result
    outcomes = [result.outcome for result in others]
    figures = _figures(
        cases=len(CASES),
        asked=len(outcomes) - outcomes.count(Outcome.NO_ANSWER),
        right=outcomes.count(Outcome.RIGHT),
        broken=outcomes.count(Outcome.BROKEN),
    )
    return Facts(figures, cases=cases)


#: NumPy has no functions for these.
_NUMPY = Peer("numpy", "NumPy", "numpy", "np", {
    Task.LOGSUMEXP: "(a := x.max(-1, keepdims=True))[:, 0] + np.log(np.exp(x - a).sum(-1))",
    Task.SOFTMAX: "(e := np.exp(x - x.max(-1, keepdims=True))) / e.sum(-1, keepdims=True)",
})  # fmt: skip

#: The libraries of the last scene.
TO_WRITE = (_NUMPY, *(peer for peer in PEERS if peer.package != "numpy"))


def _write() -> Facts:
    x = np.array([[1000.0, 1001.0]])
    peers = [peer for peer in TO_WRITE if peer.is_installed]
    missing = tuple(peer.package for peer in TO_WRITE if not peer.is_installed)
    cases = []
    for task in (Task.LOGSUMEXP, Task.SOFTMAX):
        question = Question(task, x, None, _FLOAT64, exact(Function(task.value), x, _FLOAT64))
        cases.append(ask(task, [question], peers, missing))
    return Facts(cases=tuple(cases))


_NAIVE = ("naive", "exact")
_SOFTMAX = ("shifted", "division-free", "exact")

#: The scenes, in the order of the tour.
SCENES: dict[str, Plan] = {
    name: Plan(command, compute)
    for name, command, compute in (
        ("why", "stablelse lse 1 2 3", _compared([1, 2, 3], "logsumexp", _NAIVE, _likelihood)),
        ("scores", "stablelse softmax 1 2 3", _compared([1, 2, 3], "softmax", _NAIVE, _moved)),
        ("overflow", "stablelse lse 1000 1001", _compared([1000, 1001], methods=_NAIVE)),
        ("underflow", "stablelse lse -1000 -1001", _compared([-1000, -1001], methods=_NAIVE)),
        ("shift", "stablelse prove lse 1000 1001", _compared([1000, 1001])),
        ("softmax", "stablelse softmax 1000 1001", _compared([1000, 1001], "softmax")),
        ("log-softmax", "stablelse log-softmax 0 -1000", _compared([0, -1000], "log_softmax")),
        (
            "any-shift",
            "stablelse lse 1000 1001 --shift max --shift 1500 --shift 0 --shift 2000",
            _compared(
                [1000, 1001],
                methods=["shifted"],
                shifts=("max", 1500, 0, 2000),
                figures=lambda results: {},
            ),
        ),
        ("digits", "stablelse limits", _digits),
        (
            "near-zero",
            "stablelse lse -0.775 -0.6175 --errors",
            _compared([-0.775, -0.6175], figures=_near_zero),
        ),
        (
            "half-precision",
            "yes 0 | head -n 70000 | stablelse lse --dtype float16",
            _compared(np.zeros(70_000), figures=_half_precision, formats=["float16"]),
        ),
        (
            "division-free",
            "stablelse softmax 700 701 702 --method shifted --method division-free",
            _compared([700, 701, 702], "softmax", _SOFTMAX, _division_free),
        ),
        ("one-pass", "seq 1 1000000 | stablelse lse", _one_pass),
        ("libraries", "stablelse peers", _libraries),
        ("write", "stablelse peers 1000 1001", _write),
    )
}


def find_scene(name: str) -> Plan:
    """Return the plan of a scene, or raise ChoiceError."""
    if name not in SCENES:
        raise ChoiceError(f"unknown scene {name!r}: choose from {', '.join(SCENES)}")
    return SCENES[name]


def demo(name: str) -> Scene:
    """Compute a scene of the tour."""
    plan, order = find_scene(name), list(SCENES)
    return Scene(name, order.index(name) + 1, len(order), plan.command, plan.compute())
