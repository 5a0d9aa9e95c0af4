"""What a cluster makes of one large file: python tests/benchmarks/cluster.py [ELEMENTS] [FOLDER].

A .npy of so many float64 (10**8 by default) is made in the folder and removed. The first table is
the time of a fold on this machine, local and on one or two processes, the least of a few taken in
turns; starting the processes is not in it. The second is what one part costs, piece by piece; the
third, what that would make of 1 TB in object storage. `examples/scaling.md` has all three.

The last column of the first table is the processor time of the busiest of two processes, in terms
of that of one alone: what the ratio would be if nothing else ran on the machine.
"""

import pickle
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from math import ceil
from pathlib import Path

import distributed
import fsspec
import numpy as np
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from stablelse import StreamState
from stablelse.engines import dask, local
from stablelse.engines.parts import fold_part, merge_states
from stablelse.readers import open_blocks
from stablelse.readers.ranges import read, split

RUNS = 5
MIB = 1 << 20
PART = 64 * MIB

#: What AWS says of S3 ("Performance guidelines" and "design patterns", 2024): 100 to 200 ms to
#: the first byte, of which the lower bound; 85 to 90 MB/s a request; and so many requests a
#: second for every prefix of names.
LATENCY = 0.1
BYTES_A_SECOND = 87e6
REQUESTS_A_SECOND = 5500

TERABYTE = 10**12


class Distant(AbstractFileSystem):
    """The files of this machine as an object storage has them: a request takes time.

    It is not waited for, but added up: the machine's own work goes on meanwhile.
    """

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
    return distributed.LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        dashboard_address=None,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        silence_logs=60,
    )


def on_cluster(path, first, states, address):
    work = partial(fold_part, states=states, first=first)
    cut = partial(split, part_bytes=PART)
    (state,) = dask.fold([path], cut, work, merge_states, None, address)
    return state.value


def here(path, states):
    own = [state.fresh() for state in states]
    local.fold(open_blocks(path), own)
    return own[0].value


def busy(clients):
    """Return how long each process of some clusters has computed, in s."""
    return {k: list(c.run(time.process_time).values()) for k, c in clients.items()}


def folds(path, first):
    """Print the times of the whole fold, on the clock and of the processors."""
    print("fold of the file, s           local  1 process  2 processes  ratio  ratio of computing")
    with ExitStack() as stack:
        clusters = {count: stack.enter_context(processes(count)) for count in (1, 2)}
        clients = {k: stack.enter_context(distributed.Client(c)) for k, c in clusters.items()}
        for name, states in KINDS.items():
            functions = {0: partial(here, path, states)}
            for count, cluster in clusters.items():
                address = cluster.scheduler_address
                functions[count] = partial(on_cluster, path, first, states, address)
            least, computing, values = [np.inf] * 3, [np.inf] * 3, set()
            for run in range(RUNS + 1):
                for count, function in functions.items():
                    before, begin = busy(clients), time.perf_counter()
                    values.add(function().tobytes())
                    seconds, after = time.perf_counter() - begin, busy(clients)
                    if run:  # before, the workers load their modules
                        least[count] = min(least[count], seconds)
                    if run and count:
                        took = np.subtract(after[count], before[count]).max()
                        computing[count] = min(computing[count], took)
            assert len(values) == 1, "not the same bits"
            print(
                f"{name:28} {least[0]:6.2f} {least[1]:10.2f} {least[2]:12.2f} "
                f"{least[2] / least[1]:6.2f} {computing[2] / computing[1]:10.2f}"
            )


def least_time(function, runs=RUNS):
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return min(times)


def nothing(part):
    return None


def overhead(parts):
    """Return what the scheduler takes for a task that does nothing, all told, in s."""
    many = (parts * (2000 // len(parts) + 1))[:2000]
    with processes(2) as cluster, distributed.Client(cluster) as client:
        work = partial(nothing)
        client.gather(client.map(work, many[:100], pure=False))
        return least_time(lambda: client.gather(client.map(work, many, pure=False)), 3) / len(many)


def costs(path, first):
    """Print what one part costs, and return what the table of the terabyte is made of."""
    parts = split(path, part_bytes=PART)
    part, states = parts[0], KINDS["certified value alone"]
    reading = least_time(lambda: [None for _ in read(part)])
    whole = least_time(lambda: fold_part(part, states, first))
    found = fold_part(part, states, first)
    packed = pickle.dumps(found)
    passing = least_time(lambda: pickle.loads(pickle.dumps(found)), 100)
    merging = least_time(lambda: merge_states([found, found]), 100)
    task = overhead(parts)
    distant = part._replace(path=f"distant://{part.path}")
    Distant.requests = Distant.fetched = 0
    for _ in read(distant):
        pass
    waiting = Distant.requests * LATENCY + Distant.fetched / BYTES_A_SECOND
    print(f"\none part of {PART // MIB} MiB, {PART // 8:,} numbers, certified value alone")
    rows = {
        "read, from the memory of the system": f"{reading * 1e3:.1f} ms",
        "fold": f"{(whole - reading) * 1e3:.1f} ms",
        "pickle and unpickle the states": f"{passing * 1e6:.0f} us, {len(packed):,} bytes",
        "the part itself, pickled": f"{len(pickle.dumps(part)):,} bytes",
        "merge two states": f"{merging * 1e6:.0f} us",
        "a task that does nothing, all told": f"{task * 1e3:.2f} ms",
        "read, from object storage": f"{waiting:.2f} s, {Distant.requests} requests for "
        f"{Distant.fetched / MIB:.0f} MiB",
    }
    for name, cost in rows.items():
        print(f"  {name:36} {cost}")
    return whole - reading, waiting, Distant.requests, task + merging + passing


def terabyte(folding, waiting, requests, task):
    """Print how long 1 TB would take."""
    print("\n1 TB in object storage, by the costs above")
    print("  part     workers  rounds  reading and folding, s  scheduler, s  total, s  of ideal")
    for scale in (1, 8):
        count = ceil(TERABYTE / (PART * scale))
        for workers in (10, 100, 1000, 10_000):
            rounds = ceil(count / workers)
            working, scheduling = rounds * scale * (waiting + folding), count * task
            total = max(working, scheduling) + scale * (waiting + folding) * (scheduling > working)
            ideal = count * scale * (waiting + folding) / workers
            rate = workers * requests / (waiting + folding)
            print(
                f"  {PART * scale // MIB:3} MiB {workers:8,} {rounds:7,} {working:23,.0f} "
                f"{scheduling:13,.1f} {total:9,.0f} {ideal / total:9.0%}"
                + ("  more requests than one prefix takes" if rate > REQUESTS_A_SECOND else "")
            )


KINDS = {
    "certified value alone": [StreamState(exact=True, plain=False)],
    "naive, shifted, certified": [StreamState(exact=True)],
}


def main(elements=10**8, folder=None):
    fsspec.register_implementation("distant", Distant)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        path = str(Path(made) / "x.npy")
        array(path, elements)
        first = next(open_blocks(path))
        first = first._replace(values=first.values[:0])
        print(f"{elements:,} float64 in a .npy of {elements * 8 / 1e6:,.0f} MB\n")
        folds(path, first)
        terabyte(*costs(path, first))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]), *sys.argv[2:3])
