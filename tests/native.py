"""The kernel, built from its sources: its phases by themselves, and for another processor."""

import ctypes
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

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


def build(source: Path, processor: str, target: Path) -> None:
    """Compile a source for a processor."""
    command = [compiler(), *FLAGS, "-O1", *STRICT, f"-march={processor}", f"-I{SOURCES}"]
    subprocess.run([*command, str(source), "-o", str(target), "-lm"], check=True)


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
        out = np.zeros(11)
        getattr(self._library, name)(pointer(x), ctypes.c_int64(x.size), *arguments, pointer(out))
        return out


def pointer(a: np.ndarray) -> ctypes.c_void_p:
    """Return the address of contiguous float64s."""
    assert a.flags.c_contiguous
    assert a.dtype == np.float64
    return a.ctypes.data_as(ctypes.c_void_p)


class Emulated:
    """The kernel of aarch64, compiled by ziglang and run by qemu, as a filter of jobs."""

    def __init__(self, folder: Path) -> None:
        target = folder / "driver"
        command = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-musl"]
        command += ["-static", *FLAGS[:-2], *STRICT, f"-I{SOURCES}"]
        subprocess.run([*command, str(PHASES.with_name("driver.c")), "-o", str(target)], check=True)
        self._process = subprocess.Popen(
            ["qemu-aarch64-static", str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __call__(self, function: str, x: np.ndarray, b: np.ndarray | None = None):
        """Return the results of rows, perhaps with weights, and the flat indices in doubt."""
        x = np.ascontiguousarray(x)
        rows, length = x.shape
        y = np.empty(rows if function == "logsumexp" else (rows, length), x.dtype)
        doubtful, signs = np.empty(y.size, np.int64), np.empty(rows, np.int8)
        job = Job(
            FUNCTIONS.index(function), FORMATS.index(x.dtype.name), rows=rows, length=length,
            row_stride=x.strides[0], stride=x.strides[1], room=y.size,
        )  # fmt: skip
        arrays = [x, y, doubtful]
        if b is not None:
            b = np.ascontiguousarray(b)
            job.b_row_stride, job.b_stride = b.strides
            arrays += [b, signs]
        self._process.stdin.write(bytes(job))
        for array in (*arrays, *[np.empty(0)] * (5 - len(arrays))):
            self._process.stdin.write(np.int64(array.nbytes).tobytes() + array.tobytes())
        self._process.stdin.flush()
        count = int(np.frombuffer(self._process.stdout.read(8), np.int64)[0])
        for array in (y, doubtful):
            got = self._process.stdout.read(array.nbytes)
            array.reshape(-1)[:] = np.frombuffer(got, array.dtype)
        return y, doubtful[:count]
