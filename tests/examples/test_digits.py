"""The digits example: its training run, the files kept in the repository, and its gradient."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from sklearn.datasets import load_digits

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "examples" / "digits"
SCRIPT = COMMITTED / "train.py"
README = (COMMITTED / "README.md").read_text(encoding="utf-8")
UNIT_ROUNDOFF = np.finfo(np.float64).eps / 2


@pytest.fixture(scope="module")
def digits() -> ModuleType:
    spec = importlib.util.spec_from_file_location("digits_train", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder that a run of the script has made and filled, and what the run printed."""
    folder = tmp_path_factory.mktemp("digits") / "not" / "there"
    search_path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    completed = subprocess.run(
        [sys.executable, "-W", "error", SCRIPT, folder],
        env=os.environ | {"PYTHONPATH": search_path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (completed.returncode, completed.stderr) == (0, "")
    return folder, completed.stdout


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

    def test_logits_are_finite_float64_rows_of_ten(self, folder):
        logits = read_logits(folder)
        assert logits.shape == (len(read_labels(folder)), 10)
        assert logits.dtype == np.float64
        assert np.isfinite(logits).all()

    def test_labels_are_every_fifth_of_scikit_learn(self, folder):
        assert b"\r" not in (folder / "labels.csv").read_bytes()
        np.testing.assert_array_equal(read_labels(folder), load_digits().target[4::5])

    def test_network_has_learned(self, folder):
        assert share_correct(folder) >= 0.96

    def test_naive_float16_breaks_on_many_rows_yet_not_on_all(self, folder):
        share = naive_exp_overflows(read_logits(folder)).any(axis=1).mean()
        assert 0.25 < share < 1

    def test_committed_logits_are_those_of_the_script(self, run):
        """Training anew may change last digits, but no more.

        2^-20 = 1e-6 lies far above what other kernels of the linear algebra library did (2e-14),
        and far below what one more epoch of training does (1.6).
        """
        difference = np.abs(read_logits(run[0]) - read_logits(COMMITTED))
        assert difference.max() < 2**-20


class TestReport:
    def test_states_the_figures_of_the_files(self, run):
        folder, printed = run
        logits = read_logits(folder)
        assert f"trained on {1797 - 359} images, tested on 359" in printed
        assert re.search(rf"^accuracy +{share_correct(folder):.2%}$", printed, re.MULTILINE)
        assert f"from {logits.min():.2f} to {logits.max():.2f}" in printed
        rows = naive_exp_overflows(logits).any(axis=1).sum()
        assert f"{rows} rows have a logit above 11.0859375" in printed

    def test_loss_is_the_mean_negative_log_likelihood(self, run):
        folder, printed = run
        logits, labels = read_logits(folder), read_labels(folder)
        # For logits of this size the naive formula does in float64.
        log_probability = logits[np.arange(len(labels)), labels] - np.log(np.exp(logits).sum(1))
        assert re.search(rf"^loss +{-log_probability.mean():.4f}$", printed, re.MULTILINE)


class TestReadme:
    def test_states_the_figures_of_the_files(self):
        rows = naive_exp_overflows(read_logits(COMMITTED)).any(axis=1)
        assert f"{100 * share_correct(COMMITTED):.2f} %" in README
        assert f"In {rows.sum()} of the {len(rows)} rows" in README

    def test_its_row_is_a_three_that_overflows_in_one_element(self):
        row = int(re.search(r"--row (\d+)", README)[1]) - 1
        x = read_logits(COMMITTED)[row]
        assert f"Row {row + 1} is a {read_labels(COMMITTED)[row]} that might be a 5." in README
        assert np.flatnonzero(naive_exp_overflows(x)).tolist() == [3]
        assert f"largest logit, {x.max():.2f}," in README
        probability = np.exp(x - x.max()) / np.exp(x - x.max()).sum()
        assert f"about {probability[3]:.2f} and the 5 about {probability[5]:.2f}" in README


class TestThreshold:
    def test_is_the_last_float16_before_exp_overflows(self, digits):
        threshold = digits.float16_exp_threshold()
        assert threshold.dtype == np.float16
        assert threshold == 11.0859375

    def test_rows_above_it_are_the_rows_where_exp_overflows(self, digits):
        logits = read_logits(COMMITTED)
        np.testing.assert_array_equal(
            digits.overflows_in_float16(logits), naive_exp_overflows(logits).any(axis=1)
        )


class TestLoss:
    def test_stays_exact_where_the_naive_formula_overflows(self, digits):
        logits = np.array([[0.0, 1000.0], [0.0, 1000.0]])
        loss, d_logits = digits.negative_log_likelihood(logits, np.array([1, 0]))
        assert loss == (0 + 1000) / 2
        np.testing.assert_array_equal(d_logits, [[0, 0], [-0.5, 0.5]])


def loss_error(digits, images, network):
    """Bound the rounding error of the loss as computed.

    A product of D terms and a bias, summed in any order, is off by at most gamma_(D+1) times the
    same sum of absolute values (Higham 2002, section 3.1); one more u makes up for gamma. The relu
    adds no error and has slope at most 1; the gradient of the loss with respect to the logits of
    an image, softmax - onehot, has 1-norm at most 2. log_softmax of K logits, all of size s or
    less, sums K terms, has an exp and a log within 4 ulp each (1 ulp = 2 u at most) and three
    further operations, on numbers up to 2 s + log K.
    """
    (first_weight, first_bias), (second_weight, second_bias) = (map(np.abs, n) for n in network)
    hidden = digits.hidden_units(images.x, network)
    logits = digits.network_logits(images.x, network)
    n, k = logits.shape
    hidden_error = (images.x.shape[1] + 2) * (np.abs(images.x) @ first_weight + first_bias)
    logit_error = hidden_error @ second_weight + (hidden.shape[1] + 2) * (
        hidden @ second_weight + second_bias
    )
    largest = 2 * np.abs(logits).max() + np.log(k)
    log_softmax_error = (k + 2 * 4 * 2 + 3) * largest
    mean_error = n * largest
    return UNIT_ROUNDOFF * (2 * logit_error.max() + log_softmax_error + mean_error)


def small_problem(digits):
    """A network and images of few numbers, the parameters multiples of 2^-20."""
    rng = np.random.default_rng(2021)
    network = digits.random_network(rng, inputs=6, hidden=5, outputs=4)
    for parameter in parameters(network):
        parameter += rng.uniform(-0.5, 0.5, parameter.shape)
        parameter[...] = np.rint(2**20 * parameter) / 2**20
    images = digits.Images(rng.uniform(-1, 1, (20, 6)), rng.integers(0, 4, 20))
    share_active = np.mean(digits.hidden_units(images.x, network) > 0, axis=0)
    assert ((share_active > 0) & (share_active < 1)).all(), "a relu that never switches"
    return images, network


def parameters(network):
    return [parameter for layer in network for parameter in layer]


def central_difference(digits, images, network, parameter, index, h):
    """Return (loss(p + h) - loss(p - h)) / 2 h for one entry p of a parameter, and its error bound.

    p + h and p - h are exact, p being a multiple of 2^-20. As long as no relu switches, the
    logits of an image are linear in p, with a slope v [K]. Then the third derivative of the loss
    is the mean over the images of the third central moment of v under the softmax, at most
    (max v - min v)^3, and by Taylor's theorem the quotient is off by h^2/6 of that at most. The
    rounding errors of the two losses add loss_error / h.
    """
    p = parameter[index]
    losses, logits, active = [], [], []
    for shifted in (p - h, p + h):
        parameter[index] = shifted
        losses.append(digits.loss_and_gradient(images, network)[0])
        logits.append(digits.network_logits(images.x, network))
        active.append(digits.hidden_units(images.x, network) > 0)
    parameter[index] = p
    np.testing.assert_array_equal(*active)
    slope_range = np.ptp(logits[1] - logits[0], axis=1) / (2 * h)
    error = h**2 / 6 * np.mean(slope_range**3) + loss_error(digits, images, network) / h
    return (losses[1] - losses[0]) / (2 * h), error


class TestGradient:
    def test_agrees_with_central_differences(self, digits):
        """The rounding error of the gradient itself has no 1/h: that of the losses covers it."""
        images, network = small_problem(digits)
        _, gradient = digits.loss_and_gradient(images, network)
        checked = 0
        for parameter, d_parameter in zip(parameters(network), parameters(gradient), strict=True):
            assert d_parameter.shape == parameter.shape
            for index in np.ndindex(parameter.shape):
                difference, error = central_difference(
                    digits, images, network, parameter, index, h=2.0**-15
                )
                assert abs(difference - d_parameter[index]) <= error
                checked += 1
        assert checked == (6 + 1) * 5 + (5 + 1) * 4

    def test_inputs_get_theirs_too(self, digits):
        """d_inputs = d_out W^T, on whole numbers and hence exact."""
        x, d_out = np.array([[1.0, 2.0]]), np.array([[1.0, -1.0, 3.0]])
        layer = digits.Layer(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), np.ones(3))
        d_inputs, (d_weight, d_bias) = digits.layer_backward(x, layer, d_out)
        np.testing.assert_array_equal(digits.layer_forward(x, layer), [[10, 13, 16]])
        np.testing.assert_array_equal(d_inputs, [[8, 17]])
        np.testing.assert_array_equal(d_weight, [[1, -1, 3], [2, -2, 6]])
        np.testing.assert_array_equal(d_bias, [1, -1, 3])
