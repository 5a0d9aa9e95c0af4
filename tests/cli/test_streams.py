"""Files larger than memory: one pass, constant memory, nothing left behind when interrupted."""

import json
import os
import select
import subprocess
import sys

import mpmath
import numpy as np
import pytest

import stablelse

LONG = "".join(f"{x / 10}\n" for x in range(-9000, 9000)).encode()
VALUES = np.array(LONG.split(), np.float64)


def test_the_place_is_that_of_the_file_it_is_in(run, tmp_path):
    for number, top in enumerate((1, 2, 800)):
        x = np.zeros((5000, 2))
        x[1234, 1] = top
        np.save(tmp_path / f"part-{number}.npy", x)
    done = run("lse", "--file", tmp_path, "--by", "all", "--json")
    (stream,) = json.loads(done.out)["vectors"]
    (found,) = stream["results"][0]["findings"]
    part = str(tmp_path / "part-2.npy")
    assert found["place"] == {"source": part, "row": 1235, "column": "2"}
    assert stream["source"] == f"{tmp_path / 'part-0.npy'} and 2 more"
    assert stream["n"] == 30_000


def test_methods_that_are_asked_for(run):
    done = run("lse", "-q", "--method", "naive", "--method", "shifted", stdin=LONG)
    naive, shifted = done.out.split()
    assert (naive, float(shifted)) == ("inf", float(stablelse.logsumexp(VALUES)))
    done = run("lse", "--method", "division-free", stdin=LONG)
    assert (done.code, done.out) == (2, "")
    assert "only softmax has a division-free method" in done.err


def test_steps_of_a_long_vector_are_still_told(run):
    done = run("lse", "--steps", "--method", "naive", "--format", "csv", stdin=LONG[:80_000])
    assert done.out.count("\n") > 3 * LONG[:80_000].count(b"\n") > 30_000


def test_many_rows_are_counted_and_some_of_them_shown(run, golden):
    rows = "".join(f"{x} 1\n" for x in range(3000)).encode()
    done = run("lse", stdin=rows)
    assert (done.code, done.err) == (0, "")
    golden("stream-rows.txt", done.out)
    assert run("lse", "--format", "csv", stdin=rows).out.count("\n") == 1 + 3 * 3000


#: A command, the size of its file, and the memory it may take, in MiB.
MEMORY = [
    ("lse", 128, 110),
    ("lse --errors", 128, 110),
    ("lse -q", 128, 110),
    ("softmax --output p.npy", 128, 110),
    ("softmax", 16, 110),
    ("softmax --json --method exact", 8, 170),
    ("softmax --format csv --method exact", 8, 170),
]


@pytest.mark.parametrize(
    ("command", "size", "most", "shape"),
    [
        *((*run, shape) for run in MEMORY for shape in ((-1,), (2, -1))),
        ("scan -q --fail-on none", 192, 120, (-1, 12)),
    ],
)
def test_memory_is_constant(command, size, most, shape, measured, here):
    x = np.broadcast_to(0.0, (size << 17,)).reshape(shape)
    x = np.lib.format.open_memmap("x.npy", "w+", np.float64, x.shape)  # of zeros
    del x
    named = ["x.npy"] if "scan" in command else ["--file", "x.npy"]
    code, _, err, peak = measured(*command.split(), *named)
    assert (code, err) == (0, "")
    assert peak < most << 20
    if "p.npy" in command:
        values = np.load("p.npy", mmap_mode="r")
        assert (values.flat[[0, -1]] == 1 / values.shape[-1]).all()


IMPATIENT = """
import sys
from stablelse.cli import progress
from stablelse.cli.main import main
progress.PATIENCE = 0.05
main(sys.argv[1:])
"""


def read_screen(screen):
    assert select.select([screen], [], [], 20)[0], "nothing more is shown"
    try:
        return os.read(screen, 4096).decode()
    except OSError:  # the process ended
        return ""


