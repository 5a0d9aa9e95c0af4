"""Attack the kernel: families, rows around block lengths, near-ties, and the bounds of its phases.

    python tests/benchmarks/kernel_attack.py [--seed N] [--rows N] [--isa v4] [--minutes M]

Every result is compared with ball arithmetic. Prints, for each family and format: results, share in
doubt, misrounded ones (there must be none), and for each phase the largest |error| / bound seen.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from bounds import ratios
from native import FORMATS, FUNCTIONS, PHASES, SOURCES, Kernel, Phases, build, instruction_sets
from settled import PLAIN, Tally, judge, near_tie, truth


def families(kernel: Kernel, isa: str, rows: int, seed: int, longest: int) -> int:
    """Judge all families; return the number of misrounded results."""
    wrong = 0
    for format_ in FORMATS:
        for name in PLAIN:
            tally = judge(kernel, name, format_, rows, seed, longest)
            wrong += report(f"{isa} {format_:14} {name}", tally)
    return wrong


def near_ties(kernel: Kernel, isa: str, cases: int, seed: int) -> int:
    """Judge results next to a middle of two numbers, in lanes and one by one."""
    wrong = 0
    for format_ in FORMATS:
        for function in FUNCTIONS:
            rng, tally = np.random.default_rng([seed, len(format_), len(function)]), Tally()
            for _ in range(cases):
                x, _ = near_tie(function, format_, rng)
                want = truth(function, x)
                for copies in (1, 5):
                    y, doubtful = kernel(function, np.repeat(x, copies, axis=0))
                    tally.add(repr(x.tolist()), y, doubtful, np.repeat(want, copies, axis=0))
            wrong += report(f"{isa} {format_:14} next to a tie of {function}", tally)
    return wrong


def report(label: str, tally: Tally) -> int:
    """Print a line, and what is misrounded."""
    share = tally.in_doubt / max(tally.results, 1)
    print(f"{label:60} {tally.results:9} results, {share:.1e} in doubt, {len(tally.wrong)} wrong")
    for line in tally.wrong[:3]:
        print("   ", line[:2000])
    sys.stdout.flush()
    return len(tally.wrong)


def main() -> int:
    """Run the attack."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--rows", type=int, default=1000, help="rows per family and format")
    parser.add_argument("--longest", type=int, default=3000, help="the longest row")
    parser.add_argument("--isa", choices=list(instruction_sets()), action="append")
    args = parser.parse_args()
    print("seed", args.seed)
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for isa in args.isa or instruction_sets():
            processor = instruction_sets()[isa]
            library = build(SOURCES / "kernel.c", processor, Path(folder) / f"{isa}.so")
            phases = Phases(build(PHASES, processor, Path(folder) / f"phases_{isa}.so"))
            kernel = Kernel(library, isa)
            for name, ratio in ratios.items():
                largest = ratio(phases, np.random.default_rng(args.seed), 10 * args.rows)
                wrong += largest > 1
                print(f"{isa} {name:60} {largest:.3f} of the bound", flush=True)
            wrong += near_ties(kernel, isa, args.rows, args.seed)
            wrong += families(kernel, isa, args.rows, args.seed, args.longest)
    print("misrounded or out of bounds:", wrong)
    return int(wrong > 0)


if __name__ == "__main__":
    raise SystemExit(main())
