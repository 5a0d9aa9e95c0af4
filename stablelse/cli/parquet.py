"""Numbers to a Parquet file, a group of rows at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stablelse.numerics.formats import Array
from stablelse.readers import ReadError


def write_parquet(stream: Any, groups: Iterable[dict[str, Array]]) -> None:
    """Write groups of rows, columns by their names."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ReadError(
            "a .parquet file needs pyarrow: pip install 'stablelse[arrow]' brings it"
        ) from None
    writer = None
    try:
        for group in groups:
            table = pyarrow.table({name: pyarrow.array(column) for name, column in group.items()})
            writer = writer or parquet.ParquetWriter(stream, table.schema)
            writer.write_table(table)
    finally:  # a writer that is not closed would write to the closed file when it is deleted
        if writer is not None:
            writer.close()
