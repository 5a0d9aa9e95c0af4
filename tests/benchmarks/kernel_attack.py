"""Attack the library and the kernels with many vectors; there must be no misrounded result.

    python tests/benchmarks/kernel_attack.py [--count 20000] [--longest 100000] [--seed N]
        [--family NAME] [--format NAME] [--subject library|reference|decimals] [--isa v4 ...]
        [--phases] [--emulated]

For every family of tests/families.py in every format, `count` vectors of 1 to `longest` entries are
computed by the library (or another subject), together and some of them alone, and by all kernels of
this processor, with strides and addresses of all kinds and with masks. Every result is compared
with the correctly rounded one (tests/enclosure.py). All pairs of float8 numbers follow, and all
float16 numbers with some others. --phases prints the largest |error| / bound of each phase of the
kernels instead; --emulated attacks the aarch64 kernel, in qemu.

The exit code is 1 if any result is misrounded. Such results are printed.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, time

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from bounds import ratios
from families import FAMILIES, LONGEST, all_pairs, with_partners
from judge import SUBJECTS, Tally, judge, judge_near_ties, stacks
from native import FUNCTIONS, PHASES, SOURCES, Emulated, Kernel, Phases, build, instruction_sets

from stablelse.numerics.formats import FORMATS

#: The formats that get only a part of the vectors, and their longest vectors: longdouble is
#: computed in decimal arithmetic, and judged by ball arithmetic alone.
LIMITS = {"longdouble": (40, 300)}


def tasks(options: Namespace, kernels: list[Kernel]) -> Iterator[tuple[str, str, Tally]]:
    """Yield the family, the format and the tally of each attack."""

    def wanted(family: str, format_: str) -> bool:
        return family.startswith(options.family) and options.format in (None, format_)

    subject = SUBJECTS[options.subject]
    for name, format_ in FORMATS.items():
        part, longest = LIMITS.get(name, (1, options.longest))
        count = options.count // part
        for family in FAMILIES:
            if wanted(family, name) and FAMILIES[family].suits(format_):
                made = stacks(family, name, count, options.seed, longest)
                yield family, name, judge(made, name, subject, kernels, options.seed)
        for function in FUNCTIONS:
            family = f"one element next to a tie of {function}"
            if wanted(family, name) and name != "longdouble":
                yield family, name, judge_near_ties(kernels, function, name, count, options.seed)
    for name in ("float8_e4m3fn", "float8_e5m2"):
        if wanted("all pairs", name):
            yield "all pairs", name, judge(iter([all_pairs(FORMATS[name])]), name, subject, kernels)
    if wanted("all numbers beside some", "float16"):
        tally = judge(with_partners(), "float16", subject, kernels)
        yield "all numbers beside some", "float16", tally


def attack(options: Namespace, kernels: list[Kernel]) -> int:
    """Judge everything, print a table, and return the number of misrounded results."""
    print(f"{'format':14} {'family':42} {'vectors':>9} {'results':>12} {'in doubt':>9} wrong  s")
    wrong = vectors = results = 0
    begin = before = perf_counter()
    for family, name, tally in tasks(options, kernels):
        share = f"{tally.in_doubt / tally.of_kernels:.1e}" if tally.of_kernels else ""
        seconds, before = perf_counter() - before, perf_counter()
        line = f"{name:14} {family:42} {tally.vectors:9,} {tally.results:12,} {share:>9}"
        print(
            f"{line} {len(tally.wrong):5} {seconds:.0f}",
            *(line[:2000] for line in tally.wrong[:3]),
            sep="\n",
            flush=True,
        )
        wrong += len(tally.wrong)
        vectors += tally.vectors
        results += tally.results
    print(f"{vectors:,} vectors, {results:,} results, {wrong:,} misrounded; {before - begin:.0f} s")
    return wrong


def largest_ratios(isas: list[str], folder: Path, seed: int, count: int) -> int:
    """Print the largest |error| / bound of each phase; return how many are above 1."""
    broken = 0
    for isa in isas:
        phases = Phases(build(PHASES, instruction_sets()[isa], folder / f"phases_{isa}.so"))
        for name, ratio in ratios.items():
            largest = ratio(phases, np.random.default_rng(seed), count)
            broken += largest > 1
            print(f"{isa} {name:60} {largest:.3f} of the bound", flush=True)
    return broken


def main() -> int:
    """Run the attack."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000, help="vectors of a family and format")
    parser.add_argument("--longest", type=int, default=LONGEST, help="the longest vector")
    parser.add_argument("--seed", type=int, default=int(time()))
    parser.add_argument("--family", default="", help="only those whose names begin so")
    parser.add_argument("--format", choices=FORMATS, help="this one only")
    parser.add_argument("--subject", choices=SUBJECTS, default="library")
    parser.add_argument("--isa", choices=list(instruction_sets()), action="append")
    parser.add_argument("--phases", action="store_true", help="the bounds of the kernels' phases")
    parser.add_argument("--emulated", action="store_true", help="the kernel of aarch64, in qemu")
    options = parser.parse_args()
    isas = options.isa or list(instruction_sets())
    print("seed", options.seed)
    with TemporaryDirectory() as name:
        folder = Path(name)
        if options.phases:
            return int(largest_ratios(isas, folder, options.seed, options.count) > 0)
        if options.emulated:
            kernels = [Emulated(folder)]
        else:
            sets = instruction_sets()
            sources = SOURCES / "kernel.c"
            libraries = {isa: build(sources, sets[isa], folder / f"{isa}.so") for isa in isas}
            kernels = [Kernel(library, isa) for isa, library in libraries.items()]
        return int(attack(options, kernels) > 0)


if __name__ == "__main__":
    sys.exit(main())
