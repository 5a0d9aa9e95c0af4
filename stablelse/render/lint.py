"""Findings of the linter as lines, JSON, SARIF and annotations; its rules in words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from stablelse import __version__
from stablelse.analysis.lint import LintFinding
from stablelse.numerics.formats import FORMATS
from stablelse.printable import printable, printable_line
from stablelse.render.numbers import bound_text, rough_text
from stablelse.render.records import SCHEMA


class RuleWords(NamedTuple):
    """A formula, where it breaks (names in braces are limits of float32), and what to write."""

    title: str
    limit: str
    advice: dict[str, str]  # by library; "" for any other


_LSE = {
    "numpy": "scipy.special.logsumexp, or np.logaddexp.reduce",
    "scipy": "scipy.special.logsumexp",
    "torch": "torch.logsumexp",
    "jax": "jax.nn.logsumexp",
    "tensorflow": "tf.reduce_logsumexp",
    "": "the shift: a + log(sum(exp(x - a))) with a = max(x)",
}
_LOG_SOFTMAX = {
    "numpy": "scipy.special.log_softmax",
    "scipy": "scipy.special.log_softmax",
    "torch": "torch.log_softmax",
    "jax": "jax.nn.log_softmax",
    "tensorflow": "tf.nn.log_softmax",
    "": "x - a - log(sum(exp(x - a))) with a = max(x)",
}
_LOG_SIGMOID = {
    "numpy": "-np.logaddexp(0, -x), or scipy.special.log_expit",
    "scipy": "scipy.special.log_expit",
    "torch": "torch.nn.functional.logsigmoid",
    "jax": "jax.nn.log_sigmoid",
    "tensorflow": "tf.math.log_sigmoid",
    "": "min(x, 0) - log1p(exp(-abs(x)))",
}
_SOFTPLUS = {
    "numpy": "np.logaddexp(0, x)",
    "scipy": "np.logaddexp(0, x)",
    "torch": "torch.nn.functional.softplus",
    "jax": "jax.nn.softplus",
    "tensorflow": "tf.math.softplus",
    "": "max(x, 0) + log1p(exp(-abs(x)))",
}
_LOGADDEXP = {
    "numpy": "np.logaddexp",
    "scipy": "np.logaddexp",
    "torch": "torch.logaddexp",
    "jax": "jnp.logaddexp",
    "tensorflow": "tf.reduce_logsumexp of both",
    "": "max(x, y) + log1p(exp(-abs(x - y)))",
}
_SOFTMAX = {
    "numpy": "scipy.special.softmax",
    "scipy": "scipy.special.softmax",
    "torch": "torch.softmax",
    "jax": "jax.nn.softmax",
    "tensorflow": "tf.nn.softmax",
    "": "exp(x - a) / sum(exp(x - a)) with a = max(x)",
}
_BELOW = "it is -inf for entries {depth} below the largest in float32"

#: What each rule is about.
RULE_WORDS = {
    "LSE001": RuleWords("log of a sum of exp", "it overflows above x = {high} in float32", _LSE),
    "LSE002": RuleWords("log of softmax", _BELOW, _LOG_SOFTMAX),
    "LSE003": RuleWords("log of sigmoid", "it is -inf below x = {low} in float32", _LOG_SIGMOID),
    "LSE004": RuleWords("log(1 + exp(x))", "it overflows above x = {high} in float32", _SOFTPLUS),
    "LSE005": RuleWords(
        "log of a sum of exp(x) and exp(y)", "it overflows above x = {high} in float32", _LOGADDEXP
    ),
    "LSE006": RuleWords(
        "softmax in a loss that expects something else",
        "the loss is that of other probabilities, and never near 0",
        {
            "torch": "cross_entropy of the logits, or nll_loss of log_softmax",
            "tensorflow": "the loss of the logits, with from_logits=True",
            "": "the loss of the logits",
        },
    ),
    "LSE007": RuleWords(
        "exp over a sum of exp, without a shift", "it is NaN above x = {high} in float32", _SOFTMAX
    ),
    "LSE008": RuleWords(
        "exp in the branch that where does not select",
        "its gradient is NaN above x = {high} in float32",
        {"": "an argument in range for both branches, such as exp(minimum(x, 20)), or softplus"},
    ),
    "LSE009": RuleWords(
        "log(1 - exp(x))",
        "it is -inf above x = -{tiny} in float32",
        {"": "log(-expm1(x)) where x > -log(2), and log1p(-exp(x)) elsewhere (Maechler 2012)"},
    ),
    "LSE010": RuleWords(
        "log of softmax plus a small number",
        "probabilities below that number are all alike",
        _LOG_SOFTMAX,
    ),
}

_FLOAT32 = FORMATS["float32"]


def _limit_text(rule: str) -> str:
    """Return where a formula breaks in float32."""
    return RULE_WORDS[rule].limit.format(
        high=bound_text(_FLOAT32.overflow_threshold, 3),
        low=bound_text(_FLOAT32.underflow_threshold, 4),
        depth=bound_text(-_FLOAT32.underflow_threshold, 4),
        tiny=rough_text(_FLOAT32.unit_roundoff / 2, 1),
    )


def advice_text(rule: str, library: str) -> str:
    """Return what to write instead with a library."""
    advice = RULE_WORDS[rule].advice
    return advice.get(library, advice[""])


def message_text(finding: LintFinding) -> str:
    """Return what is wrong with a formula, where it breaks, and what to write instead."""
    instead = advice_text(finding.rule, finding.library)
    return f"{RULE_WORDS[finding.rule].title}: {_limit_text(finding.rule)}; use {instead}"


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
        for name, rule in RULE_WORDS.items()
    ]
    results = [
        {
            "ruleId": f.rule,
            "ruleIndex": list(RULE_WORDS).index(f.rule),
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
    rule = RULE_WORDS[name]
    lines = [f" {name}: {rule.title}; {_limit_text(name)}", ""]
    named = {library or "any library": text for library, text in rule.advice.items()}
    width = max(map(len, named)) + 2
    lines += [f" {library:<{width}}{text}" for library, text in named.items()]
    return "\n".join(lines)
