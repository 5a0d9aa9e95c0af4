"""The kernel's constants are what its script derives."""

import importlib.util

from native import SOURCES


def test_tables_are_derived():
    spec = importlib.util.spec_from_file_location("tables", SOURCES / "tables.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    text, errors = script.tables()
    assert text == (SOURCES / "tables.h").read_text()
    # the truncation errors that the bounds in the comments use
    assert errors["A"] < -81.88
    assert errors["Q"] < -65.32
    assert errors["N"] < -56
