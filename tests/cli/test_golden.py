"""Whole outputs of the command, kept as files."""

import pytest

from stablelse.analysis import demo

#: Others may not be installed, and SciPy's last digits depend on its version.
_PEERS = "--peer naive --peer logaddexp"
_FORMATS = "--dtype float16 --dtype float32 --dtype float64"

#: Logits with a label each: one breaks the naive loss, one costs it digits, one is left out.
_LOGITS = b"zero,one,digit\n1,2,0\n1000,3,0\n40,0,0\n5,6,-100\n-800,-790,1\n"
_ROWS = b"0,-40\n1000,3\n-500,-600\n"
_SCANNED = {"stdin": b"a,b,c\n1,2,3\n12,3,-30\n-20,-19,-18.5\n15,0,0\n0,-0.7,-9\n"}
_LONG = {"stdin": "".join(f"{x}\n" for x in range(-900, 900)).encode()}
_STREAM = {"stdin": "".join(f"{x / 10}\n" for x in range(-9000, 9000)).encode()}
_COLUMNS = b"a,b\n" + b"".join(f"{x},{-x}\n".encode() for x in range(9000))

#: All scenes except the last two, which show the installed libraries.
SCENES = [name for name in demo.SCENES if name != "libraries"]
_OWN_SCENES = " ".join(f"--scene {name}" for name in SCENES)

