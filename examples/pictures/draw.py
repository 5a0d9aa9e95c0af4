"""Draw the pictures of the README: what the command shows, as SVG.

Usage: python examples/pictures/draw.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np

import stablelse
from stablelse.render.export import to_svg

HERE = Path(__file__).parent

#: The row of examples/digits/logits.npy that is shown, counted from 1.
ROW = 156


def pictures() -> dict[str, str]:
    """Return the SVG of every picture by its file's name."""
    logits = np.load(HERE.parent / "digits" / "logits.npy")
    return {
        "overflow.svg": to_svg(
            stablelse.compare([1000, 1001, 1002]), "stablelse lse 1000 1001 1002", width=88
        ),
        "digits.svg": to_svg(
            stablelse.compare(logits[ROW - 1], "softmax", formats=["float16"]),
            f"stablelse softmax --file logits.csv --row {ROW} --dtype float16",
            width=132,
        ),
    }


def main(folder: Path = HERE) -> None:
    """Write the pictures to a folder."""
    for name, svg in pictures().items():
        (folder / name).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
