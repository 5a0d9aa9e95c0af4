"""Mutants of the kernel: each drops a correction, or lowers a bound, and must be caught.

    python tests/benchmarks/kernel_mutants.py [--only TEXT]

Each is made in a copy of the project. It is caught if the error of a phase exceeds its bound, or if
a result is misrounded. The unchanged kernel comes first: it must survive.
"""

import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from shutil import copy, copytree, ignore_patterns
from subprocess import DEVNULL, run
from tempfile import TemporaryDirectory
from time import perf_counter

ROOT = Path(__file__).parents[2]
BUILD = ["-m", "stablelse.numerics.kernel.build"]
PYTEST = ["-m", "pytest", "-x", "-n", "0"]

#: What catches mutants, the fastest first.
CHECKS = {
    "a bound": [*PYTEST, "tests/numerics/kernel/test_bounds.py"],
    "a kernel": [*PYTEST, "tests/numerics/kernel/test_settled.py"],
    "the reference": [*PYTEST, "tests/numerics/kernel/test_kernels.py"],
}
ZERO = "(words){all(0), all(0)}"

#: By file: parts of it, and their replacements.
MUTANTS = {
    "functions.h": [
        ("    l = (h - r) + l;\n", "    l = all(0);\n"),
        ("fma_(all(.5), fma_(r, r, -s), fma_(l, r, l))", "fma_(l, r, l)"),
        ("fma_(q, r * s, l) + fma_(all(.5), s, r - m)", "fma_(q, r * s, l)"),
        ("fma_(fma_(q, r, all(.5)), s, l)}", "fma_(q, r, all(.5)) * s}"),
        ("fma_(e.t, e.m, (S->high - s) + e.t)", "all(0)"),
        ("fma_(e.t, e.m, e.t - high)", "all(0)"),
        ("((p_low + low) +", "(low +"),
        ("fma_(s.N, all(LN2_LOW), z)", "z"),
        ("    a = ordered_sum(a.high, a.low);\n    real r", "    real r"),
        ("fma_(-k, all(WIDE_STEP2), fma_(-k, all(WIDE_STEP1), x))", "fma_(-k, all(WIDE_STEP1), x)"),
    ],
    "near.h": [
        ("(h.low + r_low.low)", "h.low"),
        ("fma_(fma_(a, r0, all(1. / 720)), r0, all(F5_LOW))", "fma_(a, r0, all(1. / 720)) * r0"),
        ("    left += fma_(e.t, e.c, fma_(e.t, e.b, -tb));\n", ""),
        ("fma_(S1, E1, S2 * E0)", "S2 * E0"),
    ],
    "careful.h": [
        ("(inexact & ~-(bits & 1) & step)", "(inexact & 0 & bits & step)"),
        ("c->error += smaller(all(1), rho.high) * CAREFUL(r->n);", ";"),
        ("0x1p-80 + (double)(n)", "0x1p-86 + (double)(n)"),
        ("all(power_of_two(K_here[0] - K[0]))", "all(1)"),
        ("    v = ordered_sum(v.high, v.low);\n", ""),
    ],
    "long.h": [
        ("#define LEAN 0x1.ap-63", "#define LEAN 0x1.ap-65"),
        ("real c = fma_(magnitude(t.high), all(0x1p-105), error);", "real c = error;"),
        (
            "q->L = log_of_total(&s, &q->L_error);",
            "q->L = log_of_total(&s, &q->L_error), q->L_error = all(0);",
        ),
        ("*low = t.low - (L.low + c);", "*low = t.low - c;"),
    ],
    "short.h": [
        ("format == FLOAT64 ? next_of_lanes(t, n, largest) : largest", "largest"),
        ("&& (!j->mask || j->mask_row_stride == n * j->mask_stride)", ""),
        ("add(rho, (words){copies - 1, all(0)})", "rho"),
        ("multiply(scaled(S, powers_of_two(shift_of(next) - K))", "multiply(S"),
        ("error = fma_(smaller(all(1), rho.high), all(2 * QUICK_SUM), error);", ""),
        ("real error = p.high * (2 * QUICK_SUM);", "real error = all(0);"),
        ("K, all(format == FLOAT64 ? QUICK_SUM : NARROW_SUM), &error", "K, all(0), &error"),
        ("R * (1 - (NARROW_SUM + NARROW_QUOTIENT))", "R"),
        ("high = to_odd(d.high, to_odd(d.low, error - lambda))", "high = low"),
        ("bad = (bad | below) & ~less(x, gone);", "bad &= ~less(x, gone);"),
        ("L.low += lambda.low;", ""),
    ],
    "weights.h": [
        ("fma_(t.low, f, fma_(t.high, f, -high))", "t.low * f"),
        ("(words){select(negative, high, all(0)), select(negative, low, all(0))}", ZERO),
        ("d.low + (P.low - N.low)", "P.low - N.low"),
        ("(P.high + N.high) * CAREFUL(x->n)", "magnitude(S.high) * CAREFUL(x->n)"),
        ("exponent -= select(tiny, all(100), all(0));", ""),
    ],
    "rows.h": [
        ("!r->mask[(i + j) * r->mask_stride]", "!r->mask[j * r->mask_stride]"),
        ("return r->format == FLOAT32 && !r->mask", "return r->format == FLOAT32"),
    ],
    "kernel.c": [
        ("if (r.mask) r.mask += from * r.mask_stride;", ""),
        ("&& j->length <= TILE && !j->mask", "&& j->length <= TILE"),
    ],
    "labels.h": [
        ("if (r->mask) piece.mask += (l + 1) * r->mask_stride;", ""),
        ("s.low + (p.low - t.low)", "p.low - t.low"),
        ("s.low + (p.low - t.low)", "s.low + p.low"),
        ("ordered_sum(s.high, s.low + L.low)", "ordered_sum(s.high, L.low)"),
        ("b = ordered_sum(below.high, below.low + S.low);", ";"),
        ("fma_(a->less.high, all(rel), magnitude(a->loss.high) * 0x1p-104)", "all(0)"),
        ("all(CAREFUL(r->n)), magnitude(t.high) * 0x1p-92", "all(0), all(0)"),
        ("words factor = multiply(a.inverse, f->s)", "words factor = a.inverse"),
        (" | bits_of(lost)", ""),
        ("all(0x1p-1070), all(0));", "all(0), all(0));"),
    ],
    "state.h": [
        ("multiply(multiply(E, (words){all(1), d.low}), T)", "multiply(E, T)"),
        ("error = 1.01 * E.high[0] * error + T.high[0] * MERGE_TERM;", "error = 0;"),
        ("error *= scaling(K[0] - scale)[0];", "error = 0;"),
        ("E = ordered_sum(E.high, E.low);", ";"),
        ("s->error + t->error == 0 ? 0 :", "error == 0 ? 0 :"),
        ("== 0 ? 0 : error + R.high[0] * 0x1p-103", "== 0 ? 0 : error"),
        ("s->near_error += t->near_error + size[0] * 0x1p-51;", ""),
        ("t.near_error += NEAR_TERM * 1.01 * t.near[0] + 0x1p-134;", ""),
        ("s->error = Q.high[0] * (t->error + 0x1.3p-82);", "s->error = 0x1p-99;"),
        ("R = two_sum(below.high, below.low + Q.low)", "R = below"),
        ("c->quotient = error + 0x1p-80;", "c->quotient = 0;"),
        ("c->error += error;", ""),
    ],
}


