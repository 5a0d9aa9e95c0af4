"""JSON: every shape that holds numbers, no digit lost, and one line about anything else."""

import json
import math

import numpy as np
import pytest
from files import piped
from hypothesis import given
from hypothesis import strategies as st

from stablelse.readers import json as json_reader
from stablelse.readers import open_blocks, text
from stablelse.readers.blocks import By, ReadError, ReadOptions


@pytest.fixture
def read(place):
    """Return a function that reads bytes or text as JSON: a list of rows, missing numbers None."""

    def rows(data, **options):
        found = []
        for block in open_blocks(str(place(data)), ReadOptions(**options)):
            assert block.offset == len(found)
            found += block.values.tolist()
            if block.missing is not None:
                for row, missing in zip(found[block.offset :], block.missing, strict=True):
                    assert np.isnan(np.array(row)[missing]).all()
                    row[:] = [None if m else x for x, m in zip(row, missing, strict=True)]
        return found

    return rows


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
    """Arrays of one number are vectors of one number; numbers outside arrays are one vector."""
    path = tmp_path / "x"
    path.write_text("[1]\n[2]\n")
    assert [block.by for block in open_blocks(str(path))] == [By.ROWS]
    path.write_text('{"a": 1}\n{"a": 2}\n')
    assert [block.by for block in open_blocks(str(path))] == [None]


@pytest.mark.parametrize("data", ["[a],b\n1,2\n", "a,[b]\n1,2\n", "[kg]\n1\n"])
def test_what_begins_with_a_bracket_may_be_text(data, read):
    assert read(data, header=True)[0][0] == 1


_numbers = st.one_of(st.floats(allow_nan=False), st.integers(-(2**70), 2**70))


@given(st.lists(st.lists(_numbers, min_size=1, max_size=5), min_size=1, max_size=6), st.data())
def test_what_python_writes_is_read_bit_for_bit(rows, data):
    """In any of its layouts; only numbers beyond float64 are refused."""
    indent = data.draw(st.sampled_from([None, 0, 3]))
    whole = json.dumps(rows, indent=indent)
    by_line = "\n".join(json.dumps(row, indent=indent) for row in rows)
    objects = json.dumps([{"other": None, "x": row} for row in rows], indent=indent)
    expected = [[float(x).hex() for x in row] for row in rows]
    for written, key in ((whole, None), (by_line, None), (objects, "x")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(text, "PIECE_BYTES", data.draw(st.sampled_from([1, 7, 1 << 20])))
            blocks = piped(written.encode(), key=key)
        found = [row for block in blocks for row in block.values.tolist()]
        assert [list(map(float.hex, row)) for row in found] == expected


def test_long_lines(monkeypatch):
    """A line may have any length; a value may not."""
    monkeypatch.setattr(text, "PIECE_BYTES", 1 << 12)
    monkeypatch.setattr(json_reader, "_MOST_CHARACTERS", 1 << 20)
    rows = [[n, n + 1] for n in range(100_000)]
    blocks = piped(json.dumps(rows).encode())
    assert [row for block in blocks for row in block.values.tolist()] == rows
    monkeypatch.setattr(text, "PIECE_BYTES", 7)  # the mark is the first character of a piece
    with pytest.raises(ReadError, match=r"^x, line 1, character 8 .* is not JSON"):
        piped("[[1, 2]\ufeff, [3]]".encode())
    for bad, said in (
        (b"tru", "character 1400002 ('t') is not JSON"),
        (b"\xff", "byte 1400002: 0x"),
    ):
        with pytest.raises(ReadError) as error:
            piped(b"[[1]]\n[" + b"[1, 2], " * 175_000 + bad + b"]")
        assert str(error.value).startswith(f"x, line 2, {said}")
