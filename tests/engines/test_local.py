"""The fold in threads: what they share, in which order, and what becomes of errors."""

import threading

import numpy as np
import pytest

from stablelse import StreamState
from stablelse.engines import fold
from stablelse.readers.blocks import Block, ReadError

SOURCES = ("a.csv", "b.csv")


def blocks(count=12, rows=1000):
    rng = np.random.default_rng(5)
    for number in range(count):
        x = rng.normal(0, 100 * number, (rows, 1))
        yield Block(x, SOURCES[number >= count // 2], number * rows)


def test_the_result_is_identical_for_any_number_of_threads():
    found = []
    for threads in (1, 2, 3, 64):
        state, counts = StreamState(("float64", "float32")), []

        def report(block, state=state, counts=counts):
            counts.append((block.offset, state.count))

        fold(blocks(), [state], report, threads)
        assert counts == [(1000 * n, 1000 * (n + 1)) for n in range(12)]
        found.append(state.result())
    assert all(str(one) == str(found[0]) for one in found)
    assert found[0].n == 12_000
    assert {finding.place.source for result in found[0].results for finding in result.findings}


def test_no_more_than_four_blocks_are_read_ahead():
    alive, most = 0, 0

    def counted():
        nonlocal alive, most
        for block in blocks():
            alive += 1
            most = max(most, alive)
            yield block

    def told(block):
        nonlocal alive
        alive -= 1

    fold(counted(), [StreamState()], told, threads=8)
    assert most == 4


def test_what_came_before_an_error_is_taken_in():
    def broken():
        yield from blocks(3)
        raise ReadError("b.csv: line 7")

    state = StreamState()
    with pytest.raises(ReadError, match="line 7"):
        fold(broken(), [state], threads=2)
    assert state.count == 3000
    assert not [one for one in threading.enumerate() if one.name.startswith("fold")]


def test_the_environment_names_the_number_of_threads(monkeypatch):
    monkeypatch.setenv("STABLELSE_NUM_THREADS", "1")
    names = set()

    class Watched(StreamState):
        def fresh(self):
            return Watched()

        def update(self, *block):
            names.add(threading.current_thread().name)
            return super().update(*block)

    fold(blocks(9), [Watched()])
    assert len(names) == 1
