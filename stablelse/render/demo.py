"""The guided tour: what every scene says, and the picture of its facts."""

from __future__ import annotations

from collections.abc import Iterator
from string import Formatter
from typing import Any, NamedTuple

from rich.console import RenderableType
from rich.text import Text

from stablelse.analysis.demo import Scene
from stablelse.analysis.peers import PEERS, PeerComparison, Task
from stablelse.analysis.results import Comparison
from stablelse.numerics.formats import FORMATS
from stablelse.render.layout import grid, hanging, picture, plain_lines
from stablelse.render.notation import ASCII, Glyphs
from stablelse.render.numbers import bound_text
from stablelse.render.peers import case_picture, missing_note
from stablelse.render.screen import Screen

#: The longest line of prose: more is hard to read.
_MEASURE = 80


class Page(NamedTuple):
    """What a scene says.

    Braces hold names: of facts, of the methods of a comparison, of formats, and of symbols that a
    screen may not have. Numbers with ``~`` are cut to a few digits.
    """

    title: str  # Its one idea
    before: str  # Above the picture
    after: str  # Below it
    rows: tuple[tuple[str, ...], ...] = ()  # The picture: a table of cells
    parts: tuple[str, ...] = ("table",)  # or a comparison, with these parts of its screen


class _Sentences(Formatter):
    """Puts facts and symbols into the text of a scene."""

    def __init__(self, scene: Scene, glyphs: Glyphs) -> None:
        self.glyphs, self.names = glyphs, {**FORMATS, **scene.facts}
        self.names |= glyphs._asdict()
        for result in scene.facts["comparison"].results if "comparison" in scene.facts else ():
            self.names.setdefault(result.method.value.replace("-", "_"), result)

    def filled(self, text: str) -> str:
        """Return a text with all numbers and symbols."""
        return self.vformat(text, (), self.names).replace(" - ", f" {self.glyphs.minus} ")

    def format_field(self, value: Any, spec: str) -> str:
        """Return a fact as text."""
        if spec == "~":
            return bound_text(value)
        return format(value, spec) if spec else self.glyphs.number(value)


#: The cells for a step of a single pass.
_PASS = (
    "{passes[].entry}",
    "{passes[].maximum}",
    "e^({passes[].before} {minus} {passes[].maximum})",
    "{passes[].total}",
    "{passes[].value}",
)

#: NumPy has no functions for these.
_NUMPY = {
    Task.LOGSUMEXP: "np.log(np.exp(x - (a := x.max(1))[:, None]).sum(1)) + a",
    Task.SOFTMAX: "(e := np.exp(x - x.max(1)[:, None])) / e.sum(1)[:, None]",
}

#: What to write, with every library.
TO_WRITE = tuple(
    row
    for task, call in _NUMPY.items()
    for row in (("NumPy", call), *((peer.title, peer.calls[task]) for peer in PEERS[2:]))
)

