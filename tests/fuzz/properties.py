"""What must hold for any file, text, row and result: checked in the suite, and by run.py."""

import bz2
import gzip
import io
import json
import lzma
import os
import re
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from command import run_here

from fuzz.strategies import SEEDS, damaged_files, seeds

from stablelse.readers import ReadError, ReadOptions, file_source, open_blocks, read_source

#: The longest line on stderr.
MAX_LINE = 500

#: One file in so many is also given to a command, which takes far longer than its reader.
COMMAND_EVERY = 5

#: Commands that read a file, in turns.
COMMANDS = [
    *(["lse", "--quiet"], ["scan", "--fail-on", "none"], ["softmax", "--format", "csv"]),
    *(["lse"], ["log-softmax", "--json"], ["nll", "--label", "0"], ["sweep", "--points", "3"]),
    *(["prove", "lse"], ["softmax", "-q", "--skip-na"], ["lse", "-q", "--by", "columns"]),
    *(["lse", "-q", "--axis", "0"], ["lse", "-q", "--column", "1"], ["nll", "--label-column", "1"]),
]


def files_are_read_or_refused(data: bytes) -> None:
    """Check that a file gives its numbers or one clear line, in a pipe too, and in a command."""
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        path = Path(folder, "x")
        path.write_bytes(data)
        found = outcome(open_blocks(str(path), ReadOptions(skip_na=True)))
        source = file_source("x", io.BytesIO(data)) if data else None
        piped = outcome(read_source(source, ReadOptions(skip_na=True))) if source else found
        if isinstance(found, str) or isinstance(piped, str):
            assert isinstance(found, str) == isinstance(piped, str), (found, piped)
        else:
            assert same(found, piped)
            theirs = read_by_others(data)
            assert theirs is None or same(found, theirs), (found, theirs)
        turn, chosen = divmod(sum(data), len(COMMANDS))
        if turn % COMMAND_EVERY == 0:
            a_command_ends_well(*run_here([*COMMANDS[chosen], "--file", str(path)]))


def _memory() -> str | None:
    """Return a folder in memory, if there is one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def outcome(blocks) -> np.ndarray | str:
    """Return the numbers of blocks in their order, or the error."""
    try:
        found = [block.values.ravel().astype(np.longdouble) for block in blocks]
    except ReadError as error:
        message = str(error)
        assert message.isprintable(), ascii(message)
        assert len(message) < MAX_LINE, message
        assert not re.search("alloc|memory", message), message
        return message
    return np.concatenate(found)


def a_command_ends_well(code: int, out: str, err: str) -> None:
    """Check the exit code and the lines on stderr: a refusal is one line, and the only output."""
    assert code in (0, 1, 2), (code, err)
    *lines, rest = err.split("\n")
    assert not rest, err
    assert all(line.startswith("stablelse: ") and line.isprintable() for line in lines), err
    assert all(len(line) <= MAX_LINE for line in lines), err
    errors = [line for line in lines if line.startswith("stablelse: error: ")]
    assert len(errors) == (code == 2), err
    assert not any("out of memory" in line for line in errors), err
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", out), ascii(out)


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
    return array.astype(np.float64 if array.dtype.kind in "biu" else np.longdouble)


def _of_a_table(data: bytes) -> np.ndarray | None:
    import pyarrow as pa
    from pyarrow import parquet

    if data.startswith(b"PAR1"):
        table = parquet.read_table(pa.BufferReader(data), use_threads=False)
    else:
        is_file = data.startswith(b"ARROW1")
        open_ = pa.ipc.open_file if is_file else pa.ipc.open_stream
        table = open_(pa.BufferReader(data)).read_all()
    if table.schema.metadata:  # of pandas: the index is left out
        return None
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    cells = (cell for row in rows for cell in row)
    flat = (number for cell in cells for number in (cell if isinstance(cell, list) else [cell]))
    return np.array([np.nan if number is None else float(number) for number in flat])


def _of_json(value):
    """Yield the numbers of arrays, from literals; there are no objects."""
    if isinstance(value, list):
        for item in value:
            yield from _of_json(item)
    elif isinstance(value, dict):
        raise TypeError("which field is wanted is a matter of rules")
    else:
        yield np.nan if value is None else float(value)


#: A strategy for the cases, and what must hold for each.
PROPERTIES = {
    **{kind: (damaged_files(kind), files_are_read_or_refused) for kind in SEEDS},
}


def warm_up() -> None:
    """Import and allocate what the first cases need."""
    for kind in SEEDS:
        for data in seeds(kind):
            files_are_read_or_refused(data)
