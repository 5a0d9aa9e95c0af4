"""The screen of a comparison: verdict, ruler, the methods side by side, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import numpy as np
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from stablelse.analysis.results import LOSSES, Comparison, Finding, MethodResult, Verdict
from stablelse.numerics.formats import FORMATS
from stablelse.numerics.formulas import Method
from stablelse.numerics.functions import Function, LossFunction
from stablelse.render import form
from stablelse.render.digits import (
    all_digits,
    entries_right,
    exact_entries,
    least_right,
    short_text,
    split_digits,
)
from stablelse.render.layout import (
    RULES,
    VERDICT_STYLES,
    glyphs_for,
    hanging,
    is_plain,
    plain_lines,
)
from stablelse.render.notation import operation_text
from stablelse.render.ruler import Line, exponents, ruler
from stablelse.render.wording import (
    KIND_WORDS,
    method_name,
    shift_text,
    symbol_text,
)
from stablelse.render.words import (
    CONSEQUENCES,
    DIGITS,
    RESULT_WORDS,
    Facts,
    title_text,
    unproved,
    why,
)

_HARMFUL, _HARMLESS = "bold red", "yellow"

#: The lines of a screen, without the prompt.
_SCREEN = 23

#: The most lines for elements, without --all.
_LINES = 6

#: The most ulps that a correctly rounded value is off.
_PROVED = 0.5

#: Up to this length, points that coincide are drawn side by side.
_SHORT = 12

#: The results of the whole vector, row by row below the elements: a method shows the first of
#: the symbols that its formula has.
_SCALARS: dict[Function | LossFunction, tuple[tuple[str, ...], ...]] = {
    Function.LOGSUMEXP: (("s",), ("l", "y"), ("a",), ("y",)),
    Function.SOFTMAX: (("s",), ("l",), ("y",)),
    Function.LOG_SOFTMAX: (("s",), ("l",)),
    LossFunction.LOSS: (("s",), ("l",), ("loss",)),
    LossFunction.GRADIENT: (("s",), ("l",)),
}


class _Words(Enum):
    """Which cells have words."""

    ALL = "all"
    HARM = "what did harm"
    NONE = "none"


#: How many digits cells and results have: the first entry that fits side by side is used.
_FULL = 40
_TRIES = (
    (DIGITS, _FULL, _Words.ALL),
    *((cells, _FULL, _Words.HARM) for cells in (DIGITS, 6, 5, 4)),
    *((DIGITS, DIGITS, _Words.HARM), (5, DIGITS, _Words.HARM)),
    *((digits, digits, _Words.NONE) for digits in (DIGITS, 5, 4, 3)),
)


class Screen:
    """The screen of a comparison, with so many digits, and a row for each element or for a few."""

    def __init__(
        self,
        comparison: Comparison,
        digits: int | None = None,
        every: bool = False,
        parts: Sequence[str] = ("verdict", "ruler", "table", "why"),
    ) -> None:
        self.comparison, self.digits, self.every = comparison, digits, every
        self.parts = parts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield for each format the verdict, the ruler, the table and the sentences."""
        by_format = groupby(self.comparison.results, key=lambda result: result.format)
        for _, results in by_format:
            yield from _Part(self, list(results), console, options).lines(self.parts)


def fitted(table: Table, console: Console) -> Text:
    """Return a table as text, as wide as it wants to be, without blanks at the ends of lines."""
    options = console.options.update(max_width=10_000)
    lines = console.render_lines(table, options, pad=False)
    texts = [Text.assemble(*((s.text, s.style or "") for s in line)) for line in lines]
    for text in texts:
        text.rstrip()
    return Text("\n", no_wrap=True, overflow="ignore").join(texts)


