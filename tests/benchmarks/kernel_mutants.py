"""Mutants of the kernel: each drops a correction, or lowers a bound, and must be caught.

    python tests/benchmarks/kernel_mutants.py [--only TEXT]

A mutant is caught where a phase's error exceeds its bound, or where a settled result is misrounded.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from bounds import ratios
from families import FAMILIES
from judge import Tally, by_library, judge, judge_near_ties, stacks
from native import FUNCTIONS, PHASES, SOURCES, Kernel, Phases, build, instruction_sets

#: (file, a part of it, what replaces it)
MUTANTS = [
    ("functions.h", "    l = (h - r) + l;\n", "    l = all(0);\n"),
    ("functions.h", "fma_(all(.5), fma_(r, r, -s), fma_(l, r, l))", "fma_(l, r, l)"),
    ("functions.h", "fma_(q, r * s, l) + fma_(all(.5), s, r - m)", "fma_(q, r * s, l)"),
    ("functions.h", "fma_(fma_(q, r, all(.5)), s, l)}", "fma_(q, r, all(.5)) * s}"),
    ("functions.h", "fma_(e.t, e.m, (S->high - s) + e.t)", "all(0)"),
    ("functions.h", "fma_(e.t, e.m, e.t - high)", "all(0)"),
    ("functions.h", "((p_low + low) +", "(low +"),
    ("functions.h", "fma_(s.N, all(LN2_LOW), z)", "z"),
    ("functions.h", "    a = ordered_sum(a.high, a.low);\n    real r", "    real r"),
    (
        "functions.h",
        "fma_(-k, all(WIDE_STEP2), fma_(-k, all(WIDE_STEP1), x))",
        "fma_(-k, all(WIDE_STEP1), x)",
    ),
    ("near.h", "(h.low + r_low.low)", "h.low"),
    (
        "near.h",
        "fma_(fma_(a, r0, all(1. / 720)), r0, all(F5_LOW))",
        "fma_(a, r0, all(1. / 720)) * r0",
    ),
    ("near.h", "    left += fma_(e.t, e.c, fma_(e.t, e.b, -tb));\n", ""),
    ("near.h", "fma_(S1, E1, S2 * E0)", "S2 * E0"),
    ("careful.h", "(inexact & ~-(bits & 1) & step)", "(inexact & 0 & bits & step)"),
    ("careful.h", "c->error += smaller(all(1), rho.high) * CAREFUL(r->n);", ";"),
    ("careful.h", "0x1p-80 + (double)(n)", "0x1p-86 + (double)(n)"),
    ("long.h", "#define LEAN 0x1.ap-63", "#define LEAN 0x1.ap-65"),
    ("long.h", "real c = fma_(magnitude(t.high), all(0x1p-105), error);", "real c = error;"),
    ("short.h", "format == FLOAT64 ? next_of_lanes(t, n, largest) : largest", "largest"),
    ("weights.h", "fma_(t.low, f, fma_(t.high, f, -high))", "t.low * f"),
]


def caught_by(phases: Phases, kernel: Kernel) -> str:
    """Return what catches a mutant; empty if nothing does."""
    for name, ratio in ratios.items():
        if (largest := ratio(phases, np.random.default_rng(1), 400)) > 1:
            return f"{name}, {largest:.3g} of the bound"
    for name, tally in tallies(kernel):
        if tally.wrong:
            return f"{name}, {len(tally.wrong)} of {tally.results}"
    return ""


def tallies(kernel: Kernel) -> Iterator[tuple[str, Tally]]:
    """Judge near-ties, then families, as the suite does."""
    for function in FUNCTIONS:
        yield f"near-ties of {function}", judge_near_ties([kernel], function, "float64", 300, 7)
    for format_ in ("float64", "float16"):
        for name in FAMILIES:
            made = stacks(name, format_, 200, 7, 300, 12)
            yield f"{name} {format_}", judge(made, format_, by_library, [kernel])


def main() -> int:
    """Make, compile and attack every mutant."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="mutants whose replaced text contains this")
    only = parser.parse_args().only
    isa = list(instruction_sets())[-1]
    survivors = 0
    for name, old, new in (m for m in MUTANTS if only in m[1]):
        with tempfile.TemporaryDirectory() as folder:
            sources = Path(folder) / "kernel"
            shutil.copytree(SOURCES, sources)
            shutil.copy(PHASES, sources)
            text = (sources / name).read_text()
            assert text.count(old) == 1, f"{name} does not contain {old!r} once"
            (sources / name).write_text(text.replace(old, new))
            started = time.perf_counter()
            flags = (f"-I{sources}", "-O1", "-Wno-error")
            library = build(
                sources / "phases.c", instruction_sets()[isa], Path(folder) / "mutant.so", *flags
            )
            found = caught_by(Phases(library), Kernel(library, isa))
        survivors += not found
        seconds = time.perf_counter() - started
        label = f"{name}: {old.strip()[:60]}"
        print(f"{label:76} {found or 'SURVIVES'} ({seconds:.0f} s)", flush=True)
    print("survivors:", survivors)
    return int(survivors > 0)


if __name__ == "__main__":
    raise SystemExit(main())
