"""NumPy, which has no log-sum-exp: the textbook's formula, and a reduction two by two."""

from __future__ import annotations

import numpy as np

from stablelse.analysis.peers import Library, Task


def naive() -> Library:
    """Return the formulas as everybody types them."""
    return Library(
        version=np.__version__,
        names={"np": np},
        calls={
            Task.LOGSUMEXP: "np.log(np.sum(np.exp(x), axis=-1))",
            Task.SOFTMAX: "np.exp(x) / np.sum(np.exp(x), axis=-1, keepdims=True)",
            Task.LOG_SOFTMAX: "np.log(np.exp(x) / np.sum(np.exp(x), axis=-1, keepdims=True))",
            Task.WEIGHTED: "np.log(np.sum(b * np.exp(x), axis=-1))",
            Task.SIGNED: "(np.log(np.abs(s := np.sum(b * np.exp(x), axis=-1))), np.sign(s))",
        },
    )


def logaddexp() -> Library:
    """Return what can be made of ``np.logaddexp``."""
    lse = "np.logaddexp.reduce(x, axis=-1{})"
    kept = lse.format(", keepdims=True")
    return Library(
        version=np.__version__,
        names={"np": np},
        calls={
            Task.LOGSUMEXP: lse.format(""),
            Task.SOFTMAX: f"np.exp(x - {kept})",
            Task.LOG_SOFTMAX: f"x - {kept}",
        },
    )
