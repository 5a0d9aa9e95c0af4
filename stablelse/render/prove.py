"""A derivation on the screen, as plain lines, in Markdown, in LaTeX, and as records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from stablelse.analysis.prove import (
    Equation,
    FormatProof,
    Line,
    Origin,
    Proof,
    Quantity,
    Row,
    Rule,
)
from stablelse.analysis.results import Verdict
from stablelse.numerics.functions import Function
from stablelse.render.layout import VERDICT_STYLES, glyphs_for, grid, hanging
from stablelse.render.notation import (
    ASCII,
    LATEX,
    UNICODE,
    Glyphs,
    Notation,
    Numbers,
    applied_text,
    screen,
    side_text,
)
from stablelse.render.numbers import json_number, number_text, place_text
from stablelse.render.records import field_names, input_record, record
from stablelse.render.words import FUNCTION_NAMES, VERDICT_WORDS, shift_text, ulps_text

#: What leads to a line: on a screen as it stands, in LaTeX with what is in braces in dollars.
_RULES: dict[Rule, str] = {
    Rule.DEFINITION: "the definition",
    Rule.EXPONENTIATE: "exponentiate both sides",
    Rule.MULTIPLY: "multiply both sides by {e^-a}, for any {a}",
    Rule.TAKE_INTO_SUM: "take it into the sum, and add the exponents",
    Rule.TAKE_LOGARITHM: "take the logarithm of both sides",
    Rule.ADD: "add {a} to both sides",
    Rule.EXPAND: "multiply by {C / C}, any {C > 0}",
    Rule.DISTRIBUTE: "take {C} into the sum",
    Rule.TAKE_INTO_EXPONENT: "{C = e^(log C)}",
    Rule.CHOOSE: "choose {log C = -a}, for any {a}",
}

#: The most elements that are shown one by one.
_MOST_ROWS = 4

_Side = tuple[str, str]


def rule_text(rule: Rule, glyphs: Glyphs) -> str:
    """Return what leads to a line, for a screen."""
    formula = _RULES[rule].replace("{", "").replace("}", "")
    return formula.replace("-a", f"{glyphs.minus}a")


def latex_rule(rule: Rule) -> str:
    """Return what leads to a line, with the formulas in dollars."""
    text = _RULES[rule].replace("e^-a", "e^[-a]").replace("e^(log C)", r"e^[\log C]")
    text = text.replace("{log", r"{\log").replace("{", "$").replace("}", "$")
    return text.replace("[", "{").replace("]", "}")


def equation_text(
    equation: Equation, function: Function, notation: Notation, numbers: Numbers | None = None
) -> _Side:
    """Return both sides of an equation, in symbols or with numbers put in."""
    left = side_text(equation.left, function, notation, numbers)
    return left, side_text(equation.right, function, notation, numbers)


def shown_rows(result: FormatProof, line: Line) -> list[Row]:
    """Return the rows to show: all of a few, else the first, the last, the largest, the worst."""
    rows = line.rows
    if len(rows) <= _MOST_ROWS:
        return list(rows)
    last = result.lines[-1].rows
    worst = max(range(len(rows)), key=lambda index: last[index].right.ulps)
    largest = max(range(len(rows)), key=lambda index: float(last[index].right.nearest))
    return [rows[index] for index in sorted({0, largest, worst, len(rows) - 1})]


def numbers_for(result: FormatProof, line: Line) -> Numbers:
    """Return what is put in for the symbols: of softmax, for the first element that is shown."""
    return Numbers(result.x, result.a, (shown_rows(result, line)[0].element or 1) - 1)


def exact_text(quantity: Quantity) -> str:
    """Return an exact value, correctly rounded, with whatever exponent it has."""
    decimal = quantity.decimal
    if decimal is None:
        return number_text(quantity.nearest)
    in_full = -5 <= decimal.adjusted() < 16
    mantissa, mark, exponent = f"{decimal:{'f' if in_full else 'e'}}".partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}" if mark else mantissa


def _fraction(row: Row, notation: Notation, *, exactly: bool) -> str:
    """Return a side with its value, as the quotient it is: ``inf / inf = NaN``."""
    quantities = (*row.parts, row.right)
    texts = [
        notation.number(exact_text(quantity) if exactly else quantity.value).text
        for quantity in quantities
    ]
    return " = ".join([" / ".join(texts[:-1]), texts[-1]]) if row.parts else texts[-1]


def _error_text(quantity: Quantity) -> str:
    """Return how far off a value is."""
    if quantity.ulps == 0:
        return "correctly rounded"
    return "no digit is right" if quantity.ulps == inf else ulps_text(quantity.ulps)


def _why(row: Row, notation: Notation) -> str:
    """Return what broke the right side, or how far off it is."""
    dollar = "$" * (notation is LATEX)
    causes = [f"{dollar}{_origin_text(origin, notation)}{dollar}" for origin in row.origins]
    return ", ".join(causes) or _error_text(row.right)


def _both(row: Row, notation: Notation) -> str:
    """Return how good both sides are; only the right one if the left one is right."""
    if row.element or row.left.verdict in (row.right.verdict, Verdict.RIGHT):
        return _why(row, notation)
    return f"left side {_error_text(row.left)}, right side {_why(row, notation)}"


def _origin_text(origin: Origin, notation: Notation) -> str:
    what = notation.sum.strip()
    if origin.operands:
        what = applied_text(origin.kind, origin.operands, notation)
    return f"{what} = {notation.number(origin.value).text}"


def _heading(proof: Proof) -> str:
    place = place_text(proof)
    return f"{place}: " * bool(place) + f"{FUNCTION_NAMES[proof.function]}, line by line"


def _setting(proof: Proof, result: FormatProof, glyphs: Glyphs) -> str:
    """Return on what numbers, with what shift, and in what format."""
    plural = "number" if proof.n == 1 else "numbers"
    return f"{proof.n:,} {plural}, a = {shift_text(result, glyphs)}, in {result.format}"


def title_text(proof: Proof, result: FormatProof | None, glyphs: Glyphs) -> str:
    """Return what is derived, of what numbers, with what shift, in what format."""
    if result is None:
        return f"{_heading(proof)}, for any a"
    return f"{_heading(proof)}: {_setting(proof, result, glyphs)}"


def conclusions(proof: Proof, result: FormatProof, glyphs: Glyphs) -> Iterator[tuple[Verdict, str]]:
    """Yield what the lines show, each with its verdict."""
    notation = screen(glyphs)
    if all(row.holds for line in result.lines for row in line.rows):
        yield Verdict.RIGHT, "Exactly, both sides of every line are equal, whatever a is."
    if result.departs is None:
        most = max(line.ulps for line in result.lines)
        most_text = f"every line holds: {ulps_text(most)} at most"
        held = most_text if most else "both sides of every line are correctly rounded"
        yield Verdict.RIGHT, f"In {result.format} {held}."
    else:
        line = result.lines[result.departs - 1]
        row = next(row for row in line.rows if row.verdict is line.verdict)
        why = _why(row, notation)
        if not row.origins and row.left.verdict is row.verdict:
            why = f"the left side is {_error_text(row.left)}"
        fails = "fails" if line.verdict.is_broken else "loses digits"
        yield line.verdict, f"In {result.format} line {line.number} {fails} first: {why}."
    yield from _computed(proof, result, glyphs)


def _computed(proof: Proof, result: FormatProof, glyphs: Glyphs) -> Iterator[tuple[Verdict, str]]:
    """Yield which line to compute, and what to do if that line fails too."""
    line = result.lines[result.compute - 1]
    worst = max(line.rows, key=lambda row: row.right.ulps)
    name = f"p_{worst.element} = " if worst.element is not None else ""
    value, error = glyphs.number(worst.right.value), _error_text(worst.right)
    if line.verdict is Verdict.RIGHT:
        bound = f"no p_j is more than {error}" if worst.right.ulps else f"every p_j is {error}"
        outcome = bound if name else f"{value}, {error}"
        yield Verdict.RIGHT, f"Compute line {line.number}: {outcome}."
        return
    yield (
        line.verdict,
        f"Line {line.number} is the one to compute, but here it gives {name}{value}.",
    )
    others = [("With a = max it", result.with_max)] if result.with_max is not None else []
    if not others or others[0][1].verdict is not Verdict.RIGHT:
        others.append((f"stablelse.{proof.function.value}", result.library))
    for subject, quantity in others:
        value = glyphs.number(quantity.value)
        yield quantity.verdict, f"{subject} gives {value}, {_error_text(quantity)}."


class ProofPicture:
    """A derivation, for a console of any width and encoding."""

    def __init__(self, proof: Proof) -> None:
        self.proof = proof

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines in symbols, what they come to, and the lines with numbers put in."""
        proof, glyphs, width = self.proof, glyphs_for(options), options.max_width
        title = _heading(proof) if proof.results else title_text(proof, None, glyphs)
        yield hanging(title, width, 1, "bold")
        yield Text()
        yield from self._symbols(glyphs, width)
        for result in proof.results:
            yield Text()
            yield hanging(_setting(proof, result, glyphs), width, 1, "bold")
            yield from _values(result, glyphs, width)
            for verdict, sentence in conclusions(proof, result, glyphs):
                style = VERDICT_STYLES[verdict]
                head = Text(f" {glyphs.mark(verdict)} ", style)
                yield hanging(sentence, width, head.cell_len, style, head)
            yield from self._numbers(result, glyphs, width)
        if not proof.results:
            yield Text()
            symbol = proof.equations[0].left.symbol
            meaning = f"{symbol} does not depend on a. Choose a = max x_i, and no term overflows."
            yield hanging(meaning, width, 1, "dim")
        yield Text()

    def _symbols(self, glyphs: Glyphs, width: int) -> Iterator[Text]:
        rows: list[list[Text | str]] = []
        for equation in self.proof.equations:
            sides = equation_text(equation, self.proof.function, screen(glyphs))
            rule = Text(rule_text(equation.rule, glyphs), "dim")
            rows.append([str(equation.number), Text(" = ".join(sides), "bold"), rule])
        lines = list(grid(rows))
        if max(line.cell_len for line in lines) <= width:
            yield from lines
            return
        for number, symbols, rule_cell in rows:
            yield hanging(f"{number}  {rule_cell}", width, 1, "dim")
            yield hanging(str(symbols), width, 4, "bold")

    def _numbers(self, result: FormatProof, glyphs: Glyphs, width: int) -> Iterator[Text]:
        """Yield every line with numbers put in, and of a fraction its parts."""
        notation = screen(glyphs)
        margin = max(len("exactly"), len(result.format))
        for equation, line in zip(self.proof.equations, result.lines, strict=True):
            yield Text()
            numbers = numbers_for(result, line)
            sides = equation_text(equation, self.proof.function, notation, numbers)
            head = Text(f" {equation.number}  ")
            yield hanging(" = ".join(sides), width, 4, head=head)
            row = shown_rows(result, line)[0]
            if row.parts:
                yield _value_line("exactly", margin, _fraction(row, notation, exactly=True), width)
                value = _fraction(row, notation, exactly=False)
                yield _value_line(result.format, margin, value, width)
            style = VERDICT_STYLES[row.verdict]
            yield hanging(f"{glyphs.mark(row.verdict)} {_both(row, notation)}", width, 4, style)


