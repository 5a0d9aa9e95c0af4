"""Folds numbers into states, with threads on this machine or workers of a Dask cluster.

The result is identical for any number of threads and workers, and for any parts. A worker takes a
part of a few hundred bytes and returns states of a few thousand: only the worker that reads
numbers ever holds them. Only this module uses ``dask.distributed``, and only to join a cluster that
someone else has started: this process never listens for connections.
"""

from __future__ import annotations

import asyncio
import logging
import math
import pickle
import socket
import warnings
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import chain
from threading import Event, Thread
from time import monotonic
from types import SimpleNamespace
from typing import Any, TypeVar

from stablelse import __version__
from stablelse.analysis.stream import StreamState
from stablelse.numerics.threads import cores, limited
from stablelse.readers import Part, check_columns, read_part
from stablelse.readers.blocks import Block, Note, ReadError, in_one_line, in_order, shown

Piece = TypeVar("Piece")
Result = TypeVar("Result")

#: How many blocks are in memory at once. Also bounds the threads: reading cannot feed more.
_BLOCKS_AHEAD = 4

#: How many parts the scheduler has at once: enough to keep all workers busy.
_PARTS_AHEAD = 1000

#: How long a cluster may be silent, in seconds, unless the user says how long: until it is reached,
#: and until the first result, for a cluster that grows with its work has to start machines.
_TO_CONNECT, _TO_BEGIN = 10.0, 60.0

#: How often a cluster that keeps us waiting is asked for signs of life, and how long it has to
#: answer; after how long without any the user hears of it, in seconds.
_PULSE, _SILENCE = 1.0, 10.0

#: Set when the threads of this process are to stop: a part may take minutes.
_GIVEN_UP = Event()


def fold(
    blocks: Iterable[Block],
    states: Sequence[StreamState],
    report: Callable[[Block], None] | None = None,
    threads: int | None = None,
) -> None:
    """Add the numbers of all blocks to states, in order and in constant memory.

    One state takes all numbers; several take a column each. Each block is reported when its numbers
    have been added. If the blocks raise a ReadError, everything before it has been added.
    """
    report = report or (lambda block: None)
    if len(states) > 1:  # within a block, columns are too short for threads
        for block in blocks:
            missing = [None] * len(states) if block.missing is None else list(block.missing.T)
            for state, column, absent in zip(states, block.values.T, missing, strict=True):
                state.update(column, block.source, absent)
            report(block)
        return
    with ThreadPoolExecutor(min(threads or cores(), _BLOCKS_AHEAD), "fold") as pool:

        def submit(block: Block) -> Future[StreamState]:
            return pool.submit(_added, block, states[0].fresh())

        # Each block has its own state, made when the `_BLOCKS_AHEAD` blocks before it are not yet
        # merged, for any number of threads: so the findings are the same.
        for block, state in in_order(submit, blocks, _BLOCKS_AHEAD):
            states[0].merge(state)
            report(block)


def _added(block: Block, state: StreamState) -> StreamState:
    with limited(1):
        return state.update(block.values, block.source, block.missing, block.begin)


def fold_part(
    part: Part, states: Sequence[StreamState], first: Block
) -> tuple[list[StreamState], list[Note]]:
    """Add the numbers of a part to fresh copies of some states; return these, and all notes.

    If vectors are not rows, the part must have the columns of the block `first`.
    """
    fresh = [state.fresh() for state in states]
    notes: list[Note] = []

    def checked() -> Iterator[Block]:
        for block in read_part(part, notes.append):
            if _GIVEN_UP.is_set():
                raise ReadError("stopped before the end of this part")
            if len(states) > 1 or first.by is None:
                check_columns(block, first)
            yield block

    fold(checked(), fresh, threads=1)  # a cluster has enough workers
    return fresh, notes