def caught_by(name: str, old: str, new: str) -> str:
    """Return the check that catches a mutant, empty if none does."""
    with TemporaryDirectory() as folder:
        unwanted = ignore_patterns("*.so", "__pycache__")
        for part in ("stablelse", "tests"):
            copytree(ROOT / part, Path(folder) / part, ignore=unwanted)
        copy(ROOT / "pyproject.toml", folder)
        source = Path(folder) / "stablelse" / "numerics" / "kernel" / name
        text = source.read_text()
        assert not old or text.count(old) == 1, f"{name} does not contain {old!r} once"
        source.write_text(text.replace(old, new, 1))
        place = {"cwd": folder, "env": os.environ | {"PYTHONPATH": folder}, "stdout": DEVNULL}
        run([sys.executable, *BUILD], check=True, **place)
        for check, command in CHECKS.items():
            if run([sys.executable, *command], stderr=DEVNULL, **place).returncode:
                return check
    return ""


def main() -> int:
    """Make, compile and attack every mutant."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="mutants whose replaced text contains this")
    only = parser.parse_args().only
    if found := caught_by("kernel.c", "", ""):
        sys.exit(f"the unchanged kernel fails: {found}")
    survivors = 0
    every = [(name, *mutant) for name, several in MUTANTS.items() for mutant in several]
    for name, old, new in (mutant for mutant in every if only in mutant[1]):
        begin = perf_counter()
        found = caught_by(name, old, new)
        survivors += not found
        label = f"{name}: {old.strip()[:60]}"
        print(f"{label:76} {found or 'SURVIVES'} ({perf_counter() - begin:.0f} s)", flush=True)
    print("survivors:", survivors)
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main())
