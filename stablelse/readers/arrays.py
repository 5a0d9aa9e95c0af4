"""Reads binary arrays: NumPy's ``.npy`` and ``.npz``, and ``.safetensors``.

They are read in pieces.
"""

import json
import math
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from itertools import chain
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from stablelse.readers.blocks import (
    BLOCK_BYTES,
    HELD_BYTES,
    Array,
    Block,
    By,
    ReadError,
    ReadOptions,
    choose_columns,
    choose_key,
    cuts,
    damaged,
    explaining,
    in_one_line,
    quoted,
    too_large,
    unique_keys,
    unreadable,
)
from stablelse.readers.sources import Source, seekable

#: Bytes between two numbers that are read too: that takes as long as another read.
_GAP_BYTES = 1 << 14

#: NumPy's own bound on a header, which is parsed as Python literals (NEP 1).
_NPY_HEADER_BYTES = 10_000

#: The longest .safetensors header: some 50,000 tensors. The format allows 100 MB, which
#: could take gigabytes as Python objects.
_SAFETENSORS_HEADER_BYTES = 7 << 20

#: The longest table of contents of a .npz: about 60,000 arrays, 46 bytes and a name each (the zip
#: format's specification, APPNOTE.TXT, section 4.3.12).
_TABLE_BYTES = 1 << 22

#: The flag of an encrypted entry in a zip archive (APPNOTE.TXT, section 4.4.4).
_ENCRYPTED = 1

#: The size of a .npy header's length in bytes, and the header's parser, by version of the format.
#: Versions 2 and 3 differ only in the encoding of field names, which no array of numbers has.
_VERSIONS: dict[bytes, tuple[int, Callable[..., Any]]] = {
    b"\x01\x00": (2, np.lib.format.read_array_header_1_0),
    b"\x02\x00": (4, np.lib.format.read_array_header_2_0),
    b"\x03\x00": (4, np.lib.format.read_array_header_2_0),
}

#: Kinds of dtypes that cannot be read, and how to save them instead.
_REFUSED = {
    "c": ("complex numbers", "save x.real, or abs(x)"),
    "O": ("Python objects, which could run any code", "save x.astype(float)"),
    "S": ("byte strings", "save x.astype(float)"),
    "U": ("strings", "save x.astype(float)"),
    "M": ("dates", "save them as numbers"),
    "m": ("time spans", "save them as numbers"),
    "T": ("strings", "save x.astype(float)"),
    "V": ("raw bytes, as which numpy.save writes ml_dtypes' bfloat16 and float8",
          "save x.astype(numpy.float32)"),
}  # fmt: skip
_STRUCTURED = ("records", "save one field, x['name']")

#: The most axes that NumPy's arrays have (NPY_MAXDIMS).
_MOST_AXES = 64

#: Other kinds of zip archives, by a file that they contain, and what to do.
_OTHER_ARCHIVES = {
    "data.pkl": "a PyTorch file (.pt), a pickle, which could run any code; if you trust it, load "
    "it in Python, and save it with safetensors.torch.save_file",
    "workbook.xml": "an Excel file; save the sheet as CSV",
}


def npy(source: Source, options: ReadOptions) -> Iterator[Block]:
    """Read NumPy's file of a single array."""
    magic_and_version = source.read(8)
    if magic_and_version[6:] not in _VERSIONS:
        raise damaged(source.name, "its version is not one that NumPy writes")
    length_bytes, parse = _VERSIONS[magic_and_version[6:]]
    length = source.header(length_bytes, length_bytes)
    text = source.header(int.from_bytes(length, "little"), _NPY_HEADER_BYTES)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about headers that Python 2 wrote
            shape, is_fortran, dtype = parse(BytesIO(length + text))
    except Exception:  # the parser reads arbitrary bytes: no list of its errors is complete
        raise damaged(source.name, "its header is not one that NumPy writes") from None
    if dtype.kind not in "biuf":
        is_structured = dtype.fields or dtype.subdtype
        what, hint = _STRUCTURED if is_structured else _REFUSED[dtype.kind]
        kind = in_one_line(dtype)
        raise ReadError(f"{source.name} holds {what} ({kind}), not real numbers; {hint}")
    array = StoredArray(source, shape, dtype, options, is_fortran)
    yield from array.blocks()
    source.expect_end(array.place + array.size, "its array")


