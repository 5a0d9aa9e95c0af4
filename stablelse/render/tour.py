"""The pictures of the tour: the words of every scene, and what it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from stablelse.analysis.tour import Scene
from stablelse.render.columns import tables
from stablelse.render.layout import Column, Group, glyphs_for, stack
from stablelse.render.numbers import number_text, rough_text
from stablelse.render.peers import case_picture, missing_note, peer_lines
from stablelse.render.plain import comparison_lines
from stablelse.render.table import hanging, verdicts
from stablelse.render.wording import ASCII, Glyphs

# Lines of prose are no longer than this: more is hard to read.
_MEASURE = 88

_Picture = Callable[[Scene, Glyphs, int], Iterator[RenderableType]]


class Words(NamedTuple):
    """What is said in a scene.

    Attributes
    ----------
    title : str
        The one idea of it.
    before, after : str
        What stands above and below the picture. In braces are numbers by their names, rough ones
        where ``~`` follows, and the symbols that a screen may not have.
    picture : callable
        Draws what was computed.
    """

    title: str
    before: str
    after: str
    picture: _Picture


def _columns(scene: Scene, glyphs: Glyphs, width: int) -> Iterator[RenderableType]:
    for comparison in scene.facts.comparisons:
        yield from tables(comparison, [comparison.results], glyphs, width)


def _verdicts(scene: Scene, glyphs: Glyphs, width: int) -> Iterator[RenderableType]:
    """Draw what came of every method, and why; a vector that is right is a column elsewhere."""
    for comparison in scene.facts.comparisons:
        told = [r for r in comparison.results if r.evaluation is not None or not r.value.ndim]
        yield Text()
        yield from verdicts(told, comparison.n, glyphs, width)
        yield Text()


def _passes(scene: Scene, glyphs: Glyphs, width: int) -> Iterator[RenderableType]:
    """Draw a row for every number that comes: what it makes of the largest, and of the sum."""
    steps = scene.facts.passes
    x, largest, total, value = (
        Column(header, [Text(glyphs.number(getattr(step, name))) for step in steps])
        for name, header in (
            ("x", "x"),
            ("maximum", "max"),
            ("total", "s"),
            ("value", "max + log s"),
        )
    )
    numbers = [cell.plain for cell in largest.cells]
    factors = [f"e^({old} {glyphs.minus} {new})" for old, new in pairwise(numbers)]
    factor = Column("s times", [Text(text) for text in (glyphs.dash, *factors)])
    yield from stack(x, [Group([largest, factor, total, value])], frozenset(), width)


def _cases(scene: Scene, glyphs: Glyphs, width: int) -> Iterator[RenderableType]:
    for case in scene.facts.cases:
        yield from case_picture(case, glyphs, width)
        yield from missing_note(case.missing, width)


#: Scene by scene.
WORDS: Mapping[str, Words] = {
    "overflow": Words(
        "e^x is soon too large",
        "The largest float64 is {largest~}. Beyond x = {threshold}, e^x is larger than that, and "
        "becomes infinite.",
        "So the textbook's formula says {infinity}. The right answer is nothing special: {value}.",
        _columns,
    ),
    "underflow": Words(
        "and soon too small",
        "The smallest positive float64 is {smallest}. Below x = {threshold}, e^x is rounded to 0.",
        "Zeros add up to 0, and log 0 is -{infinity}. The right answer is {value}.",
        _columns,
    ),
    "shift": Words(
        "take out the largest",
        "e^x = e^a e^(x - a), for any a. Take e^a out of the sum, and out of the logarithm: "
        "log {sum} e^x = a + log {sum} e^(x - a). Let a be the largest x.",
        "The largest term is e^0 = 1. No term can overflow, the sum is at least 1, and a term that "
        "underflows is too small to count.",
        _columns,
    ),
    "any-shift": Words(
        "any a will do, on paper",
        "The identity holds for every a. Floating-point numbers have a range, and e^(x - a) must "
        "stay in it:",
        "With a = 0 there is no shift at all; with an a that is far too large, everything "
        "underflows. a = max x keeps every term in range, whatever the numbers are.",
        _verdicts,
    ),
    "softmax": Words(
        "softmax breaks in the same way",
        "softmax divides e^x by the sum of all. Where both are infinite, there is nothing to "
        "divide, and the probabilities are NaN:",
        "Shifted, e^a cancels from the fraction. What is right: {first} and {second}.",
        _columns,
    ),
    "log-softmax": Words(
        "log(softmax(x)) is not log-softmax",
        "A probability that is too small is 0, and its logarithm, the loss of a network that was "
        "sure and wrong, is infinite:",
        "The logarithm itself is harmless: x - log {sum} e^x = {value}. Never take the logarithm "
        "of a softmax.",
        _columns,
    ),
    "near-zero": Words(
        "finite is not yet right",
        "Here nothing overflows, but the sum is {total}, and its logarithm is nearly 0. All that "
        "is left is what was rounded away before:",
        "{naive_ulps} and {shifted_ulps} ulps (units in the last place) are wrong digits that "
        "nobody is warned of. What is computed with care says {value}.",
        _verdicts,
    ),
    "half-precision": Words(
        "the shift does not save the sum",
        "{n} zeros in float16: every term is e^0 = 1, shifted or not. But the largest float16 is "
        "{largest}.",
        "A narrow format needs a wider one to add up in: then log {n} = {value}.",
        _verdicts,
    ),
    "division-free": Words(
        "the division is worth it",
        "Some compute softmax without a division, as e^(x - y) with y = log {sum} e^x. What is "
        "rounded in y is then multiplied by its size:",
        "{free_ulps} ulps against {quotient_ulps}: divide.",
        _verdicts,
    ),
    "one-pass": Words(
        "one pass is enough",
        "The largest number need not be known in advance. When a larger one comes, the sum s so "
        "far is multiplied by e^(old max - new max):",
        "So log-sum-exp can be had of a stream, in constant memory, and in parts that are merged.",
        _passes,
    ),
    "libraries": Words(
        "and the libraries?",
        "Most libraries shift. On this vector, one of {cases}, that is not enough for all of them:",
        "",
        _cases,
    ),
}


class ScenePicture:
    """The picture of a scene, for a console of any width and encoding.

    Parameters
    ----------
    scene : Scene
        What is shown.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the title, the words around the picture, and what to type."""
        scene, glyphs, width = self.scene, glyphs_for(options), options.max_width
        words = WORDS[scene.name]
        yield Text.assemble(
            " ", (words.title, "bold"), (f"  {scene.number}/{scene.of} {scene.name}", "dim")
        )
        yield Text()
        yield _prose(words.before, scene, glyphs, width)
        yield from words.picture(scene, glyphs, width)
        if words.after:
            yield _prose(words.after, scene, glyphs, width)
        yield Text()
        yield hanging(f"$ {scene.command}", width, indent=1, style="cyan")
        yield Text()


def scene_lines(scene: Scene) -> Iterator[str]:
    """Yield the words of a scene, what came of every method, and a blank line."""
    words = WORDS[scene.name]
    yield f"{scene.number}/{scene.of} {scene.name}: {words.title}"
    yield _filled(words.before, scene, ASCII)
    for comparison in scene.facts.comparisons:
        yield from comparison_lines(comparison)
    for step in scene.facts.passes:
        told = zip(step._fields, map(number_text, step), strict=True)
        yield ", ".join(f"{name} {value}" for name, value in told)
    for case in scene.facts.cases:
        yield from peer_lines(case)
    if words.after:
        yield _filled(words.after, scene, ASCII)
    yield f"$ {scene.command}"
    yield ""


def _prose(text: str, scene: Scene, glyphs: Glyphs, width: int) -> Text:
    told = _filled(text, scene, glyphs)
    return hanging(told, min(width, _MEASURE), indent=1)


def _filled(text: str, scene: Scene, glyphs: Glyphs) -> str:
    """Put the numbers and symbols into their places."""
    told = {"infinity": glyphs.infinity, "sum": glyphs.sum}
    for figure in scene.facts.figures:
        whole = isinstance(figure.value, int)
        told[figure.name] = f"{figure.value:,}" if whole else glyphs.number(figure.value)
        told[f"{figure.name}~"] = rough_text(float(figure.value), 5)
    return text.format_map(told).replace(" - ", f" {glyphs.minus} ")


def figure_rows(scene: Scene) -> Iterator[dict[str, str]]:
    """Yield a row for every number that the words of a scene tell."""
    for figure in scene.facts.figures:
        yield {"scene": scene.name, "figure": figure.name, "value": number_text(figure.value)}
