"""Kill runs of the command at random moments; each must leave the old file or the new one, whole.

    python tests/fuzz/kills.py [--seconds 600] [--seed 7] [--only spool]

Half of the signals come at any moment, the others just after a temporary file appeared. The exit
code is 1 if a run left anything else behind, or did not end by its signal.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: Name: the arguments, what the run writes, what it gets on standard input, what it needs.
RUNS = {
    "npy": ("softmax -f x.npy -o out.npy", "out.npy", None, None),
    "csv": ("log-softmax -f x.npy -o out.csv", "out.csv", None, None),
    "parquet": ("softmax -f x.npy -o out.parquet", "out.parquet", None, "pyarrow"),
    "json": ("softmax -f rows.npy --json -o out.json", "out.json", None, None),
    "link": ("lse -f x.npy -o link.txt", "out.txt", None, None),
    "svg": ("lse 1 2 1000 --save out.svg", "out.svg", None, None),
    "html": ("prove lse 1 2 --save out.html", "out.html", None, None),
    "png": ("sweep 0 1 2 --dtype float16 --save out.png", "out.png", None, "matplotlib"),
    "pdf": ("sweep 0 1 2 --dtype float16 --save out.pdf", "out.pdf", None, "matplotlib"),
    "spool of numbers": ("softmax -o out.npy", "out.npy", "x.csv", None),
    "spool of an array": ("softmax -f - -o out.npy", "out.npy", "fortran.npy", None),
    "spool of an archive": ("softmax -f - -o out.csv", "out.csv", "x.npz", None),
    "dask": ("lse -f x.npy --engine dask -o out.txt", "out.txt", None, "distributed"),
}


#: What a folder holds: the bytes of each file, or where a symbolic link leads.
Files = dict[str, bytes | str]


def fill(folder: Path) -> None:
    """Write the input of all runs, and what their output replaces."""
    x = np.random.default_rng(0).normal(size=100_000)
    np.save(folder / "x.npy", x)
    np.savez(folder / "x.npz", x=x)
    np.savetxt(folder / "x.csv", x)
    np.save(folder / "rows.npy", x[:3000].reshape(-1, 3))
    np.save(folder / "fortran.npy", np.asfortranarray(x.reshape(-1, 4)))
    for _, target, _, _ in RUNS.values():
        (folder / target).write_bytes(b"old")
    (folder / "link.txt").symlink_to("out.txt")
    (folder / "tmp").mkdir()


def held(folder: Path) -> Files:
    """Return what a folder holds."""
    files = [path for path in folder.rglob("*") if path.is_symlink() or path.is_file()]
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in files
    }


@contextmanager
def begun(name: str, folder: Path) -> Iterator[subprocess.Popen]:
    """Begin a run in a folder, where its temporary files are too."""
    args, _, source, _ = RUNS[name]
    settings = {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "TMPDIR": str(folder / "tmp"),
        "SOURCE_DATE_EPOCH": "0",
    }
    with ExitStack() as stack:
        stdin = subprocess.DEVNULL
        if source is not None:
            feeder = subprocess.Popen(["cat", source], cwd=folder, stdout=subprocess.PIPE)
            stdin = stack.enter_context(feeder).stdout
        process = subprocess.Popen(
            [sys.executable, "-m", "stablelse", *args.split()],
            cwd=folder,
            env=os.environ | settings,
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        if source is not None:
            stdin.close()
        yield stack.enter_context(process)


def whole(name: str, template: Path) -> tuple[float, Files]:
    """Return how long a run takes that nobody kills, and what it leaves."""
    with TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder, "run")
        shutil.copytree(template, folder, symlinks=True)
        start = time.monotonic()
        with begun(name, folder) as process:
            err = process.communicate()[1]
        assert process.returncode == 0, err
        seconds, files = time.monotonic() - start, held(folder)
        assert files[RUNS[name][1]] != b"old"
        return seconds, files


def kill(name: str, template: Path, run: tuple[float, Files], rng: random.Random) -> str:
    """Kill a run; return what is wrong with what it left, or how it ended."""
    with TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder, "run")
        shutil.copytree(template, folder, symlinks=True)
        before, number = held(folder), rng.choice(SIGNALS)
        delay, is_quick = rng.random(), rng.random() < 0.5
        with begun(name, folder) as process:
            if is_quick:  # when a file has appeared
                names = sorted(folder.rglob("*"))
                while process.poll() is None and sorted(folder.rglob("*")) == names:
                    pass
                time.sleep(delay * 0.03)
            else:
                time.sleep(delay * 1.1 * run[0])
            process.send_signal(number)
            err = process.communicate()[1]
        code, after = process.returncode, held(folder)
    if after not in (before, run[1]):
        wrong = {name for name in before | after if before.get(name) != after.get(name)}
        return f"wrong: {number.name} left {sorted(wrong)}"
    if code == 0 and after == run[1]:
        return "finished"
    if number == signal.SIGINT and "KeyboardInterrupt" in err and "/stablelse/" not in err:
        return "killed"  # before the first line of the command, by Python
    if code in ((130, -number) if number == signal.SIGINT else (-number,)):
        told = [line for line in err.splitlines() if not line.startswith("stablelse: interrupted")]
        return f"wrong: {number.name} printed {err}" if told and code == 130 else "killed"
    return f"wrong: {number.name} ended with {code}: {err}"


def campaign(names: list[str], seed: int, is_over: Callable[[int], bool]) -> Counter[str]:
    """Kill runs in turn until it is over; count how they ended."""
    rng, found = random.Random(seed), Counter()
    with TemporaryDirectory() as template:
        fill(Path(template))
        names = [name for name in names if not RUNS[name][3] or find_spec(RUNS[name][3])]
        runs = {name: whole(name, Path(template)) for name in names}
        for number, name in enumerate(cycle(names)):
            if is_over(number):
                return found
            outcome = kill(name, Path(template), runs[name], rng)
            if outcome.startswith("wrong"):
                outcome = f"{name}: {outcome}"
                print(outcome, flush=True)
            found[outcome] += 1
    return found


def main() -> int:
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", metavar="NAME")
    options = parser.parse_args()
    end = time.monotonic() + options.seconds
    names = [name for name in RUNS if options.only in name]
    found = campaign(names, options.seed, lambda _: time.monotonic() > end)
    print(", ".join(f"{outcome}: {count}" for outcome, count in found.items()))
    return int(any("wrong" in outcome for outcome in found))


if __name__ == "__main__":
    sys.exit(main())
