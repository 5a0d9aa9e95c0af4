"""Hostile text through every door: nothing that a terminal obeys gets out, escaped or not shown."""

import csv
import html
import io
import json
import os
import re
import shlex
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from files import npz, tensor, tensor_file

import stablelse
from stablelse.printable import printable

#: Text that could move the cursor, change the terminal, or hide or reverse what is next to it.
TEXTS = {
    "escapes": "a\x1b]52;c;aGk=\x07\x1b]8;;http:h\x1b\\b\x1b[31m",
    "C1": "a\x9b31m\x90\x9c\x85b",
    "moves": "a\x08b\x7f\x0c\tc",
    "directions": "a\u202eb\u2066c\u200f\u061cd",
    "invisible": "a\u200bb\u2060c\ufeffd\xade",
    "lines": "a\u2028b\u2029c\x1cd",
    "markup": "[red]a[b] [link=http:h]b[c] :smile: <b>&amp;",
    "a new line": "a\rb\r\nc",
    "not text": "a\udcff\udc9b31m",
}

#: The texts that no file of text or numbers can hold as a name.
NOT_IN_FILES = ("a new line", "not text")


def named(text, rows="1000,2\n3,4\n"):
    """Return a table with the text in its header."""
    text = text.replace('"', '""')
    return f'"{text}","{text}2"\n{rows}'.encode()


def table(text, write, cells=(1.0, 2.0)):
    """Return a Parquet file or an Arrow file with the text as the name of a column."""
    pyarrow = pytest.importorskip("pyarrow")
    data, sink = pyarrow.table({text: list(cells), "b": [1.0, 2.0]}), io.BytesIO()
    if write == "parquet":
        pytest.importorskip("pyarrow.parquet").write_table(data, sink)
    else:
        with pyarrow.ipc.new_file(sink, data.schema) as file:
            file.write(data)
    return sink.getvalue()


PLACED = """
lse | softmax --all | log-softmax --errors | peers --peer scipy | sweep --row 1 |
lse --fail-on naive:broken | nll --label-column 2 --ignore-index 4 --fail-on naive:broken |
prove lse --row 1 | prove lse --row 1 --format latex | lse --row 1 --row 2
"""
COLUMNS = """
lse | softmax --all | lse --errors | peers --peer scipy | sweep --column 1 |
prove lse --column 1 | prove lse --format latex --column 1
"""
OPTIONS = """
lse 1 --method | lse 1 --dtype | lse 1 --shift | lse 1 --format | lse 1 --empty |
lse 1 --digits | lse 1 --fail-on | lse 1 --save | lse 1 --color | lse 1 --engine | lse 1 |
lse 1 -- | lse 1 --output no/ | lse 1 --save no/x.svg/ | lse | lse --file | lse --file no/ |
lse --file file: | sweep 1 2 --offset | lse --file data --row | lse --file data --by |
lse --file data --delimiter | lse --file data --decimal | lse --file data --axis |
lse --file data --mask no/ | lse --file data --key | lse --file data --column |
lse --file data --temperature | lse --file data --weights no/ | sweep 1 2 --points |
sweep 1 2 --function | peers 1 --peer | demo --scene | nll 1 2 --label | nll 1 2 --labels no/
| nll 1 2 --label 0 --class-weights no/ | scan data --max-ulp | nll --file data --label-column
| scan no/
"""


def lines(text):
    return [" ".join(line.split()) for line in text.split("|")]


#: How a text gets in: a command, the text in the place of TEXT, and what makes the file `data`.
DOORS = [
    *((f"{command} --file TEXT{plain}", None) for command in lines(PLACED)
      for plain in ("", " --format plain") if not plain or "--format" not in command),
    ("scan --all TEXT", None),
    *((f"{command} --by columns --file data", named) for command in lines(COLUMNS)),
    ("scan --all --by columns data", named),
    *((f"{option}{'' if option.endswith(('/', ':', '--')) else ' '}TEXT", None)
      for option in ["", *lines(OPTIONS)]),
    ("lse --file data", named),
    ("lse --file data --column 5", named),
    ("lse --file data", lambda text: f'1,2\n3,"{text}"\n'.encode()),
    ("lse --file data", lambda text: json.dumps({text: [1, 2], f"{text}2": [3]}).encode()),
    ("lse --file data", lambda text: json.dumps({"x": {text: 1}}).encode()),
    ("lse --file data --key x", lambda text: json.dumps({text: [3]}).encode()),
    ("lse --file data", lambda text: npz(**{text: np.ones(2), "b": np.ones(2)})),
    ("lse --file data", lambda text: tensor_file({text: tensor(), "b": tensor()}, bytes(8))),
    ("lse --file data", lambda text: tensor_file({"a": tensor(dtype=text)}, bytes(8))),
    ("lse --file data --column 3", lambda text: table(text, "parquet")),
    ("lse --by columns --file data", lambda text: table(text, "parquet")),
    ("lse --by columns --file data", lambda text: table(text, "arrow")),
    ("lse --file data", lambda text: table(text, "arrow", [text, text])),
]  # fmt: skip

