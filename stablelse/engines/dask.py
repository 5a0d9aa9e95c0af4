"""The fold on a cluster: processes of this machine, or one that is there already, by Dask.

It maps plain functions over parts with ``dask.distributed``. Each task gets a part of a few hundred
bytes and gives back states of a few thousand. Numbers go from where they lie to the one worker that
reads them, and nowhere else.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from multiprocessing import resource_tracker
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, TypeVar

from stablelse import __version__
from stablelse.readers import ReadError, in_one_line

if TYPE_CHECKING:
    from distributed import Client

Part = TypeVar("Part")
Found = TypeVar("Found")

#: How long a scheduler may take to answer, and workers to come, in seconds. A cluster that grows
#: with its work starts machines first.
_PATIENCE = 5
_PATIENCE_FOR_WORKERS = 60

#: How many results come back one by one. A merge takes 0.1 ms or so: all of them take less than the
#: scheduler takes for as many tasks. Where there are more parts, workers merge neighbours first.
_MOST_RESULTS = 1000

#: What every worker must be able to load, with its version.
_VERSION = "stablelse:__version__"


class ClusterError(ReadError):
    """A cluster that cannot do the work: ``str(error)`` is one line, with the mend."""


def fold(
    paths: Sequence[str],
    split: Callable[[str], Sequence[Part]],
    work: Callable[[Part], Found],
    merge: Callable[[Sequence[Found]], Found],
    told: Callable[[Sequence[Part], Found | None], None] | None = None,
    scheduler: str | None = None,
    workers: int | None = None,
) -> Found:
    """Fold the parts of all files on a cluster.

    Parameters
    ----------
    paths : sequence of str
        The files.
    split : callable
        Makes parts of a file. Like `work` and `merge` it runs on the workers, which must be able to
        import it.
    work : callable
        Folds one part.
    merge : callable
        Merges what was found in neighbouring parts, in order.
    told : callable, optional
        Called here with some parts that are done, and with what was found in the first parts as
        far as they are done without a gap, if they are at all.
    scheduler : str, optional
        The address of a cluster, ``tcp://host:8786``; by default that of Dask's own settings, to
        which the variable DASK_SCHEDULER_ADDRESS belongs, and if there is none, processes here.
    workers : int, optional
        How many processes to start here; as many as there are cores by default.

    Returns
    -------
    object
        What was found in all parts, merged in the order of the files.

    Raises
    ------
    ReadError
        What a worker could not read: of several such parts, the first that is told of.
    ClusterError
        If Dask is not installed, the scheduler cannot be reached or is lost, the workers lack this
        package, or a part kills every worker that tries it. That one worker dies costs no more than
        doing its parts again.
    """
    with _connected(scheduler, workers) as (client, where), _complaining(where):
        _check(client, where)
        of_files = client.gather(client.map(split, list(paths), pure=False))
        parts = [part for found in of_files for part in found]
        return _folded(client, parts, work, merge, told)


def _folded(
    client: Client,
    parts: Sequence[Part],
    work: Callable[[Part], Found],
    merge: Callable[[Sequence[Found]], Found],
    told: Callable[[Sequence[Part], Found | None], None] | None,
) -> Found:
    from distributed import as_completed

    futures = client.map(work, parts, pure=False)
    size = -(-len(parts) // _MOST_RESULTS)
    groups = [parts[begin : begin + size] for begin in range(0, len(parts), size)]
    if size > 1:
        found = [futures[begin : begin + size] for begin in range(0, len(parts), size)]
        # Ahead of the parts that wait: what is merged is forgotten.
        futures = client.map(merge, found, pure=False, priority=1)
    index_of = {future: index for index, future in enumerate(futures)}
    waiting: dict[int, Found] = {}
    merged: list[Found] = []
    done = 0
    for future, result in as_completed(futures, loop=client.loop, with_results=True):
        index = index_of.pop(future)
        waiting[index] = future.result() if future.cancelled() else result  # the former raises
        while done in waiting:
            merged = [merge([*merged, waiting.pop(done)])]
            done += 1
        if told is not None:
            told(groups[index], merged[0] if merged else None)
    return merged[0]


def _check(client: Client, where: str) -> None:
    """Complain of a cluster without workers, or without this package in this version.

    What is asked for here is the standard library's. A task that names a module which a worker
    lacks would end the worker.
    """
    asked = client.submit(resolve_name, _VERSION, pure=False)  # to a cluster that grows with work
    try:
        client.wait_for_workers(1, timeout=_PATIENCE_FOR_WORKERS)
    except TimeoutError:
        raise ClusterError(f"{where} has no workers: start some, with dask worker") from None
    asked.cancel()
    found = client.run(resolve_name, _VERSION, on_error="return")
    for worker, version in found.items():
        if isinstance(version, ImportError):
            raise _unlike(f"the worker {worker} of {where}", f"cannot load stablelse: {version}")
        if version != __version__:
            raise _unlike(f"the worker {worker} of {where}", f"has {in_one_line(version)}")
    try:
        client.run_on_scheduler(resolve_name, _VERSION)
    except ImportError as error:
        raise _unlike(f"the scheduler of {where}", f"cannot load stablelse: {error}") from None


def _unlike(who: str, what: str) -> ClusterError:
    mend = f"install stablelse {__version__} there, as it is here"
    return ClusterError(f"{who} {what}; {mend}")


@contextmanager
def _connected(address: str | None, workers: int | None) -> Iterator[tuple[Client, str]]:
    """Yield the client of a cluster, and what complaints call the cluster."""
    if find_spec("distributed") is None:
        raise ClusterError(
            "--engine dask needs dask.distributed, which is not installed: "
            "pip install 'stablelse[dask]'"
        )
    from dask import config

    address = address or config.get("scheduler-address", None)
    with ExitStack() as stack, _silence():
        with _interrupts_held():
            client = _open(stack, address, workers)
        try:
            yield client, f"the Dask cluster at {address}" if address else "Dask's own cluster here"
        finally:
            with _interrupts_held():
                stack.close()


def _open(stack: ExitStack, address: str | None, workers: int | None) -> Client:
    """Return the client of a cluster; both end with the stack."""
    from dask.system import CPU_COUNT
    from distributed import Client, LocalCluster

    try:
        cluster: Any = address
        if address is None:
            cluster = LocalCluster(
                n_workers=workers or CPU_COUNT,
                threads_per_worker=1,
                dashboard_address=None,  # no pages for a browser
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # nor a port that has a name
                silence_logs=logging.CRITICAL,
            )
            stack.callback(cluster.close)
        client = Client(cluster, timeout=_PATIENCE, set_as_default=False)
    except Exception as error:  # what is no scheduler may answer anything
        what = f"cannot reach a Dask scheduler at {address}" if address else "cannot start workers"
        mend = "check the address" if address else "use the local engine"
        # Dask asserts, and says no more, that its own thread has started within 10 seconds.
        reason = in_one_line(error) if str(error) else "no answer in time"
        raise ClusterError(f"{what} ({reason}); {mend}") from None
    stack.callback(client.close)
    return client


@contextmanager
def _complaining(where: str) -> Iterator[None]:
    """Say in one line how the cluster failed."""
    from concurrent.futures import CancelledError

    from distributed import KilledWorker

    try:
        yield
    except KilledWorker as error:
        raise ClusterError(
            f"{error.allowed_failures + 1} workers of {where} died at one and the same part, "
            "perhaps for want of memory; give each worker more of it"
        ) from None
    except (OSError, CancelledError) as error:
        raise ClusterError(f"{where} is lost ({in_one_line(error)}); try again") from None


@contextmanager
def _silence() -> Iterator[None]:
    """Keep what Dask tells of its own doings from standard error."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Let Ctrl-C wait, in this thread; threads and processes that are started here never see it.

    In the middle of starting or ending a cluster it would leave processes behind. The terminal
    sends it to all processes of the command, and those that are the cluster's end with it.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # It lets interrupts through once it is started, which is done where it is first needed.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
