"""Options in, one call, one render out; the only layer that writes to a stream."""

import sys

from stablelse.printable import printable


def tell(text: str, begin: str = "") -> None:
    """Print a line on stderr: an error, a note, or what failed."""
    sys.stderr.write(f"{begin}stablelse: {printable(text)}\n")
    sys.stderr.flush()
