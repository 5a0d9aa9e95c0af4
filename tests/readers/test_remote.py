"""URLs: a store in memory, web servers with and without ranges, and one-line errors."""

import http.server
import sys
import threading
from importlib.util import find_spec

import numpy as np
import pytest
from files import complaint, gathered, npz, saved

from stablelse.readers import open_blocks, open_files, sources
from stablelse.readers.blocks import ReadError
from stablelse.readers.sources import find_files

fsspec = pytest.importorskip("fsspec")

NUMBERS = np.random.default_rng(12).normal(size=(3_000, 2))
TEXT = "".join(f"{x!r},{y!r}\n" for x, y in NUMBERS.tolist()).encode()


FILES = {
    "x.csv": TEXT,
    "x.npy": saved(NUMBERS),
    "fortran.npy": saved(np.asfortranarray(NUMBERS)),
    "x.npz": npz(x=NUMBERS),
}


@pytest.fixture
def memory():
    store = fsspec.filesystem("memory")
    for name, data in FILES.items():
        store.pipe(f"/x/{name}", data)
    yield store
    store.store.clear()
    store.pseudo_dirs[:] = [""]


@pytest.mark.parametrize("name", FILES)
def test_memory(name, memory):
    url = f"memory://x/{name}"
    assert np.array_equal(gathered(url), NUMBERS)
    assert next(open_blocks(url)).source.startswith(url)


def test_directories_and_patterns(memory):
    for number in (10, 9):
        memory.pipe(f"/parts/p{number}.csv", b"%d\n" % number)
    memory.pipe("/parts/_SUCCESS", b"")
    expected = ["memory:///parts/p9.csv", "memory:///parts/p10.csv"]
    assert find_files("memory://parts") == expected
    assert find_files("memory://parts/*.csv") == expected
    values = [block.values.tolist() for block in open_files(["memory://parts/p*.csv"])]
    assert values == [[[9]], [[10]]]
    memory.pipe("/parts/p[1].csv", b"1\n")
    assert find_files("memory://parts/p[1].csv") == ["memory://parts/p[1].csv"]
    with pytest.raises(ReadError, match=r"^no file matches memory://no/\*; check the path$"):
        find_files("memory://no/*")


def test_no_file(memory):
    assert complaint("memory://x/no") == "cannot read x: no such file; check the URL"


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves FILES; the server decides about ranges and the length of answers."""

    def do_HEAD(self):
        self._head()

    def do_GET(self):
        begin, end = self._head()
        data = FILES.get(self.path.strip("/").partition("?")[0], b"")
        self.wfile.write(data[begin : min(end, self.server.cut)])

    def _head(self):
        name = self.path.strip("/").partition("?")[0]
        if name not in FILES:
            self.send_error(404)
            return 0, 0
        size = len(FILES[name])
        begin, end = 0, size
        wanted = self.headers.get("Range")
        if wanted and self.server.has_ranges:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            begin, end = int(first), min(size, int(last) + 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(end - begin))
        self.end_headers()
        return begin, end

    def log_message(self, *args):
        pass


@pytest.fixture(params=[True, False], ids=["ranges", "no ranges"])
def server(request, monkeypatch):
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(sources, "_FETCHED_BYTES", 1 << 14)  # several requests per file
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.handle_error = lambda request, address: None  # a client that hangs up
        running.has_ranges, running.cut = request.param, sys.maxsize
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        running.url = f"http://127.0.0.1:{running.server_port}"
        yield running
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("name", FILES)
def test_web(name, server):
    assert np.array_equal(gathered(f"{server.url}/{name}"), NUMBERS)


def test_a_query_is_no_pattern(server):
    assert np.array_equal(gathered(f"{server.url}/x.csv?version=1"), NUMBERS)
    assert find_files(f"{server.url}/x.csv?version=*") == [f"{server.url}/x.csv?version=*"]


def test_complaints_of_a_server(server):
    message = "cannot read x: the server answers 404; check the URL"
    assert complaint(f"{server.url}/no.csv") == message
    server.cut = 40_000
    assert complaint(f"{server.url}/x.csv").startswith("cannot read x: ")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:1/x.csv", "cannot read x: Cannot connect to host 127.0.0.1:1"),
        ("nosuch://x", "cannot read x: Protocol not known: nosuch"),
        ("zip://x.csv::memory://x.zip", "x names one file within another; unpack it first"),
        ("c://x", "cannot read x: No such file"),  # a drive is not a scheme
    ],
)
def test_complaints(url, said):
    assert complaint(url).startswith(said)


@pytest.mark.parametrize(("store", "package"), [("s3", "s3fs"), ("gs", "gcsfs"), ("abfs", "adlfs")])
def test_a_store_whose_package_is_missing(store, package):
    if find_spec(package):
        pytest.skip(f"{package} is installed")
    message = complaint(f"{store}://bucket/x.npy")
    assert message.startswith("cannot read x: ")
    assert package in message


def test_a_local_file_by_its_url(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(TEXT)
    assert np.array_equal(gathered(path.as_uri()), NUMBERS)