class _Part:
    """The methods in one format."""

    def __init__(
        self,
        screen: Screen,
        results: Sequence[MethodResult],
        console: Console,
        options: ConsoleOptions,
    ) -> None:
        self.comparison, self.every = screen.comparison, screen.every
        self.tries = ((screen.digits, screen.digits, _Words.HARM),) if screen.digits else _TRIES
        self.glyphs = glyphs_for(options)
        self.width = options.max_width
        self.marked = console.color_system is None or console.no_color
        self.console, self.options = console, options
        self.format = FORMATS[results[0].format]
        self.formulas = [r for r in results if r.method is not Method.EXACT]
        self.shown = self.formulas or list(results)
        best = next((r for r in results if r.method is Method.EXACT), None)
        self.bound = (None if best is None else best.error_bound) or _PROVED
        self.exact = exact_entries(self.comparison, self.format)
        self.right = [entries_right(result, self.exact) for result in self.shown]

    def lines(self, parts: Sequence[str]) -> Iterator[RenderableType]:
        """Yield what is on the screen from top to bottom, with blank lines if there is room."""
        draw = {
            "verdict": self._verdict,
            "ruler": self._ruler,
            "table": lambda: self._table(range(len(self.shown))),
            "why": self._why,
        }
        sections = [section for part in parts if (section := list(draw[part]()))]
        height = sum(1 + str(line).count("\n") for section in sections for line in section)
        for section in sections:
            yield from section
            if height + len(sections) <= _SCREEN or section is sections[-1]:
                yield Text()

    def name(self, result: MethodResult) -> str:
        """Return what a method is called among those that are shown."""
        namesakes = [other for other in self.formulas if other.method is result.method]
        return method_name(result) if len(namesakes) > 1 else result.method.value

    def number(self, value: Any, digits: int = DIGITS) -> str:
        """Return a number of a cell."""
        return self.glyphs.number(value) if not np.isfinite(value) else short_text(value, digits)

    def _verdict(self) -> Iterator[Text]:
        """Yield the first line: what was computed, the results and their marks."""
        title = Text(f" {title_text(self.comparison, self.glyphs)} in ")
        title.append(self.format.name, "bold")
        for digits in (_FULL, DIGITS, 5):
            outcomes = [self._outcome(result, digits) for result in self.formulas]
            line = Text("   ").join([title, *outcomes])
            if line.cell_len <= self.width:
                break
        else:
            line = Text("\n   ").join([title, Text("   ").join(outcomes)])
        yield line

    def _outcome(self, result: MethodResult, digits: int) -> Text:
        values = np.atleast_1d(result.value)
        odd = values[~np.isfinite(values)]
        text = ""
        if not np.ndim(result.value):
            text = self.number(result.value, digits)
        elif result.verdict.is_broken and odd.size:
            text = self.number(odd[np.argmax(np.isnan(odd))])
        mark = self.glyphs.mark(result.verdict)
        marked = " ".join(filter(None, (text, mark)))
        return Text.assemble(f"{self.name(result)} ", (marked, VERDICT_STYLES[result.verdict]))

    def _ruler(self) -> Iterator[Text]:
        if not self.formulas or is_plain(self.options):
            return iter(())
        shifted = {r.shift: r for r in self.formulas if r.shift is not None}
        lines = {"x": next((r for r in self.formulas if r.shift is None), None)}
        for shift, result in shifted.items():
            name = "a" if len(shifted) == 1 else shift
            lines[f"x {self.glyphs.minus} {name}"] = result
        first = lines["x"] or self.formulas[0]
        ends = [self.comparison.minimum, self.comparison.maximum]
        held = self.comparison.x if len(self.comparison.x) else np.array(ends, float)
        x = self.format.round(held)
        points = [
            Line(
                label,
                [float(v) for v in x] if label == "x" else exponents(result or first, x),
                _zero_is_harmless(result),
            )
            for label, result in lines.items()
        ]
        is_short = self.comparison.n <= _SHORT
        return ruler(points, self.format, self.glyphs, self.width, is_short)

    def _table(self, shown: Sequence[int], is_first: bool = True) -> Iterator[Text]:
        """Yield methods side by side, or where there is no room one below the other."""
        most = self.comparison.n if self.every else _LINES
        elements = chosen_elements(self.comparison, self.shown, most)
        for try_ in self.tries if len(shown) < 3 else self.tries[:6]:
            grid = Table.grid(padding=(0, 2, 0, 1))
            grid.add_row(*self._tables(elements, shown, try_))
            text = fitted(grid, self.console)
            if max(map(cell_len, text.plain.split("\n"))) <= self.width:
                break
        else:
            if len(shown) > 1:
                half = (len(shown) + 1) // 2
                yield from self._table(shown[:half], is_first)
                yield from self._table(shown[half:], False)
                return
        yield from [] if is_first else [Text()]
        yield text

    def _tables(
        self,
        elements: Sequence[int | None],
        shown: Sequence[int],
        try_: tuple[int, int, _Words],
    ) -> list[Table]:
        """Return a table a method; the labels and x are in the first."""
        evaluations = [e for e in (self.shown[place].evaluation for place in shown) if e]
        having = {symbol for evaluation in evaluations for symbol in evaluation.results}
        having |= {"loss"}
        rows = [names for names in _SCALARS[self.comparison.function] if having & set(names)]
        if not evaluations and self.comparison.function is Function.LOGSUMEXP:
            rows = [("y",)]
        tables = []
        for place in shown:
            columns = _Columns(self, place, *try_)
            result, heading = self.shown[place], columns.heading()
            table = Table(
                title=Text(heading, VERDICT_STYLES[result.verdict]),
                box=RULES,
                show_edge=False,
                pad_edge=False,
                border_style="dim",
                min_width=cell_len(heading),
                padding=(0, 0, 0, 1),
            )
            within = columns.all(elements, rows)
            if place == shown[0]:
                within = [*self._labels(elements, rows, result, try_[0]), *within]
            for header, _ in within:
                table.add_column(Text(header, "bold"), justify="right", no_wrap=True)
            lines = list(zip(*(texts for _, texts in within), strict=True))
            for number, line in enumerate(lines, 1):
                table.add_row(*line, end_section=number == len(elements) < len(lines))
            tables.append(table)
        return tables

    def _labels(
        self,
        elements: Sequence[int | None],
        rows: Sequence[tuple[str, ...]],
        result: MethodResult,
        digits: int,
    ) -> list[tuple[str, list[Text]]]:
        """Return the columns that name the rows: i, or the symbol, and x."""
        comparison, glyphs = self.comparison, self.glyphs
        x = self.format.round(comparison.x)
        b = None if comparison.weights is None else self.format.round(comparison.weights)
        names, cells, weights, before = [], [], [], 0
        for place, index in enumerate(elements):
            if index is None:
                after = [i for i in elements[place:] if i is not None][:1]
                end = comparison.elements[after[0]] if after else comparison.n
                names.append(Text(f"{end - before:,}", "dim"))
                cells.append(Text("more", "dim"))
                weights.append(Text())
                continue
            before = comparison.elements[index] + 1
            unfit = bool(np.isfinite(comparison.x[index]) and not np.isfinite(x[index]))
            word = " does not fit" if unfit else ""
            is_label = before - 1 == comparison.label
            names.append(Text("label " * is_label + f"{before:,}", "bold" * is_label))
            cells.append(Text(self.number(x[index], digits) + word, _HARMFUL if unfit else ""))
            if b is not None:
                finding = _found_at(result, "b", index)
                word = f" {KIND_WORDS[finding.kind]}" if finding else ""
                weights.append(Text(self.number(b[index], digits) + word, _HARMFUL * bool(finding)))
        names += [Text(symbol_text(result, symbols[0], glyphs), "bold") for symbols in rows]
        names += [Text("exact", "bold")] * self.has_exact_row
        columns = [("i", names), ("x", cells), *([] if b is None else [("b", weights)])]
        for _, column in columns[1:]:
            column += [Text()] * (len(names) - len(column))
        return columns if elements else [("", names)]

    @property
    def has_exact_row(self) -> bool:
        """Whether the exact value stands below: where digits were lost, or no method is right."""
        verdicts = {result.verdict for result in self.formulas}
        lost = verdicts & {Verdict.DIGITS_LOST, Verdict.NO_DIGITS}
        if self.exact is None or np.ndim(self.shown[0].value):
            return False
        lost_all = bool(verdicts) and Verdict.RIGHT not in verdicts
        return bool(np.isfinite(self.exact).all()) and (bool(lost) or lost_all)

    def _why(self) -> Iterator[Text]:
        """Yield a sentence or two a method."""
        names = [self.name(result) for result in self.formulas]
        width = max(map(len, names), default=0) + 2
        for result, name, right in zip(self.formulas, names, self.right, strict=False):
            exact, least = self.exact, np.array([least_right(result.ulps, self.format)])
            if not self.comparison.is_whole and result.value.ndim and (right > least).all():
                right, exact = least, None  # the worst entry is not among those that are held
            facts = Facts(self.comparison, result, right, exact, self.glyphs)
            mark = self.glyphs.mark(result.verdict)
            head = Text(f" {mark} {name:<{width}}", VERDICT_STYLES[result.verdict])
            yield hanging(why(facts), self.width, head.cell_len, head=head)
        if self.bound > _PROVED:
            yield hanging(unproved(self.bound), self.width, 3)


