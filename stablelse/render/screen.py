"""A comparison on a screen: verdict, ruler, the methods side by side, and why; or step by step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from stablelse.analysis.results import LOSSES, Comparison, Finding, MethodResult, Steps, Verdict
from stablelse.analysis.steps import steps
from stablelse.numerics.formats import FORMATS, Array
from stablelse.numerics.formulas import Kind, Method
from stablelse.numerics.functions import Function, LossFunction
from stablelse.render.layout import (
    ENDLESS,
    VERDICT_STYLES,
    fitted,
    glyphs_for,
    grid,
    hanging,
    is_plain,
    picture,
    side_by_side,
)
from stablelse.render.notation import Glyphs, operation_text
from stablelse.render.numbers import place_text
from stablelse.render.ruler import ruler
from stablelse.render.words import (
    CONSEQUENCES,
    DIGITS,
    KIND_WORDS,
    RESULT_WORDS,
    UNPROVED,
    Facts,
    all_digits,
    method_name,
    method_text,
    shift_text,
    split_digits,
    symbol_text,
    title_text,
    why,
)

_HARMFUL, _HARMLESS = "bold red", "yellow"

#: The lines of a screen without the prompt.
_SCREEN = 23

#: The most lines for elements without --all, and the fewest if sentences are long.
_LINES, _FEWEST = 6, 3

#: Steps are shown for at most this many elements.
_ELEMENTS = 20

#: The results of the whole vector, row by row below the elements: a method shows the first symbol
#: that its formula has.
_SCALARS: dict[Function | LossFunction, tuple[tuple[str, ...], ...]] = {
    Function.LOGSUMEXP: (("s",), ("l", "y"), ("a",), ("y",)),
    Function.SOFTMAX: (("s",), ("l",), ("y",)),
    Function.LOG_SOFTMAX: (("s",), ("l",)),
    LossFunction.LOSS: (("s",), ("l",), ("loss",)),
    LossFunction.GRADIENT: (("s",), ("l",)),
}


#: Which cells have words.
_NO_WORDS, _HARM, _ALL_WORDS = range(3)

#: How many digits cells and results have, and which words: the first entry that fits side by side
#: is used.
_FULL = 40
_TRIES = (
    (DIGITS, _FULL, _ALL_WORDS),
    *((cells, _FULL, _HARM) for cells in (DIGITS, 6, 5, 4)),
    *((DIGITS, DIGITS, _HARM), (5, DIGITS, _HARM)),
    *((digits, digits, _NO_WORDS) for digits in (DIGITS, 5, 4, 3)),
)


class Screen(NamedTuple):
    """The screen of a comparison: with all or a few elements, and a given number of digits.

    It leaves out elements if it would be taller than `height`; the `selected` one stays.
    """

    comparison: Comparison
    digits: int | None = None
    every: bool = False
    parts: Sequence[str] = ("verdict", "ruler", "table", "why")
    height: int = _SCREEN
    selected: int | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield for each format the verdict, the ruler, the table and the sentences."""
        for _, results in groupby(self.comparison.results, key=lambda result: result.format):
            yield from _Panel(self, list(results), console, options).lines()


