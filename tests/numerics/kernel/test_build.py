"""How the kernel is built: with the system's compiler, with ziglang, or not at all."""

import importlib
import os
import re
import shutil
import sys
import sysconfig
from types import SimpleNamespace

import pytest

from stablelse.numerics.kernel import build


def test_the_kernel_is_there_and_current_where_a_compiler_is():
    """Without it, the whole suite would pass on the reference and never test the kernel."""
    try:
        build.compiler()
    except build.BuildError as error:
        pytest.skip(str(error))
    hint = "run: python -m stablelse.numerics.kernel.build"
    assert build.COMPILED.exists(), f"the kernel is not compiled; {hint}"
    assert build.is_current(), f"the kernel is compiled from other sources; {hint}"
    compiled = importlib.import_module("stablelse.numerics.kernel.compiled")
    assert compiled.sources == build.sources()
    assert compiled.available


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the kernel's folder, with a file compiled from other sources."""
    here = tmp_path / "kernel"
    shutil.copytree(build.HERE, here, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    monkeypatch.setattr(build, "HERE", here)
    monkeypatch.setattr(build, "COMPILED", here / build.COMPILED.name)
    monkeypatch.setattr(build, "_FLAGS", [flag.replace("-O3", "-O1") for flag in build._FLAGS])
    build.COMPILED.write_bytes(b"stale")
    return here


def without(monkeypatch, *, system=False, zig=False):
    if system:
        monkeypatch.setattr(build, "system_compiler", lambda: None)
    if zig:
        monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)


def hook():
    """Return a hook, and its warnings."""
    warnings = []
    app = SimpleNamespace(display_warning=warnings.append)
    made = type("Hook", (build.KernelHook,), {"app": app, "root": str(build.HERE.parent)})
    return made.__new__(made), warnings


UNKNOWN = {
    "processor": (build.platform, "machine", lambda: "riscv64"),
    "system": (build.sys, "platform", "win32"),
    "free-threaded": (build.sysconfig, "get_config_var", lambda name: name == "Py_GIL_DISABLED"),
    "implementation": (
        build.sys,
        "implementation",
        SimpleNamespace(**vars(sys.implementation) | {"name": "pypy"}),
    ),
}


@pytest.mark.parametrize("what", [*UNKNOWN, "compiler"])
def test_where_no_kernel_can_be_built_there_is_a_pure_python_wheel(what, copy, monkeypatch):
    reason = "the kernel"
    if what == "compiler":
        without(monkeypatch, system=True, zig=True)
        reason = "no C compiler works here, and neither does the package ziglang"
    else:
        monkeypatch.setattr(*UNKNOWN[what])
        assert hook()[0].dependencies() == []
    kernel_hook, warnings = hook()
    data = {"pure_python": True}
    kernel_hook.initialize("standard", data)
    assert data == {"pure_python": True}
    (warning,) = warnings
    assert warning.startswith(f"stablelse is built without its kernel: {reason}")
    assert not build.COMPILED.exists(), "a stale file would be packed"


def test_without_a_system_compiler_the_hook_asks_for_one(copy, monkeypatch):
    without(monkeypatch, system=True)
    (requirement,) = hook()[0].dependencies()
    assert requirement.startswith("ziglang>=")
    build.COMPILED.write_text(build.sources())
    assert hook()[0].dependencies() == [], "nothing is left to compile"


@pytest.mark.parametrize("broken", ["false", "nonsense --of sorts"])
def test_a_compiler_that_does_not_work_is_passed_over(broken, monkeypatch):
    monkeypatch.setenv("CC", broken)
    monkeypatch.setenv("PATH", "")
    assert build.system_compiler() is None
    with pytest.raises(build.BuildError):
        build._run([broken.split()[0]])


def test_a_wheel_with_a_kernel_is_for_this_platform_and_every_later_python(copy):
    try:
        build.compiler()
    except build.BuildError as error:
        pytest.skip(str(error))
    kernel_hook, warnings = hook()
    data = {}
    kernel_hook.initialize("standard", data)
    assert warnings == []
    assert data["pure_python"] is False
    assert len(data["artifacts"]) == 1
    assert data["artifacts"][0].endswith("/kernel/compiled.abi3.so")
    assert data["tag"].startswith("cp311-abi3-")
    assert "manylinux" not in data["tag"]
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    assert data["tag"].endswith(platform.rpartition("_")[2])
    assert build.is_current()
    made = build.COMPILED.stat().st_mtime_ns
    assert build.compile_kernel() == build.COMPILED
    assert build.COMPILED.stat().st_mtime_ns == made, "what is current is not compiled again"
    (copy / "kernel.h").write_text((copy / "kernel.h").read_text() + "\n")
    assert not build.is_current()
    assert [path.name for path in copy.glob("compiled*")] == [build.COMPILED.name, "compiled.pyi"]


@pytest.mark.parametrize("platform", [*build.PLATFORMS, "amiga"])
def test_a_wheel_of_a_release_has_the_kernel_of_its_platform_or_is_not_made(
    platform, copy, monkeypatch
):
    here = build.sources()
    monkeypatch.setattr(build, "PLATFORM", platform)
    monkeypatch.setattr(build, "TARGET", build.PLATFORMS.get(platform, ""))
    message = f"STABLELSE_PLATFORM must be {' or '.join(build.PLATFORMS)}"
    if build.TARGET:
        assert build.sources() != here, "a kernel of this machine would be packed"
        assert hook()[0].dependencies() == ["ziglang>=0.13"], "whatever compiler is here"
        without(monkeypatch, zig=True)
        message = "no C compiler works here, and neither does the package ziglang"
    kernel_hook, _ = hook()
    kernel_hook.app.abort = sys.exit
    with pytest.raises(SystemExit) as stop:
        kernel_hook.initialize("standard", {})
    assert stop.value.code == f"stablelse: error: {message}"


def test_the_linker_for_windows_knows_what_the_kernel_calls():
    text = (build.HERE / "module.c").read_text()
    declared = "".join(re.findall(r"^extern .*?;", text, re.MULTILINE | re.DOTALL))
    names = set(re.findall(r"\b_?Py[A-Za-z]*_[A-Z]\w*", declared))
    definitions = (build.HERE / "python3.def").read_text().partition("EXPORTS\n")[2]
    assert {line.split()[0] for line in definitions.splitlines()} == names


def test_what_cannot_be_compiled_says_so_by_hand(copy, monkeypatch):
    without(monkeypatch, system=True, zig=True)
    monkeypatch.setattr(sys, "argv", ["build"])
    with pytest.raises(SystemExit) as stop:
        build.main()
    assert stop.value.code.startswith("stablelse: error: no C compiler works here")


def test_without_a_compiled_file_the_reference_computes(tmp_path, python):
    package = tmp_path / "stablelse"
    shutil.copytree(
        build.HERE.parents[1], package, ignore=shutil.ignore_patterns("*.so", "__pycache__")
    )
    code = (
        "import stablelse; from stablelse.numerics import kernel;"
        "print(kernel.name(), stablelse.logsumexp([1000, 1001, 1002]))"
    )
    place = str(tmp_path) + os.pathsep
    done = python("-W", "error", "-c", code, check=True, cwd=tmp_path, PYTHONPATH=place)
    assert done.stdout == "reference 1002.4076059644444\n"
