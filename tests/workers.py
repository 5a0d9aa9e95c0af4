"""Functions that tests run on workers, which import them by name."""

import os
import signal
import sys
import time
from importlib import import_module
from pathlib import Path


def split(path):
    """Make ten parts of a name, each a number."""
    return [(path, number) for number in range(10)]


def number(part):
    return part[1]


def die_once(part):
    """Kill this process the first time, as the system does when memory is short."""
    mark = Path(part[0]) / "killed"
    if part[1] == 4 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number(part)


def die(part):
    if part[1] == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return number(part)


def sleep(part):
    time.sleep(0.2)
    return number(part)


def fail(part):
    raise ZeroDivisionError(f"a bug at {part[1]}")


def unpicklable(part):
    return (_ for _ in part)


def have(version):
    """Let this process have some version of the package, or none."""
    sys.modules.pop("stablelse.engines", None)
    if version is None:
        sys.modules["stablelse.engines"] = None
    else:
        import_module("stablelse.engines").__version__ = version


def shout(part):
    """Print, as Dask offers it, on all clients."""
    import distributed

    distributed.print("heard by all")
    time.sleep(0.1)


def serve():
    """Run a scheduler and a worker in this process, and print the address."""
    import distributed

    with distributed.LocalCluster(
        1, threads_per_worker=1, processes=False, dashboard_address=None, protocol="tcp"
    ) as cluster:
        print(cluster.scheduler_address, flush=True)
        time.sleep(60)
