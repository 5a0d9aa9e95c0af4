"""What kind of input something is, told by its first bytes, never by its name."""

import re
from typing import NamedTuple

from stablelse.readers.block import ReadError


class Signature(NamedTuple):
    """How a kind of input begins, and what reads it.

    `magic` stands behind `offset` bytes. `kind` is what complaints call it, `mend` what to do with
    it if no module reads it. `has_axes` and `has_keys` say whether ``ReadOptions.axis`` and ``key``
    choose something there, `has_ranges` whether `stablelse.readers.parts` can read parts of it.
    """

    magic: bytes | re.Pattern[bytes]
    offset: int
    kind: str
    mend: str = ""
    module: str = ""
    has_axes: bool = False
    has_keys: bool = False
    has_ranges: bool = False

    def fits(self, head: bytes) -> bool:
        """Whether input begins as this kind does."""
        if isinstance(self.magic, bytes):
            return head.startswith(self.magic, self.offset)
        return self.magic.match(head, self.offset) is not None


_SAVE = "in what wrote it, save the one array that is wanted with numpy.save"
_CONVERT = "convert it to CSV or Parquet"
_UNPACK = "unpack it and pipe it in: {} | stablelse ..."
_ICONV = "convert it: iconv -f {} -t UTF-8"
#: A brace begins nothing else; a bracket does where something else than a value stands behind it.
_JSON = re.compile(
    rb"(?:\xef\xbb\xbf)?[ \t\r\n]*"
    rb"(?:\{|\[[ \t\r\n]*(?:[\[{\"\]0-9-]|(?i:null|none|true|false|nan|inf|infinity)\b|\Z))"
)
_HDF5 = "in Python: numpy.save('x.npy', h5py.File('x.h5')['NAME'][:])"
_MATLAB = "in Python: numpy.save('x.npy', scipy.io.loadmat('x.mat')['NAME'])"

#: Each format's own specification names these bytes; Python documents that a pickle of
#: protocol 2 and later begins with the opcode PROTO, 0x80, and the protocol's number.
SIGNATURES = (
    Signature(b"\x93NUMPY", 0, "a .npy file", module="npy", has_axes=True, has_ranges=True),
    *(
        Signature(magic, offset, kind, module=module, has_axes=True, has_keys=True)
        for magic, offset, kind, module in (
            (re.compile(rb"PK(\x03\x04|\x05\x06)"), 0, "a zip archive", "npz"),  # or of nothing
            # The length of the header, in eight bytes, is below 2**32; the header is JSON.
            (b"\0\0\0\0{", 4, "a .safetensors file", "safetensors"),
            (b"\x1f\x8b", 0, "gzip data", "compressed"),
            (re.compile(rb"1AY&SY|\x17rE8P\x90"), 4, "bzip2 data", "compressed"),  # or of nothing
            (b"\xfd7zXZ\x00", 0, "xz data", "compressed"),
            (b"\x28\xb5\x2f\xfd", 0, "Zstandard data", "compressed"),
        )
    ),
    Signature(b"PAR1", 0, "a Parquet file", module="arrow", has_ranges=True),
    Signature(b"ARROW1\x00\x00", 0, "an Arrow file", module="arrow"),
    # Of a stream: the mark before each message.
    Signature(b"\xff\xff\xff\xff", 0, "an Arrow stream", module="arrow"),
    Signature(_JSON, 0, "JSON", module="json_text", has_keys=True),
    Signature(
        re.compile(rb"\x80[\x02-\x05]"),
        0,
        "a pickle (.pkl, .joblib, old .pt), which could run any code",
        "where it is trusted, load it in Python, and save the array with numpy.save",
    ),
    Signature(b"\x89HDF\r\n\x1a\n", 0, "an HDF5 file", _HDF5),
    Signature(re.compile(rb"CDF[\x01\x02\x05]"), 0, "a NetCDF file", _SAVE),
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
    Signature(re.compile(rb"x[\x9c\xda]"), 0, "zlib data, as .joblib files are", _SAVE),
    Signature(re.compile(rb"\xff\xfe\0\0|\0\0\xfe\xff"), 0, "UTF-32 text", _ICONV.format("UTF-32")),
    Signature(re.compile(rb"\xff\xfe|\xfe\xff"), 0, "UTF-16 text", _ICONV.format("UTF-16")),
)


#: What everything else is, if nothing in it says otherwise: it begins with anything.
TEXT = Signature(b"", 0, "text", module="text", has_ranges=True)


def find(head: bytes) -> Signature | None:
    """Return the first row of :data:`SIGNATURES` that fits the first bytes of something."""
    return next((row for row in SIGNATURES if row.fits(head)), None)


def no_text(head: bytes, source: str, what: str, mend: str) -> ReadError:
    """Return the complaint about bytes that are not UTF-8, by their kind if that is known."""
    found = find(head)
    if found is not None and found.mend:
        return ReadError(f"cannot read {source}: it is {found.kind}; {found.mend}")
    return ReadError(f"{source}, {what}; {mend}")
