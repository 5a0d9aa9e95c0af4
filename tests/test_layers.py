"""The house's floors: imports run downward only, and optional packages stay in their files."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from stablelse.numerics import kernel

PACKAGE = Path(__file__).parents[1] / "stablelse"
#: Scripts that no module imports.
SCRIPTS = {PACKAGE / "numerics" / "kernel" / "tables.py"}
MODULES = sorted(set(PACKAGE.rglob("*.py")) - SCRIPTS)

#: What each layer may import of the package, and of the world beside the standard library.
LAYERS = {
    "numerics": ({"numerics"}, {"numpy"}),
    "readers": ({"readers"}, {"numpy"}),
    "analysis": ({"numerics", "analysis"}, {"numpy"}),
    "render": ({"numerics", "analysis", "render"}, {"numpy", "rich"}),
    "engines": ({"numerics", "readers", "analysis", "engines"}, {"numpy"}),
    "cli": (
        {"numerics", "readers", "analysis", "engines", "render", "cli"},
        {"numpy", "typer", "rich"},
    ),
    "__init__": ({"numerics", "analysis", "exact", "naive"}, set()),
    "exact": ({"numerics"}, {"numpy"}),
    "naive": ({"numerics"}, {"numpy"}),
    "__main__": ({"cli"}, set()),
    "testing": ({"analysis", "numerics", "render"}, {"numpy", "pytest"}),
}
#: The one place where a lower layer calls a higher one, and those where an extra is imported.
EXCEPTIONS = {
    "analysis/display.py": ({"render"}, {"rich"}),
    "numerics/formats.py": (set(), {"ml_dtypes"}),
    "numerics/kernel/build.py": (set(), {"hatchling", "packaging"}),
    "numerics/streams/lazy.py": (set(), {"dask"}),
    "readers/arrow.py": (set(), {"pyarrow"}),
    "readers/compressed.py": (set(), {"compression"}),  # the standard library's, since 3.14
    "cli/parquet.py": (set(), {"pyarrow"}),
    "readers/remote.py": (set(), {"fsspec", "aiohttp"}),
    "engines/dask.py": (set(), {"dask", "distributed"}),
    "render/matplotlib.py": (set(), {"matplotlib"}),
    "analysis/peers/scipy.py": (set(), {"scipy"}),
    "analysis/peers/torch.py": (set(), {"torch"}),
    "analysis/peers/jax.py": (set(), {"jax"}),
}


def imports(path: Path):
    """Yield (module, at the top level?) for every import statement of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in tree.body) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            if node.module == "stablelse":
                names = [a.name for a in node.names if not a.name.startswith("__")]
                yield from ((f"stablelse.{name}", node in tree.body) for name in names)
            else:
                yield node.module, node in tree.body


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_run_downward(path):
    relative = path.relative_to(PACKAGE)
    layer = relative.parts[0].removesuffix(".py")
    own, world = LAYERS[layer]
    more_own, more_world = EXCEPTIONS.get(relative.as_posix(), (set(), set()))
    for module, _ in imports(path):
        first, *rest = module.split(".")
        if first == "stablelse":
            assert not rest or rest[0] in own | more_own, f"{layer} may not import {module}"
        elif first not in sys.stdlib_module_names:
            assert first in world | more_world, f"{layer} may not import {module}"


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_exceptions_are_imported_on_use(name):
    tree = ast.parse((PACKAGE / name).read_text(encoding="utf-8"))
    _, world = EXCEPTIONS[name]
    top = {
        alias.name.split(".")[0]
        for node in tree.body
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in ([ast.alias(node.module)] if isinstance(node, ast.ImportFrom) else node.names)
    }
    assert not top & world


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_modules_are_of_a_size_to_be_read(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 400
    assert lines[0].startswith('"""')


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_only_the_command_line_prints(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id == "print"]


def imported_by(statement: str, environment) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def test_the_library_needs_numpy_alone(environment):
    statement = "import stablelse; stablelse.logsumexp([1, 2]); stablelse.compare([1, 2])"
    modules = imported_by(statement, environment)
    assert "numpy" in modules
    assert not modules & {"typer", "rich", "scipy", "ml_dtypes", "click"}


@pytest.mark.parametrize(
    "args",
    [
        ["--version"],
        ["--help"],
        ["lse", "--help"],
        ["limits", "-h"],
        ["peers", "-h"],
        ["prove", "-h"],
        ["sweep", "-h"],
        ["scan", "-h"],
    ],
)
def test_help_and_version_need_no_numpy(args, environment):
    statement = (
        "from stablelse.cli.main import main\n"
        f"try: main({args!r})\n"
        "except SystemExit as stop: assert stop.code == 0"
    )
    modules = imported_by(statement, environment)
    assert not modules & {"numpy", "rich"}


def test_quiet_needs_no_rich(environment):
    statement = (
        "from stablelse.cli.main import main\n"
        "try: main(['lse', '1', '2', '-q'])\n"
        "except SystemExit as stop: assert stop.code == 0"
    )
    unneeded = {"rich", "ml_dtypes"} | ({"decimal"} if kernel.load() else set())
    assert not imported_by(statement, environment) & unneeded
