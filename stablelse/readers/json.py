"""Turns JSON and JSON lines into blocks of numbers: each innermost array is a vector.

Values are decoded one at a time: the lines of JSON lines, the elements of an array of arrays or
of objects. A number stays a literal until it is rounded, once, as in text.
"""

import json
import math
import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

import numpy as np

from stablelse.readers.blocks import (
    Block,
    By,
    Note,
    ReadError,
    ReadOptions,
    choose_columns,
    list_names,
    quoted,
    unique_keys,
)
from stablelse.readers.literals import (
    NOT_ZERO,
    BadLiteralError,
    is_missing,
    number_reader,
)
from stablelse.readers.sources import Source
from stablelse.readers.text import pieces_of

#: How many numbers a block has; a longer row has its own block.
_BLOCK_NUMBERS = 1 << 16

#: The most items of one value, each of which takes up to 150 bytes while it is decoded, and
#: characters. A number takes 32.
_MOST_ITEMS, _MOST_CHARACTERS = 2_000_000, 1 << 26

#: Deeper than any arrays of logits, and far below Python's recursion limit.
_MAX_DEPTH = 64

#: The beginning of arrays whose elements are decoded one at a time, and of our own documents.
_BLANKS = re.compile(r"[ \t\n]*")
_NESTED = re.compile(r"\[[ \t\n]*(?=[\[{])")
_OWN = re.compile(r'\{\s*"schema"\s*:\s*1\s*,\s*"(?:vectors|losses)"\s*:\s*\[')

#: The values of numbers that overflow or underflow: only the literal tells.
_OFTEN_WRONG = frozenset((0.0, math.inf, -math.inf))

#: Python's and R's spellings of values that JSON spells differently.
_NOT_JSON = re.compile(r"[+-]?(?:inf|nan|none|na)\b", re.IGNORECASE)

#: Longer than these beginnings, unless they contain many blanks.
_AHEAD = 64

#: The fields of nll's last line, about all vectors together.
_OWN_TOTALS = {"reduction", "totals"}


class Literal(str):
    """A number as written, or one of Python's extra constants: NaN, Infinity."""

    __slots__ = ()


def _number(literal: str) -> float | Literal:
    """Return a float, or the literal if only that shows whether the value is right."""
    value = float(literal)
    is_right = value not in _OFTEN_WRONG or (value == 0 and not NOT_ZERO.match(literal))
    return value if is_right else Literal(literal)


