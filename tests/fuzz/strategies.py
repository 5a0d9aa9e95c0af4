"""Valid files of every format, strategies that damage them, and texts of all kinds."""

import bz2
import gzip
import lzma
import re
from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import numpy as np
from files import TABLE_WRITERS, archive, npy_header, npz, saved, tensors
from hypothesis import strategies as st

ROWS = np.array([[0.1, -2.5, 3e300], [1000.0, -np.inf, 5e-324]])


def _npy() -> list[bytes]:
    arrays = [ROWS, np.asfortranarray(ROWS), ROWS[:, :2].astype("f4"), np.arange(3, dtype=">i4")]
    arrays += [np.array(2.0, "f2"), np.ones((2, 1, 2), "?"), np.arange(4, dtype=np.longdouble)]
    return [*map(saved, arrays), npy_header((1, 2), version=2) + ROWS.tobytes()[:16]]


def _npz() -> list[bytes]:
    return [npz(x=ROWS), npz(np.savez_compressed, x=ROWS), npz(np.savez_compressed, b=ROWS[0])]


def _safetensors() -> list[bytes]:
    codes = np.arange(6, dtype="u1").reshape(2, 3)
    return [tensors(a=ROWS), tensors(x=codes), tensors(logits=ROWS[:1, :2].astype("f2"))]


TEXTS = [
    "a,b\n1,2\n3,-inf\n",
    "1\t2e300\n-0\t+3\n",
    "1,5;2\r\n-3;4e-5\r\n",
    "# note\n\n 1 2\n3   4 # so\n",
    '"x y","b"\n"1", 2\n3,"nan"\n',
    ",0,1\n0,1.5,2\n1,NA,4\n",
    "\ufeff1|2|\r3|4|",
    "12\n-0.5\n1e3",
]
DOCUMENTS = [
    "[1, 2.5, -3e2]",
    '[[1, "-inf"], [2, null]]\n',
    "[1, 2]\r\n[3]\r\n\r\n",
    '{"a": [1, 2], "n": "x"}\n{"a": [3, NaN], "n": null}\n',
    '[{"x": [0.1]}, {"x": [-1e400, 2]}]',
    '{"schema": 1, "vectors": [\n  {"n": 2, "x": [1, 2], "value": 3}\n]}\n',
]


def _tables(kind: str) -> list[bytes]:
    import pyarrow as pa

    columns = [
        {"a": [0.5, 1.5, -2.0], "b": [1, 2, 3]},
        {"x": [[1.0, 2.0], [3.0, 4.0]]},
        {"a": pa.array([1.5, None, 1.5]).dictionary_encode(), "b": pa.array([1, 2, 3], "i1")},
        {"d": pa.array([1, None, 3]).cast(pa.decimal128(21, 2)), "t": [True, False, True]},
        {"f": pa.array([[1, 2], [3, 4]], pa.list_(pa.float32(), 2))},
        {"": pa.array([1.0, 2.0], pa.float16()), "n": pa.nulls(2)},
    ]
    writers = [write for name, write in TABLE_WRITERS.items() if name.startswith(kind)]
    return [write(pa.table(table)) for table in columns for write in writers]


