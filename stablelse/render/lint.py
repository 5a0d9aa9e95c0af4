"""Findings of the linter as lines, JSON, SARIF and annotations; its rules in words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from stablelse import __version__
from stablelse.analysis.lint import RULES, LintFinding
from stablelse.numerics.formats import FORMATS
from stablelse.printable import printable, printable_line
from stablelse.render.numbers import bound_text, rough_text
from stablelse.render.records import SCHEMA

_FLOAT32 = FORMATS["float32"]


def _limit_text(rule: str) -> str:
    """Return where a formula breaks in float32."""
    return RULES[rule].limit.format(
        high=bound_text(_FLOAT32.overflow_threshold, 3),
        low=bound_text(_FLOAT32.underflow_threshold, 4),
        depth=bound_text(-_FLOAT32.underflow_threshold, 4),
        tiny=rough_text(_FLOAT32.unit_roundoff / 2, 1),
    )


def advice_text(rule: str, library: str) -> str:
    """Return what to write instead with a library."""
    advice = RULES[rule].advice
    return advice.get(library, advice[""])


def message_text(finding: LintFinding) -> str:
    """Return what is wrong with a formula, where it breaks, and what to write instead."""
    instead = advice_text(finding.rule, finding.library)
    return f"{RULES[finding.rule].title}: {_limit_text(finding.rule)}; use {instead}"


def _place_text(finding: LintFinding) -> str:
    cell = f"cell {finding.cell}:" if finding.cell else ""
    return f"{finding.path}:{cell}{finding.line}:{finding.column}"


def plain_lines(findings: Sequence[LintFinding]) -> Iterator[str]:
    """Yield a line for each finding, as linters print it."""
    for finding in findings:
        yield printable_line(f"{_place_text(finding)}: {finding.rule} {message_text(finding)}")


def _record(finding: LintFinding) -> dict[str, Any]:
    fields = finding._asdict()
    fields["fixable"] = fields.pop("edit") is not None
    return fields | {"message": message_text(finding)}


def json_lines(findings: Sequence[LintFinding]) -> Iterator[str]:
    """Yield a JSON document."""
    yield json.dumps(SCHEMA | {"findings": list(map(_record, findings))}, indent=2)


def github_lines(findings: Sequence[LintFinding]) -> Iterator[str]:
    """Yield workflow commands that annotate the lines of a pull request."""
    for f in findings:
        where = f"file={_escaped(printable(f.path))},line={f.line},col={f.column},title={f.rule}"
        yield f"::error {where}::{_escaped(message_text(f), in_message=True)}"


def _escaped(text: str, in_message: bool = False) -> str:
    """Escape as GitHub's own toolkit does."""
    for sign in "%\r\n" if in_message else "%\r\n:,":
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text


def sarif_lines(findings: Sequence[LintFinding]) -> Iterator[str]:
    """Yield a document in the Static Analysis Results Interchange Format 2.1.0 (OASIS)."""
    rules = [
        {"id": name, "shortDescription": {"text": rule.title}, "help": {"text": rule.advice[""]}}
        for name, rule in RULES.items()
    ]
    results = [
        {
            "ruleId": f.rule,
            "ruleIndex": list(RULES).index(f.rule),
            "level": "warning",
            "message": {"text": message_text(f)},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": f.path.replace("\\", "/")},
                        "region": {"startLine": f.line, "startColumn": f.column},
                    }
                }
            ],
        }
        for f in findings
    ]
    driver = {"name": "stablelse", "version": __version__, "rules": rules}
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
    yield json.dumps(document, indent=2)


#: The formats of findings.
FORMS: dict[str, Callable[[Sequence[LintFinding]], Iterator[str]]] = {
    "plain": plain_lines,
    "json": json_lines,
    "sarif": sarif_lines,
    "github": github_lines,
}


def rule_text(name: str) -> str:
    """Return what a rule is about, and what to write instead in each library."""
    rule = RULES[name]
    lines = [f" {name}: {rule.title}; {_limit_text(name)}", ""]
    named = {library or "any library": text for library, text in rule.advice.items()}
    width = max(map(len, named)) + 2
    lines += [f" {library:<{width}}{text}" for library, text in named.items()]
    return "\n".join(lines)
