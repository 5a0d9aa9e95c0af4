"""Values into a Parquet file, by pyarrow."""

from __future__ import annotations

from typing import Any

import numpy as np

from stablelse.cli.writers import titles
from stablelse.numerics.formats import Array
from stablelse.readers import ReadError


class ParquetWriter:
    """A Parquet file, a group of rows for every block.

    Parameters
    ----------
    stream : binary file
        What is written to.
    dtype : dtype
        Of the values.
    title : str
        What the columns are called.

    Raises
    ------
    ReadError
        If pyarrow is not installed.
    """

    def __init__(self, stream: Any, dtype: np.dtype[Any], title: str) -> None:
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError:
            raise ReadError(
                "a .parquet file needs pyarrow: pip install 'stablelse[arrow]' brings it"
            ) from None
        self._arrow, self._parquet = pyarrow, parquet
        self._stream, self._dtype, self._title = stream, dtype, title
        self._writer: Any = None

    def write(self, values: Array) -> None:
        """Append rows."""
        columns = [np.ascontiguousarray(column, self._dtype) for column in values.T]
        names = titles(self._title, len(columns))
        table = self._arrow.table(dict(zip(names, map(self._arrow.array, columns), strict=True)))
        if self._writer is None:
            self._writer = self._parquet.ParquetWriter(self._stream, table.schema)
        self._writer.write_table(table)

    def close(self) -> None:
        """Write the end of the file."""
        if self._writer is not None:
            self._writer.close()
