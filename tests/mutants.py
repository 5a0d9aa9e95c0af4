"""Small faults in the arithmetic, each of which some test must notice."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """A fault: in a file of the package, one piece of text replaced by another.

    Attributes
    ----------
    tests : tuple of str
        As pytest takes them, seen from the folder of the tests: some of them must fail.
    """

    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def _slice(format_: str, *families: str) -> tuple[str, ...]:
    test = "numerics/ladder/test_exact.py::test_a_slice_of_every_family"
    return tuple(f"{test}[{family}-{format_}]" for family in families)


_KERNELS = ("numerics/ladder/test_doubleword.py::test_exp_keeps_its_bound",)
_INTEGERS = ("numerics/ladder/test_fixedpoint.py::test_exp_keeps_its_bound",)
_BOUNDS = ("numerics/ladder/test_exact.py::test_the_rungs_keep_their_bounds",)

_COMPLEX = ("numerics/test_complex.py::test_the_error_of_pairs_is_within_its_bound",)

#: The mutants by what they leave out or let pass.
MUTANTS: dict[str, Mutant] = {
    # The rounding test, and what it is told.
    "the rounding test": Mutant(
        "numerics/ladder/rounding.py",
        "~(abs(gap) * _ROUNDED > ulps)",
        "np.isnan(gap)",
        _slice("float64", "next to a tie of logsumexp"),
    ),
    "the error of a float64 sum": Mutant(
        "numerics/ladder/narrow.py",
        "return y, blocks.unit_roundoff *",
        "return y, 2.0**-80 *",
        _slice("float32", "next to a tie of logsumexp"),
    ),
    "the error of a narrow quotient": Mutant(
        "numerics/ladder/narrow.py",
        "margin = 2 * roundings",
        "margin = 1",
        _slice("float32", "next to a tie of softmax"),
    ),
    "the error of a cut sum": Mutant(
        "numerics/ladder/narrow.py",
        "(2 + 2.0**-8) * 2.0**-53",
        "2.0**-80",
        ("numerics/ladder/test_narrow.py::test_ties_of_long_rows",),
    ),
    "the error of a wide quotient": Mutant(
        "numerics/ladder/wide.py",
        "QUOTIENT_ERROR = 2.0**-65.8",
        "QUOTIENT_ERROR = 2.0**-80",
        _slice("float64", "next to a tie of softmax"),
    ),
    "the side of a tie": Mutant(
        "numerics/ladder/doubtful.py",
        "low - unit / 4",
        "low",
        _slice("float64", "far below, on a tie"),
    ),
    "the error of the rest": Mutant(
        "numerics/ladder/rest.py", "ERROR = 2.0**-66.9", "ERROR = 2.0**-90", _BOUNDS
    ),
    "the cube of the rest": Mutant(
        "numerics/ladder/rest.py", "(1 / 3 - r * (1 / 4 - r / 5))", "0", _BOUNDS
    ),
    "the error of the quick sum": Mutant(
        "numerics/ladder/quick.py", "\nERROR = 2.0**-80", "\nERROR = 2.0**-95", _BOUNDS
    ),
    "the error of the double-word sum": Mutant(
        "numerics/ladder/doubleword.py", "SUM_ERROR = 2.0**-84.8", "SUM_ERROR = 2.0**-110", _BOUNDS
    ),
    "the error of an element": Mutant(
        "numerics/ladder/doubtful.py",
        "error = 2.1 * (doubleword.EXP_ERROR + error +",
        "error = 2.0**-150 * (doubleword.EXP_ERROR + error +",
        _slice("float64", "next to a tie of softmax"),
    ),
    "the error of a term in integers": Mutant(
        "numerics/ladder/limbs.py", "EXP_ERROR = 40", "EXP_ERROR = 4", _INTEGERS
    ),
    "the last term of the series in integers": Mutant(
        "numerics/ladder/limbs.py", "(120, 24, 6", "(10**50, 24, 6", _INTEGERS
    ),
    "the lower word of the argument in integers": Mutant(
        "numerics/ladder/limbs.py", "for part in (d, d_low):", "for part in (d,):", _INTEGERS
    ),
    "the lowest products of limbs": Mutant(
        "numerics/ladder/limbs.py",
        "for place in range(_LIMBS + 1)",
        "for place in range(_LIMBS)",
        _INTEGERS,
    ),
    "the error of decimal arithmetic": Mutant(
        "numerics/decimals.py",
        "Decimal(5).scaleb(-digits, _UP)",
        "Decimal(5).scaleb(-3 * digits, _UP)",
        _slice("float64", "next to a tie of logsumexp"),
    ),
    "the sign of terms that are too small": Mutant(
        "numerics/decimals.py",
        "_ONE.copy_sign(tail)",
        "_ONE",
        _slice("float32", "narrowed, with weights"),
    ),
    # A second rounding on the way.
    "bfloat16 by way of float32": Mutant(
        "numerics/ladder/narrow.py",
        "target[...] = format_.round(values)",
        "target[...] = values.astype(np.float32)",
        _slice("bfloat16", "sd 100", "next to a tie of log_softmax"),
    ),
    # Terms of the sums that the kernels are.
    "the lowest word of the table": Mutant(
        "numerics/ladder/doubleword.py", "    d += q\n    d += c\n", "    d += q\n", _KERNELS
    ),
    "the lowest word of ln 2": Mutant(
        "numerics/ladder/doubleword.py", "k *= ln2_3", "k *= 0", _KERNELS
    ),
    "the lower word of the argument": Mutant(
        "numerics/ladder/doubleword.py", "d_low -= k\n    d += d_low", "d -= k", _KERNELS
    ),
    "the last term of the series": Mutant(
        "numerics/ladder/doubleword.py", "np.multiply(q, 1 / 720, out=t)", "t.fill(0)", _KERNELS
    ),
    "what the first sum rounds away": Mutant(
        "numerics/ladder/doubleword.py", "    k += a\n    np.add(t", "    np.add(t", _KERNELS
    ),
    "the rounding errors of the quick table": Mutant(
        "numerics/ladder/exponential.py",
        'np.take(constants.offset, index, out=rest, mode="clip")',
        "rest.fill(0)",
        _KERNELS,
    ),
    "the lowest word of ln 2 in the quick phase": Mutant(
        "numerics/ladder/exponential.py", "    rest += h\n    if", "    if", _KERNELS
    ),
    "the last term of the quick series": Mutant(
        "numerics/ladder/exponential.py", "np.multiply(r, 1 / 24, out=k)", "k.fill(0)", _KERNELS
    ),
    "the last term of the brief series": Mutant(
        "numerics/ladder/exponential.py", "np.multiply(r, 1 / 6, out=p)", "p.fill(0)", _KERNELS
    ),
    "the lower word of ln 2 in the brief exponential": Mutant(
        "numerics/ladder/exponential.py", "    rest += k\n", "", _KERNELS
    ),
    "the error of the brief sum": Mutant(
        "numerics/ladder/quick.py", "2.0**-67.7)", "2.0**-75)", _BOUNDS
    ),
    "what a far difference rounds away": Mutant(
        "numerics/ladder/wide.py",
        "margin = 2.0**-51 * abs(delta)",
        "margin = 0",
        _slice("float64", "far below, on a tie"),
    ),
    "the lower word of the quick argument": Mutant(
        "numerics/ladder/exponential.py",
        "        rest -= d_low\n    k *= step_2\n",
        "        pass\n    k *= step_2\n",
        _KERNELS,
    ),
    "the lower word of the quick sum": Mutant(
        "numerics/ladder/quick.py", "rest + words[2]) + low * inverse", "rest + words[2])", _BOUNDS
    ),
    "the lower word of ln 2 in a short vector": Mutant(
        "numerics/ladder/short.py",
        "k * step_low + offset[j]",
        "offset[j]",
        _KERNELS,
    ),
    "the error of a short quotient": Mutant(
        "numerics/ladder/short.py",
        "QUOTIENT_ERROR = 2.0**-65.4",
        "QUOTIENT_ERROR = 2.0**-80",
        _slice("float64", "next to a tie of softmax"),
    ),
    "the error of a short difference": Mutant(
        "numerics/ladder/short.py",
        "MARGIN = ERROR + 2.0**-81",
        "MARGIN = 2.0**-90",
        _slice("float64", "next to a tie of log_softmax"),
    ),
    "the lowest word of ln 2 in complex sums": Mutant(
        "numerics/complex_doubles.py", "(d_low - k * third)", "d_low", _COMPLEX
    ),
    "the lower word of a square in complex sums": Mutant(
        "numerics/complex_doubles.py",
        "error - (square_low / 2 + high * low)",
        "error - high * low",
        _COMPLEX,
    ),
    "the side of the branch cut": Mutant(
        "numerics/complex_plane.py",
        "side = _side(terms()) if is_left else -1 if y < 0 else 1",
        "side = -1 if y < 0 else 1",
        ("numerics/test_complex.py::test_told",),
    ),
    "the second term of the decimal logarithm": Mutant(
        "numerics/decimals.py",
        "_rounded(z - z * z / 2,",
        "_rounded(z,",
        ("numerics/test_decimals.py::test_told",),
    ),
}
