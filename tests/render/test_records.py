"""Records: their fields are the results' fields, none typed again."""

import json

import numpy as np

import stablelse
from stablelse.analysis.comparison import Comparison, MethodResult
from stablelse.analysis.findings import Finding
from stablelse.render.records import csv_lines, field_names, flat_rows, json_document, record


def test_fields_are_the_results():
    comparison = record(stablelse.compare([1000, 1]))
    assert comparison.pop("x") == [1000, 1]
    assert list(comparison) == field_names(Comparison)
    assert list(comparison["results"][0]) == field_names(MethodResult)
    assert list(comparison["results"][0]["findings"][0]) == field_names(Finding)
    left_out = {*Comparison._fields, *MethodResult._fields, *Finding._fields}
    left_out -= {*field_names(Comparison), *field_names(MethodResult), *field_names(Finding)}
    assert left_out == {"x", "positions", "evaluation", "indices"}


def test_json_has_no_infinity():
    text = "".join(json_document("vectors", [record(stablelse.compare([np.inf, np.nan]))]))
    document = json.loads(text, parse_constant=lambda name: 1 / 0)
    assert document["vectors"][0]["value"] == "nan"


def test_an_empty_document_is_a_document():
    assert json.loads("".join(json_document("vectors", []))) == {"vectors": []}


def test_flat_rows_have_the_same_columns():
    rows = list(flat_rows(stablelse.compare([1000, 1, 2], "softmax")))
    assert len(rows) == 3 * 3  # methods, elements
    assert len({tuple(row) for row in rows}) == 1
    assert [row["element"] for row in rows[:3]] == [1, 2, 3]


def test_csv_quotes():
    assert list(csv_lines([{"a": 'x,"y"', "b": None}])) == ['a,b\n"x,""y""",\n']
