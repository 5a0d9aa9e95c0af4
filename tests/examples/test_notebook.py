"""The notebook is executed anew: what its cells give now is what it says."""

from pathlib import Path

import alike
import pytest

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("IPython")

FOLDER = Path(__file__).parents[2] / "examples" / "notebook"
NOTEBOOK = FOLDER / "tour.ipynb"


def test_executed(request, python, tmp_path):
    script = ["-W", "error", FOLDER / "execute.py"]
    done = python(*script, NOTEBOOK, IPYTHONDIR=str(tmp_path), NO_COLOR="1")
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


def test_a_cell_that_fails_is_an_error(python, tmp_path):
    cells = [nbformat.v4.new_code_cell("1 / 0")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "x.ipynb")
    done = python(FOLDER / "execute.py", tmp_path / "x.ipynb", IPYTHONDIR=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "ZeroDivisionError" in done.stderr
