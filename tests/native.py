"""The kernel as a plain library: built from its sources for a test, called through ctypes."""

import ctypes
import platform
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

SOURCES = Path(__file__).parents[1] / "stablelse" / "numerics" / "kernel"
PHASES = Path(__file__).parent / "numerics" / "kernel" / "phases.c"
FUNCTIONS = ("logsumexp", "softmax", "log_softmax")
FORMATS = ("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fPIC", "-shared"]
STRICT = ["-Wall", "-Wextra", "-Werror"]


def instruction_sets() -> dict[str, str]:
    """Return the kernels that run here, with the compiler's names of their processors."""
    if platform.machine() in ("aarch64", "arm64"):
        return {"neon": "armv8-a"}
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split("flags")[1].splitlines()[0].split())
    except (OSError, IndexError):
        return {}
    has = {
        "v3": {"avx2", "fma", "bmi2"} <= flags,
        "v4": {"avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd"} <= flags,
    }
    return {name: f"x86-64-{name}" for name, there in has.items() if there}


def compiler() -> str | None:
    """Return the C compiler, if there is one."""
    return next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


def build(source: Path, processor: str, target: Path, *flags: str) -> ctypes.CDLL:
    """Compile a source for a processor, and load it."""
    return compiled(source, target, *FLAGS, *STRICT, *flags, f"-march={processor}", f"-I{SOURCES}")


def compiled(source: Path, target: Path, *flags: str) -> ctypes.CDLL:
    """Compile a source, and load it; without a compiler, skip the test."""
    if compiler() is None:
        pytest.skip("there is no C compiler")
    command = [compiler(), *flags, str(source), "-o", str(target), "-lm"]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(target))


class Job(ctypes.Structure):
    """kernel.h: job."""

    _fields_ = [
        ("function", ctypes.c_int),
        ("format", ctypes.c_int),
        ("x", ctypes.c_void_p),
        ("rows", ctypes.c_int64),
        ("length", ctypes.c_int64),
        ("row_stride", ctypes.c_int64),
        ("stride", ctypes.c_int64),
        ("y", ctypes.c_void_p),
        ("doubtful", ctypes.c_void_p),
        ("room", ctypes.c_int64),
        ("mask", ctypes.c_void_p),
        ("mask_row_stride", ctypes.c_int64),
        ("mask_stride", ctypes.c_int64),
        ("b", ctypes.c_void_p),
        ("b_row_stride", ctypes.c_int64),
        ("b_stride", ctypes.c_int64),
        ("signs", ctypes.c_void_p),
        ("low", ctypes.c_double),
        ("high", ctypes.c_double),
        ("labels", ctypes.c_void_p),
        ("losses", ctypes.c_void_p),
        ("factors", ctypes.c_void_p),
        ("targets", ctypes.c_void_p),
    ]


class Total(ctypes.Structure):
    """kernel.h: total."""

    _fields_ = [
        (name, ctypes.c_double) for name in ("shift", "high", "low", "least", "largest", "error")
    ]


#: What driver.c can call, and what a job may point to besides x, y and the results in doubt.
CALLS = ("settle", "add_rows", "merge_states", "settle_elements")
OPTIONAL = ("mask", "b", "labels", "factors", "targets", "signs")

#: kernel.h: state. One is empty if top is -inf and all else 0.
STATE = 9


def _address(argument: object) -> object:
    if isinstance(argument, ctypes.Structure):
        return ctypes.byref(argument)
    return ctypes.c_void_p(argument.ctypes.data) if isinstance(argument, np.ndarray) else argument


def _make_job(
    function: str, x: np.ndarray, room: int | None = None, **more: np.ndarray | None
) -> tuple[Job, np.ndarray, np.ndarray]:
    rows, length = x.shape
    y = np.empty(rows if function == "logsumexp" else (rows, length), x.dtype)
    doubtful = np.empty(y.size if room is None else room, np.int64)
    kinds = FUNCTIONS.index(function), FORMATS.index(x.dtype.name)
    places = x.ctypes.data, rows, length, *x.strides, y.ctypes.data
    job = Job(*kinds, *places, doubtful.ctypes.data, doubtful.size)
    for name, array in more.items():
        if array is not None:
            setattr(job, name, array.ctypes.data)
            if name in ("mask", "b"):
                setattr(job, f"{name}_row_stride", array.strides[0])
                setattr(job, f"{name}_stride", array.strides[1])
    return job, y, doubtful