def npz(source: Source, options: ReadOptions) -> Iterator[Block]:
    """Read one array of NumPy's archive; a pipe is copied first, as the table is at its end."""
    with seekable(source) as file:
        file.most = _TABLE_BYTES
        with explaining(source.name, unreadable):
            archive = zipfile.ZipFile(file)
        files = {entry: entry.filename for entry in archive.infolist()}
        arrays = {entry: name for entry, name in files.items() if name.endswith(".npy")}
        entries = {name.removesuffix(".npy"): entry for entry, name in arrays.items()}
        if len(entries) < len(arrays):
            raise ReadError(f"{source.name} has two arrays of the same name; save it again")
        if files and not arrays:
            names = (name.rpartition("/")[2] for name in files.values())
            what = next((_OTHER_ARCHIVES[name] for name in names if name in _OTHER_ARCHIVES), None)
            what = what or "a zip archive without arrays; unpack it, or save a .npz"
            raise ReadError(f"{source.name} is {what}")
        entry = entries[key := choose_key(options.key, list(entries), source.name)]
        name = _keyed(source.name, key)
        # Only these unpack in bounded memory, and NumPy writes no others.
        is_plain = entry.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        if not is_plain or entry.flag_bits & _ENCRYPTED:
            raise ReadError(f"{name} is compressed or encrypted as NumPy never does; save it again")
        with explaining(name, unreadable):
            content = archive.open(entry)
        array = Source(name, content, size=entry.file_size, explain=unreadable)
        if not array.head.startswith(b"\x93NUMPY"):
            raise ReadError(f"{name} is not a .npy file, though its name says so; save it again")
        yield from npy(array, options)


def safetensors(source: Source, options: ReadOptions) -> Iterator[Block]:
    """Read one tensor of the format at https://huggingface.co/docs/safetensors.

    The package of that name maps files into memory and reads neither pipes nor URLs.
    """
    name = source.name
    length = int.from_bytes(source.read(8), "little")
    text = source.header(length, _SAFETENSORS_HEADER_BYTES)
    try:
        header = json.loads(text, object_pairs_hook=unique_keys)
    except KeyError as twice:
        raise damaged(name, f"its header has {quoted(twice.args[0])} twice") from None
    except (ValueError, RecursionError):
        raise damaged(name, "its header is not JSON") from None
    if not isinstance(header, dict):
        raise damaged(name, "its header is not an object")
    keys = [key for key in header if key != "__metadata__"]
    key = choose_key(options.key, keys, name)
    try:
        entry = header[key]
        stored, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        spans = sorted(header[key]["data_offsets"] for key in keys)
        places = [0, *chain.from_iterable(spans)]
        if not isinstance(stored, str) or {*map(type, (*shape, *places))} != {int}:
            raise ValueError
    except (TypeError, LookupError, ValueError):
        raise damaged(name, f"its header does not describe {quoted(key)}") from None
    if stored not in _TENSOR_DTYPES:
        raise ReadError(
            f"{_keyed(name, key)} is of the type {quoted(stored)}, which cannot be read; convert "
            "it to F32"
        )
    if places[:-1:2] != places[1::2]:  # the specification allows neither
        raise damaged(name, "its tensors overlap, or have gaps between them")
    dtype, decode = _TENSOR_DTYPES[stored]
    is_array = len(shape) <= _MOST_AXES  # otherwise refused below, before any multiplication
    if is_array and end - begin != math.prod(shape) * np.dtype(dtype).itemsize:
        raise damaged(name, f"the length of {quoted(key)} is not that of its shape")
    source.skip_to(8 + length + begin)
    source.name = _keyed(name, key)
    yield from StoredArray(source, shape, np.dtype(dtype), options, decode=decode).blocks()
    source.name = name
    source.expect_end(8 + length + places[-1], "its tensors")


def _keyed(source: str, key: str) -> str:
    """Return the name of one array of a file for errors, as Python would write it."""
    return f"{source}[{quoted(key)}]"


