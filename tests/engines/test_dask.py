"""The fold on a cluster: the same bits as here, whatever becomes of the workers."""

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest

distributed = pytest.importorskip("distributed")

import workers  # noqa: E402
from dask import config as settings  # noqa: E402

import stablelse  # noqa: E402
from stablelse import StreamState, engines  # noqa: E402
from stablelse.readers import open_blocks, split_file  # noqa: E402
from stablelse.readers.blocks import Block, ReadError  # noqa: E402

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
def own(tmp_path_factory):
    """A cluster whose workers come back when they die."""
    scratch = {"temporary-directory": str(tmp_path_factory.mktemp("scratch"))}
    with settings.set(scratch), started(2) as own:
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
        state.merge(folded[0][0])

    split = partial(split_file, part_bytes=part_bytes)
    work = partial(engines.fold_part, states=[StreamState()], first=first)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "_PARTS_AHEAD", ahead)
        engines.fold_parts([str(path)], split, work, take, cluster)
    return state.result(), parts


def in_parts(
    work, cluster=None, path="x", take=lambda part, result: None, split=workers.split, **options
):
    engines.fold_parts([str(path)], split, work, take, cluster, **options)


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
    with pytest.raises(ReadError, match=r"^the Dask cluster at .* lost 1 workers to the same part"):
        in_parts(workers.die, cluster)


@pytest.mark.parametrize("scheduler", ["cluster", None])
def test_a_bug_keeps_its_name(request, scheduler):
    address = scheduler and request.getfixturevalue(scheduler)
    with pytest.raises(ZeroDivisionError, match="a bug at"):
        in_parts(workers.fail, address)
    with pytest.raises(TypeError, match="cannot pickle") if address else nullcontext():
        in_parts(workers.unpicklable, address)


def test_a_file_that_workers_cannot_see(cluster, tmp_path):
    split = partial(split_file, root=str(tmp_path))
    with pytest.raises(ReadError, match=r"^cannot read .*absent: No such file .*the worker on "):
        in_parts(workers.number, cluster, "absent", split=split)


def test_relative_paths_are_those_of_the_command(there, here):
    """The workers run in other folders, but errors name files as the user does."""
    (here / "1.csv").write_text("1\n" * 20_000)
    (here / "2.csv").write_text("1\noops\n")
    done = there("1.csv", "--file", "2.csv")
    assert done.err.startswith("stablelse: error: 2.csv, line 2, column 1: ")


def test_workers_that_lack_the_package_or_have_another_version(own, cluster):
    with distributed.Client(own, set_as_default=False) as client:
        for version, reason in (
            (None, r"cannot load stablelse \(.*None in sys.modules\): install"),
            ("0.0.7", rf"the worker on .* has stablelse 0\.0\.7, not {stablelse.__version__}: "),
        ):
            client.run(workers.have, version)
            with pytest.raises(ReadError, match=reason):
                in_parts(workers.number, cluster)
        client.run(workers.have, stablelse.__version__)


def test_what_others_have_all_clients_print_is_not_printed(cluster, capfd):
    in_parts(workers.shout, cluster)
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def impatient(monkeypatch):
    for name, seconds in {"_PULSE": 0.2, "_SILENCE": 0.3}.items():
        monkeypatch.setattr(engines, name, seconds)


@pytest.fixture
def another(environment, tmp_path):
    """A process with a scheduler and a worker, to stop and to kill."""
    more = {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", "import workers; workers.serve()"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment | more) as process:
        yield process
        process.kill()


def test_a_cluster_that_stops_and_goes_on(another, impatient):
    """The scheduler and the worker are stopped while they work."""
    address, found, heard = another.stdout.readline().decode().strip(), [], []

    def take(part, result):
        found.append(result)
        if len(found) == 3:
            another.send_signal(signal.SIGSTOP)

    def warn(trouble):
        heard.append(trouble)
        if trouble:
            another.send_signal(signal.SIGCONT)

    in_parts(workers.sleep, address, take=take, warn=warn)
    assert (found, heard[-1]) == ([*range(10)], "")
    assert "its scheduler does not answer" in heard
    found.clear()
    with pytest.raises(
        ReadError, match=r"is stuck: its scheduler does not answer, for \d s; check"
    ):
        in_parts(workers.sleep, address, take=take, patience=0.9)
    with pytest.raises(ReadError, match=r"\(no answer within 0.5 seconds\); check the"):
        in_parts(workers.number, address, patience=0.5)
    another.send_signal(signal.SIGCONT)
    with pytest.raises(ReadError, match=r"is lost \(.*\); run the command again"):
        in_parts(workers.sleep, address, take=lambda part, result: another.kill())


@pytest.mark.filterwarnings("ignore:Creating scratch directories")  # on a busy machine
def test_the_last_worker_ends(run, impatient, tmp_path):
    none = r"is stuck: no worker is running, for \d s; start some: dask worker tcp"
    (tmp_path / "x.csv").write_text("1\n" * 20_000)
    with (
        settings.set({"temporary-directory": str(tmp_path)}),
        started(1, processes=False) as cluster,
    ):
        address = cluster.scheduler_address
        with pytest.raises(ReadError, match=none):
            in_parts(workers.sleep, address, take=lambda *_: cluster.scale(0), patience=1)
        with settings.set({"scheduler-address": address}):
            done = run("lse --engine dask --timeout 0.9 --file", tmp_path / "x.csv")
    assert (done.code, done.notes) == (2, ("waiting for the cluster: no worker is running",))
    assert re.search(none, done.err)


@pytest.mark.parametrize(
    ("answer", "seconds", "reason"),
    [
        (b"", "0.5", "no answer within 0.5 seconds"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "9", "what answers there is not one"),
    ],
)
def test_who_answers_is_not_a_scheduler(process, tmp_path, answer, seconds, reason):
    np.save(tmp_path / "x.npy", X)

    def answer_once():
        with server.accept()[0] as connection:
            connection.sendall(answer)
            while connection.recv(4096):
                pass

    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor() as pool:
        server.settimeout(20)  # the pool waits for it
        if answer:
            pool.submit(answer_once)
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        line = f"lse --engine dask --scheduler {address} --timeout {seconds} -f {tmp_path}/x.npy"
        done = process(line, timeout=20)
    start = f"stablelse: error: cannot reach a Dask scheduler at {address} ("
    end = "); check the address, as in tcp://host:8786, and Dask's settings\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", start + reason + end)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("tcp://127.0.0.1:1", "cannot reach a Dask scheduler at tcp://127.0.0.1:1 ("),
        ("tls://127.0.0.1:1", "TLS expects"),
        ("garbage", "missing port number in address 'garbage'"),
        ("", "cannot reach a Dask scheduler at '' ("),
        ("http://127.0.0.1:80", "unknown address scheme 'http'"),
        ("inproc://10.0.0.1/5/6", "inproc address '10.0.0.1/5/6' does not match host"),
        ("tcp://\x1b[31m:1", r"cannot reach a Dask scheduler at tcp://\x1b[31m:1 ("),
    ],
)  # fmt: skip
def test_what_is_not_an_address(run, tmp_path, address, reason):
    np.save(tmp_path / "x.npy", X)
    asked = ("lse", "--engine", "dask", "--scheduler", address, "--timeout", "0.3", "--file")
    done = run(*asked, tmp_path / "x.npy")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert reason in done.err
    assert "\x1b" not in done.err


