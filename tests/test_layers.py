"""The structure of the package: which layers may import which, and how large it may be."""

import ast
import re
import sys
from functools import cache
from pathlib import Path

import pytest

from stablelse.cli.app import COMMANDS
from stablelse.numerics import kernel

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "stablelse"
MODULES = {
    ".".join(path.relative_to(TESTS.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}

#: How large the package may be, and how much smaller it may become before the limit goes down too.
LIMITS = {
    "lines of the package": (24_600, 4_000),
    "modules": (105, 12),
    "imports inside functions": (44, 12),
    "modules in circles of imports": (0, 0),
    "lines of the longest file": (690, 190),
    "functions over 80 lines": (0, 0),
    "lines of tests": (21_523, 4_000),
}

#: What each layer may import from the package, and from outside the standard library.
LAYERS = {
    "numerics": ({"numerics"}, {"numpy"}),
    "printable": (set(), set()),
    "files": (set(), set()),
    "readers": ({"readers", "printable", "files"}, {"numpy"}),
    "analysis": ({"numerics", "analysis", "printable"}, {"numpy"}),
    "render": ({"numerics", "analysis", "render", "printable"}, {"numpy", "rich"}),
    "engines": ({"numerics", "readers", "analysis", "engines"}, {"numpy"}),
    "cli": (
        {"numerics", "files", "readers", "analysis", "engines", "render", "cli", "printable"},
        {"numpy", "typer", "rich"},
    ),
    "__init__": ({"numerics", "analysis", "naive"}, set()),
    "exact": (set(), set()),
    "naive": ({"numerics"}, {"numpy"}),
    "__main__": ({"cli"}, set()),
    "testing": ({"analysis", "numerics", "render"}, {"numpy", "pytest"}),
}

#: The one place where a lower layer calls a higher one.
UPWARD = {"analysis/__init__.py": ({"render"}, {"rich"})}

#: Scripts that no module imports.
SCRIPTS = {"numerics/kernel/build.py", "numerics/kernel/tables.py"}

#: Modules that are imported only when they run.
APPS = {"cli/textual.py", "numerics/lazy.py"}

#: The files that import optional packages; each import waits until it is needed.
OPTIONAL = {
    "ml_dtypes": {"numerics/formats.py"},
    "hatchling": {"numerics/kernel/build.py"},
    "packaging": {"numerics/kernel/build.py"},
    "mpmath": {"numerics/kernel/tables.py"},
    "pyarrow": {"readers/tables.py"},
    "fsspec": {"readers/sources.py"},
    "aiohttp": {"readers/sources.py"},
    "dask": {"engines.py", "numerics/lazy.py"},
    "distributed": {"engines.py"},
    "matplotlib": {"render/matplotlib.py"},
    "textual": {"cli/textual.py"},
}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path):
    """Yield (module, inside a function?) for every import that runs, not those for types."""

    def visit(node, inside):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node = ast.Module(node.orelse, [])
        inside = inside or isinstance(node, (ast.FunctionDef, ast.Lambda))
        if isinstance(node, ast.Import):
            yield from ((alias.name, inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name if name in MODULES else node.module for name in names]
            yield from ((module, inside) for module in dict.fromkeys(modules))
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (
                (name.value, inside) for name in node.args if isinstance(name, ast.Constant)
            )
        for child in ast.iter_child_nodes(node):
            yield from visit(child, inside)

    yield from visit(tree(path), False)


def in_circles() -> list[str]:
    """Return the modules that import themselves through others."""
    reached = {
        name: {m for m, _ in imports(path) if m in MODULES and not f"{name}.".startswith(f"{m}.")}
        for name, path in MODULES.items()
    }
    for middle in MODULES:
        for others in reached.values():
            others |= reached[middle] if middle in others else set()
    return [name for name, others in reached.items() if name in others]


def lines(folder: Path) -> int:
    return sum(path.read_text(encoding="utf-8").count("\n") for path in folder.rglob("*.py"))


def long_functions(most: int) -> list[str]:
    return [
        f"{name}.{node.name}"
        for name, path in MODULES.items()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= most
    ]


def figures() -> dict[str, int]:
    return {
        "lines of the package": lines(PACKAGE),
        "modules": len(MODULES),
        "imports inside functions": sum(i for path in MODULES.values() for _, i in imports(path)),
        "modules in circles of imports": len(in_circles()),
        "lines of the longest file": max(p.read_text().count("\n") for p in MODULES.values()),
        "functions over 80 lines": len(long_functions(80)),
        "lines of tests": lines(TESTS),
    }


def test_the_house_only_shrinks():
    found = figures()
    assert found.keys() == LIMITS.keys()
    table = Path(__file__).name
    for what, (limit, slack) in LIMITS.items():
        figure = found[what]
        assert figure <= limit, (
            f"{what}: {figure:,}, at most {limit:,}. Circles: {in_circles()}; "
            f"long functions: {long_functions(80)}"
        )
        assert figure >= limit - slack, (
            f"{what}: only {figure:,} now. Good: write {figure + slack // 2:,} for {limit:,} in "
            f"LIMITS in {table}, so that it stays so"
        )


def test_a_name_of_a_class_has_one_meaning():
    classes = [
        node.name.lstrip("_")
        for path in MODULES.values()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
    ]
    assert sorted(classes) == sorted(set(classes))


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES)
def test_imports_run_downward(path):
    relative = path.relative_to(PACKAGE).as_posix()
    layer = relative.partition("/")[0].removesuffix(".py")
    own, world = LAYERS[layer]
    upward, more = UPWARD.get(relative, (set(), set()))
    for module, inside in imports(path):
        first, *rest = module.split(".")
        if first == "stablelse":
            assert not rest or rest[0] in own | upward, f"{layer} may not import {module}"
        elif first in OPTIONAL:
            assert relative in OPTIONAL[first], f"{module} belongs in {OPTIONAL[first]}"
            assert inside or relative in SCRIPTS | APPS, (
                f"{module} may be missing: import it on use"
            )
        elif first not in sys.stdlib_module_names:
            assert first in world | more, f"{layer} may not import {module}"


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES)
def test_modules_say_what_they_are_and_print_nothing(path):
    assert ast.get_docstring(tree(path))
    calls = [node.func for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id == "print"]


