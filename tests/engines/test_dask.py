"""The fold on a cluster: the same bits as here, whatever becomes of the workers."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest

distributed = pytest.importorskip("distributed")

import workers  # noqa: E402
from dask import config as settings  # noqa: E402

import stablelse  # noqa: E402
from stablelse import StreamState, engines  # noqa: E402
from stablelse.readers import ReadError, open_blocks, split_file  # noqa: E402

X = np.random.default_rng(7).normal(0, 300, 30_000)
TRUTH = stablelse.logsumexp(X)


def started(count, processes=True):
    """Start a cluster, of processes or of threads here, of which nobody hears anything."""
    return distributed.LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        processes=processes,
        protocol="tcp",
        dashboard_address=None,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        silence_logs=logging.CRITICAL + 1,
    )


@pytest.fixture(scope="module")
def own():
    """A cluster whose workers come back when they die."""
    with started(2) as own:
        yield own


@pytest.fixture
def cluster(own):
    """Return the address of the cluster."""
    return own.scheduler_address


@pytest.fixture
def there(run, cluster):
    """Run lse on that cluster."""
    return partial(run, "lse", "--engine", "dask", "--scheduler", cluster, "--file")


def folded(path, cluster, part_bytes, ahead=1000):
    """Return what a file on a cluster comes to, and its parts in order."""
    first, state, parts = next(open_blocks(str(path))), StreamState(), []

    def take(part, folded):
        parts.append(part)
        state.merge(folded.states[0])

    split = partial(split_file, part_bytes=part_bytes)
    work = partial(engines.fold_part, states=[StreamState()], first=first)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "_PARTS_AHEAD", ahead)
        engines.fold_on_cluster([str(path)], split, work, take, cluster)
    return state.result(), parts


def in_parts(work, cluster=None, path="x", take=lambda part, result: None):
    engines.fold_on_cluster([str(path)], workers.split, work, take, cluster)


@pytest.mark.parametrize("ahead", [1000, 3])
def test_the_bits_are_those_of_one_machine(cluster, tmp_path, ahead):
    path = tmp_path / "x.npy"
    np.save(path, X)
    here = StreamState().update(X, str(path)).result()
    for part_bytes in (1 << 14, 50_000):
        stream, parts = folded(path, cluster, part_bytes, ahead)
        assert sum(part.size for part in parts) == path.stat().st_size
        assert len(parts) == -(-path.stat().st_size // part_bytes)
        assert stream.value.tobytes() == TRUTH.tobytes() == here.value.tobytes()
        assert (stream.n, stream.source) == (len(X), str(path))
        assert stream.results[0].findings == here.results[0].findings


def test_files_of_all_kinds_by_the_command(there, run, tmp_path):
    np.save(tmp_path / "part-1.npy", X[:12_000])
    np.savetxt(tmp_path / "part-2.csv", X[12_000:20_000], "%.17g", header="x", comments="")
    np.savez(tmp_path / "part-10.npz", X[20_000:])
    done = there(tmp_path, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.notes == (f"{tmp_path / 'part-2.csv'}, line 1 is a header: x",)
    here = run("lse", "--json", "--file", tmp_path)
    (found,), (expected,) = (json.loads(text)["vectors"] for text in (done.out, here.out))
    assert found["value"] == expected["value"] == float(TRUTH)
    assert found["source"] == expected["source"] == f"{tmp_path / 'part-1.npy'} and 2 more"
    for name in ("n", "minimum", "maximum"):
        assert found[name] == expected[name]
    (broken,), (the_same,) = (v["results"][0]["findings"] for v in (found, expected))
    assert broken == the_same


def test_what_a_worker_notes_is_printed_here(there, tmp_path):
    """The command opens the first file alone; what the others hold is noted by the workers."""
    for name, header in (("1.csv", ""), ("2.csv", "a\n"), ("3.csv", "b\n")):
        (tmp_path / name).write_text(header + "1\n2\n" * 10_000)
    done = there(tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.notes == tuple(
        f"{tmp_path / name}, line 1 is a header: {column}"
        for name, column in (("2.csv", "a"), ("3.csv", "b"))
    )


def test_the_value_is_certified(there, tmp_path):
    x = np.full(20_000, 1e-3 - np.log(20_000))
    np.save(tmp_path / "x.npy", x)
    (stream,) = json.loads(there(tmp_path / "x.npy", "--json").out)["vectors"]
    assert stream["value"] == stablelse.logsumexp(x)
    assert [result["method"] for result in stream["results"]] == ["naive", "shifted", "exact"]


@pytest.mark.parametrize("by", ["all", "columns"])
@pytest.mark.parametrize("row", ["{}", "[{}]", "[{}, 3]", '{{"x": [{}, -{}]}}', "{},-{}"])
def test_it_has_the_values_of_one_machine(there, run, tmp_path, row, by):
    path = tmp_path / "x"
    path.write_text("".join(row.format(x, x).replace("--", "") + "\n" for x in X[:5000].tolist()))
    asked = (path, "--by", by, "--quiet")
    done = there(*asked)
    assert (done.code, done.err) == (0, "")
    assert done == run("lse", "--file", *asked)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["1\n2\n" * 10_000 + "3\n", "1\n" * 20_000 + "oops\n"], "1.x, line 20001, column 1: "),
        (["[1]\n[2]\n" * 10_000 + "3\n"], "0.x, line 20001 has a number, but an array"),
        (["1,2\n" * 9000, "1,2,3\n"], "1.x has 3 columns, but "),
    ],
)
def test_what_cannot_be_read_is_an_error_at_its_line(there, tmp_path, texts, said):
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.x").write_text(text)
    done = there(tmp_path, "--by", "all", "--output", tmp_path / "out.txt")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"stablelse: error: {tmp_path}/{said}")
    assert not (tmp_path / "out.txt").exists()


def test_few_numbers_are_shown_as_ever(there, run, tmp_path):
    (tmp_path / "x.csv").write_text("1000\n1001\n")
    assert there(tmp_path / "x.csv") == run("lse", "--file", tmp_path / "x.csv")


def test_a_worker_that_dies_costs_a_retry(cluster, tmp_path):
    found = []
    in_parts(workers.die_once, cluster, tmp_path, lambda part, result: found.append(result))
    assert found == list(range(10))
    assert (tmp_path / "killed").exists()


def test_a_part_that_kills_every_worker_is_an_error(own, cluster, monkeypatch):
    monkeypatch.setattr(own.scheduler, "allowed_failures", 0)
    with pytest.raises(engines.ClusterError, match=r"^1 workers of .* died on the same part"):
        in_parts(workers.die, cluster)


def test_a_bug_keeps_its_name(cluster):
    with pytest.raises(ZeroDivisionError, match="a bug at"):
        in_parts(workers.fail, cluster)


def test_a_scheduler_that_is_lost_is_an_error():
    with (
        started(1, processes=False) as lost,
        pytest.raises(engines.ClusterError, match=r"the Dask cluster at tcp://.* is lost \("),
    ):
        in_parts(workers.sleep, lost.scheduler_address, take=lambda part, result: lost.close())


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("tcp://127.0.0.1:1", "Timed out trying to connect to tcp://127.0.0.1:1 after 0.3 s"),
        ("tcp://no.such.host.invalid:8786", "Timed out trying to connect"),
        ("cluster", "missing port number in address 'cluster'"),
        ("http://127.0.0.1:8786", "unknown address scheme 'http'"),
    ],
)
def test_no_scheduler_answers(run, tmp_path, monkeypatch, address, reason):
    monkeypatch.setattr(engines, "_PATIENCE", 0.3)
    np.save(tmp_path / "x.npy", X)
    asked = ("lse", "--engine", "dask", "--scheduler", address, "--file", tmp_path / "x.npy")
    done = run(*asked)
    if "no answer in time" in done.err:  # the machine stood still as Dask's thread started
        done = run(*asked)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    start = f"stablelse: error: cannot reach a Dask scheduler at {address} ({reason}"
    assert done.err.startswith(start)
    assert done.err.endswith("); check the address\n")


@pytest.mark.parametrize("error", [AssertionError(), TimeoutError()])
def test_no_bare_exception_is_told(monkeypatch, error):
    """As where a machine stands still, and Dask's thread is not there in time, as it asserts."""

    def late(runner):
        raise error

    monkeypatch.setattr("distributed.utils.LoopRunner._start_unlocked", late)
    with pytest.raises(engines.ClusterError) as raised:
        in_parts(workers.number, "tcp://127.0.0.1:1")
    complaint = "cannot reach a Dask scheduler at tcp://127.0.0.1:1 (no answer in time)"
    assert str(raised.value) == f"{complaint}; check the address"


