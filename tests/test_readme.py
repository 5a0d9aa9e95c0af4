"""Executes the README, the guide and the examples: commands print what is shown, Python runs."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import alike
import pytest

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "examples" / "guide"
PAGES = {
    path.relative_to(ROOT).as_posix(): path
    for path in (
        ROOT / "README.md",
        *sorted(ROOT.glob("examples/*.md")),
        *sorted(GUIDE.glob("*.md")),
    )
}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

#: What a block needs if it has one of these words.
NEEDS = {
    "float8": "ml_dtypes",
    "bfloat16": "ml_dtypes",
    "scipy": "scipy",
    "dask": "distributed",
    "examples/mixture.py": "sklearn",
}


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of a page in one language."""
    text = PAGES[page].read_text("utf-8")
    return [block for found, block in BLOCK.findall(text) if found == language]


def every(language: str) -> list[tuple[str, int]]:
    """Return page and number of all blocks in one language."""
    return [(page, number) for page in PAGES for number in range(len(blocks(page, language)))]


def executed(block: str, environment, folder: Path) -> str:
    """Return the block with the current output of its commands, stdout and stderr together.

    They run in a folder that looks like the project's, so that what they write is theirs alone.
    """
    for path in ROOT.iterdir():
        (folder / path.name).symlink_to(path)
    lines = []
    for command in (line for line in block.splitlines() if line.startswith("$ ")):
        line = re.sub("^python ", f"{sys.executable} -W error ", command[2:])
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        lines += [command, *done.stdout.splitlines()]
    return "".join(f"{line.rstrip()}\n" for line in lines)


@pytest.mark.parametrize(("page", "number"), every("console"))
def test_console_block(page, number, request, environment, tmp_path):
    block = blocks(page, "console")[number]
    for word in filter(block.__contains__, NEEDS):
        pytest.importorskip(NEEDS[word])
    now = executed(block, environment, tmp_path)
    if request.config.getoption("--regenerate"):
        text = PAGES[page].read_text("utf-8")
        fenced = "```console\n{}```\n".format
        PAGES[page].write_text(text.replace(fenced(block), fenced(now)), encoding="utf-8")
    assert now == alike.expected(blocks(page, "console")[number], now)


@pytest.mark.parametrize(("page", "number"), every("python"))
def test_python_block(page, number):
    block = blocks(page, "python")[number]
    if "dask" in block:
        pytest.importorskip("dask.array")
    names = {"stablelse": __import__("stablelse")}
    test = doctest.DocTestParser().get_doctest(block, names, f"{page} {number}", page, 0)
    report: list[str] = []
    result = doctest.DocTestRunner().run(test, out=report.append)
    assert result.attempted > 0
    assert result.failed == 0, "".join(report)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_executed(page):
    """CI runs the two commands of the README's `sh` block, test_release.py holds the `yaml`."""
    languages = {language for language, _ in BLOCK.findall(PAGES[page].read_text("utf-8"))}
    assert languages <= {"console", "python", "yaml"} | ({"sh"} if page == "README.md" else set())


def test_the_readme_is_short_and_sets_up_in_two_commands():
    assert PAGES["README.md"].stat().st_size <= 10_000
    (setup,) = blocks("README.md", "sh")
    assert len(setup.splitlines()) == 2
    assert "awk '/^```sh$/" in (ROOT / ".ci" / "run").read_text("utf-8")


@pytest.mark.parametrize(
    "page", [*PAGES.values(), *ROOT.glob("examples/*.md"), *ROOT.glob(".github/*.md")], ids=str
)
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8"))
    local = [target for target in targets if not target.startswith("http")]
    assert all((page.parent / target).exists() for target in local)


def test_the_guide_lists_its_pages():
    listed = (GUIDE / "README.md").read_text("utf-8")
    pages = {path.name for path in GUIDE.glob("*.md")} - {"README.md"}
    assert {name for name in pages if f"({name})" not in listed} == set()


def test_every_script_is_run_on_a_page():
    scripts = {path.name for kind in ("py", "sh") for path in ROOT.glob(f"examples/*.{kind}")}
    commands = "".join(block for page, _ in every("console") for block in blocks(page, "console"))
    assert scripts == set(re.findall(r"^\$ (?:python|bash) examples/(\S+)$", commands, re.M))


sys.path.append(str(ROOT / "examples" / "pictures"))
import draw  # noqa: E402  (an example, not a module of the package)


@pytest.mark.parametrize("name", draw.PICTURES)
def test_pictures_are_drawn_by_the_program(name, request, monkeypatch, tmp_path):
    if name in draw.FIGURES:
        pytest.importorskip("matplotlib")
        pytest.importorskip("ml_dtypes")
    if name == "lab.svg":
        pytest.importorskip("textual")
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
    """Return the version of matplotlib that drew a figure."""
    (version,) = re.findall(r"<dc:title>(Matplotlib v[^<]*?),", figure)
    return version
