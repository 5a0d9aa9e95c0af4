"""What all commands have in common: colour, digits, output, refusals."""

import re

import pytest

ROWS = b"a,b,c\n1,2,3\n12,3,-30\n-20,-19,-18.5\n15,0,0\n0,-0.7,-9\n"

SHORT = {
    "lse": ["lse", "1000", "2"],
    "softmax": ["softmax", "1000", "2", "--errors"],
    "nll": ["nll", "1000", "2", "--label", "1", "--steps"],
    "prove": ["prove", "lse", "1000", "1"],
    "sweep": ["sweep", "0", "1", "--dtype", "float64"],
    "peers": ["peers", "1", "1000", "--peer", "naive", "--no-time"],
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
    *(
        ["peers", *_NUMBERS, "--function", f, "--peer", "logaddexp", "--no-time"]
        for f in ("lse", "softmax")
    ),
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


_NO_RANGES = ("5", ":5", "5:", "a:b", "1:2:3", "", "1_0:20", "0x1:2")

#: The arguments, and a part of the error line.
REFUSED = {
    "prove": [
        ("", "lse|softmax"),
        ("log-softmax 1", "'log-softmax'", "softmax"),
        ("1 2", "'1'", "lse"),
        ("lse abc", "'abc'"),
        ("lse 1 inf", "x_2 is inf"),
        ("lse nan", "x_1 is nan"),
        ("lse 1e300", "too long to show"),
        ("lse 70000 --dtype float16", "x_1 is 70000.0", "which is inf in float16"),
        ("lse 1 --shift inf", "the shift a is inf"),
        ("lse 1 --shift median", "'median'", "mean"),
        ("lse 1 --dtype haf", "'haf'", "float16"),
        ("lse 1 --format xml", "'xml'", "latex"),
        ("lse --shift 0", "--shift", "goes with numbers"),
        ("lse --dtype float16", "--dtype", "goes with numbers"),
        ("lse --column 2", "--column is for files"),
        ("lse 1 --row 2", "--row is for files"),
        ("lse --file no/such.csv", "no/such.csv"),
        ("lse --file -", "has more than one vector", "--row"),
        ("lse 1 --quiet", "--quiet"),
        ("lse 1 -o no/such/out.txt", "no/such/out.txt"),
    ],
    "sweep": [
        *(([*"0", "--offset", text], f"the offset '{text}' is not a range") for text in _NO_RANGES),
        ("0 --scale 1", "the scale '1' is not a range: give two numbers, as in 1:1000"),
        ("0 --offset 2:1", "the offset 2:1 is empty: the first end must be smaller"),
        ("0 --offset 1:1", "the offset 1:1 is empty"),
        ("0 --offset nan:1", "the offset nan:1 must have two finite ends"),
        ("0 --offset 0:1e999", "the offset 0:inf must have two finite ends"),
        ("0 --scale 0:1", "the scale 0:1 must be positive: start at 1e-3, for example"),
        ("0 --scale -2:1", "the scale -2:1 must be positive"),
        ("0 --scale 1:2 --offset 1:2", "x is moved or stretched: leave out"),
        ("0 --points 1", "points must be 2 (the ends alone) to 1,000,000, not 1"),
        (f"0 --points 1{'0' * 30}", "to 1,000,000, not 1,000,000,000"),
        ("0 --dtype float16 --offset 1e5:1e6", "float16 has no number in the offset"),
        ("0 --dtype float17", "unknown format 'float17'"),
        ("0 --method none", "unknown method 'none'"),
        ("0 --method division-free", "logsumexp has no division-free method"),
        ("0 --shift most", "unknown shift 'most'"),
        ("0 no", "arguments, number 2: 'no' is not a number"),
        ("0 --row 1", "--row is for files and pipes"),
        ("0 --function lsd", "'--function'"),
        ("", "standard input has more than one vector: choose the one to show"),
    ],
    "peers": [
        ("1 --peer tensorflow", "'tensorflow'", "scipy", "jax"),
        ("--peer tensorflow", "'tensorflow'"),
        ("1 --dtype haf", "'haf'", "float16"),
        ("1 abc", "'abc'"),
        ("1 --function sum", "'sum'", "log-softmax"),
        ("--dtype float16", "--dtype", "gallery"),
        ("--function softmax", "--function", "gallery"),
        ("1 --all", "--all", "gallery"),
        ("--column 2", "--column is for files"),
        ("1 --row 2", "--row is for files"),
        ("--file no/such.csv", "no/such.csv"),
        ("1 --quiet", "--quiet"),
    ],
    "scan": [
        ("--fail-on bad", "'bad'", "overflow", "ulp>N", "none"),
        ("--fail-on best:nan", "'best:nan'", "naive, shifted"),
        ("--fail-on ulp>4 --max-ulp 5", "one number of ulps", "4 and 5"),
        ("--fail-on ulp>4,naive:ulp>6", "4 and 6", "choose one"),
        ("--max-ulp 0", "0.5"),
        ("--max-ulp nan", "--max-ulp", "nan"),
        ("--max-ulp inf", "--max-ulp", "inf"),
        ("--dtype haf", "'haf'", "float16"),
        ("--function exp", "'exp'", "softmax"),
        ("no/such.csv", "no/such.csv"),
        ("--quiet --save x.svg", "--quiet", "--save"),
        ("--quiet --json", "--quiet", "--json"),
    ],
    "demo": [
        ("--scene overflw", "unknown scene 'overflw' (did you mean overflow?): choose from why,"),
        ("--list --json", "--list prints only names"),
        ("--list --save x.svg", "--list prints only names"),
    ],
}


@pytest.mark.parametrize("command", REFUSED)
def test_one_line_of_complaint(command, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for args, *words in REFUSED[command]:
        given = args.split() if isinstance(args, str) else args
        done = run(command, *given, stdin=ROWS)
        assert (done.code, done.out) == (2, ""), args
        assert re.fullmatch("stablelse: error: .*\n", done.err), args
        assert all(word in done.err for word in words), done.err
    assert list(tmp_path.iterdir()) == []