def watched(args, environment, pieces, awaited):
    """Return a run's output, and what its standard error, a terminal, showed meanwhile.

    Pieces of the input come one by one, each once the awaited text was shown.
    """
    pty = pytest.importorskip("pty")
    screen, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", IMPATIENT, *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=terminal,
        env={**environment, "TERM": "xterm", "COLUMNS": "80"},
    ) as process:
        os.close(terminal)
        shown = ""
        for piece, text in zip(pieces, awaited, strict=True):
            process.stdin.write(piece)
            process.stdin.flush()
            while text not in shown:
                more = read_screen(screen)
                assert more, f"{text!r} is not in {shown!r}"
                shown += more
        process.stdin.close()
        while more := read_screen(screen):
            shown += more
        out = process.stdout.read()
    os.close(screen)
    return process.returncode, out.decode(), shown


def test_progress_is_shown_before_the_first_numbers_have_come(environment):
    code, out, shown = watched(["lse"], environment, [b"", b"0 0\n"], ["0 bytes", ""])
    assert code == 0
    assert "log-sum-exp of 2 numbers" in out
    assert "interrupted" not in shown


def test_no_progress_where_nobody_watches(run, monkeypatch):
    monkeypatch.setattr("stablelse.cli.progress.PATIENCE", 0)
    assert run("lse", "--quiet", stdin=b"0\n0\n").err == ""


def log_probabilities(n, seed):
    """Return numbers whose exponentials sum to 1 up to rounding errors."""
    return stablelse.log_softmax(np.random.default_rng(seed).normal(size=n))


def test_next_to_zero_a_pipe_has_its_digits(run):
    x = np.full(20_000, 1e-3 - np.log(20_000))
    text = "".join(f"{entry!r}\n" for entry in x.tolist()).encode()
    assert np.float64(run("lse", "-q", stdin=text).out) == stablelse.logsumexp(x)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_next_to_zero_the_exact_value_of_a_file_is_proved_by_reading_it_again(run, tmp_path, dtype):
    x = log_probabilities(20_000, 3)
    np.save(tmp_path / "x.npy", x)
    done = run("lse", "--quiet", "--dtype", dtype, "--file", tmp_path / "x.npy")
    right = stablelse.logsumexp(x.astype(dtype))
    assert (done.code, done.err) == (0, "")
    assert np.dtype(dtype).type(done.out) == right
    told = run("lse", "--dtype", dtype, "--file", tmp_path / "x.npy").out
    assert "known to within" not in told


def next_to_a_tie():
    """Numbers whose log-sum-exp is too close to 1 + 2^-53 for any sum in words."""
    with mpmath.workprec(600):
        missing, x = mpmath.expm1(mpmath.mpf(2) ** -53), [1.0]
        for _ in range(8):
            x.append(np.nextafter(float(1 + mpmath.log(missing)), -np.inf))
            missing -= mpmath.exp(mpmath.mpf(float(x[-1])) - 1)
    return np.array(x + [-1e5] * 20_000)


def test_each_column_is_proved(run, tmp_path):
    columns = np.stack([log_probabilities(12_000, seed) for seed in (4, 5)])
    np.save(tmp_path / "x.npy", columns.T)
    done = run("lse", "-q", "--by", "columns", "--file", tmp_path / "x.npy")
    assert (done.code, done.err) == (0, "")
    assert np.array_equal(np.array(done.out.split(), float), stablelse.logsumexp(columns, 1))


def test_what_a_pipe_leaves_in_doubt_is_told(run, tmp_path):
    x = next_to_a_tie()
    np.save(tmp_path / "x.npy", x)
    done = run("lse", "-q", stdin=(tmp_path / "x.npy").read_bytes())
    assert done.code == 0
    assert abs(float(done.out) - stablelse.logsumexp(x)) <= 2.0**-52
    assert done.notes[0].startswith("the value could not be proved")
    assert (len(done.notes), done.err) == (1, "")