def fold_parts(
    paths: Sequence[str],
    split: Callable[[str], Sequence[Piece]],
    work: Callable[[Piece], Result],
    take: Callable[[Piece, Result], None],
    scheduler: str | None = None,
    patience: float | None = None,
    warn: Callable[[str], None] = lambda trouble: None,
) -> None:
    """Fold the parts of all files on a cluster, and take the results here, in order.

    `split` cuts a file into parts and `work` folds one of them; both run on the workers, which
    import them by name. The cluster is the one at the address `scheduler` (``tcp://host:8786``), or
    that of Dask's own settings; if there is none, threads of this process do the work. `warn` is
    called with what keeps a cluster from working, or with "" if nothing does. A ReadError is about
    the first part that cannot be read, or says that the cluster has failed, or has shown no sign of
    life for `patience` seconds.
    """
    with _workers(scheduler, patience, warn) as submit:
        split_files = in_order(partial(submit, split), paths, _PARTS_AHEAD)
        parts = chain.from_iterable(parts for _, parts in split_files)
        for part, result in in_order(partial(submit, work), parts, _PARTS_AHEAD):
            take(part, result)


@contextmanager
def _workers(
    address: str | None, patience: float | None, warn: Callable[[str], None]
) -> Iterator[Callable[..., Any]]:
    """Yield what submits a call to a worker and returns its future."""
    if find_spec("distributed") is None:
        raise ReadError(
            "--engine dask needs dask.distributed, which is not installed: "
            "pip install distributed fsspec"
        )
    try:
        settings = import_module("dask.config")
    except Exception as error:
        raise ReadError(f"cannot load Dask: {in_one_line(error)}") from None
    if address is None:
        address = settings.get("scheduler-address", None) or None
    if address is None:
        pool = ThreadPoolExecutor(cores(), "part")
        try:
            yield pool.submit
        finally:  # after an error or Ctrl-C, no thread goes on
            _GIVEN_UP.set()
            pool.shutdown(cancel_futures=True)
            _GIVEN_UP.clear()
        return
    # Not undone: a connection that was given up may still complain at exit.
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    cluster = _Cluster(shown(str(address)), patience, warn)
    try:
        cluster.open()
        yield cluster.submit
    finally:
        cluster.close()


