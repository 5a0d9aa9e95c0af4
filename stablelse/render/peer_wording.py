"""The words for what libraries gave, on the screen and in plain lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isinf

from stablelse.analysis.peers import Task
from stablelse.analysis.peers.comparison import Outcome, PeerComparison, PeerResult
from stablelse.render.wording import Glyphs, ulps_text

TASK_NAMES: dict[Task, str] = {
    Task.LOGSUMEXP: "log-sum-exp",
    Task.SOFTMAX: "softmax",
    Task.LOG_SOFTMAX: "log-softmax",
    Task.WEIGHTED: "log-sum-exp with weights",
    Task.SIGNED: "log-sum-exp with weights and sign",
    Task.GRADIENT: "gradient of log-sum-exp",
}


def peers_title(comparison: PeerComparison) -> tuple[str, str]:
    """Return what was computed, and of what."""
    of = "1 vector" if comparison.vectors == 1 else f"{comparison.vectors:,} vectors"
    if comparison.n is not None:
        numbers = "number" if comparison.n == 1 else "numbers"
        of = f"{comparison.n:,} {numbers}" if comparison.vectors == 1 else f"{of} of {comparison.n}"
    return TASK_NAMES[comparison.function], f" of {of}"


def case_lines(
    results: Sequence[PeerResult], task: Task, glyphs: Glyphs
) -> Iterator[tuple[PeerResult, str, str]]:
    """Yield for each result on a single vector what was given, and what became of it.

    Of a vector of results the worst element is shown; where all of them are right, the one at
    which the others went wrong.
    """
    by_error = sorted(results, key=lambda result: -1 if result.ulps is None else result.ulps)
    element = by_error[-1].worst.element
    for result in results:
        yield result, _given_text(result, task, element, glyphs), _outcome_text(result)


def _given_text(result: PeerResult, task: Task, element: int | None, glyphs: Glyphs) -> str:
    if result.outcome is Outcome.NO_ANSWER:
        return glyphs.dash
    worst, value = result.worst, result.value
    if task is Task.SIGNED:
        return f"{glyphs.number(value[0])}, sign {glyphs.number(value[1])}"
    if worst.element is None:
        return glyphs.number(worst.value)
    if result.outcome is Outcome.RIGHT and element is not None and value is not None:
        return f"x_{element}: {glyphs.number(value[element - 1])}"
    return f"x_{worst.element}: {glyphs.number(worst.value)}"


def _outcome_text(result: PeerResult) -> str:
    if result.outcome is Outcome.NO_ANSWER:
        return result.reason or ""
    if result.outcome is Outcome.RIGHT:
        by_convention = result.worst.value != result.worst.value
        right = "correctly rounded" if result.peer == "exact" else "right"
        return "NaN by convention" if by_convention else right
    words = ["broken"] if result.outcome is Outcome.BROKEN else []
    words += [] if result.ulps is None or isinf(result.ulps) else [ulps_text(result.ulps)]
    words += [f"in {result.returned}"] if result.returned != result.format else []
    return ", ".join(words)


def legend(results: Sequence[PeerResult]) -> Iterator[tuple[str, str]]:
    """Yield for each library what was called, and why there is no answer or another dtype."""
    for result in results:
        if result.peer == "exact":
            continue
        remarks = [result.call] if result.call else []
        remarks += [result.reason] if result.reason else []
        if result.returned not in (None, result.format):
            remarks.append(f"gives {result.returned}, rounded to {result.format} to be judged")
        yield result.title, "; ".join(remarks)


def missing_text(missing: Sequence[str]) -> str:
    """Return which packages are not installed, and what would bring them in."""
    return f"not installed: {', '.join(missing)}; pip install {' '.join(missing)} brings in more"


def time_text(result: PeerResult) -> str:
    """Return the nanoseconds per element, to a tenth where they are few; nothing if unknown."""
    if result.nanoseconds is None:
        return ""
    return f"{result.nanoseconds:,.{0 if result.nanoseconds >= 100 else 1}f}"