def _value_line(label: str, margin: int, value: str, width: int) -> Text:
    """Return a quotient; where it is too wide, its value stands on a line of its own."""
    begin = f"    {label:<{margin}}  "
    if len(begin) + len(value) > width:
        above, _, below = value.partition(" = ")
        value = f"{above}\n{'':<{len(begin)}}= {below}"
    return Text(f"{begin}{value}", no_wrap=True, overflow="ignore")


def _values(result: FormatProof, glyphs: Glyphs, width: int) -> Iterator[Text]:
    """Yield the value of every line, exactly and in the format, with its mark."""

    def marked(side: Quantity) -> Text:
        text = f"{notation.number(side.value).text} {glyphs.mark(side.verdict)}"
        return Text(text, VERDICT_STYLES[side.verdict])

    notation = screen(glyphs)
    lines = [(str(line.number), shown_rows(result, line)) for line in result.lines]
    exactly = [[notation.number(exact_text(row.right)).text for row in rows] for _, rows in lines]
    first = lines[0][1]
    if not first[0].element:
        table: list[list[Text | str]] = [
            ["", "both sides, exactly", f"left in {result.format}", f"right in {result.format}"]
        ]
        for (number, (row,)), (text,) in zip(lines, exactly, strict=True):
            table.append([number, text, marked(row.left), marked(row.right)])
    else:
        table = [["", *(f"p_{row.element}" for row in first)], ["exactly", *exactly[0]]]
        table += [[number, *(marked(row.right) for row in rows)] for number, rows in lines]
        if max(line.cell_len for line in grid(table)) > width:
            table = [["", "", "exactly", f"right in {result.format}"]]
            for (number, rows), texts in zip(lines, exactly, strict=True):
                for row, text in zip(rows, texts, strict=True):
                    first_cell = number if row is rows[0] else ""
                    table.append([first_cell, f"p_{row.element}", text, marked(row.right)])
    yield from grid(table)
    if more := len(result.lines[0].rows) - len(first):
        yield hanging(f"and {more:,} more elements", width, 4, "dim")


