"""The table of edge cases through every method: the comparison holds on all of it."""

import numpy as np
import pytest
from cases import CASES

from stablelse.analysis.compare import compare
from stablelse.analysis.steps import steps
from stablelse.numerics.formats import find_format
from stablelse.numerics.formulas.formula import Method
from stablelse.numerics.functions import Function

VECTORS = [case for case in CASES if case.b is None and case.x]

#: What the library promises where float64 is its own working format; others are exact.
MOST_ULPS = {Function.LOGSUMEXP: 10, Function.SOFTMAX: 6, Function.LOG_SOFTMAX: 4}

#: Nearer to zero, a log-sum-exp may lose more.
SMALLEST_LSE = 1e-10


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case.name)
@pytest.mark.parametrize("function", Function, ids=lambda function: function.value)
def test_every_method_on_every_case(case, function):
    x = find_format(case.dtype).round(np.array(case.x))
    exact = len(x) <= 300
    comparison = compare(x, function.value, formats=[case.dtype], exact=exact)
    by_method = {result.method: result for result in comparison.results}
    for result in comparison.results:
        if result.evaluation is not None and len(x) <= 300:
            *_, last = steps(result.evaluation, result.findings)
            value = np.atleast_1d(result.value)[-1]
            assert last.value == value or (np.isnan(last.value) and np.isnan(value))
        if result.verdict.is_broken and result.evaluation and not np.isnan(x).any():
            assert result.findings
    if exact:
        assert by_method[Method.EXACT].ulps == 0
        is_scalar = function is Function.LOGSUMEXP
        if not is_scalar or abs(by_method[Method.EXACT].value) >= SMALLEST_LSE:
            assert by_method[Method.COMPENSATED].ulps <= MOST_ULPS[function]
        if case.dtype in ("float16", "bfloat16", "float32") and function is Function.LOGSUMEXP:
            assert by_method[Method.COMPENSATED].ulps == 0


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case.name)
def test_the_picture_of_every_case(case):
    x = find_format(case.dtype).round(np.array(case.x))
    text = str(compare(x, formats=[case.dtype], exact=False))
    assert "naive" in text
    assert "compensated" in text
