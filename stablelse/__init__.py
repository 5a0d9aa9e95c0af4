"""Log-sum-exp and softmax without losing numbers: shown, diagnosed and computed.

The public names are loaded on first use, so that importing the package (as the command line
does even for ``--version``) costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from stablelse.analysis.compare import compare
    from stablelse.analysis.peers import compare_peers
    from stablelse.analysis.prove import Proof, prove
    from stablelse.analysis.results import Comparison
    from stablelse.analysis.scan import Scan, ScanState, scan
    from stablelse.analysis.stream import StreamState
    from stablelse.analysis.sweep import Sweep, sweep
    from stablelse.numerics.arrays import log_softmax, logsumexp, softmax
    from stablelse.numerics.certificate import Certificate, Rung
    from stablelse.numerics.loss import nll, nll_grad
    from stablelse.numerics.running import RunningLogSumExp, RunningNaive, RunningShifted

__all__ = [
    "Certificate",
    "Comparison",
    "Proof",
    "Rung",
    "RunningLogSumExp",
    "RunningNaive",
    "RunningShifted",
    "Scan",
    "ScanState",
    "StreamState",
    "Sweep",
    "__version__",
    "compare",
    "compare_peers",
    "log_softmax",
    "logsumexp",
    "naive",
    "nll",
    "nll_grad",
    "prove",
    "scan",
    "softmax",
    "sweep",
]

_HOME = {
    "Certificate": "stablelse.numerics.certificate",
    "Comparison": "stablelse.analysis.results",
    "Proof": "stablelse.analysis.prove",
    "RunningLogSumExp": "stablelse.numerics.running",
    "RunningNaive": "stablelse.numerics.running",
    "RunningShifted": "stablelse.numerics.running",
    "Rung": "stablelse.numerics.certificate",
    "Scan": "stablelse.analysis.scan",
    "ScanState": "stablelse.analysis.scan",
    "StreamState": "stablelse.analysis.stream",
    "Sweep": "stablelse.analysis.sweep",
    "compare": "stablelse.analysis.compare",
    "compare_peers": "stablelse.analysis.peers",
    "log_softmax": "stablelse.numerics.arrays",
    "logsumexp": "stablelse.numerics.arrays",
    "nll": "stablelse.numerics.loss",
    "nll_grad": "stablelse.numerics.loss",
    "prove": "stablelse.analysis.prove",
    "scan": "stablelse.analysis.scan",
    "softmax": "stablelse.numerics.arrays",
    "sweep": "stablelse.analysis.sweep",
}


def __getattr__(name: str) -> object:
    if name in ("exact", "naive"):
        return import_module(f"stablelse.{name}")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
