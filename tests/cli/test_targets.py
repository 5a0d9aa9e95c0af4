"""nll --label-smoothing and --class-weights: every method, every output, and what is refused."""

import json

import mpmath
import numpy as np
import oracle
import pytest

import stablelse
from stablelse.numerics.formats import FORMATS, find_format

RNG = np.random.default_rng(8)
LOGITS = RNG.normal(size=(12, 4)) * 9
LABELS = RNG.integers(0, 4, 12)
LABELS[3] = -100
WEIGHTS = [0.5, 2.0, 0.0, 1.25]

#: Options, and the library's arguments.
ASKED = {
    "smoothing": (["--label-smoothing", "0.1"], {"label_smoothing": 0.1}),
    "all of it": (["--label-smoothing", "1"], {"label_smoothing": 1.0}),
    "weights": (["--class-weights", "w"], {"weight": WEIGHTS}),
    "both": (
        ["--label-smoothing", "0.3", "--class-weights", "w"],
        {"label_smoothing": 0.3, "weight": WEIGHTS},
    ),
}


@pytest.fixture(autouse=True)
def files(here):
    """Logits with labels, and weights, where the command reads them."""
    np.save("x.npy", LOGITS)
    np.save("y.npy", LABELS)
    np.savetxt("w", WEIGHTS)


FILES = ["nll", "--logits", "x.npy", "--labels", "y.npy"]


@pytest.mark.parametrize("asked", ASKED)
def test_values_of_the_library_for_every_reduction(asked, run):
    options, same = ASKED[asked]
    for reduction in ("mean", "sum", "none"):
        done = run(*FILES, *options, "-q", "--reduction", reduction)
        right = stablelse.nll(LOGITS, LABELS, reduction=reduction, **same)
        kept = right[LABELS != -100] if reduction == "none" else right
        assert np.array_equal(np.array(done.out.split(), float), np.atleast_1d(kept))
    done = run(*FILES, *options, "-q", "--grad")
    right = stablelse.nll_grad(LOGITS, LABELS, reduction="none", **same)[LABELS != -100]
    assert np.array_equal(np.array(done.out.split(), float), right.ravel())


def defined(x, label, weight=(1, 1, 1, 1), label_smoothing=0.0):
    """Return the loss as PyTorch's cross_entropy defines it, exactly."""
    with mpmath.workprec(300):
        smoothing, log_p = mpmath.mpf(label_smoothing), oracle.log_softmax(x)
        shares = [(1 - smoothing) * (c == label) + smoothing / len(x) for c in range(len(x))]
        return -sum(w * t * y for w, t, y in zip(weight, shares, log_p, strict=True))


@pytest.mark.parametrize("asked", ASKED)
def test_the_loss_is_what_pytorch_defines(asked, run):
    options, same = ASKED[asked]
    found = json.loads(run(*FILES, *options, "--json").out)
    assert {total["verdict"] for total in found["totals"]} == {"right"}
    assert all(total["ulps"] <= 2 for total in found["totals"])
    for loss in found["losses"]:
        assert {result["verdict"] for result in loss["results"]} <= {"right", "digits_lost"}
    assert found["label_smoothing"] == same.get("label_smoothing")
    kept = LABELS != -100
    for loss, x, label in zip(found["losses"], LOGITS[kept], LABELS[kept], strict=True):
        true = defined(x, label, **same)
        assert loss["value"] == oracle.rounded_to(true, FORMATS["float64"])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_narrow_formats_round_the_weights_and_the_targets(dtype, run):
    format_ = find_format(dtype)
    (loss,) = json.loads(
        run(
            *["nll", "1.1", "2.2", "-0.3", "0", "--label", "1", "--label-smoothing", "0.1"],
            *["--class-weights", "w", "--dtype", dtype, "--json"],
        ).out
    )["losses"]
    x, w = format_.round(np.array([1.1, 2.2, -0.3, 0])), np.array(WEIGHTS)
    right = stablelse.nll(
        x, 1, weight=format_.round(w).astype(float), label_smoothing=0.1, reduction="none"
    )
    assert format_.dtype.type(loss["value"]) == right
    t = np.array([0.025, 0.925, 0.025, 0.025]) * w
    assert (abs(loss["weights"] - t) <= np.spacing(t)).all()
    assert loss["results"][1]["ulps"] <= 3


def test_what_breaks_and_what_does_not(run):
    done = run("nll", "1000", "0", "-1000", "5", "--label", "0", "--label-smoothing", "0.1")
    assert "naive NaN ✗   shifted 99.875 ✓" in done.out
    assert len(done.out.rstrip().splitlines()) <= 23
    weighted = ["nll", "0", "-800", "1", "2", "--label", "0", "--class-weights", "w", "--json"]
    (loss,) = json.loads(run(*weighted).out)["losses"]
    assert [result["verdict"] for result in loss["results"]] == ["right"] * 3
    smoothed = json.loads(run(*weighted, "--label-smoothing", "0.1").out)["losses"][0]
    assert [result["verdict"] for result in smoothed["results"]] == ["underflow", "right", "right"]
    (finding, _) = smoothed["results"][0]["findings"]
    assert (finding["kind"], finding["element"]) == ("term_underflow", 2)


def test_a_class_that_is_masked_gets_no_share(run):
    np.savetxt("mask", [1, 1, 0, 1])
    options = ["--mask", "mask", "--label-smoothing", "0.2", "--json"]
    (loss,) = json.loads(run("nll", "1", "2", "3", "4", "--label", "1", *options).out)["losses"]
    right = stablelse.nll([1, 2, 3, 4], 1, where=[True, True, False, True], label_smoothing=0.2)
    assert (loss["value"], loss["weights"][2]) == (right, 0)
    assert [r["verdict"] for r in loss["results"]] == ["right"] * 3
