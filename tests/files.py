"""Helpers for tests: make files from bytes, and read them."""

import io
import json
import zipfile
from functools import partial

import numpy as np
import pytest

from stablelse.readers import open_blocks, read_source
from stablelse.readers.blocks import ReadError, ReadOptions
from stablelse.readers.sources import file_source


def piped(data, name="x", **options):
    """Return the blocks read from a stream of bytes."""
    return list(read_source(file_source(name, io.BytesIO(data)), ReadOptions(**options)))


def gathered(path, **options):
    """Return all numbers of a file; the blocks' places must fit together."""
    blocks = list(open_blocks(str(path), ReadOptions(**options)))
    offset = 0
    for block in blocks:
        assert block.offset == offset
        offset += len(block.values)
    return np.concatenate([block.values for block in blocks])


def stdin_of(data):
    """Return a stand-in for standard input with these bytes."""
    return io.TextIOWrapper(io.BytesIO(data))


def complaint(path, **options):
    """Return the one-line error about a file, with `x` for its path."""
    with pytest.raises(ReadError) as error:
        list(open_blocks(str(path), ReadOptions(**options)))
    if "pip install" in str(error.value):
        raise error.value
    message = str(error.value)
    assert message.isprintable()
    assert len(message) < 400
    return message.replace("standard input" if path == "-" else str(path), "x")


def saved(array, save=np.save, **options):
    """Return the bytes of a .npy file."""
    buffer = io.BytesIO()
    save(buffer, array, **options)
    return buffer.getvalue()


def npy_header(shape, descr="'<f8'", version=1, more="", is_fortran=False):
    text = f"{{'descr': {descr}, 'fortran_order': {is_fortran}, 'shape': {shape}, {more}}}"
    return raw_header(text.ljust(117) + "\n", version)


def raw_header(text, version=1):
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + text.encode("latin-1")


def npz(save=np.savez, **arrays):
    """Return the bytes of a .npz file."""
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


def archive(entries, compression=zipfile.ZIP_STORED):
    """Return a zip archive of names and bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as target:
        for name, data in entries:
            target.writestr(name, data)
    return buffer.getvalue()


#: The name of each type in .safetensors, and NumPy's or ml_dtypes' own.
TENSOR_DTYPES = {
    **{f"F{n}": f"float{n}" for n in (16, 32, 64)},
    **{f"I{n}": f"int{n}" for n in (8, 16, 32, 64)},
    **{f"U{n}": f"uint{n}" for n in (8, 16, 32, 64)},
    **{"BOOL": "bool", "BF16": "bfloat16", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"},
}


def tensor_file(header, data=b"", length=None):
    """Return a .safetensors file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def tensor(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def tensors(**arrays):
    """Return a .safetensors file of arrays, following the format's specification."""
    header, data = {"__metadata__": {"format": "np"}}, b""
    names = {dtype: name for name, dtype in TENSOR_DTYPES.items()}
    for name, array in arrays.items():
        end = len(data) + array.nbytes
        header[name] = tensor(names[array.dtype.name], array.shape, (len(data), end))
        data += array.tobytes()
    return tensor_file(header, data)


def parquet_file(table, **options):
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(table, buffer, **options)
    return buffer.getvalue()


def ipc_file(table, new="new_file", rows=None, **options):
    from pyarrow import ipc

    buffer = io.BytesIO()
    with getattr(ipc, new)(buffer, table.schema, options=ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, rows)
    return buffer.getvalue()


#: The ways to write a table.
TABLE_WRITERS = {
    "Parquet": parquet_file,
    "Parquet, small groups": partial(parquet_file, row_group_size=7),
    "Parquet, no dictionaries": partial(
        parquet_file, use_dictionary=False, compression="zstd", data_page_size=64
    ),
    "Arrow file": ipc_file,
    "Arrow file, small batches": partial(ipc_file, rows=7),
    "Arrow file, compressed": partial(ipc_file, compression="lz4"),
    "Arrow stream": partial(ipc_file, new="new_stream"),
}
