"""What a vector is, by default and by choice, with cells left out, and what lies beside it."""

import os

import numpy as np
import pytest
from files import complaint
from hypothesis import given
from hypothesis import strategies as st

from stablelse.readers import open_blocks
from stablelse.readers.blocks import Block, By, ReadError, ReadOptions
from stablelse.readers.vectors import Beside, Passes, one_column, split_last, vectors


def blocks(*arrays, missing=None, columns=None):
    offset = 0
    for index, array in enumerate(arrays):
        values = np.array(array, float)
        gaps = None if missing is None or missing[index] is None else np.array(missing[index])
        yield Block(values, "x.csv", offset, gaps, columns)
        offset += len(values)


def told(stacks):
    return [(s.values.tolist(), s.first, s.axis, s.vertical) for s in stacks]


A, B = [[1, 2], [3, 4]], [[5, 6]]
COLUMN = [[[1], [2]], [[3]]]


@pytest.mark.parametrize(
    ("arrays", "by", "expected"),
    [
        ([A, B], None, [(A, 1, By.ROWS, False), (B, 3, By.ROWS, False)]),
        ([B, A], None, [(B, 1, By.ROWS, False), (A, 2, By.ROWS, False)]),
        ([A, B], By.ROWS, [(A, 1, By.ROWS, False), (B, 3, By.ROWS, False)]),
        ([A, B], By.COLUMNS, [([[1, 3, 5], [2, 4, 6]], 1, By.COLUMNS, False)]),
        ([A, B], By.ALL, [([[1, 2, 3, 4, 5, 6]], 1, By.ALL, False)]),
        ([B], None, [(B, 1, By.ALL, False)]),
        ([B], By.ROWS, [(B, 1, By.ROWS, False)]),
        ([B], By.COLUMNS, [([[5], [6]], 1, By.COLUMNS, False)]),
        (COLUMN, None, [([[1, 2, 3]], 1, By.ALL, True)]),
        (COLUMN, By.COLUMNS, [([[1, 2, 3]], 1, By.COLUMNS, True)]),
        (COLUMN, By.ROWS, [([[1], [2]], 1, By.ROWS, True), ([[3]], 3, By.ROWS, True)]),
        ([[[7]]], None, [([[7]], 1, By.ALL, True)]),
        ([], None, []),
        ([], By.ALL, []),
    ],
)
def test_arrangement(arrays, by, expected):
    assert told(vectors(blocks(*arrays), by)) == expected


TALL = np.arange(10.0).reshape(5, 2)
GAPS = [[[True, False], [False, False]], [[False, True]], None]


@pytest.mark.parametrize(
    ("arrays", "missing", "by", "expected"),
    [
        ([A, B, [[7, 8]]], GAPS, by, expected)
        for by, expected in (
            (By.ROWS, [([[2]], 1), ([[3, 4]], 2), ([[5]], 3), ([[7, 8]], 4)]),
            (None, [([[2]], 1), ([[3, 4]], 2), ([[5]], 3), ([[7, 8]], 4)]),
            (By.COLUMNS, [([[3, 5, 7], [2, 4, 8]], 1)]),
            (By.ALL, [([[2, 3, 4, 5, 7, 8]], 1)]),
        )
    ]
    + [  # neighbours of one length stay together
        (
            [TALL],
            [np.array([[0, 0], [0, 0], [0, 1], [1, 0], [0, 0]], bool)],
            By.ROWS,
            [([[0, 1], [2, 3]], 1), ([[4], [7]], 3), ([[8, 9]], 5)],
        ),  # and a vector with nothing left still counts
        ([A, B], [[[False, False], [True, True]], None], By.ROWS, [([[1, 2]], 1), (B, 3)]),
    ],
)
def test_missing_cells_are_left_out(arrays, missing, by, expected):
    stacks = vectors(blocks(*arrays, missing=missing), by)
    assert [(s.values.tolist(), s.first) for s in stacks] == expected


def test_names_stay_with_their_columns():
    missing = [[[False, True], [False, True]]]
    (stack,) = vectors(blocks(A, missing=missing, columns=("a", "b")), By.COLUMNS)
    assert (stack.values.tolist(), stack.names) == ([[1, 3]], ("a",))
    (stack,) = vectors(blocks(A, columns=("a", "b")), By.COLUMNS)
    one = stack.part(1, 2)
    assert (one.values.tolist(), one.first, one.names) == ([[2, 4]], 2, ("b",))
    (stack,) = vectors(blocks(A, columns=("a", "b")), By.ROWS)
    assert stack.names is stack.part(1, 2).names is None


@pytest.mark.parametrize("by", [None, *By])
def test_nothing_left(by):
    missing = [[[True, True], [True, True]]]
    with pytest.raises(ReadError) as error:
        list(vectors(blocks(A, missing=missing), by))
    assert str(error.value) == "x.csv has no numbers, only blank and NA cells; fill some in"


def test_rows_stream():
    """A stack is yielded before the next block is read."""
    asked = []

    def endless():
        while True:
            asked.append(len(asked))
            yield Block(np.zeros((4, 3)), "x.csv", 4 * asked[-1])

    stacks = vectors(endless())
    assert [next(stacks).first for _ in range(3)] == [1, 5, 9]
    assert len(asked) == 3


@pytest.mark.parametrize("by", By)
def test_what_is_masked_stays_with_its_numbers(by):
    """A mask is transposed, gathered and filtered like the numbers: here it is their sign."""
    missing = [[[False, True, False]] * 2, None]
    values = [np.array([[1.0, 2, -3], [-4, -5, 6]]), np.array([[-7.0, 8, 9]])]
    cut = [
        block._replace(masked=part < 0)
        for block, part in zip(blocks(*values, missing=missing), values, strict=True)
    ]
    stacks = list(vectors(iter(cut), by))
    for stack in stacks:
        assert np.array_equal(stack.masked, stack.values < 0)
        assert np.array_equal(stack.part(0, 1).masked, stack.values[:1] < 0)
    assert sum(stack.values.size for stack in stacks) == 7


