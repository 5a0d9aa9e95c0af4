"""A pytest plugin: a test fails if a model's logits break a formula.

If this package is installed, pytest loads the plugin by itself. A test takes the fixture
``assert_stable``, or imports the function of that name from here. NumPy and the rest of the
package are imported only when it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def assert_stable(
    logits: Any,
    dtype: str = "float16",
    method: str = "shifted",
    function: str = "lse",
    max_ulp: float | None = None,
) -> None:
    """Assert that no vector breaks a method: every number fits, and every result has right digits.

    Parameters
    ----------
    logits : array_like
        Shape (m, n), n >= 1, real: a vector in each row; or (n,), one vector.
    dtype : str
        The floating-point format to compute in; see ``stablelse limits``.
    method : {"shifted", "naive", "shifted-float32"}
        The method; the last is shifted, with the exponentials and their sum in float32.
    function : {"lse", "softmax", "log-softmax"}
        What to compute.
    max_ulp : float, optional
        How many ulps a result may differ from the correctly rounded one; any number by default.

    Raises
    ------
    AssertionError
        If a vector breaks the method. The message names the first one, its result, and the fix.
    TypeError
        If the logits are not real numbers.
    ValueError
        If there are no logits, a name is unknown, or the format has no such method.
    """
    __tracebackhide__ = True
    from stablelse.analysis.results import DIGIT
    from stablelse.analysis.scan import failures, parse_conditions, scan, ways
    from stablelse.numerics.formats import find_format
    from stablelse.numerics.inputs import real_numbers

    known = [way.value for way in ways(find_format(dtype))]
    if method not in known:
        raise ValueError(f"{dtype} has no method {method!r}: choose from {', '.join(known)}")
    names = {"lse": "logsumexp", "log-softmax": "log_softmax"}
    rows = real_numbers(logits)
    ulps = DIGIT if max_ulp is None else max_ulp
    found = scan(rows, names.get(function, function), formats=[dtype], max_ulp=ulps)
    conditions = parse_conditions(f"{method}:{'broken' if max_ulp is None else 'ulp'}")
    failed = list(failures(found, conditions))
    if failed:
        from stablelse.render.scan import advice_text, failure_text

        lines = [failure_text(failure, found).partition(": ")[2] for failure in failed]
        row = failed[0].first.row or 1
        import numpy as np

        place = np.subtract(row, 1)
        first = np.atleast_2d(rows)[tuple(place.reshape(-1).tolist())]
        values = np.array2string(first, threshold=12, edgeitems=4, max_line_width=10_000)
        lines += [f"row {row} is {values}", advice_text(found, failed[0])]
        raise AssertionError("\n".join(lines))


@pytest.fixture(name="assert_stable")
def assert_stable_fixture() -> Callable[..., None]:
    """Return `stablelse.testing.assert_stable`."""
    return assert_stable
