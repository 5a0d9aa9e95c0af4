"""The picture of a derivation: line by line the rule, the equation, and what it comes to."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from stablelse.analysis.derivation import Equation
from stablelse.analysis.proof import FormatProof, Line, Proof
from stablelse.render.columns import VERDICT_STYLES
from stablelse.render.derivation_wording import (
    MEANING,
    conclusions,
    equation_text,
    numbers_for,
    rounding_note,
    rule_text,
    title_text,
    told_rows,
)
from stablelse.render.layout import glyphs_for
from stablelse.render.notation import Numbers, screen
from stablelse.render.table import hanging
from stablelse.render.wording import Glyphs

#: Where a line's equation begins, and its values.
_INDENT = 4
_VALUES = 6


class ProofPicture:
    """A derivation, for a console of any width and encoding.

    Parameters
    ----------
    proof : Proof
        What is shown.
    """

    def __init__(self, proof: Proof) -> None:
        self.proof = proof

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines in symbols, or for each format with the numbers put in."""
        glyphs, width = glyphs_for(options), options.max_width
        for result in self.proof.results or (None,):
            yield hanging(title_text(self.proof, result, glyphs), width, 1, "bold")
            yield Text()
            for equation in self.proof.equations:
                yield from self._line(equation, result, glyphs, width)
            yield from self._end(result, glyphs, width)
            yield Text()

    def _line(
        self, equation: Equation, result: FormatProof | None, glyphs: Glyphs, width: int
    ) -> Iterator[Text]:
        heading = hanging(f"{equation.number}  {rule_text(equation.rule, glyphs)}", width, 1, "dim")
        yield heading
        yield self._equation(equation, None, glyphs, width, "bold")
        if result is None:
            return
        line = result.lines[equation.number - 1]
        yield self._equation(equation, numbers_for(result, line), glyphs, width)
        yield from _values(line, result, glyphs, width)
        yield Text()

    def _equation(
        self,
        equation: Equation,
        numbers: Numbers | None,
        glyphs: Glyphs,
        width: int,
        style: str = "",
    ) -> Text:
        sides = equation_text(equation, self.proof.function, screen(glyphs), numbers)
        return hanging(" = ".join(sides), width, _INDENT, style)

    def _end(self, result: FormatProof | None, glyphs: Glyphs, width: int) -> Iterator[Text]:
        if result is None:
            yield Text()
            yield hanging(MEANING[self.proof.function], width, 1, "dim")
            return
        for verdict, sentence in conclusions(self.proof, result, glyphs):
            mark = glyphs.mark(verdict)
            yield hanging(f"{mark} {sentence}", width, 1, VERDICT_STYLES[verdict])
        yield hanging(rounding_note(self.proof, result, glyphs), width, 1, "dim")


def _values(line: Line, result: FormatProof, glyphs: Glyphs, width: int) -> Iterator[Text]:
    """Yield what a line comes to, exactly and in the format."""
    rows = list(told_rows(line, glyphs))
    margin = max(len("exactly"), len(result.format))
    names = max(len(row.name) for row in rows) + 1 if rows[0].name else 0
    for number, row in enumerate(rows):
        label = "exactly" if number == 0 else ""
        yield _fitting(f"{label:<{margin}} {row.name:<{names}}", row.exact, width, "")
    for number, row in enumerate(rows):
        label = result.format if number == 0 else ""
        mark = glyphs.mark(row.verdict)
        told = f"{row.rounded}  {mark} {row.word}"
        style = VERDICT_STYLES[row.verdict]
        yield _fitting(f"{label:<{margin}} {row.name:<{names}}", told, width, style)
    if len(rows) < len(line.rows):
        yield hanging(f"{len(line.rows) - len(rows):,} more elements", width, _VALUES, "dim")


def _fitting(label: str, told: str, width: int, style: str) -> Text:
    """Return a row; where it is too wide, its value stands on a line of its own."""
    begin = f"{'':<{_VALUES}}{label}".rstrip() + " "
    if len(begin) + len(told) > width and " / " in told:
        above, sign, value = told.partition(" = ")
        told = f"{above}\n{'':<{len(begin)}}{sign.strip()} {value}"
    return Text(f"{begin}{told}", style, no_wrap=True, overflow="ignore")
