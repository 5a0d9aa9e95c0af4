"""Input that cannot be read: golden/bad-KIND.txt has the error line, for every way to read it."""

import re
import zipfile

import numpy as np
import pytest
from files import (
    TABLE_WRITERS,
    archive,
    complaint,
    ipc_file,
    npy_header,
    npz,
    parquet_file,
    piped,
    raw_header,
    saved,
    tensor,
    tensor_file,
    tensors,
)

from stablelse.readers import text

TEXT = {
    "a missing cell beside a name": b"NA,a\n1,2\n",
    "an error in another language": b"1\t2\n3\t#WERT!\n",
    "a # behind a tab": b"1\t2\n3\t#4\n",
    "blank lines": b"\n \n# nothing\n",
    "header only": b"a,b\n",
    "header only, asked": (b"1\n", {"header": True}),
    "text": b"a,b\n1,2\n3,x\n",
    "text after comments": b"# one\n\n1\n# two\nx\n",
    "names as numbers": (b"a,b\n1,2\n", {"header": False}),
    "a chosen column of text": (b"a,b\n1,2\nx,4\n", {"columns": ("b", "a")}),
    "underscore": b"1_000\n1\n",
    "other digits": "1\n１\n".encode(),
    "hexadecimal": (b"1\n0x10\n", {"dtype": "longdouble"}),
    "blank cell of longdouble": (b", 1\n", {"dtype": "longdouble"}),
    "a NaN with a payload": (b"1\nnan(1)\n", {"dtype": "longdouble"}),
    "another delimiter": b"1:2\n3:4\n",
    "a tab": (b"1\t2\n3\t4\n", {"delimiter": ","}),
    "decimal comma": b"1;2,5\n3;4\n",
    "decimal point": (b"1,5;2\n1.500;4\n", {"decimal": ","}),
    "two decimal commas": (b"1,5;2\n1,500,1;4\n", {"decimal": ","}),
    "blank cell": b"1,2\n3,\n",
    "NA": b"a\n1\nNA\n",
    "NA first": b"1,NA\n2,3\n",
    "names and a number": b"a,2\n1,2\n",
    "a blank above an index, and years": (b",2020,2021\n0,1,2\n", {"skip_na": True}),
    "years in quotes": b'"2020","2021"\n1,2\n',
    "a number in quotes": b'"-1.5"\n2\n',
    "a second line of names": b",a,a\n,0,1\nx,1,2\n",
    "something behind the last delimiter": b"1,\n2,\n3,4\n",
    "a blank column with a name": b"a,b\n1,\n2,\n",
    "a comment without a blank": b"1,2\n3,4#5\n",
    "an error of a spreadsheet": b"1,2\n#N/A,4\n",
    "a thousand": "1\n5\u00a0000\n".encode(),
    "too long a row": b"1,2\n3,4,5\n",
    "too short a row": b"1,2\n3\n",
    "too short a header above blanks": b"a,b\n1 2\n",
    "too short a header": b"a,b\n1,2,3\n",
    "uneven beside the column": (b"1,2,3\n4,5,6,7\n", {"columns": ("1",)}),
    "uneven beside the column, quotes": (
        b'"a, b",1\n"c",1,2\n',
        {"columns": ("2",), "header": False},
    ),
    "uneven beside the column, comments": (b"1,2,3\n4 # ,5,6\n", {"columns": ("1",)}),
    "a number over two lines": b'"1\n5"\n6\n',
    "an open quote at the end": b'1\n"2\n',
    "an open quote in the header": b'"a\n1\n',
    "text behind a quote": b'1\n"1"5\n',
    "a number behind blanks in quotes": b'1,2\n"" 5,3\n',
    "overflow": b"1\n-1e400\n",
    "overflow in the first line": b"1e400\n",
    "overflow beside an infinity": b"inf,1\n2,1e400\n",
    "overflow of longdouble": (b"1\n1e5000\n", {"dtype": "longdouble"}),
    "overflow by many digits": b"1\n" + b"9" * 400 + b"\n",
    "a megabyte of a number": b"1\n1." + b"0" * 2**20 + b"\n",
    "NUL": b"1\r2\x00\r",
    "Latin-1": "1\r2\r3 µ\r".encode("latin-1"),
    "UTF-16": "1\n".encode("utf-16"),
    "an old Feather file": b"FEA1" + bytes(100),
    "pickle": b"\x80\x04\x95\x00",
    "no such name": (b"a,b\n1,2\n", {"columns": ("c",)}),
    "no such name of many": (
        ",".join(map("c{}".format, range(20))) + "\n1" + ",1" * 19,
        {"columns": ("c",)},
    ),
    "no such number": (b"1,2\n", {"columns": ("3",)}),
    "columns count from 1": (b"1\n", {"columns": ("0",)}),
    "a number of many digits": (b"1\n", {"columns": ("9" * 5000,)}),
    "a name without a header": (b"1,2\n", {"columns": ("²",)}),
    "columns of one name": (b"a,b,a\n1,2,3\n", {"columns": ("a",)}),
    "comma twice": (b"1\n", {"delimiter": ",", "decimal": ","}),
} | {
    f"delimiter {sign!r}": ("1\n", {"delimiter": sign})
    for sign in ("::", "", "#", '"', "\n", "\r", "\0", "1", "e", "-", ".")
}