class _Panel:
    """The methods in one format."""

    def __init__(
        self,
        screen: Screen,
        results: Sequence[MethodResult],
        console: Console,
        options: ConsoleOptions,
    ) -> None:
        self.screen, self.comparison = screen, screen.comparison
        self.most = self.comparison.n if screen.every else max(_LINES, screen.height - _SCREEN)
        self.tries = ((screen.digits, screen.digits, _HARM),) if screen.digits else _TRIES
        self.glyphs, self.width = glyphs_for(options), options.max_width
        self.is_plain = is_plain(options)
        self.marked = console.color_system is None or console.no_color
        self.format = FORMATS[results[0].format]
        self.formulas = [r for r in results if r.method is not Method.EXACT]
        shown = self.formulas or results
        self.facts = [Facts(self.comparison, result, self.glyphs) for result in shown]
        self.exact = self.facts[0].exact
        self.bound = max(
            (r.error_bound or 0 for r in results if r.method is Method.EXACT), default=0
        )

    def lines(self) -> Iterator[Text]:
        """Yield the screen from top to bottom, with blank lines if there is room."""
        sections, height = self._sections()
        excess = height - self.screen.height
        if 0 < excess <= self.most - _FEWEST and not (self.screen.every or self.is_plain):
            self.most -= excess
            sections, height = self._sections()
        for section in sections:
            yield from section
            if height + len(sections) <= self.screen.height or section is sections[-1]:
                yield Text()

    def _sections(self) -> tuple[list[list[Text]], int]:
        """Return the lines of each part, and their number."""
        draw = {
            "verdict": self._verdict,
            "ruler": self._ruler,
            "table": self._table,
            "why": self._why,
        }
        sections = [section for part in self.screen.parts if (section := list(draw[part]()))]
        return sections, sum(1 + t.plain.count("\n") for section in sections for t in section)

    def _verdict(self) -> Iterator[Text]:
        """Yield what was computed, the results and their marks: in one line if there is room."""
        title = Text(f" {title_text(self.comparison, self.glyphs)} in ")
        title.append(self.format.name, "bold")
        title = fitted(title, self.width)
        for gap, digits in (("   ", _FULL), ("  ", _FULL), ("   ", DIGITS), ("   ", 5)):
            outcomes = [self._outcome(result, digits) for result in self.formulas]
            line = Text(gap).join([title, *outcomes])
            if line.cell_len <= self.width:
                yield line
                return
        yield title
        line = Text()
        for result in self.formulas:
            outcome = Text("   ") + self._outcome(result, _FULL)
            if line and line.cell_len + outcome.cell_len > self.width:
                yield line
                line = Text()
            line += outcome
        if line:
            yield line

    def _outcome(self, result: MethodResult, digits: int) -> Text:
        odd = result.value[~np.isfinite(result.value)]
        words = [self.glyphs.mark(result.verdict)]
        if not np.ndim(result.value):
            words.insert(0, self.glyphs.number(result.value, digits))
        elif result.verdict.is_broken and odd.size:
            words.insert(0, self.glyphs.number(odd[np.argmax(np.isnan(odd))]))
        name = method_name(result, self.formulas)
        return Text.assemble(f"{name} ", (" ".join(words), VERDICT_STYLES[result.verdict]))

    def _ruler(self) -> Iterable[Text]:
        if not self.formulas or self.is_plain:
            return ()
        selected = self.screen.selected
        return ruler(self.comparison, self.formulas, self.glyphs, self.width, selected)

    def _table(self, some: Sequence[Facts] = ()) -> list[Text]:
        """Return the lines of methods side by side, or one below the other if there is no room."""
        shown, results = some or self.facts, [facts.result for facts in self.facts]
        selected = () if self.screen.selected is None else (self.screen.selected,)
        elements = chosen_elements(self.comparison, results, self.most, selected)
        for try_ in self.tries if len(shown) < 3 else self.tries[:6]:
            lines = self._tables(elements, shown, try_)
            if max(line.cell_len for line in lines) <= self.width:
                return lines
        if len(shown) == 1:
            return lines
        half = (len(shown) + 1) // 2
        return [*self._table(shown[:half]), Text(), *self._table(shown[half:])]

    def _tables(
        self, elements: Sequence[int], shown: Sequence[Facts], try_: tuple[int, int, int]
    ) -> list[Text]:
        """Return the lines of one table per method; the first has the labels and x."""
        results = [facts.result for facts in shown]
        having = {"loss"}.union(*(r.evaluation.results for r in results if r.evaluation))
        rows = [names for names in _SCALARS[self.comparison.function] if having & set(names)]
        if len(having) == 1 and self.comparison.function is Function.LOGSUMEXP:
            rows = [("y",)]
        tables = []
        for facts in shown:
            method = _MethodTable(self, facts, *try_)
            columns = method.columns(elements, rows)
            if facts is shown[0]:
                columns = [*method.labels(elements, rows), *columns]
            style = VERDICT_STYLES[facts.result.verdict]
            title = Text(method_text(facts.result, self.glyphs, DIGITS), style)
            tables.append((title, columns))
        rule = " " if self.is_plain else self.glyphs.rule
        return side_by_side(tables, {0, len(elements)}, rule)

    @property
    def has_exact_row(self) -> bool:
        """Whether to show the exact value below: digits were lost, or no method is right."""
        if self.exact is None or np.ndim(self.facts[0].result.value):
            return False
        verdicts = {result.verdict for result in self.formulas}
        lost = {Verdict.DIGITS_LOST, Verdict.NO_DIGITS} & verdicts
        is_wanted = bool(lost) or (bool(verdicts) and Verdict.RIGHT not in verdicts)
        return is_wanted and bool(np.isfinite(self.exact).all())

    def _why(self) -> Iterator[Text]:
        """Yield a sentence or two per method."""
        names = [method_name(result, self.formulas) for result in self.formulas]
        width = max(map(len, names), default=0) + 2
        for facts, name in zip(self.facts, names, strict=False):
            mark = self.glyphs.mark(facts.result.verdict)
            head = Text(f" {mark} {name:<{width}}", VERDICT_STYLES[facts.result.verdict])
            yield hanging(why(facts), self.width, head.cell_len, head=head)
        if self.bound > 0.5:  # ulp: it may not be correctly rounded
            yield hanging(UNPROVED.format(self.bound), self.width, 3)


