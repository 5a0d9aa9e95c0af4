"""The errors of the kernels of exp, each on a million arguments, against ball arithmetic.

Usage: python tests/benchmarks/kernel.py [COUNT] [SEED]

The exit code is 1 if any argument has a relative error above the bound of its kernel.
"""

import sys
from math import log2
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from kernels import KERNELS, arguments, errors

#: As many arguments at a time as the kernel gets from its callers.
BLOCK = 8192


def main(count: int = 1_000_000, seed: int = 1) -> int:
    """Print a table of the largest errors and return the exit code."""
    kept = True
    print(f"{'kernel':12} {'arguments':25} {'count':>9}  {'largest error':>13}  {'bound':>8}")
    for name, kernel in KERNELS.items():
        begin, total = perf_counter(), 0
        for group, (d, d_low) in arguments(kernel, count, np.random.default_rng(seed)).items():
            blocks = range(0, len(d), BLOCK)
            parts = (slice(start, start + BLOCK) for start in blocks)
            worst = max(errors(kernel, d[part], d_low[part]).max() for part in parts)
            total += len(d)
            kept &= worst <= kernel.bound
            error = f"2^{log2(worst):.2f}" if worst else "0"
            bound = f"2^{log2(kernel.bound):.2f}" + (" broken" if worst > kernel.bound else "")
            print(f"{name:12} {group:25} {len(d):9,}  {error:>13}  {bound:>8}")
        print(f"{name:12} {'all':25} {total:9,}  {perf_counter() - begin:11.1f} s")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
