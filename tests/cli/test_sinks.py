"""Where output goes: streams of the shell, links, permissions, full disks, and never onto input."""

import os
import shutil
import signal
import stat
import subprocess
import sys

import numpy as np
import pytest

VALUE = "2.313261687518223\n"


@pytest.fixture
def bash(start, tmp_path):
    """Run a line of bash in a folder with some files; `lse` stands for a quiet command."""
    (tmp_path / "x.csv").write_text("1\n2\n")
    (tmp_path / "log").write_text("old\n")
    (tmp_path / "link").symlink_to("log")
    (tmp_path / "many.csv").write_text("".join(f"{x % 7}.25\n" for x in range(20_000)))
    command = f"exec {sys.executable} -m stablelse"
    functions = f'lse() {{ ({command} lse -q "$@"); }}; stablelse() {{ ({command} "$@"); }}; '
    options = {"cwd": tmp_path, "stdin": subprocess.DEVNULL}
    return lambda line: start("bash", "-c", functions + line, **options)


@pytest.mark.parametrize(
    "line",
    [
        "lse 1 2 -o - >> log",
        "lse 1 2 -o /dev/stdout >> log",
        "lse 1 2 -o /dev/fd/1 >> log",
        "lse 1 2 -o /proc/self/fd/1 >> log",
        "lse 1 2 -o /dev/fd/3 3>> log",
        "lse 1 2 -o /dev/stderr 2>> log",
        "lse 1 2 -o log >> log",
        "lse 1 2 -o link >> log",
        "lse 1 2 -o ./log 2>> log",
        "{ echo old; lse 1 2 -o /dev/stdout; } > log",
        "mkfifo pipe; cat pipe >> log & lse 1 2 -o pipe; wait",
        "lse 1 2 -o /dev/stdout | cat >> log",
    ],
)
def test_an_open_stream_is_appended_to(line, bash, tmp_path):
    done = bash(line)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "log").read_text() == "old\n" + VALUE
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("line", ["lse 1 2 -o /dev/null", "lse 1 2 -o /dev/null >&-"])
def test_nothing_is_lost_where_nothing_is_kept(line, bash):
    done = bash(line)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