def plain_lines(proof: Proof) -> Iterator[str]:
    """Yield the derivation as plain lines: the equations, and what each comes to."""
    notation = screen(ASCII)
    for result in proof.results or (None,):
        yield title_text(proof, result, ASCII)
        for equation in proof.equations:
            symbols = " = ".join(equation_text(equation, proof.function, notation))
            yield f"{equation.number}. {symbols} ({rule_text(equation.rule, ASCII)})"
            if result is None:
                continue
            line = result.lines[equation.number - 1]
            numbers = numbers_for(result, line)
            yield f"    {' = '.join(equation_text(equation, proof.function, notation, numbers))}"
            for row in shown_rows(result, line):
                name = f"p_{row.element}, " if row.element else ""
                yield f"    {name}exactly: {_fraction(row, notation, exactly=True)}"
                if not row.element:
                    left = ASCII.number(row.left.value)
                    yield f"    left in {result.format}: {left} ({_error_text(row.left)})"
                word = f"broken: {_why(row, notation)}" if row.origins else _why(row, notation)
                value = _fraction(row, notation, exactly=False)
                yield f"    {name}right in {result.format}: {value} ({word})"
        if result is not None:
            yield from (sentence for _, sentence in conclusions(proof, result, ASCII))


def _value_cells(result: FormatProof, line: Line) -> Iterator[list[str]]:
    """Yield of each shown row in LaTeX: name, exact value, left if it is not p_j, right, why."""
    for row in shown_rows(result, line):
        sides = [row.right] if row.element else [row.left, row.right]
        values = [LATEX.number(text).text for text in (exact_text(row.right),)]
        values += [LATEX.number(side.value).text for side in sides]
        name = f"p_{{{row.element}}}" if row.element else ""
        yield [name, *(f"${value}$" for value in values), _both(row, LATEX)]