JSON = {
    "null": "[[1], [2, null]]",
    "null among numbers": '{"a": 1}\n{"a": null}',
    "blank": '[1]\n["", 2]',
    "no vector": '{"a": [1]}\n{"a": null}',
    "an empty array": "[]",
    "one among others": "[[1],\n[]]",
    "overflow": "[1, 1e400]",
    "a million digits": f"[{'1' * 10**6}]",
    "truncated": "[1]\n[2,\n3",
    "truncated between": "[[1],\n[2],\n",
    "truncated object": '{"a": [1]}\n{"a":',
    "a bracket alone": "[",
    "a comma at the very end": "[[1],\n[2],\n]",
    "a comma between lines": "[1],\n[2],\n",
    "cells in brackets": "[1, 2], 3\n[4, 5], 6\n",
    "NumPy's own": "[1.5 2.5]",
    "Python's own": "[1.5, -inf]",
    "a bad line far down": "[1]\n" * 9_999 + "[tru]\n" + "[1]\n" * 9_999,
    "a quote that is open": '["1, 2]\n[3]\n',
    "other quotes": "{'a': 1}",
    "something behind": "[1] # one\n",
    "a comment before": "# one\n\n[1, 2]\n",
    "nesting": "[" * 10**6,
    "closed nesting": "[" * 500 + "1" + "]" * 500,
    "nested objects": '{"a":' * 10**6,
    "a key twice": '{"a": [1]}\n{"a": 1, "b": 2, "a": 3}',
    "several fields": '{"a": [1], "b": [2], "c": "text", "d": 3}',
    "no field": '{"a": "text", "b": {"c": "1"}}',
    "an object in the field": '{"a": "text", "b": {"c": 1}}',
    "numbers in another field": '{"a": [1], "b": [{"c": 1}]}',
    "an object of nothing": "{}",
    "another object": '{"a": [1]}\n{"b": [1]}',
    "a word": '["a", "b"]',
    "true": "[1, true]",
    "an array beside numbers": "[1, [2]]",
    "a number beside arrays": "[[1], 2]",
    "an object beside numbers": '[1, {"a": 2}]',
    "UTF-16": "[1]".encode("utf-16"),
    "Latin-1": '[1]\n["é"]'.encode("latin-1"),
    "NUL": "[1]\0",
    **{
        f"the key {key}": ('{"a": [{"c": 1}], "n": {"o": 1}}', {"key": key})
        for key in ("b", "a.b", "a[].b", "a[].c[]", "a[].c.d", "n", "a")
    },
    "our own results": '{"schema": 1, "function": "logsumexp", "source": null, "value": 1}',
}

X, Y, EIGHT = np.arange(3.0), np.ones(2), bytes(8)