def test_a_cluster_of_nobody(monkeypatch):
    monkeypatch.setattr(engines, "_PATIENCE_FOR_WORKERS", 0.1)
    with (
        started(0) as empty,
        settings.set({"scheduler-address": empty.scheduler_address}),
        pytest.raises(engines.ClusterError, match=r"^the Dask cluster at .* has no workers"),
    ):
        in_parts(workers.number)


def test_workers_that_lack_the_package(monkeypatch, cluster):
    monkeypatch.setattr(engines, "_VERSION", "no_such_package:version")
    with pytest.raises(engines.ClusterError, match=r"cannot load stablelse: No module named"):
        in_parts(workers.number, cluster)
    monkeypatch.undo()
    monkeypatch.setattr(engines, "__version__", "0.0.7")
    with pytest.raises(engines.ClusterError, match=r"has 0\.1\.0; install stablelse 0\.0\.7 there"):
        in_parts(workers.number, cluster)


def test_without_dask(monkeypatch):
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with pytest.raises(
        engines.ClusterError, match=r"not installed: pip install distributed fsspec$"
    ):
        in_parts(workers.number)


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["--engine", "dask", "1", "2"], "--engine dask is for files"),
        (["--engine", "dask"], "--engine dask is for files"),
        (["--engine", "dask", "-f", "-"], "--engine dask is for files"),
        (["--engine", "dask", "-f", "{}", "--steps"], "--engine dask sums in one pass"),
        (["--engine", "dask", "-f", "{}", "--shift", "0"], "--engine dask sums in one pass"),
        (["--engine", "dask", "-f", "{}"], "use --by all or --by columns"),
        (["--scheduler", "tcp://x:1", "-f", "{}"], "--scheduler is for a cluster"),
    ],
)
def test_what_a_cluster_does_not_do(run, tmp_path, args, reason):
    np.save(tmp_path / "x.npy", X.reshape(-1, 2))
    done = run("lse", *(arg.format(tmp_path / "x.npy") for arg in args), stdin=b"1\n")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert reason in done.err


