"""What is shown is the same with --output, without colour, and in --save's pictures."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from stablelse.cli.app import COMMANDS
from stablelse.render.export import SAVED, WIDTH

_SVG = "{http://www.w3.org/2000/svg}"

#: Runs that show something, at least one of every command.
RUNS = {
    "lse": ["lse", "1000", "1001", "1002"],
    "lse-rows": ["lse", "--dtype", "float16"],
    "softmax": ["softmax", "1000", "1", "-1000.5"],
    "softmax-steps": ["softmax", "1000", "1", "--steps", "--errors"],
    "log-softmax": ["log-softmax", "-1000", "3", "0"],
    "nll": ["nll", "1000", "1001", "--label", "0"],
    "nll-grad": ["nll", "1000", "1001", "--label", "0", "--grad"],
    "demo": ["demo", "--scene", "overflow", "--scene", "one-pass"],
    "prove": ["prove", "lse", "1000", "1001", "1002"],
    "audit": ["audit", "-f", "logits.npy", "--values", "logits.npy"],
    "peers": ["peers", "0", "-40", "--peer", "naive"],
    "gallery": ["peers", "--peer", "naive"],
    "scan-rows": ["scan", "--dtype", "float16"],
    "limits": ["limits", "--dtype", "float16", "--dtype", "float64"],
    "sweep": ["sweep", "0", "1", "2", "--dtype", "float16", "--dtype", "float64"],
}

#: The .svg of these is a figure, which tests/render/test_matplotlib.py tests.
_FIGURES = {"sweep"}

_ROWS = b"a,b\n1,2\n1000,3\n-500,-600\n"


@pytest.fixture
def shown(run, monkeypatch):
    """Run a command by name, with more arguments; it must succeed."""

    def command(name, *more, columns=80, **environment):
        if name == "audit":
            monkeypatch.chdir(Path(__file__).parents[2] / "examples" / "digits")
        stdin = _ROWS if name.endswith("-rows") else b""
        done = run(*RUNS[name], *more, stdin=stdin, columns=columns, **environment)
        assert (done.code, done.err) == (0, "")
        return done.out

    return command


@pytest.fixture
def coloured(shown):
    """The text of a screen with colours, where wrong digits need no brackets."""

    def command(*args, **options):
        out = shown(*args, **options, FORCE_COLOR="1", TERM="xterm")
        return re.sub(r"\x1b\[[\d;]*m", "", out)

    return command


def test_every_command_is_run():
    assert {args[0] for args in RUNS.values()} == set(COMMANDS) - {
        "lab",
        "lint",
    }  # without a picture


@pytest.mark.parametrize("name", RUNS)
def test_output_and_colour_change_nothing_else(name, shown, coloured, tmp_path):
    screen, target, terminal = shown(name), tmp_path / "x", {"FORCE_COLOR": "1", "TERM": "xterm"}
    assert shown(name, "--output", target) == ""
    assert target.read_text(encoding="utf-8") == screen
    assert shown(name, encoding="ascii").isascii()
    colour = re.compile(r"\x1b\[[\d;]*3\dm")
    assert colour.search(shown(name, **terminal)) or name == "limits"
    assert not colour.search(shown(name, **terminal, NO_COLOR="1"))
    assert coloured(name, NO_COLOR="1") == screen
    assert "[" in screen or coloured(name) == screen


@pytest.mark.parametrize("name", ["sweep", "peers", "prove", "limits"])
def test_a_narrow_screen_keeps_its_margin(name, shown):
    assert all(line.startswith(" ") for line in shown(name, columns=40).splitlines() if line)


@pytest.mark.parametrize("columns", [60, 120])
@pytest.mark.parametrize("name", RUNS)
def test_the_text_is_the_screen(name, columns, shown, tmp_path):
    path = tmp_path / "x.txt"
    screen = shown(name, "--save", path, columns=columns)
    assert screen == shown(name, columns=columns)
    assert path.read_text(encoding="utf-8") == screen


@pytest.mark.parametrize("name", sorted(RUNS.keys() - _FIGURES))
def test_svg(name, coloured, tmp_path):
    path = tmp_path / "x.svg"
    screen = coloured(name, "--save", path)
    svg = path.read_text(encoding="utf-8")
    root = ElementTree.fromstring(svg)
    title, buttons_title, *texts = root.iter(f"{_SVG}title"), *root.iter(f"{_SVG}text")
    command = " ".join(["stablelse", *RUNS[name]])
    assert next(title).text == command
    assert buttons_title.text.replace("\xa0", " ") == command
    assert text_on_screen(texts) == [line.rstrip() for line in screen.rstrip().split("\n")]
    assert svg.count("http") == svg.count('xmlns="http://www.w3.org/2000/svg"') == 1
    assert not re.search(r"@|url\((?!#)|<image|<script|href", svg)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", svg)) <= set(ids)


def text_on_screen(texts) -> list[str]:
    """Put the texts of an image back into the lines of a screen."""
    cell = min(float(t.get("textLength")) / len(t.text) for t in texts)
    lines: dict[int, str] = {}
    for element in texts:
        number = round((float(element.get("y")) - 20) / 24.4)
        column = round(float(element.get("x")) / cell)
        lines[number] = lines.get(number, "").ljust(column) + element.text.replace("\xa0", " ")
    return [lines.get(number, "").rstrip() for number in range(max(lines) + 1)]


@pytest.mark.parametrize("name", ["lse", "softmax", "prove"])
def test_the_same_picture_is_the_same_bytes(name, shown, tmp_path):
    def saved(file, *more, **environment):
        shown(name, *more, "--save", tmp_path / file, **environment)
        return (tmp_path / file).read_bytes()

    for suffix in SAVED:
        first = saved(f"first{suffix}")
        assert first == saved(f"second{suffix}", "--output", tmp_path / "out")
        for setting in ({"NO_COLOR": "1"}, {"TERM": "dumb"}, {"encoding": "ascii"}):
            assert first == saved(f"third{suffix}", **setting)


def test_pictures_on_one_page_have_ids_of_their_own(shown, tmp_path):
    ids = []
    for name in ("lse", "softmax", "prove"):
        shown(name, "--save", tmp_path / "x.svg")
        ids += re.findall(r' id="([^"]+)"', (tmp_path / "x.svg").read_text(encoding="utf-8"))
    assert len(ids) == len(set(ids)) == 3


def page_of(html: str) -> ElementTree.Element:
    """Return a page as well-formed XML."""
    assert html.startswith("<!DOCTYPE html>\n")
    html = html.removeprefix("<!DOCTYPE html>")
    return ElementTree.fromstring(re.sub(r"<(meta [^>]*)>", r"<\1/>", html))


def texts_of(page: ElementTree.Element, tag: str) -> list[str]:
    return ["".join(element.itertext()) for element in page.iter(tag)]


@pytest.mark.parametrize("name", RUNS)
def test_page(name, coloured, tmp_path):
    path = tmp_path / "x.html"
    screen = coloured(name, "--save", path, columns=120)
    html = path.read_text(encoding="utf-8")
    page = page_of(html)
    assert (page.tag, page.attrib) == ("html", {"lang": "en"})
    viewport = {"name": "viewport", "content": "width=device-width, initial-scale=1"}
    assert [element.attrib for element in page.iter("meta")] == [{"charset": "utf-8"}, viewport]
    title = " ".join(["stablelse", *RUNS[name]])
    assert texts_of(page, "title") == texts_of(page, "h1") == [title]
    assert texts_of(page, "pre") == [screen.rstrip("\n")]
    assert "color-scheme: light dark" in html
    assert not {element.tag for element in page.iter()} & {"script", "link", "img", "iframe"}
    assert not re.search(r"http|@import|url\(|src=|href=|\son\w+=", html)


@pytest.mark.parametrize("suffix", SAVED)
def test_no_digit_is_cut_where_the_screen_is_narrow(suffix, shown, tmp_path):
    path = tmp_path / f"x{suffix}"
    shown("prove", "--save", path, columns=20)
    text = re.sub("<[^>]*>", "", path.read_text(encoding="utf-8")).replace("&#160;", " ")
    assert "1.5032147244081275 ≈" in text
    assert "1.5032147244080551 ✓" in text
    if suffix == ".svg":
        root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
        (clip,) = root.iter(f"{_SVG}clipPath")
        texts = [t for t in root.iter(f"{_SVG}text") if t.get("textLength")]
        ends = [float(t.get("x")) + float(t.get("textLength")) for t in texts]
        assert max(ends) <= float(clip[0].get("width")) + 1.5


def test_the_width_is_the_usual_one_where_there_is_no_screen(shown, tmp_path):
    """Without a terminal and COLUMNS, the width is not Rich's 80."""
    shown("softmax", "--save", tmp_path / "told.txt", columns=WIDTH)
    shown("softmax", "--save", tmp_path / "untold.txt", columns="")
    assert (tmp_path / "told.txt").read_bytes() == (tmp_path / "untold.txt").read_bytes()


