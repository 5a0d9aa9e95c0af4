"""Files that change while they are read more than once: an error, never a mixture."""

import os

import numpy as np
import pytest

from stablelse.cli import input as cli_input

FILES, LENGTH = 4, 5_000

COMMANDS = {
    "softmax": "softmax -q",
    "log-softmax exact": "log-softmax -q --method exact",
    "file": "softmax --output p.npy",
    "table": "softmax",
    "lse exact": "lse -q --dtype float32 --method exact",
}


def write(path, rng, length=LENGTH):
    """Write numbers that take equally many bytes, whatever they are."""
    x = rng.integers(1000, 9999, length) / 1000.0
    np.save(path, x) if path.suffix == ".npy" else np.savetxt(path, x, fmt="%.3f")


def overwritten(path, rng):
    """Other numbers, but the same size and times of the file."""
    status = path.stat()
    write(path, rng)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replaced(path, rng):
    write(path.with_name(f".new{path.suffix}"), rng)
    path.with_name(f".new{path.suffix}").replace(path)


CHANGES = [
    overwritten,
    write,
    lambda path, rng: write(path, rng, 2 * LENGTH),
    lambda path, rng: write(path, rng, LENGTH - 1),
    replaced,
    lambda path, _: path.unlink(),
]


@pytest.mark.parametrize("suffix", [".npy", ".txt"])
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("seed", range(3))
def test_files_that_change(run, here, monkeypatch, command, suffix, seed):
    rng = np.random.default_rng([seed, *map(ord, command + suffix)])
    (here / "x").mkdir()
    paths = [here / "x" / f"{index}{suffix}" for index in range(FILES)]
    for path in paths:
        write(path, rng)
    target = here / "p.npy"

    def outcome():
        done = run(f"{COMMANDS[command]} --by all --file x")
        kept = target.read_bytes() if target.exists() else None
        target.unlink(missing_ok=True)
        return done, kept

    before = outcome()
    assert (before[0].code, before[0].err) == (0, "")
    change, moment = CHANGES[rng.integers(len(CHANGES))], int(rng.integers(3 * FILES))
    changed, count, honest = paths[rng.integers(FILES)], 0, cli_input.open_numbers

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

    with monkeypatch.context() as patch:
        patch.setattr(cli_input, "open_numbers", open_numbers)
        during = done, kept = outcome()
    if done.code == 0:  # the change came before or after the file was read
        assert during in (before, outcome())
        return
    assert (done.code, kept) == (2, None)
    assert done.err.startswith("stablelse: error: ")
    assert done.err.count("\n") == 1
    if done.out:  # output before the change is right
        assert before[0].out.startswith(done.out) or outcome()[0].out.startswith(done.out)
    assert [path.name for path in here.iterdir()] == ["x"]
