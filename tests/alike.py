"""Kept texts and what is printed now: the same, as far as both come from the same exponentials.

The last digits of NumPy's exp and log hang on the processor, and where an answer is wrong by many
ulps, so do many of its digits. A digest of what these functions return is kept beside the texts.
Where it is this machine's, texts must be the same; elsewhere, the same but for the digits of long
numbers beyond the fifth, and for the spaces and lines that fit tables to them.
"""

import hashlib
import re
from functools import cache
from pathlib import Path

import numpy as np

DIGEST = Path(__file__).parent / "golden" / "exponentials.sha256"

_FUNCTIONS = (np.exp, np.log, np.log1p)
_LONG = re.compile(r"-?\d+\.\d{7,}(e[-+]?\d+)?|-?\d\.\d{4,}e[-+]?\d+")
_FILLING = re.compile(r"(?:[\s─━╌┈═-]|&#160;)+")


@cache
def digest() -> str:
    """Return a digest of what NumPy's functions return here for the same arguments."""
    x = np.random.default_rng(1).uniform(0, 80, 4096)
    found = hashlib.sha256()
    for dtype in ("float32", "float64"):
        for function in _FUNCTIONS:
            found.update(function(x.astype(dtype)).astype("<f8").tobytes())
    return found.hexdigest()


def keep_digest() -> None:
    """Keep this machine's digest: texts are about to be written."""
    DIGEST.write_text(f"{digest()}\n", encoding="ascii")


def expected(kept: str, text: str) -> str:
    """Return what a text must be: what is kept, or itself, if no more than digits differ."""
    if DIGEST.read_text("ascii").strip() != digest() and skeleton(kept) == skeleton(text):
        return text
    return kept


def skeleton(text: str) -> str:
    """Return a text with long numbers cut to five digits, and without what fits it to them."""
    return _FILLING.sub(" ", _LONG.sub(lambda found: f"{float(found[0]):.4e}", text))
