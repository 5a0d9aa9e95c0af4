"""A survival map as a figure, for a lecture or a paper; only this module needs matplotlib."""

from __future__ import annotations

import os
from collections.abc import Sequence
from io import BytesIO
from textwrap import fill
from typing import TYPE_CHECKING, Any

from stablelse.analysis.results import Verdict
from stablelse.analysis.sweep import Segment, Sweep
from stablelse.render.sweep import (
    LEGEND,
    Stretch,
    by_method,
    present,
    stretches,
    sweep_title,
    ticks,
)
from stablelse.render.words import method_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes


#: The colour and the hatch of a bar. Everyone can tell the colours apart, whatever their colour
#: vision (Okabe and Ito 2008, Color Universal Design), and the hatches without colour.
LOOKS: dict[Verdict, tuple[str, str]] = {
    Verdict.RIGHT: ("#009E73", ""),
    Verdict.DIGITS_LOST: ("#F0E442", "///"),
    Verdict.NO_DIGITS: ("#E69F00", "\\\\"),
    Verdict.UNDERFLOW: ("#56B4E9", ".."),
    Verdict.OVERFLOW: ("#D55E00", "xx"),
    Verdict.NAN: ("#CC79A7", "++"),
    Verdict.DOES_NOT_FIT: ("#EEEEEE", ""),
}

#: The same figure has the same bytes, whatever the user's settings; letters are outlines in SVG,
#: and PDF embeds their font (TrueType, number 42).
_SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "stablelse",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "hatch.linewidth": 0.5,
    "font.size": 9,
    "text.parse_math": False,  # a file's name may have a $
}

#: A date in the file would change its bytes.
_UNDATED = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {}}

#: In inches: the width of a page's text, a row, the space between formats, and the rest.
_WIDTH, _ROW, _GAP, _REST = 6.5, 0.2, 0.5, 1.15

#: The least width of a visible bar.
_LEAST = 0.004


def figure(sweep: Sweep, suffix: str) -> bytes:
    """Return the figure of a survival map: a bar for each method, in each format."""
    os.environ["MPLBACKEND"] = "agg"  # there is no screen, and a wrong name would be an error
    from matplotlib import figure as figures
    from matplotlib import patches, rc_context, rcdefaults, rcParams

    rows = by_method(sweep)
    bars = [stretches(row, sweep.range) for row in rows]
    formats = len({row[0].format for row in rows})
    height = _ROW * (len(rows) + _GAP * formats) + _REST
    drawn = BytesIO()
    with rc_context():
        rcdefaults()
        rcParams.update(_SETTINGS)
        canvas = figures.Figure(figsize=(_WIDTH, height), layout="constrained")
        axes = canvas.subplots()
        _draw_rows(axes, rows, bars)
        _draw_axes(axes, sweep)
        keys = [patches.Patch(label=LEGEND[v], **_style(v)) for v in present(bars)]
        canvas.legend(handles=keys, loc="outside lower center", ncols=3, frameon=False)
        canvas.savefig(drawn, format=suffix[1:], dpi=200, metadata=_UNDATED[suffix])
    return drawn.getvalue()


def _draw_rows(
    axes: Axes, rows: Sequence[Sequence[Segment]], bars: Sequence[Sequence[Stretch]]
) -> None:
    """Draw the bars from the top down, with the names of methods and formats to the left."""
    places: list[float] = []
    place, above = -2.0, ""
    for row, bar in zip(rows, bars, strict=True):
        place += 1
        if row[0].format != above:
            above = row[0].format
            place += 1
            axes.text(-0.011, place - 0.72, above, ha="right", va="center", weight="bold")
        places.append(place)
        # Narrow bars come last, so that nothing covers them.
        for stretch in sorted(bar, key=lambda stretch: stretch.begin - stretch.end):
            width = max(stretch.end - stretch.begin, _LEAST)
            left = (stretch.begin + stretch.end - width) / 2
            axes.barh(place, width, left=left, height=0.8, **_style(stretch.verdict))
    axes.set_yticks(places, [method_name(row[0]) for row in rows])
    axes.set_ylim(place + 0.6, -1.1)


def _style(verdict: Verdict) -> dict[str, Any]:
    colour, hatch = LOOKS[verdict]
    return {"facecolor": colour, "hatch": hatch, "edgecolor": "#303030", "linewidth": 0.3}


def _draw_axes(axes: Axes, sweep: Sweep) -> None:
    places, numbers = zip(*ticks(sweep.range, _WIDTH_IN_CHARACTERS), strict=True)
    axes.set_xticks(places, [number.replace("-", "−") for number in numbers])
    axes.set_xlim(0, 1)
    axes.set_xlabel(f"{sweep.motion.value} t")
    axes.set_title(fill(sweep_title(sweep, "−"), 80), fontsize="medium")
    axes.tick_params(axis="y", length=0)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)


#: How many digits fit the axis: 5 inches of 9-point digits.
_WIDTH_IN_CHARACTERS = 60
