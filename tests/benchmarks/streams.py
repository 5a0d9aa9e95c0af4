"""Speed and memory of streams, as ratios: python tests/benchmarks/streams.py [GB] [FOLDER].

Files of 10**7 lines and of GB gigabytes (default: 1, and 0.8 for the times) are made in the folder
and removed. Times are the least of a few interleaved ones, without the start of the interpreter.
"""

import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from stablelse import RunningLogSumExp, StreamState, logsumexp
from stablelse.engines import fold
from stablelse.readers import open_blocks

RUNS = 3
ELEMENTS = 10**8
ROWS = 10**7
BUFFER = 2**19


def array(path, count):
    """Write a .npy of normal deviates, a block at a time."""
    x = np.lib.format.open_memmap(path, "w+", np.float64, (count,))
    rng = np.random.default_rng(0)
    for begin in range(0, count, BUFFER):
        part = x[begin : begin + BUFFER]
        part[...] = 5 * rng.standard_normal(len(part))


def lines(path):
    rng = np.random.default_rng(0)
    with open(path, "w") as file:
        for _ in range(100):
            file.writelines(f"{x:.6f}\n" for x in rng.standard_normal(ROWS // 100).tolist())


def read_and_exp(path):
    with open(path, "rb") as file:
        file.seek(128)
        x, out = np.empty(BUFFER), np.empty(BUFFER)
        while count := file.readinto(x):
            np.exp(x[: count // 8], out=out[: count // 8])


def parse(path):
    if find_spec("pyarrow") is None:
        with open(path) as file:
            while part := file.readlines(2**20):
                np.loadtxt(part)
        return
    from pyarrow import csv

    options = csv.ReadOptions(column_names=["x"])
    for _ in csv.open_csv(path, read_options=options):
        pass


def folded(path, **options):
    fold(open_blocks(str(path)), [StreamState(**options)])


def times(functions):
    """Return the least time of each, taken in turns."""
    least = dict.fromkeys(functions, np.inf)
    for _ in range(RUNS):
        for name, function in functions.items():
            begin = time.perf_counter()
            function()
            least[name] = min(least[name], time.perf_counter() - begin)
    return least


def told(title, least, base, bars):
    print(f"\n{title}: {base} {least[base]:.2f} s")
    for name, seconds in least.items():
        if name != base:
            bar = f" (bar {bars[name]})" if name in bars else ""
            print(f"  {name:28} {seconds:6.2f} s  {seconds / least[base]:5.2f} times{bar}")


#: The command without pyarrow.
WITHOUT = """
import runpy, sys
sys.modules["pyarrow"] = None
runpy.run_module("stablelse", run_name="__main__")
"""


def parquet(path, count):
    """Write a Parquet file of normal deviates, in row groups of the usual size."""
    import pyarrow as pa
    from pyarrow import parquet

    rng = np.random.default_rng(0)
    with parquet.ParquetWriter(path, pa.schema([("x", pa.float64())])) as writer:
        for _ in range(0, count, 2 * BUFFER):
            writer.write_table(pa.table({"x": 5 * rng.standard_normal(2 * BUFFER)}))


def peak(args, how=("-m", "stablelse")):
    """Return the peak memory of a run of the command, in MiB, and its seconds."""
    code = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    begin = time.perf_counter()
    command = [sys.executable, "-c", code, sys.executable, *how, *args]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout) / 1024, time.perf_counter() - begin


def main():
    size = float(sys.argv[1]) if len(sys.argv) > 1 else 1
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as folder:
        text, large = Path(folder, "x.csv"), Path(folder, "x.npy")
        lines(text)
        array(large, ELEMENTS)
        least = times(
            {
                "read and np.exp in blocks": lambda: read_and_exp(large),
                "np.exp(np.load())": lambda: np.exp(np.load(large)),
                "the value alone": lambda: folded(large, plain=False),
                "all methods": lambda: folded(large),
            }
        )
        bars = {"the value alone": 1.5, "all methods": 1.5}
        told(".npy of 10**8", least, "read and np.exp in blocks", bars)
        least = times(
            {
                "parsing": lambda: parse(text),
                "the value alone": lambda: folded(text, plain=False),
                "all methods": lambda: folded(text),
            }
        )
        told("CSV of 10**7 lines", least, "parsing", dict.fromkeys(least, 1.2))
        x = np.load(large)[: 2 * 10**7].copy()
        small = Path(folder, "y.npy")
        np.save(small, x)
        least = times(
            {
                "logsumexp in memory": lambda: logsumexp(x),
                "RunningLogSumExp": lambda: RunningLogSumExp().update(x),
                "exact stream, value alone": lambda: folded(small, plain=False),
                "exact stream, all methods": lambda: folded(small),
            }
        )
        bars = {"exact stream, value alone": 1.3}
        told("exact, 2 * 10**7", least, "logsumexp in memory", bars)
        x = None
        small.unlink()
        array(large, int(size * 1e9) // 8)
        print(f"\npeak memory of the command (bar 120 MiB; 400 with pyarrow), {size:g} GB")
        out = str(Path(folder, "p.npy"))
        usual, without = ("-m", "stablelse"), ("-c", WITHOUT)
        runs = [
            (usual, ["lse", "-q", "-f", str(large)]),
            (usual, ["lse", "-f", str(large)]),
            (usual, ["softmax", "-f", str(large), "-o", out]),
            (usual, ["lse", "-f", str(text)]),
            (without, ["lse", "-f", str(text)]),
        ]
        if find_spec("pyarrow"):
            columns = Path(folder, "x.parquet")
            parquet(columns, int(size * 1e9) // 8)
            runs.append((usual, ["lse", "-f", str(columns)]))
        for how, args in runs:
            mebibytes, seconds = peak(args, how)
            lacking = "without pyarrow" if how is without else ""
            print(
                f"  {' '.join(args[:2]):12} {Path(args[-1]).name:10} {mebibytes:6.0f} MiB"
                f"  {seconds:6.1f} s  {lacking}".rstrip()
            )


if __name__ == "__main__":
    main()