#: The same, where the text is not shown.
CLOSED = [
    ("lse --steps --row 1 --file TEXT", None),
    ("lse --file data", lambda text: json.dumps([1, text]).encode()),
    ("lse --file data", lambda text: f"[1, {text}]".encode()),
    ("lse --file data", lambda text: tensor_file(f'{{"a": {text}}}'.encode())),
    ("lse --file data", lambda text: np.lib.format.magic(1, 0) + b"\x60\0" + text.encode() * 9),
    ("lse --file data --engine dask --scheduler TEXT", None),
]


@pytest.fixture
def enter(run, here):
    """Run a command with a text in the place of TEXT, among files of that name and with it."""
    numbers = b"1000,2\n3,4\n"

    def command(line, text, make=None):
        if "/" not in text:
            (here / text).write_bytes(numbers)
        (here / "data").write_bytes(make(text) if make else numbers)
        return run("", *(word.replace("TEXT", text) for word in shlex.split(line)))

    return command


def check(done, text=""):
    """Check that all lines are printable and have the text, escaped."""
    said = "\n".join([done.out, done.err, *done.notes])
    assert all(line.isprintable() for line in said.split("\n")), said
    assert done.code in (0, 1, 2), said
    assert printable(text)[:6] in said, said


@pytest.mark.parametrize(
    ("line", "make", "is_shown"),
    [(*door, doors is DOORS) for doors in (DOORS, CLOSED) for door in doors],
)
def test_nothing_that_a_terminal_obeys_gets_out(line, make, is_shown, enter):
    for kind, text in TEXTS.items():
        if make is None or kind not in NOT_IN_FILES:
            check(enter(line, text, make), text if is_shown else "")


@pytest.mark.parametrize("name", ["STABLELSE_NUM_THREADS", "STABLELSE_KERNEL"])
def test_settings_are_escaped(name, run):
    for text in TEXTS.values():
        check(run("lse --file -", stdin=b"1\n2\n", **{name: text}))


@pytest.mark.parametrize("line", ["peers 1 2", "peers --all", "peers --format plain"])
def test_what_a_library_says_is_escaped(line, run, monkeypatch):
    text = "".join(TEXTS.values()) + " https://me:hunter2@h/x?sig=hunter2"

    def broken(*_, **__):
        raise ValueError(text)

    monkeypatch.setattr(pytest.importorskip("scipy.special"), "logsumexp", broken)
    check(done := run(f"{line} --peer scipy"), text * ("1 2" in line))
    assert "hunter2" not in done.out


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_json_has_the_text_itself_and_escapes_it(text, enter, tmp_path):
    check(done := enter("lse --file TEXT --json", text))
    assert json.loads(done.out)["vectors"][0]["source"] == text
    check(done := enter("lse --file TEXT --format jsonl --output x", text))
    line = (tmp_path / "x").read_text(encoding="utf-8").splitlines()[0]
    assert line.isprintable()
    assert json.loads(line)["source"] == text


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_csv_has_the_text_itself_in_one_cell(text, enter, tmp_path):
    encodable = text.encode(errors="backslashreplace").decode()
    for line in ("lse --file TEXT --format csv --output x", "scan TEXT --format csv --output x"):
        assert enter(line, text).code == 0
        with open(tmp_path / "x", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert {row.get("source") or row["first_source"] or encodable for row in rows} == {
            encodable
        }


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+x", "'+x"),
        ("-2+cmd|' /C calc'!A0", "'-2+cmd|' /C calc'!A0"),
        ("-1", "-1"),
        ("+1e3", "+1e3"),
        ("x=1", "x=1"),
        ('x,"y"', 'x,"y"'),
    ],
)
def test_spreadsheets_run_no_cell(name, cell, enter):
    done = enter("lse --by columns --header --file data --format csv", "x", lambda _: named(name))
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert {row["column"] for row in rows} == {cell, cell.replace(name, f"{name}2")}
    assert (
        ",-1.3132616875182228;-0.3132616875182228"
        in enter("peers -1 0 --function log-softmax --format csv", "x").out
    )
    negative = enter("softmax -1 --shift -2 --format csv", "x").out
    assert {(row["shift"], row["minimum"]) for row in csv.DictReader(io.StringIO(negative))} == {
        ("", "-1"),
        ("-2", "-1"),
    }


