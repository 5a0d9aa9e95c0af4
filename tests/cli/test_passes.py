"""Files that change while they are read more than once: an error, never a mixture."""

import os

import numpy as np
import pytest

from stablelse.cli import input as cli_source

FILES, LENGTH = 4, 5_000

COMMANDS = {
    "softmax": ["softmax", "-q"],
    "log-softmax exact": ["log-softmax", "-q", "--method", "exact"],
    "file": ["softmax", "--output", "p.npy"],
    "table": ["softmax"],
    "lse exact": ["lse", "-q", "--dtype", "float32", "--method", "exact"],
}


def write(path, x):
    if path.suffix == ".npy":
        np.save(path, x)
    else:
        np.savetxt(path, x, fmt="%.3f")


def numbers(rng):
    """Return numbers that take equally many bytes, whatever they are."""
    return rng.integers(1000, 9999, LENGTH) / 1000.0


def overwritten(path, rng):
    """Other numbers, but the same size and times of the file."""
    status = path.stat()
    write(path, numbers(rng))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def touched(path, rng):
    write(path, numbers(rng))


def longer(path, rng):
    write(path, np.concatenate([numbers(rng), numbers(rng)]))


def shorter(path, rng):
    write(path, numbers(rng)[:-1])


def replaced(path, rng):
    other = path.with_name(f".new{path.suffix}")
    write(other, numbers(rng))
    other.replace(path)


def removed(path, rng):
    path.unlink()


CHANGES = [overwritten, touched, longer, shorter, replaced, removed]


@pytest.mark.parametrize("suffix", [".npy", ".txt"])
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("seed", range(3))
def test_files_that_change(run, tmp_path, monkeypatch, command, suffix, seed):
    rng = np.random.default_rng([seed, *map(ord, command + suffix)])
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "x"
    folder.mkdir()
    paths = [folder / f"{index}{suffix}" for index in range(FILES)]
    for path in paths:
        write(path, numbers(rng))
    arguments = [*COMMANDS[command], "--by", "all", "--file", "x"]

    def outcome():
        done = run(*arguments)
        kept = (tmp_path / "p.npy").read_bytes() if (tmp_path / "p.npy").exists() else None
        (tmp_path / "p.npy").unlink(missing_ok=True)
        return done, kept

    before = outcome()
    assert (before[0].code, before[0].err) == (0, "")

    change, moment = CHANGES[rng.integers(len(CHANGES))], int(rng.integers(3 * FILES))
    changed, count = paths[rng.integers(FILES)], 0
    honest = cli_source.open_numbers

    def open_numbers(*args, **options):
        """Change a file before a block is read, in the first pass or in a later one."""
        blocks, by = honest(*args, **options)

        def counted():
            nonlocal count
            while True:
                if count == moment:
                    change(changed, rng)
                count += 1
                try:
                    block = next(blocks)
                except StopIteration:
                    return
                yield block

        return counted(), by

    monkeypatch.setattr(cli_source, "open_numbers", open_numbers)
    during = outcome()
    monkeypatch.setattr(cli_source, "open_numbers", honest)
    done, kept = during
    if done.code == 0:  # the change came before or after the file was read
        assert during in (before, outcome())
        return
    assert done.code == 2
    assert done.err.startswith("stablelse: error: ")
    assert done.err.count("\n") == 1
    assert kept is None
    if done.out:  # output before the change is right
        assert before[0].out.startswith(done.out) or outcome()[0].out.startswith(done.out)
    assert not [path.name for path in tmp_path.iterdir() if path.name != "x"]
