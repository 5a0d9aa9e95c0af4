"""Rows of one input beside those of another, and a column split from the others."""

import numpy as np
import pytest
from files import complaint
from hypothesis import given
from hypothesis import strategies as st

from stablelse.readers import (
    Beside,
    Block,
    ReadError,
    ReadOptions,
    one_column,
    open_blocks,
    split_last,
)


def cut(values, sizes, source="y"):
    """Yield an array as blocks of these sizes."""
    begin = 0
    for size in sizes:
        yield Block(values[begin : begin + size], source, begin)
        begin += size


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
