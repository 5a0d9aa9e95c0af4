"""The digits example: its training runs, and the files kept in the repository are what it makes."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
from sklearn.datasets import load_digits

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "examples" / "digits"
README = (COMMITTED / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def digits():
    """The names of the example's modules."""
    before = sys.path.copy()
    sys.path.insert(0, str(COMMITTED))
    try:
        import half
        import network
        import train

        return SimpleNamespace(**{**vars(network), **vars(train), **vars(half)})
    finally:
        sys.path[:] = before


@pytest.fixture(scope="module")
def run_script(python):
    """Run a script of the example in a process of its own, and return what it printed."""

    def run(script, argument):
        done = python("-W", "error", COMMITTED / script, argument)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


@pytest.fixture(scope="module")
def run(run_script, tmp_path_factory):
    """The folder that a run of the script has made and filled, and what the run printed."""
    folder = tmp_path_factory.mktemp("digits") / "not" / "there"
    return folder, run_script("train.py", folder)


@pytest.fixture(scope="module", params=["produced", "committed"])
def folder(request):
    return COMMITTED if request.param == "committed" else request.getfixturevalue("run")[0]


def read_logits(folder):
    return np.load(folder / "logits.npy", allow_pickle=False)


def read_labels(folder):
    header, *lines = (folder / "labels.csv").read_text(encoding="ascii").splitlines()
    assert header == "label"
    return np.array([int(line) for line in lines])


def share_correct(folder):
    return np.mean(read_logits(folder).argmax(axis=1) == read_labels(folder))


def naive_exp_overflows(logits):
    with np.errstate(over="ignore"):
        return np.isinf(np.exp(logits.astype(np.float16)))


class TestFiles:
    def test_csv_holds_the_same_numbers_as_npy_in_their_shortest_text(self, folder):
        content = (folder / "logits.csv").read_bytes().decode("ascii")
        header, *lines = content.split("\n")
        assert header.split(",") == [f"logit_{k}" for k in range(10)]
        assert lines.pop() == ""
        logits = read_logits(folder)
        assert [line.split(",") for line in lines] == [
            [repr(x) for x in row] for row in logits.tolist()
        ]

    def test_logits_are_those_of_a_network_that_has_learned(self, folder):
        logits = read_logits(folder)
        assert logits.shape == (len(read_labels(folder)), 10)
        assert logits.dtype == np.float64
        assert np.isfinite(logits).all()
        assert share_correct(folder) >= 0.96
        assert 0.25 < naive_exp_overflows(logits).any(axis=1).mean() < 1

    def test_labels_are_every_fifth_of_scikit_learn(self, folder):
        assert b"\r" not in (folder / "labels.csv").read_bytes()
        np.testing.assert_array_equal(read_labels(folder), load_digits().target[4::5])

    def test_committed_logits_are_those_of_the_script(self, run):
        """Training anew may change last digits, but no more.

        2^-20 = 1e-6 lies far above what other kernels of the linear algebra library did (2e-14),
        and far below what one more epoch of training does (1.6).
        """
        difference = np.abs(read_logits(run[0]) - read_logits(COMMITTED))
        assert difference.max() < 2**-20


def test_the_script_prints_the_figures_of_the_files(run):
    folder, printed = run
    logits, labels = read_logits(folder), read_labels(folder)
    assert f"trained on {1797 - 359} images, tested on 359" in printed
    assert re.search(rf"^accuracy +{share_correct(folder):.2%}$", printed, re.MULTILINE)
    assert f"from {logits.min():.2f} to {logits.max():.2f}" in printed
    rows = naive_exp_overflows(logits).any(axis=1).sum()
    assert f"{rows} rows have a logit above 11.0859375" in printed
    # For logits of this size the naive formula does in float64.
    log_probability = logits[np.arange(len(labels)), labels] - np.log(np.exp(logits).sum(1))
    assert re.search(rf"^loss +{-log_probability.mean():.4f}$", printed, re.MULTILINE)


def test_the_readme_has_the_figures_of_the_files():
    logits, labels = read_logits(COMMITTED), read_labels(COMMITTED)
    rows = naive_exp_overflows(logits).any(axis=1)
    assert f"{100 * share_correct(COMMITTED):.2f} %" in README
    assert f"In {rows.sum()} of the {len(rows)} rows" in README
    row = int(re.search(r"--row (\d+)", README)[1]) - 1
    x = logits[row]
    assert f"Row {row + 1} is a {labels[row]} that might be a 5." in README
    assert np.flatnonzero(naive_exp_overflows(x)).tolist() == [3]
    assert f"largest logit, {x.max():.2f}," in README
    probability = np.exp(x - x.max()) / np.exp(x - x.max()).sum()
    assert f"about {probability[3]:.2f} and the 5 about {probability[5]:.2f}" in README


@pytest.fixture(scope="module")
def printed(run_script, tmp_path_factory):
    """What the run in half precision printed, and the figure it drew."""
    figure = tmp_path_factory.mktemp("half") / "losses.svg"
    return run_script("half.py", figure), figure.read_text("utf-8")


class TestHalf:
    def test_only_the_naive_loss_in_float16_dies(self, printed):
        rows = printed[0].split("\n\n")[0].splitlines()[1:]
        table = {(row.split()[0], row.split()[1]): row for row in rows}
        assert len(table) == 4
        dead = {which for which, row in table.items() if "dead" in row}
        assert dead == {("naive", "float16")}
        assert float(re.search(r"([\d.]+)%", table["naive", "float16"])[1]) < 20
        alive = [row for row in table.values() if "dead" not in row]
        assert all(float(re.search(r"([\d.]+)%", row)[1]) >= 96 for row in alive)
        assert all(row.split()[2] == "1350" for row in alive)

    def test_the_row_that_did_it_is_shown_step_by_step(self, printed):
        """Read back from what was printed, the row is one whose naive softmax is NaN."""
        command = re.search(r"^\$ stablelse softmax (.*) --dtype float16", printed[0], re.MULTILINE)
        logits = np.array(command[1].split(), np.float16)
        assert naive_exp_overflows(logits).any()
        assert "∞ overflow" in printed[0]
        assert "NaN invalid" in printed[0]

    def test_the_image_is_named_that_did_it(self, digits, printed):
        row, step, label = map(
            int, re.search(r"image (\d+) .* of step (\d+), a (\d),", printed[0]).groups()
        )
        training_images, _ = digits.load_images()
        with np.errstate(all="ignore"):
            steps = digits.training(training_images, digits.naive_loss, "float16")
            for number, taken in enumerate(steps, 1):
                if number == step:
                    break
                assert np.isfinite(taken.losses).all()
        assert np.isfinite(taken.losses[: row - 1]).all()
        assert np.isnan(taken.losses[row - 1])
        assert taken.batch.labels[row - 1] == label

    def test_the_figure_says_where(self, printed):
        step = re.search(r"of step (\d+)", printed[0])[1]
        ElementTree.fromstring(printed[1])
        assert f"NaN at step {step}" in printed[1]
        kept = (COMMITTED / "losses.svg").read_text("utf-8")
        assert re.search(r"NaN at step \d+", kept)

    def test_readme_tells_what_is_printed(self, printed):
        table = printed[0].split("\n\n")[0]
        assert table in README
