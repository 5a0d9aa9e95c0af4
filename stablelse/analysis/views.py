"""Other sides of a comparison, each of which shows itself as the command's options would."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from stablelse.analysis.display import Displayed

if TYPE_CHECKING:
    from stablelse.analysis.comparison import Comparison


class _View(NamedTuple):
    comparison: Comparison


class Steps(Displayed, _View):
    """Every evaluation of a comparison, operation by operation, as ``--steps`` shows it.

    Attributes
    ----------
    comparison : Comparison
        What is retraced.
    """

    __slots__ = ()


class Errors(Displayed, _View):
    """Every method's error beside its bound, and the condition number, as ``--errors`` does.

    Attributes
    ----------
    comparison : Comparison
        What was measured.
    """

    __slots__ = ()
