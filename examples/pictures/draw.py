"""Draw the pictures of the README and the guide with the command's own --save.

Usage: python examples/pictures/draw.py [FOLDER]
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

#: Each picture: the width of its screen, and the arguments of the command; files are those of
#: examples/digits.
PICTURES = {
    "scan.svg": (88, ["scan", "logits.npy", "--dtype", "float16", "--dtype", "float32"]),
    "tour.svg": (88, ["demo", "--scene", "one-pass"]),
    "overflow.svg": (88, ["lse", "1000", "1001", "1002"]),
    "digits.svg": (
        132,
        ["softmax", "--file", "logits.csv", "--row", "156", "--dtype", "float16"],
    ),
    "losses.svg": (
        100,
        ["nll", "--logits=logits.csv", "--labels=labels.csv", "--dtype=float16"],
    ),
    "survival.svg": (
        88,
        [
            *["sweep", "0", "1", "2"],
            *["--dtype", "float16", "--dtype", "bfloat16", "--dtype", "float32"],
            *["--dtype", "float64"],
        ],
    ),
}

#: Figures of matplotlib, whose versions draw slightly differently.
FIGURES = {"survival.svg"}


def main(folder: Path = HERE) -> None:
    """Write the pictures to a folder."""
    for name in PICTURES:
        draw(name, folder)


def draw(name: str, folder: Path) -> None:
    """Write one picture to a folder."""
    columns, args = PICTURES[name]
    subprocess.run(
        [sys.executable, "-m", "stablelse", *args, "--save", folder.resolve() / name],
        cwd=HERE.parent / "digits",
        env={**os.environ, "COLUMNS": str(columns)},
        stdout=subprocess.DEVNULL,
        check=True,
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
