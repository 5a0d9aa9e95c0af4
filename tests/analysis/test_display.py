"""How results display themselves: in a notebook, in IPython, on a Rich console and printed."""

import io
import re
from html import unescape

import numpy as np
import pytest
from rich.console import Console

import stablelse
from stablelse.analysis import Displayed, Place
from stablelse.analysis.audit import Audit
from stablelse.analysis.demo import demo
from stablelse.analysis.likelihood import LabelledTally
from stablelse.analysis.results import limits
from stablelse.numerics.formats import find_format
from stablelse.numerics.formulas import Method, candidates
from stablelse.numerics.functions import Function, LossFunction
from stablelse.render import FORMS


def likelihood():
    methods = candidates(LossFunction.LOSS.function, [Method.NAIVE, Method.EXACT], [])
    found = LabelledTally(LossFunction.LOSS, methods, [find_format("float64")])
    found.compare(np.array([[1000.0, 1.0], [1.0, 2.0]]), np.array([0, 1]))
    return found.summary()


def audit():
    found = Audit(Function.SOFTMAX, "float32")
    found.update(np.array([[1.0, 2.0]]), np.array([[0.25, 0.75]]), lambda row: Place(row=1))
    return found


RESULTS = {
    "Audit": audit,
    "Comparison": lambda: stablelse.compare([1000, 1001, -1002], "softmax"),
    "Steps": lambda: stablelse.compare([1000, 1]).steps,
    "Errors": lambda: stablelse.compare([-0.775, -0.6175]).errors,
    "Proof": lambda: stablelse.prove([1000, 1001]),
    "PeerComparison": lambda: stablelse.compare_peers([0, -40], peers=["naive"]),
    "Summary": likelihood,
    "Sweep": lambda: stablelse.sweep([0, 1], formats=["float16", "float64"]),
    "Scene": lambda: demo("one-pass"),
    "Scan": lambda: stablelse.scan([[12, 3], [1, 2]]),
    "Limits": lambda: limits([find_format("float64")]),
}


def test_every_type_that_has_a_picture_displays_itself():
    """Add new types above. The gallery takes long; two types are views of a result."""
    assert set(RESULTS) == {name for name in FORMS if "table" in FORMS[name]} - {"Gallery"}


@pytest.mark.parametrize("name", RESULTS)
def test_bundle(name):
    result = RESULTS[name]()
    assert isinstance(result, Displayed)
    assert type(result).__name__ == name
    bundle = result._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    html = bundle["text/html"]
    assert unescape(re.sub("<[^>]*>", "", html)) == bundle["text/plain"]
    assert re.findall(r"<(\w+)", html).count("pre") == 1
    assert set(re.findall(r"<(\w+)", html)) == {"pre", "span"}
    assert not re.search(r"http|url\(|@|class=|\son\w+=", html)
    assert str(result).rstrip("\n") == bundle["text/plain"].rstrip("\n")
    console = Console(file=io.StringIO(), width=100)
    console.print(result)
    assert console.file.getvalue() == str(result)


@pytest.mark.parametrize(
    ("include", "exclude", "kinds"),
    [
        (None, None, {"text/plain", "text/html"}),
        (["text/html"], None, {"text/html"}),
        (None, ["text/html"], {"text/plain"}),
        ({"text/html", "text/plain"}, {"text/html"}, {"text/plain"}),
        (["image/png"], None, set()),
        ([], None, set()),
    ],
)
def test_only_what_is_wanted_is_drawn(include, exclude, kinds):
    bundle = stablelse.compare([1, 2])._repr_mimebundle_(include=include, exclude=exclude)
    assert set(bundle) == kinds


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, as WCAG 2.2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_colours_are_read_on_light_and_on_dark():
    """On white, and on the blacks of Jupyter, Chromium and VS Code: at least 3.5 to 1."""
    comparison = stablelse.compare([11.8, 3, 2.5, -0.5, -9.2], formats=["float16"])
    html = comparison._repr_mimebundle_()["text/html"]
    html += comparison.errors._repr_mimebundle_()["text/html"]
    colours = set(re.findall(r"color: (#\w{6})", html))
    assert len(colours) == 4  # broken, right, harmless and dim
    for colour in colours:
        for ground in ("#ffffff", "#111111", "#121212", "#1e1e1e"):
            low, high = sorted([luminance(colour), luminance(ground)])
            assert (high + 0.05) / (low + 0.05) > 3.5
