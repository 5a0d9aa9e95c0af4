"""How many numbers a second a scan takes, on one core, and how much longer evaluating all takes.

Usage: OMP_NUM_THREADS=1 python tests/benchmarks/scan.py [NUMBERS]
"""

import sys
from time import perf_counter

import numpy as np

from stablelse.analysis.scan import ScanState
from stablelse.analysis.verdicts import Rows, judge, ways
from stablelse.numerics.formats import find_format
from stablelse.numerics.functions import Function

#: Interleaved, and the least of each is taken.
ROUNDS = 5


def scanned(x, function: Function) -> None:
    ScanState(function.value, ["float16"]).update(x)


def evaluated(x, function: Function) -> None:
    format_ = find_format("float16")
    for way in ways(format_):
        judge(way, function, Rows.of(function, x, format_, 10), format_, 10)


def main(numbers: int = 2_000_000) -> None:
    """Print a table, a row for each function, type of input and length of rows."""
    print("float16           of       n   million/s   evaluating all: times as long")
    random = np.random.default_rng(1)
    for function in Function:
        for dtype in (np.float32, np.float64):
            for n in (10, 100, 1000):
                # maxima of 8 or so, as logits of trained networks have; some overflow
                x = (random.normal(0, 2, (numbers // n, n)) + 2).astype(dtype)
                seconds: dict = {scanned: [], evaluated: []}
                for _ in range(ROUNDS):
                    for run, taken in seconds.items():
                        part = x if run is scanned else x[: max(1, len(x) // 10)]
                        begin = perf_counter()
                        run(part, function)
                        taken.append((perf_counter() - begin) / part.size)
                fast, slow = (min(taken) for taken in seconds.values())
                name = np.dtype(dtype).name
                print(
                    f"{function.value:12} {name:>10} {n:5} {1e-6 / fast:9.1f} {slow / fast:12.1f}"
                )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
