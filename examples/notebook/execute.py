"""Execute a notebook, cell by cell, and print it with the new outputs.

Usage: python examples/notebook/execute.py tour.ipynb > executed.ipynb

The cells run in IPython, on which Jupyter kernels are built. No kernel, server or socket is needed.
Cells may do anything except ask for input.
"""

import os
import sys
from pathlib import Path
from typing import Any

import nbformat
from IPython.core.displayhook import DisplayHook
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from nbformat import NotebookNode
from nbformat.v4 import new_output
from traitlets.config import Config


class Values(DisplayHook):
    """Keeps the value of a cell's last line, by MIME types, instead of printing it."""

    data: dict[str, Any] | None = None

    def start_displayhook(self) -> None:
        pass

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: dict[str, Any], md_dict: Any = None) -> None:
        self.data = format_dict

    def finish_displayhook(self) -> None:
        pass


def execute(path: Path) -> NotebookNode:
    """Return the notebook executed in its own folder; raise if a cell does."""
    notebook = nbformat.read(path, as_version=4)
    os.chdir(path.parent)
    config = Config({"HistoryManager": {"enabled": False}})
    shell = InteractiveShell.instance(config=config, displayhook_class=Values)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = shell.execution_count
            cell.outputs = outputs(shell, cell)
    nbformat.validate(notebook)
    return notebook


def outputs(shell: InteractiveShell, cell: NotebookNode) -> list[NotebookNode]:
    """Run a cell and return its outputs: what it printed, what it displayed, and its value."""
    shell.displayhook.data = None
    with capture_output() as captured:
        shell.run_cell(cell.source, store_history=True).raise_error()
    printed = (("stdout", captured.stdout), ("stderr", captured.stderr))
    found = [new_output("stream", name=name, text=text) for name, text in printed if text]
    found += [new_output("display_data", data=output.data) for output in captured.outputs]
    if shell.displayhook.data is not None:
        value, count = shell.displayhook.data, cell.execution_count
        found.append(new_output("execute_result", data=value, execution_count=count))
    return found


if __name__ == "__main__":
    (name,) = sys.argv[1:]
    sys.stdout.write(nbformat.writes(execute(Path(name).resolve())) + "\n")
