"""The screens: no taller than 23 lines, no wider than the terminal, and what they say."""

import re

import pytest

from stablelse.analysis import demo
from stablelse.cli import evaluate

#: Numbers that are hard to show.
VECTORS = {
    "too large": "1000 1001 1002",
    "too small": "-1000 -1001",
    "harmless": "1 2 3",
    "zero": "0",
    "log-probabilities": "-0.1 -2.3 -3.5",
    "next to one": "-0.775 -0.6175",
    "lost in the sum": "0 -40",
    "nan": "nan 1",
    "infinite": "inf inf",
    "nothing": "-inf -inf",
    "masked": "-inf 1 -inf 800",
    "extreme": "1.7e308 -1.7e308 5e-324 -0.0 745 -745",
    "the same": "5 5 5 5 5 5",
    "long": "0.12345678901234567 -10.12345678901234567 100.12345678901234567 "
    "-3.12345678901234567 5.12345678901234567 9.12345678901234567",
    "long and too large": "-1234.5678901234567 1234.5678901234567 710.12345678901234 "
    "-745.12345678901234 0.00012345678901234 1e-300",
    "close": "1e-5 -1e-5 1e-10 -1e-10 3e-7 -3e-7",
}
COMMANDS = [("lse",), ("softmax",), ("log-softmax",), ("nll", "--label", "0")]
GRADIENT = ("nll", "--grad", "--label", "0")
WEIGHTED = ("lse", "--weights", "-")
WEIGHTS = ["1", "-1e300", "0.12345678901234567", "1e-320", "0", "-1"]
FORMATS = ["float64", "float32", "float16"]


@pytest.mark.parametrize("command", [*COMMANDS, GRADIENT, WEIGHTED], ids=" ".join)
@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("x", VECTORS.values(), ids=VECTORS)
def test_up_to_six_numbers_fit_a_screen(x, dtype, command, run):
    encoding = "utf-8" if dtype == "float32" else "ascii"  # whose symbols are longer
    weights = " ".join(WEIGHTS[: len(x.split())]).encode() * (command is WEIGHTED)
    args = [*command, *x.split(), "--dtype", dtype]
    done = run(*args, columns=80, encoding=encoding, stdin=weights)
    assert done.code == 0
    lines = (done.out.rstrip("\n") + "\n" + done.err).rstrip("\n").split("\n")
    assert len(lines) <= 23
    assert max(map(len, lines)) <= 80


SCANNED = b"a,b,c\n1,2,3\n12,3,-30\n-20,-19,-18.5\n15,0,0\n0,-0.7,-9\n7e4,1,2\n"
LONG = "".join(f"{i / 7 - 900:.17g}\n" for i in range(30_000)).encode()

#: Other commands, and their input.
OTHERS = [
    *((f"demo --scene {name}", b"") for name in demo.SCENES),
    *((f"sweep 1000 1001 1002 --function {f}", b"") for f in ("lse", "softmax", "log-softmax")),
    *((f"scan --fail-on=none --function {f}", SCANNED) for f in ("lse", "softmax", "log-softmax")),
    ("peers --peer logaddexp", b""),
    *((command, LONG[:size]) for (command,) in COMMANDS[:3] for size in (99, 250, 20_000, None)),
]


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize(("command", "stdin"), OTHERS, ids=lambda value: str(value)[:50])
def test_one_screen(command, stdin, columns, run):
    pytest.importorskip("ml_dtypes")
    done = run(command, stdin=stdin, columns=columns)
    assert (done.code, done.err) == (0, "")
    lines = done.out.rstrip("\n").split("\n")
    assert len(lines) <= 23
    assert max(map(len, lines)) <= columns


def test_all_has_a_row_for_every_element(run):
    x = "".join(f"{i}\n" for i in range(20_000)).encode()
    assert run("lse", "--all", stdin=x).out.count("\n") > 20_000


@pytest.mark.parametrize(("command", "hint"), [("lse", "leave it out"), ("softmax", "use --form")])
def test_all_never_means_some(command, hint, monkeypatch, run):
    monkeypatch.setattr(evaluate, "SHOWN", 5)
    done = run(command, "--all", stdin=b"1\n" * 60)
    assert (done.code, done.out) == (2, "")
    assert f"--all lists at most 5 elements of a vector: {hint}" in done.err