#: Commands whose output matters.
COMMANDS = [
    *("lse 1 2", "lse 1 2 -q", "lse 1 2 --json", "softmax 1 2 --format csv", "limits", "--help"),
    *("log-softmax 1 2 --format plain", "nll 1 2 --label 0", "scan x.csv", "scan x.csv --json"),
    *("sweep 0 --dtype float8_e5m2", "peers 0 1", "prove lse 1 2", "demo --list", "--version"),
]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        *((f"stablelse {c} > /dev/full", "cannot write standard output: No sp") for c in COMMANDS),
        *((f"stablelse {c} >&-", "cannot write standard output: Bad") for c in COMMANDS[:4]),
        # the next opened file would get the number of standard output, unless it is taken
        ("lse --file x.csv --row 1 >&-", "cannot write standard output: Bad"),
        ("lse 1 2 -o /dev/full", "cannot write /dev/full: No space left on device"),
        ("lse 1 2 -o /dev/stdout > /dev/full", "cannot write /dev/stdout: No space left"),
        ("lse 1 2 -o /dev/stdout >&-", "cannot write /dev/stdout: Bad file descriptor"),
        ("lse 1 2 -o /dev/fd/9", "cannot write /dev/fd/9: Bad file descriptor"),
        ("ulimit -f 1; stablelse lse 1 2 --save log.svg", "cannot write log.svg: File too large"),
        ("ulimit -f 40; stablelse softmax -qf many.csv -o link", "cannot write link: File too l"),
        ("ulimit -f 40; cat many.csv | stablelse softmax -qo log", "keep standard input in a temp"),
        ("ulimit -f 40; stablelse softmax -qf many.csv > new", "cannot write standard output: F"),
        ("mkfifo pipe; head -c 9 pipe & stablelse softmax -qf many.csv -o pipe; s=$?; wait; "
         "exit $s", "cannot write pipe: Broken pipe"),
        ("ln -s loop loop; lse 1 2 -o loop", "cannot write loop: Too many levels of symbolic"),
        ("lse 1 2 -o no/log", "cannot write no/log: no such directory"),
        ("lse 1 2 -o ''", "cannot write '': no such directory"),
        ("lse 1 2 -o new/", "cannot write new/: Is a directory"),
        ("lse 1 2 -o ..", "cannot write ..: Is a directory"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_said_in_a_line(line, complaint, bash, tmp_path):
    done = bash(line)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("stablelse: error: ")
    assert complaint in done.stderr
    assert (tmp_path / "log").read_text() == "old\n"
    assert (tmp_path / "x.csv").read_text() == "1\n2\n"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("scan x.csv -q >&-", 0),  # prints nothing
        ("scan big.csv -q --fail-on naive:overflow --dtype float16 >&-", 1),
        ("scan big.csv --dtype float16 --output found.txt >&-", 0),
        ("lse 1 2 2>&-", 0),
        ("lse 1 x 2>&-", 2),
        ("lse 1 x 2>/dev/full", 2),
        ("scan big.csv --fail-on naive:overflow --dtype float16 2>&-", 1),
        ("lse 1 2 <&- 2>&-", 0),
        ("lse 1 x <&- >&- 2>&-", 2),
    ],
)
def test_streams_that_are_not_needed_may_be_closed(line, code, bash, tmp_path):
    (tmp_path / "big.csv").write_text("1,2\n12,3\n")
    done = bash(f"stablelse {line}")
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_a_reader_that_ends_early_ends_the_command(bash):
    done = bash('seq 1 200000 | stablelse softmax -q | head -1; echo "${PIPESTATUS[1]}"')
    value, code = done.stdout.splitlines()
    assert (float(value), int(code), done.stderr) == (0, 128 + signal.SIGPIPE, "")


