"""From facts to what people or programs read; a renderer returns a value and prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, NamedTuple

#: What makes the picture, the plain lines and so on of each type of result: module and name.
FORMS: dict[str, dict[str, str]] = {
    "Comparison": {"table": "screen:Screen"},
    "Errors": {"table": "summary:errors_picture"},
    "Summary": {"table": "summary:Overview"},
    "Limits": {"table": "ruler:limits_picture"},
    "Steps": {
        "table": "screen:steps_picture",
        "csv": "records:step_rows",
        "json": "records:with_steps",
    },
    "Audit": {"table": "audit:audit_picture", "csv": "audit:audit_rows"},
    "Gallery": {"table": "peers:gallery_picture", "csv": "records:gallery_rows"},
    "PeerComparison": {"table": "peers:peer_picture", "csv": "records:peer_rows"},
    "Proof": {
        "table": "prove:proof_picture",
        "markdown": "prove:markdown_lines",
        "latex": "prove:latex_lines",
        "csv": "prove:proof_rows",
        "json": "prove:proof_record",
    },
    "Sweep": {
        "table": "sweep:sweep_picture",
        "plain": "sweep:sweep_lines",
        "figure": "matplotlib:figure",
    },
    "Scene": {"table": "demo:scene_picture", "plain": "demo:scene_lines"},
    "Scan": {"table": "scan:scan_picture", "csv": "scan:scan_rows", "json": "scan:scan_record"},
}

#: The same for every other result.
_USUAL = {
    "plain": "layout:plain_lines",
    "csv": "records:flat_rows",
    "elements": "records:element_rows",
    "json": "records:record",
    "records": "records:records",
    "text": "export:to_text",
    "notebook": "export:bundle",
}


class Many(NamedTuple):
    """Results that come one by one, in bounded memory."""

    name: str
    results: Iterable[Any]
    rest: Callable[[], dict[str, Any]] = dict


def form(result: object, kind: str) -> Callable[..., Any]:
    """Return the function that renders a result in a form."""
    name = FORMS.get(type(result).__name__, _USUAL).get(kind) or _USUAL[kind]
    module, _, function = name.partition(":")
    given: Callable[..., Any] = getattr(import_module(f"stablelse.render.{module}"), function)
    return given
