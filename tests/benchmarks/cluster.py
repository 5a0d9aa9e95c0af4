"""The time of a cluster for one large file, and the cost of a part.

    python tests/benchmarks/cluster.py [--elements N] [--folder FOLDER] [--save FILE]

A .npy of N float64 (10**8 by default) is made in the folder and removed. The first table has the
time of a fold on this machine, local and on one or two processes: the least of a few taken in
turns, without the start of the processes. The script fails if two processes take more than 0.65 of
the time of one.

The second table has the costs of one part, piece by piece. `examples/scaling.py` estimates from
them how long 1 TB in object storage would take; `--save examples/scaling.json` writes its input.
"""

import argparse
import json
import os
import pickle
import platform
import tempfile
import time
from functools import partial
from pathlib import Path

import distributed
import fsspec
import numpy as np
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from stablelse import StreamState
from stablelse.engines import fold, fold_part, fold_parts
from stablelse.readers import open_blocks, read_part, split_file

RUNS = 5
MIB = 1 << 20
PART = 64 * MIB


class Distant(AbstractFileSystem):
    """The files of this machine as a remote storage; requests and bytes are counted."""

    protocol = "distant"
    requests = 0
    fetched = 0

    def info(self, path, **options):
        return {"name": path, "size": Path(path).stat().st_size, "type": "file"}

    def _open(self, path, mode="rb", block_size=None, **options):
        return DistantFile(self, path, mode, block_size or 5 * MIB)


class DistantFile(AbstractBufferedFile):
    def _fetch_range(self, start, end):
        Distant.requests += 1
        Distant.fetched += end - start
        with open(self.path, "rb") as file:
            file.seek(start)
            return file.read(end - start)


def array(path, count):
    x = np.lib.format.open_memmap(path, "w+", np.float64, (count,))
    rng = np.random.default_rng(0)
    for begin in range(0, count, MIB):
        part = x[begin : begin + MIB]
        part[...] = 100 * rng.standard_normal(len(part))


def processes(count):
    """Return a cluster of workers with a core each: a worker reads ahead in a second thread."""
    cluster = distributed.LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        dashboard_address=None,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        silence_logs=60,
    )
    with distributed.Client(cluster) as client:
        for core, worker in enumerate(client.scheduler_info()["workers"]):
            client.run(os.sched_setaffinity, 0, {core}, workers=[worker])
    return cluster


def on_cluster(path, first, states, address):
    work = partial(fold_part, states=states, first=first)
    cut = partial(split_file, part_bytes=PART)
    state = states[0].fresh()
    fold_parts([path], cut, work, lambda _, folded: state.merge(folded[0][0]), address)
    return state.value


def here(path, states):
    own = [state.fresh() for state in states]
    fold(open_blocks(path), own)
    return own[0].value


def folds(path, first):
    """Print the times of the whole fold, and return the worst ratio of two processes to one."""
    worst = 0.0
    print("fold of the file, s           local  1 process  2 processes  ratio")
    with processes(1) as one, processes(2) as two:
        for name, states in KINDS.items():
            functions = [partial(here, path, states)]
            for cluster in (one, two):
                address = cluster.scheduler_address
                functions.append(partial(on_cluster, path, first, states, address))
            assert len({function().tobytes() for function in functions}) == 1, "not the same bits"
            least = [np.inf] * 3
            for _ in range(RUNS):
                least = np.minimum(least, [least_time(function, 1) for function in functions])
            ratio = least[2] / least[1]
            print(f"{name:28} {least[0]:6.2f} {least[1]:10.2f} {least[2]:12.2f} {ratio:6.2f}")
            worst = max(worst, ratio)
    return worst


def least_time(function, runs=RUNS):
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return min(times)


def nothing(part):
    return None


def overhead(part):
    """Return the scheduler's total time for a task that does nothing, in s.

    Two worker processes and the client share two cores with the scheduler, which has its own core
    on a cluster.
    """
    many = [part] * 2000
    with processes(2) as cluster, distributed.Client(cluster) as client:
        client.gather(client.map(nothing, many[:100], pure=False))
        return least_time(lambda: client.gather(client.map(nothing, many, pure=False)), 3) / 2000


def costs(path, first):
    """Return the costs of one part on one core, in s and bytes."""
    part, states = split_file(path, part_bytes=PART)[0], KINDS["certified value alone"]
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})  # of this thread, and of those that it starts
    reading = least_time(lambda: [None for _ in read_part(part)])
    whole = least_time(lambda: fold_part(part, states, first))
    os.sched_setaffinity(0, cores)
    found = fold_part(part, states, first)
    Distant.requests = Distant.fetched = 0
    for _ in read_part(part._replace(path=f"distant://{part.path}")):
        pass
    return {
        "part_bytes": PART,
        "read_s": reading,
        "fold_s": whole - reading,
        "pass_s": least_time(lambda: pickle.loads(pickle.dumps(found)), 100),
        "merge_s": least_time(lambda: states[0].fresh().merge(found[0][0]), 100),
        "state_bytes": len(pickle.dumps(found)),
        "task_bytes": len(pickle.dumps(part)),
        "task_s": overhead(part),
        "requests": Distant.requests,
        "fetched_bytes": Distant.fetched,
    }


KINDS = {
    "certified value alone": [StreamState(plain=False)],
    "naive, shifted, certified": [StreamState()],
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--elements", type=int, default=10**8)
    parser.add_argument("--folder")
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    fsspec.register_implementation("distant", Distant)
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()},")
    print(f"NumPy {np.__version__}, distributed {distributed.__version__}\n")
    with tempfile.TemporaryDirectory(dir=options.folder) as made:
        path = str(Path(made) / "x.npy")
        array(path, options.elements)
        first = next(open_blocks(path))
        first = first._replace(values=first.values[:0])
        print(f"{options.elements:,} float64 in a .npy of {options.elements * 8 / 1e6:,.0f} MB")
        worst = folds(path, first)
        found = {
            name: float(f"{cost:.3g}") if name.endswith("_s") else cost
            for name, cost in costs(path, first).items()
        }
    text = json.dumps(found, indent=2)
    print(f"\none part\n{text}")
    if options.save:
        options.save.write_text(f"{text}\n", encoding="ascii")
    assert worst <= 0.65, f"two workers take {worst:.2f} of the time of one"


if __name__ == "__main__":
    main()
