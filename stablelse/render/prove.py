"""A derivation on the screen, in Markdown, in LaTeX, and as records."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import inf
from typing import Any, NamedTuple

from rich.text import Text

from stablelse.analysis.prove import Equation, FormatProof, Line, Proof, Quantity, Row, Rule
from stablelse.analysis.results import Verdict
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
from stablelse.render.numbers import json_number, number_text, place_text
from stablelse.render.records import field_names, input_record, record
from stablelse.render.words import FUNCTION_NAMES, VERDICT_WORDS, counted, shift_text, ulps_text

#: The rule of each line; LaTeX has dollars around what is in braces.
_RULES: dict[Rule, str] = {
    Rule.DEFINITION: "the definition",
    Rule.EXPONENTIATE: "exponentiate both sides",
    Rule.MULTIPLY: "multiply both sides by {e^-a}, for any {a}",
    Rule.TAKE_INTO_SUM: "take {e^-a} into the sum, and add the exponents",
    Rule.TAKE_LOGARITHM: "take the logarithm of both sides",
    Rule.ADD: "add {a} to both sides",
    Rule.EXPAND: "multiply by {C / C}, any {C > 0}",
    Rule.DISTRIBUTE: "take {C} into the sum",
    Rule.TAKE_INTO_EXPONENT: "{C = e^(log C)}",
    Rule.CHOOSE: "choose {log C = -a}, for any {a}",
}

#: Up to this many elements are all shown.
_MOST_ROWS = 4


def _rule_text(rule: Rule, glyphs: Glyphs) -> str:
    """Return the rule of a line; its formulas are in dollars for LaTeX."""
    text = _RULES[rule]
    if glyphs is not LATEX:
        return text.replace("{", "").replace("}", "").replace("-a", f"{glyphs.minus}a")
    text = text.replace("{", "$").replace("}", "$")
    return (
        text.replace("e^-a", "e^{-a}").replace("e^(log C)", r"e^{\log C}").replace("$log", r"$\log")
    )


class _Entry(NamedTuple):
    """A line of a derivation in a medium; from `numbers` on, it needs numbers."""

    number: int
    rule: str
    symbols: tuple[str, str]  # Both sides
    numbers: tuple[str, str] = ("", "")  # Both sides; for softmax those of the first element shown
    line: Line | None = None
    rows: Sequence[Row] = ()  # The rows that are shown


def _entries(proof: Proof, result: FormatProof | None, glyphs: Glyphs) -> Iterator[_Entry]:
    """Yield the lines of a derivation, with their values in a format."""

    def sides(equation: Equation, numbers: Numbers | None = None) -> tuple[str, str]:
        left = side_text(equation.left, proof.function, glyphs, numbers)
        return left, side_text(equation.right, proof.function, glyphs, numbers)

    for index, equation in enumerate(proof.equations):
        head = _Entry(equation.number, _rule_text(equation.rule, glyphs), sides(equation))
        if result is None:
            yield head
            continue
        line = result.lines[index]
        rows = _shown_rows(result, line)
        numbers = Numbers(result.x, result.a, (rows[0].element or 1) - 1)
        yield head._replace(numbers=sides(equation, numbers), line=line, rows=rows)


def _shown_rows(result: FormatProof, line: Line) -> Sequence[Row]:
    """Return the rows to show: all if few, or else the first, last, largest and worst."""
    rows, last = line.rows, result.lines[-1].rows
    if len(rows) <= _MOST_ROWS:
        return rows
    worst = max(range(len(rows)), key=lambda index: last[index].right.ulps)
    largest = max(range(len(rows)), key=lambda index: float(last[index].right.nearest))
    return [rows[index] for index in sorted({0, largest, worst, len(rows) - 1})]


def _exact_text(quantity: Quantity) -> str:
    """Return an exact value, correctly rounded, with any exponent."""
    decimal = quantity.decimal
    if decimal is None:
        return number_text(quantity.nearest)
    in_full = -5 <= decimal.adjusted() < 16
    mantissa, mark, exponent = f"{decimal:{'f' if in_full else 'e'}}".partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}" if mark else mantissa


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


def _setting(proof: Proof, result: FormatProof, glyphs: Glyphs) -> str:
    """Return the numbers, the shift and the format of a derivation."""
    numbers = counted(len(result.x), "number")
    return f"{numbers}, a = {shift_text(result, glyphs)}, in {result.format}"


def _title(proof: Proof, result: FormatProof | None, glyphs: Glyphs) -> str:
    """Return the title: the function, the numbers, the shift and the format."""
    if result is None:
        return f"{_heading(proof)}, for any a"
    return f"{_heading(proof)}: {_setting(proof, result, glyphs)}"


def _conclusions(
    proof: Proof, result: FormatProof, glyphs: Glyphs
) -> Iterator[tuple[Verdict, str]]:
    """Yield the conclusions, each with its verdict."""
    if all(row.holds for line in result.lines for row in line.rows):
        yield (
            Verdict.RIGHT,
            "In exact arithmetic, both sides of every line are equal, whatever a is.",
        )
    if result.departs is None:
        most = max(line.ulps for line in result.lines)
        most_text = f"every line holds: {ulps_text(most)} at most"
        held = most_text if most else "both sides of every line are correctly rounded"
        yield Verdict.RIGHT, f"In {result.format} {held}."
    else:
        line = result.lines[result.departs - 1]
        row = next(row for row in line.rows if row.verdict is line.verdict)
        why = _why(row, glyphs)
        if not row.origins and row.left.verdict is row.verdict:
            why = f"the left side is {_error_text(row.left)}"
        fails = "fails" if line.verdict.is_broken else "loses digits"
        yield line.verdict, f"In {result.format} line {line.number} {fails} first: {why}."
    yield from _computed(proof, result, glyphs)


def _computed(proof: Proof, result: FormatProof, glyphs: Glyphs) -> Iterator[tuple[Verdict, str]]:
    """Yield the line to compute, and what to do if it fails too."""
    line = result.lines[result.compute - 1]
    worst = max(line.rows, key=lambda row: row.right.ulps)
    name = f"p_{worst.element} = " if worst.element is not None else ""
    value, error = glyphs.number(worst.right.value), _error_text(worst.right)
    if line.verdict is Verdict.RIGHT:
        bound = f"no p_j is more than {error}" if worst.right.ulps else f"every p_j is {error}"
        outcome = bound if name else f"{value}, {error}"
        yield Verdict.RIGHT, f"Compute line {line.number}: {outcome}."
        return
    sentence = f"Line {line.number} is the one to compute, but here it gives {name}{value}."
    yield line.verdict, sentence
    others = [("With a = max it", result.with_max)] if result.with_max is not None else []
    if not others or others[0][1].verdict is not Verdict.RIGHT:
        others.append((f"stablelse.{proof.function.value}", result.library))
    for subject, quantity in others:
        value = glyphs.number(quantity.value)
        yield quantity.verdict, f"{subject} gives {value}, {_error_text(quantity)}."


@picture
def proof_picture(proof: Proof, glyphs: Glyphs, width: int) -> Iterator[Text]:
    """Yield the lines in symbols, their values, and the lines with numbers."""
    yield hanging(
        _heading(proof) if proof.results else _title(proof, None, glyphs), width, 1, "bold"
    )
    yield Text()
    yield from _symbols(list(_entries(proof, None, glyphs)), width)
    for result in proof.results:
        entries = list(_entries(proof, result, glyphs))
        yield Text()
        yield hanging(_setting(proof, result, glyphs), width, 1, "bold")
        yield from _values(result.format, entries, glyphs, width)
        for verdict, sentence in _conclusions(proof, result, glyphs):
            head = Text(f" {glyphs.mark(verdict)} ", VERDICT_STYLES[verdict])
            yield hanging(sentence, width, head.cell_len, VERDICT_STYLES[verdict], head)
        for entry in entries:
            yield Text()
            yield from _with_numbers(result.format, entry, glyphs, width)
    if not proof.results:
        symbol = proof.equations[0].left.symbol
        meaning = f"{symbol} does not depend on a. Choose a = max x_i, and no term overflows."
        yield Text()
        yield hanging(meaning, width, 1, "dim")
    yield Text()


def _symbols(entries: Sequence[_Entry], width: int) -> Iterator[Text]:
    """Yield the equations next to their rules, or below them if there is no room."""
    rows: list[list[Text | str]] = [
        [str(entry.number), Text(" = ".join(entry.symbols), "bold"), Text(entry.rule, "dim")]
        for entry in entries
    ]
    lines = list(grid(rows))
    if max(line.cell_len for line in lines) <= width:
        yield from lines
        return
    for entry in entries:
        yield hanging(f"{entry.number}  {entry.rule}", width, 1, "dim")
        yield hanging(" = ".join(entry.symbols), width, 4, "bold")


def _with_numbers(format_: str, entry: _Entry, glyphs: Glyphs, width: int) -> Iterator[Text]:
    """Yield a line with numbers, the parts of a fraction, and how good it is."""
    row = entry.rows[0]
    yield hanging(" = ".join(entry.numbers), width, 4, head=Text(f" {entry.number}  "))
    margin = max(len("exactly"), len(format_))
    for label in ("exactly", format_) if row.parts else ():
        *parts, value = (
            glyphs.number(_exact_text(part) if label == "exactly" else part.value)
            for part in (*row.parts, row.right)
        )
        begin = f"    {label:<{margin}}  "
        gap = " "
        if len(begin) + len(" / ".join(parts)) + len(value) + 3 > width:
            gap = f"\n{'':<{len(begin)}}"
        yield Text(f"{begin}{' / '.join(parts)}{gap}= {value}", no_wrap=True, overflow="ignore")
    style = VERDICT_STYLES[row.verdict]
    yield hanging(f"{glyphs.mark(row.verdict)} {_both(row, glyphs)}", width, 4, style)


def _values(format_: str, entries: Sequence[_Entry], glyphs: Glyphs, width: int) -> Iterator[Text]:
    """Yield the value of every line, exactly and in the format, with its mark."""

    def marked(side: Quantity) -> Text:
        text = f"{glyphs.number(side.value)} {glyphs.mark(side.verdict)}"
        return Text(text, VERDICT_STYLES[side.verdict])

    def exactly(row: Row) -> str:
        return glyphs.number(_exact_text(row.right))

    first = entries[0].rows
    table: list[list[Text | str]]
    if not first[0].element:
        table = [["", "both sides, exactly", f"left in {format_}", f"right in {format_}"]]
        for entry in entries:
            (row,) = entry.rows
            table.append([str(entry.number), exactly(row), marked(row.left), marked(row.right)])
    else:
        table = [["", *(f"p_{row.element}" for row in first)], ["exactly", *map(exactly, first)]]
        table += [[str(e.number), *(marked(row.right) for row in e.rows)] for e in entries]
        if max(line.cell_len for line in grid(table)) > width:
            table = [["", "", "exactly", f"right in {format_}"]]
            for entry in entries:
                names = [str(entry.number), *[""] * (len(entry.rows) - 1)]
                for name, row in zip(names, entry.rows, strict=True):
                    table.append([name, f"p_{row.element}", exactly(row), marked(row.right)])
    yield from grid(table)
    if entries[0].line and (more := len(entries[0].line.rows) - len(first)):
        yield hanging(f"and {more:,} more elements", width, 4, "dim")


def _value_table(result: FormatProof, entries: Sequence[_Entry]) -> Iterator[list[str]]:
    """Yield the head and the rows of a table: each line and its values."""
    is_scalar = result.lines[0].rows[0].element is None
    sides = ["left", "right"] if is_scalar else ["right"]
    yield ["line", "", "exactly", *(f"{side} in {result.format}" for side in sides), ""]
    for entry in entries:
        numbers = [str(entry.number), *[""] * (len(entry.rows) - 1)]
        for number, row in zip(numbers, entry.rows, strict=True):
            name = "" if is_scalar else f"$p_{{{row.element}}}$"
            values = [_exact_text(row.right), *(getattr(row, side).value for side in sides)]
            cells = [f"${LATEX.number(value)}$" for value in values]
            yield [number, name, *cells, _both(row, LATEX)]


def markdown_lines(proof: Proof) -> Iterator[str]:
    """Yield the derivation in Markdown, with its formulas in dollars."""
    for number, result in enumerate(proof.results or (None,)):
        entries = list(_entries(proof, result, LATEX))
        yield from [""] * bool(number)
        title = _title(proof, result, UNICODE)
        yield "## " + re.sub(r"[\\`*_\[\]<>|$#~&]", r"\\\g<0>", title)
        equations = [["", "equation", "by"]]
        for entry in entries:
            equations.append([str(entry.number), f"${' = '.join(entry.symbols)}$", entry.rule])
            if result is not None:
                equations.append(["", f"${' = '.join(entry.numbers)}$", ""])
        for table in (equations, list(_value_table(result, entries)) if result else []):
            for index, cells in enumerate(table):
                yield from [""] * (index == 0)
                yield f"| {' | '.join(cells)} |".replace("  ", " ")
                yield from [f"|--:|{':--|' * (len(cells) - 1)}"] * (index == 0)
        if result is not None:
            yield ""
            for verdict, sentence in _conclusions(proof, result, UNICODE):
                yield f"- {UNICODE.mark(verdict)} {sentence}"


def latex_lines(proof: Proof) -> Iterator[str]:
    """Yield the derivation in LaTeX (with amsmath): an align*, and a tabular per format."""
    for result in proof.results or (None,):
        entries = list(_entries(proof, result, LATEX))
        equations = []
        for entry in entries:
            equation = rf"  {' &= '.join(entry.symbols)} && \text{{{entry.rule}}}"
            if result is not None:
                equation += f" \\\\\n  {' &= '.join(entry.numbers)}"
            equations.append(equation)
        yield f"% {_title(proof, result, ASCII)}; needs amsmath"
        yield r"\begin{align*}"
        yield (" \\\\\n" if result is None else " \\\\[1ex]\n").join(equations)
        yield r"\end{align*}"
        if result is not None:
            heads, *rows = _value_table(result, entries)
            yield rf"\begin{{tabular}}{{r{'l' * (len(heads) - 1)}}}"
            yield rf"  {' & '.join(heads)} \\ \hline".replace("_", r"\_")
            yield from (rf"  {' & '.join(cells)} \\" for cells in rows)
            yield r"\end{tabular}"


def _equations(proof: Proof) -> list[dict[str, Any]]:
    """Return the equations for records, as text."""
    entries = _entries(proof, None, ASCII)
    return [
        {"number": e.number, "rule": equation.rule.value, "equation": " = ".join(e.symbols)}
        for e, equation in zip(entries, proof.equations, strict=True)
    ]


def proof_record(proof: Proof) -> dict[str, Any]:
    """Return a derivation as a record: equations as text, exact values next to the format's."""
    names = [name for name in field_names(Proof) if name not in ("equations", "results", "x")]
    return {name: record(getattr(proof, name)) for name in names} | {
        "x": input_record(proof.x),
        "equations": _equations(proof),
        "results": [_plain(result) for result in proof.results],
    }


