"""Mutants of the kernel: each drops a correction, or lowers a bound, and must be caught.

    python tests/benchmarks/kernel_mutants.py [--only TEXT]

Each is made in a copy of the project. It is caught if the error of a phase exceeds its bound, or if
a result is misrounded. The unchanged kernel comes first: it must survive.
"""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
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


def mutants() -> Iterator[tuple[str, str, str]]:
    """Yield, from kernel_mutants.txt, a file, a part of it, and its replacement."""
    name = ""
    for line in Path(__file__).with_suffix(".txt").read_text().splitlines():
        old, arrow, new = line.partition(" =>")
        if arrow:
            yield name, old.strip(), new.strip()
        else:
            name = line


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
    for name, old, new in (mutant for mutant in mutants() if only in mutant[1]):
        begin = perf_counter()
        found = caught_by(name, old, new)
        survivors += not found
        label = f"{name}: {old[:60]}"
        print(f"{label:76} {found or 'SURVIVES'} ({perf_counter() - begin:.0f} s)", flush=True)
    print("survivors:", survivors)
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main())