def test_an_error_stops_the_other_threads(monkeypatch):
    def endless(part, note):
        if part == "broken":
            raise ReadError("broken")
        while True:
            yield Block(np.zeros((1, 1)), "x", 0)

    monkeypatch.setattr(engines, "read_part", endless)
    work = partial(engines.fold_part, states=[StreamState()], first=Block(X[:1, None], "x", 0))
    with pytest.raises(ReadError, match="broken"):
        in_parts(work, split=lambda path: ["broken", "endless"])


def test_without_dask(monkeypatch):
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with pytest.raises(ReadError, match=r"not installed: pip install distributed fsspec$"):
        in_parts(workers.number)


def test_settings_that_dask_cannot_read(process, tmp_path):
    np.save(tmp_path / "x.npy", X)
    (tmp_path / "x.yaml").write_text("a: [1")
    done = process(f"lse --engine dask --file {tmp_path}/x.npy", DASK_CONFIG=str(tmp_path))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("stablelse: error: cannot load Dask: A dask config file at ")


def opened(pid):
    """Return the names of the files and sockets that a process has open."""
    names = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            names.add(descriptor.readlink().name)
    return names


def listeners(pid):
    """Return the sockets of a process that others can connect to, as the system lists them."""
    tables = [Path(f"/proc/{pid}/net/{name}").read_text() for name in ("tcp", "tcp6", "udp")]
    rows = [row.split() for table in tables for row in table.splitlines()[1:]]
    return [
        row[1] for row in rows if row[3] in ("0A", "07") and f"socket:[{row[9]}]" in opened(pid)
    ]


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("joins", [False, True])
def test_nobody_can_connect_and_ctrl_c_ends_it(request, environment, tmp_path, joins):
    """With threads here, or on a cluster; a sparse file of 16 GB keeps them busy."""
    path = tmp_path / "x.npy"
    np.lib.format.open_memmap(path, "w+", np.float64, (1 << 31,))
    command = [sys.executable, "-m", "stablelse", "lse", "--engine", "dask", "--file", str(path)]
    if joins:
        command += ["--scheduler", request.getfixturevalue("cluster")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    settings = environment | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=settings, cwd=tmp_path, **pipes) as process:
        begin = time.monotonic()
        while not any(name.startswith(("x.npy", "socket")) for name in opened(process.pid)):
            assert time.monotonic() - begin < 20
            time.sleep(0.05)
        time.sleep(1)
        assert listeners(process.pid) == []
        process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        out, err = process.communicate(timeout=20)
    assert time.monotonic() - begin < 5
    assert (out, process.returncode) == (b"", 130)
    assert re.fullmatch(rb"stablelse: interrupted after .*\n", err)
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_without_a_scheduler_threads_do_the_work(run, here):
    np.save(here / "1.npy", X[:10_000])
    (here / "2.csv").write_text("\n".join(map(repr, X[10_000:].tolist())))
    done = run("lse", "--quiet", "--engine", "dask", "--file", ".")
    assert (done.code, done.err, np.float64(done.out)) == (0, "", TRUTH)
    (here / "3.csv").write_text("1\noops\n")
    done = run("lse", "--quiet", "--engine", "dask", "--file", ".")
    assert (done.code, done.out) == (2, "")
    assert "3.csv, line 2, column 1: 'oops' is not a number" in done.err
