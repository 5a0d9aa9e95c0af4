"""Draw the pictures of the README and the guide with the command's own --save.

Usage: python examples/pictures/draw.py [FOLDER]
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from rich.text import Text

HERE = Path(__file__).resolve().parent

#: Each picture: the width of its screen, and the arguments of the command; files are those of
#: examples/digits.
PICTURES = {
    "lab.svg": (80, []),
    "lint.svg": (100, []),
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

#: The source that the linter reads.
NAIVE = """\
import numpy as np
import torch

def evidence(logs):
    return np.log(np.sum(np.exp(logs)))

def loss(logits, label):
    p = torch.softmax(logits, dim=-1)
    return -torch.log(p[label])
"""

#: The lab: its width and height, its numbers, and the keys between its two stills.
LAB = (80, 24, (1.0, 2.0, 3.0), ("F", "o"))

#: Figures of matplotlib, whose versions draw slightly differently.
FIGURES = {"survival.svg"}


def main(folder: Path = HERE) -> None:
    """Write the pictures to a folder."""
    for name in PICTURES:
        draw(name, folder)


def draw(name: str, folder: Path) -> None:
    """Write one picture to a folder."""
    if name in ("lab.svg", "lint.svg"):
        drawn = asyncio.run(lab()) if name == "lab.svg" else lint()
        (folder / name).write_text(drawn, encoding="utf-8")
        return
    columns, args = PICTURES[name]
    subprocess.run(
        [sys.executable, "-m", "stablelse", *args, "--save", folder.resolve() / name],
        cwd=HERE.parent / "digits",
        env={**os.environ, "COLUMNS": str(columns)},
        stdout=subprocess.DEVNULL,
        check=True,
    )


def lint() -> str:
    """Lint a source, and return it with the findings."""
    from stablelse.analysis.lint import lint as find
    from stablelse.render.export import to_svg
    from stablelse.render.lint import lint_lines

    findings = lint_lines(find(NAIVE, "naive.py"))
    lines = [f" {number}  {line}" for number, line in enumerate(NAIVE.splitlines(), 1)]
    picture = Text("\n").join(map(Text, [*lines, "", *findings]))
    return to_svg(picture, "stablelse lint naive.py", PICTURES["lint.svg"][0])


async def lab() -> str:
    """Play the lab in the terminal, and return two stills, one below the other."""
    from stablelse.analysis.lab import State
    from stablelse.cli.textual import Lab
    from stablelse.render.export import to_svg

    columns, rows, x, keys = LAB
    app, stills = Lab(State(x)), []
    async with app.run_test(size=(columns, rows)) as pilot:
        for pressed in ((), keys):
            await pilot.press(*pressed)
            await pilot.pause()
            stills.append(app.picture())
    stills.insert(1, Text(f"\n keys: {' '.join(keys)}\n", "bold"))
    return to_svg(
        Text("\n").join(stills), f"stablelse lab {' '.join(f'{v:g}' for v in x)}", columns
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
