"""Names that have moved: `stablelse` itself is correctly rounded now."""

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
    # `from stablelse.exact import softmax` would hide the message of an AttributeError.
    raise ImportError(f"stablelse.exact.{name} is gone: {_MOVED[name].format(name)}")