def _value_heads(result: FormatProof) -> list[str]:
    per_element = result.lines[0].rows[0].element is not None
    sides = ["right"] if per_element else ["left", "right"]
    return ["exactly", *(f"{side} in {result.format}" for side in sides), ""]


def _latex(proof: Proof, equation: Equation, numbers: Numbers | None = None) -> str:
    return " = ".join(equation_text(equation, proof.function, LATEX, numbers))


def markdown_lines(proof: Proof) -> Iterator[str]:
    """Yield the derivation in Markdown: a table a format, its formulas in dollars."""
    for number, result in enumerate(proof.results or (None,)):
        if number:
            yield ""
        yield f"## {title_text(proof, result, UNICODE)}"
        yield ""
        heads = ["", "equation", "by", *(_value_heads(result) if result else ())]
        yield f"| {' | '.join(heads)} |".replace("  ", " ")
        yield f"|--:|{':--|' * (len(heads) - 1)}"
        for equation in proof.equations:
            head = [str(equation.number), f"${_latex(proof, equation)}$", latex_rule(equation.rule)]
            rows = [head]
            if result is not None:
                line = result.lines[equation.number - 1]
                rows.append(["", f"${_latex(proof, equation, numbers_for(result, line))}$", ""])
                cells = list(_value_cells(result, line))
                rows += [[""] * 3] * (len(cells) - 2)
                cells += [[""] * len(cells[0])] * (len(rows) - len(cells))
                for row, (name, exact, *rest) in zip(rows, cells, strict=True):
                    row_name = f"${name} = {exact[1:]}" if name else exact
                    yield f"| {' | '.join([*row, row_name, *rest])} |".replace("  ", " ")
            else:
                yield f"| {' | '.join(head)} |"
        if result is not None:
            yield ""
            for verdict, sentence in conclusions(proof, result, UNICODE):
                yield f"- {UNICODE.mark(verdict)} {sentence}"


