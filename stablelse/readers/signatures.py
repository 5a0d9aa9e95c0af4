"""What input that is no text is, told by its first bytes, and how to make it readable."""

from typing import NamedTuple

from stablelse.readers.block import ReadError


class Signature(NamedTuple):
    """The bytes that a kind of file has at a fixed place.

    Attributes
    ----------
    magic : bytes
        What stands there.
    offset : int
        How many bytes lie before it.
    kind : str
        What such a file is called, with its article.
    mend : str
        What to do with it.
    """

    magic: bytes
    offset: int
    kind: str
    mend: str


_DECOMPRESS = "decompress it and pipe it in: {} | stablelse ..."
_SAVE = "save the one array that is wanted with numpy.save"
_ICONV = "convert it: iconv -f {} -t UTF-8"

#: Each format's own specification names these bytes; Python documents that a pickle of
#: protocol 2 and later begins with the opcode PROTO, 0x80, and the protocol's number.
SIGNATURES = (
    Signature(b"\x1f\x8b", 0, "gzip data", _DECOMPRESS.format("gzip -dc")),
    Signature(b"1AY&SY", 4, "bzip2 data", _DECOMPRESS.format("bzip2 -dc")),
    Signature(b"\xfd7zXZ\x00", 0, "xz data", _DECOMPRESS.format("xz -dc")),
    Signature(b"\x28\xb5\x2f\xfd", 0, "Zstandard data", _DECOMPRESS.format("zstd -dc")),
    Signature(b"PK\x03\x04", 0, "a zip archive, as .npz, .pt and .xlsx files are", _SAVE),
    Signature(b"PAR1", 0, "a Parquet file", "write it as CSV, or its array with numpy.save"),
    Signature(b"ARROW1", 0, "an Arrow file", "write it as CSV, or its array with numpy.save"),
    Signature(b"\x89HDF\r\n\x1a\n", 0, "an HDF5 file", _SAVE),
    Signature(b'{"', 8, "a safetensors file", _SAVE),
    *(
        Signature(bytes([0x80, protocol]), 0, "a pickle, which could run any code", _SAVE)
        for protocol in range(2, 6)
    ),
    Signature(b"\xff\xfe\x00\x00", 0, "UTF-32 text", _ICONV.format("UTF-32")),
    Signature(b"\x00\x00\xfe\xff", 0, "UTF-32 text", _ICONV.format("UTF-32")),
    Signature(b"\xff\xfe", 0, "UTF-16 text", _ICONV.format("UTF-16")),
    Signature(b"\xfe\xff", 0, "UTF-16 text", _ICONV.format("UTF-16")),
)


def no_text(head: bytes, source: str, what: str, mend: str) -> ReadError:
    """Return the complaint about bytes that are no UTF-8 text.

    Parameters
    ----------
    head : bytes
        The first bytes of the input.
    source : str
        What complaints call it.
    what, mend : str
        What is wrong with the bytes and what to do, if their kind is not known.
    """
    for magic, offset, kind, remedy in SIGNATURES:
        if head.startswith(magic, offset):
            return ReadError(f"{source} is {kind}, no text and no .npy; {remedy}")
    return ReadError(f"{source}, {what}; {mend}")
