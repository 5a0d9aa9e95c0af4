"""The table of a softmax or log-softmax of more numbers than are gathered in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TextIO

import numpy as np

from stablelse.analysis.compare import chosen_methods
from stablelse.analysis.long_vector import LongVector
from stablelse.analysis.results import Comparison
from stablelse.analysis.stream_state import StreamState
from stablelse.cli.elements import summed
from stablelse.cli.options import Input, Output
from stablelse.cli.progress import Meter
from stablelse.cli.show import show
from stablelse.cli.values import Tried
from stablelse.numerics.formats import Array, Format
from stablelse.numerics.formulas.methods import candidates
from stablelse.numerics.running import Whole
from stablelse.readers import By, Stream, Vectors, vectors


def write_table(
    stream: TextIO,
    found: Stream,
    source: Input,
    tried: Tried,
    formats: Sequence[Format],
    output: Output,
    meter: Meter,
) -> Iterator[Vectors] | None:
    """Show one long vector, or return the columns, if there are many."""
    if found.axis is not By.ALL:
        return vectors(found.blocks, found.axis)
    comparison = _compared(found, source, tried, formats, meter)
    meter.hide()
    show([comparison], stream, output)
    return None


def _compared(
    found: Stream, source: Input, tried: Tried, formats: Sequence[Format], meter: Meter
) -> Comparison:
    """Compare the methods in two passes."""
    state = StreamState([format_.name for format_ in formats])
    with summed(found, source, state, meter) as again:
        wholes = [
            Whole(side.right.state, partial(_rounded, side.format, again)) for side in state.sides
        ]
        methods = chosen_methods(tried.methods)
        computed = candidates(tried.function, methods, tried.shifts)
        whole = LongVector(tried.function, computed, state.sides, wholes)
        for x in again():
            with np.errstate(all="ignore"):
                whole.update(x)
            meter.tell(state.count + whole.count, "the second pass", {})
        return whole.result(state.source)


def _rounded(format_: Format, again: Callable[[], Iterator[Array]]) -> Iterator[Array]:
    return map(format_.round, again())