NPY = {
    "truncated": saved(np.arange(9.0))[:-1],
    "truncated in Fortran order": saved(np.asfortranarray(np.ones((3, 4))))[:-1],
    "no data": npy_header("(10,)"),
    "a claim too large": npy_header("(1000000000000,)"),
    "a wide claim": npy_header("(1, 1000000000000)") + bytes(8),
    "a claim beyond 64 bits": npy_header(f"({10**30},)"),
    "truncated header": saved(np.arange(9.0))[:30],
    "truncated magic": b"\x93NUMPY",
    "truncated length": b"\x93NUMPY\x01\x00\x05",
    "another version": b"\x93NUMPY\x09\x00" + bytes(100),
    "a header of gigabytes": b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(100),
    "nonsense": raw_header("abc\n"),
    "open braces": raw_header("{" * 500),
    "deep nesting": raw_header("(" * 4900 + ")" * 4900),
    "code": npy_header("__import__('os').getpid()"),
    "no dtype": npy_header("(1,)", "'zz'"),
    "more keys": npy_header("(1,)", more="'x': 1"),
    "negative shape": npy_header("(-1,)"),
    "objects": npy_header("(1,)", "'|O'"),
    "records": saved(np.zeros(2, "f8,i4")),
    "bfloat16": saved(np.zeros(2, "V2")),
    "float8": saved(np.zeros(2, "V1")),
    "complex": saved(np.zeros(2, complex)),
    "text": saved(np.array(["a"])),
    "dates": saved(np.zeros(2, "M8[s]")),
    "text of any length": npy_header("(3,)", "'T'") + bytes(48),
    "a name of thousands": npy_header("(3,)", f"[({'a' * 4000!r}, '<f8')]"),
    "thousands of digits": npy_header(f"({'9' * 4200},)"),
    "thousands of digits, negative": npy_header(f"(-{'9' * 4200},)"),
    "nothing, and thousands of digits": npy_header(f"(0, {'9' * 4200})"),
    "thousands of axes": npy_header(f"({'1,' * 4900})") + EIGHT,
    "too many axes": npy_header(f"({'1,' * 65}2, 3)", is_fortran=True) + bytes(48),
    "five axes, one of nothing": saved(np.zeros((2, 3, 0, 4, 5))),
    "three axes, truncated": saved(np.zeros((2, 3, 4)))[:-1],
    "empty": saved(np.zeros((0, 4))),
    "no axis 3": (saved(np.ones((2, 3, 4))), {"axis": 3}),
    "no axis -4": (saved(np.ones((2, 3, 4))), {"axis": -4}),
    **{f"no column {c}": (saved(np.zeros((3, 2))), {"columns": (c,)}) for c in ("3", "0", "a")},
}

LOGITS = np.random.default_rng(2).normal(size=(5_000, 7)).astype(np.float16)
ONE = npz(x=np.arange(1000.0))


def changed(data, place, new):
    return data[:place] + new + data[place + len(new) :]


NPZ = {
    "several": npz(a=LOGITS, b=LOGITS),
    "many": npz(**{f"layer{i}": LOGITS[:1] for i in range(20)}),
    "none": npz(),
    "an empty array": npz(x=np.zeros(0)),
    "truncated": ONE[:-9],
    "a flipped bit": changed(ONE, 1000, bytes([ONE[1000] ^ 0xFF])),
    "another method": archive([("x.npy", saved(np.arange(3.0)))], zipfile.ZIP_BZIP2),
    "encrypted": changed(ONE, ONE.index(b"PK\x01\x02") + 8, b"\1\0"),  # APPNOTE.TXT, 4.3.12
    "no .npy in it": archive([("x.npy", b"1,2\n")]),
    "objects": archive([("x.npy", saved(np.array([1, "a"], object)))]),
    "a claim too large": archive(
        [("x.npy", npy_header((10**6, 10**6), is_fortran=True))], zipfile.ZIP_DEFLATED
    ),
    "PyTorch": archive([("model/data.pkl", b"\x80\x02."), ("model/data/0", bytes(8))]),
    "Excel": archive([("xl/workbook.xml", b"<workbook/>")]),
    "no such key": (npz(a=LOGITS, b=LOGITS), {"key": "c"}),
    # Sixty bytes per entry in the file become a thousand in memory.
    "a long table of contents": archive([(f"{i:0200}", b"") for i in range(20_000)]),
    "any archive": archive([("x.csv", b"1\n")]),
}

