"""Names that have moved: what `stablelse` itself returns is correctly rounded now."""

_MOVED = {
    **dict.fromkeys(
        ("logsumexp", "softmax", "log_softmax"), "stablelse.{0} is correctly rounded now"
    ),
    **dict.fromkeys(("nll", "nll_grad"), "use stablelse.{0}(..., reduction='none')"),
    **dict.fromkeys(("Certificate", "Rung"), "use stablelse.{0}"),
}


def __getattr__(name: str) -> object:
    if name not in _MOVED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Of an AttributeError, `from stablelse.exact import softmax` would drop the advice.
    raise ImportError(f"stablelse.exact.{name} is gone: {_MOVED[name].format(name)}")
