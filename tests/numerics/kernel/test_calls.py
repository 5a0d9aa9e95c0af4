"""Many callers at once, forks, interrupts, and settings of NumPy and of the processor.

Results do not depend on them.
"""

import ctypes
import multiprocessing
import os
import platform
import signal
import sys
import threading
import warnings
from contextlib import contextmanager

import numpy as np
import pytest

import stablelse
from stablelse.numerics import kernel, reference
from stablelse.numerics.formats import FORMATS

FUNCTIONS = [stablelse.logsumexp, stablelse.softmax, stablelse.log_softmax]


MIXED = [
    *FUNCTIONS,
    lambda x, axis: stablelse.softmax(x, axis=axis, where=x > 0),
    lambda x, axis: stablelse.logsumexp(x, axis=axis, b=np.sign(x)),
    lambda x, axis: stablelse.nll(x, np.zeros(x.shape[1 - axis], int), axis=axis),
    lambda x, axis: stablelse.nll_grad(x, np.zeros(x.shape[1 - axis], int), axis=axis),
    lambda x, axis: (
        stablelse.RunningLogSumExp()
        .update(x)
        .merge(stablelse.RunningLogSumExp().update(x[0]))
        .result()
    ),
]


def calls(count, functions, seed=9):
    """Make calls of all kinds: a function, an array, and an axis.

    For arrays of 4096 numbers or more the kernel releases the GIL.
    """
    rng = np.random.default_rng(seed)
    for i in range(count):
        n = int(np.exp(rng.uniform(0, 7)))
        shape = (int(rng.integers(1, 9)) * (1 if i % 4 else 1 + 2000 // n), n)
        x = rng.normal(rng.choice([0, -1000, 300]), rng.choice([0.1, 3, 40]), shape)
        x[rng.random(shape) < rng.choice([0, 0.3])] = -np.inf
        x = x.astype(rng.choice(["f8", "f4", "f2"]))
        yield functions[rng.integers(len(functions))], x, int(rng.integers(2))


COUNT = 1250 if kernel.load() else 200
MANY = list(calls(COUNT, FUNCTIONS))


def results(count=COUNT, calls=MANY):
    return [function(x, axis=axis) for function, x, axis in calls[:count]]


def same(found, right):
    return all(
        np.array_equal(one, other, equal_nan=True) for one, other in zip(found, right, strict=True)
    )


def test_eight_callers_at_once():
    mixed = list(calls(COUNT, MIXED))
    right, found = results(calls=mixed), [None] * 8
    barrier = threading.Barrier(8)

    def call(index):
        barrier.wait()
        found[index] = results(calls=mixed)

    callers = [threading.Thread(target=call, args=(index,)) for index in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all(same(own, right) for own in found)


def test_a_forked_process_computes_as_its_parent():
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("there is no fork here")
    x = np.random.default_rng(3).normal(size=(4, 400_000))
    right = stablelse.softmax(x, axis=1, threads=2)  # in threads, which a fork does not copy
    context = multiprocessing.get_context("fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # about forks with threads
        with context.Pool(1) as pool:
            found = pool.apply(stablelse.softmax, (x,), {"axis": 1, "threads": 2})
    assert np.array_equal(found, right)


def test_what_numpy_is_told_to_raise_is_not_raised():
    right = results(200)
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        found = results(200)
    assert same(found, right)
    with np.errstate(all="raise"):
        stablelse.softmax(np.array([[1e308, -1e308], [5e-324, 0], [-800, 0]]), axis=1)


@pytest.mark.parametrize("delay", [0.002, 0.02, 0.1])
def test_after_an_interrupt_all_is_as_before(delay):
    right = results(100)
    x = np.random.default_rng(5).normal(size=2_000_000)
    interrupt = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
    y = np.full(x.shape, np.nan)
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 the interrupt must not come before
        interrupt.start()
        any(stablelse.softmax(x, threads=2, out=y) is not y for _ in range(10**6))
    interrupt.join()
    assert same(results(100), right)
    assert same([stablelse.softmax(x, threads=2)], [stablelse.softmax(x, threads=1)])


#: Bits of MXCSR that other libraries may switch.
SWITCHES = {"flush to zero": 0x8040, "down": 0x2000, "up": 0x4000, "toward zero": 0x6000}

needs_mxcsr = pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="the layout of x86's fenv_t"
)


@contextmanager
def switched(bits):
    """Switch this thread's arithmetic, as fesetround and others do."""
    libm, before = ctypes.CDLL("libm.so.6"), (ctypes.c_uint32 * 8)()
    libm.fegetenv(before)
    changed = type(before)(*before)
    changed[7] |= bits
    libm.fesetenv(changed)
    try:
        yield
        after = type(before)()
        libm.fegetenv(after)
        assert after[7] & bits == bits, "the caller's setting is lost"
    finally:
        libm.fesetenv(before)


@needs_mxcsr
@pytest.mark.skipif(kernel.load() is None, reason="the reference raises")
@pytest.mark.parametrize("bits", SWITCHES.values(), ids=SWITCHES)
def test_the_processors_settings_change_nothing(bits):
    subnormal = np.linspace(-745, -700, 50)[np.newaxis] * np.arange(2)[:, np.newaxis]
    calls = [(function, x) for function in FUNCTIONS for x in (subnormal, subnormal.T)]
    right, also = results(), [function(x, axis=0) for function, x in calls]
    with switched(bits):
        found, others = results(), [function(x, axis=0) for function, x in calls]
    assert same(found, right)
    assert same(others, also)


BY_NUMPY = {
    "the reference": lambda x: reference.logsumexp(x, FORMATS["float64"]),
    "elements of the reference": lambda x: reference.softmax(x, FORMATS["float64"]),
    "losses": lambda x: stablelse.nll(x, [0, 1], axis=1),
    "gradients": lambda x: stablelse.nll_grad(x, [0, 1], axis=1),
    "states": lambda x: stablelse.RunningLogSumExp().update(x[0]).result(),
    "a scan": lambda x: stablelse.scan(x),
}


@needs_mxcsr
@pytest.mark.parametrize("bits", SWITCHES.values(), ids=SWITCHES)
@pytest.mark.parametrize("what", BY_NUMPY)
def test_what_numpy_computes_is_refused_in_other_settings(what, bits):
    x = np.array([[1.0, 2.0], [3.0, -1.0]])
    BY_NUMPY[what](x)  # modules must not be loaded in other settings
    with switched(bits), pytest.raises(FloatingPointError, match="switch it back"):
        BY_NUMPY[what](x)


@pytest.mark.skipif(kernel.load() is None, reason="C counts references by hand")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_caller_keeps_its_references(function):
    x, axis = np.random.default_rng(1).normal(size=(30, 40)), -1
    counts = [sys.getrefcount(thing) for thing in (x, x.dtype, axis, None)]
    for _ in range(5000):
        function(x, axis)
        function(x, axis=0)
        function(x[0])
    found = [sys.getrefcount(thing) for thing in (x, x.dtype, axis, None)]
    assert all(abs(one - other) < 100 for one, other in zip(found, counts, strict=True))
