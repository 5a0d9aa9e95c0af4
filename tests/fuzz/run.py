"""Search for input that breaks a rule, for as long as you like, on several cores.

    python tests/fuzz/run.py [--seconds 600] [--seed 7] [--only parquet] [--jobs 2]
    python tests/fuzz/run.py --replay FILE...

Each worker draws cases for every property of tests/fuzz/properties.py in turn (those whose names
contain --only). A file may make it allocate 300 MiB. Each failure is shrunk and printed once with
its traceback, and the bytes of a file go to a file in --keep; so do those of a file that killed its
worker, which another replaces. The exit code is 1 if there was any failure. --replay checks files
again.
"""

import re
import resource
import subprocess
import sys
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from hashlib import sha256
from itertools import count
from pathlib import Path
from time import monotonic

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz import properties
from hypothesis import HealthCheck, Phase, given, seed, settings

#: What a worker may allocate because of something that a file claims.
MOST_BYTES = 300 << 20

#: Cases of a property at a time.
ROUND = 250


@contextmanager
def bounded() -> Iterator[None]:
    """Bound the address space of this process to what it has now and `MOST_BYTES` more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MOST_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def work(options: Namespace, number: int) -> int:
    """Draw and check cases until the time is over; return 1 if there was a failure."""
    end, faults, cases = monotonic() + options.seconds, set(), 0
    last = options.keep / f"worker-{number}"
    names = [name for name in properties.PROPERTIES if options.only in name]
    properties.warm_up()
    for turn in count():
        for name in names:
            strategy, check = properties.PROPERTIES[name]

            def attempt(case):
                nonlocal cases
                if monotonic() < end:
                    cases += 1
                    last.write_bytes(case if isinstance(case, bytes) else repr(case).encode())
                    with bounded() if isinstance(case, bytes) else nullcontext():
                        check(case)  # noqa: B023  called in this turn

            round_ = settings(
                max_examples=ROUND, database=None, deadline=None, report_multiple_bugs=False,
                phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            try:
                seed(f"{options.seed} {number} {turn} {name}")(round_(given(strategy)(attempt)))()
            except Exception as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                fault = name, where.filename, where.lineno, re.sub(r"\d+", "", str(error))[:80]
                if fault not in faults:
                    faults.add(fault)
                    report(name, last.read_bytes(), options.keep)
                    traceback.print_exc(file=sys.stdout)
            if monotonic() > end:
                last.unlink()
                print(f"worker {number}: {cases:,} cases, {len(faults)} kinds of failures")
                return int(bool(faults))
    return 0


def report(name: str, case: bytes, folder: Path) -> None:
    """Keep a failing case in a file, and say how to check it again."""
    path = folder / f"{name}-{sha256(case).hexdigest()[:8]}"
    path.write_bytes(case)
    print(f"{name} fails: python {sys.argv[0]} --replay {path}   {case[:200]!r}", flush=True)


def main() -> int:
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", metavar="NAME")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=Path("/tmp/stablelse-fuzz"))
    parser.add_argument("--replay", type=Path, nargs="+", default=[])
    parser.add_argument("--worker", type=int, help="used by the script itself")
    options = parser.parse_args()
    for path in options.replay:
        properties.files_are_read_or_refused(path.read_bytes())
    if options.replay:
        return 0
    options.keep.mkdir(parents=True, exist_ok=True)
    if options.worker is not None:
        return work(options, options.worker)
    failed, end = False, monotonic() + options.seconds
    workers = {job: begun(job, end) for job in range(options.jobs)}
    while workers:
        for job, worker in list(workers.items()):
            code = worker.wait()
            failed |= code != 0
            del workers[job]
            if code not in (0, 1):
                print(f"worker {job} ended with {code}")
                report("crash", (options.keep / f"worker-{job}").read_bytes(), options.keep)
                if monotonic() < end:
                    workers[job + options.jobs] = begun(job + options.jobs, end)
    return int(failed)


def begun(job: int, end: float) -> subprocess.Popen:
    """Start a worker, with cases of its own."""
    rest = ["--worker", str(job), "--seconds", str(end - monotonic())]
    return subprocess.Popen([sys.executable, *sys.argv, *rest])


if __name__ == "__main__":
    sys.exit(main())
