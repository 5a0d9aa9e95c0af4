"""Records: their fields are the results' fields, none written twice."""

import json
from dataclasses import fields

import numpy as np

import stablelse
from stablelse.analysis.results import Comparison, Finding, MethodResult
from stablelse.render import Many
from stablelse.render.records import json_document, json_line


def names(result_type):
    return [field.name for field in fields(result_type)]


def test_fields_are_the_results():
    (comparison,) = stablelse.compare([1000, 1]).records()
    assert comparison["x"] == [1000, 1]
    assert [*comparison, "elements"] == names(Comparison)
    assert [*comparison["results"][0], "evaluation"] == names(MethodResult)
    assert [*comparison["results"][0]["findings"][0], "indices"] == names(Finding)


def test_json_has_no_infinity_and_a_schema():
    text = "".join(json_document(Many("vectors", [stablelse.compare([np.inf, np.nan])])))
    document = json.loads(text, parse_constant=int)
    assert document["vectors"][0]["value"] == "nan"
    assert document["schema"] == 1
    assert json.loads("".join(json_line({"a": "b"}))) == {"schema": 1, "a": "b"}


def test_an_empty_document_is_a_document():
    assert json.loads("".join(json_document(Many("vectors", [])))) == {"schema": 1, "vectors": []}


def test_flat_records_have_the_same_columns():
    rows = list(stablelse.compare([1000, 1, 2], "softmax").flat_records())
    assert len(rows) == 3 * 3  # methods, elements
    assert len({tuple(row) for row in rows}) == 1
    assert [row["element"] for row in rows[:3]] == [1, 2, 3]
