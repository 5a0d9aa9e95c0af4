"""The survival map as a figure: PNG, SVG and PDF."""

import re
import sys
from itertools import pairwise
from xml.etree import ElementTree

import pytest

import stablelse
from stablelse.analysis.results import Verdict
from stablelse.analysis.sweep import Motion, Range
from stablelse.render.matplotlib import LOOKS, figure
from stablelse.render.sweep import by_method, stretches, ticks

_BEGINNINGS = {".png": b"\x89PNG\r\n", ".svg": b"<?xml", ".pdf": b"%PDF-1."}


def swept(**arguments):
    return stablelse.sweep([0, 1, 2], formats=["float16", "float64"], **arguments)


@pytest.mark.parametrize("suffix", _BEGINNINGS)
def test_the_same_figure_is_the_same_bytes(suffix, run, tmp_path, monkeypatch):
    """In Python and from the command, whatever the user's settings; no window is opened."""
    matplotlib = pytest.importorskip("matplotlib")
    monkeypatch.setenv("MPLBACKEND", "garbage")
    first = figure(swept(), suffix)
    assert first.startswith(_BEGINNINGS[suffix])
    assert b"CreationDate" not in first
    path = tmp_path / f"map{suffix.upper()}"
    args = ["sweep", "0", "1", "2", "--dtype", "float16", "--dtype", "float64"]
    with matplotlib.rc_context({"font.size": 30, "savefig.dpi": 10, "hatch.linewidth": 9}):
        done = run(*args, "--save", path)
    assert (done.code, done.err) == (0, "")
    assert path.read_bytes() == first
    assert "matplotlib.pyplot" not in sys.modules or "torch" in sys.modules


@pytest.mark.parametrize("name", [r"$\frac{$", r"%_^_\alpha $x$<b>&", "a\nb", "\udcff", "a" * 250])
def test_any_name_is_a_title(name, run, here):
    with open(f"{name}.csv", "w") as file:
        file.write("1,2,3\n")
    done = run("sweep", "--points", "2", "--dtype", "float64", "--file", f"{name}.csv",
               "--save", "a.png", "--save", "b.svg", "--save", "c.pdf")  # fmt: skip
    assert (done.code, done.err, done.notes) == (0, "", ())
    assert len(list(here.iterdir())) == 4


def test_svg_stands_alone():
    pytest.importorskip("matplotlib")
    svg = figure(swept(offset=(-1000, 1e5)), ".svg").decode()
    root = ElementTree.fromstring(svg)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert not re.search(r"<text|<image|<script|@import|dc:date", svg)  # letters are outlines
    for verdict in LOOKS.keys() - {Verdict.NAN, Verdict.NO_DIGITS}:
        assert LOOKS[verdict][0].lower() in svg


def test_looks_are_told_apart_without_colour():
    colours, hatches = zip(*LOOKS.values(), strict=True)
    assert len(set(colours)) == len(LOOKS)
    assert len(set(hatches)) == len(LOOKS) - 1  # what does not fit is as plain as what is right


def test_without_matplotlib(run, tmp_path, monkeypatch):
    """Before anything is read, and nothing is written; pictures of the screen do not need it."""
    from stablelse.cli import options

    monkeypatch.setattr(options, "find_spec", lambda name: None)
    path = tmp_path / "map.pdf"
    assert (
        "is a figure, which needs matplotlib: pip install" in run("sweep", "no", "--save", path).err
    )
    assert list(tmp_path.iterdir()) == []
    assert run("sweep", "0", "--save", tmp_path / "map.txt").code == 0


@pytest.mark.parametrize(
    ("motion", "start", "end", "width", "texts"),
    [
        (Motion.OFFSET, -1000, 1000, 60, ["-1000", "-500", "0", "500", "1000"]),
        (Motion.OFFSET, -30, 20, 40, ["-30", "-20", "-10", "0", "10", "20"]),
        (Motion.OFFSET, 0.1, 0.35, 40, ["0.1", "0.15", "0.2", "0.25", "0.3", "0.35"]),
        (Motion.OFFSET, -1e308, 1.7e308, 40, ["-1e308", "0", "1e308"]),
        (Motion.OFFSET, 0, 1e-306, 20, ["0", "5e-307", "1e-306"]),
        (Motion.OFFSET, 0, 5e-324, 20, ["5e-324"]),
        (Motion.SCALE, 5e-324, 1e-323, 20, ["1e-323"]),
        (Motion.OFFSET, 709.78271289, 709.7827129, 70, None),
        (Motion.SCALE, 1e-3, 1e6, 40, ["0.01", "1", "100", "1e4", "1e6"]),
        (Motion.SCALE, 1e-300, 1e300, 60, None),
        (Motion.SCALE, 3, 500, 60, ["10", "100"]),
        (Motion.SCALE, 1, 5, 40, ["1", "2", "3", "4", "5"]),
        (Motion.SCALE, 3, 4, 30, ["3", "3.2", "3.4", "3.6", "3.8", "4"]),
        (Motion.OFFSET, 5, 5.0000001, 10, None),
    ],
)
def test_ticks(motion, start, end, width, texts):
    found = ticks(Range(motion, float(start), float(end)), width)
    assert found
    assert all(0 <= tick.place <= 1 for tick in found)
    if texts is not None:
        assert [tick.text for tick in found] == texts
    for one, other in pairwise(found):
        assert (other.place - one.place) * width >= (len(one.text) + len(other.text)) / 2 + 1


def test_stretches_fill_the_axis():
    found = stablelse.sweep([0, 1, 2], scale=(1e-3, 1e6))
    for row in by_method(found):
        bar = stretches(row, found.range)
        assert (bar[0].begin, bar[-1].end) == (0, 1)
        assert all(one.end == other.begin for one, other in pairwise(bar))
        assert all(one.verdict is not other.verdict for one, other in pairwise(bar))


def test_the_narrowest_stretch_is_seen():
    """A few of 10**18 numbers of float64."""
    found = stablelse.sweep([0, 1, 2], methods=["shifted"], formats=["float64"])
    assert [segment.verdict for segment in found.segments].count(Verdict.DIGITS_LOST) == 1
    assert "▒" in str(found).splitlines()[2]