#: What a run of Python does, and patterns of the modules that it must not import.
IMPORTED = {
    "import stablelse": "dask|stablelse.analysis",
    "import stablelse; stablelse.logsumexp([1, 2])": (
        r"dask|stablelse.analysis|.*\.lazy" + r"|.*\.doubleword" * bool(kernel.load())
    ),
    "import stablelse; stablelse.compare([1, 2])": "typer|rich|scipy|ml_dtypes|click",
    **{
        f"main({line.split()})": "numpy|rich"
        for line in ("--version", "--help", *(f"{command} -h" for command in COMMANDS))
    },
    "main(['lse', '1', '2'])": r"textual|stablelse.*\.(lab|engines|streams?)|rich.progress",
    "main(['lse', '1', '2', '-q'])": (
        r"rich|ml_dtypes|stablelse.(analysis\..*|render.words)" + "|decimal" * bool(kernel.load())
    ),
}


@pytest.mark.parametrize("statement", IMPORTED)
def test_nothing_is_imported_before_it_is_needed(statement, python):
    begin = "from stablelse.cli.main import main\n" if "main" in statement else ""
    code = f"{begin}try: {statement}\nexcept SystemExit as stop: assert stop.code == 0\n"
    done = python("-c", f"{code}import sys\nprint(*sys.modules)", check=True)
    modules = done.stdout.splitlines()[-1].split()
    assert "stablelse" in modules
    unneeded = re.compile(rf"({IMPORTED[statement]})(\..*)?")
    assert [name for name in modules if unneeded.fullmatch(name)] == []


def test_nothing_of_the_input_is_run():
    """Only peers call what their own tables say, and only Dask's clusters send pickles."""
    dangerous = {"eval", "exec", "allow_pickle", "pickle", "marshal", "shelve"}
    users = {
        str(path.relative_to(PACKAGE))
        for path in MODULES.values()
        for node in ast.walk(tree(path))
        if dangerous & {getattr(node, name, "") for name in ("id", "arg", "name")}
    }
    assert users == {"engines.py", "analysis/peers.py"}
