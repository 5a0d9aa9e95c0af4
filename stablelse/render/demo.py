"""The guided tour: what every scene says, and the picture of its facts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from stablelse.analysis.demo import TO_WRITE, Scene
from stablelse.analysis.peers import Outcome
from stablelse.numerics.formulas import Method
from stablelse.render.layout import VERDICT_STYLES, grid, hanging, picture, plain_lines
from stablelse.render.notation import ASCII, Glyphs
from stablelse.render.numbers import bound_text, number_text
from stablelse.render.peers import case_picture, missing_note
from stablelse.render.screen import Screen
from stablelse.render.words import VERDICT_WORDS, method_text, ulps_text

#: The longest line of prose: more is hard to read.
_MEASURE = 80

_Row = list[Text | str]


class Page(NamedTuple):
    """What a scene says."""

    title: str  # Its one idea
    # The text above and below the picture. Braces hold names of numbers (with ``~``, cut to a few
    # digits) and of symbols that a screen may not have.
    before: str
    after: str
    picture: Callable[[Scene, Glyphs, int], Iterator[RenderableType]]  # Draws what was computed


def _working(scene: Scene, glyphs: Glyphs, width: int) -> Iterator[RenderableType]:
    """Draw the formulas side by side with their numbers, like the scene's command."""
    for comparison in scene.facts.comparisons:
        yield Screen(comparison, parts=("table",))


def _results(scene: Scene, glyphs: Glyphs, width: int) -> Iterator[Text]:
    """Draw a row per method: its result, and how good it is."""
    for comparison in scene.facts.comparisons:
        rows: list[_Row] = []
        for result in comparison.results:
            name = method_text(result, glyphs)
            value = glyphs.number(result.value.reshape(-1)[0])
            value = f"p_1 = {value}" if result.value.ndim else value
            words = VERDICT_WORDS[result.verdict]
            if not result.verdict.is_broken and result.ulps is not None:
                words = ulps_text(result.ulps)
            words = "correctly rounded" if result.method is Method.EXACT else words
            cells = (glyphs.mark(result.verdict), name, value, words)
            style = VERDICT_STYLES[result.verdict]
            rows.append([Text(cell, style) for cell in cells])
        yield from grid(rows)
    yield Text()


def _rulers(scene: Scene, glyphs: Glyphs, width: int) -> Iterator[Text]:
    """Draw numbers that are off by more and more ulps, with the right digits set apart."""
    figures = {figure.name: figure.value for figure in scene.facts.figures}
    right = glyphs.number(figures["value"])
    rows: list[_Row] = [["exact", Text(right, "green")]]
    for name, value in figures.items():
        if name.startswith("off"):
            text = glyphs.number(value)
            same = next(i for i in range(len(text)) if text[i] != right[i : i + 1])
            number = Text.assemble((text[:same], "green"), (text[same:], "bold red"))
            digits = f"the first {same - 2} digits are right"
            rows.append([f"{int(name.removeprefix('off')):,} ulp off", number, digits])
    yield from grid(rows)
    yield Text()


def _passes(scene: Scene, glyphs: Glyphs, width: int) -> Iterator[Text]:
    """Draw a row for every number that comes: the new maximum and the new sum."""
    steps = scene.facts.passes
    changes = [(glyphs.number(a.maximum), glyphs.number(b.maximum)) for a, b in pairwise(steps)]
    factors = [glyphs.dash, *(f"e^({old} {glyphs.minus} {new})" for old, new in changes)]
    rows: list[_Row] = [["x", "max", "s times", "s", "max + log s"]]
    for step, factor in zip(steps, factors, strict=True):
        x, largest, _, total, value = map(glyphs.number, step)
        rows.append([x, largest, factor, total, value])
    yield from grid(rows)
    yield Text()


def _cases(scene: Scene, glyphs: Glyphs, width: int) -> Iterator[Text]:
    for case in scene.facts.cases:
        yield from case_picture(case, glyphs, width)
        yield from missing_note(case.missing, width)
    yield Text()


def _calls(scene: Scene, glyphs: Glyphs, width: int) -> Iterator[Text]:
    """Draw what to write with each library, and the result if it is installed."""
    for case in scene.facts.cases:
        given = {result.peer: result for result in case.results}
        for peer in TO_WRITE:
            value = "not installed"
            if peer.name in given:
                result = given[peer.name]
                mark = glyphs.good if result.outcome is Outcome.RIGHT else glyphs.fair
                value = f"{mark} {glyphs.number(np.ravel(result.value)[0])}"
            head = Text(f" {peer.title:<9}  ")
            yield hanging(f"{peer.calls[case.function]}  {value}", width, 12, head=head)
        yield Text()