def test_all_says_how_much_it_shows(run):
    assert f"up to {evaluate.SHOWN:,} numbers" in re.sub(r"\s+", " ", run("lse", "--help").out)


def test_steps_and_errors_name_their_vectors(run):
    x = "".join(f"{800 - i},1,0\n" for i in range(30)).encode()
    for command in ("lse", "nll --label-column 3"):
        titles = re.findall(r"^ (.*): naive in", run(f"{command} --steps", stdin=x).out, re.M)
        assert titles == [f"standard input, row {i}" for i in range(1, 31)]
    out = run("lse --errors", stdin=x).out
    rows = re.findall(r"^ (row \d+)  ", out, re.M)
    assert re.findall(r"^ (row \d+): condition", out, re.M) == rows
    assert len(rows) == 6


@pytest.mark.parametrize("rows", [3, 1001])
@pytest.mark.parametrize("command", [*COMMANDS[:3], ("nll", "--label-column", "3")])
def test_many_rows_fit_a_screen(rows, command, run):
    x = "".join(f"{i},{-i},{i % 2}\n" for i in range(rows)).encode()
    done = run(*command, stdin=x, columns=80)
    assert (done.code, done.err) == (0, "")
    assert done.out.rstrip("\n").count("\n") < 23
    assert f"{rows:,} vectors" in done.out
    naive, shifted = (done.out.index(name) for name in ("naive", "shifted"))
    assert "\n" not in done.out[naive:shifted]
    every = run(*command, "--all", stdin=x, columns=80).out
    assert len(re.findall(r"^ row ", every, re.MULTILINE)) == rows


def test_a_long_file_name_leaves_room_for_the_results(run, tmp_path):
    for name in (f"{'a' * 90}.csv", "b.csv"):
        (tmp_path / name).write_text("1000,1\n1,2\n")
    lines = run("lse --file", tmp_path, columns=80).out.splitlines()
    rows = [line for line in lines if re.search("row [12]  +2 ", line)]
    assert len(rows) == 4
    assert max(map(len, rows)) <= 80
    assert all("csv" in row and "✓" in row for row in rows)


#: Arguments, and the screen's words.
SAYINGS = {
    "1000 1001 1002": ["e^1000 is about 2e434", "all 3 elements are above", "right to all 16"],
    "-1000 -1001": ["e^(-1000) is about 5e-435, too small", "log 0 is -∞", "both elements"],
    "-0.775 -0.6175": ["-5.2378479500[64811]e-6 ≈", "first 11 digits", "-5.237847950087536e-6"],
    "0 -40": ["[0] ✗", "no digit is right", "4.248354255291589e-18"],
    "12 1 --dtype float16": ["x must stay below 11.085; x_1 is above"],
    "70000 --dtype float16": ["70000 does not fit float16 (largest 65504)", "✗"],
    "1 --shift 7e4 --dtype float16": ["the shift 7e4 does not fit float16", "∞ overflow"],
    "inf inf": ["naive ∞ ✓", "∞ − ∞ is NaN"],
    "1000 nan --errors": ["✗ naive x has a NaN, so the result is NaN too.", "naive NaN NaN"],
    "inf 1 --dtype float8_e4m3fn": ["✗ naive x has a NaN in float8_e4m3fn, which has no infinity"],
    "-0.69 -0.69 --dtype bfloat16": ["naive no digit is right. Σ is rounded to 1, and log Σ is 0"],
    "1 2 --shift max --shift min --shift mean": ["shifted, mean 2.3132616875182226 ✓ e^x"],
}


def test_a_nan_is_not_excused_where_the_exact_result_is_infinite(run):
    shifted = re.search(
        r"^ !! shifted.*$", run("lse", "-inf", "-inf", "--format", "plain").out, re.M
    )
    assert shifted
    assert "is NaN" in shifted[0]
    assert "too" not in shifted[0]


@pytest.mark.parametrize("arguments", SAYINGS)
def test_says_why(arguments, run):
    out = re.sub(r"\s+", " ", run("lse", *arguments.split(), columns=80).out)
    for saying in SAYINGS[arguments]:
        assert saying in out


