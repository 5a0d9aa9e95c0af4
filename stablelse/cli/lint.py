"""The linter: naive formulas in Python files and notebooks, found without running them."""

from __future__ import annotations

import difflib
import os
import sys
import tokenize
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from fnmatch import fnmatch
from io import BytesIO, StringIO
from itertools import chain
from pathlib import Path
from typing import Any

import typer

from stablelse.analysis.compare import compare
from stablelse.analysis.lint import LintError, LintFinding, LintResults, lint, rewritten
from stablelse.cli import tell
from stablelse.cli.emit import check_sinks, emit
from stablelse.cli.options import Request
from stablelse.files import open_sink
from stablelse.printable import printable
from stablelse.render.lint import LINT_FORMS, RULES, rule_text

#: Folders of others, which are searched only if they are named.
_SKIPPED = {"__pycache__", "node_modules", "site-packages", "venv", "build", "dist"}

#: Fewer files are read here: starting processes takes as long.
_FEW = 100

#: Larger files are refused: no source is written by hand at this size.
_LARGEST = 1 << 25


def run(request: Request) -> None:
    """Lint files, rewrite them, or explain a rule; exit with 1 if there are findings."""
    if request.explain:
        _explain(request)
        return
    settings, root = _settings()
    rules = _known(request.rule, "--rule") or _known(settings.get("rules"), "pyproject.toml")
    rules = rules or list(RULES)
    excluded = [p for each in settings.get("exclude", []) for p in (each, f"{each.rstrip('/')}/*")]
    paths = list(_files(request.paths or ["."], excluded, root))
    check_sinks(request.but(file=paths))
    if request.fix or request.diff:
        parts = [_fixed(path, rules, request.diff) for path in paths]
    elif len(paths) < _FEW:
        parts = list(map(lint_file, paths))
    else:
        with ProcessPoolExecutor() as pool:
            parts = list(pool.map(lint_file, paths, chunksize=32))
    found = list(chain(*parts))
    errors = [each for each in found if isinstance(each, LintError)]
    findings = [each for each in found if isinstance(each, LintFinding) and each.rule in rules]
    if not request.diff:
        with open_sink(request.output) as stream:
            stream.writelines(f"{line}\n" for line in LINT_FORMS[request.format](findings))
    for error in errors:
        tell(f"error: cannot read {error.path}, line {error.line}: {error.reason}")
    if errors or findings:
        raise typer.Exit(2 if errors else 1)


def lint_file(path: str) -> LintResults:
    """Return the findings in a file, or what kept it from being read."""
    try:
        return lint(_read(path)[0], path)
    except (OSError, SyntaxError, ValueError) as error:
        return [LintError(path, 1, getattr(error, "strerror", None) or str(error))]


def _read(path: str) -> tuple[str, str]:
    """Return the text of a file and its encoding: UTF-8, unless it declares another one."""
    with open(path, "rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ValueError(f"larger than {_LARGEST >> 20} MiB")
    encoding = "utf-8"
    if not path.endswith(".ipynb"):
        encoding, _ = tokenize.detect_encoding(BytesIO(content).readline)
    return content.decode(encoding), encoding


def _fixed(path: str, rules: Sequence[str], is_diff: bool) -> LintResults:
    """Rewrite the safe cases of a file, or show how; return what is left."""
    first = found = lint_file(path)
    if not _fixable(found, rules):
        return found
    before, encoding = _read(path)
    text = before
    while findings := _fixable(found, rules):  # a formula inside another one takes another round
        text = rewritten(text, findings)
        found = lint(text, path)
    if not is_diff:
        with open_sink(path, "wb") as sink:
            sink.write(text.encode(encoding))
        return found
    old, new = (list(StringIO(each, newline="")) for each in (before, text))
    for line in difflib.unified_diff(old, new, path, path):
        line = line.removesuffix("\n")
        is_seen = sys.stdout.isatty()  # elsewhere, patch needs the line as it is
        typer.echo("\t".join(map(printable, line.split("\t"))) if is_seen else line)
    return first  # nothing is fixed yet


def _fixable(found: LintResults, rules: Sequence[str]) -> list[LintFinding]:
    findings = (each for each in found if isinstance(each, LintFinding))
    return [each for each in findings if each.rule in rules and each.replacement is not None]


def _files(paths: Sequence[str], excluded: Sequence[str], root: Path) -> Iterator[str]:
    """Yield Python files and notebooks: those named, and those in folders, in order.

    Patterns are relative to `root`, and hold for named files too: pre-commit names them all.
    """
    for path in paths:
        if not os.path.exists(path):
            raise typer.BadParameter(f"{path} does not exist: name files or folders")
        if not os.path.isdir(path):
            if _matches(path, excluded, root):
                tell(f"note: {path} is left out: pyproject.toml excludes it")
            else:
                yield path
        for folder, folders, names in os.walk(path):
            folders[:] = sorted({name for name in folders if name[0] != "."} - _SKIPPED)
            for name in sorted(names):
                file = os.path.normpath(os.path.join(folder, name))
                if name.endswith((".py", ".ipynb")) and not _matches(file, excluded, root):
                    yield file


def _matches(path: str, patterns: Sequence[str], root: Path) -> bool:
    slashed = os.path.relpath(path, root).replace(os.sep, "/")
    return any(fnmatch(slashed, pattern) for pattern in patterns)


def _settings() -> tuple[dict[str, Any], Path]:
    """Return [tool.stablelse] of the nearest pyproject.toml, and its folder."""
    paths = (folder / "pyproject.toml" for folder in (Path.cwd(), *Path.cwd().parents))
    for path in filter(Path.is_file, paths):
        try:
            content = tomllib.loads(path.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise typer.BadParameter(f"{path}: {error}") from None
        match content:
            case {"tool": {"stablelse": dict(table)}}:
                for name, value in table.items():
                    is_list = isinstance(value, list) and all(isinstance(v, str) for v in value)
                    if name not in ("exclude", "rules") or not is_list:
                        raise typer.BadParameter(
                            f"{path}, [tool.stablelse], {name}: only the lists exclude and rules "
                            "are known"
                        )
                return table, path.parent
        break
    return {}, Path.cwd()


def _known(names: Iterable[str] | None, where: str) -> list[str]:
    """Return names of rules, if they are known."""
    every = list(names or ())
    for name in every:
        if name not in RULES:
            raise typer.BadParameter(
                f"unknown rule {name!r}: choose from {', '.join(RULES)}", param_hint=where
            )
    return every


def _explain(request: Request) -> None:
    """Show a rule, and its formula breaking."""
    (name,) = _known([request.explain], "--explain")
    rule = RULES[name]
    typer.echo(f"{rule_text(name)}\n")
    shown = compare(rule.x, rule.function, formats=["float32"], weights=rule.weights)
    emit(shown, request.but(format="table"))
