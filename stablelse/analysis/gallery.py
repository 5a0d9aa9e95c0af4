"""The gallery: vectors on which libraries go wrong, and what each library returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf, log
from typing import NamedTuple

import numpy as np

from stablelse.analysis import Displayed
from stablelse.analysis.peers import PeerComparison, Question, Task, ask, choose_peers
from stablelse.numerics.formats import FORMATS, Array, Format, UnknownFormatError
from stablelse.numerics.functions import Function, exact_values, exact_weighted


class Case(NamedTuple):
    """A vector of the gallery."""

    name: str  # What the vector is
    tasks: tuple[Task, ...]  # What goes wrong on it
    note: str  # Why it goes wrong
    x: tuple[float, ...]  # The numbers, before they are rounded to the dtype
    copies: int = 1  # How often the numbers are repeated
    b: tuple[float, ...] | None = None  # Their weights
    # The dtype of x: a format, or an integer type of NumPy, whose results are float64
    dtype: str = "float64"

    @property
    def format(self) -> str:
        """The format of the results."""
        return self.dtype if self.dtype in FORMATS else "float64"


_LSE, _SOFTMAX, _LOG_SOFTMAX = (Task.LOGSUMEXP,), (Task.SOFTMAX,), (Task.LOG_SOFTMAX,)

#: From the best-known failure to the least known.
# fmt: off
CASES: tuple[Case, ...] = (
    Case("70,000 zeros in float16", _LSE + _LOG_SOFTMAX,
         "the largest float16 is 65504: even the shifted sum overflows",
         (0.0,), copies=70_000, dtype="float16"),
    Case("5,000 zeros in bfloat16", _SOFTMAX,
         "a sum in bfloat16 stops growing at 256, because 256 + 1 rounds to 256",
         (0.0,), copies=5_000, dtype="bfloat16"),
    Case("10,000,000 zeros in float32", _LSE,
         "added one by one, the terms lose more and more digits",
         (0.0,), copies=10_000_000, dtype="float32"),
    Case("one dominates at zero", _LSE + _LOG_SOFTMAX,
         "x = 0, -40: 1 + e^-40 rounds to 1, and log 1 is 0; log1p(e^-40) keeps the digits",
         (0.0, -40.0)),
    Case("the result is near zero", _LSE,
         "x = -0.775, -0.6175: the shift and the logarithm nearly cancel",
         (-0.775, -0.6175)),
    Case("the result is next to zero", _LSE,
         "x = -log 2, -log 2: only the rounding error of log 2 is left",
         (-log(2), -log(2))),
    Case("weights of unlike size", (Task.WEIGHTED,),
         "x = 0, -800, b = 1e-300, 1e308: the shift must take the weights into account",
         (0.0, -800.0), b=(1e-300, 1e308)),
    Case("the largest terms cancel", (Task.WEIGHTED,),
         "x = 1000, 1000, 999, b = 1, -1, 1: the two terms at the shift cancel",
         (1000.0, 1000.0, 999.0), b=(1.0, -1.0, 1.0)),
    Case("large weights", (Task.WEIGHTED,),
         "x = 0, 0, b = 1e308, 1e308: the sum of the weights overflows",
         (0.0, 0.0), b=(1e308, 1e308)),
    Case("nearly everything cancels", (Task.WEIGHTED,),
         "x = 0, -1e-17, b = 1, -1: e^-1e-17 rounds to 1",
         (0.0, -1e-17), b=(1.0, -1.0)),
    Case("everything cancels", (Task.SIGNED,),
         "x = 1000, 1000, b = 1, -1: the sum is 0, its logarithm -inf, its sign 0",
         (1000.0, 1000.0), b=(1.0, -1.0)),
    Case("integers", _SOFTMAX,
         "x = 1, 0, 1 in uint8: x - max wraps around, so 0 - 1 = 255",
         (1.0, 0.0, 1.0), dtype="uint8"),
    Case("everything masked out", (Task.GRADIENT,),
         "x = -inf, -inf: 0 / 0 is undefined, and a model that learns from it learns NaN",
         (-inf, -inf)),
    # Half an ulp of x - max (at most 2**-44 from 512 to 1024) makes up to 512 ulp of e^(x - max).
    Case("the shift costs digits", _SOFTMAX,
         "x = 700, 0.56: x - max is rounded, and e^(x - max) magnifies the error",
         (700.0, 0.56)),
)
# fmt: on


@dataclass(frozen=True)
class Gallery(Displayed):
    """The results of all libraries on all cases; missing packages, and cases left out."""

    cases: tuple[PeerComparison, ...]
    missing: tuple[str, ...]
    left_out: tuple[str, ...]
    whole: bool = field(default=False, repr=False, compare=False)  # Displays all results


def gallery(peers: Sequence[str] = (), cases: Sequence[Case] | None = None) -> Gallery:
    """Ask every library every case, or only these; see `compare_peers`."""
    chosen, missing = choose_peers(peers)
    comparisons: list[PeerComparison] = []
    left_out = []
    for case in CASES if cases is None else cases:
        try:
            questions = list(_questions(case, FORMATS[case.format]))
        except UnknownFormatError as error:
            left_out.append(f"{case.name}: {error}")
            continue
        comparisons += [
            ask(each.task, [each], chosen, missing, case=case.name, note=case.note)
            for each in questions
        ]
    return Gallery(tuple(comparisons), missing, tuple(left_out))


def _questions(case: Case, format_: Format) -> Iterator[Question]:
    x = np.tile(format_.round(case.x), case.copies)[np.newaxis]
    given = x if case.dtype in FORMATS else x.astype(case.dtype)
    if case.b is not None:
        (task,), b = case.tasks, format_.round([case.b])
        value, sign = exact_weighted(x, b, format_)
        right = np.append(value, sign, axis=1) if task is Task.SIGNED else value
        yield Question(task, given, b, format_, right)
        return
    for task in case.tasks:  # the gradient is the softmax, whose NaN is a convention
        function = Function.SOFTMAX if task is Task.GRADIENT else Function(task.value)
        yield Question(task, given, None, format_, exact_values(function, x, format_))


def trial_rows(format_: Format) -> Iterator[Array]:
    """Yield arrays of rows that users have and formulas break on, for a format, always the same."""
    random = np.random.default_rng(0)
    high, low = float(format_.overflow_threshold), float(format_.underflow_threshold)
    for n in (1, 3, 10, 200):
        normal = random.standard_normal((40, n))
        hidden = np.where(random.random((40, n)) < 0.3, -inf, normal)
        hidden[:, 0] = normal[:, 0]
        for rows in (normal, 30 * normal, normal + high, normal + low, 0 * normal, hidden):
            yield format_.round(rows.clip(-float(format_.largest), None))
