"""Random commands in random settings, most of which could be right, and how each must end."""

import json
import os
import random
import re
import tempfile
from contextlib import chdir
from pathlib import Path
from typing import Literal, NamedTuple, get_args, get_origin

import numpy as np
from command import run_here
from hypothesis import strategies as st

from stablelse.cli.app import COMMANDS
from stablelse.cli.options import parameters

FILES = {
    "x.csv": b"1,2,3\n4,5,1000\n", "one.txt": b"1 2 3\n", "names.csv": b"a,b,y\n1,2,0\n3,nan,1\n",
    "column.csv": b"1\n2\n-inf\n", "y.csv": b"0\n1\n", "empty.csv": b"", "bad.csv": b"1,2\n3,x\n",
    "x.json": b'{"a": [1, 2], "b": {"c": [3, 4]}}', "x.jsonl": b'{"x": [1, 2]}\n{"x": [3, 4]}\n',
    "$\\frac{$.csv": b"1,2\n3,4\n", "a\x1b[31m\n.csv": b"1,2\n3,4\n", "ragged.txt": b"1 2\n3\n",
    "mask.csv": b"1,0,1\n0,1,1\n", "zeros.bin": bytes(100), "binary.npy": b"\x93NUMPY\x01\0v\0{",
}  # fmt: skip

WORDS = [
    "", " ", "-", "--", "=", ",", ":", "0", "1", "2", "-1", "3.5", "1e400", "-1e-400", "nan", "inf",
    "-inf", "9" * 25, "9" * 5000, "x" * 9000, "\x1b[31m", "\n", "\u202e", "é", "\udcff", "٣", "²",
    "1:2", "2:1", "0:0", "-1e308:1e308", "nan:1", "1,2", "1,1,1", "a.b[].c", "%s", "{}", "$x$",
    "ulp>1", "ulp>1e9", "naive:overflow", "shifted:broken,none", "true", "full", "max", "[", "*",
    ".", "/", "/dev/null", "/dev/full", "no/such", "http://127.0.0.1:1/x.csv", "out.csv", "out.npy",
    "out.svg", "out.png", "out.html", "out.parquet", "float16", "bfloat16", "float8_e5m2", "half",
    "longdouble", "scipy", "naive", "exact", "division-free", "overflow", "a", "b", "c", "\\t", ";",
]  # fmt: skip

NUMBERS = [
    "0", "1", "2", "-1", "1000", "-1000", "0.1", "-inf", "inf", "nan", "1e308", "5e-324", "1e-400",
    "70000", "−5", "1_0", "0x1p3", "1e", "+3", "1.", ".5", "1e400", "٣", "9" * 400,
]  # fmt: skip

#: Values that options may have, by their names.
VALUES = {
    "logits": "x.csv names.csv x.npy", "labels": "y.csv column.csv", "label": "0 1 2 -1",
    "label_column": "1 2 3 y", "label_key": "a x", "column": "1 2 a b 9", "row": "1 2 1,2 3,1 99",
    "key": "a x b.c logits", "mask": "mask.csv x.csv one.txt", "weights": "mask.csv x.csv one.txt",
    "class_weights": "one.txt y.csv column.csv", "delimiter": ", ; | \\t", "axis": "0 1 2 -1 5",
    "ignore_index": "0 -100", "dtype": "float16 bfloat16 float32 float64 float8_e4m3fn longdouble",
    "method": "naive shifted division-free exact", "shift": "max min mean 0 -1000 inf nan 1e5000",
    "offset": "-5:5 0:1e308 -1000:1000 0:5e-324", "scale": "0.5:2 1e-300:1e300", "points": "2 5 50",
    "temperature": "2 0.5 1e300 1e-300", "label_smoothing": "0 0.1 1", "digits": "1 3 40 full",
    "peer": "naive scipy logaddexp torch", "max_ulp": "1 1e6", "scene": "overflow shift write",
    "output": "out.txt out.npy out.csv /dev/null out.parquet x.csv",
    "save": "out.svg out.html out.txt out.png out.pdf x.csv", "exercise": "1 2 9",
    "fail_on": "overflow naive:broken ulp>1 shifted:nan,digits_lost none", "scheduler": "tcp://x:1",
}  # fmt: skip

SETTINGS = {
    "STABLELSE_NUM_THREADS": ["abc", "0", "-3", "1", "2", "9" * 5000],
    "OMP_NUM_THREADS": ["abc", "0", "2,1", ""],
    "COLUMNS": ["abc", "0", "-1", "1", "20", "99999", "9" * 30, "²"],
    "LINES": ["abc", "0", "1", "²"],
    "TERM": ["garbage", "dumb", "", "xterm-256color"],
    "NO_COLOR": ["", "1"],
    "FORCE_COLOR": ["", "1", "garbage"],
    "COLORTERM": ["truecolor", "garbage"],
    "MPLBACKEND": ["garbage", "module://no.such"],
    "JUPYTER_COLUMNS": ["abc", "1"],
    "TTY_COMPATIBLE": ["1", "0", "x"],
    "_STABLELSE_COMPLETE": ["source_bash", "source_fish", "garbage", "x_y"],
    "encoding": ["ascii", "latin-1", "utf-16"],
}


