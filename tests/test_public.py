"""The public surface: these names, documented, and nothing else."""

import inspect
import re

import pytest

import stablelse

NAMES = [
    "Comparison",
    "Proof",
    "RunningLogSumExp",
    "RunningNaive",
    "RunningShifted",
    "Scan",
    "ScanState",
    "StreamComparison",
    "StreamState",
    "__version__",
    "compare",
    "compare_peers",
    "exact",
    "log_softmax",
    "logsumexp",
    "prove",
    "scan",
    "softmax",
]


def test_names():
    assert stablelse.__all__ == NAMES
    assert dir(stablelse) == sorted(NAMES)


@pytest.mark.parametrize("name", sorted({*NAMES} - {"__version__", "exact"}))
def test_every_public_name_is_documented(name):
    documented = inspect.getdoc(getattr(stablelse, name))
    assert documented
    assert re.search(r"^(Parameters|Attributes)\n-", documented, re.MULTILINE)


def test_signatures_are_scipys():
    special = pytest.importorskip("scipy.special")
    for name in ("logsumexp", "softmax", "log_softmax"):
        ours = inspect.signature(getattr(stablelse, name))
        theirs = inspect.signature(getattr(special, name))
        assert [(p.name, p.default) for p in ours.parameters.values()] == [
            (p.name, p.default) for p in theirs.parameters.values()
        ]


def test_unknown_name():
    with pytest.raises(AttributeError, match="has no attribute 'lse'"):
        _ = stablelse.lse


def test_version_is_the_packages():
    from importlib.metadata import PackageNotFoundError, version

    try:
        assert version("stablelse") == stablelse.__version__
    except PackageNotFoundError:
        pytest.skip("run from a checkout that is not installed")
