"""What tests share: files made of bytes, what is read of them, and the memory a run takes."""

import io
import subprocess
import sys

import numpy as np
import pytest

from stablelse.readers import ReadError, ReadOptions, file_source, open_blocks, read_source


def piped(data, name="x", **options):
    """Return the blocks of bytes that come as a stream."""
    return list(read_source(file_source(name, io.BytesIO(data)), ReadOptions(**options)))


def gathered(path, **options):
    """Return all numbers of a file; the blocks' places must fit together."""
    blocks = list(open_blocks(str(path), ReadOptions(**options)))
    offset = 0
    for block in blocks:
        assert block.offset == offset
        offset += len(block.values)
    return np.concatenate([block.values for block in blocks])


def complaint(path, **options):
    """Return the one line that a file is refused with, `x` for its path."""
    with pytest.raises(ReadError) as error:
        list(open_blocks(str(path), ReadOptions(**options)))
    if "pip install" in str(error.value):
        raise error.value
    message = str(error.value)
    assert message.isprintable()
    assert len(message) < 400
    return message.replace("standard input" if path == "-" else str(path), "x")


def peak_of(args, environment):
    """Return the peak of a run's memory in bytes."""
    code = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-c", code, sys.executable, "-m", "stablelse", *args]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout) * (1 if sys.platform == "darwin" else 1024)