class _Columns(NamedTuple):
    """The columns of one method."""

    part: _Part
    place: int
    cells: int
    results: int
    words: _Words

    @property
    def result(self) -> MethodResult:
        """What the method computed."""
        return self.part.shown[self.place]

    def heading(self) -> str:
        """Return the method's name, with the value of its shift."""
        result, glyphs = self.result, self.part.glyphs
        if result.shift is None:
            return result.method.value
        number = self.part.number(result.a)
        shift = number if shift_text(result, glyphs) == number else f"{result.shift} = {number}"
        return f"{result.method.value}, a = {shift}"

    def all(
        self, elements: Sequence[int | None], rows: Sequence[tuple[str, ...]]
    ) -> list[tuple[str, list[Text]]]:
        """Return a heading and cells for each result that the formula has per element."""
        result, evaluation = self.result, self.result.evaluation
        has_exact = self.part.has_exact_row
        is_gradient = self.part.comparison.function is LossFunction.GRADIENT
        is_vector = bool(np.ndim(result.value))
        values = [self.value(i) if is_vector and i is not None else Text() for i in elements]
        columns = []
        for operation in evaluation.operations if evaluation else ():
            symbol = operation.symbol
            if evaluation is None or symbol not in evaluation.per_element or symbol in "xb":
                continue
            if symbol == "p" and is_gradient and self.words is _Words.NONE:
                continue  # there is little room, and the gradient is p, or p - 1 at the label
            cells = [Text() if index is None else self.cell(symbol, index) for index in elements]
            below = [self.scalar(symbol, names) for names in rows]
            below += [self.exact() if symbol == self.total_symbol else Text()] * has_exact
            is_short = symbol == "g" and self.words is _Words.NONE
            heading = "log p" if is_short else symbol_text(result, symbol, self.part.glyphs)
            columns.append((heading, cells + below))
        if evaluation is None or is_gradient:
            last = [self.value(0) if names in (("y",), ("loss",)) else Text() for names in rows]
            last += [self.exact()] * has_exact
            columns.append((RESULT_WORDS[self.part.comparison.function], values + last))
        return columns

    @property
    def total_symbol(self) -> str:
        """The column in which the result stands, if it is one number."""
        return "g" if self.part.comparison.function is LossFunction.LOSS else self.term_symbol

    @property
    def term_symbol(self) -> str:
        """The column of what is added up, below which the results of the vector stand."""
        return "e" if self.part.comparison.weights is None else "t"

    def cell(self, symbol: str, index: int) -> Text:
        """Return one result, with what happened to it."""
        result, evaluation = self.result, self.result.evaluation
        assert evaluation is not None
        value = evaluation.results[symbol][index]
        finding = _found_at(result, symbol, index)
        if finding is not None:
            return self._flagged(finding, index)
        is_result = symbol == evaluation.operations[-1].symbol and symbol in evaluation.per_element
        if is_result and isinstance(self.part.comparison.function, Function):
            return self.value(index)
        return Text(self.part.number(value, self.cells), self.style(value, index))

    def style(self, value: Any, index: int) -> str:
        """Return the style of a number: red if it is not finite and should be."""
        x = self.part.comparison.x
        by_right = (
            self.result.verdict is Verdict.RIGHT or not np.isfinite(x[index : index + 1]).all()
        )
        return "" if np.isfinite(value) or by_right else "red"

    def _flagged(self, finding: Finding, index: int) -> Text:
        evaluation, glyphs = self.result.evaluation, self.part.glyphs
        assert evaluation is not None
        operation = next(op for op in evaluation.operations if op.symbol == finding.symbol)
        number = self.part.number(evaluation.results[finding.symbol][index], self.cells)
        operands = evaluation.operands(operation, index)
        is_mild = finding.harmless or finding.kind in LOSSES
        if self.words is _Words.NONE or (is_mild and self.words is _Words.HARM):
            text = number
        elif finding.kind not in CONSEQUENCES:
            text = f"{number} {KIND_WORDS[finding.kind]}"
        else:
            made_of = operation_text(operation.kind, operands, glyphs)
            for sign in ("/", glyphs.times):
                made_of = made_of.replace(f" {sign} ", sign)
            text = f"{number} = {made_of}"
        return Text(text, _HARMLESS if is_mild else _HARMFUL)

    def value(self, index: int) -> Text:
        """Return an entry of the result, its wrong digits coloured or in brackets."""
        result, part = self.result, self.part
        value, right = np.atleast_1d(result.value)[index], int(part.right[self.place][index])
        text = part.number(value, self.results)
        lossy = result.verdict in (Verdict.DIGITS_LOST, Verdict.NO_DIGITS)
        if not np.isfinite(value):
            return Text(text, self.style(value, index))
        if not lossy or right >= min(all_digits(part.format), self.results):
            return Text(text)
        good, wrong, exponent = split_digits(text, right)
        if not wrong.strip(".0") and good:
            return Text(text)
        if part.marked:
            return Text(f"{good}[{wrong}]{exponent}")
        return Text.assemble(good, (wrong, VERDICT_STYLES[result.verdict]), exponent)

    def scalar(self, column: str, names: tuple[str, ...]) -> Text:
        """Return the cell below a column; the results of the vector are below the terms."""
        result, evaluation = self.result, self.result.evaluation
        assert evaluation is not None
        if column == "p" and names == ("s",) and result.total is not None:
            return Text(self.part.number(result.total, self.cells))
        is_total = names == ("loss",) or names == (evaluation.operations[-1].symbol,)
        symbol = next((name for name in names if name in evaluation.results), "")
        here = self.total_symbol if is_total else self.term_symbol
        if column != here or not (is_total or symbol):
            return Text()
        if is_total:
            mark = self.part.glyphs.mark(result.verdict)
            style = VERDICT_STYLES[result.verdict]
            return Text.assemble(self.value(0), (f" {mark}", style))
        finding = next((f for f in result.findings if f.symbol == symbol), None)
        if finding is None or finding.kind in CONSEQUENCES:
            return self.cell(symbol, 0)
        return self._flagged(finding, 0)

    def exact(self) -> Text:
        """Return the exact value, below a result that lost digits."""
        if self.result.verdict is Verdict.RIGHT or self.part.exact is None:
            return Text()
        room = " " * (1 + len(self.part.glyphs.good))
        return Text(f"{self.part.number(self.part.exact[0], self.results)}{room}", "bold")


