"""Fixtures that give readers bytes: in a file, or in a pipe."""

import sys

import pytest
from files import stdin_of


@pytest.fixture
def written(tmp_path):
    """Return a function that writes bytes to a file with a neutral name, and returns its path."""

    def write(data):
        path = tmp_path / "x"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    return write


@pytest.fixture
def piped_in(monkeypatch):
    """Return a function that puts bytes into standard input, and returns its path."""

    def put(data):
        monkeypatch.setattr(
            sys, "stdin", stdin_of(data if isinstance(data, bytes) else data.encode())
        )
        return "-"

    return put


@pytest.fixture(params=["file", "pipe"])
def place(request, written, piped_in):
    """Put bytes in a file, or in a pipe, and return the path to open."""
    return written if request.param == "file" else piped_in
