"""Train a small softmax network on handwritten digits and write its logits for the test images.

Run ``python examples/digits/train.py [FOLDER]``; it writes ``logits.csv``, ``logits.npy`` and
``labels.csv`` into FOLDER, by default next to this file.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from network import (
    DIGITS,
    Array,
    accuracy,
    load_images,
    negative_log_likelihood,
    network_logits,
    train,
)


def float16_exp_threshold() -> np.float16:
    """Return the largest float16 whose exp is finite in float16.

    Read as unsigned integers, the float16 numbers from 0 up to infinity are consecutive.
    """
    infinity = np.float16(np.inf).view(np.uint16)
    numbers = np.arange(infinity, dtype=np.uint16).view(np.float16)
    with np.errstate(over="ignore"):
        return np.float16(numbers[np.isfinite(np.exp(numbers))][-1])


def overflows_in_float16(logits: Array) -> Array:
    """Return [N], for each row, whether exp of its largest logit overflows in float16."""
    return logits.astype(np.float16).max(axis=1) > float16_exp_threshold()


def write_csv(path: Path, header: Sequence[str], rows: Array) -> None:
    """Write a header line and the rows, each number as the shortest text that reads back to it."""
    lines = [",".join(header), *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="ascii", newline="\n")


def main(output_folder: Path) -> None:
    training, test = load_images()
    network = train(training)
    logits = network_logits(test.x, network)

    output_folder.mkdir(parents=True, exist_ok=True)
    write_csv(output_folder / "logits.csv", [f"logit_{k}" for k in range(DIGITS)], logits)
    np.save(output_folder / "logits.npy", logits)
    write_csv(output_folder / "labels.csv", ["label"], test.labels[:, np.newaxis])

    losses, _ = negative_log_likelihood(logits, test.labels)
    print(f"trained on {len(training.labels)} images, tested on {len(test.labels)}")
    print(f"accuracy   {accuracy(logits, test.labels):.2%}")
    print(f"loss       {losses.mean():.4f}")
    print(f"logits     from {logits.min():.2f} to {logits.max():.2f}")
    print(
        f"float16    {overflows_in_float16(logits).sum()} rows have a logit above "
        f"{float16_exp_threshold()}, where exp overflows"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
