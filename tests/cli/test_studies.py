"""What all commands have in common: colour, digits, output."""

import re

import pytest

ROWS = b"a,b,c\n1,2,3\n12,3,-30\n-20,-19,-18.5\n15,0,0\n0,-0.7,-9\n"

SHORT = {
    "lse": ["lse", "1000", "2"],
    "softmax": ["softmax", "1000", "2", "--errors"],
    "nll": ["nll", "1000", "2", "--label", "1", "--steps"],
    "prove": ["prove", "lse", "1000", "1"],
    "sweep": ["sweep", "0", "1", "--dtype", "float64"],
    "peers": ["peers", "1", "1000", "--peer", "naive"],
    "scan": ["scan", "--dtype", "float16"],
    "demo": ["demo", "--scene", "any-shift"],
}


@pytest.mark.parametrize("name", SHORT)
def test_output_and_colour_change_nothing_else(name, run, tmp_path):
    args, target = SHORT[name], tmp_path / "out.txt"
    shown = run(*args, stdin=ROWS)
    assert (shown.code, shown.err) == (0, "")
    done = run(*args, "--output", target, stdin=ROWS)
    assert (done.code, done.out, target.read_text("utf-8")) == (0, "", shown.out)
    assert run(*args, stdin=ROWS, encoding="ascii").out.isascii()
    coloured = run(*args, stdin=ROWS, FORCE_COLOR="1", TERM="xterm").out
    colourless = run(*args, stdin=ROWS, FORCE_COLOR="1", TERM="xterm", NO_COLOR="1").out
    assert re.search(r"\x1b\[[0-9;]*3\dm", coloured)
    assert not re.search(r"\x1b\[[0-9;]*3\dm", colourless)
    for text in (coloured, colourless):
        assert re.sub(r"\x1b\[[0-9;]*m", "", text) == shown.out


_NUMBERS = ["0.1", "-2.2250738585072014e-308", "-720.3", "12.345678901234567"]
LONG = [
    *([f, *_NUMBERS, "1e300", "--digits", "full"] for f in ("lse", "softmax", "log-softmax")),
    *(["prove", f, *_NUMBERS, "1000", "--shift", "-3.25"] for f in ("lse", "softmax")),
    *(["peers", *_NUMBERS, "--function", f, "--peer", "logaddexp"] for f in ("lse", "softmax")),
    ["sweep", *_NUMBERS, "--dtype", "float64", "--intervals"],
]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("args", LONG, ids=" ".join)
def test_no_digit_is_cut(args, encoding, run):
    wide = run(*args, columns=1000, encoding=encoding).out.split()
    for columns in (40, 80, 120):
        out = run(*args, columns=columns, encoding=encoding).out
        assert all(word in out for word in wide if any(letter.isdigit() for letter in word))
        if columns == 120:
            assert max(map(len, out.splitlines())) <= columns


@pytest.mark.parametrize("name", ["sweep", "peers", "prove", "limits"])
def test_a_narrow_screen_keeps_its_margin(name, run):
    out = run(*SHORT.get(name, [name]), columns=40).out
    assert all(line.startswith(" ") for line in out.splitlines() if line)
