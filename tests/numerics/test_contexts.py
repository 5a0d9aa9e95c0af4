"""The caller's `decimal` context changes no result, and results do not change the context.

Each run is a separate process, since the thresholds of the formats are computed once per process.
"""

import pytest

#: Calls every public function, also on numbers that climb to decimal arithmetic.
CALLS = """
import sys
from decimal import Decimal
from fractions import Fraction
import numpy as np
import stablelse
from stablelse import naive
from stablelse.testing import assert_stable

WIDE = np.array([745.13, -0.25, 3, 0.1, 0.1, -700.5])
NEAR = [-0.775, -0.6174903]
FAR = np.array([2.0**53 + 2, 1, -745.2])
TIE = np.float16([17.25, -518])
LONG = WIDE.astype(np.longdouble) / 3
OBJECTS = [Fraction(1, 3), Decimal("0.1"), 2**70]

def results():
    for x in (WIDE, NEAR, FAR, TIE, LONG, OBJECTS, np.stack([WIDE, WIDE[::-1]])):
        for module in (stablelse, naive):
            for name in ("logsumexp", "softmax", "log_softmax"):
                yield getattr(module, name)(x, axis=-1)
        label = 1 if np.ndim(x) == 1 else [1, 0]
        yield stablelse.nll(x, label)
        yield stablelse.nll_grad(x, label)
        row = np.atleast_2d(x)[0]
        yield stablelse.logsumexp(row, b=[1, -1] * (len(row) // 2) + [2] * (len(row) % 2))
        yield stablelse.RunningLogSumExp().update(row).result()
        yield stablelse.RunningShifted().update(row).result()
        yield stablelse.RunningNaive().update(row).result()
        yield stablelse.StreamState(["float64", "float16"]).update(row).result()
    formats = ["float8_e4m3fn", "float8_e5m2", "float16", "bfloat16", "float32", "float64"]
    for function in ("logsumexp", "softmax", "log_softmax"):
        yield stablelse.compare(WIDE, function, formats=[*formats, "longdouble"])
        options = {"scale": (0.1, 1e3), "formats": ["float32"], "points": 5}
        yield stablelse.sweep([0, 1.5, -2], function, **options)
        yield stablelse.scan([WIDE, WIDE], function, formats=formats)
        yield stablelse.compare_peers(NEAR, function, peers=["naive"])
    for function in ("logsumexp", "softmax"):
        yield stablelse.prove([1000, 1001, 1002], function, formats=["float16", "float64"])
    assert_stable([1.0, 2.0])

def show():
    for result in results():
        print(result if not isinstance(result, np.ndarray) else result.tolist())
"""

#: What a program may have done before: changed the context of all future threads, and this one.
HOSTILE = """
import decimal, threading
every = list(decimal.getcontext().flags)
kinds = {
    "small": dict(prec=3, Emax=1, Emin=-1, traps=every, rounding=decimal.ROUND_UP, clamp=1),
    "short": dict(prec=1, capitals=0, rounding=decimal.ROUND_FLOOR, traps=[]),
}
wanted = kinds[sys.argv[1]]
for signal in every:
    decimal.DefaultContext.traps[signal] = signal in wanted["traps"]
for name in wanted.keys() - {"traps"}:
    setattr(decimal.DefaultContext, name, wanted[name])

def run():
    before = repr(decimal.getcontext())
    show()
    assert repr(decimal.getcontext()) == before, (repr(decimal.getcontext()), before)

thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


def test_the_callers_context(python):
    pytest.importorskip("ml_dtypes")
    right = python("-c", CALLS + "show()", check=True).stdout
    for kind in ("small", "short"):
        done = python("-c", CALLS + HOSTILE, kind)
        assert (done.returncode, done.stdout, done.stderr) == (0, right, "")
