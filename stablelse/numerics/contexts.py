"""Contexts of `decimal` that owe nothing to the caller's, and nothing to `DefaultContext`."""

from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, DecimalException


def context(
    digits: int, rounding: str = ROUND_HALF_EVEN, traps: tuple[type[DecimalException], ...] = ()
) -> Context:
    """Return a new context with all the exponents there are.

    Everything is given: what is not would be taken from ``decimal.DefaultContext``, which a program
    may change; and so may it the context of its thread, which ``localcontext()`` alone would copy.
    """
    return Context(digits, rounding, MIN_EMIN, MAX_EMAX, 1, 0, [], list(traps))
