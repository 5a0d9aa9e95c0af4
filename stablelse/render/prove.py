"""A derivation on the screen, in Markdown, in LaTeX, and as records."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from math import inf
from typing import Any, NamedTuple

from rich.text import Text

from stablelse.analysis.prove import FormatProof, Proof, Quantity, Row, Rule
from stablelse.analysis.results import Verdict
from stablelse.printable import counted
from stablelse.render.layout import VERDICT_STYLES, grid, hanging, picture
from stablelse.render.notation import (
    ASCII,
    LATEX,
    UNICODE,
    Glyphs,
    Numbers,
    operation_text,
    side_text,
)
from stablelse.render.numbers import number_text, place_text
from stablelse.render.records import record
from stablelse.render.words import FUNCTION_NAMES, shift_text, ulps_text

#: The rule of each line, as LaTeX.
_RULES: dict[Rule, str] = {
    Rule.DEFINITION: "the definition",
    Rule.EXPONENTIATE: "exponentiate both sides",
    Rule.MULTIPLY: "multiply both sides by $e^{-a}$, for any $a$",
    Rule.TAKE_INTO_SUM: "take $e^{-a}$ into the sum, and add the exponents",
    Rule.TAKE_LOGARITHM: "take the logarithm of both sides",
    Rule.ADD: "add $a$ to both sides",
    Rule.EXPAND: "multiply by $C / C$, any $C > 0$",
    Rule.DISTRIBUTE: "take $C$ into the sum",
    Rule.TAKE_INTO_EXPONENT: r"$C = e^{\log C}$",
    Rule.CHOOSE: r"choose $\log C = -a$, for any $a$",
}

#: How many elements of a softmax have a column.
_MOST_COLUMNS = 3


def _rule_text(rule: Rule, glyphs: Glyphs) -> str:
    """Return the rule of a line; its formulas are in dollars for LaTeX."""
    if glyphs is LATEX:
        return _RULES[rule]
    text = _RULES[rule].replace(r"{\log C}", "(log C)")
    return re.sub(r"[${}\\]", "", text).replace("-a", f"{glyphs.minus}a")


class _Written(NamedTuple):
    """A line of a derivation as text: in symbols, or with numbers."""

    number: str
    sides: tuple[str, str]
    remark: str  # The rule; with numbers, how good both sides are
    verdict: Verdict | None = None


def _equations(
    proof: Proof, glyphs: Glyphs, result: FormatProof | None = None
) -> Iterator[_Written]:
    """Yield the lines in symbols, or with the numbers of a format: for softmax those of p_j."""
    index = 0 if result is None else _columns(result)[0]
    numbers = None if result is None else Numbers(result.x, result.a, index)
    for equation in proof.equations:
        left, right = (
            side_text(side, proof.function, glyphs, numbers)
            for side in (equation.left, equation.right)
        )
        if result is None:
            rule = _rule_text(equation.rule, glyphs)
            yield _Written(str(equation.number), (left, right), rule)
        else:
            row = result.lines[equation.number - 1].rows[index]
            yield _Written(str(equation.number), (left, right), _both(row, glyphs), row.verdict)


def _columns(result: FormatProof) -> list[int]:
    """Return the elements to show: all if few, or else the first, the largest and the worst."""
    rows = result.lines[-1].rows
    if len(rows) <= _MOST_COLUMNS:
        return list(range(len(rows)))
    worst = max(range(len(rows)), key=lambda index: rows[index].right.ulps)
    largest = max(range(len(rows)), key=lambda index: float(rows[index].right.exact))
    return sorted({0, largest, worst})


def _values(result: FormatProof, glyphs: Glyphs, cell: Callable[[Quantity], Any]) -> list[Any]:
    """Return a table: the value of both sides of every line, or of every element of softmax."""

    def exactly(row: Row) -> str:
        text = glyphs.number(row.right.exact)
        return f"${text}$" if glyphs is LATEX else text

    rows = [(str(line.number), line.rows) for line in result.lines]
    if not result.lines[0].rows[0].element:
        name = result.format.replace("_", r"\_") if glyphs is LATEX else result.format
        head = ["", "both sides, exactly", f"left in {name}", f"right in {name}"]
        return [head, *([n, exactly(row), cell(row.left), cell(row.right)] for n, (row,) in rows)]
    names = [glyphs.subscript("p", str(index + 1)) for index in _columns(result)]
    table = [["", *(f"${name}$" if glyphs is LATEX else name for name in names)]]
    table += [["exactly", *(exactly(rows[0][1][index]) for index in _columns(result))]]
    return table + [[n, *(cell(of[index].right) for index in _columns(result))] for n, of in rows]


def _error_text(quantity: Quantity) -> str:
    """Return how far off a value is."""
    if quantity.ulps == 0:
        return "correctly rounded"
    return "no digit is right" if quantity.ulps == inf else ulps_text(quantity.ulps)


def _why(row: Row, glyphs: Glyphs) -> str:
    """Return what broke the right side, or how far off it is."""
    dollar = "$" * (glyphs is LATEX)
    causes = []
    for kind, _, operands, value in row.origins:
        what = operation_text(kind, operands, glyphs) if operands else glyphs.sum
        causes.append(f"{dollar}{what} = {glyphs.number(value)}{dollar}")
    return ", ".join(causes) or _error_text(row.right)


def _both(row: Row, glyphs: Glyphs) -> str:
    """Return how good both sides are, or only the right one if the left one is right."""
    if row.element or row.left.verdict in (row.right.verdict, Verdict.RIGHT):
        return _why(row, glyphs)
    return f"left side {_error_text(row.left)}, right side {_why(row, glyphs)}"


def _heading(proof: Proof) -> str:
    place = place_text(proof)
    return f"{place}: " * bool(place) + f"{FUNCTION_NAMES[proof.function]}, line by line"


def _setting(result: FormatProof, glyphs: Glyphs) -> str:
    """Return the numbers, the shift and the format of a derivation."""
    numbers = counted(len(result.x), "number")
    return f"{numbers}, a = {shift_text(result, glyphs)}, in {result.format}"


def _title(proof: Proof, result: FormatProof | None, glyphs: Glyphs) -> str:
    heading = _heading(proof)
    return f"{heading}: {_setting(result, glyphs)}" if result else f"{heading}, for any a"


def _conclusions(
    proof: Proof, result: FormatProof, glyphs: Glyphs
) -> Iterator[tuple[Verdict, str]]:
    """Yield the conclusions, each with its verdict: what holds, and what to compute."""
    if all(row.holds for line in result.lines for row in line.rows):
        equal = "In exact arithmetic, both sides of every line are equal, whatever a is."
        yield Verdict.RIGHT, equal
    if result.departs is None:
        most = max(line.ulps for line in result.lines)
        most_text = f"every line holds: {ulps_text(most)} at most"
        held = most_text if most else "both sides of every line are correctly rounded"
        yield Verdict.RIGHT, f"In {result.format} {held}."
    else:
        line = result.lines[result.departs - 1]
        row = next(row for row in line.rows if row.verdict is line.verdict)
        is_left = not row.origins and row.left.verdict is row.verdict
        why = f"the left side is {_error_text(row.left)}" if is_left else _why(row, glyphs)
        fails = "fails" if line.verdict.is_broken else "loses digits"
        yield line.verdict, f"In {result.format} line {line.number} {fails} first: {why}."
    last = result.lines[-1]
    worst = max(last.rows, key=lambda row: row.right.ulps)
    name = f"p_{worst.element} = " if worst.element is not None else ""
    value, error = glyphs.number(worst.right.value), _error_text(worst.right)
    if last.verdict is Verdict.RIGHT:
        bound = f"no p_j is more than {error}" if worst.right.ulps else f"every p_j is {error}"
        outcome = bound if name else f"{value}, {error}"
        yield Verdict.RIGHT, f"Compute line {last.number}: {outcome}."
        return
    failed = f"Line {last.number} is the one to compute, but here it gives {name}{value}."
    yield last.verdict, failed
    # The left side is y, or p_j, correctly rounded, as this package's own functions give it.
    own = f"stablelse.{proof.function.value} gives {glyphs.number(worst.left.value)}"
    yield Verdict.RIGHT, f"{own}, correctly rounded."


@picture
def proof_picture(proof: Proof, glyphs: Glyphs, width: int) -> Iterator[Text]:
    """Yield the lines in symbols, their values, and the lines with numbers."""

    def marked(side: Quantity) -> Text:
        text = f"{glyphs.number(side.value)} {glyphs.mark(side.verdict)}"
        return Text(text, VERDICT_STYLES[side.verdict])

    heading = _heading(proof) if proof.results else _title(proof, None, glyphs)
    yield hanging(heading, width, 1, "bold")
    yield Text()
    yield from grid(
        [
            [number, Text(" = ".join(sides), "bold"), Text(rule, "dim")]
            for number, sides, rule, _ in _equations(proof, glyphs)
        ]
    )
    for result in proof.results:
        yield Text()
        yield hanging(_setting(result, glyphs), width, 1, "bold")
        yield from grid(_values(result, glyphs, marked))
        shown, rows = _columns(result), result.lines[0].rows
        if len(rows) > len(shown):
            yield hanging(f"and {len(rows) - len(shown):,} more elements", width, 4, "dim")
        for verdict, sentence in _conclusions(proof, result, glyphs):
            head = Text(f" {glyphs.mark(verdict)} ", VERDICT_STYLES[verdict])
            yield hanging(sentence, width, head.cell_len, VERDICT_STYLES[verdict], head)
        for number, sides, remark, of_line in _equations(proof, glyphs, result):
            assert of_line is not None, "lines with numbers have one"
            yield Text()
            yield hanging(" = ".join(sides), width, 4, head=Text(f" {number}  "))
            yield hanging(f"{glyphs.mark(of_line)} {remark}", width, 4, VERDICT_STYLES[of_line])
    if not proof.results:
        symbol = proof.equations[0].left.symbol
        meaning = f"{symbol} does not depend on a. Choose a = max x_i, and no term overflows."
        yield Text()
        yield hanging(meaning, width, 1, "dim")
    yield Text()


def markdown_lines(proof: Proof) -> Iterator[str]:
    """Yield the derivation in Markdown, with its formulas in dollars."""
    for place, result in enumerate(proof.results or (None,)):
        yield from [""] * bool(place)
        title = _title(proof, result, UNICODE)
        yield "## " + re.sub(r"[\\`*_\[\]<>|$#~&]", r"\\\g<0>", title)
        table = [["", "equation", "by"]]
        for number, line in enumerate(_pairs(proof, result), start=1):
            for at, (sides, remark) in enumerate(line):
                table.append([str(number) * (at == 0), f"${' = '.join(sides)}$", remark])
        yield from _markdown_table(table)
        if result is not None:
            yield from _markdown_table(
                _values(
                    result,
                    LATEX,
                    lambda side: f"${LATEX.number(side.value)}$ {UNICODE.mark(side.verdict)}",
                )
            )
            yield ""
            for verdict, sentence in _conclusions(proof, result, UNICODE):
                yield f"- {UNICODE.mark(verdict)} {sentence}"


def _markdown_table(table: list[list[str]]) -> Iterator[str]:
    head, *rows = [f"| {' | '.join(cells)} |".replace("  ", " ") for cells in table]
    yield from ["", head, f"|--:|{':--|' * (len(table[0]) - 1)}", *rows]


def _pairs(proof: Proof, result: FormatProof | None) -> Iterator[list[tuple[tuple[str, str], str]]]:
    """Yield for each line its sides and remark in LaTeX: in symbols, and below with numbers."""
    lists = [_equations(proof, LATEX)]
    lists += [] if result is None else [_equations(proof, LATEX, result)]
    for line in zip(*lists, strict=True):
        yield [(equation.sides, equation.remark) for equation in line]


def latex_lines(proof: Proof) -> Iterator[str]:
    """Yield the derivation in LaTeX (with amsmath): an align*, and a tabular per format."""
    for result in proof.results or (None,):
        lines = [
            " \\\\\n".join(
                rf"  {' &= '.join(sides)} && \text{{{remark}}}" for sides, remark in line
            )
            for line in _pairs(proof, result)
        ]
        yield f"% {_title(proof, result, ASCII)}; needs amsmath"
        yield r"\begin{align*}"
        yield (" \\\\\n" if result is None else " \\\\[1ex]\n").join(lines)
        yield r"\end{align*}"
        if result is not None:
            heads, *rows = _values(result, LATEX, lambda side: f"${LATEX.number(side.value)}$")
            yield rf"\begin{{tabular}}{{r{'l' * (len(heads) - 1)}}}"
            yield rf"  {' & '.join(heads)} \\ \hline"
            yield from (rf"  {' & '.join(cells)} \\" for cells in rows)
            yield r"\end{tabular}"


def proof_record(proof: Proof) -> dict[str, Any]:
    """Return a derivation as a record: equations as text, next to exact values and the format's."""
    plain: dict[str, Any] = record(proof)
    return plain | {"equations": list(_equation_records(proof))}


