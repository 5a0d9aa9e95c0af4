"""Small faults in the arithmetic, each of which some test must notice."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """A fault: in a file of the package, one piece of text replaced by another.

    Attributes
    ----------
    tests : tuple of str
        Of pytest, relative to the folder of the tests: what must fail.
    """

    file: str
    old: str
    new: str
    tests: tuple[str, ...]


_KERNEL = ("numerics/test_doubleword.py::test_exp_keeps_its_bound",)

#: The mutants by what they leave out.
MUTANTS: dict[str, Mutant] = {
    "the lowest word of the table": Mutant(
        "numerics/doubleword.py", "    d += q\n    d += c\n", "    d += q\n", _KERNEL
    ),
    "the lowest word of ln 2": Mutant("numerics/doubleword.py", "k *= ln2_3", "k *= 0", _KERNEL),
    "the lower word of the argument": Mutant(
        "numerics/doubleword.py", "d_low -= k\n    d += d_low", "d -= k", _KERNEL
    ),
    "the last term of the series": Mutant(
        "numerics/doubleword.py", "np.multiply(q, 1 / 720, out=t)", "t.fill(0)", _KERNEL
    ),
    "what the first sum rounds away": Mutant(
        "numerics/doubleword.py", "    k += a\n    np.add(t", "    np.add(t", _KERNEL
    ),
}
