"""SciPy, which brings everything but a gradient."""

from __future__ import annotations

from stablelse.analysis.peers import Library, Task


def library() -> Library:
    """Return the functions of ``scipy.special``."""
    import scipy
    from scipy import special

    return Library(
        version=scipy.__version__,
        names={"special": special},
        calls={
            Task.LOGSUMEXP: "special.logsumexp(x, axis=-1)",
            Task.SOFTMAX: "special.softmax(x, axis=-1)",
            Task.LOG_SOFTMAX: "special.log_softmax(x, axis=-1)",
            Task.WEIGHTED: "special.logsumexp(x, axis=-1, b=b)",
            Task.SIGNED: "special.logsumexp(x, axis=-1, b=b, return_sign=True)",
        },
    )
