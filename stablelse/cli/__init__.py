"""Options in, one call, one render out; the only layer that writes to a stream."""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


def tell(text: str, begin: str = "") -> None:
    """Print a line on stderr: an error, a note, or what failed."""
    from stablelse.printable import printable_line  # on use: `main` must begin at once

    line = printable_line(f"stablelse: {text}")
    try:
        sys.stderr.write(f"{begin}{line}\n")
        sys.stderr.flush()
    except OSError:  # only the exit code can say it
        silence(sys.stderr)


def silence(stream: "TextIO") -> None:
    """Keep the interpreter from flushing unwritten output at exit."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError, AttributeError):
        return
