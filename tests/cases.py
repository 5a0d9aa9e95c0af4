"""Vectors that other libraries get wrong, from the package's gallery, and those of few terms.

All others come from families.py.
"""

from dataclasses import dataclass
from math import inf, nan

from stablelse.analysis import gallery


@dataclass(frozen=True)
class Case:
    """A vector on which some implementation fails.

    Round x and b to the format of the case first. lse is the logarithm of the absolute value of
    the sum for the rounded input, to 30 digits; None leaves it to the oracle. The longest x has
    70,000 entries.
    """

    name: str
    x: tuple[float, ...]
    b: tuple[float, ...] | None = None
    dtype: str = "float64"
    lse: str | None = None


#: The log-sum-exp of the gallery's cases, from an oracle.
_GALLERY_LSE = {
    "70,000 zeros in float16": "11.1562505210314960411773185622",
    "5,000 zeros in bfloat16": "8.51719319141623742665473369728",
    "10,000,000 zeros in float32": "11.1562505210314960411773185622",  # cut to 70,000
    "one dominates at zero": "4.24835425529158898630497784363e-18",
    "the result is near zero": "-0.00000523784795008753664767001151852",
    "the result is next to zero": "2.31904681384629961549485546388e-17",
    "weights of unlike size": "-90.8037913578339293114795683278",
    "the largest terms cancel": "999",
    "large weights": "709.889355822726015997937663794",
    "nearly everything cancels": "-39.143946580898776561763430675",
    "everything cancels": "-inf",
    "masked out whole": "-inf",
}

_LONGEST = 70_000


def _from_gallery(case: gallery.Case) -> Case:
    copies = min(case.copies, _LONGEST // len(case.x))
    b = None if case.b is None else case.b * copies
    lse = _GALLERY_LSE.get(case.name)
    return Case(case.name, case.x * copies, b, case.format, lse)


CASES: tuple[Case, ...] = (
    *map(_from_gallery, gallery.CASES),
    # Weights.
    Case("a negative sum", (1.0, 2.0), (1.0, -1.0)),
    Case("a weight of zero hides infinity", (inf, 2.0), (0.0, 1.0)),
    Case("a weight of zero hides NaN", (nan, 2.0), (0.0, 1.0)),
    Case("no weight at all", (1.0, 2.0), (0.0, 0.0), lse="-inf"),
    # No terms, one term, terms that are not numbers.
    Case("no entries", (), lse="-inf"),
    Case("one entry", (-745.5,)),
    Case("negative zero", (-0.0,)),
    Case("zeros of both signs", (0.0, -0.0)),
    Case("infinity", (inf, 1.0), lse="inf"),
    Case("two infinities", (inf, inf), lse="inf"),
    Case("infinities of both signs", (inf, -inf, 3.0), lse="inf"),
    Case("minus infinity", (-inf, 1.0)),
    Case("NaN", (nan, 1.0), lse="nan"),
    Case("NaN and infinity", (nan, inf), lse="nan"),
    Case("infinity in float8_e5m2", (inf, 1.0), dtype="float8_e5m2", lse="inf"),
    Case("a sum too large for float16's 2048", (0.0,) * 5_000, dtype="float16"),
)
