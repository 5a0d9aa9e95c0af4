"""The kernel as a plain library: built from its sources for a test, called through ctypes."""

import ctypes
import platform
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

SOURCES = Path(__file__).parents[1] / "stablelse" / "numerics" / "kernel"
PHASES = Path(__file__).parent / "numerics" / "kernel" / "phases.c"
FUNCTIONS = ("logsumexp", "softmax", "log_softmax")
FORMATS = ("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fPIC", "-shared"]
STRICT = ["-Wall", "-Wextra", "-Werror"]


def instruction_sets() -> dict[str, str]:
    """Return the kernels that run here, with what the compiler calls their processors."""
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
    command = [compiler(), *FLAGS, *STRICT, *flags, f"-march={processor}"]
    command += [f"-I{SOURCES}", str(source), "-o", str(target), "-lm"]
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


class Kernel:
    """One instruction set's functions."""

    def __init__(self, library: ctypes.CDLL, name: str) -> None:
        self.name = name
        names = ("settle", "sum_piece", "merge_pieces", "settle_piece")
        functions = [getattr(library, f"{function}_{name}") for function in names]
        self._settle, self._sum_piece, self._merge_pieces, self._settle_piece = functions
        self._settle.restype = self._settle_piece.restype = ctypes.c_int64

    def __call__(self, function: str, x: np.ndarray, room: int | None = None, mask=None):
        """Return the results of rows (of any strides), and the flat indices of those in doubt."""
        job, y, doubtful = _job(function, x, room)
        if mask is not None:
            job.mask = mask.ctypes.data
            job.mask_row_stride, job.mask_stride = mask.strides
        count = self._settle(ctypes.byref(job))
        return y, doubtful[:count] if count <= doubtful.size else np.arange(y.size)

    def weighted(self, x: np.ndarray, b: np.ndarray):
        """Return log abs(sum b exp(x)) of rows, the signs, and the rows in doubt."""
        job, y, doubtful = _job("logsumexp", x, None)
        signs = np.empty(len(x), np.int8)
        job.b, job.signs = b.ctypes.data, signs.ctypes.data
        job.b_row_stride, job.b_stride = b.strides
        count = self._settle(ctypes.byref(job))
        return y, signs, doubtful[:count]

    def in_pieces(self, function: str, x: np.ndarray, edges: list[int], order: list[int]):
        """Return the same for one row in pieces, whose sums are merged in an order."""
        job, y, doubtful = _job(function, x, None)
        whole = Total()
        ends = list(pairwise(edges))
        sums = [Total() for _ in ends]
        for (start, stop), total in zip(ends, sums, strict=True):
            self._sum_piece(ctypes.byref(job), _i64(start), _i64(stop), ctypes.byref(total))
        whole = sums[order[0]]
        for i in order[1:]:
            self._merge_pieces(ctypes.byref(whole), ctypes.byref(sums[i]))
        found = []
        for start, stop in ends[:1] if function == "logsumexp" else ends:
            count = self._settle_piece(
                ctypes.byref(job), _i64(start), _i64(stop), ctypes.byref(whole)
            )
            found.append(doubtful[:count].copy())
        return y, np.concatenate(found)


def _i64(value: int) -> ctypes.c_int64:
    return ctypes.c_int64(value)


def _job(function: str, x: np.ndarray, room: int | None) -> tuple[Job, np.ndarray, np.ndarray]:
    rows, length = x.shape
    y = np.empty(rows if function == "logsumexp" else (rows, length), x.dtype)
    doubtful = np.empty(y.size if room is None else room, np.int64)
    job = Job(
        FUNCTIONS.index(function),
        FORMATS.index(x.dtype.name),
        x.ctypes.data,
        rows,
        length,
        *x.strides,
        y.ctypes.data,
        doubtful.ctypes.data,
        doubtful.size,
    )
    return job, y, doubtful


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
            given = [_pointer(a[part]) if isinstance(a, np.ndarray) else a for a in arguments]
            getattr(self._library, name)(*given, *(_pointer(out[part]) for out in outputs))
        return outputs

    def row(self, name: str, x: np.ndarray, *arguments: int | ctypes.c_double) -> np.ndarray:
        """Call a phase of a row."""
        out = np.zeros(8)
        getattr(self._library, name)(_pointer(x), ctypes.c_int64(x.size), *arguments, _pointer(out))
        return out


def _pointer(a: np.ndarray) -> ctypes.c_void_p:
    assert a.flags.c_contiguous
    assert a.dtype == np.float64
    return a.ctypes.data_as(ctypes.c_void_p)


class Emulated:
    """The kernel of aarch64, compiled by ziglang and run by qemu, as a filter of jobs."""

    def __init__(self, folder: Path) -> None:
        target = folder / "driver"
        command = [
            sys.executable,
            "-m",
            "ziglang",
            "cc",
            "-target",
            "aarch64-linux-musl",
            "-static",
        ]
        command += [*FLAGS[:-2], *STRICT, f"-I{SOURCES}", str(PHASES.with_name("driver.c"))]
        subprocess.run([*command, "-o", str(target)], check=True)
        self._process = subprocess.Popen(
            ["qemu-aarch64-static", str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __call__(self, function: str, x: np.ndarray):
        rows, length = x.shape
        y = np.empty(rows if function == "logsumexp" else (rows, length), x.dtype)
        kinds = FUNCTIONS.index(function), FORMATS.index(x.dtype.name)
        head = np.array([*kinds, rows, length, x.nbytes, y.nbytes], np.int64)
        self._process.stdin.write(head.tobytes() + np.ascontiguousarray(x).tobytes())
        self._process.stdin.flush()
        count = int(np.frombuffer(self._read(8), np.int64)[0])
        y = np.frombuffer(self._read(y.nbytes), x.dtype).reshape(y.shape)
        return y, np.frombuffer(self._read(8 * count), np.int64)

    def _read(self, size: int) -> bytes:
        return self._process.stdout.read(size)
