"""Threads: identical results for any number, which the caller and the environment can set."""

import os
import threading

import numpy as np
import pytest

import stablelse
from stablelse.numerics import threads

FUNCTIONS = ["logsumexp", "softmax", "log_softmax"]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", [(1, 2**20), (3, 400_000), (2**16, 10)], ids=str)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_results_are_the_same_for_any_number_of_threads(function, shape, dtype):
    x = np.random.default_rng(3).normal(0, 3, shape).astype(dtype)
    alone, *others = (getattr(stablelse, function)(x, axis=1, threads=count) for count in (1, 2, 5))
    for other in others:
        assert np.array_equal(alone, other)


def mapped(monkeypatch, size=2**21, jobs=8):
    """Return how many threads work on jobs with `size` elements in all."""
    asked = []
    executor = threads._executor
    monkeypatch.setattr(threads, "_executor", lambda count: asked.append(count) or executor(count))
    results = threads.mapped(lambda i: i * i, [(i,) for i in range(jobs)], size)
    assert results == [i * i for i in range(jobs)]
    return 1 + sum(asked)


def test_as_many_as_are_asked_for(monkeypatch):
    monkeypatch.setattr(threads, "cores", lambda: 4)
    assert mapped(monkeypatch, size=2**18) == mapped(monkeypatch, jobs=1) == 1
    assert mapped(monkeypatch) == 4
    with threads.limited(3):
        assert mapped(monkeypatch) == 3
    with threads.limited(1):
        assert mapped(monkeypatch) == 1
    with threads.limited(2), threads.limited(None):
        assert mapped(monkeypatch) == 2


@pytest.mark.parametrize(
    ("own", "shared", "count"),
    [
        (None, None, None),
        ("3", None, 3),
        ("3", "1", 3),
        (None, "1", 1),
        (None, "1,4", 1),
        (None, "", None),
        (None, "100000", None),
    ],
)
def test_the_environment_is_respected(monkeypatch, own, shared, count):
    for name, value in (("STABLELSE_NUM_THREADS", own), ("OMP_NUM_THREADS", shared)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert threads.cores() == (count or len(os.sched_getaffinity(0)))


@pytest.mark.parametrize("name", ["STABLELSE_NUM_THREADS", "OMP_NUM_THREADS"])
@pytest.mark.parametrize("value", ["many", "0", "-2", "1.5"])
def test_a_senseless_environment_is_told(monkeypatch, name, value):
    monkeypatch.delenv("STABLELSE_NUM_THREADS", raising=False)
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=f"{name} must be a positive integer, not '{value}'"):
        threads.cores()


@pytest.mark.parametrize(("count", "error"), [(0, ValueError), (1.5, TypeError), ("2", TypeError)])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_senseless_numbers_of_threads_are_errors(function, count, error):
    with pytest.raises(error, match="threads must be"):
        getattr(stablelse, function)(np.zeros(2), threads=count)


def test_an_error_in_a_thread_is_raised_and_ends_the_work():
    begun = []

    def fail(i):
        begun.append(i)
        raise ZeroDivisionError

    with threads.limited(2), pytest.raises(ZeroDivisionError):
        threads.mapped(fail, [(i,) for i in range(100)], 2**24)
    assert len(begun) <= 2


def test_there_are_no_threads_within_threads():
    with threads.limited(4):
        names = threads.mapped(
            lambda _: {
                *threads.mapped(lambda _: threading.get_ident(), [(0,)] * 4, 2**22),
                threading.get_ident(),
            },
            [(i,) for i in range(8)],
            2**22,
        )
    assert all(len(found) == 1 for found in names)