#: Name: the command, and the width, the encoding, standard input.
RUNS = {
    "overflow": ("lse 1000 1001 1002", {}),
    "overflow-ascii": ("lse 1000 1001 1002", {"encoding": "ascii"}),
    "underflow": ("lse -1000 -1001 -1002", {}),
    "shifts": ("lse 1000 1001 1002 --shift max --shift min --shift 0", {"columns": 120}),
    "weights": ("lse 1000 1001 1002 --weights -", {"stdin": b"1 -1 0.5"}),
    "weights-steps": ("lse 0 2 --weights - --steps", {"stdin": b"1 -0.1"}),
    "weights-csv": ("lse 0 2 --weights - --format csv", {"stdin": b"1 -0.1"}),
    "softmax": ("softmax 1000 1 -1000.5", {}),
    "softmax-plain": ("softmax 1000 1 -1000.5 --format plain", {}),
    "log-softmax": ("log-softmax -1000 3 0", {}),
    "steps": ("lse 1000 1 2 --steps", {}),
    "steps-plain": ("softmax 1000 1 2 --steps --format plain", {}),
    "formats": ("lse 11 12 -3 --dtype float16 --dtype float8_e4m3fn", {"columns": 100}),
    "infinite": ("lse inf 1", {}),
    "json": ("lse 1000 1 --json", {}),
    "csv": ("softmax 1000 1 --format csv", {}),
    "long": ("lse", _LONG),
    "stream": ("lse", _STREAM),
    "stream-plain": ("lse --format plain", _STREAM),
    "stream-errors": ("lse --errors --dtype float64 --dtype bfloat16", _STREAM),
    "stream-json": ("lse --json", _STREAM),
    "stream-columns": ("lse --by columns", {"stdin": _COLUMNS}),
    "rows": ("lse --dtype float16", {"stdin": b"a,b\n1,2\n1000,3\n-500,-600\n"}),
    "columns": ("lse --by columns", {"stdin": b"a,b\n1,1000\n-1000,3\n"}),
    "absorption": ("lse 0 -40", {}),
    "absorption-steps": ("lse -50 0 -40 --steps --method naive", {"columns": 100}),
    "cancellation-ascii": ("log-softmax 10 0", {"encoding": "ascii"}),
    "errors": ("lse -0.775 -0.6175 --errors", {}),
    "errors-plain": ("softmax 1000 1001 --errors --format plain", {}),
    "errors-rows": ("lse --errors", {"stdin": b"1 2\n1000 3\n-500 -600\n"}),
    "errors-formats": ("log-softmax 1 2 --errors --dtype float16 --dtype bfloat16",
        {"columns": 120}),
    "division-free": ("softmax 1000 1001 --method division-free --method shifted",
        {"columns": 120}),
    "exact-alone": ("softmax 1 2 --method exact", {}),
    "prove-lse": ("prove lse 1000 1001 1002", {}),
    "prove-lse-ascii": ("prove lse 1000 1001 1002", {"encoding": "ascii"}),
    "prove-lse-plain": ("prove lse -1000 -1001 --shift -1001 --format plain", {}),
    "prove-lse-near-zero": ("prove lse -0.775 -0.6175", {}),
    "prove-lse-latex": ("prove lse 1000 1001 1002 --format latex", {}),
    "prove-lse-markdown": ("prove lse 1000 1001 1002 --format markdown", {}),
    "prove-lse-symbols": ("prove lse", {}),
    "prove-softmax": ("prove softmax 1000 1 -1000.5", {}),
    "prove-softmax-latex": ("prove softmax 1000 1 --format latex", {}),
    "prove-softmax-symbols-latex": ("prove softmax --format latex", {}),
    "prove-formats": ("prove lse 11 12 -3 --dtype float16 --dtype float8_e4m3fn", {"columns": 100}),
    "prove-json": ("prove softmax 1000 1 --json", {}),
    "nll": ("nll 1000 1001 1002 --label 0", {}),
    "nll-wide": ("nll 12 3 -1000 --label 1 --dtype float16 --dtype float64", {"columns": 120}),
    "nll-targets": ("nll 1000 1001 1002 --label 0 --label-smoothing 0.1 --class-weights -",
        {"stdin": b"1 2 0.5"}),
    "nll-rows": ("nll --label-column digit", {"stdin": _LOGITS}),
    "nll-rows-csv": ("nll --label-column digit --format csv", {"stdin": _LOGITS}),
    "nll-rows-json": ("nll --label-column digit --json", {"stdin": _LOGITS}),
    "nll-rows-jsonl": ("nll --label-column digit --format jsonl --method naive",
        {"stdin": _LOGITS}),
    "nll-steps": ("nll 0 -40 --label 0 --steps --method shifted", {}),
    "nll-grad": ("nll 40 0 3 --label 0 --grad", {}),
    "nll-grad-rows": ("nll --label-column digit --grad --dtype float32",
        {"stdin": _LOGITS, "columns": 120}),
    "sweep": ("sweep 0 1 2", {}),
    "sweep-intervals": ("sweep 0 1 2 --intervals", {}),
    "sweep-ascii": (f"sweep 0 1 2 {_FORMATS}", {"encoding": "ascii"}),
    "sweep-scale": (f"sweep 1 2 --scale 1e-3:1e6 --function softmax {_FORMATS}", {"columns": 100}),
    "sweep-rows": (f"sweep --file - --row 2 --function log-softmax {_FORMATS}", {"stdin": _ROWS}),
    "sweep-plain": (f"sweep 0 1 --format plain {_FORMATS}", {}),
    "sweep-csv": ("sweep 0 1 --format csv --dtype float16", {}),
    "sweep-json": ("sweep 0 --json --dtype float32 --method naive", {}),
    "mask": ("softmax 1000 1 9999 --mask -", {"stdin": b"1 1 0\n"}),
    "mask-empty": ("log-softmax 1 2 --mask - --empty uniform --format plain",
        {"stdin": b"false false\n"}),
    **{f"demo-{name}": (f"demo --scene {name}", {}) for name in SCENES},
    "demo-plain": (f"demo {_OWN_SCENES} --format plain", {}),
    "demo-json": ("demo --scene one-pass --json", {}),
    "demo-list": ("demo --list", {}),
    "limits": ("limits", {}),
    "gallery": ("peers --peer naive", {}),
    "gallery-plain": ("peers --all --peer naive --format plain", {"encoding": "ascii"}),
    "peers": (f"peers 0 -40 {_PEERS}", {}),
    "peers-softmax": (f"peers 1000 -40 --function softmax {_PEERS}", {}),
    "peers-rows": (f"peers --file - --function log-softmax {_PEERS}",
        {"stdin": _ROWS, "columns": 120}),
    "scan": ("scan --fail-on none", _SCANNED),
    "scan-ascii": ("scan --fail-on none", _SCANNED | {"encoding": "ascii"}),
    "scan-all": ("scan --fail-on none --all", _SCANNED),
    "scan-log-softmax": ("scan --function log-softmax --dtype float8_e4m3fn --fail-on none",
        _SCANNED | {"columns": 120}),
    "scan-plain": ("scan --dtype float16 --format plain --max-ulp 1", _SCANNED),
    "scan-json": ("scan --dtype float16 --json", _SCANNED),
    "scan-csv": ("scan --dtype float16 --format csv", _SCANNED),
}  # fmt: skip

#: Tables with a row for each installed library.
_NEED_ML = {"limits", "gallery", "gallery-plain", "sweep", "scan", "scan-ascii"}
_NEED_ML |= {"scan-all", "scan-log-softmax"}


@pytest.mark.parametrize("name", RUNS)
def test_output(name, run, golden):
    command, options = RUNS[name]
    if name in _NEED_ML:
        pytest.importorskip("ml_dtypes")
    done = run(command, **options)
    assert (done.code, done.err) == (0, "")
    golden(f"{name}.txt", done.out)