class Kernel:
    """One instruction set's functions."""

    def __init__(self, library: ctypes.CDLL, name: str) -> None:
        self.name, self._library = name, library

    _job = staticmethod(_make_job)

    def _call(self, name: str, *arguments: object) -> int:
        function = getattr(self._library, f"{name}_{self.name}")
        function.restype = ctypes.c_int64
        return function(*map(_address, arguments))

    def __call__(self, function: str, x: np.ndarray, room: int | None = None, mask=None):
        """Return the results of rows (of any strides), and the flat indices of those in doubt."""
        return self._settled(function, x, room, mask=mask)

    def weighted(self, x: np.ndarray, b: np.ndarray):
        """Return log abs(sum b exp(x)) of rows, the signs, and the rows in doubt."""
        signs = np.empty(len(x), np.int8)
        y, doubtful = self._settled("logsumexp", x, b=b, signs=signs)
        return y, signs, doubtful

    def gradients(self, x: np.ndarray, labels: np.ndarray, factors, targets=None, mask=None):
        """Return gradients of losses as in labels.h, and which are in doubt."""
        more = {"labels": labels, "factors": factors, "targets": targets}
        return self._settled("softmax", x, mask=mask, **more)

    def _settled(self, function: str, x: np.ndarray, room: int | None = None, **more):
        job, y, doubtful = self._job(function, x, room, **more)
        count = self._call("settle", job)
        doubtful = doubtful[:count] if count <= doubtful.size else np.arange(y.size)
        return y, doubtful

    def in_pieces(
        self, function: str, x: np.ndarray, edges: list[int], order: list[int], mask=None
    ):
        """Return the same for one row in pieces, whose sums are merged in an order."""
        job, y, doubtful = self._job(function, x, mask=mask)
        ends = [tuple(map(ctypes.c_int64, pair)) for pair in pairwise(edges)]
        sums = [Total() for _ in ends]
        for pair, total in zip(ends, sums, strict=True):
            self._call("sum_piece", job, *pair, total)
        whole = sums[order[0]]
        for i in order[1:]:
            self._call("merge_pieces", whole, sums[i])
        found = []
        for pair in ends[:1] if function == "logsumexp" else ends:
            count = self._call("settle_piece", job, *pair, whole)
            found.append(doubtful[:count].copy())
        return y, np.concatenate(found)

    def states(self, x: np.ndarray, edges: list[int], order: list[int], *, narrow: bool = False):
        """Return the states of rows in pieces, merged in an order, shape (m, STATE)."""
        found = []
        for start, stop in pairwise(edges):
            states = np.zeros((len(x), STATE))
            states[:, 0] = -np.inf
            job, *_ = self._job("softmax", x[:, start:stop])
            self._call("add_rows", job, int(narrow), states)
            found.append(states)
        whole = found[order[0]]
        for i in order[1:]:
            for state, other in zip(whole, found[i], strict=True):
                self._call("merge_states", state, other)
        return whole

    def of_states(self, function: str, x: np.ndarray, states: np.ndarray):
        """Return elements of rows from their states, and which are in doubt."""
        job, y, doubtful = self._job(function, x)
        count = self._call("settle_elements", job, states)
        return y, doubtful[:count]


class Phases:
    """The phases of phases.c: functions of arrays of one vector's length, or of a row."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self.lanes: int = library.lanes()

    def vectors(self, name: str, *arguments: np.ndarray | int, results: int) -> list[np.ndarray]:
        """Call a phase; arrays of any length are cut into vectors."""
        count = next(a.size for a in arguments if isinstance(a, np.ndarray))
        outputs = [np.empty(count) for _ in range(results)]
        for i in range(0, count, self.lanes):
            part = slice(i, i + self.lanes)
            given = [pointer(a[part]) if isinstance(a, np.ndarray) else a for a in arguments]
            getattr(self._library, name)(*given, *(pointer(out[part]) for out in outputs))
        return outputs

    def row(self, name: str, x: np.ndarray, *arguments: int | ctypes.c_double) -> np.ndarray:
        """Call a phase of a row."""
        out = np.zeros(9)
        getattr(self._library, name)(pointer(x), ctypes.c_int64(x.size), *arguments, pointer(out))
        return out


def pointer(a: np.ndarray) -> ctypes.c_void_p:
    """Return the address of contiguous float64s."""
    assert a.flags.c_contiguous
    assert a.dtype == np.float64
    return a.ctypes.data_as(ctypes.c_void_p)


class Emulated(Kernel):
    """The kernel of aarch64, compiled by ziglang and run by qemu, as a filter of jobs."""

    def __init__(self, folder: Path) -> None:
        self.name, target = "neon", folder / "driver"
        command = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-musl"]
        command += ["-static", *FLAGS[:-2], *STRICT, f"-I{SOURCES}"]
        subprocess.run([*command, str(PHASES.with_name("driver.c")), "-o", str(target)], check=True)
        self._process = subprocess.Popen(
            ["qemu-aarch64-static", str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def _job(self, function, x, room=None, **more):
        """Return a job with contiguous arrays, and keep these: the driver needs copies."""
        x, *given = (a if a is None else np.ascontiguousarray(a) for a in (x, *more.values()))
        more = dict(zip(more, given, strict=True))
        job, y, doubtful = _make_job(function, x, room, **more)
        job.arrays = [x, y, doubtful, *map(more.get, OPTIONAL)]
        return job, y, doubtful

    def _call(self, name: str, *arguments: object) -> int:
        """Send a job and all that it points to, and read back what the kernel may have changed."""
        job = next((a for a in arguments if isinstance(a, Job)), Job())
        arrays = getattr(job, "arrays", [None] * (3 + len(OPTIONAL)))
        states = [a for a in arguments if isinstance(a, np.ndarray)]
        together = np.concatenate([np.zeros(0), *(a.reshape(-1) for a in states)])
        narrow = next((a for a in arguments if isinstance(a, int)), 0)
        self._process.stdin.write(np.array([CALLS.index(name), narrow]).tobytes() + bytes(job))
        for array in (*arrays, together):
            data = b"" if array is None else array.tobytes()
            self._process.stdin.write(np.int64(len(data)).tobytes() + data)
        self._process.stdin.flush()
        count = int(np.frombuffer(self._process.stdout.read(8), np.int64)[0])
        changed = [*arrays[1:3], arrays[-1], together]
        for array in (a for a in changed if a is not None):
            got = self._process.stdout.read(array.nbytes)
            array.reshape(-1)[:] = np.frombuffer(got, array.dtype)
        if states:
            states[0].reshape(-1)[:] = together[: states[0].size]
        return count
