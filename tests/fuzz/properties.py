"""What must hold for any file, text and result."""

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import re
import tempfile
import zipfile
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import numpy as np
from command import run_here
from fuzz.commands import MAX_LINE, commands, commands_end_well, ends_well
from fuzz.strategies import PACKINGS, SEEDS, damaged_files, printed, written_texts

import stablelse
from stablelse.analysis.compare import Compared, Problem
from stablelse.analysis.results import Verdict
from stablelse.numerics import exact, kernel
from stablelse.numerics.formats import find_format
from stablelse.numerics.formulas import Method, candidates, find_shift
from stablelse.numerics.functions import Function
from stablelse.numerics.rows import Rows
from stablelse.readers import (
    arrays,
    blocks,
    open_blocks,
    read_part,
    read_source,
    split_file,
    tables,
    text,
)
from stablelse.readers.blocks import ReadError, ReadOptions
from stablelse.readers.sources import file_source

#: One file in so many is also given to a command, which takes far longer than its reader.
COMMAND_EVERY = 5

#: The methods that scan and compare both judge.
METHODS = (Method.NAIVE, Method.SHIFTED)

#: Commands that read a file, in turns.
COMMANDS = [
    *(["lse", "--quiet"], ["scan", "--fail-on", "none"], ["softmax", "--format", "csv"]),
    *(["lse"], ["log-softmax", "--json"], ["nll", "--label", "0"], ["sweep", "--points", "3"]),
    *(["prove", "lse"], ["softmax", "-q", "--skip-na"], ["lse", "-q", "--by", "columns"]),
    *(["lse", "-q", "--axis", "0"], ["lse", "-q", "--column", "1"], ["nll", "--label-column", "1"]),
]


def read_every_way(data: bytes) -> np.ndarray | str:
    """Return the numbers of a file, or the error in one line; a pipe and a command agree."""
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        path = Path(folder, "x")
        path.write_bytes(data)
        found = outcome(open_blocks(str(path), ReadOptions(skip_na=True)))
        source = file_source("x", io.BytesIO(data)) if data else None
        with ExitStack() as patches:  # in small blocks
            for module in (arrays, blocks, tables):
                patches.enter_context(patch.object(module, "BLOCK_BYTES", 24))
            piped = outcome(read_source(source, ReadOptions(skip_na=True))) if source else found
        if isinstance(found, str) or isinstance(piped, str):
            assert isinstance(found, str) == isinstance(piped, str), (found, piped)
        else:
            assert same(found, piped)
            theirs = read_by_others(data)
            assert theirs is None or same(found, theirs), (found, theirs)
        turn, chosen = divmod(sum(data), len(COMMANDS))
        if turn % COMMAND_EVERY == 0:
            ends_well(*run_here([*COMMANDS[chosen], "--file", str(path)]))
    return found