def _upper_half(codes: Array) -> Array:
    """Return bfloat16, the upper half of a float32, so; and float8_e5m2, that of a float16."""
    size = codes.itemsize
    return (codes.astype(f"u{2 * size}") << 8 * size).view(f"f{2 * size}")


def _float8_e4m3fn(codes: Array) -> Array:
    """Return float8_e4m3fn as float16, whose exponent has one more bit and a bias 8 larger."""
    sign, rest = codes.astype(np.uint16) & 0x80, codes.astype(np.uint16) & 0x7F
    values = (sign << 8 | rest << 7).view(np.float16) * np.float16(2**8)
    values[rest == 0x7F] = np.nan  # there is no infinity
    return values


_Decode = Callable[[Array], Array]

#: A row, how many of its numbers come before, and rows or a piece of this row.
_Piece = tuple[int, int, Array]

#: How a tensor's numbers are stored, and the function that decodes them, if any.
_TENSOR_DTYPES: dict[str, tuple[str, _Decode | None]] = {
    **{f"F{8 * size}": (f"<f{size}", None) for size in (2, 4, 8)},
    **{f"{kind}{8 * n}": (f"<{kind.lower()}{n}", None) for kind in "IU" for n in (1, 2, 4, 8)},
    "BOOL": ("?", None),
    "BF16": ("<u2", _upper_half),
    "F8_E5M2": ("u1", _upper_half),
    "F8_E4M3": ("u1", _float8_e4m3fn),
}


