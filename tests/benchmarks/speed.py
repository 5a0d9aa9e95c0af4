"""How fast the functions are next to SciPy and PyTorch: ratios, all measured in one run.

For every function, format and shape, a new process times one call of each library in turn, on each
family of inputs, round after round, and takes the fastest of each. A ratio is the peer's time
divided by ours; the worst family counts, and the table names it. STABLELSE_KERNEL selects the
kernel. --write puts the tables on the pages with their marks.

    python tests/benchmarks/speed.py [--rounds N] [--threads one|all] [--write] [--shape MxN]...
"""

import argparse
import json
import os
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from time import perf_counter, sleep

import pages

SHAPES = ["1x3", "1x10", "1x200", "1x1000000", "100000x10", "10000x100", "2000x1000"]
FORMATS = ["float64", "float32"]
FUNCTIONS = ["logsumexp", "softmax", "log_softmax"]
PEERS = ["SciPy", "PyTorch"]
PACKAGES = {"numpy": "NumPy", "scipy": "SciPy", "torch": "PyTorch"}

#: The shapes of the short table.
SHORT = {"1x10": "10 numbers", "1x1000000": "10^6 numbers", "2000x1000": "2000 x 1000"}

#: The family whose log-sum-exp is near zero and needs twice the digits: its time divided by that of
#: the fastest family has its own column.
SPECIAL = "log-probabilities"

#: Seconds: PyTorch's threads busy-wait for more work, and would take a core from the next call.
PAUSE = 0.01

#: At most this many calls, or elements, are timed together: all calls but the first find the caches
#: warm again.
MOST, TOGETHER = 500, 10**6


def families(m: int, n: int):
    """Return the inputs of users, by name: different logits, masks, log-probabilities."""
    import numpy as np
    from scipy import special

    rng = np.random.default_rng(1)
    normal = rng.standard_normal((m, n))
    confident = 3 * normal
    confident[np.arange(m), rng.integers(n, size=m)] += 20
    masked = np.where(rng.random((m, n)) < 0.3, -np.inf, normal)
    masked[:, 0] = normal[:, 0]
    return {
        "N(0,1)": normal,
        "offset -1000": normal - 1000,
        "sd 30": 30 * normal,
        "confident": confident,
        "30 % masked": masked,
        SPECIAL: special.log_softmax(normal, axis=1),
    }


def calls(function: str, x, threads: str):
    """Return a call of each library on the same numbers, by name."""
    from scipy import special

    import stablelse

    ours, scipys = getattr(stablelse, function), getattr(special, function)
    found = {"stablelse": lambda: ours(x, axis=1), "SciPy": lambda: scipys(x, axis=1)}
    if find_spec("torch"):
        import torch

        if threads == "one":
            torch.set_num_threads(1)
        tensor, torchs = torch.from_numpy(x), getattr(torch, function)
        found["PyTorch"] = lambda: torchs(tensor, dim=1)
    return found


