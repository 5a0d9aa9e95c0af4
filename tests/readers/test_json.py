"""JSON: every shape that holds numbers, no digit lost, and one line about anything else."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from files import complaint, piped
from hypothesis import given
from hypothesis import strategies as st

from stablelse.readers import By, ReadError, ReadOptions, open_blocks, text


@pytest.fixture(params=["file", "pipe"])
def read(request, tmp_path, monkeypatch):
    """Return what reads bytes or text as JSON: a list of rows, numbers missing as None."""
    import io

    def rows(data, **options):
        data = data if isinstance(data, bytes) else data.encode()
        path = tmp_path / "x"
        path.write_bytes(data)
        if request.param == "pipe":
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
            path = "-"
        found = []
        for block in open_blocks(str(path), ReadOptions(**options)):
            assert block.offset == len(found)
            found += block.values.tolist()
            if block.missing is not None:
                for row, missing in zip(found[block.offset :], block.missing, strict=True):
                    assert np.isnan(np.array(row)[missing]).all()
                    row[:] = [None if m else x for x, m in zip(row, missing, strict=True)]
        return found

    return rows


@pytest.fixture
def refused(tmp_path):
    """Return what gives the complaint about some bytes or text, `x` for its path."""

    def message(data, **options):
        (tmp_path / "x").write_bytes(data if isinstance(data, bytes) else data.encode())
        return complaint(tmp_path / "x", **options)

    return message


CHAT = json.dumps(
    {
        "model": "m",
        "choices": [
            {"logprobs": {"content": [{"token": "a", "logprob": -1.5}, {"logprob": -2}]}},
            {"logprobs": {"content": [{"logprob": -3}]}},
        ],
    }
)
CHAT_KEY = "choices[].logprobs.content[].logprob"

SHAPES = {
    "an array": ("[1, 2.5, -3e2]", {}, [[1, 2.5, -300]]),
    "an array of arrays": ("[[1, 2], [3, 4]]", {}, [[1, 2], [3, 4]]),
    "arrays of other lengths": ("[[1, 2], [3], [4, 5, 6]]", {}, [[1, 2], [3], [4, 5, 6]]),
    "arrays within arrays": ("[[[1, 2], [3, 4]], [[5]]]", {}, [[1, 2], [3, 4], [5]]),
    "with indents": (json.dumps([[1, 2], [3]], indent=2), {}, [[1, 2], [3]]),
    "an array per line": ("[1, 2]\n[3]\n\n[4, 5]\n", {}, [[1, 2], [3], [4, 5]]),
    "CR LF": ("[1]\r\n[2]\r\n", {}, [[1], [2]]),
    "CR": ("[1]\r[2]\r", {}, [[1], [2]]),
    "a byte order mark": ("\ufeff[1, 2]", {}, [[1, 2]]),
    "blanks before": ("\n\n  [1, 2]", {}, [[1, 2]]),
    "one behind the other": ("[1, 2][3]", {}, [[1, 2], [3]]),
    "a number per line": ("1\n2.5\n", {}, [[1], [2.5]]),
    "a number per object": ('{"a": 1}\n{"a": 2}\n', {"key": "a"}, [[1], [2]]),
    "an object per line": ('{"a": [1, 2], "n": 7}\n{"a": [3]}', {"key": "a"}, [[1, 2], [3]]),
    "an array of objects": ('[{"a": 1, "b": 2}, {"a": 3}]', {"key": "a"}, [[1], [3]]),
    "with [] in front": ('[{"a": [1, 2]}, {"a": [3]}]', {"key": "[].a"}, [[1, 2], [3]]),
    "an object": ('{"a": [1, 2], "b": [3]}', {"key": "b"}, [[3]]),
    "an object of one field": ('{"a": [1, 2], "b": "text", "c": [], "d": {}}', {}, [[1, 2]]),
    "a path": (CHAT, {"key": CHAT_KEY}, [[-1.5, -2], [-3]]),
    "a path, twice": (f"{CHAT}\n{CHAT}", {"key": CHAT_KEY}, [[-1.5, -2], [-3]] * 2),
    "a key with dots": ('{"a.b[]": [1], "a": 2}', {"key": "a.b[]"}, [[1]]),
    "columns": ("[[1, 2, 3], [4, 5, 6]]", {"columns": ("3", "1")}, [[3, 1], [6, 4]]),
    "constants of Python": ("[-Infinity, 0, Infinity]", {}, [[-math.inf, 0, math.inf]]),
    "words": ('["-inf", "inf", "Infinity", "-1.5"]', {}, [[-math.inf, math.inf, math.inf, -1.5]]),
    "null": ("[1, null, 3]", {"skip_na": True}, [[1, None, 3]]),
    "a word for null": ('[1, "NA", ""]', {"skip_na": True}, [[1, None, None]]),
    "a vector of null": ("[[1], null, [], [2]]", {"skip_na": True}, [[1], [None], [None], [2]]),
    "an object of null": ('{"a": null}\n{"a": [1]}', {"key": "a", "skip_na": True}, [[None], [1]]),
    "null among numbers": ('{"a": 1}\n{"a": null}', {"key": "a", "skip_na": True}, [[1], [None]]),
    "a mask": ("[true, false, 1]", {"words": True}, [[1, 0, 1]]),
    "digits": ("[9007199254740993, 0.1000000000000000055511151231257827]", {}, [[2.0**53, 0.1]]),
    "beyond 64 bits": ("[18446744073709551617, -1e-400]", {}, [[2.0**64, -0.0]]),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_shapes(name, read):
    data, options, expected = SHAPES[name]
    assert read(data, **options) == expected


def test_nan(read):
    (row,) = read('["NaN", NaN, "nan"]')
    assert np.isnan(row).all()


def test_longdouble(tmp_path):
    (tmp_path / "x").write_text('["1.1", 18446744073709551615, 1e400]')
    (block,) = open_blocks(str(tmp_path / "x"), ReadOptions(dtype="longdouble"))
    assert block.values[0, 0] == np.longdouble("1.1")
    if np.finfo(np.longdouble).nmant >= 63:
        assert int(block.values[0, 1]) == 2**64 - 1
        assert np.isfinite(block.values[0, 2])


def test_what_a_vector_is(tmp_path):
    """Arrays of one number are vectors of one number; numbers that are in none are one vector."""
    path = tmp_path / "x"
    path.write_text("[1]\n[2]\n")
    assert [block.by for block in open_blocks(str(path))] == [By.ROWS]
    path.write_text('{"a": 1}\n{"a": 2}\n')
    assert [block.by for block in open_blocks(str(path))] == [None]


AGAIN = "; copy or save it again"
MISSING = "; fill it in, or leave out what is missing with --skip-na"
BAD = {
    "null": ("[[1], [2, null]]", f"x, line 1, row 2, number 2 is null{MISSING}"),
    "null among numbers": ('{"a": 1}\n{"a": null}', f"x, line 2 is null{MISSING}"),
    "blank": ('[1]\n["", 2]', f"x, line 2, row 2, number 1 is ''{MISSING}"),
    "no vector": ('{"a": [1]}\n{"a": null}', f"x, line 2 has an empty vector{MISSING}"),
    "an empty array": ("[]", f"x, line 1 has an empty vector{MISSING}"),
    "one among others": ("[[1],\n[]]", f"x, line 2 has an empty vector{MISSING}"),
    "overflow": (
        "[1, 1e400]",
        "x, line 1, row 1, number 2: 1e400 overflowed to inf while it was read, before any formula "
        "ran; write inf if you mean it, or use --dtype longdouble",
    ),
    "a million digits": (
        f"[{'1' * 10**6}]",
        "x, line 1, row 1, number 1: '111111111111'... has 1,000,000 characters; a number has at "
        "most 65,536; is a delimiter missing?",
    ),
    "truncated": (
        "[1]\n[2,\n3",
        f"x is truncated: the value that begins on line 2 does not end{AGAIN}",
    ),
    "truncated between": (
        "[[1],\n[2],\n",
        f"x is truncated: the value that begins on line 3 does not end{AGAIN}",
    ),
    "truncated object": (
        '{"a": [1]}\n{"a":',
        f"x is truncated: the value that begins on line 2 does not end{AGAIN}",
    ),
    "a bracket alone": (
        "[",
        f"x is truncated: the value that begins on line 1 does not end{AGAIN}",
    ),
    "a comma at the end": (
        "[1, 2,]",
        "x, line 1, character 7 (']') is not JSON: expecting value; correct it",
    ),
    "a comma at the very end": (
        "[[1],\n[2],\n]",
        "x, line 3, character 1 (']') is not JSON: expecting value; correct it",
    ),
    "a comma between lines": (
        "[1],\n[2],\n",
        "x, line 1, character 4 (',') is not JSON: expecting value; correct it",
    ),
    "cells in brackets": (
        "[1, 2], 3\n[4, 5], 6\n",
        "x, line 1, character 7 (',') is not JSON: expecting value; correct it",
    ),
    "NumPy's own": (
        "[1.5 2.5]",
        "x, line 1, character 6 ('2') is not JSON: expecting ',' delimiter; correct it",
    ),
    "Python's own": (
        "[1.5, -inf]",
        "x, line 1, character 7 ('-') is not JSON: expecting value; "
        'write "-inf", "nan" or null, as JSON has it',
    ),
    "a bad line far down": (
        "[1]\n" * 99_999 + "[tru]\n" + "[1]\n" * 99_999,
        "x, line 100000, character 2 ('t') is not JSON: expecting value; correct it",
    ),
    "a quote that is open": (
        '["1, 2]\n[3]\n',
        "x, line 1, character 8 ('\\n') is not JSON: invalid control character; correct it",
    ),
    "other quotes": (
        "{'a': 1}",
        'x, line 1, character 2 ("\'") is not JSON: expecting property name enclosed in double '
        "quotes; correct it",
    ),
    "something behind": (
        "[1] # one\n",
        "x, line 1, character 5 ('#') is not JSON: expecting value; "
        "JSON has no comments: remove them",
    ),
    "a comment before": (
        "# one\n\n[1, 2]\n",
        "x, line 3 is JSON, which has no comments: remove the lines above it",
    ),
    "nesting": ("[" * 10**6, "x, line 1 is nested too deeply"),
    "closed nesting": ("[" * 500 + "1" + "]" * 500, "x, line 1 is nested too deeply"),
    "nested objects": ('{"a":' * 10**6, "x, line 1 is nested too deeply"),
    "a key twice": (
        '{"a": [1]}\n{"a": 1, "b": 2, "a": 3}',
        "x, line 2 has the key 'a' twice in one object; remove one of them",
    ),
    "several fields": (
        '{"a": [1], "b": [2], "c": "text", "d": 3}',
        "x, line 1 has several fields of numbers; choose one of its keys with --key: 'a', 'b', 'd'",
    ),
    "no field": (
        '{"a": "text", "b": {"c": "1"}}',
        "x, line 1 has no field of numbers; choose one of its keys with --key: 'a', 'b'",
    ),
    "an object in the field": (
        '{"a": "text", "b": {"c": 1}}',
        "x, line 1 is an object with the keys 'c'; choose one with --key",
    ),
    "numbers in another field": (
        '{"a": [1], "b": [{"c": 1}]}',
        "x, line 1 has several fields of numbers; choose one of its keys with --key: 'a', 'b'",
    ),
    "an object of nothing": (
        "{}",
        "x, line 1 has no field of numbers; choose one of its keys with --key: none",
    ),
    "another object": ('{"a": [1]}\n{"b": [1]}', "x, line 2 has no key 'a'; it has 'b'"),
    "a word": (
        '["a", "b"]',
        "x, line 1, row 1, number 1: 'a' is not a number; choose what holds numbers with --key, or "
        "correct it",
    ),
    "true": (
        "[1, true]",
        "x, line 1, row 1, number 2: 'true' is not a number; choose what holds numbers with --key, "
        "or correct it",
    ),
    "an array beside numbers": (
        "[1, [2]]",
        "x, line 1 has an array beside numbers; give each vector an array of its own",
    ),
    "a number beside arrays": (
        "[[1], 2]",
        "x, line 1 has a number, but an array came before; give either arrays or numbers",
    ),
    "an object beside numbers": (
        '[1, {"a": 2}]',
        "x, line 1, row 1, number 2 is an object with the keys 'a'; choose one with --key",
    ),
    "UTF-16": (
        "[1]".encode("utf-16"),
        "cannot read x: it is UTF-16 text; convert it: iconv -f UTF-16 -t UTF-8",
    ),
    "Latin-1": (
        '[1]\n["é"]'.encode("latin-1"),
        "x, line 2, byte 3: 0xe9 is not UTF-8; convert the file, for example: iconv -f LATIN1 -t "
        "UTF-8",
    ),
    "NUL": (
        "[1]\0",
        "x, line 1 has a NUL byte, so it is not text; give text (CSV), or an array in a .npy file",
    ),
    "our own results": (
        '{"schema": 1, "function": "logsumexp", "source": null, "value": 1}',
        "x, line 1 is output of stablelse without an x; name the file it is about",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad(name, refused):
    data, message = BAD[name]
    assert refused(data) == message


BAD_KEYS = {
    "b": "x, line 1 has no key 'b'; it has 'a', 'n'",
    "a.b": "x, line 1, 'a' is an array; write a[] for each of its elements",
    "a[].b": "x, line 1, 'a[]' has no key 'b'; it has 'c'",
    "a[].c[]": "x, line 1, 'a[].c' is not an array; leave out []",
    "a[].c.d": "x, line 1, 'a[].c' is not an object, so it has no key 'd'",
    "n": "x, line 1 is an object with the keys 'o'; choose one with --key",
    "a": "x, line 1, row 1, number 1 is an object with the keys 'c'; choose one with --key",
}


@pytest.mark.parametrize("key", BAD_KEYS)
def test_bad_keys(key, refused):
    assert refused('{"a": [{"c": 1}], "n": {"o": 1}}', key=key) == BAD_KEYS[key]


@pytest.mark.parametrize("data", ["[a],b\n1,2\n", "a,[b]\n1,2\n", "[kg]\n1\n"])
def test_what_begins_with_a_bracket_may_be_text(data, read):
    assert read(data, header=True)[0][0] == 1


def test_long_lines(refused, monkeypatch):
    monkeypatch.setattr(text, "MAX_LINE_BYTES", 1 << 20)
    said = refused("[1]\n[" + "1," * (1 << 20) + "1]\n")
    assert said.startswith("x, line 2 is longer than 1 MiB")


_numbers = st.one_of(st.floats(allow_nan=False), st.integers(-(2**70), 2**70))


@given(st.lists(st.lists(_numbers, min_size=1, max_size=5), min_size=1, max_size=6), st.data())
def test_what_python_writes_is_read_bit_for_bit(rows, data):
    """In any of its layouts; only what is beyond float64 is refused."""
    import tempfile

    indent = data.draw(st.sampled_from([None, 0, 3]))
    whole = json.dumps(rows, indent=indent)
    by_line = "\n".join(json.dumps(row, indent=indent) for row in rows)
    objects = json.dumps([{"other": None, "x": row} for row in rows], indent=indent)
    for written, key in ((whole, None), (by_line, None), (objects, "x")):
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
            file.write(written)
            file.flush()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(text, "PIECE_BYTES", data.draw(st.sampled_from([1, 7, 1 << 20])))
                blocks = list(open_blocks(file.name, ReadOptions(key=key)))
            found = [row for block in blocks for row in block.values.tolist()]
        expected = [[float(x) for x in row] for row in rows]
        assert [list(map(float.hex, row)) for row in found] == [
            list(map(float.hex, row)) for row in expected
        ]


@given(st.integers(0, 400), st.binary(max_size=12))
def test_any_damage_gives_numbers_or_one_line(place, noise):
    text = f'{CHAT}\n{CHAT}\n{{"a": [1, "inf", null]}}'.encode()
    for data in (text[:place], text[:place] + noise + text[place + len(noise) :]):
        said = "x"
        try:
            piped(data, key=CHAT_KEY)
        except ReadError as error:
            said = str(error)
        assert "x" in said
        assert said.isprintable()
        assert len(said) < 400


def test_a_large_file_takes_little_memory(tmp_path, environment):
    """80 MB, in 100 MB of address space beyond what the program itself takes."""
    row = json.dumps({"id": 1, "x": [i / 7 for i in range(1000)]})
    with open(tmp_path / "x", "w") as file:
        for _ in range(4000):
            file.write(f"{row}\n")
    code = (
        "import resource, sys\n"
        "from stablelse.readers import ReadOptions, open_blocks, json\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (100 << 20),) * 2)\n"
        "rows = sum(len(b.values) for b in open_blocks(sys.argv[1], ReadOptions(key='x')))\n"
        "print(rows)"
    )
    if sys.platform != "linux":
        pytest.skip("/proc is Linux's")
    command = [sys.executable, "-c", code, str(tmp_path / "x")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("4000\n", "")
