"""Attack the library and the kernels with many vectors; there must be no misrounded result.

    python tests/benchmarks/kernel_attack.py [--count 1000] [--longest 10000] [--seed N]
        [--family NAME] [--format NAME] [--emulated]

For every family of tests/families.py in every format, `count` vectors of 1 to `longest` entries are
computed by the library, together and some of them alone, and by all kernels of this processor, with
strides and addresses of all kinds and with masks. Every result is compared with the correctly
rounded one (tests/balls.py). All pairs of float8 numbers follow, and all float16 numbers with some
others. --emulated attacks the aarch64 kernel, in qemu.

The exit code is 1 if any result is misrounded. Such results are printed.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, time

sys.path.insert(0, str(Path(__file__).parents[1]))

from families import FAMILIES, all_pairs, with_partners
from judge import by_library, judge, stacks
from native import SOURCES, Emulated, Kernel, build, instruction_sets

from stablelse.numerics.formats import FORMATS

#: longdouble, computed in decimal arithmetic, gets a part of the vectors, and only short ones.
LIMITS = {"longdouble": (40, 300)}


def attacks(options: Namespace) -> Iterator[tuple[str, str, Iterator]]:
    """Yield the family, the format and the stacks of each attack."""
    for name in FORMATS:
        part, longest = LIMITS.get(name, (1, options.longest))
        for family in FAMILIES:
            yield family, name, stacks(family, name, options.count // part, options.seed, longest)
    for name in ("float8_e4m3fn", "float8_e5m2"):
        yield "all pairs", name, iter([all_pairs(FORMATS[name])])
    yield "all numbers beside some", "float16", with_partners()


def main() -> int:
    """Judge everything, and print a table."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="vectors of a family and format")
    parser.add_argument("--longest", type=int, default=10_000, help="the longest vector")
    parser.add_argument("--seed", type=int, default=int(time()))
    parser.add_argument("--family", default="", help="only those whose names begin so")
    parser.add_argument("--format", choices=FORMATS, help="this one only")
    parser.add_argument("--emulated", action="store_true", help="the kernel of aarch64, in qemu")
    options = parser.parse_args()
    print("seed", options.seed)
    print(f"{'format':14} {'family':42} {'vectors':>9} {'results':>12} {'in doubt':>9} wrong  s")
    wrong = 0
    with TemporaryDirectory() as name:
        folder = Path(name)
        kernels = [Emulated(folder)] if options.emulated else [
            Kernel(build(SOURCES / "kernel.c", processor, folder / f"{isa}.so"), isa)
            for isa, processor in instruction_sets().items()
        ]  # fmt: skip
        for family, format_, made in attacks(options):
            if not family.startswith(options.family) or options.format not in (None, format_):
                continue
            begin = perf_counter()
            tally = judge(made, format_, by_library, kernels, options.seed)
            share = f"{tally.in_doubt / tally.of_kernels:.1e}" if tally.of_kernels else ""
            line = f"{format_:14} {family:42} {tally.vectors:9,} {tally.results:12,} {share:>9}"
            print(f"{line} {len(tally.wrong):5} {perf_counter() - begin:.0f}", flush=True)
            print(*(line[:2000] + "\n" for line in tally.wrong[:3]), end="", flush=True)
            wrong += len(tally.wrong)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