#: The command, as it is where there is one core, and so one worker: it starts sooner.
ON_ONE_CORE = """
import runpy, dask.system
dask.system.CPU_COUNT = 1
runpy.run_module("stablelse", run_name="__main__")
"""


def wait(condition):
    """Wait until a condition holds, and return whether it does."""
    deadline = time.monotonic() + 20
    while not (holds := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds


def test_no_process_is_left_behind(environment, tmp_path):
    """Whether the command is interrupted, as a terminal does it, to all of them, or killed."""
    psutil = pytest.importorskip("psutil")
    path = tmp_path / "x.npy"
    x = np.lib.format.open_memmap(path, "w+", np.float64, (1 << 27,))  # a sparse gigabyte
    del x
    command = [sys.executable, "-c", ON_ONE_CORE, "lse", "--engine", "dask", "--file", str(path)]
    commands = [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        for _ in range(2)
    ]
    interrupted, killed = commands
    parents = [psutil.Process(process.pid) for process in commands]
    with interrupted, killed:
        # One of them is Python's own, which tracks resources.
        assert wait(lambda: all(len(p.children(recursive=True)) > 1 for p in parents))
        time.sleep(0.5)
        children = [child for p in parents for child in p.children(recursive=True)]
        os.killpg(interrupted.pid, signal.SIGINT)
        killed.kill()
        out, err = interrupted.communicate(timeout=20)
        killed.communicate(timeout=20)
    assert (out, interrupted.returncode) == (b"", 130)
    assert err.decode().startswith("stablelse: interrupted after ")
    assert err.count(b"\n") == 1
    assert wait(lambda: not any(child.is_running() for child in children))


def test_by_itself_it_starts_processes_and_says_nothing(run, tmp_path, monkeypatch, capfd):
    np.save(tmp_path / "x.npy", X)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dask.system.CPU_COUNT", 1)
    done = run("lse", "--quiet", "--engine", "dask", "--file", "x.npy")
    assert (done.code, done.err, np.float64(done.out)) == (0, "", TRUTH)
    assert capfd.readouterr() == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_an_error_that_is_read_elsewhere_arrives_as_it_is():
    import pickle

    error = pickle.loads(pickle.dumps(ReadError("x.csv, line 3")))
    assert (type(error), str(error)) == (ReadError, "x.csv, line 3")
