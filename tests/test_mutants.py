"""The tests must notice small faults: each mutant of the table is run against its own of them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[1]

#: pytest's exit codes.
PASSED, FAILED = 0, 1


def outcome(mutant: Mutant, folder: Path) -> subprocess.CompletedProcess:
    """Run the tests of a mutant on a copy of package and tests, in which it is applied."""
    ignored = shutil.ignore_patterns("__pycache__", "golden")
    for part in ("stablelse", "tests"):
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    source = folder / "stablelse" / mutant.file
    text = source.read_text(encoding="utf-8")
    assert text.count(mutant.old) == 1, (
        f"{mutant.file} has no such text, or several: {mutant.old!r}"
    )
    source.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    alone = [
        "-o",
        "addopts=--import-mode=importlib",
    ]  # on one core, for other mutants are on the rest
    options = ["-x", "-q", "-p", "no:cacheprovider", "--tb=line", *alone]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *mutant.tests],
        cwd=folder / "tests",
        # Without plugins, in the order of the file: half the time of a run is their import.
        env={
            **os.environ,
            "PYTHONPATH": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_killed(name, tmp_path):
    done = outcome(MUTANTS[name], tmp_path)
    if done.returncode == PASSED and " skipped" in done.stdout:
        pytest.skip("its tests need what is not installed")
    assert done.returncode == FAILED, f"{done.stdout}\n{done.stderr}"


def test_what_is_no_mutant_lives(tmp_path):
    """The copy is what is tested, and without a fault it passes."""
    mutant = next(iter(MUTANTS.values()))
    same = mutant._replace(new=mutant.old)
    assert outcome(same, tmp_path).returncode == PASSED


def test_a_text_that_is_not_there_is_an_error(tmp_path):
    mutant = next(iter(MUTANTS.values()))._replace(old="no such text", new="")
    with pytest.raises(AssertionError, match="no such text"):
        outcome(mutant, tmp_path)
