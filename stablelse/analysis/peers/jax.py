"""JAX on the processor, compiled, with float64 let in for as long as it is asked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from stablelse.analysis.peers import Library, Task, UnsupportedError
from stablelse.numerics.formats import Array, Format


def library() -> Library:
    """Return the functions of ``jax.nn``."""
    import jax

    def native(x: Array, format_: Format) -> Any:
        if not hasattr(jax.numpy, x.dtype.name):
            raise UnsupportedError(f"has no {format_.name}")
        return jax.device_put(x, jax.devices("cpu")[0])

    def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
        jitted = jax.jit(function)
        # A call returns before it is done; who asks for the time has to wait.
        return lambda x, b: jax.block_until_ready(jitted(x, b))

    return Library(
        version=jax.__version__,
        names={"jax": jax},
        calls={
            Task.LOGSUMEXP: "jax.nn.logsumexp(x, axis=-1)",
            Task.SOFTMAX: "jax.nn.softmax(x, axis=-1)",
            Task.LOG_SOFTMAX: "jax.nn.log_softmax(x, axis=-1)",
            Task.WEIGHTED: "jax.nn.logsumexp(x, axis=-1, b=b)",
            Task.SIGNED: "jax.nn.logsumexp(x, axis=-1, b=b, return_sign=True)",
            Task.GRADIENT: "jax.grad(lambda x: jax.nn.logsumexp(x, axis=-1).sum())(x)",
        },
        native=native,
        to_numpy=np.asarray,
        compiled=compiled,
        context=_with_float64,
    )


def _with_float64() -> AbstractContextManager[Any]:
    """Return the context in which JAX has float64; outside of it nothing changes."""
    import jax
    from jax import experimental

    # Where it lives depends on the version: in `experimental` up to 0.7.
    home = jax if hasattr(jax, "enable_x64") else experimental
    context: AbstractContextManager[Any] = home.enable_x64(True)
    return context