SAFETENSORS = {
    "several": tensors(a=Y, b=Y),
    "none": tensor_file({"__metadata__": {}}),
    "an empty tensor": tensors(a=np.ones((0, 3))),
    "truncated": tensors(a=Y)[:-1],
    "truncated header": tensors(a=Y)[:30],
    "a header of gigabytes": tensor_file(b'{"a":', length=2**31),
    "a header longer still": tensor_file(b'{"a":', length=2**60),
    "no JSON": tensor_file(b"{'a': 1}"),
    "deep nesting": tensor_file(b'{"a":' + b"[" * 100_000),
    "Latin-1": tensor_file('{"µ": 1}'.encode("latin-1")),
    "no entry": tensor_file({"a": 1}, EIGHT),
    "no shape": tensor_file({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, EIGHT),
    "three offsets": tensor_file({"a": tensor(offsets=(0, 8, 9))}, EIGHT),
    "a negative offset": tensor_file({"a": tensor(offsets=(-8, 0))}, EIGHT),
    "a fraction": tensor_file({"a": tensor(shape=(2.5,))}, EIGHT),
    "a bool": tensor_file({"a": tensor(shape=(True,))}, EIGHT),
    "a type that is no string": tensor_file({"a": tensor(dtype=["F32"])}, EIGHT),
    "another length": tensor_file({"a": tensor(shape=(3,))}, EIGHT),
    "a claim too large": tensor_file(
        {"a": tensor(shape=(10**12,), offsets=(0, 4 * 10**12))}, EIGHT
    ),
    "beyond the end": tensor_file({"a": tensor(offsets=(10**15, 10**15 + 8))}, EIGHT),
    "a gap": tensor_file({"a": tensor(offsets=(8, 16))}, bytes(16)),
    "one over the other": (
        tensor_file({"a": tensor(), "b": tensor(offsets=(4, 12))}, bytes(12)),
        {"key": "a"},
    ),
    "thousands of axes and digits": tensor_file({"a": tensor(shape=[10**4000] * 1000)}, EIGHT),
    "too many axes": tensor_file({"a": tensor(shape=[1] * 65 + [2])}, EIGHT),
    "thousands of digits": tensor_file({"a": tensor(shape=[10**4000])}, EIGHT),
    "a header of 2**63 bytes": tensor_file(b'{"a":', length=2**63),
    "a type of four bits": tensor_file({"a": tensor("F4", (16,))}, EIGHT),
    "no such key": (tensors(a=Y, b=Y), {"key": "__metadata__"}),
    "complex": tensor_file({"a": tensor("C64", (1,))}, EIGHT),
}

#: Files with more numbers than those that are read: an error, never silence.
BEHIND = {
    "two arrays": saved(X) + saved(Y),
    "an array, and bytes": saved(X) + b"\0",
    "two arrays, read across": saved(np.asfortranarray(np.ones((2, 9)))) + saved(X),
    "two arrays in one entry": archive([("a.npy", saved(X) + saved(Y))]),
    "two tensors of one name": tensor_file(b'{"a":%b,"a":%b}' % ((b"1",) * 2)),
    "two .safetensors files": 2 * tensors(a=Y),
    "a field more, later": '{"a": [1]}\n{"a": [2], "b": [3]}',
    "another field, later": '{"a": [1]}\n{"a": null, "b": [3]}',
    "a field behind vectors": '{"vectors": [[1, 2]], "b": [3]}',
    "keys of ours": '{"quantity": [1], "totals": [2]}\n{"quantity": [4]}',
}


def tables():
    """Return tables that cannot be read in any format."""
    pa = pytest.importorskip("pyarrow")
    strings = pa.array(["x"])
    kinds = {
        "text": strings,
        "times": pa.array([0], pa.timestamp("ms")),
        "bytes": [b"x"],
        "records": [{"a": 1}],
        "lists of text": [["x"]],
        "lists of lists": [[[1.0]]],
        "words": strings.dictionary_encode(),
    }
    two_lists, beside = [[1.0, 2.0], [3.0, None]], {"columns": ("a", "b", "c")}
    columns = {
        "null in a dictionary": {"a": pa.array([1.5, None, 1.5]).dictionary_encode()},
        "null far down": {"a": [1.0] * 5000 + [None]},
        "null in a list": {"a": [[1.0, 2.0], [None, 4.0]]},
        "null behind lists": ({"a": [1, 2], "b": [[1, 2], [3]], "c": [1, None]}, beside),
        "null in lists beside": ({"a": [1, 2], "b": two_lists, "c": [1, None]}, beside),
        "a list among numbers": {"a": [1.0], "b": [[1.0]]},
        "no list": {"a": [[1.0, 2.0], None, [3.0]]},
        "an empty list": {"a": [[1.0, 2.0], [], [3.0]]},
        "no such column": ({"a": [1.0], "b": [2.0]}, {"columns": ("d",)}),
        "a key": ({"a": [1.0]}, {"key": "a"}),
        "no rows": {"a": pa.array([], pa.float64())},
        **{kind: ({"a": [1.0], "b": cells}, {"columns": ("b",)}) for kind, cells in kinds.items()},
    }
    cases = {}
    for name, case in columns.items():
        cells, options = case if isinstance(case, tuple) else (case, {})
        cases[name] = ([write(pa.table(cells)) for write in TABLE_WRITERS.values()], options)
    return cases


def joined():
    """Return one table after another."""
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"x": X})
    return {
        "two Parquet files": 2 * parquet_file(table),
        "two Arrow files": 2 * ipc_file(table),
        "two Arrow streams": 2 * ipc_file(table, "new_stream"),
    }


