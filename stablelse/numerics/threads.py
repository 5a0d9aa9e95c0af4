"""Threads, where they pay: the kernel and NumPy release the GIL while they compute.

The caller chooses how many (`limited`); the default is the number of cores that the process may
use, which the environment can lower: STABLELSE_NUM_THREADS or, if that is not set, OMP_NUM_THREADS.
The data alone decide how work is cut into jobs, so the result is identical for any number.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

Result = TypeVar("Result")

#: The fewest elements for another thread: waking it takes about as long as a tenth of them.
_SHARE = 2**18

#: The largest number of threads, even on request.
_MOST = 256

_VARIABLES = ("STABLELSE_NUM_THREADS", "OMP_NUM_THREADS")

_limit: ContextVar[int | None] = ContextVar("limit", default=None)


@contextmanager
def limited(threads: int | None) -> Iterator[None]:
    """Set how many threads `mapped` may use in this block; ``None`` changes nothing."""
    if threads is not None and not hasattr(threads, "__index__"):
        raise TypeError(f"threads must be an integer or None, not {threads!r}")
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, not {threads}")
    token = _limit.set(_limit.get() if threads is None else threads)
    try:
        yield
    finally:
        _limit.reset(token)


def mapped(
    function: Callable[..., Result], jobs: Sequence[tuple[Any, ...]], size: int
) -> list[Result]:
    """Call a function with the arguments of every job; for few elements, without threads."""
    count = min(len(jobs), workers(size))
    if count <= 1:
        return [function(*job) for job in jobs]
    results: list[Any] = [None] * len(jobs)
    pending = deque(range(len(jobs)))

    def work() -> None:
        _limit.set(1)  # a job starts no further threads
        while True:
            try:
                i = pending.popleft()
            except IndexError:
                return
            results[i] = function(*jobs[i])

    with _executor(count - 1) as executor:
        helpers: list[Future[None]] = []
        with suppress(RuntimeError):  # no threads left, or the interpreter is exiting: use fewer
            # each with the caller's NumPy error handling
            helpers.extend(executor.submit(copy_context().run, work) for _ in range(count - 1))
        try:
            copy_context().run(work)
        finally:
            pending.clear()  # after an error or Ctrl-C, no thread begins another job
        for helper in helpers:
            helper.result()
    return results


def _executor(count: int) -> "ThreadPoolExecutor":
    from concurrent.futures import ThreadPoolExecutor  # on use: it takes milliseconds

    return ThreadPoolExecutor(count, "stablelse")


def workers(size: int) -> int:
    """Return how many threads `mapped` uses for `size` elements, if there are enough jobs."""
    count = size // _SHARE
    return min(count, _limit.get() or cores()) if count > 1 else 1


class SettingError(ValueError):
    """An environment variable has an invalid value."""


def setting(name: str) -> str:
    """Return the value of an environment variable, stripped; empty if not set."""
    return os.environ.get(name, "").strip()


def _positive_integer(name: str, text: str) -> int:
    if not (text.isdecimal() and len(text) < 100 and int(text) > 0):
        raise SettingError(f"{name} must be a positive integer, not {text!r}")
    return int(text)


def cores() -> int:
    """Return the number of cores that the process may use, or that the environment sets."""
    own, shared = map(setting, _VARIABLES)
    if own:
        return min(_positive_integer(_VARIABLES[0], own), _MOST)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    # OpenMP takes a list, one number for each level of nesting.
    most = _positive_integer(_VARIABLES[1], shared.split(",")[0].strip()) if shared else _MOST
    return min(cores or 1, most)
