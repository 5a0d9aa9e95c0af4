"""Vectors that may be longer than what is gathered in memory: how each of them is worked off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from stablelse.cli.options import HERE, Cluster, Input
from stablelse.cli.source import not_rows, read_bounded
from stablelse.cli.values import GATHERED, SHOWN, Asked
from stablelse.readers import Stream

if TYPE_CHECKING:
    from stablelse.cli.progress import Meter
    from stablelse.readers import Vectors


def may_stream(asked: Asked, source: Input) -> bool:
    """Whether what is asked for can be had without gathering the numbers."""
    tried, formats, output, steps, errors, quiet = asked
    in_longdouble = any(format_.name == "longdouble" for format_ in formats)
    if source.row or tried.empty != "nan" or steps or in_longdouble:
        return False
    if tried.function.value == "logsumexp":
        return tried.has_usual_shift
    if quiet:
        return tried.is_right and len(formats) == 1
    is_table = output.kind == "table" and not errors
    return is_table and tried.has_usual_shift and not tried.is_division_free


def write_stream(
    stream: TextIO, asked: Asked, source: Input, cluster: Cluster, meter: Meter
) -> Iterator[Vectors] | None:
    """Write what is found of numbers too many to gather; return the vectors, if they are few."""
    tried, formats, output, _, errors, quiet = asked
    is_table = tried.function.value != "logsumexp" and not quiet
    most = SHOWN if is_table else GATHERED
    found = read_bounded(source, "float64", most, meter.gauge)
    if not isinstance(found, Stream):
        return found if cluster == HERE else not_rows(found)
    if is_table:
        from stablelse.cli.long_vector import write_table

        return write_table(stream, found, source, tried, formats, output, meter)
    if tried.function.value != "logsumexp":
        from stablelse.cli.elements import write_lines

        return write_lines(stream, found, source, tried, formats[0], meter)
    from stablelse.cli import stream as streams

    results = streams.fold_stream(found, source, formats, tried.methods, quiet, meter, cluster)
    meter.hide()
    if quiet:
        streams.write_values(stream, results, tried.methods is not None)
    else:
        streams.write_found(stream, results, output, errors)
    return None
