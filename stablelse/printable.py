"""Text for messages: names, cells, arguments and errors made safe to print, and counts."""

import re

#: A URL's user and password, and its query, which may hold signatures and tokens.
_URL = re.compile(r"(://)(?:[^ \n/]*@)?([^ \n?#'\"]*)(?:[?#][^ \n'\"]*)?")


def without_secrets(text: str) -> str:
    """Remove users, passwords and queries from the URLs in a text."""
    return _URL.sub(r"\1\2", text) if "://" in text else text


def printable(text: str) -> str:
    r"""Return a line without secrets, and with escapes for what a terminal may obey: ``\x1b``."""
    text = without_secrets(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def printable_line(text: str) -> str:
    """Return a text in one printable line of at most 500 characters."""
    line = printable(text)
    if len(line) > 500:
        line = re.sub(r"\S{80,}", lambda word: shortened(word[0], 80), line)
    return shortened(line, 500)


def shortened(text: str, most: int) -> str:
    """Leave out the middle of a text that is too long: the end says how to fix it."""
    half = (most - 3) // 2
    return text if len(text) <= most else f"{text[:half]}...{text[-half:]}"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 number``, ``1,000 numbers``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