#: Code that the linter rewrites.
CODE = "import numpy as np\ny = np.log(np.sum(np.exp(x), axis=0))  # "


@pytest.mark.parametrize("line", ["lse --format csv --file", "lint --diff"])
def test_a_terminal_gets_nothing_as_it_is(line, environment, tmp_path):
    pty = pytest.importorskip("pty")
    name = "".join(text for kind, text in TEXTS.items() if kind not in NOT_IN_FILES)
    (tmp_path / name).write_text(f"{CODE}{name}" if "lint" in line else "1000\n2\n")
    command = [sys.executable, "-m", "stablelse", *line.split(), name]
    ours, theirs = pty.openpty()
    subprocess.run(command, env=environment, cwd=tmp_path, stdout=theirs, check=False)
    os.close(theirs)
    shown = os.read(ours, 1 << 16).decode().replace("\r\n", "\n")
    os.close(ours)
    assert all(row.replace("\t", "").isprintable() for row in shown.split("\n"))
    assert printable(name)[:50] in shown


@pytest.mark.parametrize("form", ["plain", "github", "json", "sarif"])
def test_the_linter_escapes_names(form, run, here):
    for text in TEXTS.values():
        (here / text).write_text(CODE)
        done = run("lint --format", form, text)
        assert done.code == 1
        check(done, text.partition("[")[0][:1])
        (here / text).write_text(f"np.log({text}", errors="replace")
        check(run("lint --format", form, text))


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_page_of_a_lab_has_the_text_as_text(text, enter, tmp_path):
    check(enter("lab --file TEXT --row 1 --save x.html", text))
    lines = (tmp_path / "x.html").read_text(encoding="utf-8").splitlines()
    assert all(line.isprintable() for line in lines)
    title = f"stablelse lab --file {shlex.quote(printable(text))} --row 1"
    assert f"<title>{html.escape(title)}</title>" in lines


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_pictures_have_the_text_as_text(text, enter, tmp_path):
    check(enter("lse --file TEXT --save x.svg --save x.html --save x.txt --output y", text))
    shown = printable(text)
    svg = ElementTree.fromstring((tmp_path / "x.svg").read_text(encoding="utf-8"))
    page = (tmp_path / "x.html").read_text(encoding="utf-8").removeprefix("<!DOCTYPE html>")
    page = re.sub(r"<(meta [^>]*)>", r"<\1/>", page).replace(" hidden>", ">")
    for root in (svg, ElementTree.fromstring(page)):
        (title,) = (each.text for each in root.iter() if each.tag.endswith("title"))
        assert title == f"stablelse lse --file {shlex.quote(shown)}"
        words = "".join(root.itertext()).replace("\xa0", " ")
        assert f" {shown}: log-sum-exp" in words
    for name in ("x.txt", "y"):
        assert f" {shown}: log-sum-exp" in (tmp_path / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_notebooks_have_the_text_as_text(text):
    stream = stablelse.StreamState()
    stream.update([[1000.0], [2.0]], source=text)
    shown = stream.result()._repr_mimebundle_()
    assert all(line.isprintable() for kind in shown for line in shown[kind].split("\n"))
    (pre,) = ElementTree.fromstring(f"<div>{shown['text/html']}</div>")
    for words in (shown["text/plain"], "".join(pre.itertext())):
        assert f"{printable(text)}: log-sum-exp" in words


@pytest.mark.parametrize("line", ["lse --file", "softmax --all --file", "scan --all"])
def test_a_long_name_is_shortened(line, enter):
    done = enter(f"{line} data --by columns", "x", lambda _: named(f"b{'a' * 9_999}c"))
    assert "column baaa" in done.out
    assert max(map(len, done.out.splitlines())) <= 100


def test_headings_of_markdown_and_latex_are_text(enter):
    text = r"a](http:h) <b> *c* $x_1$ `d` |e| ~f~ &lt; #g \h %i {j}"
    heading, *_ = enter("prove lse --row 1 --format markdown --file TEXT", text).out.splitlines()
    assert re.sub(r"\\([!-/:-@[-`{-~])", r"\1", heading).startswith(f"## {text}, row 1: log-sum")
    assert not re.search(r"(?<!\\)(\\\\)*[\[\]<>*$_`|~&]", heading)
    heading, second, *_ = enter(
        "prove lse --row 1 --format latex --file TEXT", text
    ).out.splitlines()
    assert heading.startswith(f"% {text}, row 1: ")
    assert second == r"\begin{align*}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "https://me:hunter2@h:1/x.csv?X-Amz-Signature=hunter2&sig=hunter2#hunter2",
            "https://h:1/x.csv",
        ),
        (
            "see http://hunter2@h/x?token=hunter2 and s3://b/x?key=hunter2.",
            "see http://h/x and s3://b/x",
        ),
        ("url=URL('http://a:hunter2@h/x?a=hunter2')", "url=URL('http://h/x')"),
        ("ftp://a:p#hunter2?hunter2@h/x", "ftp://h/x"),
        ("http://h?hunter2", "http://h"),
        ("s3://bucket/a@b/c.csv", "s3://bucket/a@b/c.csv"),
        ("me@h and what? #1", "me@h and what? #1"),
    ],
)
def test_urls_are_shown_without_secrets(text, shown):
    assert printable(text) == shown


