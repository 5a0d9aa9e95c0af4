"""The linter: naive formulas in Python files and notebooks, found without running them."""

from __future__ import annotations

import difflib
import os
import sys
import tokenize
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from fnmatch import fnmatch
from functools import partial
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any

import typer

from stablelse.analysis.compare import compare
from stablelse.analysis.lint import RULES, LintError, LintFinding, lint, rewritten
from stablelse.cli import tell
from stablelse.cli.emit import emit
from stablelse.cli.options import Request
from stablelse.files import open_sink
from stablelse.printable import printable
from stablelse.render.lint import FORMS, rule_text

#: Folders of others, which are searched only if they are named.
_SKIPPED = {"__pycache__", "node_modules", "site-packages", "venv", "build", "dist"}

#: Fewer files are read here: starting processes takes as long.
_FEW = 100

#: The most rounds of --fix: a formula inside another one takes a second round.
_ROUNDS = 5

#: Larger files are refused: no source is written by hand at this size.
_LARGEST = 1 << 25

Found = list[LintFinding | LintError]


def run(request: Request) -> None:
    """Lint files, rewrite them, or explain a rule; exit with 1 if there are findings."""
    if request.explain:
        _explain(request)
        return
    settings = _settings()
    rules = _rules(request.rule or settings.get("rules"))
    paths = list(_files(request.paths or ["."], settings.get("exclude", [])))
    if request.fix or request.diff:
        found = list(chain.from_iterable(_fixed(path, rules, request) for path in paths))
    else:
        found = _linted(paths, rules)
    findings = [each for each in found if isinstance(each, LintFinding)]
    errors = [each for each in found if isinstance(each, LintError)]
    if not request.diff:
        with open_sink(request.output) as stream:
            stream.writelines(f"{line}\n" for line in FORMS[request.format](findings))
    for error in errors:
        tell(f"error: cannot read {error.path}, line {error.line}: {error.reason}")
    if errors or findings:
        raise typer.Exit(2 if errors else 1)


def _linted(paths: Sequence[str], rules: Sequence[str]) -> Found:
    work = partial(lint_file, rules=rules)
    if len(paths) < _FEW:
        return list(chain.from_iterable(map(work, paths)))
    with ProcessPoolExecutor() as pool:
        return list(chain.from_iterable(pool.map(work, paths, chunksize=32)))


def lint_file(path: str, rules: Sequence[str] = tuple(RULES)) -> Found:
    """Return the findings in a file, or what kept it from being read."""
    try:
        text = _text(path)
    except (OSError, SyntaxError, ValueError) as error:
        return [LintError(path, 1, getattr(error, "strerror", None) or str(error))]
    return [e for e in lint(text, path) if isinstance(e, LintError) or e.rule in rules]


def _text(path: str) -> str:
    """Return the text of a file in the encoding that it declares; UTF-8 unless it does."""
    with open(path, "rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ValueError(f"larger than {_LARGEST >> 20} MiB")
    if path.endswith(".ipynb"):
        return content.decode()
    encoding, _ = tokenize.detect_encoding(BytesIO(content).readline)
    return content.decode(encoding)


def _fixed(path: str, rules: Sequence[str], request: Request) -> Iterator[LintFinding | LintError]:
    """Rewrite the safe cases of a file, or show how; yield what is left."""
    found = lint_file(path, rules)
    if not any(isinstance(each, LintFinding) and each.edit for each in found):
        yield from found
        return
    before = text = _text(path)
    for _ in range(_ROUNDS):
        edits = [f.edit for f in found if isinstance(f, LintFinding) and f.edit]
        if not edits:
            break
        text = rewritten(text, edits)
        found = [e for e in lint(text, path) if isinstance(e, LintError) or e.rule in rules]
    if request.diff:
        old, new = (each.splitlines(keepends=True) for each in (before, text))
        for line in difflib.unified_diff(old, new, path, path):
            line = line.removesuffix("\n")
            is_seen = sys.stdout.isatty()  # elsewhere, patch needs the line as it is
            typer.echo("\t".join(map(printable, line.split("\t"))) if is_seen else line)
        yield from lint_file(path, rules)  # nothing is fixed yet
    else:
        with open(path, "rb") as file:
            encoding, _ = tokenize.detect_encoding(file.readline)
        with open_sink(path, "wb") as sink:
            sink.write(text.encode(encoding))
        yield from found


def _files(paths: Sequence[str], excluded: Sequence[str]) -> Iterator[str]:
    """Yield Python files and notebooks: those named, and those in folders, in order."""
    for path in paths:
        if not os.path.isdir(path):
            if not os.path.exists(path):
                raise typer.BadParameter(f"{path} does not exist: name files or folders")
            yield path
            continue
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(
                name for name in folders if name not in _SKIPPED and not name.startswith(".")
            )
            for name in sorted(names):
                file = os.path.normpath(os.path.join(folder, name))
                if name.endswith((".py", ".ipynb")) and not _matches(file, excluded):
                    yield file


def _matches(path: str, patterns: Sequence[str]) -> bool:
    slashed = path.replace(os.sep, "/")
    return any(fnmatch(slashed, p) or fnmatch(slashed, f"{p.rstrip('/')}/*") for p in patterns)


def _settings() -> dict[str, Any]:
    """Return [tool.stablelse] of the nearest pyproject.toml."""
    for folder in (here := Path.cwd(), *here.parents):
        path = folder / "pyproject.toml"
        if path.is_file():
            try:
                content = tomllib.loads(path.read_text("utf-8"))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                raise typer.BadParameter(f"{path}: {error}") from None
            table = content.get("tool", {}).get("stablelse", {})
            for name, value in table.items():
                is_list = isinstance(value, list) and all(isinstance(v, str) for v in value)
                if name not in ("exclude", "rules") or not is_list:
                    raise typer.BadParameter(
                        f"{path}, [tool.stablelse], {name}: there are lists exclude and rules"
                    )
            return dict(table)
    return {}


def _rules(names: Sequence[str] | None) -> list[str]:
    for name in names or ():
        if name not in RULES:
            raise typer.BadParameter(f"unknown rule {name!r}: choose from {', '.join(RULES)}")
    return list(names or RULES)


def _explain(request: Request) -> None:
    """Show a rule, and its formula breaking."""
    (name,) = _rules([request.explain])
    rule = RULES[name]
    typer.echo(f"{rule_text(name)}\n")
    shown = compare(rule.x, rule.function, formats=["float32"], weights=rule.weights)
    emit(shown, request.but(format="table"))