KINDS = {
    **{"text": lambda: TEXT, "json": lambda: JSON, "npy": lambda: NPY, "npz": lambda: NPZ},
    **{"safetensors": lambda: SAFETENSORS, "tables": tables},
    **{"behind": lambda: BEHIND, "behind-tables": joined},
}


@pytest.mark.parametrize("kind", KINDS)
def test_bad(kind, golden, written, piped_in, monkeypatch):
    """The line is the same for a file and a pipe, and for small pieces."""
    lines = []
    for name, case in KINDS[kind]().items():
        data, options = case if isinstance(case, tuple) else (case, {})
        found = set()
        for content in data if isinstance(data, list) else [data]:
            found.add(complaint(written(content), **options))
            found.add(complaint(piped_in(content), **options))
            if kind in ("text", "npy"):
                with monkeypatch.context() as patch:
                    patch.setattr(text, "PIECE_BYTES", 64)
                    patch.setattr("stablelse.readers.blocks.BLOCK_BYTES", 64)
                    found.add(complaint(written(content), **options))
        (line,) = {line.replace("item:", "element:") for line in found}
        lines.append(f"{name}: {line}\n")
    golden(f"bad-{kind}.txt", "".join(lines), has_results=False)


def test_a_comma_at_the_end(written):
    """Python 3.13 points at the comma, earlier versions at the bracket."""
    assert re.match(
        r"x, line 1, character (6 \(','\)|7 \('\]'\)) is not JSON: .*; correct it$",
        complaint(written("[1, 2,]")),
    )


def test_two_entries_of_one_name(written):
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = archive([("a.npy", saved(X)), ("a.npy", saved(Y))])
    assert complaint(written(data)) == "x has two arrays of the same name; save it again"


@pytest.mark.parametrize("make", [saved, lambda x: archive([("a.npy", saved(x))])])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4)])
def test_what_ends_where_it_should(make, shape):
    x = np.ones(shape)
    assert sum(block.values.size for block in piped(make(x))) == x.size
