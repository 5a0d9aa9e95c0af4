"""Tensors as they lie on disk, ``.safetensors``: a header in JSON, and raw numbers.

The format is that of https://huggingface.co/docs/safetensors, read here without its package, which
maps files into memory, knows neither pipes nor URLs, and takes bfloat16 only beside ``ml_dtypes``.
bfloat16 and float8 come as wider formats of NumPy that hold them exactly.
"""

import io
import json
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from stablelse.readers import npy
from stablelse.readers.block import Array, Block, ReadError, ReadOptions, damaged, quoted
from stablelse.readers.columns import choose_key, keyed
from stablelse.readers.source import Source, SourceFile, read_header, read_parts

#: The longest header, of more than 100,000 tensors. The format allows 100 MB, which as objects of
#: Python would take a gigabyte.
_MAX_HEADER_BYTES = 1 << 24

#: How many bytes hold the header's length.
_LENGTH_BYTES = 8

_KIND = ".safetensors"
_METADATA = "__metadata__"


def _bfloat16(codes: Array) -> Array:
    """Return bfloat16 as float32, of which it is the upper half."""
    return (codes.astype(np.uint32) << 16).view(np.float32)


def _float8_e5m2(codes: Array) -> Array:
    """Return float8_e5m2 as float16, of which it is the upper half."""
    return (codes.astype(np.uint16) << 8).view(np.float16)


def _float8_e4m3fn(codes: Array) -> Array:
    """Return float8_e4m3fn as float16, whose exponent has one bit more and 8 more of a bias."""
    sign, rest = codes.astype(np.uint16) & 0x80, codes.astype(np.uint16) & 0x7F
    values = (sign << 8 | rest << 7).view(np.float16) * np.float16(2**8)
    values[rest == 0x7F] = np.nan  # there is no infinity
    return values


#: How numbers are stored, and what makes numbers of codes.
_DTYPES = {
    **{f"F{8 * size}": f"<f{size}" for size in (2, 4, 8)},
    **{f"{sign}{8 * size}": f"<{sign.lower()}{size}" for sign in "IU" for size in (1, 2, 4, 8)},
    **{"BF16": "<u2", "F8_E5M2": "u1", "F8_E4M3": "u1", "BOOL": "?"},
}
_DECODED = {"BF16": _bfloat16, "F8_E5M2": _float8_e5m2, "F8_E4M3": _float8_e4m3fn}


class _Tensor(NamedTuple):
    """What the header says of one tensor; its bytes are counted from the header's end."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def blocks(source: Source, options: ReadOptions) -> Iterator[Block]:
    """Read one tensor; of a pipe all that lies before it is read, too."""
    length = int.from_bytes(source.read(_LENGTH_BYTES), "little")
    header = _read_header(source, length)
    names = [name for name in header if name != _METADATA]
    key = choose_key(options.key, names, source.name)
    tensor = _tensor(header[key], source.name, key)
    if tensor.dtype not in _DTYPES:
        raise ReadError(
            f"{keyed(source.name, key)} is of the type {quoted(tensor.dtype)}, which cannot be "
            "read; convert it to F32"
        )
    dtype = np.dtype(_DTYPES[tensor.dtype])
    if tensor.end - tensor.begin != math.prod(tensor.shape) * dtype.itemsize:
        raise damaged(source.name, _KIND, f"the length of {quoted(key)} is not that of its shape")
    place = _LENGTH_BYTES + length + tensor.begin
    array = npy.Header(tensor.shape, False, dtype, 0)
    part = _part(source, keyed(source.name, key), place, tensor)
    yield from npy.array_blocks(part, array, options._replace(key=None), _DECODED.get(tensor.dtype))


def _read_header(source: Source, length: int) -> dict[str, Any]:
    text = read_header(source, length, _MAX_HEADER_BYTES, _KIND)
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise damaged(source.name, _KIND, "its header is no JSON") from None
    if not isinstance(header, dict):
        raise damaged(source.name, _KIND, "its header is no object")
    return header


def _tensor(entry: Any, source: str, key: str) -> _Tensor:
    try:
        begin, end = entry["data_offsets"]
        tensor = _Tensor(entry["dtype"], tuple(entry["shape"]), begin, end)
        numbers = (*tensor.shape, begin, end)
        if not isinstance(tensor.dtype, str) or any(type(n) is not int or n < 0 for n in numbers):
            raise ValueError
    except (TypeError, KeyError, ValueError):
        raise damaged(source, _KIND, f"its header does not describe {quoted(key)}") from None
    return tensor


def _part(source: Source, name: str, place: int, tensor: _Tensor) -> Source:
    """Return the bytes of one tensor as a source of their own."""
    file = io.BufferedReader(SourceFile(source, npy.BLOCK_BYTES))
    size = source.size()
    if not source.is_seekable or size is None:
        for _ in read_parts(source, tensor.begin):
            pass
        return Source(name, file)
    place = min(place, size)
    file.seek(place)
    return Source(name, file, min(tensor.end - tensor.begin, size - place))
