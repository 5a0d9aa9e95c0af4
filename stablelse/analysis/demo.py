"""The guided tour: scenes whose every number is computed when they are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis.compare import compare
from stablelse.analysis.display import Displayed
from stablelse.analysis.gallery import CASES, gallery
from stablelse.analysis.peers import PEERS, Outcome, Peer, PeerComparison, Question, Task, ask
from stablelse.analysis.results import Comparison, MethodResult
from stablelse.numerics.formats import FORMATS
from stablelse.numerics.formulas import Method
from stablelse.numerics.functions import Function, exact
from stablelse.numerics.running import RunningShifted


class UnknownSceneError(ValueError):
    """A scene that does not exist; the message lists those that do."""


class Pass(NamedTuple):
    """One step of a single pass over the numbers."""

    x: Any  # The number that comes
    maximum: Any  # The largest so far
    factor: Any  # What the sum is multiplied by: exp of the old maximum less the new one
    total: Any  # The sum of exp(x - maximum) so far
    value: Any  # The log-sum-exp so far


class Figure(NamedTuple):
    """A number of the scene's words, by the name that they have for it."""

    name: str
    value: Any


class Facts(NamedTuple):
    """What is computed for a scene."""

    figures: tuple[Figure, ...] = ()  # The numbers in its words
    comparisons: tuple[Comparison, ...] = ()  # Methods side by side
    passes: tuple[Pass, ...] = ()  # The steps of a single pass
    cases: tuple[PeerComparison, ...] = ()  # Libraries side by side


@dataclass(frozen=True)
class Scene(Displayed):
    """One scene of the tour: its number of how many, its facts, and the command that shows more."""

    name: str
    number: int
    of: int
    command: str
    facts: Facts


class Plan(NamedTuple):
    """What a scene is made of: what to type, and what computes its facts."""

    command: str
    compute: Callable[[], Facts]


_FLOAT64, _FLOAT16 = FORMATS["float64"], FORMATS["float16"]
_BOTH = ("naive", "shifted", "exact")


def _figures(**values: Any) -> tuple[Figure, ...]:
    return tuple(Figure(name, value) for name, value in values.items())


def _result(comparison: Comparison, method: Method) -> MethodResult:
    return next(result for result in comparison.results if result.method is method)


def _ulps(comparison: Comparison, method: Method) -> int:
    return round(_result(comparison, method).ulps or 0)


def _shown(*x: float, function: str = "logsumexp", methods: Sequence[str] = _BOTH) -> Facts:
    """Return a comparison, and the figures that most scenes have: the exact result and limits."""
    comparison = compare(x, function, methods=methods)
    value = _result(comparison, Method.EXACT).value
    figures = _figures(
        value=value.reshape(-1)[-1] if np.ndim(value) else value,
        largest=_FLOAT64.largest,
        smallest=_FLOAT64.smallest_subnormal,
        overflow=_FLOAT64.overflow_threshold,
        underflow=_FLOAT64.underflow_threshold,
    )
    return Facts(figures, (comparison,))


def _why() -> Facts:
    n, p = 2000, 0.5
    facts = _shown(1, 2, 3, methods=["naive", "exact"])
    likelihood = np.full(n, p).prod()
    return facts._replace(
        figures=_figures(n=n, p=p, likelihood=likelihood, logarithm=n * np.log(p))
    )


def _scores() -> Facts:
    comparison = compare([1, 2, 3], "softmax", methods=["naive", "exact"])
    moved = compare([2, 3, 4], "softmax", methods=["exact"])
    p, q = (_result(each, Method.EXACT).value for each in (comparison, moved))
    figures = _figures(total=p.sum(), moves=3, first=p[0], moved=q[0])
    return Facts(figures, (comparison,))


def _any_shift() -> Facts:
    x, shifts = [1000, 1001], ("max", 1500, 0, 2000)
    return Facts(comparisons=(compare(x, methods=["shifted"], shifts=shifts),))


