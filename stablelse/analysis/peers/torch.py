"""PyTorch on the processor, which has no weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from stablelse.analysis.peers import Library, Task, UnsupportedError
from stablelse.numerics.formats import FORMATS, Array, Format


def library() -> Library:
    """Return the functions of ``torch``."""
    import torch

    def native(x: Array, format_: Format) -> Any:
        if not hasattr(torch, x.dtype.name):
            raise UnsupportedError(f"has no {format_.name}")
        if format_.extra is None:
            return torch.from_numpy(x)
        # Tensors know nothing of ml_dtypes; every number of its formats is one of float32.
        return torch.from_numpy(x.astype(np.float32)).to(getattr(torch, x.dtype.name))

    def to_numpy(result: Any) -> Array:
        name = str(result.dtype).removeprefix("torch.")
        if name in FORMATS and FORMATS[name].extra is not None:
            return FORMATS[name].round(result.to(torch.float32).numpy())
        return np.asarray(result)

    return Library(
        version=torch.__version__,
        names={"torch": torch},
        calls={
            Task.LOGSUMEXP: "torch.logsumexp(x, -1)",
            Task.SOFTMAX: "torch.softmax(x, -1)",
            Task.LOG_SOFTMAX: "torch.log_softmax(x, -1)",
            Task.GRADIENT: "torch.func.grad(lambda x: torch.logsumexp(x, -1).sum())(x)",
        },
        native=native,
        to_numpy=to_numpy,
    )