#: Commands, and their sentence.
REASONS = {
    "log-softmax 700 -745.1 0": "5e-324/1.014232e304 is too small for float64 (smallest 4.94e-324)",
    "log-softmax 0 -40": "no digit is right; 1 of 2 entries is right to all 16 digits",
    "log-softmax 0 -3.7 -7 -5 -5 -5 --dtype float8_e4m3fn": "5 of 6 entries are right to their on",
    "softmax -700 -700 -700 -700 -700 -700 -700 -700 -700 --method division-free --dtype bfloat16":
        "0.0183 instead of 0.1113: no digit is right, but the error is smaller than the largest",
    "lse -1 -0.46 --dtype float8_e5m2": "✗ shifted no digit is right. -0.44 + 0.4 = -0.06 cancels",
    "lse --weights - 11.63 -10.45 --dtype float16": "e^11.63 is about 1e5, too big for float16",
    "lse --weights - 0 0 --dtype float8_e4m3fn": "✗ naive the exact result is NaN too.",
    "nll 40 0 3 --label 0 --grad": "only its size is about right; 2 of 3 entries are right to 15 d",
}  # fmt: skip


@pytest.mark.parametrize("command", REASONS)
def test_the_reason_is_the_one_that_mattered(command, run):
    weights = b"0 1e-300" if "float16" in command else b"0 0"
    assert REASONS[command] in re.sub(r"\s+", " ", run(command, stdin=weights).out)


def test_a_long_table_names_the_row_and_the_column_of_its_first_trouble(run):
    out = run("lse", "--by", "all", stdin=b"1,2\n" * 20_000 + b"3,800\n").out
    assert "standard input, row 20001, column 2 is above" in re.sub(r"\s+", " ", out)


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


@pytest.mark.parametrize("args", ["sweep 1 2 --intervals", "demo --scene near-zero"])
def test_wrapped_lines_are_indented(args, run):
    out = run(args, columns=40).out
    assert not re.search(r"^(?!log|exact|Σ)([^\W\d]|-?\d)", out, re.MULTILINE)


@pytest.mark.parametrize("dtype", [*FORMATS, "bfloat16", "longdouble"])
@pytest.mark.parametrize("columns", [30, 35, 40, 60])
def test_the_ends_of_the_window_stay_apart(dtype, columns, run):
    out = run("lse 1 2 --dtype", dtype, columns=columns).out
    assert re.search(
        r"^ +(e\^x is )?0 +-[\d.]+ +(e\^x .*)?[\d.]+ +(e\^x is )?∞$", out, re.MULTILINE
    )


def test_plain_text_has_no_frames(run):
    out = run("softmax", "1000", "1", "--format", "plain").out
    assert out.isascii()
    assert not re.search(r"--|\||=====|\x1b", out)


@pytest.mark.parametrize("command", [*COMMANDS[1:3], GRADIENT], ids=" ".join)
@pytest.mark.parametrize("dtype", [*FORMATS, "bfloat16", "float8_e5m2"])
@pytest.mark.parametrize("x", ["0 -40", "0 -40 -50 3", "0 -20", "0 -3 -9", "1 2 3 4"])
def test_marks_and_sentences_agree(x, dtype, command, run):
    plain = [*command, *x.split(), "--dtype", dtype, "--format", "plain"]
    for line in run(*plain).out.splitlines():
        fair = line.startswith(" ~~")
        if fair and ("no digit is right" in line or "only its size" in line):
            others = r"(is|are) right to .* digits?|than the largest entry"
            assert re.search(others, line)
        assert "right to 0" not in line
        assert fair or line.startswith(" !!") or not re.search("no digit is right", line)


@pytest.mark.parametrize(
    "command",
    ["lse --file", "lse --row 1 --file", "softmax --row 1 -m exact --file", "lse --steps --file",
     "lse --errors --file", "nll --label-column 1 --file", "scan --fail-on none", "peers --file",
     "sweep --row 1 --file", "prove lse --row 1 --file"],
)  # fmt: skip
def test_no_name_of_a_file_is_cut(command, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "logits-" * 12 + ".csv"
    (tmp_path / name).write_text("1,2,3\n0,1,1000\n")
    done = run(*command.split(), name, columns=60)
    assert (done.code, done.err) == (0, "")
    assert name in done.out
