"""Exact values of the sides of a derivation: what their climb refuses, and what it tells."""

import pytest

from stablelse.analysis.prove import DERIVATIONS
from stablelse.numerics import derivation
from stablelse.numerics.derivation import evaluate
from stablelse.numerics.formats import find_format
from stablelse.numerics.formulas import ChoiceError
from stablelse.numerics.functions import Function


def test_what_thousands_of_digits_do_not_tell_is_refused(monkeypatch):
    """y = 0 + e^-1000000, by way of a = -17.5: the digits cancel."""
    monkeypatch.setattr(derivation, "_MOST_DIGITS", 640)
    format_ = find_format("float64")
    last = DERIVATIONS[Function.LOGSUMEXP][-1].right
    x = format_.round([0, -1_000_000])
    with pytest.raises(ChoiceError, match="640 digits"):
        evaluate([last], x, format_.round(-17.5)[()], format_)
    (told,) = evaluate([last], x, format_.round(0)[()], format_)
    assert str(told["y"][0].decimal).startswith("3.29683147808856E-434295")
