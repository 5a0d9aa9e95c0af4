"""Compile the kernel into the source tree: as hatchling's build hook, or by hand.

By hand: ``python -m stablelse.numerics.kernel.build``.

It uses the system's compiler if that works. Otherwise the hook asks for ``ziglang``, which brings
clang from the package index. If neither works, or the kernel does not support the processor, the
wheel is pure Python: it installs, and computes with the reference.

The compiled file is next to the sources, ignored by git, so an editable install finds it too. It
uses only CPython's stable ABI of 3.11 (and NumPy 2's C API, at run time), so the wheel's tag is
cp311-abi3.

The wheels of a release are made on one machine: if STABLELSE_PLATFORM names one of PLATFORMS, zig
compiles for that, and the wheel's tag names it.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from functools import cache
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # not needed by hand
    BuildHookInterface = object

#: The platforms of released wheels: what zig calls each, with the oldest C library or system.
PLATFORMS = {
    "manylinux_2_17_x86_64": "x86_64-linux-gnu.2.17",
    "manylinux_2_17_aarch64": "aarch64-linux-gnu.2.17",
    "macosx_11_0_x86_64": "x86_64-macos.11.0",
    "macosx_11_0_arm64": "aarch64-macos.11.0",
    "win_amd64": "x86_64-windows-gnu",
}
PLATFORM = os.environ.get("STABLELSE_PLATFORM", "")
TARGET = PLATFORMS.get(PLATFORM, "")

HERE = Path(__file__).parent
COMPILED = HERE / ("compiled.pyd" if "windows" in TARGET else "compiled.abi3.so")

#: By machine: the kernels to compile, and the compiler's name of the least processor for each.
_PROCESSORS = {
    "x86_64": {"module": "", "v4": "x86-64-v4", "v3": "x86-64-v3"},
    "aarch64": {"module": "", "neon": ""},
    "arm64": {"module": "", "neon": ""},
}

# Results must not depend on the compiler: no contraction to FMA, and nothing of -ffast-math. The
# kernel for v4 uses vectors of 512 bits.
_FLAGS = [
    *("-std=c11", "-O3", "-g0", "-fPIC", "-fvisibility=hidden"),
    *("-ffp-contract=off", "-fno-math-errno"),
]
_ZIG = [sys.executable, "-m", "ziglang"]
_WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-psabi"]


class BuildError(Exception):
    """The kernel cannot be compiled here."""


def sources() -> str:
    """Return a hash of everything that the compiled file depends on."""
    files = [path for path in HERE.iterdir() if path.suffix in (".c", ".h")]
    digest = hashlib.sha256(TARGET.encode())
    for path in sorted([*files, Path(__file__)]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def processors() -> dict[str, str]:
    """Return the kernels to compile, and their processors, or raise BuildError."""
    if PLATFORM:
        if not TARGET:
            raise BuildError(f"STABLELSE_PLATFORM must be {' or '.join(PLATFORMS)}")
        return _PROCESSORS[TARGET.partition("-")[0]]
    machine = platform.machine()
    if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise BuildError("the kernel is for CPython with its global lock")
    if sys.platform not in ("linux", "darwin"):
        raise BuildError(f"the kernel is for Linux and macOS, not for {sys.platform}")
    if machine not in _PROCESSORS or sys.maxsize < 2**32:
        raise BuildError(f"the kernel does not know the processor {machine}, or not in 32 bits")
    return _PROCESSORS[machine]


def system_compiler() -> list[str] | None:
    """Return the command of a compiler on this system that can compile the kernel, if any."""
    if TARGET:
        return None
    for name in (os.environ.get("CC"), "cc", "gcc", "clang"):
        command = (name or "").split()
        if command and shutil.which(command[0]) and _works(command):
            return command
    return None


def compiler() -> list[str]:
    """Return the command of the compiler to use, or raise BuildError."""
    command = system_compiler()
    if command is None and importlib.util.find_spec("ziglang"):
        # By default, Zig traps on undefined behaviour.
        zig = [*_ZIG, "cc", "-fno-sanitize=undefined", *(["-target", TARGET] if TARGET else [])]
        command = zig if _works(zig) else None
    if command is None:
        raise BuildError("no C compiler works here, and neither does the package ziglang")
    return command


def _works(command: list[str]) -> bool:
    """Whether a compiler knows the processors and finds the headers of the C library."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "a.c")
        source.write_text("#include <stdlib.h>\n#include <math.h>\nint one(void) { return 1; }\n")
        for processor in processors().values():
            target = ["-c", str(source), "-o", f"{folder}/a.o"]
            try:
                _run([*command, *_FLAGS, *_for(command, processor), *target])
            except BuildError:
                return False
    return True