#: Scene by scene.
PAGES: dict[str, Page] = {
    "why": Page(
        "why anyone computes log {sum} e^x",
        "The likelihood of {n:,} independent coin tosses is {p} times {p} times {p} ... In float64 "
        "that is {likelihood}. So programs keep its logarithm, {logarithm}. To add two such "
        "likelihoods, they need log(e^x + e^y). To train a classifier, they need the same "
        "function: its loss is log {sum} e^x - x_j. For small x the formula works:",
        "log {sum} e^x is called log-sum-exp. What can go wrong with it?",
    ),
    "scores": Page(
        "softmax turns scores into probabilities",
        "A classifier gives a score x for every class. softmax divides e^x by the sum of all e^x:",
        "The results add up to {naive.total}. Only differences matter: add the same number to "
        "every score, and the probabilities stay as they are.",
    ),
    "overflow": Page(
        "e^x soon becomes too large",
        "The largest float64 is about {float64.largest:~}. e^x fits as long as x is at most "
        "{float64.overflow_threshold:~}. "
        "Above that, it becomes {infinity}:",
        "The naive formula gives {infinity}. The right answer is nothing special: {exact.value}.",
    ),
    "underflow": Page(
        "and soon too small",
        "The smallest positive float64 is about {float64.smallest_subnormal:~}. e^x fits as long "
        "as x is at least {float64.underflow_threshold:~}. Below that, it becomes 0:",
        "The sum is 0, and log 0 is -{infinity}. The right answer is {exact.value}.",
    ),
    "shift": Page(
        "the shift: take out the largest",
        "Choose any a. Then e^x = e^a e^(x - a), so {sum} e^x = e^a {sum} e^(x - a). Now use "
        "log(ab) = log a + log b: log {sum} e^x = a + log {sum} e^(x - a). Let a be the largest x:",
        "The largest term is now e^0 = 1. No term can overflow, and the sum is at least 1. A term "
        "that becomes 0 is too small to matter.",
    ),
    "softmax": Page(
        "the shift repairs softmax, too",
        "If both e^x and the sum are infinite, the quotient is NaN. With the shift, e^a cancels:",
        "The right probability of the last class is {exact.value[1]}.",
    ),
    "log-softmax": Page(
        "never take the logarithm of a softmax",
        "The loss of a classifier is -log p. If p has become 0, the loss is infinite. The "
        "shifted formula subtracts logarithms instead of dividing:",
        "x - a - log {sum} e^(x - a) is {exact.value[1]}, and p itself is never computed.",
    ),
    "any-shift": Page(
        "any shift is right on paper",
        "The identity holds for every a. But floating-point numbers have limits, and e^(x - a) "
        "must stay within them:",
        "With a = 0 nothing is shifted. With a far too large, every term becomes 0. With a = max, "
        "the largest term is 1, whatever the numbers are.",
        parts=("why",),
    ),
    "digits": Page(
        "digits and ulps",
        "A float64 has {bits} bits for its digits: about {digits} decimal digits. Two neighbours "
        "differ by one ulp, a unit in the last place. Near {value} that is {ulp}. A result may be "
        "off by any number of ulps:",
        "The best possible result is the float64 nearest to the exact value. It is called "
        "correctly rounded.",
        rows=(
            ("correctly rounded", "{value}"),
            ("1 ulp off", "{off1}"),
            ("10 ulp off", "{off10}"),
            ("1,000 ulp off", "{off1000}"),
            ("1,000,000 ulp off", "{off1000000}"),
        ),
    ),
    "near-zero": Page(
        "a finite result can be wrong",
        "Here nothing overflows. But the sum is {naive.evaluation.results[s][0]}, and its "
        "logarithm is nearly 0. What is left is mostly rounding error:",
        "They are {naive.ulps:,.0f} and {shifted.ulps:,.0f} ulps off: the last digits are wrong, "
        "and no program warns you. Computed with care, the result is {exact.value}.",
    ),
    "half-precision": Page(
        "the shift does not save the sum",
        "{comparison.n:,} zeros in float16: every term is e^0 = 1, shifted or not. But the largest "
        "float16 is {float16.largest}:",
        "Add the terms in a wider format. Then log {comparison.n:,} = {exact.value}.",
        parts=("why",),
    ),
    "division-free": Page(
        "the division is worth it",
        "Some programs avoid the division: they compute softmax as e^(x - y), with y = log {sum} "
        "e^x. The rounding error of y grows with y, and ends up in every probability:",
        "Without the division, the result is {division_free.ulps:.0f} ulps off, with it "
        "{shifted.ulps:.0f}. So divide.",
        parts=("why",),
    ),
    "one-pass": Page(
        "one pass is enough",
        "You need not know the largest number in advance. When a larger one comes, multiply the "
        "sum s by e^(old max - new max):",
        "So log-sum-exp works on a stream, in constant memory, and on parts that are merged.",
        rows=(
            ("x", "max", "s times", "s", "max + log s"),
            *(tuple(cell.replace("[]", f"[{k}]") for cell in _PASS) for k in range(4)),
        ),
    ),
    "libraries": Page(
        "what libraries do",
        "This is one of {cases} hard cases, on the libraries that are installed here:",
        "Right to the last bit: {right} of {asked}. Without one right digit: {broken}.",
    ),
    "write": Page(
        "what to write",
        "Use the function of your library. With x of shape (m, n), log-sum-exp and softmax of "
        "every row are written like this:",
        "For a loss use log_softmax or the cross-entropy of the library.",
        rows=TO_WRITE,
    ),
}


@picture
def scene_picture(scene: Scene, glyphs: Glyphs, width: int) -> Iterator[RenderableType]:
    """Yield a scene: its title, the picture between its words, and what to type."""
    page, words, measure = PAGES[scene.name], _Sentences(scene, glyphs), min(width, _MEASURE)
    title = words.filled(page.title)
    yield Text.assemble(" ", (title, "bold"), (f"  {scene.number}/{scene.of} {scene.name}", "dim"))
    yield Text()
    yield hanging(words.filled(page.before), measure, indent=1)
    yield Text()
    for fact in scene.facts.values():
        if isinstance(fact, Comparison):
            yield Screen(fact, parts=page.parts)
        elif isinstance(fact, PeerComparison):
            yield from case_picture(fact, glyphs, width)
            yield from missing_note(fact.missing, width)
            yield Text()
    if page.rows:
        cells = ([words.vformat(cell, (), words.names) for cell in row] for row in page.rows)
        yield from grid(list(cells))
        yield Text()
    yield hanging(words.filled(page.after), measure, indent=1)
    yield Text()
    yield hanging(f"$ {scene.command}", width, indent=1, style="cyan")
    yield Text()


def scene_title(name: str) -> str:
    """Return the title of a scene, in ASCII."""
    return PAGES[name].title.format(sum=ASCII.sum)


def scene_lines(scene: Scene) -> Iterator[str]:
    """Yield a scene without colours and frames, and a blank line."""
    yield from plain_lines(scene)
    yield ""
