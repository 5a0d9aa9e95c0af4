"""How long a run of the command takes, compared with the imports that it needs.

Usage: python tests/benchmarks/startup.py [PAIRS]

Each row is the median ratio of paired runs of whole processes, in turn; the goal is below 1.15.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

#: The installed command, next to the interpreter.
STABLELSE = [str(Path(sys.executable).with_name("stablelse"))]

#: The commands, and the runs that they are compared with.
PAIRS: tuple[tuple[list[str], str], ...] = (
    (["lse", "1000", "1001", "1002", "-q"], "import numpy, typer"),
    (["lse", "1000", "1001", "1002"], "import numpy, typer, rich.console, rich.table"),
    (["softmax", "1000", "1001", "1002"], "import numpy, typer, rich.console, rich.table"),
    (["prove", "lse", "1000", "1001", "1002"], "import numpy, typer, rich.console, rich.table"),
    (["demo", "--scene", "overflow"], "import numpy, typer, rich.console, rich.table"),
    (["sweep", "0", "1", "2"], "import numpy, typer, rich.console, rich.table"),
    (["--version"], "import typer"),
    (["--help"], "import typer"),
)


#: Users have Python's compiled files.
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
}


def seconds(command: list[str]) -> float:
    """Return the wall time of one run."""
    begin = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=ENVIRONMENT)
    return time.perf_counter() - begin


def main(pairs: int = 25) -> None:
    """Print a table of ratios."""
    print(f"{'median ratio':>12}  {'quartiles':>13}  {'ms':>6}  {'of ms':>6}  command / floor")
    for arguments, imports in PAIRS:
        floor = [sys.executable, "-c", imports]
        runs = [(seconds([*STABLELSE, *arguments]), seconds(floor)) for _ in range(pairs + 1)][1:]
        ratios = sorted(ours / theirs for ours, theirs in runs)
        low, middle, high = statistics.quantiles(ratios, n=4)
        ours, theirs = (statistics.median(times) * 1e3 for times in zip(*runs, strict=True))
        print(
            f"{middle:12.3f}  {low:6.3f} {high:6.3f}  {ours:6.1f}  {theirs:6.1f}  "
            f"stablelse {' '.join(arguments)} / {imports}"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