def latex_lines(proof: Proof) -> Iterator[str]:
    """Yield the derivation in LaTeX (with amsmath): an align* and a tabular a format."""
    for result in proof.results or (None,):
        yield f"% {title_text(proof, result, ASCII)}; needs amsmath"
        yield r"\begin{align*}"
        last = proof.equations[-1]
        for equation in proof.equations:
            sides = equation_text(equation, proof.function, LATEX)
            rule = rf"&& \text{{{latex_rule(equation.rule)}}}"
            end = "" if result is None and equation is last else r" \\"
            yield f"  {sides[0]} &= {sides[1]} {rule}{end}"
            if result is not None:
                numbers = numbers_for(result, result.lines[equation.number - 1])
                put_in = equation_text(equation, proof.function, LATEX, numbers)
                end = "" if equation is last else r" \\[1ex]"
                yield f"  {put_in[0]} &= {put_in[1]}{end}"
        yield r"\end{align*}"
        if result is not None:
            heads = " & ".join(_value_heads(result)).replace("_", r"\_")
            yield rf"\begin{{tabular}}{{r{'l' * (heads.count('&') + 2)}}}"
            yield rf"  line & & {heads} \\ \hline"
            for line in result.lines:
                for index, (name, *cells) in enumerate(_value_cells(result, line)):
                    number = "" if index else str(line.number)
                    yield rf"  {' & '.join([number, f'${name}$' if name else '', *cells])} \\"
            yield r"\end{tabular}"


def proof_record(proof: Proof) -> dict[str, Any]:
    """Return a derivation as a record: the equations as text, exact values beside the format's."""
    names = [name for name in field_names(Proof) if name not in ("equations", "results", "x")]
    return {name: record(getattr(proof, name)) for name in names} | {
        "x": input_record(proof.x),
        "equations": [
            {
                "number": equation.number,
                "rule": equation.rule.value,
                "equation": " = ".join(equation_text(equation, proof.function, screen(ASCII))),
            }
            for equation in proof.equations
        ],
        "results": [_plain(result) for result in proof.results],
    }


def _plain(value: Any) -> Any:
    """Return a record; the exact value of a quantity is text, because it may fit no number."""
    if isinstance(value, Quantity):
        return {
            "exact": exact_text(value),
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
    """Yield a row per line and element, format by format; one per line if there are no numbers."""
    own = {
        name: record(getattr(proof, name)) for name in ("function", "source", "row", "column", "n")
    }
    results: Sequence[FormatProof | None] = proof.results or (None,)
    for result in results:
        head = own
        if result is not None:
            shift = {"shift": result.shift, "a": number_text(result.a)}
            head = own | {"format": result.format} | shift
        for equation in proof.equations:
            left, right = equation_text(equation, proof.function, screen(ASCII))
            cells = head | {
                "line": equation.number,
                "rule": equation.rule.value,
                "equation": f"{left} = {right}",
            }
            if result is None:
                yield cells
                continue
            line = result.lines[equation.number - 1]
            yield from (cells | _row_cells(line, row) for row in line.rows)


def _row_cells(line: Line, row: Row) -> dict[str, Any]:
    return {
        "element": row.element,
        "holds": row.holds,
        "digits": line.digits,
        "exact": exact_text(row.right),
        "left": number_text(row.left.value),
        "right": number_text(row.right.value),
        "ulps": number_text(row.right.ulps),
        "verdict": VERDICT_WORDS[row.verdict].replace(" ", "_"),
        "why": _why(row, screen(ASCII)) if row.origins else "",
    }