def _memory() -> str | None:
    """Return a folder in memory, if there is one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def outcome(found) -> np.ndarray | str:
    """Return the numbers of blocks in their order, without missing ones, or the error."""
    try:
        numbers = [_present(block) for block in found]
    except ReadError as error:
        message = str(error)
        assert message.isprintable(), ascii(message)
        assert len(message) < MAX_LINE, message
        assert not re.search("malloc|allocat|out of memory", message), message
        return message
    return np.concatenate(numbers)


def _present(block) -> np.ndarray:
    values = block.values.ravel() if block.missing is None else block.values[~block.missing]
    with np.errstate(invalid="ignore"):  # some NaN are signalling
        return values.astype(np.longdouble)


def same(found: np.ndarray, right: np.ndarray) -> bool:
    """Whether two arrays hold the same numbers; all NaN are the same."""
    nan = np.isnan(found)
    if found.shape != right.shape or not np.array_equal(nan, np.isnan(right)):
        return False
    one, other = found[~nan], right[~nan]
    return bool(np.array_equal(one, other) and np.array_equal(np.signbit(one), np.signbit(other)))


def read_by_others(data: bytes) -> np.ndarray | None:
    """Return the numbers that another library finds in a file, or None if it does not."""
    try:
        numbers = _others(_unpacked(data))
    except Exception:  # whatever the library raises
        return None
    return None if numbers is None else np.asarray(numbers).ravel()


def _unpacked(data: bytes) -> bytes:
    if data.startswith(b"\x1f\x8b"):
        return gzip.decompress(data)
    if data.startswith(b"BZh"):
        return bz2.decompress(data)
    if data.startswith(b"\xfd7zXZ"):
        return lzma.decompress(data)
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        import pyarrow as pa

        return pa.input_stream(pa.py_buffer(data), compression="zstd").read()
    return data


def _others(data: bytes) -> object:
    if data.startswith(b"PK"):
        archive = zipfile.ZipFile(io.BytesIO(data))
        (name,) = (name for name in archive.namelist() if name.endswith(".npy"))
        data = archive.read(name)
    if data.startswith(b"\x93NUMPY"):
        return _float(np.load(io.BytesIO(data), allow_pickle=False))
    if data[4:9] == b"\0\0\0\0{":
        from safetensors.numpy import load

        (tensor,) = load(data).values()
        return _float(tensor)
    if data.startswith((b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")):
        return _of_a_table(data)
    if data.lstrip()[:1] in (b"[", b"{"):
        return list(_of_json(json.loads(data, parse_int=str, parse_float=str, parse_constant=str)))
    return None


def _float(array: np.ndarray) -> np.ndarray:
    """Return numbers of any type; integers become float64, as they do for the readers."""
    with np.errstate(invalid="ignore"):
        return array.astype(np.float64 if array.dtype.kind in "biu" else np.longdouble)


def _of_a_table(data: bytes) -> np.ndarray | None:
    import pyarrow as pa
    from pyarrow import parquet

    if data.startswith(b"PAR1"):
        table = parquet.read_table(pa.BufferReader(data), use_threads=False)
    else:
        stream = data[8:] if data.startswith(b"ARROW1") else data  # a footer may be damaged
        table = pa.ipc.open_stream(pa.BufferReader(stream)).read_all()
    table.validate(full=True)
    if table.schema.metadata:  # of pandas: the index is left out
        return None
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    cells = (cell for row in rows for cell in row)
    flat = (number for cell in cells for number in (cell if isinstance(cell, list) else [cell]))
    return np.array([float(number) for number in flat if number is not None])


def _of_json(value):
    """Yield the numbers of arrays, from literals; there are no objects."""
    if isinstance(value, list):
        for item in value:
            yield from _of_json(item)
    elif isinstance(value, dict):
        raise TypeError("which field is wanted is a matter of rules")
    elif value is not None:
        yield float(value)


# Texts.


def text_readers_agree(case: tuple[bytes, dict]) -> None:
    """Check that cell by cell, with NumPy, with pyarrow, in any pieces, the same is read."""
    data, options = case
    expected = read_text(data, options, is_careful=True)
    for piece_bytes in (1 << 20, 5):
        for pyarrow_from in (9, 0):
            assert read_text(data, options, piece_bytes, pyarrow_from) == expected


def read_text(data, options, piece_bytes=1 << 20, pyarrow_from=9, is_careful=False):
    """Return the numbers and notes from a text, as text, or the error, with these parsers."""
    notes = []
    with ExitStack() as patches:
        for module, name, value in (
            (text, "PIECE_BYTES", piece_bytes),
            (text, "_PIECES_OF_NUMPY", pyarrow_from),
            (tables, "_FEWEST_ROWS", 0),
            *([(text, "_read_fast", lambda *_: None)] if is_careful else []),
        ):
            patches.enter_context(patch.object(module, name, value))
        source = file_source("x", io.BytesIO(data))
        try:
            read = list(text.text(source, ReadOptions(note=notes.append, **options)))
        except ReadError as error:  # a NUL may be found before another fault, or after it
            return (str(error), repr(notes)) if b"\0" not in data else "refused"
    values = np.concatenate([block.values for block in read])
    holes = [np.zeros(b.values.shape, bool) if b.missing is None else b.missing for b in read]
    assert all(block.missing is None or block.missing.any() for block in read)
    header = [note.header for note in notes if note.header is not None]
    if header and options.get("header") is None:
        assert any(name[0].isalpha() or name[0] in '_"%(@*=' for name in header[0] if name)
    lines = re.split("\r\n|\r|\n", data.decode().removeprefix("\ufeff"))
    content = list(text.Piece(1, "\n".join(lines)).content())
    assert len(values) == len(content) - len(header), "a line is lost"
    nan = np.isnan(values)
    signs = np.where(nan, False, np.signbit(values))
    return repr((values.tolist(), signs.tolist(), np.concatenate(holes).tolist())), repr(notes)


def written_texts_are_read_back(case: tuple[bytes, dict, np.ndarray]) -> None:
    """Check that the numbers that were written are read, in any pieces and parts."""
    data, options, right = case
    pack = PACKINGS[("gz", "bz2", "xz", "zst")[len(data) % 4]]
    for piece_bytes, content in ((1 << 20, data), (7, data), (1 << 20, pack(data))):
        with patch.object(text, "PIECE_BYTES", piece_bytes):
            source = file_source("x", io.BytesIO(content))
            read = list(read_source(source, ReadOptions(**options)))
        found = np.concatenate([block.values for block in read])
        assert found.shape == right.shape
        assert same(found.ravel(), right.ravel()), (found, right)
        lengths = [len(block.values) for block in read]
        assert [block.offset for block in read] == [sum(lengths[:at]) for at in range(len(read))]
    with tempfile.NamedTemporaryFile(dir=_memory()) as file:
        file.write(data)
        file.flush()
        for part_bytes in (1 + len(right) % 7, 1 + len(data) // 3):
            parts = split_file(file.name, ReadOptions(**options), part_bytes)
            found = [block.values for part in parts for block in read_part(part)]
            assert same(np.concatenate(found).ravel(), right.ravel()), (parts, right)


# Results.


def assert_agree(x, function, format_, every_ulp=(0.5, 10, 1000)) -> None:
    """Compare a scan's counts, and the first of each verdict, with `compare` row by row."""
    name, format_ = Function(function), find_format(format_)
    methods = candidates(name, METHODS, [find_shift("max")])
    comparisons = Compared(x, Problem(name), methods, [format_], errors=False)
    told = {m.value: [c.results[place] for c in comparisons] for place, m in enumerate(METHODS)}
    for max_ulp in every_ulp:
        found = stablelse.scan(x, name.value, formats=[format_.name], max_ulp=max_ulp)
        for result in (result for result in found.results if result.method in told):
            expected = [r.verdict for r in told[result.method]]
            if max_ulp != 10:
                finite = [Verdict.RIGHT, Verdict.DIGITS_LOST]
                expected = [
                    r.verdict if r.verdict.is_broken else finite[r.ulps > max_ulp]
                    for r in told[result.method]
                ]
            counted = {v: result.vectors(v) for v in Verdict}
            assert counted == {v: expected.count(v) for v in Verdict}, (result.method, max_ulp)
            for first in result.first:
                assert first.row == expected.index(first.verdict) + 1


