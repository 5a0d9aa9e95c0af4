"""Misrounded results among millions, held against ball arithmetic: there must be none.

Usage: python tests/benchmarks/misrounded.py [--family NAME] [--format NAME] [--count VECTORS]
           [--seed N] [--processes N] [--subject exact|library|decimals]

For every family of tests/families.py in every format, and in float64 for results in longdouble,
at least `count` vectors of 1 to 100,000 entries (less in the formats of 8 bits and in longdouble),
and then every pair of float8 and every float16 beside some others. Vectors of equal length are
computed together, as rows, and each of them alone too. Of softmax and log_softmax every element is
judged.

The exit code is 1 if any result is misrounded. Such vectors are printed bit for bit.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import Pool
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from families import FAMILIES, LONGEST, Stack, all_pairs, rng_of, with_partners
from judge import SUBJECTS, NoAnswerError, Tally

from stablelse.numerics.formats import FORMATS

#: The formats that get a part of the vectors only, and the longest vectors they get. Those of 8
#: bits have few numbers; numbers of longdouble that float64 does not hold are computed in decimal
#: arithmetic throughout.
LIMITS = {"float8_e4m3fn": (10, LONGEST), "float8_e5m2": (10, LONGEST), "longdouble": (40, 300)}


class Task(NamedTuple):
    """Some stacks to be judged in one process."""

    family: str
    format: str
    stacks: Callable[[], Iterator[Stack]]
    alone: bool = True


def tasks(options: Namespace) -> Iterator[Task]:
    """Yield what is to be done: every family in every format, then the exhaustive ones."""
    for name, format_ in FORMATS.items():
        for family in FAMILIES:
            if FAMILIES[family].suits(format_):
                yield Task(family, name, partial(random_stacks, family, name, name, options))
    for family in FAMILIES:
        if FAMILIES[family].suits(FORMATS["float64"]):
            stacks = partial(random_stacks, family, "float64", "longdouble", options)
            yield Task(f"{family}, of float64", "longdouble", stacks)
    for name in ("float8_e4m3fn", "float8_e5m2"):
        yield Task("every pair", name, partial(every_pair, name))
    yield Task("every number beside some", "float16", with_partners, alone=False)


def random_stacks(family: str, name: str, to: str, options: Namespace) -> Iterator[Stack]:
    """Make the stacks of a family in a format, for results in that or a wider one."""
    part, longest = LIMITS.get(to, (1, LONGEST))
    rng = rng_of(options.seed, family, name)
    return FAMILIES[family].stacks(FORMATS[name], options.count // part, rng, longest)


def every_pair(name: str) -> Iterator[Stack]:
    """Make the one stack of all pairs of a format."""
    yield all_pairs(FORMATS[name])


def judged(task: Task, subject: str) -> Tally:
    """Judge the stacks of a task."""
    format_, tally = FORMATS[task.format], Tally()
    for stack in task.stacks():
        # The library's functions return the format they are given.
        if subject == "library" and stack.x.dtype != format_.dtype:
            continue
        try:
            tally.judge(stack, format_, subject, alone=task.alone)
        except NoAnswerError as error:  # the rest of the family would take its time as well
            tally.unanswered.append(f"{error}, {stack.x.shape}")
            break
    return tally


def row(family: str, name: str, tally: Tally) -> str:
    """Return a row of the table."""
    wrong = [tally.wrong[function] for function in ("logsumexp", "softmax", "log_softmax")]
    rungs = {rung: 0 for _, rung in tally.rungs}
    for (_, rung), count in tally.rungs.items():
        rungs[rung] += count
    settled = ", ".join(f"{getattr(r, 'name', r).lower()} {n:,}" for r, n in rungs.items())
    seconds = "".join(f"{tally.seconds[s]:9.1f}" for s in ("oracle", "together", "alone"))
    return (
        f"{name:13}  {family:27} {tally.vectors:9,} {tally.elements:12,}  "
        f"{wrong[0]:5} {wrong[1]:7} {wrong[2]:11} {seconds}  {settled}"
    )


HEADER = (
    f"{'format':13}  {'family':27} {'vectors':>9} {'entries':>12}  "
    f"{'lse':>5} {'softmax':>7} {'log_softmax':>11} "
    f"{'oracle s':>9}{'rows s':>9}{'singly s':>9}  settled by"
)


def main() -> int:
    """Judge, print the table, and return the exit code."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--family", help="this one only (any whose name begins so)")
    parser.add_argument("--format", choices=FORMATS, help="this one only")
    parser.add_argument("--count", type=int, default=20_000, help="vectors of a family and format")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--subject", choices=SUBJECTS, default="exact", help="what is judged")
    options = parser.parse_args()
    chosen = [
        task
        for task in tasks(options)
        if task.family.startswith(options.family or "") and options.format in (None, task.format)
    ]
    begin, total = perf_counter(), Tally()
    print(HEADER)
    with Pool(options.processes) as pool:
        tallies = pool.imap(partial(judged, subject=options.subject), chosen)
        for task, tally in zip(chosen, tallies, strict=True):
            print(row(task.family, task.format, tally))
            for failure in [*tally.unanswered, *tally.examples]:
                print(failure)
            sys.stdout.flush()
            total.add(tally)
    print(row("all", "", total))
    print(
        f"{total.wrong.total():,} misrounded, {len(total.unanswered)} unanswered; "
        f"{perf_counter() - begin:.0f} s"
    )
    return 1 if total.wrong.total() or total.unanswered else 0


if __name__ == "__main__":
    sys.exit(main())
