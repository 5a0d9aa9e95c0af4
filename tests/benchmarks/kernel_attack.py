"""Attack the library and the kernels with many vectors; there must be no misrounded result.

    python tests/benchmarks/kernel_attack.py [--count 1000] [--longest 10000] [--seed N]
        [--family NAME] [--format NAME] [--emulated]

For every family of tests/families.py in every format, `count` vectors of 1 to `longest` entries are
computed by the library, together, some of them alone, with masks and with labels, by each kernel of
this processor. Every result is compared with the correctly rounded one (tests/balls.py). All pairs
of float8 numbers follow, and all float16 numbers with some others. --emulated compares what the
aarch64 kernel settles, in qemu, with the results of the library.

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
from judge import FUNCTIONS, Tally, by_library, judge, stacks
from native import FORMATS as OF_KERNELS
from native import Emulated

from stablelse.numerics import exact, kernel
from stablelse.numerics.formats import FORMATS

#: Families whose x is in another format than the results.
NOT_OF_KERNELS = ("narrowed", "narrowed, with weights")

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


def by_emulated(kernel: Emulated, made: Iterator, format_: str) -> Tally:
    """Compare what a kernel settles with the results of the library."""
    tally = Tally()
    for x, b in made:
        tally.vectors += len(x)
        for function in FUNCTIONS if b is None else FUNCTIONS[:1]:
            right = by_library(function, x, b, 1, FORMATS[format_])
            y, doubtful = kernel(function, x, b)
            right = right[0] if function == "logsumexp" else right
            tally.compare(f"{function} of {x.dtype} {x.shape}", y, right, doubtful)
    return tally


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
    print(f"{'kernel':9} {'format':14} {'family':35} {'vectors':>9} {'results':>12}  wrong  s")
    wrong = 0
    with TemporaryDirectory() as folder:
        emulated = Emulated(Path(folder)) if options.emulated else None
        for name in ["neon"] if emulated else kernel.available()[:-1]:
            if not emulated:
                exact.compiled.use(name)
            for family, format_, made in attacks(options):
                if not family.startswith(options.family) or options.format not in (None, format_):
                    continue
                if emulated and (format_ not in OF_KERNELS or family in NOT_OF_KERNELS):
                    continue
                begin = perf_counter()
                if emulated:
                    tally = by_emulated(emulated, made, format_)
                else:
                    tally = judge(made, format_, by_library, options.seed)
                line = f"{name:9} {format_:14} {family:35} {tally.vectors:9,} {tally.results:12,}"
                print(f"{line} {len(tally.wrong):6} {perf_counter() - begin:.0f}", flush=True)
                print(*(line[:2000] + "\n" for line in tally.wrong[:3]), end="", flush=True)
                wrong += len(tally.wrong)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