def test_several_files_and_capital_suffixes(shown, tmp_path):
    more = [f"--save={tmp_path / f'x{suffix.upper()}'}" for suffix in SAVED]
    shown("lse", *more)
    assert (tmp_path / "x.SVG").read_text(encoding="utf-8").startswith("<svg ")
    assert (tmp_path / "x.HTML").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert (tmp_path / "x.TXT").read_text(encoding="utf-8").startswith(" log-sum-exp")


def test_beside_output(run, tmp_path):
    args = ["lse", "1", "2", "--output", tmp_path / "out.txt", "--save", tmp_path / "x.txt"]
    done = run(*args)
    assert (done.code, done.out, done.err) == (0, "", "")
    assert (tmp_path / "out.txt").read_bytes() == (tmp_path / "x.txt").read_bytes()


def test_a_long_command_is_shortened_in_the_bar(run, tmp_path):
    numbers = [str(number) for number in range(200)]
    run("lse", *numbers, "--save", tmp_path / "x.svg")
    root = ElementTree.fromstring((tmp_path / "x.svg").read_text(encoding="utf-8"))
    bar = next(root.iter(f"{_SVG}text")).text.replace("\xa0", " ")
    assert bar == "stablelse lse " + " ".join(numbers)[:49] + "…"
    assert next(root.iter(f"{_SVG}title")).text == "stablelse lse " + " ".join(numbers)


def test_a_stream_has_a_picture_too(run, tmp_path):
    picture = tmp_path / "p.txt"
    numbers = "".join(f"{i}\n" for i in range(20_000)).encode()
    done = run("lse", "--save", picture, stdin=numbers)
    assert done.code == 0
    assert picture.read_text("utf-8") == done.out
