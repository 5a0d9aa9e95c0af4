"""Mutants of the kernel: each drops a correction, or lowers a bound, and must be caught.

    python tests/benchmarks/kernel_mutants.py [--only TEXT]

A mutant is caught if a phase's error exceeds its bound, or if a settled result is misrounded.
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
from families import FAMILIES, rng_of
from judge import Tally, by_library, judge, judge_near_ties, stacks
from native import FUNCTIONS, PHASES, SOURCES, Kernel, Phases, build, instruction_sets

from stablelse.numerics.formats import find_format

FORMATS = ("float64", "float32", "float16")
ZERO = "(words){all(0), all(0)}"

#: (file, a part of it, its replacement)
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
    # weights
    ("weights.h", "fma_(t.low, f, fma_(t.high, f, -high))", "t.low * f"),
    ("weights.h", "(words){select(negative, high, all(0)), select(negative, low, all(0))}", ZERO),
    ("weights.h", "d.low + (P.low - N.low)", "P.low - N.low"),
    ("weights.h", "(P.high + N.high) * CAREFUL(x->n)", "magnitude(S.high) * CAREFUL(x->n)"),
    ("weights.h", "exponent -= select(tiny, all(100), all(0));", ""),
    # masks
    ("rows.h", "!r->mask[(i + j) * r->mask_stride]", "!r->mask[j * r->mask_stride]"),
    ("rows.h", "return r->format == FLOAT32 && !r->mask", "return r->format == FLOAT32"),
    ("short.h", "&& (!j->mask || j->mask_row_stride == n * j->mask_stride)", ""),
    ("kernel.c", "if (r.mask) r.mask += from * r.mask_stride;", ""),
    ("kernel.c", "&& j->length <= TILE && !j->mask", "&& j->length <= TILE"),
    ("labels.h", "if (r->mask) piece.mask += (l + 1) * r->mask_stride;", ""),
    # lanes
    ("short.h", "add(rho, (words){copies - 1, all(0)})", "rho"),
    ("short.h", "multiply(scaled(S, powers_of_two(shift_of(next) - K))", "multiply(S"),
    ("short.h", "error = fma_(smaller(all(1), rho.high), all(2 * QUICK_SUM), error);", ""),
    ("short.h", "real error = p.high * (2 * QUICK_SUM);", "real error = all(0);"),
    ("short.h", "K, all(format == FLOAT64 ? QUICK_SUM : NARROW_SUM), &error", "K, all(0), &error"),
    ("short.h", "R * (1 - (NARROW_SUM + NARROW_QUOTIENT))", "R"),
    ("short.h", "high = to_odd(d.high, to_odd(d.low, error - lambda))", "high = low"),
    ("short.h", "bad = (bad | below) & ~less(x, gone);", "bad &= ~less(x, gone);"),
    ("short.h", "L.low += lambda.low;", ""),
    # labels
    ("labels.h", "s.low + (p.low - t.low)", "p.low - t.low"),
    ("labels.h", "s.low + (p.low - t.low)", "s.low + p.low"),
    ("labels.h", "ordered_sum(s.high, s.low + L.low)", "ordered_sum(s.high, L.low)"),
    ("labels.h", "b = ordered_sum(below.high, below.low + S.low);", ";"),
    ("labels.h", "fma_(a->less.high, all(rel), magnitude(a->loss.high) * 0x1p-104)", "all(0)"),
    ("labels.h", "all(CAREFUL(r->n)), magnitude(t.high) * 0x1p-92", "all(0), all(0)"),
    ("labels.h", "words factor = multiply(a.inverse, f->s)", "words factor = a.inverse"),
    ("labels.h", " | bits_of(lost)", ""),
    ("labels.h", "all(0x1p-1070), all(0));", "all(0), all(0));"),
    # rows one by one
    (
        "long.h",
        "q->L = log_of_total(&s, &q->L_error);",
        "q->L = log_of_total(&s, &q->L_error), q->L_error = all(0);",
    ),
    ("long.h", "*low = t.low - (L.low + c);", "*low = t.low - c;"),
    # states
    ("state.h", "multiply(multiply(E, (words){all(1), d.low}), T)", "multiply(E, T)"),
    ("state.h", "error = 1.01 * E.high[0] * error + T.high[0] * MERGE_TERM;", "error = 0;"),
    ("state.h", "+ error * scaling(K[0] - scale)[0] + R.high[0] * 0x1p-103", ""),
    ("state.h", "error == 0 ? 0 : error + R.high[0] * 0x1p-103", "0"),
    ("state.h", "s->near_error += t->near_error + size[0] * 0x1p-51;", ""),
    ("state.h", "t.near_error += NEAR_TERM * 1.01 * t.near[0] + 0x1p-134;", ""),
    ("state.h", "s->error = Q.high[0] * (t->error + 0x1.3p-82);", "s->error = 0x1p-99;"),
    ("state.h", "R = two_sum(below.high, below.low + Q.low)", "R = below"),
    ("state.h", "c->quotient = error + 0x1p-80;", "c->quotient = 0;"),
    ("state.h", "c->error += error;", ""),
]


def caught_by(phases: Phases, kernel: Kernel) -> str:
    """Return the check that catches a mutant, empty if none does."""
    for name, ratio in ratios.items():
        if (largest := ratio(phases, np.random.default_rng(1), 400)) > 1:
            return f"{name}, {largest:.3g} of the bound"
    for name, tally in tallies(kernel):
        if tally.wrong:
            return f"{name}, {len(tally.wrong)} of {tally.results}"
    return ""


def tallies(kernel: Kernel) -> Iterator[tuple[str, Tally]]:
    """Judge rows in lanes and across memory, near-ties, then families."""
    for format_ in FORMATS:
        rng = rng_of(7, format_)
        made = (FAMILIES["normal"].make(rng, 20, n, find_format(format_)) for n in (20, 150) * 5)
        yield f"normal rows {format_}", judge(made, format_, by_library, [kernel])
    for function in FUNCTIONS:
        yield f"near-ties of {function}", judge_near_ties([kernel], function, "float64", 300, 7)
    for format_ in FORMATS:
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
