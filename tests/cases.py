"""The table of edge cases, to test everything that computes a log-sum-exp or a softmax.

Cases that other libraries get wrong come from the package's gallery.
"""

from dataclasses import dataclass
from math import inf, log, nan

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


# A wide vector with full significands: rounding x - max costs up to 512 ulps of a softmax entry.
_WIDE = (
    699.123456789012,
    -412.98765432109876,
    3.141592653589793,
    0.1,
    -699.7777777777777,
    123.45678901234567,
    698.0000000000001,
)

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


# Logits of a digit classifier, rounded to float16; the third one dominates.
_LOGITS = (-7.1875, 2.033203125, 18.28125, 5.421875, -3.3984375, 0.58935546875, -11.6875, 1.125)

CASES: tuple[Case, ...] = (
    *map(_from_gallery, gallery.CASES),
    Case("float32 zeros", (0.0,) * 10_000, dtype="float32"),
    Case("one dominates at zero, in float32", (0.0, -40.0), dtype="float32"),
    Case(
        "the result is near zero, in float32",
        (-1.0986123085021973, -1.0986123085021973, -1.0986123085021973),
        dtype="float32",
    ),
    Case("log-probabilities", (log(0.1), log(0.2), log(0.3), log(0.4))),
    Case("wide, full significands", _WIDE),
    Case("the lecture's", (1000.0, 1001.0, 1002.0)),
    Case("the lecture's, below", (-1000.0, -1001.0, -1002.0)),
    Case("logits", _LOGITS, dtype="float16"),
    Case("logits, bfloat16", _LOGITS, dtype="bfloat16"),
    Case("small logits", (1.0, 2.0, 3.0), dtype="float8_e4m3fn"),
    Case("small logits, float8_e5m2", (1.0, 2.0, 3.0), dtype="float8_e5m2"),
    # Weights.
    Case("a negative sum", (1.0, 2.0), (1.0, -1.0)),
    Case("subnormal weights", (0.0, 0.0), (5e-324, 1e-323)),
    Case("a weight of zero hides infinity", (inf, 2.0), (0.0, 1.0)),
    Case("a weight of zero hides NaN", (nan, 2.0), (0.0, 1.0)),
    Case("no weight at all", (1.0, 2.0), (0.0, 0.0), lse="-inf"),
    Case("mixed signs", (3.0, 1.0, 0.5, 2.0), (0.25, -1.5, 3.0, -0.125)),
    Case("weights in float32", (3.0, 1.0, 0.5, 2.0), (0.25, -1.5, 3.0, -0.125), dtype="float32"),
    # No terms, one term, terms that are not numbers.
    Case("no entries", (), lse="-inf"),
    Case("one entry", (-745.5,)),
    Case("zero", (0.0,)),
    Case("negative zero", (-0.0,)),
    Case("zeros of both signs", (0.0, -0.0)),
    Case("infinity", (inf, 1.0), lse="inf"),
    Case("two infinities", (inf, inf), lse="inf"),
    Case("infinities of both signs", (inf, -inf, 3.0), lse="inf"),
    Case("minus infinity", (-inf, 1.0)),
    Case("NaN", (nan, 1.0), lse="nan"),
    Case("NaN and infinity", (nan, inf), lse="nan"),
    Case("infinity in float8_e5m2", (inf, 1.0), dtype="float8_e5m2", lse="inf"),
    # At the borders of the formats.
    Case("exp overflows", (709.782712893384, 709.7827128933841)),
    Case("exp overflows in float32", (88.72283, 88.72284), dtype="float32"),
    Case("exp overflows in float16", (11.0859375, 11.09375), dtype="float16"),
    Case("exp overflows in bfloat16", (88.5, 89.0), dtype="bfloat16"),
    Case("exp overflows in float8_e4m3fn", (6.0, 6.5), dtype="float8_e4m3fn"),
    Case("exp overflows in float8_e5m2", (10.0, 12.0), dtype="float8_e5m2"),
    Case("exp overflows in longdouble", (11356.0, 11357.0), dtype="longdouble"),
    Case("exp underflows", (-745.2, -745.1)),
    Case("exp underflows beside a zero", (0.0, -745.0)),
    Case("exp is subnormal", (0.0, -720.0, -740.0)),
    Case("exp underflows in float32", (0.0, -103.5, -103.9), dtype="float32"),
    Case("exp underflows in float16", (0.0, -17.25, -12.0), dtype="float16"),
    Case("the largest numbers", (1.7976931348623157e308, 1.7976931348623157e308)),
    Case("largest and smallest", (1.7976931348623157e308, -1.7976931348623157e308)),
    Case("the largest numbers of float16", (65504.0, 65504.0), dtype="float16"),
    Case("the largest numbers of float32", (3.4028235e38, 3.4028235e38), dtype="float32"),
    Case("the largest numbers of float8_e4m3fn", (448.0, 448.0), dtype="float8_e4m3fn"),
    Case("subnormal", (5e-324, -5e-324)),
    Case("subnormal in float16", (6e-8, 1.2e-7), dtype="float16"),
    Case("a sum too large for float16's 2048", (0.0,) * 5_000, dtype="float16"),
    # Plain ones must be right, too.
    Case("all equal", (3.3,) * 7),
    Case("all equal, in float32", (3.3,) * 7, dtype="float32"),
    Case("one dominates", (5.0, -60.0, -61.0, -100.0)),
    Case("one dominates, far away", (12345.678, -5.0)),
    Case("ties of the maximum", (700.25, 700.25, 700.25, 1.0)),
    Case("longdouble", (0.1, 0.2, 0.3), dtype="longdouble"),
)
