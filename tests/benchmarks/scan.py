"""How many numbers a second a scan takes, on one core.

Usage: OMP_NUM_THREADS=1 python tests/benchmarks/scan.py [NUMBERS]
"""

import sys
from time import perf_counter

import numpy as np

from stablelse.analysis.scan import ScanState
from stablelse.numerics.functions import Function

#: The least of this many is taken.
ROUNDS = 5


def main(numbers: int = 1_000_000) -> None:
    """Print a table, a row for each function, format and length of rows."""
    print("of             in               n   million/s")
    random = np.random.default_rng(1)
    for function in Function:
        for name in ("float16", "bfloat16", "float32", "float64"):
            for n in (10, 100, 1000):
                # maxima of about 8, like the logits of trained networks; some overflow
                x = (random.normal(0, 2, (numbers // n, n)) + 2).astype(np.float32)
                taken = []
                for _ in range(ROUNDS):
                    begin = perf_counter()
                    ScanState(function.value, [name]).update(x)
                    taken.append(perf_counter() - begin)
                print(f"{function.value:14} {name:10} {n:7} {1e-6 * x.size / min(taken):11.1f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
