"""The notebook is executed anew: what its cells give now is what it says."""

import subprocess
import sys
from pathlib import Path

import alike
import pytest

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("IPython")

FOLDER = Path(__file__).parents[2] / "examples" / "notebook"
NOTEBOOK = FOLDER / "tour.ipynb"


def test_executed(request, environment, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", FOLDER / "execute.py", NOTEBOOK],
        env={**environment, "IPYTHONDIR": str(tmp_path), "NO_COLOR": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    if request.config.getoption("--regenerate"):
        NOTEBOOK.write_text(done.stdout, encoding="utf-8", newline="\n")
    assert done.stdout == alike.expected(NOTEBOOK.read_text(encoding="utf-8"), done.stdout)


def test_valid_and_in_order():
    notebook = nbformat.read(NOTEBOOK, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert {output.output_type for output in outputs} == {"execute_result", "stream"}
    assert sum("text/html" in output.get("data", {}) for output in outputs) == 7


def test_a_cell_that_fails_is_an_error(environment, tmp_path):
    cells = [nbformat.v4.new_code_cell("1 / 0")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "x.ipynb")
    done = subprocess.run(
        [sys.executable, FOLDER / "execute.py", tmp_path / "x.ipynb"],
        env={**environment, "IPYTHONDIR": str(tmp_path)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "ZeroDivisionError" in done.stderr
