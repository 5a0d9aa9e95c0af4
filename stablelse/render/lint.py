"""Findings of the linter as lines, JSON, SARIF and annotations; its rules in words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import quote

from stablelse import __version__
from stablelse.analysis.lint import LintFinding
from stablelse.numerics.formats import FORMATS
from stablelse.printable import printable, printable_line
from stablelse.render.numbers import bound_text, rough_text
from stablelse.render.records import SCHEMA


class LintRule(NamedTuple):
    """A formula, where it breaks (names in braces are limits of float32), and what to write.

    `function`, `x` and `weights` are what `compare` shows of it.
    """

    title: str
    limit: str
    advice: dict[str, str]  # by library; "" for any other
    function: str
    x: tuple[float, ...]
    weights: tuple[float, ...] | None = None


def _advice(*texts: str) -> dict[str, str]:
    return dict(zip(("numpy", "torch", "jax", "tensorflow", ""), texts, strict=True))


_OVERFLOWS = "it overflows above x = {high} in float32"

#: What each rule is about.
RULES = {
    "LSE001": LintRule("log of a sum of exp", _OVERFLOWS, _advice(
        "scipy.special.logsumexp, or np.logaddexp.reduce",
        "torch.logsumexp", "jax.nn.logsumexp", "tf.reduce_logsumexp",
        "the shift: a + log(sum(exp(x - a))) with a = max(x)",
    ), "logsumexp", (1000.0, 1001.0)),
    "LSE002": LintRule("log of softmax",
        "it is -inf for entries {depth} below the largest in float32", _advice(
        "scipy.special.log_softmax", "torch.log_softmax", "jax.nn.log_softmax", "tf.nn.log_softmax",
        "x - a - log(sum(exp(x - a))) with a = max(x)",
    ), "log_softmax", (0.0, -1000.0)),
    "LSE003": LintRule("log of sigmoid", "it is -inf below x = {low} in float32", _advice(
        "-np.logaddexp(0, -x), or scipy.special.log_expit",
        "torch.nn.functional.logsigmoid", "jax.nn.log_sigmoid", "tf.math.log_sigmoid",
        "min(x, 0) - log1p(exp(-abs(x)))",
    ), "log_softmax", (-1000.0, 0.0)),
    "LSE004": LintRule("log(1 + exp(x))", _OVERFLOWS, _advice(
        "np.logaddexp(0, x)",
        # above its threshold it returns x: the default, 20, loses digits in float64
        "torch.nn.functional.softplus, with threshold=40 in float64",
        "jax.nn.softplus", "tf.math.softplus",
        "max(x, 0) + log1p(exp(-abs(x)))",
    ), "logsumexp", (0.0, 1000.0)),
    "LSE005": LintRule("log of a sum of exp(x) and exp(y)", _OVERFLOWS, _advice(
        "np.logaddexp", "torch.logaddexp", "jnp.logaddexp", "tf.reduce_logsumexp of both",
        "max(x, y) + log1p(exp(-abs(x - y)))",
    ), "logsumexp", (1000.0, 999.0)),
    "LSE006": LintRule("softmax or sigmoid in a loss that expects something else",
        "the loss is that of other probabilities, and never near 0", {
        "torch": "cross_entropy of the logits, or nll_loss of log_softmax",
        "tensorflow": "the loss of the logits, with from_logits=True",
        "": "the loss of the logits",
    }, "log_softmax", (0.0, -1000.0)),
    "LSE007": LintRule("exp over a sum of exp, without a shift",
        "it is NaN above x = {high} in float32", _advice(
        "scipy.special.softmax or expit", "torch.softmax or sigmoid",
        "jax.nn.softmax or sigmoid", "tf.nn.softmax or sigmoid",
        "exp(x - a) / sum(exp(x - a)) with a = max(x), and 1 = exp(0)",
    ), "softmax", (1000.0, 1001.0)),
    "LSE008": LintRule("exp in the branch that where does not select",
        "its gradient is NaN above x = {high} in float32", {
        "": "an argument in range for both branches, such as exp(minimum(x, 20)), or softplus",
    }, "logsumexp", (0.0, 1000.0)),
    "LSE009": LintRule("log(1 - exp(x))", "it is -inf above x = -{tiny} in float32", {
        "": "log(-expm1(x)) where x > -log(2), and log1p(-exp(x)) elsewhere (Maechler 2012)",
    }, "logsumexp", (0.0, -1e-09), (1.0, -1.0)),
    "LSE010": LintRule("log of softmax or sigmoid, kept from 0 by a small number",
        "probabilities below that number are all alike", _advice(
        "scipy.special.log_softmax or log_expit", "torch.log_softmax or logsigmoid",
        "jax.nn.log_softmax or log_sigmoid", "tf.nn.log_softmax or tf.math.log_sigmoid",
        "log_softmax or log_sigmoid of the logits",
    ), "log_softmax", (0.0, -1000.0)),
}  # fmt: skip

_FLOAT32 = FORMATS["float32"]


def _limit_text(rule: LintRule) -> str:
    """Return where a formula breaks in float32."""
    return rule.limit.format(
        high=bound_text(_FLOAT32.overflow_threshold, 3),
        low=bound_text(_FLOAT32.underflow_threshold, 4),
        depth=bound_text(-_FLOAT32.underflow_threshold, 4),
        tiny=rough_text(_FLOAT32.unit_roundoff / 2, 1),
    )


def message_text(finding: LintFinding) -> str:
    """Return what is wrong with a formula, where it breaks, and what to write instead."""
    rule = RULES[finding.rule]
    instead = rule.advice.get(finding.library, rule.advice[""])
    return f"{rule.title}: {_limit_text(rule)}; use {instead}"


def lint_lines(findings: Sequence[LintFinding]) -> Iterator[str]:
    """Yield a line for each finding, as linters print it."""
    for f in findings:
        cell = f"cell {f.cell}:" if f.cell else ""
        place = f"{f.path}:{cell}{f.line}:{f.column}"
        yield printable_line(f"{place}: {f.rule} {message_text(f)}")


def lint_json(findings: Sequence[LintFinding]) -> Iterator[str]:
    """Yield a JSON document."""
    records = []
    for finding in findings:
        fields = finding._asdict() | {"message": message_text(finding)}
        records.append(fields | {"fixable": finding.replacement is not None})
    yield json.dumps(SCHEMA | {"findings": records}, indent=2)


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
    results = []
    for f in findings:
        region = {"startLine": f.line, "startColumn": f.column}
        uri = quote(f.path.replace("\\", "/"), errors="surrogateescape")
        place = {"artifactLocation": {"uri": uri}, "region": region}
        places = [{"physicalLocation": place}]
        result = {"ruleId": f.rule, "message": {"text": message_text(f)}, "locations": places}
        results.append(result)
    driver = {"name": "stablelse", "version": __version__, "rules": rules}
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
    yield json.dumps(document, indent=2)


#: The formats of findings.
LINT_FORMS: dict[str, Callable[[Sequence[LintFinding]], Iterator[str]]] = {
    "plain": lint_lines,
    "json": lint_json,
    "sarif": sarif_lines,
    "github": github_lines,
}


def rule_text(name: str) -> str:
    """Return what a rule is about, and what to write instead in each library."""
    rule = RULES[name]
    lines = [f" {name}: {rule.title}; {_limit_text(rule)}", ""]
    named = {library or "any library": text for library, text in rule.advice.items()}
    width = max(map(len, named)) + 2
    lines += [f" {library:<{width}}{text}" for library, text in named.items()]
    return "\n".join(lines)
