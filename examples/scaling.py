"""How long a cluster would take for a terabyte: a model, from what one part costs on one machine.

python tests/benchmarks/cluster.py --save measured the costs in scaling.json. The model assumes the
storage that Amazon describes in "Performance design patterns for Amazon S3": 100 ms to the first
byte, 87 MB/s for one request, 5,500 requests per second for names with one prefix.
"""

import json
from heapq import heapify, heapreplace
from math import ceil
from pathlib import Path
from typing import NamedTuple

TERABYTE = 10**12
WORKERS = (1, 10, 100, 1000, 10_000)

LATENCY = 0.1
BYTES_A_SECOND = 87e6
REQUESTS_A_SECOND = 5500

#: Slow machines and repeated requests: the last of every hundred parts takes five times as long,
#: and so does the very last one. This is an assumption.
SLOW, SLOWNESS = 100, 5


class Case(NamedTuple):
    """A way to read: the seconds that a part costs a worker, the scheduler and the storage."""

    name: str
    parts: int
    work: float
    task: float
    requests: float


def cases(costs):
    def case(name, scale, waiting, requests):
        parts = ceil(TERABYTE / (costs["part_bytes"] * scale))
        work = scale * (waiting + costs["fold_s"])
        size = costs["part_bytes"] * scale >> 20
        name = f"{name}, {parts:,} parts of {size} MiB"
        return Case(name, parts, work, costs["task_s"], scale * requests / REQUESTS_A_SECOND)

    requests = costs["requests"]
    distant = requests * LATENCY + costs["fetched_bytes"] / BYTES_A_SECOND
    return [
        case("object storage", 1, distant, requests),
        case("object storage", 8, distant, requests),
        case("storage as fast as memory", 1, costs["read_s"], 0),
    ]


def seconds(case, workers, slowness=1):
    """Return the time if each part goes to the first free worker as soon as it can start."""
    free = [0.0] * workers
    heapify(free)
    for part in range(case.parts):
        start = max(free[0], (part + 1) * case.task, part * case.requests)
        slow = (case.parts - 1 - part) % SLOW == 0
        heapreplace(free, start + case.work * (slowness if slow else 1))
    return max(free)


def bound(case, workers):
    """Return which of the three takes the longest for all parts together."""
    demands = {
        "workers": case.parts * case.work / workers,
        "scheduler": case.parts * case.task,
        "requests to one prefix": case.parts * case.requests,
        "parts, fewer than workers": case.work if case.parts < workers else 0,
    }
    return max(demands, key=demands.get)


def clock(seconds):
    """Write a time with two units."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def show_costs(costs):
    print(f"one part of {costs['part_bytes'] >> 20} MiB, {costs['part_bytes'] // 8:,} numbers")
    rows = {
        "read from memory": f"{costs['read_s'] * 1e3:.0f} ms",
        "fold, value certified": f"{costs['fold_s'] * 1e3:.0f} ms",
        "task of the scheduler": f"{costs['task_s'] * 1e3:.2f} ms",
        "state, pickled": f"{costs['state_bytes']:,} bytes",
        "pickle and unpickle it": f"{costs['pass_s'] * 1e6:.0f} us",
        "merge it": f"{costs['merge_s'] * 1e6:.0f} us",
        "requests to object storage": f"{costs['requests']}, "
        f"{costs['fetched_bytes'] / (1 << 20):.0f} MiB in all",
    }
    for name, cost in rows.items():
        print(f"  {name:27} {cost}")


def show(case):
    print(f"\n{case.name}")
    print("  workers          time  of ideal  with slow parts  bound by")
    ideal = case.parts * case.work
    for workers in WORKERS:
        time = seconds(case, workers)
        slow = seconds(case, workers, SLOWNESS)
        print(
            f"  {workers:7,}  {clock(time):>12}  {ideal / workers / time:8.0%}  {clock(slow):>15}"
            f"  {bound(case, workers)}"
        )
    print(f"  the scheduler keeps {case.work / case.task:,.0f} workers busy")


def main():
    costs = json.loads(Path(__file__).with_suffix(".json").read_text("ascii"))
    show_costs(costs)
    for case in cases(costs):
        show(case)


if __name__ == "__main__":
    main()
