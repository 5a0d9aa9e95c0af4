"""Draw the pictures of the README: what the command shows, saved by its own --save.

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
    "overflow.svg": (88, ["lse", "1000", "1001", "1002"]),
    "digits.svg": (
        132,
        ["softmax", "--file", "logits.csv", "--row", "156", "--dtype", "float16"],
    ),
}


def main(folder: Path = HERE) -> None:
    """Write the pictures to a folder."""
    for name, (columns, args) in PICTURES.items():
        subprocess.run(
            [sys.executable, "-m", "stablelse", *args, "--save", folder.resolve() / name],
            cwd=HERE.parent / "digits",
            env={**os.environ, "COLUMNS": str(columns)},
            stdout=subprocess.DEVNULL,
            check=True,
        )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
