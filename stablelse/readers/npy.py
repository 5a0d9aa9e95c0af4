"""NumPy's own files: mapped where there is a file, streamed where there is a pipe."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.lib import format as npy_format

from stablelse.readers.block import BLOCK_BYTES, Array, Block, ReadError, ReadOptions
from stablelse.readers.dialect import choose_columns

MAGIC = b"\x93NUMPY"


class _Header(NamedTuple):
    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]


def read_npy(stream: BinaryIO, source: str, options: ReadOptions) -> Iterator[Block]:
    """Read a .npy file in blocks of bounded size; nothing in it is ever unpickled.

    Parameters
    ----------
    stream : binary stream
        At the beginning of the file.
    source : str
        The file's name, for the blocks and for complaints.
    options : ReadOptions
        Only ``columns`` matters, as numbers.

    Yields
    ------
    Block
        At least one row each: float16 to longdouble as they are, integers and bools as float64.

    Raises
    ------
    ReadError
        If it is no array of real numbers with at most two axes, or its data are not all there.
    """
    header = _header(stream, source)
    rows, width = (*header.shape, 1)[:2] if header.shape else (1, 1)
    if rows * width == 0:
        raise ReadError(f"{source} is empty: its shape is {header.shape}")
    chosen = choose_columns(options.columns, None, width, source) if options.columns else None
    blocks = _mapped(stream, header, source) if _is_file(stream) else None
    if blocks is None:
        blocks = _streamed(stream, header, rows, width, source)
    offset = 0
    for block in blocks:
        values = block.reshape(-1, width)
        if chosen is not None:
            values = values[:, chosen]
        yield Block(_as_floating(values), source, offset)
        offset += len(values)


def _header(stream: BinaryIO, source: str) -> _Header:
    try:
        version = npy_format.read_magic(stream)
        read = {
            (1, 0): npy_format.read_array_header_1_0,
            (2, 0): npy_format.read_array_header_2_0,
        }[version]
        header = _Header(*read(stream))
    except (ValueError, KeyError, EOFError) as error:
        reason = str(error).partition("\n")[0]
        raise ReadError(f"{source} is no .npy file that can be read: {reason}") from None
    if any(length < 0 for length in header.shape):
        raise ReadError(f"{source} is no .npy file that can be read: its shape is {header.shape}")
    if header.dtype.hasobject:
        raise ReadError(f"{source} holds Python objects, which are never unpickled: save numbers")
    if header.dtype.kind not in "fiub":
        hint = _KINDS.get(header.dtype.kind, "save an array of real numbers")
        raise ReadError(
            f"{source} holds {header.dtype.name or header.dtype}, not real numbers: {hint}"
        )
    if len(header.shape) > 2:
        raise ReadError(
            f"{source} has {len(header.shape)} axes, shape {header.shape}: "
            "reshape it to two, a vector per row"
        )
    return header


_KINDS = {
    "V": "save the fields as columns, or a dtype of ml_dtypes after .astype(np.float32)",
    "c": "save the real parts",
}


def _is_file(stream: BinaryIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False


def _truncated(source: str, shape: tuple[int, ...], present: int, needed: int) -> ReadError:
    return ReadError(
        f"{source} is truncated: its header claims {math.prod(shape):,} numbers, {needed:,} bytes, "
        f"and {present:,} bytes are there"
    )


def _mapped(stream: BinaryIO, header: _Header, source: str) -> Iterator[Array]:
    """Yield copies of slices of the mapped file, in either order of storage."""
    begin = stream.tell()
    present = os.fstat(stream.fileno()).st_size - begin
    needed = math.prod(header.shape) * header.dtype.itemsize
    if present < needed:
        raise _truncated(source, header.shape, present, needed)
    array = np.memmap(
        stream,
        dtype=header.dtype,
        mode="r",
        offset=begin,
        shape=header.shape or (1,),
        order="F" if header.fortran_order else "C",
    )
    step = _rows_at_once(header)
    for start in range(0, len(array), step):
        yield np.array(array[start : start + step])


def _streamed(
    stream: BinaryIO, header: _Header, rows: int, width: int, source: str
) -> Iterator[Array]:
    """Yield rows as they come; only what is stored row by row can be read so."""
    if header.fortran_order and min(rows, width) > 1:
        raise ReadError(f"{source} is stored column by column: give it as a file, by --file")
    row_bytes = width * header.dtype.itemsize
    present, needed = 0, rows * row_bytes
    while present < needed:
        wanted = min(_rows_at_once(header) * row_bytes, needed - present)
        data = _read_exactly(stream, wanted)
        present += len(data)
        if len(data) < wanted:
            raise _truncated(source, header.shape, present, needed)
        yield np.frombuffer(data, header.dtype)


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    """Read so many bytes, in pieces: a header's claim must not make us allocate them at once."""
    pieces = []
    while size and (piece := stream.read(min(size, BLOCK_BYTES))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _rows_at_once(header: _Header) -> int:
    width = math.prod(header.shape[1:])
    return max(1, BLOCK_BYTES // (width * header.dtype.itemsize))


def _as_floating(values: Array) -> Array:
    if values.dtype.kind != "f":
        return values.astype(np.float64)
    return values.astype(values.dtype.newbyteorder("="), copy=False)
