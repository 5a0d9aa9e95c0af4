"""The guided tour: scenes whose every number is computed as they are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis.compare import compare
from stablelse.analysis.display import Displayed
from stablelse.analysis.results import Comparison
from stablelse.numerics.formats import FORMATS
from stablelse.numerics.formulas.formula import Method


class UnknownSceneError(ValueError):
    """A scene that there is not; the message lists those that there are."""


class Pass(NamedTuple):
    """One step of a single pass over the numbers, with the largest one so far.

    Attributes
    ----------
    x : float64
        The number that comes.
    maximum : float64
        The largest so far.
    factor : float64
        What the sum is multiplied by, exp of the old maximum less the new one.
    total : float64
        The sum of exp(x - maximum) so far.
    value : float64
        The log-sum-exp so far.
    """

    x: Any
    maximum: Any
    factor: Any
    total: Any
    value: Any


class Figure(NamedTuple):
    """A number that is told of.

    Attributes
    ----------
    name : str
        What the words call it.
    value : int or scalar
        The number, as it was computed.
    """

    name: str
    value: Any


class Facts(NamedTuple):
    """What is computed for a scene.

    Attributes
    ----------
    figures : tuple of Figure
        The numbers that its words tell.
    comparisons : tuple of Comparison
        Methods side by side.
    passes : tuple of Pass
        The steps of a single pass.
    cases : tuple of PeerComparison
        Libraries side by side.
    """

    figures: tuple[Figure, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    passes: tuple[Pass, ...] = ()
    cases: tuple[Any, ...] = ()


class _Scene(NamedTuple):
    name: str
    number: int
    of: int
    command: str
    facts: Facts


class Scene(Displayed, _Scene):
    """One scene of the tour.

    Attributes
    ----------
    name : str
        As ``stablelse demo --scene`` knows it.
    number, of : int
        Which scene of the tour this is, and how many there are.
    command : str
        What to type to see the same, and more of it.
    facts : Facts
        What was computed for it.
    """

    __slots__ = ()


class Plan(NamedTuple):
    """What a scene is made of: what to type, and what computes its facts."""

    command: str
    compute: Callable[[], Facts]


_FLOAT64, _FLOAT16 = FORMATS["float64"], FORMATS["float16"]


def _figures(**values: Any) -> tuple[Figure, ...]:
    return tuple(Figure(name, value) for name, value in values.items())


def _value(comparison: Comparison, method: Method) -> Any:
    return next(result.value for result in comparison.results if result.method is method)


def _overflow() -> Facts:
    comparison = compare([1000, 1001], methods=["naive", "exact"])
    figures = _figures(
        largest=_FLOAT64.largest,
        threshold=_FLOAT64.overflow_threshold,
        value=_value(comparison, Method.EXACT),
    )
    return Facts(figures, (comparison,))


def _underflow() -> Facts:
    comparison = compare([-1000, -1001], methods=["naive", "exact"])
    figures = _figures(
        smallest=_FLOAT64.smallest_subnormal,
        threshold=_FLOAT64.underflow_threshold,
        value=_value(comparison, Method.EXACT),
    )
    return Facts(figures, (comparison,))


def _shift() -> Facts:
    comparison = compare([1000, 1001], methods=["shifted", "exact"])
    return Facts(_figures(value=_value(comparison, Method.EXACT)), (comparison,))


def _any_shift() -> Facts:
    x, shifts = [1000, 1001], ("max", 1500, 0, 2000)
    return Facts(comparisons=(compare(x, methods=["shifted"], shifts=shifts),))


def _softmax() -> Facts:
    naive, right = (compare([1000, 1001], "softmax", methods=[m]) for m in ("naive", "exact"))
    first, second = _value(right, Method.EXACT)
    return Facts(_figures(first=first, second=second), (naive,))


def _log_softmax() -> Facts:
    naive, right = (compare([0, -1000], "log_softmax", methods=[m]) for m in ("naive", "exact"))
    return Facts(_figures(value=_value(right, Method.EXACT)[1]), (naive,))


def _near_zero() -> Facts:
    comparison = compare([-0.775, -0.6175])
    naive, shifted, *_ = comparison.results
    return Facts(
        _figures(
            value=_value(comparison, Method.EXACT),
            total=naive.evaluation.results["s"][0] if naive.evaluation else None,
            naive_ulps=round(naive.ulps or 0),
            shifted_ulps=round(shifted.ulps or 0),
        ),
        (comparison,),
    )


def _half_precision() -> Facts:
    n = 70_000
    comparison = compare(np.zeros(n), formats=["float16"], errors=True)
    figures = _figures(n=n, largest=_FLOAT16.largest, value=_value(comparison, Method.EXACT))
    return Facts(figures, (comparison,))


def _division_free() -> Facts:
    methods = ["shifted", "division-free", "exact"]
    comparison = compare([700, 701, 702], "softmax", methods=methods)
    quotient, free = (
        next(r for r in comparison.results if r.method is method)
        for method in (Method.SHIFTED, Method.DIVISION_FREE)
    )
    figures = _figures(quotient_ulps=round(quotient.ulps or 0), free_ulps=round(free.ulps or 0))
    return Facts(figures, (comparison,))


def _one_pass() -> Facts:
    from stablelse.numerics.running import RunningShifted

    state, passes = RunningShifted(), []
    for x in np.array([3.0, 1000.0, 998.0, 1001.0]):
        before = state.shift
        state.update(x)
        factor = np.exp(before - state.shift)
        passes.append(Pass(x, state.shift, factor, state.total, state.result()))
    return Facts(_figures(value=passes[-1].value), passes=tuple(passes))


def _libraries() -> Facts:
    from stablelse.analysis.gallery import CASES, gallery

    shown = "one dominates at zero"
    cases = [case._replace(tasks=case.tasks[:1]) for case in CASES if case.name == shown]
    return Facts(_figures(cases=len(CASES)), cases=gallery(cases=cases).cases)


#: The scenes, in the order of the tour.
SCENES: dict[str, Plan] = {
    "overflow": Plan("stablelse lse 1000 1001", _overflow),
    "underflow": Plan("stablelse lse -1000 -1001", _underflow),
    "shift": Plan("stablelse prove lse 1000 1001", _shift),
    "any-shift": Plan(
        "stablelse lse 1000 1001 --shift max --shift 1500 --shift 0 --shift 2000", _any_shift
    ),
    "softmax": Plan("stablelse softmax 1000 1001", _softmax),
    "log-softmax": Plan("stablelse log-softmax 0 -1000", _log_softmax),
    "near-zero": Plan("stablelse lse -0.775 -0.6175", _near_zero),
    "half-precision": Plan(
        "yes 0 | head -n 70000 | stablelse lse --dtype float16", _half_precision
    ),
    "division-free": Plan(
        "stablelse softmax 700 701 702 --method shifted --method division-free",
        _division_free,
    ),
    "one-pass": Plan("seq 1 1000000 | stablelse lse", _one_pass),
    "libraries": Plan("stablelse peers", _libraries),
}


def tour(names: Sequence[str] = ()) -> Iterator[Scene]:
    """Compute scenes of the tour, each when it is asked for.

    Parameters
    ----------
    names : sequence of str
        Of `SCENES`; all by default.

    Yields
    ------
    Scene
        In the order of the names.

    Raises
    ------
    UnknownSceneError
        Before the first scene, if there is no such scene.
    """
    for name in names:
        if name not in SCENES:
            raise UnknownSceneError(unknown_scene(name))
    order = list(SCENES)
    for name in names or order:
        plan = SCENES[name]
        yield Scene(name, order.index(name) + 1, len(order), plan.command, plan.compute())


def unknown_scene(name: str) -> str:
    """Return what is said of a scene that there is not."""
    from difflib import get_close_matches

    near = get_close_matches(name, SCENES, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"there is no scene {name!r}: {meant}choose from {', '.join(SCENES)}"