def _digits() -> Facts:
    value = np.float64(1) / 3
    ulps = {f"off{k}": value + k * np.spacing(value) for k in (1, 10, 1_000, 1_000_000)}
    bits = _FLOAT64.significand_bits
    digits = round(bits * np.log10(2))
    return Facts(_figures(bits=bits, digits=digits, value=value, ulp=np.spacing(value), **ulps))


def _near_zero() -> Facts:
    comparison = compare([-0.775, -0.6175])
    evaluation = _result(comparison, Method.NAIVE).evaluation
    return Facts(
        _figures(
            value=_result(comparison, Method.EXACT).value,
            total=evaluation.results["s"][0] if evaluation else None,
            naive_ulps=_ulps(comparison, Method.NAIVE),
            shifted_ulps=_ulps(comparison, Method.SHIFTED),
        ),
        (comparison,),
    )


def _half_precision() -> Facts:
    n = 70_000
    comparison = compare(np.zeros(n), formats=["float16"], errors=True)
    value = _result(comparison, Method.EXACT).value
    return Facts(_figures(n=n, largest=_FLOAT16.largest, value=value), (comparison,))


def _division_free() -> Facts:
    methods = ["shifted", "division-free", "exact"]
    comparison = compare([700, 701, 702], "softmax", methods=methods)
    quotient, free = (_ulps(comparison, m) for m in (Method.SHIFTED, Method.DIVISION_FREE))
    return Facts(_figures(quotient_ulps=quotient, free_ulps=free), (comparison,))


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


#: What NumPy has no function for.
_NUMPY = Peer("numpy", "NumPy", "numpy", "np", {
    Task.LOGSUMEXP: "(a := x.max(-1, keepdims=True))[:, 0] + np.log(np.exp(x - a).sum(-1))",
    Task.SOFTMAX: "(e := np.exp(x - x.max(-1, keepdims=True))) / e.sum(-1, keepdims=True)",
})  # fmt: skip

#: What the last scene writes with.
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


#: The scenes, in the order of the tour.
SCENES: dict[str, Plan] = {
    "why": Plan("stablelse lse 1 2 3", _why),
    "scores": Plan("stablelse softmax 1 2 3", _scores),
    "overflow": Plan(
        "stablelse lse 1000 1001", lambda: _shown(1000, 1001, methods=["naive", "exact"])
    ),
    "underflow": Plan(
        "stablelse lse -1000 -1001", lambda: _shown(-1000, -1001, methods=["naive", "exact"])
    ),
    "shift": Plan("stablelse prove lse 1000 1001", lambda: _shown(1000, 1001)),
    "softmax": Plan("stablelse softmax 1000 1001", lambda: _shown(1000, 1001, function="softmax")),
    "log-softmax": Plan(
        "stablelse log-softmax 0 -1000", lambda: _shown(0, -1000, function="log_softmax")
    ),
    "any-shift": Plan(
        "stablelse lse 1000 1001 --shift max --shift 1500 --shift 0 --shift 2000", _any_shift
    ),
    "digits": Plan("stablelse limits", _digits),
    "near-zero": Plan("stablelse lse -0.775 -0.6175 --errors", _near_zero),
    "half-precision": Plan(
        "yes 0 | head -n 70000 | stablelse lse --dtype float16", _half_precision
    ),
    "division-free": Plan(
        "stablelse softmax 700 701 702 --method shifted --method division-free",
        _division_free,
    ),
    "one-pass": Plan("seq 1 1000000 | stablelse lse", _one_pass),
    "libraries": Plan("stablelse peers", _libraries),
    "write": Plan("stablelse peers 1000 1001", _write),
}


def demo(names: Sequence[str] = ()) -> Iterator[Scene]:
    """Compute scenes of the tour when asked for: those named, or all; check the names first."""
    for name in names:
        if name not in SCENES:
            raise UnknownSceneError(unknown_scene(name))
    order = list(SCENES)
    for name in names or order:
        plan = SCENES[name]
        yield Scene(name, order.index(name) + 1, len(order), plan.command, plan.compute())


def unknown_scene(name: str) -> str:
    """Return an error message for a scene that does not exist."""
    near = get_close_matches(name, SCENES, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"there is no scene {name!r}: {meant}choose from {', '.join(SCENES)}"