def computed(name, function, x, mask=None, b=None) -> list[np.ndarray]:
    """Return a function of rows, and signs or gradients, by the kernel of that name."""
    by_reference = name == kernel.REFERENCE
    with ExitStack() as patches, np.errstate(all="ignore"):  # like the public functions
        if by_reference:
            patches.enter_context(patch.object(exact, "compiled", None))
            patches.enter_context(patch.object(exact, "for_kernel", lambda rows, format_: None))
        else:
            exact.compiled.use(name)
        try:
            if function == "nll":
                labels = np.zeros(len(x), int)
                with_loss = (stablelse.nll, stablelse.nll_grad)
                return [f(x, labels, where=mask, reduction="none") for f in with_loss]
            function = "logsumexp" if b is not None else function
            value, sign, _ = exact.evaluate(function, Rows(x, x.dtype, mask, b))
            return [value] if b is None else [value, sign]
        finally:
            if not by_reference:
                exact.compiled.use(kernel.name())


def what_is_printed_is_read_back(case) -> None:
    """Check that JSON, JSON Lines and CSV have the same numbers, and JSON the vectors' own."""
    args, rows = case
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    printed = {}
    for form in ("json", "jsonl", "csv"):
        code, printed[form], err = run_here([*args, "--file", "-", "--format", form], lines)
        ends_well(code, printed[form], err)
        if code:
            return
    document = json.loads(printed["json"], parse_constant=None)
    vectors = document.get("vectors", document.get("losses"))
    parts = [json.loads(line, parse_constant=None) for line in printed["jsonl"].splitlines()]
    if isinstance(vectors, list):
        assert [{"schema": 1, **vector} for vector in vectors] == parts[: len(vectors)]
    else:
        assert parts == [document]
    records = list(csv.DictReader(io.StringIO(printed["csv"])))
    assert records
    assert None not in records[0].values()
    own = vectors if isinstance(vectors, list) else [document]
    if "results" in own[0] and "value" in records[0] and not {"--peer", "--steps"} & {*args}:
        values = [result["value"] for each in own for result in each["results"]]
        assert _hex([record["value"] for record in records]) == _hex(values)
    given = np.array(rows if isinstance(vectors, list) else rows[:1], np.longdouble)
    given = given.T.ravel() if "columns" in args else given.ravel()
    for form in ("json", "jsonl") if "x" in own[0] else ():
        numbers = outcome(read_source(file_source("x", io.BytesIO(printed[form].encode()))))
        assert same(numbers, given), (numbers, given)


def _hex(value) -> list[str]:
    """Return the bits of numbers as they are printed."""
    if isinstance(value, list):
        return [bits for item in value for bits in _hex(item)]
    return [float(value).hex()] if value not in (None, "") else [""]


#: A strategy for the cases, and what must hold for each.
PROPERTIES = {
    **{kind: (damaged_files(kind), read_every_way) for kind in SEEDS},
    "written": (written_texts(), written_texts_are_read_back),
    "commands": (commands, commands_end_well),
    "printed": (printed, what_is_printed_is_read_back),
}
