"""Files that are read more than once: the same numbers each time, or an error."""

import os
from collections.abc import Iterable, Iterator

import numpy as np

from stablelse.readers.block import Block, ReadError


class Passes:
    """The passes over some files, from when the first one begins.

    Between two blocks, it is seen to that no file is another one than before, shorter, longer or
    written since. Clocks of file systems tick in milliseconds, and times can be set: so all passes
    but the first must also find in each block the sum that the pass before it found there.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._statuses = {path: _status(path) for path in paths}
        self._sums: list[int] | None = None

    def blocks(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Yield the blocks of a pass, each one when it has been seen to be the same as before."""
        known, sums = self._sums, list[int]()
        self.check()
        for block in blocks:
            sums.append(_sum(block))
            if known is not None and sums[-1:] != known[len(sums) - 1 : len(sums)]:
                raise changed(block.source)
            self.check()
            yield block
        if known is not None and len(sums) != len(known):
            raise changed(next(iter(self._statuses)))
        self._sums = sums

    def check(self) -> None:
        """Raise a ReadError if a file has changed, as far as the system tells."""
        for path, status in self._statuses.items():
            if _status(path) != status:
                raise changed(path)


def _status(path: str) -> tuple[int, ...] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _sum(block: Block) -> int:
    """Return the sum of the numbers' bits, modulo 2**64, and of how many there are."""
    values = block.values if block.missing is None else block.values[~block.missing]
    bits = np.ascontiguousarray(values).view(f"u{min(values.itemsize, 8)}")
    return int(np.add.reduce(bits, axis=None, dtype=np.uint64)) + values.size


def changed(path: str) -> ReadError:
    """Return the complaint of a file that is not what it was."""
    return ReadError(
        f"{path} changed while it was being read: run the command again when nothing writes to it"
    )
