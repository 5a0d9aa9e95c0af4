"""Functions that tests run on workers, which import them by name."""

import os
import signal
import time
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