def _plain(value: Any) -> Any:
    """Return a record; exact values are text, because they may not fit any number."""
    if isinstance(value, Quantity):
        return {
            "exact": _exact_text(value),
            "value": json_number(value.value),
            "ulps": json_number(value.ulps),
            "verdict": value.verdict.value,
        }
    if hasattr(value, "_fields"):
        return {name: _plain(getattr(value, name)) for name in value._fields}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return record(value)


def proof_rows(proof: Proof) -> Iterator[dict[str, Any]]:
    """Yield a row per format, line and element, or a row per line without numbers."""
    names = ("function", "source", "row", "column", "n")
    own = {name: record(getattr(proof, name)) for name in names}
    results: Sequence[FormatProof | None] = proof.results or (None,)
    for result in results:
        head = own
        if result is not None:
            shift = {"shift": result.shift, "a": number_text(result.a)}
            head = own | {"format": result.format} | shift
        for index, equation in enumerate(_equations(proof)):
            cells = head | {"line": equation.pop("number")} | equation
            if result is None:
                yield cells
            else:
                line = result.lines[index]
                yield from (cells | _row_cells(line, row) for row in line.rows)


def _row_cells(line: Line, row: Row) -> dict[str, Any]:
    return {
        "element": row.element,
        "holds": row.holds,
        "digits": line.digits,
        "exact": _exact_text(row.right),
        "left": number_text(row.left.value),
        "right": number_text(row.right.value),
        "ulps": number_text(row.right.ulps),
        "verdict": VERDICT_WORDS[row.verdict].replace(" ", "_"),
        "why": _why(row, ASCII) if row.origins else "",
    }
