"""Log-sum-exp and softmax without losing numbers: shown, diagnosed and computed.

The public names are loaded on first use, so that importing the package (as the command line
does even for ``--version``) costs nothing, and Ctrl-C finds nothing to interrupt.
"""

__version__ = "0.2.0"

TYPE_CHECKING = False  # the module typing takes longer to load than all of this
if TYPE_CHECKING:
    from stablelse import naive
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

#: The module of each public name.
_HOME = {
    name: f"stablelse.{module}"
    for module, names in (
        ("analysis.compare", ("compare",)),
        ("analysis.peers", ("compare_peers",)),
        ("analysis.prove", ("Proof", "prove")),
        ("analysis.results", ("Comparison",)),
        ("analysis.scan", ("Scan", "ScanState", "scan")),
        ("analysis.stream", ("StreamState",)),
        ("analysis.sweep", ("Sweep", "sweep")),
        ("numerics.arrays", ("log_softmax", "logsumexp", "softmax")),
        ("numerics.certificate", ("Certificate", "Rung")),
        ("numerics.loss", ("nll", "nll_grad")),
        ("numerics.running", ("RunningLogSumExp", "RunningNaive", "RunningShifted")),
    )
    for name in names
}


def __getattr__(name: str) -> object:
    if name in ("exact", "naive"):
        return __import__(f"stablelse.{name}", fromlist=[""])
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(__import__(_HOME[name], fromlist=[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
