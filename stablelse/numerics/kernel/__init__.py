"""The compiled kernel: which one is in use, and how to load it.

``STABLELSE_KERNEL`` selects one by name; the default is the best that this processor can run. If
none is compiled, or it fails its self-test, the *reference* does the work: the same results from
plain NumPy, more slowly.
"""

import warnings
from functools import cache
from typing import TYPE_CHECKING

from stablelse.numerics.threads import SettingError, setting

if TYPE_CHECKING:
    from types import ModuleType

try:
    from stablelse.numerics.kernel import compiled
except ImportError:  # not compiled, or for another kind of interpreter
    _compiled = None
else:
    _compiled = compiled

REFERENCE = "reference"

#: The formats that kernels compute in, in the order of kernel.h.
FORMATS = ("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")


def available() -> tuple[str, ...]:
    """Return the kernels that can run here, best first. The last is the reference."""
    return (*(_compiled.available if _compiled else ()), REFERENCE)


def name() -> str:
    """Return which kernel is in use, or raise SettingError. This needs no NumPy."""
    known = available()
    wanted = setting("STABLELSE_KERNEL") or known[0]
    if wanted not in known:
        raise SettingError(f"STABLELSE_KERNEL must be {' or '.join(known)} here, not {wanted!r}")
    return wanted


@cache
def load() -> "ModuleType | None":
    """Return the compiled kernel, ready for NumPy; ``None`` for the reference."""
    chosen = name()
    if chosen == REFERENCE or _compiled is None:
        return None
    # NumPy's own headers look for its table of functions here.
    from numpy._core._multiarray_umath import _ARRAY_API

    try:
        _compiled.attach(_ARRAY_API)
        _compiled.use(chosen)
        _self_test(_compiled)
    except ImportError as error:
        message = f"stablelse computes without its compiled kernel, more slowly: {error}"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
        return None
    return _compiled


#: By number of elements: log-sum-exp, and the last element's softmax and log_softmax.
SELF_TEST = {
    3: (3.1051608166410145, 0.375250747434033, -0.9801608166410144),
    40: (5.134012605548037, 0.002167864699031447, -6.134012605548037),
}


def self_test_vector(n: int) -> list[float]:
    """Return numbers that every format of the kernel holds exactly."""
    return [(37 * i % 41) / 8 - 2 for i in range(n)]


def _self_test(module: "ModuleType") -> None:
    """Raise an ImportError unless known results come out right; it takes a few microseconds."""
    import numpy as np

    for n, expected in SELF_TEST.items():
        for dtype in (np.float64, np.float32):
            x = np.array(self_test_vector(n), dtype)
            lse = module.logsumexp(x, None)
            elements = module.softmax(x, None)[-1], module.log_softmax(x, None)[-1]
            if (lse, *elements) != tuple(map(dtype, expected)):
                raise ImportError("it fails its self-test")