def json_lines(source: Source, options: ReadOptions) -> Iterator[Block]:
    """Read an array, or an array or object per line, or this program's own JSON output.

    ``options.key`` names the numbers of an object, or is a path such as ``choices[].logprob``.
    Numbers outside arrays form one column.
    """
    if options.last is not None and not options.last.isdigit():
        raise ReadError(
            f"{source.name} is JSON, without a column {quoted(options.last)}; name a field or an "
            "array of labels with --label-key"
        )
    rows, offset = _Records(source.name, options), 0
    for width, alike in groupby(rows.all(_Decoded(source, options).each()), len):
        most = max(1, _BLOCK_NUMBERS // width)
        while some := list(islice(alike, most)):
            values, missing = np.array(some, options.dtype), None
            if any(None in row for row in some):
                missing = np.array([[number is None for number in row] for row in some])
            by = None if rows.is_column else By.ROWS
            block = Block(values, source.name, offset, missing, by=by)
            offset += len(values)
            columns = choose_columns(options, None, width, source.name).positions
            if not isinstance(columns, range):
                block = block.mapped(itemgetter((slice(None), list(columns))))
            yield block
    if not offset:
        raise ReadError(f"{source.name} is empty: it has no numbers; give it arrays of them")


class _Decoded:
    """The values of a text, decoded one by one."""

    def __init__(self, source: Source, options: ReadOptions) -> None:
        self._name, self._key = source.name, options.key
        number: Any = _number if np.dtype(options.dtype) == np.float64 else Literal
        self._decoder = json.JSONDecoder(
            parse_float=number,
            parse_int=number,
            parse_constant=number,
            object_pairs_hook=unique_keys,
        )
        # They end between two tokens, or in a string.
        self._pieces = pieces_of(source, most=_MOST_CHARACTERS, other_end=b",")
        self._text = ""
        self._at = self._begin = 0  # of the next value, and of its line
        self._line = 1

    def each(self) -> Iterator[tuple[int, Any]]:
        """Yield values with their lines; of our own documents, the records, unless a key is set."""
        has_own = not (self._key or "").startswith(("vectors", "losses"))
        while self._peek():
            if self._skip(_NESTED):
                yield from self._elements()
            elif has_own and self._skip(_OWN):
                yield from self._elements()
                if self._peek() == ",":
                    self._text = f"{self._text[: self._at]}{{{self._text[self._at + 1 :]}"
                    if "incomplete" in (rest := self._value()):
                        yield self._line, {"schema": "1"} | rest
                else:
                    self._expect("}")
            else:
                yield self._line, self._value()

    def _elements(self) -> Iterator[tuple[int, Any]]:
        is_open = self._peek() != "]" or not self._expect("]")
        while is_open:
            self._peek()
            yield self._line, self._value()
            is_open = self._expect(",]") == ","

    def _value(self) -> Any:
        """Decode the next value; read more of the text until it is complete."""
        while True:
            place = f"{self._name}, line {self._line}"
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
                self._advance(end)
                return value
            except json.JSONDecodeError as error:
                end, problem = error.pos, error.msg
            except RecursionError:
                raise ReadError(f"{place} is nested too deeply") from None
            except KeyError as twice:
                raise ReadError(
                    f"{place} has the key {quoted(twice.args[0])} twice in one object; remove one "
                    "of them"
                ) from None
            size = len(self._text) - self._at
            # An item with a key takes as much memory as three.
            items = self._text.count(",", self._at) + 2 * self._text.count(":", self._at)
            if items > _MOST_ITEMS or size > _MOST_CHARACTERS:
                is_object = self._key is None and self._text[self._at] == "{"
                if is_object and _is_own(fields := self._fields()):
                    return fields
                raise ReadError(
                    f"{place}: the value that begins here has more than {_MOST_ITEMS:,} items, or "
                    f"{_MOST_CHARACTERS >> 20} MiB; write each vector as an array on its own line, "
                    "or save it with numpy.save"
                )
            is_cut = problem.startswith("Unterminated") or not self._text[end + 1 :].strip()
            if not (is_cut and self._extend(1 + size // 2)):
                raise self._not_json(end, problem)

    def _peek(self) -> str:
        """Return the next nonblank character, or "" at the end, and read ahead."""
        while True:
            self._skip(_BLANKS)
            if len(self._text) - self._at >= _AHEAD or not self._extend(_AHEAD):
                return self._text[self._at : self._at + 1]

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        """Skip a match of the pattern here, and return whether there was one."""
        match = pattern.match(self._text, self._at)
        self._advance(match.end() if match else self._at)
        return match is not None

    def _fields(self) -> dict[str, Any]:
        """Decode an object field by field, and keep those that _Records needs of our own."""
        fields, sign = {}, self._expect("{")
        while sign != "}":
            self._peek()
            name = self._value()
            self._expect(":")
            self._peek()
            value = deque(self._elements(), 0) if self._skip(_NESTED) else self._value()
            if name in ("schema", "function", "source", "x"):
                fields[name] = value
            sign = self._expect(",}")
        return fields

    def _expect(self, characters: str) -> str:
        """Skip the next character, which must be one of these, and return it."""
        character = self._peek()
        if not character or character not in characters:
            raise self._not_json(self._at, f"Expecting {' or '.join(map(repr, characters))}")
        self._advance(self._at + 1)
        return character

    def _extend(self, count: int) -> bool:
        """Read `count` more characters, and return whether there were any."""
        parts = []
        while count > 0 and (piece := next(self._pieces, None)):
            parts.append(piece.text)
            count -= len(piece.text)
        self._text, self._begin = self._text[self._at :] + "".join(parts), self._begin - self._at
        self._at = 0
        return bool(parts)

    def _advance(self, end: int) -> None:
        if lines := self._text.count("\n", self._at, end):
            self._line += lines
            self._begin = self._text.rfind("\n", self._at, end) + 1
        self._at = end

    def _not_json(self, end: int, problem: str) -> ReadError:
        if not self._text[end:].strip():
            return ReadError(
                f"{self._name} is truncated: the value that begins on line {self._line} does not "
                "end; copy or save it again"
            )
        self._advance(end)
        problem = f"{problem[0].lower()}{problem[1:]}".removesuffix(" at")
        column = end + 1 - self._begin
        place = f"line {self._line}, character {column} ({self._text[end]!r})"
        is_word = _NOT_JSON.match(self._text, end)
        hint = 'write "-inf", "nan" or null, as JSON has it' if is_word else "correct it"
        if self._text[end] == "#":
            hint = "JSON has no comments: remove them"
        return ReadError(f"{self._name}, {place} is not JSON: {problem}; {hint}")


class _Records:
    """The vectors of values, as lists of numbers."""

    def __init__(self, source: str, options: ReadOptions) -> None:
        self._source = source
        self._options = options
        self._path = _path(options.key or "")
        self._read_number = number_reader(options.dtype, words=options.words, note=self._note)
        self._line = self._row = 1  # of the next vector
        self.is_column: bool | None = None  # unknown before the first number

    def all(self, values: Iterable[tuple[int, Any]]) -> Iterator[list[Any]]:
        """Yield each vector, None where a number is missing."""
        for self._line, value in values:
            if _is_own(value) and "incomplete" in value:
                raise ReadError(
                    f"{self._source} is incomplete, as its end says; run the command that made it "
                    "again"
                )
            if _is_own(value) and value.keys() >= _OWN_TOTALS:
                continue
            for cells in self._vectors(self._selected(value)):
                yield self._numbers(cells)
                self._row += 1

    def _note(self, text: str) -> None:
        self._options.notify([Note(text, f"{self._source}, line {self._line}")])

    def _selected(self, value: Any) -> Any:
        """Return the wanted part of a value."""
        key = self._options.key
        if isinstance(value, dict) and key is None:
            if _is_own(value):
                if value.get("x") is not None:
                    return value["x"]
                raise self._bad("is output of stablelse without an x; name the file it is about")
            keys = [key for key, field in value.items() if _has_numbers(field)]
            if self._path and self._path[0] in value and self._path[0] not in keys:
                keys = [*self._path, *keys]
            if len(keys) > 1 or not (keys or self._path):
                what = "several fields of numbers" if keys else "no field of numbers"
                names = list_names(keys or list(value)) or "none"
                raise self._bad(f"has {what}; choose one of its keys with --key: {names}")
            self._path = self._path or keys
        if isinstance(value, dict) and key in value:
            return value[key]
        return self._at_path(value, 0)

    def _at_path(self, value: Any, begin: int) -> Any:
        """Return the part of a value that the rest of the path, from this step on, leads to."""
        for index, step in enumerate(self._path[begin:], begin):
            here = ".".join(self._path[:index]).replace(".[]", "[]")
            of = f", {quoted(here)} " if here else ""
            if value is None:
                return None
            if step == "[]":
                if not isinstance(value, list):
                    raise self._bad(f"{of}is not an array; leave out []")
                return [self._at_path(item, index + 1) for item in value]
            if isinstance(value, list):
                raise self._bad(f"{of}is an array; write {here}[] for each of its elements")
            if not isinstance(value, dict):
                raise self._bad(f"{of}is not an object, so it has no key {quoted(step)}")
            if step not in value:
                has = list_names(list(value)) or "none"
                raise self._bad(f"{of}has no key {quoted(step)}; it has {has}")
            value = value[step]
        return value

    def _vectors(self, value: Any, depth: int = 0) -> Iterator[list[Any]]:
        """Yield the innermost arrays of a value; a number outside arrays as an array of one."""
        is_vector = isinstance(value, list)
        if is_vector and list in (kinds := set(map(type, value))):
            if depth >= _MAX_DEPTH:
                raise self._bad("is nested too deeply")
            if not kinds <= {list, type(None)}:
                raise self._bad("has an array beside numbers; give each vector an array of its own")
            for item in value:
                yield from self._vectors([] if item is None else item, depth + 1)
            return
        if value is not None:
            if self.is_column is is_vector:
                both = "an array, but a number" if is_vector else "a number, but an array"
                raise self._bad(f"has {both} came before; give either arrays or numbers")
            self.is_column = not is_vector
        yield value if is_vector else [] if value is None and self.is_column is False else [value]

    def _numbers(self, cells: list[Any]) -> list[Any]:
        """Return the numbers of a vector, None where one is missing."""
        if not cells:
            self._check_missing("has an empty vector")
            return [None]
        if set(map(type, cells)) == {float}:
            return cells
        return [self._number(cell, index) for index, cell in enumerate(cells)]

    def _number(self, cell: Any, index: int) -> Any:
        if type(cell) is float:
            return cell
        if cell is None or (type(cell) is str and is_missing(cell)):
            self._check_missing("is null" if cell is None else f"is {cell!r}", index)
            return None
        if isinstance(cell, dict):
            keys = list_names(list(cell)) or "none"
            raise self._bad(f"is an object with the keys {keys}; choose one with --key", index)
        literal = cell if isinstance(cell, str) else str(cell).lower()
        try:
            return self._read_number(literal)
        except BadLiteralError as bad:
            hint = bad.fix or "choose what holds numbers with --key, or correct it"
            raise self._bad(f": {bad}; {hint}", index) from None

    def _check_missing(self, what: str, index: int | None = None) -> None:
        if not self._options.skip_na:
            hint = "fill it in, or leave out what is missing with --skip-na"
            raise self._bad(f"{what}; {hint}", index)

    def _bad(self, what: str, index: int | None = None) -> ReadError:
        """Return the error about a value, or about one number of the next vector."""
        place = f"{self._source}, line {self._line}"
        if not self.is_column and index is not None:
            place += f", row {self._row}, number {index + 1}"
        return ReadError(place + what if what.startswith((":", ",")) else f"{place} {what}")


def _path(key: str) -> list[str]:
    """Return the steps of a path: names, and ``[]`` for all elements."""
    steps: list[str] = []
    for part in key.split("."):
        name = part.rstrip("[]") if part.endswith("[]") else part
        steps += [name] if name else []
        steps += ["[]"] * ((len(part) - len(name)) // 2)
    return steps[1:] if steps[:1] == ["[]"] else steps


def _is_own(value: Any) -> bool:
    """Whether a value is a record that this program printed, alone or in a document."""
    return isinstance(value, dict) and (
        str(value.get("schema")) in ("1", "1.0") or {"function", "source", "x"} <= value.keys()
    )


def _has_numbers(value: Any, depth: int = 0) -> bool:
    """Whether a field has a number anywhere."""
    if isinstance(value, (list, dict)):
        items = value if isinstance(value, list) else value.values()
        return depth > _MAX_DEPTH or any(_has_numbers(item, depth + 1) for item in items)
    is_word = isinstance(value, str) and value.lower().lstrip("+-") in ("nan", "inf", "infinity")
    return is_word or isinstance(value, (float, Literal))