def lines(result: Any) -> list[str]:
    """Return the lines of a result without colours, frames and rulers."""
    return plain_lines(form(result, "table")(result))


def chosen_elements(
    comparison: Comparison, results: Sequence[MethodResult], most: int
) -> list[int | None]:
    """Choose elements: the ends, the largest, and what went wrong; ``None`` stands for a gap."""
    held = len(comparison.elements)
    findings = sorted((f for r in results for f in r.findings), key=lambda f: f.harmless)
    wanted = [0] if comparison.label is None else [0, comparison.label]
    wanted += [i for f in findings if not f.harmless for i in f.indices[:1].tolist()]
    wanted += [int(np.argmax(comparison.x)) if held else 0, held - 1]
    wanted += [i for f in findings for i in f.indices[:1].tolist()]
    chosen: set[int] = set()
    for index in [*wanted, *range(min(held, most))]:
        if 0 <= index < held and len(_with_gaps(comparison, {*chosen, index})) <= most:
            chosen.add(index)
    return _with_gaps(comparison, chosen)


def _zero_is_harmless(result: MethodResult | None) -> bool:
    return result is not None and all(f.harmless for f in result.findings if f.symbol == "e")


def _found_at(result: MethodResult, symbol: str, index: int) -> Finding | None:
    """Return what was found at an operation on an element, if anything was."""
    return next((f for f in result.findings if f.symbol == symbol and index in f.indices), None)


def _with_gaps(comparison: Comparison, chosen: set[int]) -> list[int | None]:
    """Return elements in order, ``None`` between those that are not neighbours."""
    order = sorted(chosen)
    numbers = comparison.elements
    shown: list[int | None] = []
    for before, index in pairwise([-1, *order]):
        missing = numbers[index] - (numbers[before] if before >= 0 else -1) - 1
        if missing == 1 and index - before == 2:
            shown.append(index - 1)
        elif missing:
            shown.append(None)
        shown.append(index)
    if order and numbers[order[-1]] < comparison.n - 1:
        shown.append(None)
    return shown