URL = "https://me:hunter2@127.0.0.1:9/x.csv?X-Amz-Signature=hunter2&sig=hunter2"


@pytest.mark.parametrize(
    "line",
    [
        *("lse --file URL", "lse URL", "lse 1 URL", "URL", "lse 1 --URL", "lse 1 --URL=1"),
        *("lse --file data --mask URL", "lse --file data --weights URL", "nll 1 2 --labels URL"),
        *("lse --file data --key URL", "lse --file data --column URL", "scan URL"),
        *("lse 1 --output URL", "lse 1 --save URL", "lse 1 --fail-on URL", "lse 1 --dtype URL"),
        *("lse --file URL --engine dask --by all", "softmax --file URL --output x.npy"),
    ],
)
def test_no_error_shows_a_password(line, enter):
    done = enter(line.replace("URL", "TEXT"), URL)
    assert done.code == 2
    assert "hunter2" not in done.err
    assert "127.0.0.1:9/x.csv" in done.err


@pytest.mark.parametrize(
    "line",
    [
        *("lse --row 1 --format plain --errors", "softmax --json", "scan --format csv --file -"),
        *("peers --peer scipy", "sweep --row 1", "softmax --steps --row 1 --json"),
        *("lse --by columns --fail-on naive:broken", "lse --save x.svg --save x.html --save x.txt"),
        "prove lse --row 1 --format markdown",
    ],
)
def test_no_result_shows_a_password(line, enter, tmp_path):
    store = pytest.importorskip("fsspec").filesystem("memory")
    url = "memory://me:hunter2@h/x.csv?sig=hunter2"
    store.pipe(url, b"a,b\n1000,2\n3,4\n")
    done = enter(f"{line} --file TEXT".replace("--file - --file", ""), url)
    store.store.clear()
    assert done.code in (0, 1)
    texts = [done.out, done.err, *done.notes]
    texts += [path.read_text(encoding="utf-8") for path in tmp_path.glob("x.*")]
    assert "hunter2" not in "".join(texts)
    assert all("memory://h/x.csv" in text for text in texts[2:])
    assert "memory://h/x.csv" in texts[0]


def test_urls_with_one_name_are_two_sources(run):
    store = pytest.importorskip("fsspec").filesystem("memory")
    urls = [f"memory://h/x.csv?id={number}" for number in (1, 2)]
    for number, url in enumerate(urls):
        store.pipe(url, b"%d\n%d\n" % (number, number))
    rows = run("lse --by rows --row 2 --json --file", urls[0], "--file", urls[1]).out
    places = [(each["source"], each["row"], each["x"]) for each in json.loads(rows)["vectors"]]
    assert places == [("memory://h/x.csv", 2, [0]), ("memory://h/x.csv (2)", 2, [1])]
    assert json.loads(run("scan --json", *urls).out)["rows"] == 2
    store.store.clear()