#: The first bytes of files, and others by which formats are told apart.
MAGICS = [
    *(b"\x93NUMPY\1\0", b"PK\3\4", b"PK\5\6", b"PAR1", b"PARE", b"ARROW1\0\0", b"\xff\xff\xff\xff"),
    *(b"\x1f\x8b\x08", b"BZh9", b"1AY&SY", b"\x17rE8P\x90", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"),
    *(b"\x80\x04", b"\x89HDF\r\n\x1a\n", b"\x5d\0\0", b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"\r\n"),
    *b'ustar CDF\1 FEA1 Obj\1 GGUF {" [[ # " \x1b[31m'.split(),
]

#: Valid files by kind.
SEEDS = {
    "npy": _npy,
    "npz": _npz,
    "text": lambda: [text.encode() for text in TEXTS],
    "json": lambda: [text.encode() for text in DOCUMENTS],
    "parquet": partial(_tables, "Parquet"),
    "arrow": partial(_tables, "Arrow"),
    "safetensors": _safetensors,
    "magic": lambda: [b"\0" * place + magic + b"\0" * 40 for magic in MAGICS for place in (0, 4)],
}
seeds = cache(lambda kind: SEEDS[kind]())


def _zstandard(data: bytes) -> bytes:
    import pyarrow as pa

    return pa.Codec("zstd").compress(data, asbytes=True)


def _in_two(pack: Callable[[bytes], bytes], data: bytes) -> bytes:
    """Pack a file in two streams, one after the other."""
    return pack(data[: len(data) // 2]) + pack(data[len(data) // 2 :])


PACKINGS = {
    "gz": partial(_in_two, partial(gzip.compress, mtime=0)),
    "bz2": partial(_in_two, bz2.compress),
    "xz": partial(_in_two, lzma.compress),
    "zst": partial(_in_two, _zstandard),
    "zip": lambda data: archive([("x.npy", data)]),
}


# What can happen to a file: functions of its bytes.

_WIDTHS = [(size, order) for size in (1, 2, 4, 8) for order in ("little", "big")]
_LENGTHS = [0, 1, 2, 127, 2**15, 2**16 - 1, 2**28, 2**31 - 1, 2**31, 2**32, 2**62, 2**63, 2**64 - 1]
_NUMBERS = [
    *b"0 -1 1 2 7 268435456 2147483648 9223372036854775807 18446744073709551616 1e999 -0.0".split(),
    *(b"9" * 40, b"9" * 4299, b"1" + b"0" * 4400, b"1e-400", b"0x10", b"1_0", "٣".encode()),
]
_WORDS = (
    b"<f8 >f2 |b1 |O <U4 <M8[s] <c16 T V8 f16 i,i (2,)f8 F64 BF16 F8_E4M3 BOOL C64 I64 True False "
    b"None shape null NaN -Infinity true [ ] { } , : NA a inf"
).split()
_places = st.one_of(st.integers(0, 150), st.integers(-150, -1), st.integers(0, 1 << 14))
_bits = st.integers(0, 7)
_repeats = st.sampled_from([2, 9, 300, 5000])
_counts = st.one_of(st.integers(0, 9), st.integers(0, 400))


def _length(number: int, form: tuple[int, str]) -> bytes:
    size, order = form
    return (number % 256**size).to_bytes(size, order)


_pieces = st.one_of(
    st.sampled_from(MAGICS),
    st.builds(_length, st.sampled_from(_LENGTHS), st.sampled_from(_WIDTHS)),
    st.binary(max_size=12),
    st.builds(bytes.__mul__, st.sampled_from([b"\0", b"[", b"9", b",", b" ", b"\xff"]), _repeats),
)


class Change(NamedTuple):
    """One change to the bytes of a file."""

    how: str
    place: int
    more: object = None

    def __call__(self, data: bytes) -> bytes:
        at = self.place % max(1, len(data))
        match self.how:
            case "bit" if data:
                return data[:at] + bytes([data[at] ^ 1 << self.more]) + data[at + 1 :]
            case "over":
                return data[:at] + self.more + data[at + len(self.more) :]
            case "into":
                return data[:at] + self.more + data[at:]
            case "without":
                return data[:at] + data[at + self.more :]
            case "twice":
                return data[: at + self.more] + data[at:]
            case "end":
                return data[:at]
        return self._token(data)

    def _token(self, data: bytes) -> bytes:
        """Replace a number or a word of the file's own text by another."""
        pattern = rb"-?\d+" if self.how == "number" else rb"[<>|]?[A-Za-z_][\w]*|[][{},:]"
        found = list(re.finditer(pattern, data))
        if not found:
            return data
        match = found[self.place % len(found)]
        return data[: match.start()] + self.more + data[match.end() :]


_changes = st.one_of(
    st.builds(Change, st.just("bit"), _places, _bits),
    st.builds(Change, st.sampled_from(["over", "into"]), _places, _pieces),
    st.builds(Change, st.sampled_from(["without", "twice"]), _places, _counts),
    st.builds(Change, st.just("end"), _places),
    st.builds(Change, st.just("number"), st.integers(0, 30), st.sampled_from(_NUMBERS)),
    st.builds(Change, st.just("word"), st.integers(0, 30), st.sampled_from(_WORDS)),
)


@st.composite
def damaged_files(draw, kind: str) -> bytes:
    """Draw a file of a kind after some changes, perhaps packed, and changed once more."""
    data = draw(st.sampled_from(seeds(kind)))
    for change in draw(st.lists(_changes, min_size=1, max_size=4)):
        data = change(data)
    packing = draw(st.one_of(st.none(), st.none(), st.sampled_from(sorted(PACKINGS))))
    if packing is not None:
        data = PACKINGS[packing](data)
        for change in draw(st.lists(_changes, max_size=1)):
            data = change(data)
    return data


# Texts: cells that look like numbers to some parser, and layouts.


@st.composite
def written_texts(draw) -> tuple[bytes, dict, np.ndarray]:
    """Draw a text as programs write it, the options that it needs, and its numbers."""
    width = draw(st.integers(1, 4))
    delimiter = draw(st.sampled_from([",", "\t", ";", " ", " , ", "|"]))
    decimal = draw(st.sampled_from(".,")) if "," not in delimiter else "."
    skip_na = width > 1 and draw(st.booleans())
    numbers = st.floats(width=64)
    cells = numbers | st.none() if skip_na else numbers
    rows = draw(st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=9))
    forms = draw(st.lists(st.sampled_from(["r", "r", "e", "+", "−", "D"]), min_size=1, max_size=3))
    quote = draw(st.sampled_from(["", "", '"']))
    hole = draw(st.sampled_from(["NA", "null", "<NA>"]))

    def cell(x: float | None, form: str) -> str:
        if x is None:
            return hole
        plain = f"{x:.17e}" if form == "e" else f"{x:+}" if form == "+" else repr(x)
        if form in "−D":  # as typesetters and Fortran write it
            plain = plain.replace("-", "−") if form == "−" else plain.replace("e", "D")
        return quote + plain.replace(".", decimal) + quote

    texts = [[cell(x, forms[at % len(forms)]) for at, x in enumerate(row)] for row in rows]
    if draw(st.booleans()):
        texts.insert(0, [f'"c{at}"' if quote else f"c{at}" for at in range(width)])
    end = draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n", " # so\n"]))
    data = draw(st.sampled_from(["", "\ufeff", "# so\n\n"])) + end.join(map(delimiter.join, texts))
    chosen = "|" if delimiter == "|" else None
    options = {"decimal": decimal, "skip_na": skip_na, "delimiter": chosen}
    right = np.array([[np.nan if x is None else x for x in row] for row in rows], float)
    return (data + draw(st.sampled_from(["", end]))).encode(), options, right


# Rows of numbers, in every format.

_NUMBERS_OF_ROWS = st.one_of(
    st.floats(-800, 800),
    st.floats(-20, 12),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -np.inf, 70_000.0, 449.0, 464.0, 11.0859375, 88.5, -17.33]),
)


