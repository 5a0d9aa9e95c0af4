"""Folds numbers into states, with threads on this machine or workers of a cluster.

The result is identical for any number of threads and workers, and for any parts. A Dask task
takes a part of a few hundred bytes and returns states of a few thousand: only the worker that
reads numbers ever holds them. Only this module uses ``dask.distributed``.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.util import find_spec
from itertools import chain
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from stablelse import __version__
from stablelse.analysis.stream import StreamState
from stablelse.numerics.threads import available, limited
from stablelse.readers import (
    Block,
    Note,
    Part,
    ReadError,
    check_columns,
    in_one_line,
    in_order,
    read_part,
)

if TYPE_CHECKING:
    from distributed import Client

Piece = TypeVar("Piece")
Result = TypeVar("Result")

#: How many blocks are in memory at once. Also bounds the threads: reading cannot feed more.
_BLOCKS_AHEAD = 4

#: How long to wait for a scheduler's answer, and for workers, in seconds. A cluster that grows with
#: its work has to start machines first.
_PATIENCE = 5
_PATIENCE_FOR_WORKERS = 60

#: How many parts the scheduler has at once: enough to keep all workers busy.
_PARTS_AHEAD = 1000

#: Every worker must be able to load this, with the same version.
_VERSION = "stablelse:__version__"


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
    with ThreadPoolExecutor(min(threads or available(), _BLOCKS_AHEAD), "fold") as pool:

        def submit(block: Block) -> Future[StreamState]:
            return pool.submit(_added, block, states[0].fresh())

        # Each block has its own state, made when the `_BLOCKS_AHEAD` blocks before it are not yet
        # merged, for any number of threads: so the findings are the same.
        for block, state in in_order(submit, blocks, _BLOCKS_AHEAD):
            states[0].merge(state)
            report(block)


def _added(block: Block, state: StreamState) -> StreamState:
    with limited(1):
        return state.update(block.values, block.source, block.missing)


class Folded(NamedTuple):
    """The states of some parts, and the readers' notes about them, each note once."""

    states: list[StreamState]
    notes: tuple[Note, ...]


def fold_part(part: Part, states: Sequence[StreamState], first: Block) -> Folded:
    """Add the numbers of a part to fresh copies of some states.

    If vectors are not rows, the part must have the columns of the block `first`.
    """
    fresh = [state.fresh() for state in states]
    notes: list[Note] = []

    def checked() -> Iterator[Block]:
        for block in read_part(part, notes.append):
            if len(states) > 1 or first.by is None:
                check_columns(block, first)
            yield block

    fold(checked(), fresh, threads=1)  # a cluster has enough workers
    return Folded(fresh, tuple(notes))


class ClusterError(ReadError):
    """A cluster cannot do the work: one line says how to fix it."""


def fold_on_cluster(
    paths: Sequence[str],
    split: Callable[[str], Sequence[Piece]],
    work: Callable[[Piece], Result],
    take: Callable[[Piece, Result], None],
    scheduler: str | None = None,
) -> None:
    """Fold the parts of all files on a cluster, and collect the results here, in order.

    `split` cuts a file into parts and `work` folds one of them; both run on the workers, which
    must be able to import them. The cluster is the one at the address `scheduler`
    (``tcp://host:8786``), or that of Dask's own settings, or one local process per core.

    Raises
    ------
    ReadError
        If a worker cannot read a part; the error is about the first such part.
    ClusterError
        If the cluster cannot do the work. If a worker dies, others redo its parts; it is an error
        only if one part kills every worker that tries it.
    """
    with _connected(scheduler) as (client, where), _reporting_loss(where):
        _check(client, where)
        of_files = client.gather(client.map(split, list(paths), pure=False))
        submit = partial(client.submit, work, pure=False)
        for part, result in in_order(submit, chain(*of_files), _PARTS_AHEAD):
            take(part, result)


def _check(client: Client, where: str) -> None:
    """Refuse a cluster without workers, or without this package in this version."""
    # The standard library's function: a task with a module that a worker lacks kills the worker.
    asked = client.submit(resolve_name, _VERSION, pure=False)  # makes an adaptive cluster grow
    try:
        client.wait_for_workers(1, timeout=_PATIENCE_FOR_WORKERS)
    except TimeoutError:
        raise ClusterError(f"{where} has no workers: start some, with dask worker") from None
    asked.cancel()
    versions = client.run(resolve_name, _VERSION, on_error="return")
    for worker, version in versions.items():
        if isinstance(version, ImportError):
            raise _unlike(f"the worker {worker} of {where}", f"cannot load stablelse: {version}")
        if version != __version__:
            raise _unlike(f"the worker {worker} of {where}", f"has {in_one_line(version)}")
    try:
        client.run_on_scheduler(resolve_name, _VERSION)
    except ImportError as error:
        raise _unlike(f"the scheduler of {where}", f"cannot load stablelse: {error}") from None


def _unlike(who: str, what: str) -> ClusterError:
    return ClusterError(f"{who} {what}; install stablelse {__version__} there, as it is here")


@contextmanager
def _connected(address: str | None) -> Iterator[tuple[Client, str]]:
    """Yield the client of a cluster, and its name for errors."""
    if find_spec("distributed") is None:
        raise ClusterError(
            "--engine dask needs dask.distributed, which is not installed: "
            "pip install distributed fsspec"
        )
    from dask import config

    address = address or config.get("scheduler-address", None)
    with ExitStack() as stack, _silence():
        with _interrupts_held():
            client = _open(stack, address)
        try:
            yield client, f"the Dask cluster at {address}" if address else "Dask's own cluster here"
        finally:
            with _interrupts_held():
                stack.close()


def _open(stack: ExitStack, address: str | None) -> Client:
    """Return the client of a cluster; both end with the stack."""
    from dask.system import CPU_COUNT
    from distributed import Client, LocalCluster

    try:
        cluster: Any = address
        if address is None:
            cluster = LocalCluster(
                n_workers=CPU_COUNT,
                threads_per_worker=1,
                dashboard_address=None,  # no web pages
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # and no well-known port
                silence_logs=logging.CRITICAL,
            )
            stack.callback(cluster.close)
        client = Client(cluster, timeout=_PATIENCE, set_as_default=False)
    except Exception as error:  # anything may answer at this address
        what = f"cannot reach a Dask scheduler at {address}" if address else "cannot start workers"
        fix = "check the address" if address else "use the local engine"
        # Dask asserts, without a message, that its own thread has started within 10 seconds.
        reason = in_one_line(error) if str(error) else "no answer in time"
        raise ClusterError(f"{what} ({reason}); {fix}") from None
    stack.callback(client.close)
    return client


@contextmanager
def _reporting_loss(where: str) -> Iterator[None]:
    """Report in one line how the cluster failed."""
    from distributed import KilledWorker

    try:
        yield
    except KilledWorker as error:
        raise ClusterError(
            f"{error.allowed_failures + 1} workers of {where} died on the same part, perhaps "
            "for lack of memory; give each worker more"
        ) from None
    except (OSError, CancelledError) as error:
        raise ClusterError(f"{where} is lost ({in_one_line(error)}); try again") from None


@contextmanager
def _silence() -> Iterator[None]:
    """Keep Dask's own log from standard error."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Delay Ctrl-C in this thread; threads and processes that start here never see it.

    While a cluster starts or ends, Ctrl-C would leave processes behind: the terminal sends it to
    all processes of the command, and those of the cluster would die from it.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    # It lets interrupts through when it starts, so start it first.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
