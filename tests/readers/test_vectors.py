"""What one vector is: rows, columns or all, by default and by choice, with cells left out."""

import numpy as np
import pytest

from stablelse.readers import Block, By, ReadError, parse_numbers, vectors


def blocks(*arrays, missing=None, columns=None):
    offset = 0
    for index, array in enumerate(arrays):
        values = np.array(array, float)
        gaps = None if missing is None else np.array(missing[index])
        yield Block(values, "x.csv", offset, gaps, columns)
        offset += len(values)


def told(stacks):
    return [(s.values.tolist(), s.first, s.axis.value, s.vertical) for s in stacks]


A, B = [[1, 2], [3, 4]], [[5, 6]]


@pytest.mark.parametrize(
    ("arrays", "by", "expected"),
    [
        ([A, B], None, [(A, 1, "rows", False), (B, 3, "rows", False)]),
        ([A, B], By.ROWS, [(A, 1, "rows", False), (B, 3, "rows", False)]),
        ([A, B], By.COLUMNS, [([[1, 3, 5], [2, 4, 6]], 1, "columns", False)]),
        ([A, B], By.ALL, [([[1, 2, 3, 4, 5, 6]], 1, "all", False)]),
        ([B], None, [(B, 1, "all", False)]),
        ([B], By.ROWS, [(B, 1, "rows", False)]),
        ([B], By.COLUMNS, [([[5], [6]], 1, "columns", False)]),
        ([[[1], [2]], [[3]]], None, [([[1, 2, 3]], 1, "all", True)]),
        ([[[1], [2]], [[3]]], By.COLUMNS, [([[1, 2, 3]], 1, "all", True)]),
        ([[[1], [2]]], By.ROWS, [([[1], [2]], 1, "rows", False)]),
    ],
)
def test_division(arrays, by, expected):
    assert told(vectors(blocks(*arrays), by)) == expected


MISSING = [[[True, False], [False, False]], [[False, True]]]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (By.ROWS, [([[2]], 1), ([[3, 4]], 2), ([[5]], 3)]),
        (By.COLUMNS, [([[3, 5]], 1), ([[2, 4]], 2)]),
        (By.ALL, [([[2, 3, 4, 5]], 1)]),
    ],
)
def test_missing_cells_are_left_out(by, expected):
    stacks = vectors(blocks(A, B, missing=MISSING), by)
    assert [(s.values.tolist(), s.first) for s in stacks] == expected


@pytest.mark.parametrize(
    ("by", "message"),
    [
        (By.ROWS, "x.csv, row 1 has no numbers"),
        (By.COLUMNS, "x.csv, column b has no numbers"),
    ],
)
def test_nothing_left(by, message):
    missing = [[[True, True], [False, True]]]
    with pytest.raises(ReadError, match=message):
        list(vectors(blocks(A, missing=missing, columns=("a", "b")), by))


def test_names_go_with_columns():
    (stack,) = vectors(blocks(A, columns=("a", "b")), By.COLUMNS)
    assert stack.names == ("a", "b")
    one = stack.one(1)
    assert (one.values.tolist(), one.first, one.names) == ([[2, 4]], 2, ("b",))


def test_rows_stream():
    """A row is given before the next block is read."""

    def endless():
        offset = 0
        while True:
            yield Block(np.zeros((4, 3)), "x.csv", offset)
            offset += 4

    stacks = vectors(endless())
    assert [next(stacks).first for _ in range(3)] == [1, 5, 9]


def test_arguments():
    assert parse_numbers(["1", " -2.5", "-inf"]).tolist() == [1, -2.5, -np.inf]
    assert parse_numbers(["0.1"], dtype="longdouble")[0] == np.longdouble("0.1")
    with pytest.raises(ReadError, match="argument 2: '1,2' is not a number: separate numbers by b"):
        parse_numbers(["1", "1,2"])
