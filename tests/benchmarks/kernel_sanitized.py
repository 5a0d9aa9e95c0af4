"""Run the kernels' tests with gcc's AddressSanitizer and UndefinedBehaviorSanitizer.

    python tests/benchmarks/kernel_sanitized.py [pytest's arguments]

A copy of the package, and whatever the tests compile, is compiled with both; the first finding
ends the tests.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).parents[2]
SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=all -Wno-error"

#: Rows of all kinds: masks, weights, strides, labels, states, pieces in threads, short buffers.
TESTS = [
    *(f"tests/numerics/kernel/test_{name}.py" for name in ("bounds", "calls", "extent", "kernels")),
    "tests/numerics/kernel/test_settled.py",
    *(
        f"tests/numerics/test_{name}.py"
        for name in ("arrays", "judged", "loss", "masks", "running", "threads", "whole")
    ),
    "tests/engines/test_dask.py",
    # Dask takes an answer in HTTP for a length, and the sanitizer ends who asks for that much.
    "--deselect=tests/engines/test_dask.py::test_who_answers_is_not_a_scheduler",
]


def sanitized(folder: Path) -> dict[str, str]:
    """Compile a copy of the package in a folder, and return the environment of its tests."""
    for name in ("stablelse", "tests", "pyproject.toml", "README.md", "examples"):
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        copy(PROJECT / name, folder / name)
    gcc = shutil.which("gcc")
    if gcc is None:
        raise SystemExit("gcc is not installed")
    wrapper = folder / "bin" / "cc"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec {gcc} "$@" {SANITIZERS}\n')
    wrapper.chmod(0o755)
    library = subprocess.check_output([gcc, "-print-file-name=libasan.so"], text=True).strip()
    environment = os.environ | {
        "CC": str(wrapper),
        "PATH": f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
    }
    command = [sys.executable, "-m", "stablelse.numerics.kernel.build"]
    (folder / "stablelse/numerics/kernel/compiled.abi3.so").unlink(missing_ok=True)
    subprocess.run(command, cwd=folder, env=environment, check=True)
    return environment | {
        "LD_PRELOAD": library,
        "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter leaks when it ends
        "PYTHONMALLOC": "malloc",
    }


def main() -> int:
    """Run the tests on every kernel of this processor."""
    sys.path.insert(0, str(PROJECT / "tests"))
    from native import instruction_sets

    failures = 0
    with tempfile.TemporaryDirectory() as name:
        environment = sanitized(Path(name))
        for isa in instruction_sets():
            print(isa, flush=True)
            command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-s"]
            command += sys.argv[1:] or TESTS
            own = environment | {"STABLELSE_KERNEL": isa}
            failures += subprocess.run(command, cwd=name, env=own).returncode != 0
    return failures


if __name__ == "__main__":
    sys.exit(main())