class StoredArray:
    """An array that begins at the next byte of its source, unless its header is wrong."""

    def __init__(
        self,
        source: Source,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        options: ReadOptions,
        is_fortran: bool = False,
        decode: _Decode | None = None,
    ) -> None:
        self.source, self.dtype, self.options = source, dtype, options
        self.is_fortran, self.decode = is_fortran, decode
        name, axis = source.name, options.axis
        if len(shape) > _MOST_AXES:
            raise ReadError(f"{name} has {len(shape):,} axes; arrays have at most {_MOST_AXES}")
        self.place, self.size = source.tell(), math.prod(shape) * dtype.itemsize
        self.file, self.origin = source, self.place  # where its numbers are read from
        self.claimed = in_one_line(shape)
        if 0 in shape:
            raise ReadError(f"{name} is empty: its array has the shape {self.claimed}")
        if min(shape, default=0) < 0 or self.size > sys.maxsize:
            raise damaged(name, f"its header claims the shape {self.claimed}")
        if axis is not None and not -len(shape) <= axis < len(shape):
            raise ReadError(
                f"{name} has no axis {axis}: its shape is {self.claimed}; choose from 0 to "
                f"{len(shape) - 1}"
            )
        # Check before allocating anything: a header may claim any size.
        if source.size is not None and source.size - self.place < self.size:
            raise self._truncated(max(0, source.size - self.place))
        # What a vector is, if known.
        self.by = None if axis is None and len(shape) <= 2 else By.ROWS
        if len(shape) < 2:  # a column
            shape, axis, self.by = (*shape, 1, 1)[:2], 1, None
        self.shape, self.axis = shape, (-1 if axis is None else axis) % len(shape)
        if self.axis == 0 and len(shape) == 2:
            self.by = By.COLUMNS
        # Rows are counted over the other axes, the last one fastest.
        self.width, self.outer = shape[self.axis], shape[: self.axis] + shape[self.axis + 1 :]

    def blocks(self) -> Iterator[Block]:
        """Read the array: vectors lie along ``options.axis``, and the other axes count as rows."""
        options, name = self.options, self.source.name
        positions = choose_columns(options, None, self.width, name).positions
        kept = options.dtype if self.dtype.kind in "biu" else self.dtype.newbyteorder("=")
        outer = self.outer if len(self.outer) > 1 else ()
        for row, begin, values in self._pieces(positions):
            numbers = self.decode(values) if self.decode else values.astype(kept, copy=False)
            length = None if numbers.shape[1] == len(positions) else len(positions)
            yield Block(numbers, name, row, by=self.by, outer=outer, length=length, begin=begin)

    def _pieces(self, positions: Sequence[int]) -> Iterator[_Piece]:
        """Yield rows, or pieces of one, in their order."""
        shape, axis, item = self.shape, self.axis, self.dtype.itemsize
        if self.is_fortran:
            if sum(length > 1 for length in self.outer) > 1:  # rows are stored in another order
                yield self._whole(positions)
                return
            shape, axis = shape[::-1], len(shape) - 1 - axis
        # A slab has the rows whose numbers alternate, each `behind` numbers after the one before.
        slabs, behind = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
        size = self.width * behind
        _, first = next(cuts(range(1), size, item))
        if first.stop < size and (behind > 1 or not isinstance(positions, range)):
            yield from self._across(range(*self.options.share(slabs * behind)), behind, positions)
            return
        for here, part in cuts(range(*self.options.share(slabs)), size, item):
            count, numbers = here.stop - here.start, part.stop - part.start
            values = self._read(here.start * size + part.start, count * numbers)
            if numbers < size:
                yield here.start, part.start, values.reshape(1, numbers)
                continue
            rows = values.reshape(count, self.width, behind).swapaxes(1, 2).reshape(-1, self.width)
            is_whole = isinstance(positions, range)
            yield here.start * behind, 0, rows if is_whole else rows[:, list(positions)]

    def _read(self, begin: int, count: int) -> Array:
        """Return `count` numbers, after the first `begin` ones."""
        place, size = begin * self.dtype.itemsize, count * self.dtype.itemsize
        self.file.skip_to(self.origin + place)
        data = b"".join(self.file.parts(size))  # no copy of a single part
        if len(data) < size:
            raise self._truncated(place + len(data))
        return np.frombuffer(data, self.dtype)

    def _whole(self, positions: Sequence[int]) -> _Piece:
        """Return all rows; only a file of its own may be large."""
        hint = "save numpy.ascontiguousarray(x)"
        refusal = too_large(self.source.name, "an array in Fortran order", self.size, hint)
        if self.size > HELD_BYTES and self.source.descriptor is None:
            raise refusal
        begin, end = self.options.share(math.prod(self.outer))
        try:
            array = self._read(0, math.prod(self.shape)).reshape(self.shape, order="F")
            rows = np.moveaxis(array, self.axis, -1).reshape(-1, self.width)
            return begin, 0, rows[begin:end, list(positions)]
        except MemoryError:
            raise refusal from None

    def _across(self, rows: range, behind: int, positions: Sequence[int]) -> Iterator[_Piece]:
        """Yield rows of slabs too large to be read at once; what is close is read together."""
        is_close = behind * self.dtype.itemsize <= _GAP_BYTES and isinstance(positions, range)
        many = max(1, BLOCK_BYTES // (behind * self.dtype.itemsize)) if is_close else 1
        with seekable(self.source, self.size, is_local=True) as self.file:
            self.origin = self.place if self.file is self.source else 0
            gauge, self.file.gauge = self.file.gauge, None  # parts may be read again
            # The more rows, the fewer reads: twice as many as elsewhere.
            for here, cut in cuts(rows, len(positions), max(1, self.dtype.itemsize // 2)):
                wanted, height = positions[cut], here.stop - here.start
                found = np.empty((height, len(wanted)), self.dtype)
                for slab in range(here.start // behind, -(-here.stop // behind)):
                    begin = max(here.start, slab * behind)
                    end = min(here.stop, (slab + 1) * behind)
                    for at in range(0, len(wanted), many):
                        columns = wanted[at : at + many]
                        first = (slab * (self.width - 1) + columns[0]) * behind + begin
                        numbers = self._read(first, (len(columns) - 1) * behind + end - begin)
                        near = sliding_window_view(numbers, end - begin)[::behind]
                        found[begin - here.start : end - here.start, at : at + many] = near.T
                if gauge is not None:
                    gauge.count += found.nbytes
                yield here.start, cut.start, found

    def _truncated(self, size: int) -> ReadError:
        return ReadError(
            f"{self.source.name} is truncated: its header promises {self.size:,} bytes for the "
            f"shape {self.claimed} of {self.dtype}, and {size:,} follow; copy or save it again"
        )
