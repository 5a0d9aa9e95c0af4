"""The public surface: these names, documented, and nothing else."""

import ast
import inspect
import re

import pytest

import stablelse

NAMES = [
    "Certificate", "Comparison", "Proof", "Rung", "RunningLogSumExp", "RunningNaive",
    "RunningShifted", "Scan", "ScanState", "StreamState", "Sweep", "__version__", "compare",
    "compare_peers", "log_softmax", "logsumexp", "naive", "nll", "nll_grad", "prove", "scan",
    "softmax", "sweep",
]  # fmt: skip


def test_names():
    assert stablelse.__all__ == NAMES
    assert dir(stablelse) == sorted(NAMES)


def test_type_checkers_see_every_name():
    nodes = ast.walk(ast.parse(inspect.getsource(stablelse)))
    seen = [alias.name for n in nodes if isinstance(n, ast.ImportFrom) for alias in n.names]
    assert {"__version__", *seen} == {*NAMES}


@pytest.mark.parametrize("name", sorted({*NAMES} - {"__version__", "naive"}))
def test_every_public_name_is_documented(name):
    documented = inspect.getdoc(getattr(stablelse, name))
    assert documented
    assert re.search(r"^(Parameters|Attributes)\n-", documented, re.MULTILINE)


def test_signatures_are_scipys():
    special = pytest.importorskip("scipy.special")
    for name in ("logsumexp", "softmax", "log_softmax"):
        ours = inspect.signature(getattr(stablelse, name))
        theirs = inspect.signature(getattr(special, name))
        assert [
            (p.name, p.default) for p in ours.parameters.values() if p.kind is not p.KEYWORD_ONLY
        ] == [(p.name, p.default) for p in theirs.parameters.values()]


def test_unknown_name():
    with pytest.raises(AttributeError, match="has no attribute 'lse'"):
        _ = stablelse.lse


def test_version_is_the_packages():
    from importlib.metadata import PackageNotFoundError, version

    try:
        assert version("stablelse") == stablelse.__version__
    except PackageNotFoundError:
        pytest.skip("run from a checkout that is not installed")


def test_the_names_of_exact_say_what_to_use():
    from stablelse import exact

    for name in ("logsumexp", "softmax", "log_softmax"):
        with pytest.raises(ImportError, match=rf"stablelse\.{name} is correctly rounded now"):
            getattr(exact, name)
    for name in ("nll", "nll_grad"):
        with pytest.raises(
            ImportError, match=rf"use stablelse\.{name}\(\.\.\., reduction='none'\)"
        ):
            getattr(stablelse.exact, name)
    with pytest.raises(
        ImportError, match=r"exact\.Certificate is gone: use stablelse\.Certificate"
    ):
        from stablelse.exact import Certificate  # noqa: F401
    with pytest.raises(AttributeError, match="has no attribute 'lse'"):
        _ = exact.lse
