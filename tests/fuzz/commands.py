"""Run random commands in random environments, some with signals, and check how they end.

    python tests/fuzz/commands.py [--seconds 600] [--count 1000] [--seed 7] [--signals]

Most commands run in a fork of this process, which has loaded the package. Those of --signals, and
one in twenty of the others, run in a process of their own, and half of those get one or two signals
at any moment. A failure is printed once, with the command to repeat it; then the exit code is 1.
"""

import gc
import json
import os
import random
import re
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from argparse import ArgumentParser, Namespace
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, NamedTuple, get_args, get_origin

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from stablelse.cli.app import COMMANDS
from stablelse.cli.main import main
from stablelse.cli.options import parameters

#: What a run may take: seconds, and bytes of address space.
PATIENCE, MEMORY = 60, 4 << 30

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
    "output": "out.txt out.npy out.csv /dev/stdout /dev/null out.parquet x.csv",
    "save": "out.svg out.html out.txt out.png out.pdf x.csv", "exercise": "1 2 9",
    "fail_on": "overflow naive:broken ulp>1 shifted:nan,digits_lost none", "scheduler": "tcp://x:1",
}  # fmt: skip

ENVIRONMENT = {
    "STABLELSE_NUM_THREADS": ["abc", "0", "-3", "1", "2", "9" * 5000],
    "OMP_NUM_THREADS": ["abc", "0", "2,1", ""],
    "STABLELSE_KERNEL": ["garbage", "reference", ""],
    "STABLELSE_TRACEBACK": [""],
    "COLUMNS": ["abc", "0", "-1", "1", "20", "99999", "9" * 30, "²"],
    "LINES": ["abc", "0", "1", "²"],
    "TERM": ["garbage", "dumb", "", "xterm-256color"],
    "NO_COLOR": ["", "1"],
    "FORCE_COLOR": ["", "1", "garbage"],
    "COLORTERM": ["truecolor", "garbage"],
    "LC_ALL": ["garbage", "C", "tr_TR.UTF-8"],
    "PYTHONIOENCODING": ["ascii", "latin-1", "utf-16", "idna"],
    "PYTHONUTF8": ["0", "1"],
    "PYTHONWARNINGS": ["error", "always", "garbage"],
    "TMPDIR": ["/no/such", "/proc", "/dev/null"],
    "HOME": ["/no/such", ""],
    "MPLBACKEND": ["garbage", "module://no.such"],
    "MPLCONFIGDIR": ["/no/such"],
    "JUPYTER_COLUMNS": ["abc", "1"],
    "TTY_COMPATIBLE": ["1", "0", "x"],
    "_STABLELSE_COMPLETE": ["source_bash", "source_fish", "garbage", "x_y"],
}

