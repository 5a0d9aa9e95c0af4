"""The kernels that run here, compiled for the tests."""

import pytest
from native import PHASES, SOURCES, Kernel, Phases, build, compiler, instruction_sets

NAMES = list(instruction_sets()) if compiler() else []
WITHOUT = [
    pytest.param(
        "", marks=pytest.mark.skip(reason="no C compiler, or no kernel for this processor")
    )
]


@pytest.fixture(scope="session", params=NAMES or WITHOUT)
def instruction_set(request):
    return request.param


@pytest.fixture(scope="session")
def kernel(instruction_set, tmp_path_factory):
    """The settle function of an instruction set."""
    target = tmp_path_factory.mktemp("kernel") / f"{instruction_set}.so"
    library = build(SOURCES / "kernel.c", instruction_sets()[instruction_set], target)
    return Kernel(library, instruction_set)


@pytest.fixture(scope="session")
def phases(instruction_set, tmp_path_factory):
    """The phases by themselves: values and bounds."""
    target = tmp_path_factory.mktemp("phases") / f"{instruction_set}.so"
    return Phases(build(PHASES, instruction_sets()[instruction_set], target))
