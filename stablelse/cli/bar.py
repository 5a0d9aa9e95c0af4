"""The bar of a long run, which needs Rich."""

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, FileSizeColumn, Progress, TextColumn
from rich.progress import TimeRemainingColumn as Remaining


def bar(is_bounded: bool) -> Progress:
    """Return the progress line, with a bar if the total is known."""
    columns: list[Any] = [BarColumn(12), DownloadColumn()] if is_bounded else [FileSizeColumn()]
    columns.append(TextColumn("{task.fields[speed]}"))
    columns += [Remaining(compact=True)] if is_bounded else []
    columns.append(TextColumn("{task.fields[state]}", markup=False))
    return Progress(
        *columns,
        console=Console(stderr=True, highlight=False, markup=False),
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