class Case(NamedTuple):
    """A command, its surroundings, and what it may read."""

    args: list[str]
    settings: dict[str, str]
    stdin: bytes


def case_of(rng: random.Random) -> Case:
    """Return a random case; most often its numbers, options and values could be right."""
    command = rng.choice(list(COMMANDS))
    options = list(parameters(command, COMMANDS[command].options))
    names = {option.name for option in options}
    args = [command] if rng.random() < 0.97 else [rng.choice(WORDS)]
    if command == "prove":
        args.append(rng.choice(["lse", "softmax"]))
    if "numbers" in names and rng.random() < 0.5:
        numbers = NUMBERS if rng.random() < 0.3 else NUMBERS[:10]
        args += rng.choices(numbers, k=rng.choice([1, 2, 3, 5]))
    elif "file" in names:
        files = [*FILES, "x.npy", "*.csv", "-"] if rng.random() < 0.8 else WORDS
        args += [*([] if command == "scan" else ["--file"]), rng.choice(files)]
    if command == "nll":
        args += rng.choice([["--label", "0"], ["--labels", "y.csv"], ["--label-column", "1"]])
    for option in rng.sample(options, k=rng.choice([0, 0, 1, 1, 1, 2, 3])):
        if option.name not in ("numbers", "file", "function"):
            args += _option(rng, option)
    if rng.random() < 0.05:
        rng.shuffle(args)
    some = rng.sample(list(SETTINGS), k=rng.choice([0, 0, 0, 1, 2]))
    stdin = rng.choice([b"1 2\n3 4\n", b"1\n2\n", b"a,b\n1,2\n", b"[[1, 2]]", b"", b"\0\xff"])
    return Case(args, {name: rng.choice(SETTINGS[name]) for name in some}, stdin)


def _option(rng: random.Random, parameter) -> list[str]:
    """Return an option with a value, most often one that it may have."""
    info = parameter.annotation.__metadata__[0]
    flags = getattr(info, "param_decls", None) or [f"--{parameter.name.replace('_', '-')}"]
    kind = get_args(parameter.annotation)[0]
    kinds = [*get_args(kind), kind]
    if bool in kinds:
        return [flags[0].split("/")[0]]
    known = [word for each in kinds if get_origin(each) is Literal for word in get_args(each)]
    known += VALUES.get(parameter.name, "").split()
    value = rng.choice(known if known and rng.random() < 0.8 else WORDS)
    return [flags[0], value] if rng.random() < 0.8 else [f"{flags[0]}={value}"]


commands = st.integers(0, 1 << 32).map(random.Random).map(case_of)


#: The longest line on stderr.
MAX_LINE = 500


def ends_well(code: int, out: str, err: str) -> None:
    """Check the exit code, and that stderr has printable lines of ours: one if it is a refusal.

    Warnings become notes, but none of NumPy's about an operation should be left.
    """
    assert code in (0, 1, 2), (code, err)
    *lines, rest = err.split("\n")
    assert not rest, err
    assert all(line.startswith("stablelse: ") and line.isprintable() for line in lines), err
    assert all(len(line) <= MAX_LINE for line in lines), err
    errors = [line for line in lines if line.startswith("stablelse: error: ")]
    assert len(errors) == (code == 2), err
    assert not re.search("out of memory|encountered in ", err), err
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", out), ascii(out)


def commands_end_well(case: Case) -> None:
    """Run a case in a new folder, and check how it ended and what it left."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for name, content in FILES.items():
            Path(name).write_bytes(content)
        np.save("x.npy", np.arange(24.0).reshape(2, 3, 4))
        code, out, err = run_here(case.args, case.stdin, **case.settings)
        left = {*os.listdir()} - {*FILES, "x.npy"}
    if "_STABLELSE_COMPLETE" in case.settings:  # Typer answers
        assert (code in (0, 1, 2), left) == (True, set())
        return
    has_colour = re.search("--color|FORCE_COLOR|TTY_|lint", str(case))
    ends_well(code, "" if has_colour else out, err)
    is_silent = re.search("'(-o|--output|-q|--quiet|--fail-on|lint|lab)", f"{case.args}")
    assert code or out or is_silent
    assert not any(name.startswith(".stable") for name in left)
    if out and "--json" in case.args:
        found = json.loads(out)
        assert code != 2 or "incomplete" in found