def measure(function: str, format_: str, shape: str, rounds: int, threads: str):
    """Return the nanoseconds per element of the fastest call, by family and library."""
    m, n = map(int, shape.split("x"))
    repeats = max(1, min(MOST, TOGETHER // (m * n)))
    results = {}
    for family, x in families(m, n).items():
        fastest: dict[str, float] = {}
        libraries = calls(function, x.astype(format_), threads)
        for _ in range(rounds + 1):  # the first one warms up, and is the slowest
            for name, call in libraries.items():
                sleep(PAUSE)
                start = perf_counter()
                for _ in range(repeats):
                    call()
                elapsed = (perf_counter() - start) / (repeats * m * n) * 1e9
                fastest[name] = min(elapsed, fastest.get(name, elapsed))
        results[family] = fastest
    return results


def in_own_process(function: str, format_: str, shape: str, rounds: int, threads: str):
    """Measure in a new process, so that no library finds a warm heap."""
    command = [sys.executable, __file__, "--one", function, format_, shape, str(rounds), threads]
    limit = {"STABLELSE_NUM_THREADS": "1"} if threads == "one" else {}
    run = subprocess.run(command, check=True, capture_output=True, env=os.environ | limit)
    return json.loads(run.stdout)


def row(results, function: str, format_: str, shape: str) -> list[str]:
    """Return the cells: our time on N(0,1), the slowness of other families, the worst ratios."""
    ours = {family: times["stablelse"] for family, times in results.items()}
    special = ours.pop(SPECIAL)
    slowest, fastest = max(ours, key=ours.get), min(ours.values())
    cells = [function, format_, shape, f"{ours['N(0,1)']:.2f}"]
    cells += [f"{ours[slowest] / fastest:.1f} ({slowest})", f"{special / fastest:.1f}"]
    for peer in PEERS:
        ratios = {
            f: times[peer] / times["stablelse"] for f, times in results.items() if peer in times
        }
        worst = min(ratios, key=ratios.get, default="")
        cells.append(f"{ratios[worst]:.2f} ({worst})" if worst else "")
    return cells


def setting(threads: str) -> str:
    """Return what the numbers depend on: families, machine and versions."""
    from stablelse.numerics import kernel

    names = [*families(1, 1)]
    info = Path("/proc/cpuinfo").read_text("utf-8") if sys.platform == "linux" else ""
    model = dict(line.split("\t: ", 1) for line in info.splitlines() if "\t: " in line)
    used = ", ".join(f"{PACKAGES[p]} {version(p)}" for p in PACKAGES if find_spec(p))
    return (
        f"Families: {', '.join(names[:-1])} and {names[-1]}. {os.cpu_count()} cores of an "
        f"{model.get('model name', 'unknown processor')}, {threads} thread"
        f"{'s' * (threads == 'all')}, kernel {kernel.name()}; {used}."
    )


def worst(cells: list[str]) -> str:
    """Return the worst ratios with their families: ``1.9 / 0.51 (sd 30)``."""
    ratios, families_ = zip(*(cell[:-1].split(" (", 1) for cell in cells), strict=True)
    ratios = [f"{float(ratio):.2g}" for ratio in ratios]
    if len(set(families_)) == 1:
        return f"{' / '.join(ratios)} ({families_[0]})"
    return " / ".join(f"{r} ({f})" for r, f in zip(ratios, families_, strict=True))


def short_table(rows: list[list[str]]) -> str:
    """Return the worst ratios of a few shapes, a row for each function and format."""
    header = [f"times as fast as {' / '.join(PEERS)}", *SHORT.values()]
    of_shape = {tuple(row[:3]): worst(row[6:]) for row in rows}
    lines = []
    for function in FUNCTIONS:
        for format_ in FORMATS:
            cells = [of_shape[function, format_, shape] for shape in SHORT]
            lines.append([f"{function}, {format_}", *cells])
    return pages.table(header, lines)


def main() -> None:
    """Print the table of ratios, or write it to the pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", choices=["one", "all"], default="one")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--shape", action="append", metavar="MxN")
    options = parser.parse_args()
    header = ["function", "format", "shape", "N(0,1), ns", "slowest / fastest", SPECIAL]
    header += [f"{peer} / stablelse" for peer in PEERS]
    rows, said = [], setting(options.threads)
    for case in product(FUNCTIONS, FORMATS, options.shape or SHAPES):
        rows.append(row(in_own_process(*case, options.rounds, options.threads), *case))
        print(*rows[-1], sep=" | ", file=sys.stderr, flush=True)
    long = f"{pages.table(header, rows)}\n{said}\n"
    if options.write:
        kernel = said.partition("kernel ")[2].partition(";")[0]
        pages.write(f"speed, {kernel}", f"{short_table(rows)}\n{said}")
        pages.write(f"speed of families, {kernel}", long)
    else:
        print(long)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        function, format_, shape, rounds, threads = sys.argv[2:]
        print(json.dumps(measure(function, format_, shape, int(rounds), threads)))
    else:
        main()