SIGNALS = [signal.SIGINT, signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


class Case(NamedTuple):
    """A command and its surroundings."""

    args: list[str]
    environment: dict[str, str]
    stdin: bytes = b""
    is_own: bool = False  # in a process of its own
    signals: tuple[tuple[float, int], ...] = ()  # how long to wait before each, in seconds
    memory: int = MEMORY

    def __str__(self) -> str:
        settings = [f"{name}={value}" for name, value in self.environment.items()]
        line = shlex.join(["env", *settings, "stablelse", *self.args])
        return f"{line[:2000]}\n  stdin {self.stdin[:200]!r}  signals {self.signals}  {self.memory}"


def case_of(rng: random.Random, with_signals: bool) -> Case:
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
    settings = rng.sample(list(ENVIRONMENT), k=rng.choice([0, 0, 0, 1, 2]))
    environment = {name: rng.choice(ENVIRONMENT[name]) for name in settings}
    stdin = rng.choice([b"1 2\n3 4\n", b"1\n2\n", b"a,b\n1,2\n", b"[[1, 2]]", b"", b"\0\xff"])
    is_own = with_signals or rng.random() < 0.05
    signals = ()
    if is_own and rng.random() < 0.5:
        moments = [rng.uniform(0, 1), rng.choice([0, 0.001, 0.02])]
        signals = tuple((moment, rng.choice(SIGNALS)) for moment in moments[: rng.choice([1, 2])])
    memory = rng.choice([MEMORY] * 9 + [rng.randrange(400 << 20, 1 << 30)])
    return Case(args, environment, stdin, is_own, signals, memory)


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


class End(NamedTuple):
    """How a command ended: its code, or minus a signal's number."""

    code: int | None
    out: str
    err: str
    left: list[str]  # names in its folder that are new


def ending(case: Case) -> End:
    """Run a case in a new folder."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for name, content in FILES.items():
            Path(folder, name).write_bytes(content)
        np.save(f"{folder}/x.npy", np.arange(24.0).reshape(2, 3, 4))
        streams = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
        streams[0].write(case.stdin)
        streams[0].seek(0)
        code = (_own if case.is_own else _forked)(case, folder, streams)
        for stream in streams:
            stream.seek(0)
        _, out, err = (stream.read(1 << 24).decode(errors="replace") for stream in streams)
        return End(code, out, err, sorted({*os.listdir(folder)} - {*FILES, "x.npy"}))


def _forked(case: Case, folder: str, streams: list) -> int | None:
    process = os.fork()
    if process == 0:
        os.setsid()
        os.chdir(folder)
        os.environ.update(case.environment)
        for number, stream in enumerate(streams):
            os.dup2(stream.fileno(), number)
        resource.setrlimit(resource.RLIMIT_AS, (case.memory, case.memory))
        try:
            main(case.args)
        except SystemExit as stop:
            code = stop.code
        except BaseException:
            traceback.print_exc()
            code = 1
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
    return _waited(process)


def _own(case: Case, folder: str, streams: list) -> int | None:
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        ["prlimit", f"--as={case.memory}", sys.executable, "-m", "stablelse", *case.args],
        **dict(zip(("stdin", "stdout", "stderr"), streams, strict=True)),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": root} | case.environment,
        start_new_session=True,
    )
    for moment, number in case.signals:
        time.sleep(moment)
        os.kill(process.pid, number)
    return _waited(process.pid)


def _waited(process: int) -> int | None:
    """Wait for a process; return None after killing it if it takes too long."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return None


#: A line that the interpreter, or another library, prints without being asked.
_FOREIGN = re.compile(r"^(Traceback|Exception ignored|.*Warning:|Fatal|  File )", re.MULTILINE)


def faults(case: Case, end: End) -> list[str]:
    """Return the rules that a run broke."""
    sent = {number for _, number in case.signals}
    allowed = {0, 1, 2} | {-number for number in sent} | ({130} if signal.SIGINT in sent else set())
    what = re.search(r"not in the input \((.{,60})|^\w+(Error|Exception).{,60}", end.err, re.M)
    # A signal may come before the package, or before Python itself, is there.
    is_early = sent and "stablelse/cli" not in end.err
    foreign = _FOREIGN.search(end.err)
    typed, is_wide = f"{case.args}", "utf-16" in str(case)
    is_silent = re.search("'(-o|--output|-q|--quiet|--fail-on|lint)", typed)
    is_colourful = re.search("--color|--format|FORCE_COLOR|_COMPLETE|TTY_", str(case)) or is_wide
    rules = {
        f"exit code {end.code} {what[0] if what else end.err[-200:]!r}": end.code not in allowed,
        f"stderr has {foreign and foreign[0]!r}": foreign and not is_early,
        "a line on stderr is too long": max(map(len, end.err.splitlines()), default=0) > 500,
        "stderr has control characters": not is_wide and _CONTROL.search(end.err),
        "stdout has control characters": not is_colourful and "\x1b" in end.out,
        "nothing says what is wrong": end.code == 2 and not end.err,
        "nothing is shown": end.code == 0 and not end.out and not is_silent,
        "a temporary file is left behind": any(name.startswith(".stable") for name in end.left),
        "JSON that cannot be read": "--json" in case.args and not is_wide and not _is_json(end),
    }
    return [rule for rule, is_broken in rules.items() if is_broken]


#: All but line ends, and what can be seen.
_CONTROL = re.compile(r"[^\n\x20-\x7e\x80-\U0010ffff]")


def _is_json(end: End) -> bool:
    """Whether the output is JSON, if there is any; after an error it says that it is incomplete."""
    try:
        found = json.loads(end.out or '{"incomplete": true}')
    except ValueError:
        return end.code not in (0, 1, 2) or "COMP" in end.out  # the script for completion
    return end.code != 2 or "incomplete" in found


def search(options: Namespace) -> int:
    """Try cases, print each kind of failure once, and return 1 if there was any."""
    rng, begin, told, tried = random.Random(options.seed), time.monotonic(), set(), 0
    gc.disable()  # the forks would copy all memory
    while time.monotonic() - begin < options.seconds and tried != options.count:
        case = case_of(rng, options.signals)
        tried += 1
        for fault in faults(case, end := ending(case)):
            if fault not in told:
                told.add(fault)
                print(f"{fault}\n  {case}\n  {end.err[-600:]!r}\n", flush=True)
    print(f"{tried} commands, {len(told)} kinds of failures, seed {options.seed}")
    return bool(told)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--count", type=int, default=-1)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**9)
    parser.add_argument("--signals", action="store_true")
    options = parser.parse_args()
    sys.exit(search(options))
