"""The table of edge cases through every method: the comparison holds on all of it."""

import numpy as np
import pytest
from cases import CASES

from stablelse.analysis.compare import compare
from stablelse.analysis.steps import steps
from stablelse.numerics.formats import find_format
from stablelse.numerics.formulas import Method
from stablelse.numerics.functions import Function

VECTORS = [case for case in CASES if case.b is None and case.x]


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case.name)
@pytest.mark.parametrize("function", Function, ids=lambda function: function.value)
def test_every_method_on_every_case(case, function):
    x = find_format(case.dtype).round(np.array(case.x))
    comparison = compare(x, function.value, formats=[case.dtype])
    by_method = {result.method: result for result in comparison.results}
    for result in comparison.results:
        if result.evaluation is not None and len(x) <= 300:
            *_, last = steps(result.evaluation, result.findings)
            value = np.atleast_1d(result.value)[-1]
            assert last.value == value or (np.isnan(last.value) and np.isnan(value))
        if result.verdict.is_broken and result.evaluation and not np.isnan(x).any():
            assert result.findings
    assert by_method[Method.EXACT].ulps == 0


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case.name)
def test_the_picture_of_every_case(case):
    x = find_format(case.dtype).round(np.array(case.x))
    text = str(compare(x, formats=[case.dtype]))
    assert "naive" in text
    assert "shifted" in text