class _MethodTable:
    """The columns of one method, with given numbers of digits in cells and results."""

    def __init__(self, panel: _Panel, facts: Facts, cells: int, results: int, words: int) -> None:
        self.panel, self.facts, self.result, self.glyphs = panel, facts, facts.result, panel.glyphs
        self.cells, self.results, self.words = cells, results, words
        self.evaluation = self.result.evaluation
        # sets, since --all asks for every element
        self.findings = [(f, frozenset(f.indices.tolist())) for f in self.result.findings]
        self.function, self.x = panel.comparison.function, panel.comparison.x
        #: The columns with results of the whole vector below them: sums are below `terms`, and a
        #: single final result is below `last`.
        self.terms = "t" if self.evaluation and "t" in self.evaluation.results else "e"
        self.last = "g" if self.function is LossFunction.LOSS else self.terms

    def labels(
        self, elements: Sequence[int], rows: Sequence[tuple[str, ...]]
    ) -> list[tuple[str, list[Text]]]:
        """Return the columns that name the rows: i, or the symbol, then x, and weights."""
        comparison, lines = self.panel.comparison, []
        for index in elements:
            if index < 0:
                lines.append([Text(f"{-index:,}", "dim"), Text("more", "dim"), Text()])
                continue
            number = comparison.elements[index]
            is_label = number == comparison.label
            is_selected = index == self.panel.screen.selected
            style = "bold reverse" if is_selected else "bold" * is_label
            name = Text("label" if is_label else f"{number + 1:,}", style)  # labels count from 0
            weight = self.given("b", comparison.weights, index)
            lines.append([name, self.given("x", comparison.x, index), weight])
        names = [symbol_text(self.result, symbols[0], self.glyphs) for symbols in rows]
        names += ["exact"] * self.panel.has_exact_row
        lines += [[Text(name, "bold"), Text(), Text()] for name in names]
        headings = ["i", "x", "b" if comparison.label is None else "t"]
        if comparison.weights is None:
            headings.pop()
        columns = list(zip(headings, map(list, zip(*lines, strict=True)), strict=False))
        return columns if elements else [("", columns[0][1])]

    def found(self, symbol: str, index: int) -> Finding | None:
        """Return the finding at an operation on an element, if there is one."""
        at = ((f, indices) for f, indices in self.findings if f.symbol == symbol)
        return next((finding for finding, indices in at if index in indices), None)

    def given(self, symbol: str, values: Array | None, index: int) -> Text:
        """Return a number of the input in the format, with what happened to it."""
        if values is None:
            return Text()
        finding = self.found(symbol, index)
        word = f" {KIND_WORDS[finding.kind]}" if finding and self.words else ""
        value = self.panel.format.round(values[index : index + 1])[0]
        text = self.glyphs.number(value, self.cells)
        return Text(text + word, _HARMFUL * (finding is not None))

    def columns(
        self, elements: Sequence[int], rows: Sequence[tuple[str, ...]]
    ) -> list[tuple[str, list[Text]]]:
        """Return a heading and cells for each operation that the formula has per element."""
        has_exact, is_vector = self.panel.has_exact_row, bool(np.ndim(self.result.value))
        operations = self.evaluation.operations if self.evaluation else ()
        columns = []
        for symbol in (
            op.symbol for op in operations if op.per_element and self.is_shown(op.symbol)
        ):
            cells = [Text() if i < 0 else self.cell(symbol, i) for i in elements]
            cells += [self.scalar(symbol, names) for names in rows]
            cells += [self.exact() if symbol == self.last else Text()] * has_exact
            is_short = symbol == "g" and not self.words
            heading = "log p" if is_short else symbol_text(self.result, symbol, self.glyphs)
            columns.append((heading, cells))
        if self.evaluation is None or self.function is LossFunction.GRADIENT:
            cells = [self.value(i) if is_vector and i >= 0 else Text() for i in elements]
            cells += [self.value(0) if names in (("y",), ("loss",)) else Text() for names in rows]
            cells += [self.exact()] * has_exact
            columns.append((RESULT_WORDS[self.function], cells))
        return columns

    def is_shown(self, symbol: str) -> bool:
        """Whether an operation has a column; without much room, few have."""
        if symbol == "e" != self.terms and self.words < _ALL_WORDS:
            # The product with the weight says enough, unless e^x did harm.
            return any(f.symbol == symbol and not f.harmless for f in self.result.findings)
        if symbol == "p" and not self.words:
            # The gradient is p, or p - 1 at the label.
            return self.function is not LossFunction.GRADIENT
        return symbol not in "xb"

    def cell(self, symbol: str, index: int) -> Text:
        """Return an element's result, with what happened to it."""
        finding = self.found(symbol, index)
        assert self.evaluation is not None
        is_result = symbol == self.evaluation.operations[-1].symbol
        if finding is None and is_result and isinstance(self.function, Function):
            return self.value(index)
        return self.shown(symbol, index, finding)

    def shown(self, symbol: str, index: int, finding: Finding | None) -> Text:
        """Return the result of an operation, and its finding in words."""
        evaluation, glyphs = self.evaluation, self.glyphs
        assert evaluation is not None
        value = evaluation.results[symbol][index]
        text = glyphs.number(value, self.cells)
        if finding is None:
            return Text(text, self.style(value, index))
        is_mild = finding.harmless or finding.kind in LOSSES
        if self.words < (_ALL_WORDS if is_mild else _HARM):
            words = ""
        elif finding.kind in CONSEQUENCES:
            operation = next(op for op in evaluation.operations if op.symbol == symbol)
            operands = evaluation.operands(operation, index)
            words = f" = {operation_text(operation.kind, operands, glyphs)}"
            for sign in ("/", glyphs.times):
                words = words.replace(f" {sign} ", sign)
        else:
            words = f" {KIND_WORDS[finding.kind]}"
        return Text(text + words, _HARMLESS if is_mild else _HARMFUL)

    def style(self, value: Any, index: int) -> str:
        """Return the style of a number: red if it should be finite and is not."""
        is_odd = not np.isfinite(value) and self.result.verdict is not Verdict.RIGHT
        return "red" if is_odd and np.isfinite(self.x[index : index + 1]).all() else ""

    def value(self, index: int) -> Text:
        """Return an entry of the result, with wrong digits coloured or in brackets."""
        verdict = self.result.verdict
        value, right = np.atleast_1d(self.result.value)[index], int(self.facts.right[index])
        text = self.glyphs.number(value, self.results)
        if not np.isfinite(value):
            return Text(text, self.style(value, index))
        is_lossy = verdict in (Verdict.DIGITS_LOST, Verdict.NO_DIGITS)
        if not is_lossy or right >= min(all_digits(self.facts.format), self.results):
            return Text(text)
        good, wrong, exponent = split_digits(text, right)
        if not wrong.strip(".0") and good:
            return Text(text)
        if self.panel.marked:
            return Text(f"{good}[{wrong}]{exponent}")
        return Text.assemble(good, (wrong, VERDICT_STYLES[verdict]), exponent)

    def scalar(self, column: str, names: tuple[str, ...]) -> Text:
        """Return the cell below a column; results of the whole vector are below the terms."""
        result, evaluation = self.result, self.evaluation
        assert evaluation is not None
        if column == "p" and names == ("s",) and result.total is not None:
            return Text(self.glyphs.number(result.total, self.cells), self.style(result.total, 0))
        if names == ("loss",) or names == (evaluation.operations[-1].symbol,):
            if column != self.last:
                return Text()
            mark = self.glyphs.mark(result.verdict)
            return Text.assemble(self.value(0), (f" {mark}", VERDICT_STYLES[result.verdict]))
        symbol = next((name for name in names if name in evaluation.results), "")
        if column != self.terms or not symbol:
            return Text()
        finding = next((f for f in result.findings if f.symbol == symbol), None)
        if finding is None or finding.kind in CONSEQUENCES:
            finding = self.found(symbol, 0)
        return self.shown(symbol, 0, finding)

    def exact(self) -> Text:
        """Return the exact value, below a result that lost digits."""
        if self.result.verdict is Verdict.RIGHT or self.facts.exact is None:
            return Text()
        room = " " * (1 + len(self.glyphs.good))
        return Text(self.glyphs.number(self.facts.exact[0], self.results) + room, "bold")