def _equation_records(proof: Proof) -> Iterator[dict[str, Any]]:
    for text, equation in zip(_equations(proof, ASCII), proof.equations, strict=True):
        rule = equation.rule.value
        yield {"number": equation.number, "rule": rule, "equation": " = ".join(text.sides)}


def proof_rows(proof: Proof) -> Iterator[dict[str, Any]]:
    """Yield a row per format, line and element, or a row per line without numbers."""
    names = ("function", "source", "row", "column", "n")
    own = {name: record(getattr(proof, name)) for name in names}
    for equation in () if proof.results else _equation_records(proof):
        yield own | {"line": equation.pop("number")} | equation
    for result in proof.results:
        shift = {"format": result.format, "shift": result.shift, "a": number_text(result.a)}
        for line, equation in zip(result.lines, _equation_records(proof), strict=True):
            cells = own | shift | {"line": equation.pop("number")} | equation
            for row in line.rows:
                yield cells | {
                    "element": row.element,
                    "holds": row.holds,
                    "exact": number_text(row.right.exact),
                    "left": number_text(row.left.value),
                    "right": number_text(row.right.value),
                    "ulps": number_text(row.right.ulps),
                    "verdict": row.verdict.value,
                    "why": _why(row, ASCII) if row.origins else "",
                }
