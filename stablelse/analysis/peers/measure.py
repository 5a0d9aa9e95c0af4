"""One question to every library: what each answers, how wrong it is, how long it takes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from stablelse.analysis.peers import Library, Peer, Task, UnsupportedError, choose_peers
from stablelse.analysis.peers.comparison import Outcome, PeerResult, Worst
from stablelse.analysis.results import Place
from stablelse.numerics.errors import ulp_error
from stablelse.numerics.formats import Array, Format, format_of

#: Of longer vectors the results are not told one by one.
_MOST_TOLD = 1000

#: A call is repeated for as long as this, in seconds, and at least so many times.
_PATIENCE, _REPETITIONS = 0.1, 3


class Question(NamedTuple):
    """What every library is asked.

    Attributes
    ----------
    task : Task
        What to compute.
    x : ndarray
        Shape (m, n), n >= 1: a vector a row, of the format (or integers, which count as it).
    b : ndarray or None
        The weights, of the same shape.
    format : Format
        What the results are rounded to, and judged in.
    exact : ndarray
        Shape (m, k): the correctly rounded results.
    place : callable
        Takes the index of a row to where the vector came from.
    """

    task: Task
    x: Array
    b: Array | None
    format: Format
    exact: Array
    place: Callable[[int], Place] = lambda row: Place()


class Asked(NamedTuple):
    """A library that is asked, or why it cannot be."""

    peer: Peer
    library: Library | None
    reason: str | None


def ask_whom(names: Sequence[str] = ()) -> tuple[list[Asked], tuple[str, ...]]:
    """Import the libraries of these names, all if there are none, and name the missing packages.

    Raises
    ------
    UnknownPeerError
        If a name is unknown, or its library not installed.
    """
    present, missing = choose_peers(names)
    return [_imported(peer) for peer in present], tuple(peer.package for peer in missing)


def ask(questions: Iterable[Question], asked: Sequence[Asked], *, time: bool) -> Answers:
    """Put the questions to all libraries and fold the answers, format by format.

    Parameters
    ----------
    questions : iterable of Question
        All of the same task.
    asked : sequence of Asked
        The libraries.
    time : bool
        Whether to measure how long each takes.
    """
    tallies: dict[str, list[_Tally]] = {}
    sources: set[str | None] = set()
    lengths: set[int] = set()
    for question in questions:
        name = question.format.name
        if name not in tallies:
            tallies[name] = [_Tally(name, question.task, *one) for one in (*asked, _EXACT)]
        for tally in tallies[name]:
            tally.ask(question, time)
        sources.add(question.place(0).source)
        lengths.add(question.x.shape[-1])
    vectors = max(tally.vectors for of_format in tallies.values() for tally in of_format)
    results = [tally.result() for of_format in tallies.values() for tally in of_format]
    if vectors > 1:  # the exact results of many are nothing to look at
        results = [result for result in results if result.peer != _EXACT.peer.name]
    return Answers(_only(sources), vectors, _only(lengths), tuple(results))


def _only(values: set[Any]) -> Any:
    return values.pop() if len(values) == 1 else None


class Answers(NamedTuple):
    """Where the vectors came from, how many, of which length, and the results."""

    source: str | None
    vectors: int
    n: int | None
    results: tuple[PeerResult, ...]


#: The row of the exact result: it is not asked, it is known.
_EXACT = Asked(Peer("exact", "exact", "", ""), None, None)


def _imported(peer: Peer) -> Asked:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Asked(peer, peer.library(), None)
    except Exception as error:  # whatever it is, it is the library's, and the others go on
        return Asked(peer, None, f"cannot be imported: {_one_line(error)}")


class _Answer(NamedTuple):
    """What a library gave: of shape (m, k), in the format; in what dtype; in how many seconds."""

    values: Array
    returned: str | None = None
    seconds: float | None = None


class _Tally:
    """The results of one library in one format, added up."""

    def __init__(
        self, format_name: str, task: Task, peer: Peer, library: Library | None, reason: str | None
    ) -> None:
        self.format_name, self.task = format_name, task
        self.peer, self.library, self.reason = peer, library, reason
        self.vectors = self.elements = self.judged = self.misrounded = self.broken = 0
        self.ulps, self.worst = -1.0, Worst()
        self.seconds: float | None = 0.0
        self.returned: str | None = None
        self.value: Any = None

    def ask(self, question: Question, time: bool) -> None:
        """Ask the library, unless it has given up before, and judge its answer."""
        self.vectors += len(question.x)
        self.elements += question.x.size
        if self.reason is not None:
            return
        answer = _Answer(question.exact)
        if self.library is not None:
            try:
                answer = _answer(self.library, question, time)
            except UnsupportedError as error:
                self.reason = str(error)
                return
            except Exception as error:  # a library may raise what it likes: it is told
                self.reason = _one_line(error)
                return
        self.returned = answer.returned
        if answer.seconds is None or self.seconds is None:
            self.seconds = None
        else:
            self.seconds += answer.seconds
        self._judge(answer.values, question)

    def _judge(self, values: Array, question: Question) -> None:
        errors = ulp_error(values, question.exact, question.format)
        # As many ulps as the significand's leading bit is worth: not even that one is right.
        nothing_right = 2.0 ** (question.format.significand_bits - 1)
        self.judged += errors.size
        self.misrounded += int(np.count_nonzero(errors))
        self.broken += int(np.count_nonzero(errors >= nothing_right))
        row, element = divmod(int(np.argmax(errors)), errors.shape[-1])
        if errors[row, element] > self.ulps:
            self.ulps = float(errors[row, element])
            self.worst = Worst(
                *question.place(row),
                element=None if question.task in _SCALAR else element + 1,
                value=values[row, element],
                exact=question.exact[row, element],
            )
        if values.size <= _MOST_TOLD:
            self.value = values[0, 0] if question.task in _SCALAR else values[0]

    def result(self) -> PeerResult:
        """Return what has been added up; nothing of it, if the library has given up."""
        answered = self.reason is None
        timed = answered and self.library is not None and self.seconds is not None
        return PeerResult(
            peer=self.peer.name,
            title=self.peer.title,
            version=None if self.library is None else self.library.version,
            call=None if self.library is None else self.library.calls.get(self.task),
            format=self.format_name,
            returned=self.returned if answered else None,
            outcome=self._outcome(),
            judged=self.judged if answered else 0,
            misrounded=self.misrounded if answered else 0,
            share=self.misrounded / self.judged if answered else None,
            broken=self.broken if answered else 0,
            ulps=self.ulps if answered else None,
            worst=self.worst if answered else Worst(),
            nanoseconds=round(1e9 * (self.seconds or 0) / self.elements, 3) if timed else None,
            reason=self.reason,
            value=self.value if answered and self.vectors == 1 else None,
        )

    def _outcome(self) -> Outcome:
        if self.reason is not None:
            return Outcome.NO_ANSWER
        if self.broken:
            return Outcome.BROKEN
        return Outcome.MISROUNDED if self.misrounded else Outcome.RIGHT


#: The tasks whose result is one number.
_SCALAR = frozenset({Task.LOGSUMEXP, Task.WEIGHTED})


def _answer(library: Library, question: Question, time: bool) -> _Answer:
    """Ask a library; whatever it raises is passed on, whatever it warns of is not."""
    with warnings.catch_warnings(), np.errstate(all="ignore"), library.context():
        warnings.simplefilter("ignore")
        function = library.function(question.task)
        x = library.native(question.x, question.format)
        b = None if question.b is None else library.native(question.b, question.format)
        result = function(x, b)
        seconds = _fastest(lambda: function(x, b)) if time else None
        parts = result if isinstance(result, tuple) else (result,)
        arrays = [np.asarray(library.to_numpy(part)) for part in parts]
    rows = [array.reshape(len(question.x), -1) for array in arrays]
    values = question.format.round(np.concatenate(rows, axis=-1))
    returned = format_of(arrays[0].dtype)
    return _Answer(values, returned.name if returned else arrays[0].dtype.name, seconds)


def _fastest(call: Callable[[], Any]) -> float:
    """Return the seconds that a call takes which has been warmed up: the fastest of several.

    What else the machine does can only add to the time; the minimum has the least of it
    (Chen & Revels 2016, Robust benchmarking in noisy environments, arXiv 1608.04295).
    """
    spent = 0.0
    times: list[float] = []
    while len(times) < _REPETITIONS or spent < _PATIENCE:
        begin = perf_counter()
        call()
        times.append(perf_counter() - begin)
        spent += times[-1]
    return min(times)


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
