"""The README is executed: commands print what it says, Python runs, pictures are drawn."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import alike
import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(README.read_text("utf-8")) if found == language]


@pytest.fixture(scope="module")
def shell_environment(tmp_path_factory):
    """A PATH on which `stablelse` is this very package under this very Python."""
    folder = tmp_path_factory.mktemp("bin")
    script = folder / "stablelse"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m stablelse "$@"\n')
    script.chmod(0o755)
    plain = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return {**plain, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}


def executed(block: str, environment) -> str:
    """Return the block with what its commands print now, stdout and stderr as on a terminal."""
    lines = []
    for command in (line for line in block.splitlines() if line.startswith("$ ")):
        done = subprocess.run(
            ["bash", "-c", command[2:]],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        lines += [command, *done.stdout.splitlines()]
    return "".join(f"{line.rstrip()}\n" for line in lines)


@pytest.mark.parametrize("number", range(len(blocks("console"))))
def test_console_block(number, request, shell_environment):
    block = blocks("console")[number]
    if "float8" in block or "bfloat16" in block:
        pytest.importorskip("ml_dtypes")
    if "scipy" in block:
        pytest.importorskip("scipy")
    if "dask" in block:
        pytest.importorskip("distributed")
    now = executed(block, shell_environment)
    if request.config.getoption("--regenerate"):
        README.write_text(README.read_text("utf-8").replace(block, now), encoding="utf-8")
    assert now == alike.expected(blocks("console")[number], now)


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_python_block(number):
    if "dask" in blocks("python")[number]:
        pytest.importorskip("dask.array")
    parser = doctest.DocTestParser()
    test = parser.get_doctest(
        blocks("python")[number],
        {"stablelse": __import__("stablelse")},
        f"README block {number}",
        str(README),
        0,
    )
    report: list[str] = []
    result = doctest.DocTestRunner().run(test, out=report.append)
    assert result.attempted > 0
    assert result.failed == 0, "".join(report)


def test_every_block_is_executed():
    """No language but those: the two commands of the `sh` block are what CI begins with."""
    languages = [language for language, _ in BLOCK.findall(README.read_text("utf-8"))]
    assert set(languages) == {"sh", "console", "python"}
    (setup,) = blocks("sh")
    assert len(setup.splitlines()) == 2
    assert "awk '/^```sh$/" in (ROOT / ".ci" / "run").read_text("utf-8")


def test_links_lead_somewhere():
    targets = re.findall(r"\]\(([^)]+)\)", README.read_text("utf-8"))
    local = [target for target in targets if not target.startswith("http")]
    assert local
    assert all((ROOT / target).exists() for target in local)


sys.path.append(str(ROOT / "examples" / "pictures"))
import draw  # noqa: E402  (an example, not a module of the package)


@pytest.mark.parametrize("name", draw.PICTURES)
def test_pictures_are_drawn_by_the_program(name, request, monkeypatch, tmp_path):
    if name in draw.FIGURES:
        pytest.importorskip("matplotlib")
        pytest.importorskip("ml_dtypes")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    draw.draw(name, tmp_path)
    drawn = (tmp_path / name).read_text(encoding="utf-8")
    path = draw.HERE / name
    if request.config.getoption("--regenerate"):
        path.write_text(drawn, encoding="utf-8")
    kept = path.read_text(encoding="utf-8")
    if name in draw.FIGURES and drawn_by(drawn) != drawn_by(kept):
        pytest.skip("another version of matplotlib drew the figure that is kept")
    assert drawn == alike.expected(kept, drawn)


def drawn_by(figure: str) -> str:
    """Return the version of matplotlib that a figure names."""
    (version,) = re.findall(r"<dc:title>(Matplotlib v[^<]*?),", figure)
    return version
