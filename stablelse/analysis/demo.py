"""The guided tour: scenes whose every number is computed when they are shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis import Displayed
from stablelse.analysis.compare import compare
from stablelse.analysis.gallery import CASES, gallery
from stablelse.analysis.peers import Outcome
from stablelse.numerics.formats import FORMATS
from stablelse.numerics.formulas import ChoiceError
from stablelse.numerics.running import RunningShifted

#: What is computed for a scene, with its names in the scene's words.
SceneFacts = dict[str, Any]


@dataclass(frozen=True)
class Scene(Displayed):
    """One scene of the tour: its number, its facts, and a command that shows more."""

    name: str
    number: int
    of: int
    command: str
    facts: SceneFacts


class Pass(NamedTuple):
    """One step of a single pass over the numbers."""

    entry: Any  # The next number
    before: Any  # The largest before it, and so far
    maximum: Any
    total: Any  # The sum of exp(x - maximum) so far
    value: Any  # The log-sum-exp so far


def _compared(x: Any, *arguments: Any, **options: Any) -> Callable[[], SceneFacts]:
    """Return a function that compares methods."""
    return lambda: {"comparison": compare(x, *arguments, **options)}


def _why() -> SceneFacts:
    n, p = 2000, 0.5
    facts = {"n": n, "p": p, "likelihood": np.full(n, p).prod(), "logarithm": n * np.log(p)}
    return facts | _compared([1, 2, 3], methods=_NAIVE)()


def _digits() -> SceneFacts:
    value, bits = np.float64(1) / 3, FORMATS["float64"].significand_bits
    ulp = np.spacing(value)
    facts = {"bits": bits, "digits": round(bits * np.log10(2)), "value": value, "ulp": ulp}
    return facts | {f"off{k}": value + k * ulp for k in (1, 10, 1_000, 1_000_000)}


def _one_pass() -> SceneFacts:
    state, passes = RunningShifted(), []
    for x in np.array([3.0, 1000.0, 998.0, 1001.0]):
        before = state.shift
        state.update(x)
        passes.append(Pass(x, before, state.shift, state.total, state.result()))
    return {"passes": passes}


def _libraries() -> SceneFacts:
    shown = next(case for case in CASES if case.name == "one dominates at zero")
    (case,) = gallery(cases=[shown._replace(tasks=shown.tasks[:1])]).cases
    others = case.results[:-2]  # without this package, and the exact result
    outcomes = [result.outcome for result in others]
    return {
        "cases": sum(len(case.tasks) for case in CASES),
        "asked": len(outcomes) - outcomes.count(Outcome.NO_ANSWER),
        "right": outcomes.count(Outcome.RIGHT),
        "broken": outcomes.count(Outcome.BROKEN),
        "case": case,
    }


_NAIVE, _BOTH = ("naive", "exact"), ("naive", "shifted", "exact")
_SOFTMAX = ("shifted", "division-free", "exact")
_SHIFTS = ("max", 1500, 0, 2000)

#: The scenes, in the order of the tour: the command to type, and what computes the facts.
SCENES: dict[str, tuple[str, Callable[[], SceneFacts]]] = {
    "why": ("stablelse lse 1 2 3", _why),
    "scores": ("stablelse softmax 1 2 3", _compared([1, 2, 3], "softmax", methods=_NAIVE)),
    "overflow": ("stablelse lse 1000 1001", _compared([1000, 1001], methods=_NAIVE)),
    "underflow": ("stablelse lse -1000 -1001", _compared([-1000, -1001], methods=_NAIVE)),
    "shift": ("stablelse prove lse 1000 1001", _compared([1000, 1001], methods=_BOTH)),
    "softmax": (
        "stablelse softmax 1000 1001",
        _compared([1000, 1001], "softmax", methods=_BOTH),
    ),
    "log-softmax": (
        "stablelse log-softmax 0 -1000",
        _compared([0, -1000], "log_softmax", methods=_BOTH),
    ),
    "any-shift": (
        "stablelse lse 1000 1001 --shift max --shift 1500 --shift 0 --shift 2000",
        _compared([1000, 1001], methods=["shifted"], shifts=_SHIFTS),
    ),
    "digits": ("stablelse limits", _digits),
    "near-zero": (
        "stablelse lse -0.775 -0.6175 --errors",
        _compared([-0.775, -0.6175], methods=_BOTH),
    ),
    "half-precision": (
        "yes 0 | head -n 70000 | stablelse lse --dtype float16",
        _compared(np.zeros(70_000), methods=_BOTH, formats=["float16"]),
    ),
    "division-free": (
        "stablelse softmax 700 701 702 --method shifted --method division-free",
        _compared([700, 701, 702], "softmax", methods=_SOFTMAX),
    ),
    "one-pass": ("seq 1 1000000 | stablelse lse", _one_pass),
    "libraries": ("stablelse peers", _libraries),
    "write": ("stablelse peers 1000 1001", dict),
}


def find_scene(name: str) -> tuple[str, Callable[[], SceneFacts]]:
    """Return the command and the function of a scene, or raise ChoiceError."""
    if name not in SCENES:
        raise ChoiceError(f"unknown scene {name!r}: choose from {', '.join(SCENES)}")
    return SCENES[name]


def demo(name: str) -> Scene:
    """Compute a scene of the tour."""
    command, compute = find_scene(name)
    order = list(SCENES)
    return Scene(name, order.index(name) + 1, len(order), command, compute())
