"""Bytes into blocks of numbers, with the place (file, line, column) for every complaint."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np

from stablelse.readers.block import Array, Block, ReadError, ReadOptions, to_number
from stablelse.readers.vectors import By, Vectors, vectors

__all__ = [
    "Block",
    "By",
    "ReadError",
    "ReadOptions",
    "Vectors",
    "open_blocks",
    "parse_numbers",
    "vectors",
]

#: What a file begins with that is neither text nor .npy, what it is, and what to do about it.
_REFUSED: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a zip archive (.npz, .pt, .xlsx)", "save one array as .npy or as text"),
    (b"PK\x05\x06", "an empty zip archive", "save one array as .npy or as text"),
    (b"\x1f\x8b", "compressed by gzip", "unpack it, for instance with gunzip -c FILE | stablelse"),
    (b"BZh", "compressed by bzip2", "unpack it, for instance with bunzip2 -c FILE | stablelse"),
    (b"\xfd7zXZ\x00", "compressed by xz", "unpack it, for instance with unxz -c FILE | stablelse"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it first with unzstd"),
    (b"PAR1", "a Parquet file", "convert it to .npy or to text"),
    (b"ARROW1", "an Arrow file", "convert it to .npy or to text"),
    (b"\x89HDF\r\n", "an HDF5 file", "convert it to .npy or to text"),
    (b"\x80\x02", "a pickle", "pickles run code when read: save the array with np.save"),
    (b"\x80\x03", "a pickle", "pickles run code when read: save the array with np.save"),
    (b"\x80\x04", "a pickle", "pickles run code when read: save the array with np.save"),
    (b"\x80\x05", "a pickle", "pickles run code when read: save the array with np.save"),
)

_STANDARD_INPUT = "standard input"


def open_blocks(path: str, options: ReadOptions | None = None) -> Iterator[Block]:
    """Read a file, or standard input, in blocks of bounded size.

    Parameters
    ----------
    path : str
        A file, text or .npy, told apart by its first bytes; ``"-"`` is standard input.
    options : ReadOptions, optional
        How to read it.

    Yields
    ------
    Block
        At least one, each of at least one row.

    Raises
    ------
    ReadError
        If it cannot be opened or read, with the place.
    """
    source = _STANDARD_INPUT if path == "-" else path
    with _opened(path, source) as stream:
        begin = stream.peek(8)[:8]  # type: ignore[attr-defined]
        for magic, what, mend in _REFUSED:
            if begin.startswith(magic):
                raise ReadError(f"{source} is {what}: {mend}")
        if begin.startswith(b"\x93NUMPY"):
            from stablelse.readers.npy import read_npy as read
        else:
            from stablelse.readers.text import read_text as read
        yield from read(stream, source, options or ReadOptions())


def parse_numbers(tokens: Sequence[str], source: str = "argument", dtype: str = "float64") -> Array:
    """Read numbers that were given one by one.

    Parameters
    ----------
    tokens : sequence of str
        One number each.
    source : str
        What one of them is called in a complaint.
    dtype : str
        ``"float64"`` or ``"longdouble"``.

    Returns
    -------
    ndarray
        Shape (n,).

    Raises
    ------
    ReadError
        At the first that is not a number, or too large for the dtype.
    """
    values = np.empty(len(tokens), dtype)
    for index, token in enumerate(tokens):
        try:
            values[index] = to_number(token, dtype)
        except ReadError as error:
            mend = ": separate numbers by blanks" if "," in token else ""
            raise ReadError(f"{source} {index + 1}: {error}{mend}") from None
    return values


@contextmanager
def _opened(path: str, source: str) -> Iterator[BinaryIO]:
    """Open a file or standard input; whatever the system says of it becomes one line."""
    try:
        if path == "-":
            if sys.stdin is None:
                raise ReadError("standard input is closed: give numbers as arguments or by --file")
            yield sys.stdin.buffer
            return
        with open(path, "rb") as stream:
            yield stream
    except IsADirectoryError:
        raise ReadError(f"{source} is a directory: name the files in it") from None
    except FileNotFoundError:
        nearby = f" in {os.path.dirname(path)}" if os.path.dirname(path) else ""
        raise ReadError(f"{source}: no such file{nearby}") from None
    except OSError as error:
        raise ReadError(f"cannot read {source}: {error.strerror or error}") from None