class _Call:
    """A call that is made where its pickle is loaded."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self._call = function, args

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self._call


def _outcome(version: str, function: Callable[[Any], Any], item: Any) -> bytes:
    """Call a function on a worker; return the pickled result, or the error about the input."""
    here = f"the worker on {socket.gethostname()}"
    try:
        if version != __version__:
            raise ReadError(f"{here} has stablelse {__version__}, not {version}: install that")
        outcome = function(item)
    except ReadError as error:
        # What the system or a missing package says may be true on that machine alone.
        is_local = isinstance(error.__context__, (OSError, ImportError))
        outcome = ReadError(f"{error} (says {here})") if is_local else error
    return pickle.dumps(outcome)


class _Cluster:
    """A running cluster. Dask may wait forever; here, every wait ends or the user hears of it."""

    def __init__(self, address: str, patience: float | None, warn: Callable[[str], None]) -> None:
        self._address, self._patience, self._warn = address, patience, warn
        self._name = f"the Dask cluster at {address}"
        self._dask = import_module("distributed")
        self._client: Any = None
        self._calls = 0
        self._alive, self._signs = monotonic(), dict[str, Any]()
        self._limit = patience or _TO_BEGIN
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="dask", daemon=True)
        self._thread.start()

    def open(self) -> None:
        """Connect to the scheduler."""
        seconds = self._patience or _TO_CONNECT
        try:
            self._ask(self._connect(0.9 * seconds), seconds)
        except Exception as error:  # anything may answer at this address
            cause: BaseException = error
            while cause.__cause__ is not None:
                cause = cause.__cause__
            reason = getattr(cause, "strerror", None) or in_one_line(cause)
            if isinstance(cause, TimeoutError | asyncio.CancelledError):  # the latter from 3.12 on
                reason = f"no answer within {seconds:g} seconds"
            elif isinstance(cause, MemoryError):  # the length of a message makes no sense
                reason = "what answers there is not one"
            raise ReadError(
                f"cannot reach a Dask scheduler at {self._address} ({reason}); check the address, "
                "as in tcp://host:8786, and Dask's settings"
            ) from None
        self._alive = monotonic()

    async def _connect(self, seconds: float) -> None:
        self._client = self._dask.Client(
            self._address, timeout=seconds, asynchronous=True, set_as_default=False
        )
        await self._client
        for topic in ("print", "warn"):  # what others on this cluster have all clients print
            self._client.unsubscribe_topic(topic)

    def _ask(self, answer: Coroutine[Any, Any, Result], seconds: float) -> Result:
        """Return what Dask answers, or raise a TimeoutError."""
        asked = asyncio.run_coroutine_threadsafe(asyncio.wait_for(answer, seconds), self._loop)
        return asked.result(seconds + _PULSE)  # if even the thread does not answer

    def submit(self, function: Callable[[Any], Any], item: Any) -> SimpleNamespace:
        """Let a worker call a function; the `result` of what is returned waits for the outcome."""
        self._calls += 1
        call = self._run(pickle.dumps(_Call(_outcome, __version__, function, item)), self._calls)
        future = asyncio.run_coroutine_threadsafe(call, self._loop)
        return SimpleNamespace(result=partial(self._awaited, future))

    async def _run(self, call: bytes, number: int) -> bytes:
        """Return the outcome of a call; if it failed, not for the input, raise an error."""
        # A function of the standard library: a task that cannot be loaded would kill workers.
        # The priority keeps the order in which results are awaited, also after a worker died.
        task = self._client.submit(pickle.loads, call, pure=False, priority=-number)
        try:
            outcome: bytes = await task
        except (Exception, asyncio.CancelledError) as error:
            if task.status != "error":
                reason = getattr(error, "reason", None) or in_one_line(error)
                what = f"is lost ({reason}); run the command again"
            elif isinstance(error, self._dask.KilledWorker):
                what = (
                    f"lost {error.allowed_failures + 1} workers to the same part, perhaps for lack "
                    "of memory; give each worker more"
                )
            elif isinstance(error, ImportError):
                what = (
                    f"has a worker that cannot load stablelse ({in_one_line(error)}): install "
                    f"stablelse {__version__} there, as it is here"
                )
            else:
                raise
            raise ReadError(f"{self._name} {what}") from None
        return outcome

    def _awaited(self, future: Future[bytes]) -> Any:
        """Return the outcome of a call, however long it takes while the cluster lives."""
        while not wait([future], _PULSE).done:
            self._look_for_life()
        self._alive, self._limit = monotonic(), self._patience or math.inf
        self._warn("")
        outcome = pickle.loads(future.result())
        if isinstance(outcome, ReadError):
            raise outcome
        return outcome

    def _look_for_life(self) -> None:
        """Ask for signs of life; without any for long, say so, and then give up."""
        trouble, fix = "its scheduler does not answer", "check that it still runs"
        with suppress(Exception):  # anything may answer
            workers = self._ask(self._client.scheduler.identity(), _PULSE)["workers"]
            running = {k: w["last_seen"] for k, w in workers.items() if w["status"] == "running"}
            trouble, fix = "no worker is running", f"start some: dask worker {self._address}"
            if running:
                trouble, fix = "no worker answers", "restart them"
                if running != self._signs:
                    self._alive = monotonic()
            self._signs = running
        silence = monotonic() - self._alive
        if silence >= self._limit:
            raise ReadError(f"{self._name} is stuck: {trouble}, for {silence:.0f} s; {fix}")
        self._warn(trouble if silence >= _SILENCE else "")

    def close(self) -> None:
        """Leave the cluster, even if nobody answers."""
        with suppress(Exception):
            self._ask(self._client.close(), _PULSE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PULSE)