def chosen_elements(
    comparison: Comparison,
    results: Sequence[MethodResult],
    most: int,
    first: Sequence[int] = (),
) -> list[int]:
    """Choose elements: the ends, the largest, and where trouble is; -n stands for n left out.

    Those in `first` are chosen before all others.
    """
    held = len(comparison.elements)
    if held == comparison.n <= most:
        return list(range(held))
    findings = sorted((f for r in results for f in r.findings), key=lambda f: f.harmless)
    wanted = [*first, 0] if comparison.label is None else [*first, 0, comparison.label]
    wanted += [i for f in findings if not f.harmless for i in f.indices[:1].tolist()]
    wanted += [int(np.argmax(comparison.x)) if held else 0, held - 1]
    wanted += [i for f in findings for i in f.indices[:1].tolist()]
    chosen: set[int] = set()
    for index in [*wanted, *range(min(held, most))]:
        if 0 <= index < held and len(_with_gaps(comparison, {*chosen, index})) <= most:
            chosen.add(index)
    return _with_gaps(comparison, chosen)


def _with_gaps(comparison: Comparison, chosen: set[int]) -> list[int]:
    """Return elements in order, with -n where n are left out."""
    order, numbers = sorted(chosen), comparison.elements
    shown: list[int] = []
    end = 0
    for index in order:
        missing = numbers[index] - end
        if missing == 1 and shown[-1:] == [index - 2]:
            shown.append(index - 1)
        elif missing:
            shown.append(-missing)
        shown.append(index)
        end = numbers[index] + 1
    return [*shown, end - comparison.n] if order and end < comparison.n else shown


