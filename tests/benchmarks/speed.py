"""How fast the functions are beside SciPy and PyTorch: ratios, all measured in one run.

For every function, format and shape a process of its own times one call of each library in turn,
round after round, and takes the fastest of each. A ratio above 1 says that stablelse is faster.

    python tests/benchmarks/speed.py [--rounds N] [--format FORMAT]... [--shape ROWSxCOLUMNS]...
"""

import argparse
import json
import subprocess
import sys
from importlib.util import find_spec
from time import perf_counter, sleep

from rich.console import Console
from rich.table import Table

SHAPES = [
    "1x3",
    "1x10",
    "1x100000",
    "1x1000000",
    "1x10000000",
    "100000x10",
    "10000x100",
    "2000x1000",
    "100x50000",
]
FORMATS = ["float64", "float32"]
FUNCTIONS = ["logsumexp", "softmax", "log_softmax"]
OURS = ["exact", "compensated"]
PEERS = ["SciPy", "PyTorch"]

#: Seconds: PyTorch's threads wait for more work busily, and would take a core from what is next.
PAUSE = 0.01

#: So many calls are timed together, at most, or so many elements: those after the first find the
#: caches warm again.
MOST, TOGETHER = 500, 10**6


def calls(function: str, format_: str, shape: str):
    """Return a call of each library on the same numbers, by name."""
    import numpy as np

    import stablelse
    from stablelse import exact

    m, n = map(int, shape.split("x"))
    x = np.random.default_rng(1).standard_normal((m, n)).astype(format_)
    found = {
        "exact": lambda: getattr(exact, function)(x, axis=1),
        "compensated": lambda: getattr(stablelse, function)(x, axis=1),
        "exp": lambda: np.exp(x),
    }
    if find_spec("scipy"):
        from scipy import special

        found["SciPy"] = lambda: getattr(special, function)(x, axis=1)
    if find_spec("torch"):
        import torch

        tensor = torch.from_numpy(x)
        found["PyTorch"] = lambda: getattr(torch, function)(tensor, dim=1)
    return found


def measure(function: str, format_: str, shape: str, rounds: int) -> dict[str, float]:
    """Return the nanoseconds an element of the fastest call of each library."""
    m, n = map(int, shape.split("x"))
    repeats = max(1, min(MOST, TOGETHER // (m * n)))
    fastest: dict[str, float] = {}
    libraries = calls(function, format_, shape)
    for _ in range(rounds + 1):  # the first one warms up, and is the slowest
        for name, call in libraries.items():
            sleep(PAUSE)
            start = perf_counter()
            for _ in range(repeats):
                call()
            elapsed = (perf_counter() - start) / (repeats * m * n) * 1e9
            fastest[name] = min(elapsed, fastest.get(name, elapsed))
    return fastest


def in_own_process(function: str, format_: str, shape: str, rounds: int) -> dict[str, float]:
    """Measure in a process that has done nothing before, so that none finds a warm heap."""
    command = [sys.executable, __file__, "--one", function, format_, shape, str(rounds)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def peak_memory(n: int) -> float:
    """Return the MiB that one exact logsumexp of n numbers takes beside the numbers."""
    code = (
        "import resource, numpy as np\n"
        "from stablelse import exact\n"
        "exact.logsumexp(np.zeros(1000))\n"
        f"x = np.random.default_rng(1).standard_normal({n})\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "exact.logsumexp(x)\n"
        "print(peak() - before)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return int(run.stdout) / 1024


def ratio(found: dict[str, float], peer: str, ours: str) -> str:
    """Return how many times as fast as the peer our function is."""
    return f"{found[peer] / found[ours]:.2f}" if peer in found else ""


def main() -> None:
    """Print the table of ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--format", action="append", choices=FORMATS)
    parser.add_argument("--shape", action="append", metavar="ROWSxCOLUMNS")
    parser.add_argument("--function", action="append", choices=FUNCTIONS)
    options = parser.parse_args()
    table = Table("function", "format", "shape", "exact, ns", "compensated, ns", "exp, ns")
    for ours in OURS:
        for peer in PEERS:
            table.add_column(f"{peer} / {ours}", justify="right")
    for function in options.function or FUNCTIONS:
        for format_ in options.format or FORMATS:
            for shape in options.shape or SHAPES:
                found = in_own_process(function, format_, shape, options.rounds)
                times = (f"{found[name]:.2f}" for name in (*OURS, "exp"))
                ratios = (ratio(found, peer, ours) for ours in OURS for peer in PEERS)
                table.add_row(function, format_, shape, *times, *ratios)
    console = Console(width=max(120, Console().width))
    console.print(table)
    for n in (10**5, 10**6, 10**7):
        console.print(f"exact logsumexp of {n:,}: {peak_memory(n):.1f} MiB of memory beside them")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        *what, rounds = sys.argv[2:]
        print(json.dumps(measure(*what, int(rounds))))
    else:
        main()
