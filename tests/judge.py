"""The judge: results held against those of ball arithmetic, and counted."""

import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import repeat
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from balls import Vector
from families import Stack

import stablelse
from stablelse.numerics import decimals, reference
from stablelse.numerics.formats import Array, Format

#: Results, one row for each vector, and how many each rung of the ladder settled.
Answer = tuple[Array, Counter]
Subject = Callable[[str, Array, Array | None, int | None, Format], Answer]

#: So many misrounded results are kept as examples.
EXAMPLES = 5

#: Seconds for a stack. A climb that finds no end is a failure as well.
PATIENCE = 120


class NoAnswerError(Exception):
    """Nothing came in the time there is."""


@contextmanager
def _patience(what: str) -> Iterator[None]:
    def stop(*_) -> None:
        raise NoAnswerError(f"{what}: no answer in {PATIENCE} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


class Misrounded(NamedTuple):
    """A result that is not the number of the format nearest to the true one."""

    function: str
    call: str
    format: str
    x: Array
    b: Array | None
    element: int
    found: Any
    expected: Any

    def __str__(self) -> str:
        weights = "" if self.b is None else f"\n  b = {_hex(self.b)}"
        return (
            f"{self.function}, {self.x.dtype} to {self.format}, {self.call}, n = {self.x.size}, "
            f"result {self.element}: {self.found!r} instead of {self.expected!r}\n"
            f"  x = {_hex(self.x)}{weights}"
        )


def _hex(x: Array) -> str:
    """Return an array as one can type it in again, bit for bit."""
    if x.dtype == np.longdouble:
        return str([np.format_float_scientific(v, unique=True) for v in x])
    return f"[{', '.join(v.hex() for v in x.astype(float).tolist())}]"


@dataclass
class Tally:
    """What came of judging many vectors.

    Attributes
    ----------
    seconds : Counter
        Spent on the "oracle", and on the functions "together" and "alone".
    rungs : Counter
        How many results of a (function, rung) there were.
    unanswered : list of str
        What took too long, and was given up.
    wrong : Counter
        How many results of a function were misrounded.
    examples : list of Misrounded
        The first of them.
    """

    vectors: int = 0
    elements: int = 0
    seconds: Counter = field(default_factory=Counter)
    rungs: Counter = field(default_factory=Counter)
    unanswered: list[str] = field(default_factory=list)
    wrong: Counter = field(default_factory=Counter)
    examples: list[Misrounded] = field(default_factory=list)

    def judge(
        self, stack: Stack, format_: Format, subject: str = "exact", *, alone: bool = True
    ) -> None:
        """Judge a stack, its vectors computed together and, if wanted, each of them alone."""
        self.vectors += len(stack.x)
        self.elements += stack.x.size
        begin = perf_counter()
        truth = _truth(stack, format_)
        self.seconds["oracle"] += perf_counter() - begin
        for function, expected in truth.items():
            for call, compute in _CALLS.items():
                if call == "alone" and not alone:
                    continue
                begin = perf_counter()
                with _patience(f"{function}, {call}, {stack.x.dtype}, to {format_.name}"):
                    found, settled = compute(SUBJECTS[subject], function, stack, format_)
                self.seconds[call] += perf_counter() - begin
                for rung, count in settled.items():
                    self.rungs[function, rung] += count
                self._compare(function, call, stack, found, expected, format_)

    def _compare(self, function, call, stack, found, expected, format_) -> None:
        with np.errstate(invalid="ignore"):
            wrong = ~((found == expected) | (np.isnan(found) & np.isnan(expected)))
        places = np.argwhere(wrong)
        self.wrong[function] += len(places)
        for i, j in places[: EXAMPLES - len(self.examples)].tolist():
            b = None if stack.b is None else stack.b[i]
            case = function, call, format_.name, stack.x[i], b, j
            self.examples.append(Misrounded(*case, found[i, j], expected[i, j]))

    def add(self, other: "Tally") -> None:
        """Add what another one has."""
        self.vectors += other.vectors
        self.elements += other.elements
        self.seconds += other.seconds
        self.rungs += other.rungs
        self.unanswered += other.unanswered
        self.wrong += other.wrong
        self.examples += other.examples


def _exact(function: str, x: Array, b: Array | None, axis: int | None, format_: Format) -> Answer:
    from stablelse import exact

    dtype = None if x.dtype == format_.dtype else format_.dtype
    arguments: dict[str, Any] = {"axis": axis, "dtype": dtype, "return_certificate": True}
    if function == "logsumexp":
        arguments |= {"b": b, "return_sign": True}
    *results, certificate = getattr(exact, function)(x, **arguments)
    return _joined(results), Counter(certificate.settled)


def _library(function: str, x: Array, b: Array | None, axis: int | None, _: Format) -> Answer:
    arguments: dict[str, Any] = {"axis": axis}
    if function == "logsumexp":
        arguments |= {"b": b, "return_sign": True}
    results = getattr(stablelse, function)(x, **arguments)
    return _joined(results if function == "logsumexp" else [results]), Counter()


def _reference(
    function: str, x: Array, b: Array | None, axis: int | None, format_: Format
) -> Answer:
    weights = () if b is None else (np.atleast_2d(b),)
    *results, certificate = getattr(reference, function)(np.atleast_2d(x), format_, *weights)
    results = [result if axis is not None else result[0] for result in results]
    return _joined(results), Counter(certificate.settled)


def _decimals(
    function: str, x: Array, b: Array | None, axis: int | None, format_: Format
) -> Answer:
    if axis is not None:
        rows = zip(x, [None] * len(x) if b is None else b, strict=True)
        return np.stack([_decimals(function, *row, None, format_)[0] for row in rows]), Counter()
    if function == "logsumexp":
        return _joined(decimals.logsumexp(x, format_, b)), Counter()
    return getattr(decimals, function)(x, format_), Counter()


def _joined(results: Sequence[Array]) -> Array:
    """Return one array; the value and the sign of a sum are two results of a row."""
    if len(results) == 1:
        return results[0]
    return np.stack([np.asarray(r).astype(np.longdouble) for r in results], axis=-1)


#: Who can be judged: the correctly rounded functions; the library's own, which are correctly
#: rounded in the narrow formats; the reference; and the last rung of the ladder.
SUBJECTS = {
    "exact": _exact,
    "library": _library,
    "reference": _reference,
    "decimals": _decimals,
}


def _together(subject: Subject, function: str, stack: Stack, format_: Format) -> Answer:
    return subject(function, *stack, 1, format_)


def _alone(subject: Subject, function: str, stack: Stack, format_: Format) -> Answer:
    rows, settled = [], Counter()
    for row in zip(stack.x, _weights(stack), strict=True):
        results, settled_of_row = subject(function, *row, None, format_)
        rows.append(results)
        settled.update(settled_of_row)
    return np.stack(rows), settled


_CALLS = {"together": _together, "alone": _alone}


def _weights(stack: Stack) -> Iterable[Array | None]:
    return repeat(None, len(stack.x)) if stack.b is None else stack.b


def _truth(stack: Stack, format_: Format) -> dict[str, Array]:
    """Return the correctly rounded results; weights are for logsumexp alone."""
    vectors = [Vector(x, b) for x, b in zip(stack.x, _weights(stack), strict=True)]
    results = {"logsumexp": [np.array(v.logsumexp(format_), np.longdouble) for v in vectors]}
    if stack.b is None:
        results["softmax"] = [v.softmax(format_) for v in vectors]
        results["log_softmax"] = [v.log_softmax(format_) for v in vectors]
    return {function: np.stack(rows) for function, rows in results.items()}