@picture
def steps_picture(view: Steps, glyphs: Glyphs, width: int) -> Iterator[Text]:
    """Yield for each evaluated method a title and a row per step; plain text has all elements."""
    comparison = view.comparison
    for result in comparison.results:
        evaluation = result.evaluation
        if evaluation is None:
            continue
        place, name = place_text(comparison), method_text(result, glyphs)
        title = Text(f" {place}: " if place else " ").append(name, "bold")
        yield title.append(f" in {result.format}, step by step")
        most = comparison.n if width == ENDLESS else _ELEMENTS
        chosen = chosen_elements(comparison, [result], most)
        elements = sorted(index + 1 for index in chosen if index >= 0)
        rows: list[list[Text | str]] = [["step", "", "operation", "value"]]
        for number, step in steps(evaluation, result.findings, elements):
            symbol = step.symbol
            if step.element is not None:
                symbol = f"{symbol}_{step.element}"
            elif step.span is not None and step.span != (1, len(evaluation.results["x"])):
                symbol = f"{symbol}[{step.span[0]}..{step.span[1]}]"
            operation = operation_text(step.kind, step.operands, glyphs)
            if step.kind is Kind.SHIFT:
                operation = shift_text(result, glyphs).partition(" = ")[0]
            words = dict.fromkeys(KIND_WORDS[kind] for kind in step.findings)
            value = " ".join([glyphs.number(step.value), ", ".join(words)]).rstrip()
            shown = Text(value, "bold red" * bool(words))
            rows.append([f"{number:,}", Text(symbol, "bold"), operation, shown])
        yield from grid(rows, "rl")
        yield Text()
