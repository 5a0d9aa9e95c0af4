"""A pytest plugin: a test fails if a model's logits break a formula.

If this package is installed, pytest loads the plugin by itself. A test takes the fixture
``assert_stable``, or imports the function of that name from here. NumPy and the rest of the
package are imported only when it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

__all__ = ["assert_accurate", "assert_stable"]


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
    from stablelse.analysis.results import DIGIT, parse_conditions
    from stablelse.analysis.scan import failures, scan, ways
    from stablelse.numerics.formats import find_format
    from stablelse.numerics.inputs import real_numbers

    known = [way.value for way in ways(find_format(dtype))]
    if method not in known:
        raise ValueError(f"{dtype} has no method {method!r}: choose from {', '.join(known)}")
    rows = real_numbers(logits)
    ulps = DIGIT if max_ulp is None else max_ulp
    found = scan(rows, function, formats=[dtype], max_ulp=ulps)
    conditions = parse_conditions(f"{method}:{'broken' if max_ulp is None else 'ulp'}", known)
    failed = list(failures(found, conditions))
    if failed:
        from stablelse.render.scan import advice_text, failure_text

        lines = [failure_text(failure, found).partition(": ")[2] for failure in failed]
        row = failed[0].first.row
        lines += [f"row {row} is {_row_text(rows, row)}", advice_text(found, failed[0])]
        raise AssertionError("\n".join(lines))


def assert_accurate(
    function: Callable[..., Any],
    name: str,
    max_ulp: float = 4,
    dtype: str = "float32",
    logits: Any = None,
) -> None:
    """Assert that every result of a function of yours is close to the exact one.

    Parameters
    ----------
    function : callable
        Takes rows, shape (m, n), with ``axis=-1`` or ``dim=-1`` if it has such a parameter, and
        otherwise a vector, shape (n,), at a time. They are NumPy arrays: one of tensors is tried as
        ``lambda x: torch.softmax(torch.from_numpy(x), -1)``.
    name : {"lse", "softmax", "log-softmax"}
        What it computes.
    max_ulp : float
        How many units in the last place a result may be off; 0.5 for correctly rounded ones.
    dtype : str
        The floating-point format of its input and its results; see ``stablelse limits``.
    logits : array_like, optional
        Shape (..., n), the rows to try; by default rows of 1, 3, 10 and 200 numbers with offsets,
        wide spreads, equal numbers and infinities, which the format holds.

    Raises
    ------
    AssertionError
        If a result is further off, or has another shape. The message has the row and the results.
    TypeError
        If the logits or the results are not real numbers.
    ValueError
        If there are no logits, a name is unknown, or `max_ulp` is negative or NaN.
    """
    __tracebackhide__ = True
    from stablelse.analysis import Place
    from stablelse.analysis.audit import Audit
    from stablelse.analysis.gallery import trial_rows
    from stablelse.analysis.peers import of_rows
    from stablelse.analysis.scan import rows_of
    from stablelse.numerics.formats import find_format
    from stablelse.numerics.functions import Function

    format_, computed = find_format(dtype), Function(name)
    if not max_ulp >= 0:
        raise ValueError(f"max_ulp must be 0 or more, not {max_ulp}")
    by_rows = of_rows(function)
    for stack in trial_rows(format_) if logits is None else [format_.round(rows_of(logits))]:
        if not stack.size:
            raise ValueError(f"there are no logits: their shape is {stack.shape}")
        rows = stack.reshape(-1, stack.shape[-1])
        found = Audit(computed, format_.name)
        values = by_rows(rows).reshape(len(rows), -1)
        width = 1 if computed is Function.LOGSUMEXP else rows.shape[1]
        if values.shape[1] != width:
            raise AssertionError(
                f"the function returns {values.shape[1]} numbers for a row of {rows.shape[1]}: "
                f"{name} has {width}"
            )
        found.update(rows, values, lambda row: Place(row=row + 1))
        if found.ulps > max_ulp:
            worst = found.worst[0]
            x = _row_text(rows, worst.row)
            entry = f"entry {worst.element} of " if worst.element else ""
            raise AssertionError(
                f"{entry}{name} of {x} in {dtype} is {worst.value}, {worst.ulps:g} ulp from the "
                f"exact {worst.exact}; at most {max_ulp:g} are allowed"
            )


def _row_text(rows: Any, row: Any) -> str:
    import numpy as np

    place = tuple((np.atleast_1d(row) - 1).tolist())
    values = np.atleast_2d(rows)[place]
    return np.array2string(values, threshold=12, edgeitems=4, max_line_width=10_000)


@pytest.fixture(name="assert_accurate")
def assert_accurate_fixture() -> Callable[..., None]:
    """Return `stablelse.testing.assert_accurate`."""
    return assert_accurate


@pytest.fixture(name="assert_stable")
def assert_stable_fixture() -> Callable[..., None]:
    """Return `stablelse.testing.assert_stable`."""
    return assert_stable