#: Scene by scene.
PAGES: dict[str, Page] = {
    "why": Page(
        "why anyone computes log {sum} e^x",
        "The likelihood of {n} independent coin tosses is {p} times {p} times {p} ... In float64 "
        "that is {likelihood}. So programs keep its logarithm, {logarithm}. To add two such "
        "likelihoods, they need log(e^x + e^y). To train a classifier, they need the same "
        "function: its loss is log {sum} e^x - x_j. For small x the formula works:",
        "log {sum} e^x is called log-sum-exp. What can go wrong with it?",
        _working,
    ),
    "scores": Page(
        "softmax turns scores into probabilities",
        "A classifier gives a score x for every class. softmax divides e^x by the sum of all e^x:",
        "The results add up to {total}. Only differences matter: add 1 to every score, and the "
        "first probability is {moved}. Before, it was {first}.",
        _working,
    ),
    "overflow": Page(
        "e^x soon becomes too large",
        "The largest float64 is about {largest~}. e^x fits as long as x is at most {overflow~}. "
        "Above that, it becomes {infinity}:",
        "The naive formula gives {infinity}. The right answer is nothing special: {value}.",
        _working,
    ),
    "underflow": Page(
        "and soon too small",
        "The smallest positive float64 is about {smallest~}. e^x fits as long as x is at least "
        "{underflow~}. Below that, it becomes 0:",
        "The sum is 0, and log 0 is -{infinity}. The right answer is {value}.",
        _working,
    ),
    "shift": Page(
        "the shift: take out the largest",
        "Choose any a. Then e^x = e^a e^(x - a), so {sum} e^x = e^a {sum} e^(x - a). Now use "
        "log(ab) = log a + log b: log {sum} e^x = a + log {sum} e^(x - a). Let a be the largest x:",
        "The largest term is now e^0 = 1. No term can overflow, and the sum is at least 1. A term "
        "that becomes 0 is too small to matter.",
        _working,
    ),
    "softmax": Page(
        "the shift repairs softmax, too",
        "If both e^x and the sum are infinite, the quotient is NaN. With the shift, e^a cancels:",
        "The right probability of the last class is {value}.",
        _working,
    ),
    "log-softmax": Page(
        "never take the logarithm of a softmax",
        "The loss of a classifier is -log p. If p has become 0, the loss is infinite. The "
        "shifted formula subtracts logarithms instead of dividing:",
        "x - a - log {sum} e^(x - a) is {value}, and p itself is never computed.",
        _working,
    ),
    "any-shift": Page(
        "any shift is right on paper",
        "The identity holds for every a. But floating-point numbers have limits, and e^(x - a) "
        "must stay within them:",
        "With a = 0 nothing is shifted. With a far too large, every term becomes 0. With a = max, "
        "every term fits, whatever the numbers are.",
        _results,
    ),
    "digits": Page(
        "digits and ulps",
        "A float64 has {bits} bits for its digits: about {digits} decimal digits. Two neighbours "
        "differ by one ulp, a unit in the last place. Near {value} that is {ulp}. A result may be "
        "off by any number of ulps:",
        "The best possible result is the float64 nearest to the exact value. It is called "
        "correctly rounded.",
        _rulers,
    ),
    "near-zero": Page(
        "a finite result can be wrong",
        "Here nothing overflows. But the sum is {total}, and its logarithm is nearly 0. What "
        "is left is mostly rounding error:",
        "They are {naive_ulps} and {shifted_ulps} ulps off: the last digits are wrong, and no "
        "program warns you. Computed with care, the result is {value}.",
        _results,
    ),
    "half-precision": Page(
        "the shift does not save the sum",
        "{n} zeros in float16: every term is e^0 = 1, shifted or not. But the largest float16 is "
        "{largest}:",
        "Add the terms in a wider format. Then log {n} = {value}.",
        _results,
    ),
    "division-free": Page(
        "the division is worth it",
        "Some programs avoid the division: they compute softmax as e^(x - y), with y = log {sum} "
        "e^x. The rounding error of y grows with y, and ends up in every probability:",
        "Without the division, the result is {free_ulps} ulps off, with it {quotient_ulps}. So "
        "divide.",
        _results,
    ),
    "one-pass": Page(
        "one pass is enough",
        "You need not know the largest number in advance. When a larger one comes, multiply the "
        "sum s by e^(old max - new max):",
        "So log-sum-exp works on a stream, in constant memory, and on parts that are merged.",
        _passes,
    ),
    "libraries": Page(
        "what libraries do",
        "This is one of {cases} hard cases, on the libraries that are installed here:",
        "Right to the last bit: {right} of {asked}. Without one right digit: {broken}.",
        _cases,
    ),
    "write": Page(
        "what to write",
        "Use the function of your library. With x of shape (m, n), log-sum-exp and softmax of "
        "every row are written like this, and give for 1000, 1001:",
        "For a loss use log_softmax or the cross-entropy of the library.",
        _calls,
    ),
}


@picture
def scene_picture(scene: Scene, glyphs: Glyphs, width: int) -> Iterator[RenderableType]:
    """Yield a scene: its title, the picture between its words, and what to type."""
    page, measure = PAGES[scene.name], min(width, _MEASURE)
    title = _filled(page.title, scene, glyphs)
    yield Text.assemble(" ", (title, "bold"), (f"  {scene.number}/{scene.of} {scene.name}", "dim"))
    yield Text()
    yield hanging(_filled(page.before, scene, glyphs), measure, indent=1)
    yield Text()
    yield from page.picture(scene, glyphs, width)
    yield hanging(_filled(page.after, scene, glyphs), measure, indent=1)
    yield Text()
    yield hanging(f"$ {scene.command}", width, indent=1, style="cyan")
    yield Text()


def title_text(name: str) -> str:
    """Return the title of a scene, in ASCII."""
    return PAGES[name].title.format(sum=ASCII.sum)


def scene_lines(scene: Scene) -> Iterator[str]:
    """Yield a scene without colours and frames, and a blank line."""
    yield from plain_lines(scene)
    yield ""


def _filled(text: str, scene: Scene, glyphs: Glyphs) -> str:
    """Put the numbers and symbols into their places."""
    words = {"infinity": glyphs.infinity, "sum": glyphs.sum}
    for figure in scene.facts.figures:
        is_whole = isinstance(figure.value, int)
        words[figure.name] = f"{figure.value:,}" if is_whole else glyphs.number(figure.value)
        words[f"{figure.name}~"] = bound_text(figure.value)
    return text.format_map(words).replace(" - ", f" {glyphs.minus} ")


def figure_rows(scene: Scene) -> Iterator[dict[str, str]]:
    """Yield a row for every number in the words of a scene."""
    for figure in scene.facts.figures:
        yield {"scene": scene.name, "figure": figure.name, "value": number_text(figure.value)}
