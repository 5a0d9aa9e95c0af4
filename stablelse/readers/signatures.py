"""What input that nothing reads is, told by its first bytes, and how to make it readable."""

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


_SAVE = "in what wrote it, save the one array that is wanted with numpy.save"
_CONVERT = "convert it to CSV or Parquet"
_UNPACK = "unpack it and pipe it in: {} | stablelse ..."
_ICONV = "convert it: iconv -f {} -t UTF-8"
_HDF5 = "in Python: numpy.save('x.npy', h5py.File('x.h5')['NAME'][:])"
_MATLAB = "in Python: numpy.save('x.npy', scipy.io.loadmat('x.mat')['NAME'])"

#: Each format's own specification names these bytes; Python documents that a pickle of
#: protocol 2 and later begins with the opcode PROTO, 0x80, and the protocol's number.
SIGNATURES = (
    *(
        Signature(
            bytes([0x80, protocol]),
            0,
            "a pickle (.pkl, .joblib, old .pt), which could run any code",
            "where it is trusted, load it in Python, and save the array with numpy.save",
        )
        for protocol in range(2, 6)
    ),
    Signature(b"\x89HDF\r\n\x1a\n", 0, "an HDF5 file", _HDF5),
    *(
        Signature(b"CDF" + version, 0, "a NetCDF file", _SAVE)
        for version in (b"\x01", b"\x02", b"\x05")
    ),
    Signature(b"MATLAB 5.0 MAT-file", 0, "a MATLAB file", _MATLAB),
    Signature(b"GGUF", 0, "a GGUF file of quantized weights", "save the tensors as .safetensors"),
    Signature(b'{"', 8, "a damaged .safetensors file", "copy or save it again"),
    Signature(b"PARE", 0, "an encrypted Parquet file", "write it without encryption"),
    Signature(b"FEA1", 0, "an Arrow file of the old Feather format", _CONVERT),
    Signature(b"Obj\x01", 0, "an Avro file", _CONVERT),
    Signature(
        b"SQLite format 3\0", 0, "an SQLite database", "write the table that is wanted as CSV"
    ),
    Signature(
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0, "an old Office file", "save the sheet as CSV"
    ),
    Signature(b"\x04\x22\x4d\x18", 0, "LZ4 data", _UNPACK.format("lz4 -dc")),
    Signature(b"\x5d\x00\x00", 0, "data in the old LZMA format", _UNPACK.format("xz -dc")),
    Signature(b"7z\xbc\xaf\x27\x1c", 0, "a 7z archive", "unpack it"),
    Signature(b"ustar", 257, "a tar archive", "unpack it, and name the directory with --file"),
    *(
        Signature(magic, 0, "zlib data, as .joblib files are", _SAVE)
        for magic in (b"x\x9c", b"x\xda")
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
            return ReadError(f"cannot read {source}: it is {kind}; {remedy}")
    return ReadError(f"{source}, {what}; {mend}")
