"""Work that releases the interpreter's lock on the next items, while the last ones are used."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from stablelse.readers.block import ReadError

Item = TypeVar("Item")
Result = TypeVar("Result")

#: More threads than this parse faster than a disk and one consumer can keep up with.
_MOST_THREADS = 4


def in_order(
    work: Callable[[Item], Result], items: Iterator[Item]
) -> Iterator[tuple[Item, Result]]:
    """Yield each item and what work made of it, in order; a ReadError of `items` in its place."""
    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    failure = None
    with ThreadPoolExecutor(threads, "stablelse-readers") as pool:
        try:
            for item in items:
                waiting.append((item, pool.submit(work, item)))
                if len(waiting) > threads:
                    yield _finished(waiting)
        except ReadError as error:
            failure = error
        while waiting:
            yield _finished(waiting)
    if failure is not None:
        raise failure


def _finished(waiting: deque[tuple[Item, Future[Result]]]) -> tuple[Item, Result]:
    item, future = waiting.popleft()
    return item, future.result()
