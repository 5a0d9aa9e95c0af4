"""Threads, where they pay: the kernel and NumPy release the interpreter while they compute.

How many is the caller's choice (`limited`), or else the number of cores the process may use,
which the environment can lower: STABLELSE_NUM_THREADS, or OMP_NUM_THREADS where that is not set.
What is computed is cut into jobs by the data alone, so that no bit depends on the number.
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

#: Elements that a thread must have to itself: waking one takes about as long as a tenth of them.
_SHARE = 2**18

#: No more threads than this, whatever is asked for.
_MOST = 256

_VARIABLES = ("STABLELSE_NUM_THREADS", "OMP_NUM_THREADS")

_limit: ContextVar[int | None] = ContextVar("limit", default=None)


@contextmanager
def limited(threads: int | None) -> Iterator[None]:
    """Set how many threads `mapped` may use within; ``None`` changes nothing."""
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
    """Call a function with the arguments of every job; of few elements, no thread is made."""
    count = min(len(jobs), workers(size))
    if count <= 1:
        return [function(*job) for job in jobs]
    results: list[Any] = [None] * len(jobs)
    pending = deque(range(len(jobs)))

    def work() -> None:
        _limit.set(1)  # within a job there are no further threads
        while True:
            try:
                i = pending.popleft()
            except IndexError:
                return
            results[i] = function(*jobs[i])

    with _executor(count - 1) as executor:
        helpers: list[Future[None]] = []
        with suppress(RuntimeError):  # no more threads, or the interpreter ends: fewer will do
            # each with the caller's NumPy error handling
            helpers.extend(executor.submit(copy_context().run, work) for _ in range(count - 1))
        try:
            copy_context().run(work)
        finally:
            pending.clear()  # after an error or Ctrl-C: no thread begins another job
        for helper in helpers:
            helper.result()
    return results


def _executor(count: int) -> "ThreadPoolExecutor":
    from concurrent.futures import ThreadPoolExecutor  # on use: it takes milliseconds

    return ThreadPoolExecutor(count, "stablelse")


def workers(size: int) -> int:
    """Return how many threads `mapped` uses for so many elements, if there are as many jobs."""
    count = size // _SHARE
    return min(count, _limit.get() or available()) if count > 1 else 1


class SettingError(ValueError):
    """An environment variable with a value that cannot be followed."""


def setting(name: str) -> str:
    """Return the value of an environment variable without blanks around it; empty if not set."""
    return os.environ.get(name, "").strip()


def _positive_integer(name: str, text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise SettingError(f"{name} must be a positive integer, not {text!r}")
    return int(text)


def available() -> int:
    """Return how many cores the process may use, or what the environment says."""
    own, shared = map(setting, _VARIABLES)
    if own:
        return min(_positive_integer(_VARIABLES[0], own), _MOST)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    # OpenMP takes a list, one number for each level of nesting.
    most = _positive_integer(_VARIABLES[1], shared.split(",")[0].strip()) if shared else _MOST
    return min(cores or 1, most)