def test_output_to_a_closed_stderr_is_lost_and_not_well(bash):
    done = bash("lse 1 2 -o /dev/stderr 2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


#: Commands that would write onto their input.
ONTO_INPUT = [
    "lse -f x.csv -o x.csv --json",
    "lse -f ./x.csv -o ../{here}/x.csv --json",
    "lse -f x.csv -o soft.csv --json",
    "lse -f soft.csv -o x.csv --json",
    "lse -f x.csv -o hard.csv --json",
    "lse -f x.csv --save picture.svg",
    "lse -f 'x*.csv' -o x.csv --json",
    "lse -f folder -o folder/y.csv --json",
    "lse -f folder/y.csv --mask x.csv -o x.csv --json",
    "lse -f folder/y.csv --weights x.csv -o hard.csv --json",
    "nll --logits folder/y.csv --label-column 1 -o folder/y.csv --json",
    "nll --logits folder/y.csv --labels x.csv -o x.csv --json",
    "nll --logits folder/y.csv --label-column 1 --class-weights x.csv -o x.csv --json",
    "softmax -f x.csv -o x.csv --json",
    "scan x.csv -o soft.csv --json",
    "audit -f folder/y.csv --values x.csv -o x.csv --json",
    "lint m.py -o m.py",
    "lint . -o m.py",
    "lint -o m.py",
]


@pytest.mark.parametrize("command", ONTO_INPUT)
def test_input_is_not_replaced(command, run, here):
    (here / "x.csv").write_text("1\n0\n")
    (here / "m.py").write_text("x = 1\n")
    (here / "folder").mkdir()
    (here / "folder" / "y.csv").write_text("1,0\n0,1\n")
    (here / "soft.csv").symlink_to("x.csv")
    os.link("x.csv", "hard.csv")
    os.link("x.csv", "picture.svg")
    done = run(command.format(here=here.name))
    assert (done.code, done.out, done.notes) == (2, "", ())
    assert "is also read" in done.err
    assert "write to another file" in done.err
    assert (here / "x.csv").read_text() == "1\n0\n"
    assert (here / "m.py").read_text() == "x = 1\n"


@pytest.mark.parametrize(
    "line",
    [
        "lse < x.csv -o x.csv",
        "lse - < x.csv -o ./x.csv",
        "lse -f /dev/stdin < x.csv -o x.csv",
        "lse -f /dev/fd/3 3< x.csv -o x.csv",
        "lse -f many.csv --mask - < x.csv -o x.csv",
        "lse -f x.csv >> x.csv",
        "lse < x.csv >> x.csv",
        "lse < x.csv -o /dev/stdout >> x.csv",
    ],
)
def test_input_that_the_shell_opens_is_not_replaced(line, bash, tmp_path):
    done = bash(line)
    assert done.returncode == 2
    assert "is also read" in done.stderr
    assert (tmp_path / "x.csv").read_text() == "1\n2\n"


def test_numbers_and_other_files_are_no_input(bash, tmp_path):
    assert bash("lse 1 2 -o x.csv < x.csv").returncode == 0
    assert (tmp_path / "x.csv").read_text() == VALUE


def test_links_permissions_and_owners_are_kept(run, here):
    (here / "old.txt").write_text("old")
    (here / "old.txt").chmod(0o640)
    if os.geteuid() == 0:
        os.chown("old.txt", 1234, 2345)
    owner = os.stat("old.txt")
    (here / "link").symlink_to("old.txt")
    (here / "dangling").symlink_to("new.txt")
    for name in ("link", "dangling"):
        assert run(f"lse 1 2 -q -o {name}").code == 0
        assert (here / name).is_symlink()
    assert (here / "old.txt").read_text() == (here / "new.txt").read_text() == VALUE
    now = os.stat("old.txt")
    assert (now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode)) == (*owner[4:6], 0o640)
    umask = os.umask(0o022)
    os.umask(umask)
    assert stat.S_IMODE(os.stat("new.txt").st_mode) == 0o666 & ~umask


def test_the_other_names_of_a_file_keep_its_old_content(run, here):
    (here / "a.txt").write_text("old")
    os.link("a.txt", "b.txt")
    done = run("lse 1 2 -q -o a.txt")
    assert (done.code, done.notes) == (
        0,
        ("a.txt, it has other names (hard links), under which the old content stays",),
    )
    assert [(here / name).read_text() for name in ("a.txt", "b.txt")] == [VALUE, "old"]


@pytest.mark.parametrize(
    ("path", "complaint"),
    [("kept/x.txt", "it is read-only"), ("folder/x.txt", "the directory {} is read-only")],
)
def test_what_is_read_only_is_refused(path, complaint, bash, tmp_path):
    drop = []
    if os.geteuid() == 0:  # root may write everything
        drop = ["setpriv", "--bounding-set=-dac_override"]
        if not shutil.which("setpriv"):
            pytest.skip("needs setpriv")
    for name in ("kept", "folder"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.txt").write_text("old")
    (tmp_path / "kept" / "x.txt").chmod(0o444)
    (tmp_path / "folder").chmod(0o555)
    done = bash(f"{' '.join(drop)} {sys.executable} -m stablelse lse 1 2 -o {path}")
    (tmp_path / "folder").chmod(0o755)
    complaint = complaint.format(os.path.realpath(tmp_path / "folder"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"stablelse: error: cannot write {path}: {complaint}\n"
    assert (tmp_path / path).read_text() == "old"


def test_an_array_of_many_axes_has_room_for_its_shape(run, tmp_path):
    x = np.zeros((1,) * 40 + (2,) * 12 + (1,) * 11 + (3,))
    np.save(tmp_path / "x.npy", x)
    assert run("softmax", "-f", tmp_path / "x.npy", "-o", tmp_path / "p.npy").code == 0
    assert np.load(tmp_path / "p.npy").shape == x.shape