@pytest.mark.parametrize("at", [0, 1])
def test_blocks_with_and_without_a_mask(at):
    cut = list(blocks([[1, -2]], [[3, -4]]))
    cut[at] = cut[at]._replace(masked=np.array([[False, True]]))
    (stack,) = vectors(iter(cut), By.ALL)
    assert stack.masked.tolist() == [[False, at == 0, False, at == 1]]


def test_what_does_not_fit_in_memory_is_refused_before_it_is_gathered(monkeypatch):
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 4}.__getitem__)
    taken = []

    def blocks():
        for offset in range(0, 1000, 50):
            taken.append(offset)
            yield Block(np.zeros((50, 1)), "long.npy", offset)

    with pytest.raises(ReadError, match=r"long.npy: 150 numbers or more do not fit in memory"):
        list(vectors(blocks(), By.ALL))
    assert len(taken) == 3
    assert sum(len(stack.values) for stack in vectors(blocks(), By.ROWS)) == 1000


def test_without_a_known_memory_anything_is_gathered(monkeypatch):
    monkeypatch.delattr(os, "sysconf")
    (stack,) = vectors(iter([Block(np.zeros((9, 1)), "x", 0)] * 2), By.ALL)
    assert stack.values.shape == (1, 18)


def cut(values, sizes, source="y"):
    """Yield an array as blocks of these sizes."""
    begin = 0
    for size in sizes:
        yield Block(values[begin : begin + size], source, begin)
        begin += size


def test_a_second_pass_that_ends_early_is_an_error(written):
    """As if the file had been cut after its status was looked at."""
    passes = Passes([str(written("1\n2\n"))])
    assert len(list(passes.blocks(blocks(A, B), is_first=True))) == 2
    with pytest.raises(ReadError, match="x changed while it was being read"):
        list(passes.blocks(blocks(A)))


@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=6),
    asked=st.lists(st.integers(1, 7), max_size=9),
)
def test_as_many_as_are_asked_for(sizes, asked):
    total = sum(sizes)
    values = np.arange(2.0 * total).reshape(total, 2)
    beside = Beside(cut(values, sizes), "each has one")
    begin = 0
    for rows in asked:
        pieces = beside.take(rows)
        for piece in pieces:
            end = begin + len(piece.values)
            assert piece.offset == begin
            assert np.array_equal(piece.values, values[begin:end])
            begin = end
        assert sum(len(piece.values) for piece in pieces) == rows or begin == total
    if begin < total:
        with pytest.raises(ReadError, match="y has more rows than x: each has one"):
            beside.end("x")
        return
    beside.end("x")
    with pytest.raises(ReadError, match="y has fewer rows than x: each has one"):
        beside.step(1, "x")


@pytest.mark.parametrize(
    ("values", "sizes", "column"),
    [([[1], [2], [3]], [2, 1], [1, 2, 3]), ([[1, 2, 3]], [1], [1, 2, 3]), ([[1]], [1], [1])],
)
def test_one_column(values, sizes, column):
    blocks = one_column(cut(np.array(values, float), sizes))
    assert np.concatenate([block.values[:, 0] for block in blocks]).tolist() == column


@pytest.mark.parametrize("sizes", [[2], [1, 1]])
def test_several_columns(sizes):
    with pytest.raises(ReadError, match="y has 3 columns; choose the column of labels with"):
        list(one_column(cut(np.ones((2, 3)), sizes)))


@pytest.mark.parametrize("header", ["", "Unnamed: 0"])
@pytest.mark.parametrize(
    ("column", "place"), [("label", 2), ("4", 2), ("2", 0), ("b", 1), ("3", 1), ("1", None)]
)
def test_a_column_is_parted_from_the_others(column, place, header, written):
    """Columns are counted in the file: an index that is left out does not move the others."""
    path = written(f"{header},a,b,label\n0,7,8,9\n1,3,4,5\n")
    others, alone = split_last(open_blocks(str(path), ReadOptions(last=column)))
    kept = [position for position in range(3) if position != place]
    (block,) = others
    assert block.columns == tuple(("a", "b", "label")[position] for position in kept)
    assert np.array_equal(block.values, np.array([[7, 8, 9], [3, 4, 5]])[:, kept])
    labels = [[0], [1]] if place is None else np.array([[7, 8, 9], [3, 4, 5]])[:, [place]].tolist()
    assert next(alone).values.tolist() == labels


WORDS = ReadOptions(words=True)


def test_words_are_numbers_where_they_may_be(written):
    for text in (
        "true,false\n0,1\n",
        "TRUE;False\n0;1\n",
        "True false\n0 1\n",
        '"true","false"\n0,1\n',
        "a,b\ntrue,false\n0,1\n",
        "# kept?\ntrue\tfalse\n\n0\t1\n",
    ):
        for dtype in ("float64", "longdouble"):
            (block,) = open_blocks(str(written(text)), WORDS._replace(dtype=dtype))
            assert block.values.tolist() == [[1, 0], [0, 1]]


def test_words_are_words_elsewhere(written):
    (block,) = open_blocks(str(written("true,false\n0,1\n")))
    assert (block.values.tolist(), block.columns) == ([[0, 1]], ("true", "false"))
    assert "line 2, column 1: 'true' is not a number" in complaint(written("1,0\ntrue,1\n"))
