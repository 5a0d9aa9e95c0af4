"""The functions of this package: correctly rounded."""

from __future__ import annotations

from stablelse.analysis.peers import Library, Task


def library() -> Library:
    """Return the public functions; the gradient of log-sum-exp is the softmax."""
    import stablelse

    return Library(
        version=stablelse.__version__,
        names={"stablelse": stablelse},
        calls={
            Task.LOGSUMEXP: "stablelse.logsumexp(x, axis=-1)",
            Task.SOFTMAX: "stablelse.softmax(x, axis=-1)",
            Task.LOG_SOFTMAX: "stablelse.log_softmax(x, axis=-1)",
            Task.WEIGHTED: "stablelse.logsumexp(x, axis=-1, b=b)",
            Task.SIGNED: "stablelse.logsumexp(x, axis=-1, b=b, return_sign=True)",
            Task.GRADIENT: "stablelse.softmax(x, axis=-1)",
        },
    )
