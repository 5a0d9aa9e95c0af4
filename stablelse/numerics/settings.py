"""What the environment sets, and how it complains."""

from __future__ import annotations

import os


class SettingError(ValueError):
    """An environment variable with a value that cannot be followed."""


def setting(name: str) -> str:
    """Return the value of an environment variable without blanks around it; empty if not set."""
    return os.environ.get(name, "").strip()


def positive_integer(name: str, text: str) -> int:
    """Return the number that the value of an environment variable is."""
    if not (text.isdecimal() and int(text) > 0):
        raise SettingError(f"{name} must be a positive integer, not {text!r}")
    return int(text)
