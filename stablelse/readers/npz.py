"""NumPy's archives of several arrays, ``.npz``: zip archives of .npy files.

An array is unpacked as it is read. ``numpy.load`` would hold it whole.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

from stablelse.readers import npy
from stablelse.readers.block import Block, ReadError, ReadOptions, complaining_of_damage
from stablelse.readers.columns import choose_key, keyed
from stablelse.readers.source import Reading, Source, SourceFile, sought

#: What the table of contents may take: the names of some 60,000 arrays, 46 bytes and a name each
#: (the zip format's specification, APPNOTE.TXT, section 4.3.12). Nothing else is read in one piece
#: that is longer than what `npy` reads at once.
_TABLE_BYTES = 1 << 22

#: The flag of an entry that it is encrypted (APPNOTE.TXT, section 4.4.4).
_ENCRYPTED = 1

_SUFFIX = ".npy"

#: What else is a zip archive, by a file that it has in it, and the mend.
_OTHERS = {
    "data.pkl": (
        "a PyTorch file (.pt), a pickle, which could run any code",
        "in Python, load it where it is trusted, and save with safetensors.torch.save_file",
    ),
    "workbook.xml": ("an Excel file", "save the sheet as CSV"),
}


def blocks(source: Source, options: ReadOptions) -> Iterator[Block]:
    """Read one array of an archive; a pipe is copied first, for the table is at its end."""
    with sought(source) as file:
        with complaining_of_damage(source.name):
            archive = zipfile.ZipFile(io.BufferedReader(SourceFile(file, _TABLE_BYTES)))
        entries = {
            entry.filename.removesuffix(_SUFFIX): entry
            for entry in archive.infolist()
            if entry.filename.endswith(_SUFFIX)
        }
        if not entries:
            raise _no_arrays(archive, source.name)
        key = choose_key(options.key, list(entries), source.name)
        name = keyed(source.name, key)
        array = Source(name, _open(archive, entries[key], name), entries[key].file_size)
        if not array.head.startswith(b"\x93NUMPY"):
            raise ReadError(f"{name} is no .npy file, though its name says so; save it again")
        yield from npy.blocks(array, options._replace(key=None))


def _open(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> io.BufferedReader:
    # Only these are unpacked in bounded memory, and NumPy writes no others.
    is_plain = entry.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    if not is_plain or entry.flag_bits & _ENCRYPTED:
        raise ReadError(f"{name} is compressed or encrypted as NumPy never does; save it again")
    with complaining_of_damage(name):
        file = archive.open(entry)

    def read(count: int) -> bytes:
        with complaining_of_damage(name):
            return file.read(count)

    return io.BufferedReader(Reading(read))


def _no_arrays(archive: zipfile.ZipFile, source: str) -> ReadError:
    names = [entry.filename.rpartition("/")[2] for entry in archive.infolist()]
    for what, mend in (_OTHERS[name] for name in names if name in _OTHERS):
        return ReadError(f"{source} is {what}; {mend}")
    if names:
        return ReadError(f"{source} is a zip archive without arrays; unpack it, or save a .npz")
    return ReadError(f"{source} is empty: there is no array in it")
