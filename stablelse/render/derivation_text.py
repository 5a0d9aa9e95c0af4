"""A derivation as text: plain lines, Markdown, LaTeX, and records for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stablelse.analysis.derivation import Equation
from stablelse.analysis.proof import FormatProof, Line, Proof, Quantity, Row
from stablelse.render.derivation_wording import (
    conclusions,
    decimal_text,
    equation_text,
    exact_text,
    latex_rule,
    numbers_for,
    origin_text,
    rule_text,
    shown_rows,
    title_text,
    told_rows,
    ulps_word,
    word_text,
)
from stablelse.render.notation import LATEX, Numbers, latex_number, latex_text, screen
from stablelse.render.numbers import json_number, number_text
from stablelse.render.records import input_record, record
from stablelse.render.wording import ASCII, UNICODE, VERDICT_WORDS


def plain_lines(proof: Proof) -> Iterator[str]:
    """Yield the derivation as plain lines: the equations, and what each comes to."""
    for result in proof.results or (None,):
        yield title_text(proof, result, ASCII)
        for equation in proof.equations:
            symbols = " = ".join(equation_text(equation, proof.function, screen(ASCII)))
            yield f"{equation.number}. {symbols} ({rule_text(equation.rule, ASCII)})"
            if result is None:
                continue
            line = result.lines[equation.number - 1]
            numbers = numbers_for(result, line)
            sides = equation_text(equation, proof.function, screen(ASCII), numbers)
            yield f"    {' = '.join(sides)}"
            for row in told_rows(line, ASCII):
                name = f"{row.name}, " if row.name else ""
                yield f"    {name}exactly: {row.exact}"
                word = f"broken: {row.word}" if row.verdict.is_broken else row.word
                yield f"    {name}{result.format}: {row.rounded} ({word})"
        if result is not None:
            yield from (sentence for _, sentence in conclusions(proof, result, ASCII))


def markdown_lines(proof: Proof) -> Iterator[str]:
    """Yield the derivation in Markdown: a table a format, its formulas in dollars."""
    for number, result in enumerate(proof.results or (None,)):
        if number:
            yield ""
        yield f"## {title_text(proof, result, UNICODE)}"
        yield ""
        if result is None:
            yield "| | equation | by |"
            yield "|--:|:--|:--|"
            for equation in proof.equations:
                rule = latex_rule(equation.rule)
                yield f"| {equation.number} | ${_latex(proof, equation)}$ | {rule} |"
            continue
        yield f"| | equation | by | exactly | {result.format} | |"
        yield "|--:|:--|:--|:--|:--|:--|"
        for equation in proof.equations:
            line = result.lines[equation.number - 1]
            put_in = _latex(proof, equation, numbers_for(result, line))
            heads = [
                f"{equation.number} | ${_latex(proof, equation)}$ | {latex_rule(equation.rule)}",
                f" | ${put_in}$ | ",
            ]
            cells = [_named_cells(row) for row in shown_rows(line)]
            cells += [("", "", "")] * (len(heads) - len(cells))
            heads += [" | | "] * (len(cells) - len(heads))
            for head, values in zip(heads, cells, strict=True):
                yield f"| {head} | {' | '.join(values)} |".replace("  ", " ")
        yield ""
        for verdict, sentence in conclusions(proof, result, UNICODE):
            mark = UNICODE.mark(verdict)
            yield f"- {mark} {sentence}"


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
            yield from _tabular(result)


def _tabular(result: FormatProof) -> Iterator[str]:
    """Yield a table of what every line comes to."""
    yield r"\begin{tabular}{rllll}"
    yield rf"  line & & exactly & {result.format.replace('_', chr(92) + '_')} & \\ \hline"
    for line in result.lines:
        for index, row in enumerate(shown_rows(line)):
            number = "" if index else str(line.number)
            name = "" if row.element is None else f"$p_{{{row.element}}}$"
            exact, value, word = _cells(row)
            yield rf"  {number} & {name} & {exact} & {value} & {word} \\"
    yield r"\end{tabular}"


def _latex(proof: Proof, equation: Equation, numbers: Numbers | None = None) -> str:
    return " = ".join(equation_text(equation, proof.function, LATEX, numbers))


def _cells(row: Row) -> tuple[str, str, str]:
    """Return what a row comes to exactly, in the format, and what became of it there."""
    right = row.right
    beyond = right.decimal is not None
    exact = latex_text(decimal_text(right)) if beyond else latex_number(right.nearest)
    word = ", ".join(f"${origin_text(origin, LATEX)}$" for origin in row.origins)
    return f"${exact}$", f"${latex_number(right.value)}$", word or ulps_word(right)


def _named_cells(row: Row) -> tuple[str, str, str]:
    """Return the same, of softmax with the element's name before it."""
    exact, value, word = _cells(row)
    if row.element is None:
        return exact, value, word
    return f"$p_{{{row.element}}} = {exact[1:]}", value, word


def proof_record(proof: Proof) -> dict[str, Any]:
    """Return a derivation as a record: the equations as text, exact values beside the format's."""
    names = [name for name in proof._fields if name not in ("equations", "results", "x")]
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
        "results": [_result_record(result) for result in proof.results],
    }


def _result_record(result: FormatProof) -> dict[str, Any]:
    names = [name for name in result._fields if name not in ("x", "lines")]
    fields = {name: _value_record(getattr(result, name)) for name in names}
    return fields | {
        "x": record(result.x),
        "lines": [
            {
                name: [_row_record(row) for row in line.rows]
                if name == "rows"
                else record(getattr(line, name))
                for name in line._fields
            }
            for line in result.lines
        ],
    }


def _row_record(row: Row) -> dict[str, Any]:
    return {
        name: [_value_record(part) for part in row.parts]
        if name == "parts"
        else _value_record(getattr(row, name))
        for name in row._fields
    }


def _value_record(value: Any) -> Any:
    """Return a record; of a quantity the exact value as text, as no number may hold it."""
    if not isinstance(value, Quantity):
        return record(value)
    return {
        "exact": exact_text(value, ASCII),
        "value": json_number(value.value),
        "ulps": json_number(value.ulps),
        "verdict": value.verdict.value,
    }


def proof_rows(proof: Proof) -> Iterator[dict[str, Any]]:
    """Yield a row per line and element, format by format; one per line if there are no numbers."""
    own = {
        name: record(getattr(proof, name)) for name in ("function", "source", "row", "column", "n")
    }
    for equation in proof.equations if not proof.results else ():
        yield own | _equation_cells(proof, equation)
    for result in proof.results:
        head = {"format": result.format, "shift": result.shift, "a": number_text(result.a)}
        for equation, line in zip(proof.equations, result.lines, strict=True):
            cells = own | head | _equation_cells(proof, equation)
            yield from (cells | _row_cells(line, row) for row in line.rows)


def _equation_cells(proof: Proof, equation: Equation) -> dict[str, Any]:
    left, right = equation_text(equation, proof.function, screen(ASCII))
    return {
        "line": equation.number,
        "rule": equation.rule.value,
        "equation": f"{left} = {right}",
    }


def _row_cells(line: Line, row: Row) -> dict[str, Any]:
    return {
        "element": row.element,
        "holds": row.holds,
        "digits": line.digits,
        "exact": exact_text(row.right, ASCII),
        "left": number_text(row.left.value),
        "right": number_text(row.right.value),
        "ulps": number_text(row.right.ulps),
        "verdict": VERDICT_WORDS[row.right.verdict].replace(" ", "_"),
        "why": word_text(row, ASCII) if row.origins else "",
    }
