"""Train the digits network with the naive and with the shifted loss, in float16 and float32.

The seed, the images and the steps are the same. The two losses are the same function of the logits,
written in two ways. If a training dies, the program names the step and the image, and shows how the
softmax of that row of logits became NaN, operation by operation.

Run ``python examples/digits/half.py [losses.svg]``; the figure of the loss curves needs
matplotlib.
"""

import subprocess
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from network import (
    Array,
    Images,
    Loss,
    Step,
    accuracy,
    load_images,
    network_logits,
    training,
)

FORMATS = ("float16", "float32")
# A curve of single batches is too rough to read: it shows averages of this many losses.
SMOOTHED = 45
# Two colours that the colour-blind can tell apart (Okabe & Ito); one loss may hide the other.
STYLES: dict[str, dict[str, Any]] = {
    "naive": {"color": "#d55e00", "linewidth": 4, "alpha": 0.6},
    "shifted": {"color": "#0072b2", "linewidth": 1.2},
}


def naive_loss(logits: Array, labels: Array) -> tuple[Array, Array]:
    """Return -log(exp(x_label) / sum(exp(x))) [N], and the gradient of its mean [N, K]."""
    images = np.arange(len(labels))
    terms = np.exp(logits)
    probability = terms / terms.sum(axis=1, keepdims=True)
    losses = -np.log(probability[images, labels])
    probability[images, labels] -= 1
    return losses, probability / len(labels)


def shifted_loss(logits: Array, labels: Array) -> tuple[Array, Array]:
    """Return log(sum(exp(x - max))) - (x_label - max) [N], and the gradient of its mean [N, K]."""
    images = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    terms = np.exp(shifted)
    total = terms.sum(axis=1, keepdims=True)
    losses = np.log(total[:, 0]) - shifted[images, labels]
    probability = terms / total
    probability[images, labels] -= 1
    return losses, probability / len(labels)


LOSSES: dict[str, Loss] = {"naive": naive_loss, "shifted": shifted_loss}


class Death(NamedTuple):
    """The first image of a batch, from 0, whose loss is not finite."""

    row: int
    label: int
    logits: Array


class Run(NamedTuple):
    """A training: the mean loss of every step, how it ended, and the network."""

    loss: str
    format: str
    curve: list[float]
    death: Death | None
    accuracy: float


def run(training_images: Images, test: Images, loss: str, format_: str) -> Run:
    """Train to the end, or to the first loss that is infinite or NaN."""
    curve: list[float] = []
    death = None
    for step in training(training_images, LOSSES[loss], format_):
        if death:
            break  # the network has already taken the step that killed it
        if not np.isfinite(step.losses).all():
            death = found_death(step)
        else:
            curve.append(float(step.losses.mean(dtype=np.float64)))
    logits = network_logits(test.x.astype(format_), step.network)
    return Run(loss, format_, curve, death, accuracy(logits, test.labels))


def found_death(step: Step) -> Death:
    """Return the first image of the batch whose loss is not finite."""
    row = int(np.flatnonzero(~np.isfinite(step.losses))[0])
    logits = network_logits(step.batch.x, step.network)[row]
    return Death(row, int(step.batch.labels[row]), logits)


def report(runs: Sequence[Run]) -> None:
    """Print how every training ended."""
    print("loss     format   steps  test images right")
    for one in runs:
        end = f"{one.accuracy:.1%}"
        if one.death:
            end += (
                f", dead: the loss of image {one.death.row + 1} of the batch of step "
                f"{len(one.curve) + 1}, a {one.death.label}, is not finite"
            )
        print(f"{one.loss:8} {one.format:8} {len(one.curve):5}  {end}")


def show(one: Run) -> None:
    """Show how the naive softmax of the last row of logits became NaN."""
    numbers = [str(x) for x in one.death.logits.tolist()]
    arguments = ["softmax", *numbers, "--dtype", one.format]
    arguments += ["--method", "naive", "--steps"]
    print(f"\n$ stablelse {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", "stablelse", *arguments], check=True)


def draw(runs: Sequence[Run], path: Path) -> None:
    """Draw the loss curves, a panel for each format; a cross is where a training died."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "stablelse", "svg.fonttype": "none", "font.size": 11}):
        figure = Figure(figsize=(8, 3.4), layout="constrained")
        panels = figure.subplots(1, len(FORMATS), sharex=True, sharey=True)
        for panel, format_ in zip(panels, FORMATS, strict=True):
            panel.set(title=format_, yscale="log", xlabel=f"step (mean of the last {SMOOTHED})")
            for one in (one for one in runs if one.format == format_):
                curve = np.convolve(one.curve, np.ones(SMOOTHED) / SMOOTHED, mode="valid")
                steps = np.arange(SMOOTHED, len(one.curve) + 1)
                panel.plot(steps, curve, **STYLES[one.loss], label=one.loss)
                if one.death:
                    end = (float(steps[-1]), float(curve[-1]))
                    panel.plot(*end, "X", color=STYLES[one.loss]["color"], markersize=10)
                    panel.annotate(
                        f"NaN at step {len(one.curve) + 1}",
                        end,
                        xytext=(12, 6),
                        textcoords="offset points",
                    )
            panel.legend(frameon=False)
        panels[0].set_ylabel("loss")
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main(figure: str | None = None) -> None:
    training_images, test = load_images()
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        runs = [
            run(training_images, test, loss, format_) for format_, loss in product(FORMATS, LOSSES)
        ]
    report(runs)
    for one in runs:
        if one.death:
            show(one)
    if figure:
        draw(runs, Path(figure))


if __name__ == "__main__":
    main(*sys.argv[1:])
