"""The kernels that run here, compiled for the tests."""

import ctypes
import hashlib
import os

import pytest
from native import PHASES, SOURCES, Kernel, Phases, build, compiler, instruction_sets

NAMES = list(instruction_sets()) if compiler() else []
WITHOUT = [
    pytest.param(
        "", marks=pytest.mark.skip(reason="no C compiler, or no kernel for this processor")
    )
]


@pytest.fixture(scope="session")
def libraries(pytestconfig):
    """The kernels with their phases, by instruction set; rebuilt only if a source changes."""
    sources = [PHASES, *sorted(SOURCES.glob("*.[ch]"))]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    folder = pytestconfig.cache.mkdir("kernels")
    found = {}
    for name in NAMES:
        target = folder / f"{name}-{digest}.so"
        if not target.exists():
            part = target.with_suffix(f".{os.getpid()}")
            build(PHASES, instruction_sets()[name], part)
            part.replace(target)
        found[name] = ctypes.CDLL(str(target))
    return found


@pytest.fixture(scope="session", params=NAMES or WITHOUT)
def instruction_set(request):
    return request.param


@pytest.fixture(scope="session")
def kernels(libraries):
    """The settle functions of all instruction sets."""
    return [Kernel(library, name) for name, library in libraries.items()]


@pytest.fixture(scope="session")
def kernel(instruction_set, libraries):
    """The settle function of an instruction set."""
    return Kernel(libraries[instruction_set], instruction_set)


@pytest.fixture(scope="session")
def phases(instruction_set, libraries):
    """The phases by themselves: values and bounds."""
    return Phases(libraries[instruction_set])