def _for(command: list[str], processor: str) -> list[str]:
    """Return the options for a processor; without a name, for the least one of its kind."""
    wide = ["-mprefer-vector-width=512"] if processor.endswith("v4") else []
    if "ziglang" in command:  # its default is the processor of this machine
        zigs = processor.replace("-64", "_64").replace("-v", "_v")
        return [f"-mcpu={zigs or 'baseline'}", *wide]
    return [f"-march={processor}", *wide] if processor else []


def compile_kernel(strict: bool = False) -> Path:
    """Compile the kernel unless it is up to date, and return the file, or raise BuildError.

    `strict` always compiles, with all warnings as errors.
    """
    if not strict and is_current():
        return COMPILED
    # Remove the old file first: if compiling fails, nothing takes it for the result. Nor do we
    # write over a file that another process may have loaded.
    COMPILED.unlink(missing_ok=True)
    units, command = processors(), compiler()
    flags = [*command, *_FLAGS, *(_WARNINGS if strict else ["-w"])]
    with tempfile.TemporaryDirectory() as folder:
        objects = [f"{folder}/{unit}.o" for unit in units]
        steps = []
        for target, (unit, processor) in zip(objects, units.items(), strict=True):
            own = [str(HERE / "module.c"), f'-DSOURCES="{sources()}"']
            step = ["-c", *(own if unit == "module" else [str(HERE / "kernel.c")]), "-o", target]
            steps.append([*flags, *_for(command, processor), *step])
        _run(*steps)
        made = f"{folder}/{COMPILED.name}"
        _run([*command, "-shared", *_python(folder), "-o", made, *objects, "-lm"])
        # Write it next to its place, then move it there atomically.
        beside = COMPILED.with_suffix(f".{os.getpid()}")
        shutil.copyfile(made, beside)
        beside.replace(COMPILED)
    return COMPILED


def _python(folder: str) -> list[str]:
    """Return what makes a linker accept functions that Python has."""
    if "windows" in TARGET:
        library = f"{folder}/python3.lib"
        definitions = ["-m", "i386:x86-64", "-d", str(HERE / "python3.def"), "-l", library]
        _run([*_ZIG, "dlltool", *definitions])
        return ["-s", library]
    is_mac = "macos" in TARGET if TARGET else sys.platform == "darwin"
    return ["-undefined", "dynamic_lookup"] if is_mac else ["-s"]


def is_current() -> bool:
    """Whether the compiled file is up to date."""
    try:
        return sources().encode() in COMPILED.read_bytes()
    except OSError:
        return False


@cache
def _environment() -> dict[str, str]:
    """Return the environment of a compiler: Zig's caches are removed when this process ends."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    caches = ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")
    return os.environ | dict.fromkeys(caches, folder.name)


def _run(*commands: list[str]) -> None:
    """Run commands in parallel."""
    try:
        running = [
            subprocess.Popen(command, stdin=DEVNULL, stderr=PIPE, text=True, env=_environment())
            for command in commands
        ]
    except OSError as error:
        raise BuildError(f"cannot run {commands[0][0]}: {error.strerror}") from error
    complaints = [process.communicate()[1] for process in running]
    for command, process, complaint in zip(commands, running, complaints, strict=True):
        if process.returncode:
            raise BuildError(f"{' '.join(command)}\n{complaint}")


class KernelHook(BuildHookInterface):  # type: ignore[misc]
    """Compiles the kernel before a wheel is built."""

    def dependencies(self) -> list[str]:
        """Ask for a compiler from the package index if the system has none."""
        try:
            needs_none = processors() and (is_current() or system_compiler())
        except BuildError:
            return []
        return [] if needs_none else ["ziglang>=0.13"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and tag the wheel; without a kernel it is pure Python."""
        from packaging.tags import sys_tags

        try:
            compile_kernel()
        except BuildError as error:
            if PLATFORM:  # a release must not lack its kernel
                self.app.abort(f"stablelse: error: {error}")
            self.app.display_warning(f"stablelse is built without its kernel: {error}")
            return
        build_data["pure_python"] = False
        # Files that git ignores are packed only if they are listed here.
        build_data.setdefault("artifacts", []).append(f"/{COMPILED.relative_to(self.root)}")
        platforms = (tag.platform for tag in sys_tags())
        local = next(p for p in platforms if not p.startswith(("manylinux", "musllinux")))
        build_data["tag"] = f"cp311-abi3-{PLATFORM or local}"


def main() -> None:
    """Compile by hand; ``--strict`` makes every warning an error."""
    try:
        made = compile_kernel(strict="--strict" in sys.argv[1:])
    except BuildError as error:
        sys.exit(f"stablelse: error: {error}")
    sys.stdout.write(f"{made}\n")


if __name__ == "__main__":
    main()
