"""Bad input: one clear line on stderr that names the place and the mend, exit code 2."""

import os
import resource
import subprocess
import sys

import numpy as np
import pytest

MEGABYTE = b"1" * 2**20

#: The bytes of a file, and what the complaint must say. `{file}` stands for its path.
BAD_FILES = {
    "empty": (b"", ["{file}", "empty"]),
    "blank lines only": (b"\n\n", ["{file}", "empty"]),
    "header only": (b"a,b\n", ["{file}", "header"]),
    "text in a cell": (b"a,b\n1,2\n3,x\n", ["{file}", "line 3", "column 2", "'x'"]),
    "text far down": (b"1\n" * 100_000 + b"x\n", ["{file}", "line 100001", "'x'"]),
    "blank cell": (b"1,2\n3,\n", ["{file}", "line 2", "column 2", "--skip-na"]),
    "NA cell": (b"a,b\n1,NA\n", ["{file}", "line 2", "column 2", "--skip-na"]),
    "ragged": (b"1,2,3\n4,5\n", ["{file}", "line 2", "2", "3"]),
    "NUL bytes": (b"1\n\x002\n", ["{file}"]),
    "Latin-1": ("1\nµ\n".encode("latin-1"), ["{file}", "line 2", "UTF-8"]),
    "UTF-16": ("1\n2\n".encode("utf-16"), ["{file}", "UTF-16"]),
    "a megabyte of a number": (b"1\n" + MEGABYTE + b"\n", ["{file}", "line 2"]),
    "1e400": (b"1\n1e400\n", ["{file}", "line 2", "1e400", "inf", "--dtype longdouble"]),
    "decimal comma": (b"1;2,5\n3;4\n", ["{file}", "--decimal ,"]),
    "zip": (b"PK\x03\x04" + bytes(100), ["{file}"]),
    "gzip": (b"\x1f\x8b\x08" + bytes(100), ["{file}"]),
    "pickle": (b"\x80\x04\x95" + bytes(100), ["{file}", "pickle"]),
    "parquet": (b"PAR1" + bytes(100), ["{file}", "Parquet"]),
}


def npy(array, **options) -> bytes:
    from io import BytesIO

    buffer = BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def huge_npy() -> bytes:
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    padded = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode()


BAD_NPY = {
    "truncated": (npy(np.arange(100.0))[:-8], ["{file}", "truncated"]),
    "truncated header": (npy(np.arange(100.0))[:20], ["{file}"]),
    "claims 10^12 elements": (huge_npy(), ["{file}", "truncated"]),
    "objects": (npy(np.array([1, "a"], dtype=object), allow_pickle=True), ["{file}", "object"]),
    "structured": (npy(np.zeros(3, "f8,i4")), ["{file}"]),
    "complex": (npy(np.zeros(3, complex)), ["{file}", "complex"]),
    "strings": (npy(np.array(["1", "2"])), ["{file}"]),
    "nothing in it": (npy(np.zeros(0)), ["{file}", "empty"]),
}


def assert_one_line(run, words, **places):
    assert run.code == 2
    assert run.out == ""
    assert run.err.startswith("stablelse: error: ")
    assert run.err.count("\n") == 1
    assert len(run.err) < 500
    for word in words:
        assert word.format(**places) in run.err


@pytest.mark.parametrize("name", BAD_FILES | BAD_NPY)
@pytest.mark.parametrize("options", [["--quiet"], []], ids=["quiet", "table"])
def test_bad_file(name, options, run, tmp_path):
    content, words = (BAD_FILES | BAD_NPY)[name]
    file = tmp_path / "x.data"
    file.write_bytes(content)
    assert_one_line(run("lse", "--file", file, *options), words, file=file)


@pytest.mark.parametrize("name", BAD_FILES | BAD_NPY)
def test_bad_pipe(name, run):
    content, words = (BAD_FILES | BAD_NPY)[name]
    assert_one_line(run("softmax", "-q", stdin=content), words, file="standard input")


def test_no_permission(run, tmp_path, monkeypatch):
    file = tmp_path / "x.csv"
    file.write_text("1\n")
    file.chmod(0)
    if os.access(file, os.R_OK):  # root may read anything
        real = open

        def refuse(path, *args, **options):
            if str(path) == str(file):
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, *args, **options)

        monkeypatch.setattr("builtins.open", refuse)
    assert_one_line(run("lse", "--file", file), ["{file}", "ermission denied"], file=file)


def process(args, environment, **options):
    return subprocess.run(
        [sys.executable, "-m", "stablelse", *map(str, args)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        **options,
    )


def test_closed_standard_input(environment):
    code = "import os, sys; os.close(0); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    done = subprocess.run(
        [sys.executable, "-c", code, "-m", "stablelse", "lse"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "standard input" in done.stderr


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="needs a file that fails to read")
def test_unreadable_pipe(environment):
    with open("/proc/self/mem", "rb") as broken:
        done = process(["lse"], environment, stdin=broken)
    assert done.returncode == 2
    assert done.stderr == "stablelse: error: cannot read standard input: Input/output error\n"


def test_a_disk_that_fills_leaves_the_old_file(environment, tmp_path):
    """The file system's limit is hit half-way: the file is as it was, and nothing else is there."""
    target = tmp_path / "out.json"
    target.write_text("precious")
    vectors = tmp_path / "x.csv"
    vectors.write_text("".join(f"{i},{i + 1}\n" for i in range(2000)))
    done = process(
        ["lse", "--file", vectors, "--json", "-o", target],
        environment,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert str(target) in done.stderr
    assert target.read_text() == "precious"
    assert sorted(tmp_path.iterdir()) == [target, vectors]


def test_bad_input_leaves_the_old_file(run, tmp_path):
    target = tmp_path / "out.txt"
    target.write_text("precious")
    vectors = tmp_path / "x.csv"
    vectors.write_text("1,2\n" * 10 + "1,x\n")
    assert run("lse", "--file", vectors, "-q", "-o", target).code == 2
    assert target.read_text() == "precious"
    assert sorted(tmp_path.iterdir()) == [target, vectors]


def test_full_standard_output(environment):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "stablelse", "lse", "1", "2"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            check=False,
        )
    assert done.returncode == 2
    assert (
        done.stderr == "stablelse: error: cannot write standard output: No space left on device\n"
    )


def test_out_of_memory_is_one_line(run, monkeypatch):
    def gathered(*_):
        raise MemoryError

    monkeypatch.setattr("stablelse.cli.evaluate.compare_rows", gathered)
    done = run("softmax", "1", "2")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "stablelse: error: out of memory; lse as it is, and softmax with --quiet or --output "
        "FILE.npy, take any number of numbers\n"
    )