def rows_of(elements=_NUMBERS_OF_ROWS, least: int = 1):
    """Return a strategy for lists of a few rows of one length."""
    return st.integers(1, 6).flatmap(
        lambda n: st.lists(st.lists(elements, min_size=n, max_size=n), min_size=least, max_size=4)
    )


FORMATS = ["float8_e4m3fn", "float8_e5m2", "float16", "bfloat16", "float32", "float64"]
FUNCTIONS = ["logsumexp", "softmax", "log_softmax"]
#: Commands that print their vectors and results.
PRINTED = [
    *(["lse"], ["lse", "--steps"], ["lse", "--dtype", "float16", "--dtype", "float32"]),
    *(["softmax"], ["log-softmax", "--errors"], ["nll", "--label", "0"]),
    *(["nll", "--label", "0", "--grad"], ["peers", "--peer", "naive"]),
    *(["sweep", "--row", "1", "--points", "3"], ["prove", "lse", "--row", "1"]),
    *(["scan", "--fail-on", "none"], ["softmax", "--by", "columns"]),
]
#: Numbers of all their digits, and others.
_MANY_DIGITS = st.floats(-800, 800).map(lambda x: x / 3 + 0.1) | _NUMBERS_OF_ROWS
printed = st.tuples(st.sampled_from(PRINTED), rows_of(_MANY_DIGITS, least=2))
