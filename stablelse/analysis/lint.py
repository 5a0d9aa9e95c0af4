"""A linter for naive formulas in Python source: rules, which are patterns of terms, and fixes."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from stablelse.analysis.terms import HINT, Reader, Term, dotted


class Rule(NamedTuple):
    """What `compare` shows of a rule: a function, a vector that breaks its formula, and weights."""

    function: str
    x: tuple[float, ...]
    weights: tuple[float, ...] | None = None


#: The rules; `stablelse.render.lint` says what each is about.
RULES = {
    "LSE001": Rule("logsumexp", (1000.0, 1001.0)),
    "LSE002": Rule("log_softmax", (0.0, -1000.0)),
    "LSE003": Rule("log_softmax", (-1000.0, 0.0)),
    "LSE004": Rule("logsumexp", (0.0, 1000.0)),
    "LSE005": Rule("logsumexp", (1000.0, 999.0)),
    "LSE006": Rule("log_softmax", (0.0, -1000.0)),
    "LSE007": Rule("softmax", (1000.0, 1001.0)),
    "LSE008": Rule("logsumexp", (0.0, 1000.0)),
    "LSE009": Rule("logsumexp", (0.0, -1e-09), (1.0, -1.0)),
    "LSE010": Rule("log_softmax", (0.0, -1000.0)),
}


class Edit(NamedTuple):
    """A replacement of a piece of source: lines from 1, columns in bytes from 0."""

    line: int
    column: int
    end_line: int
    end_column: int
    text: str


class LintFinding(NamedTuple):
    """A naive formula in a file."""

    path: str
    line: int  # from 1
    column: int  # from 1, in characters
    rule: str
    library: str
    source: str  # the formula
    cell: int | None = None  # of a notebook, from 1
    edit: Edit | None = None  # if it can be rewritten safely


class LintError(NamedTuple):
    """A file that cannot be parsed."""

    path: str
    line: int
    reason: str


class _Linter:
    """Collects the findings of one source."""

    def __init__(self, path: str, source: str, cell: int | None = None) -> None:
        self.path, self.cell = path, cell
        self.findings: list[LintFinding] = []
        self.reader = Reader(source, self.check)

    def check(self, term: Term) -> None:
        """Report a term that matches a rule, unless a comment says not to."""
        matches = _PATTERNS.get(term.op)
        rule = matches(term) if matches else None
        node, reader = term.node, self.reader
        if rule is None or self.is_silenced(node, rule):
            return
        before = reader.line(node.lineno).encode()[: node.col_offset]
        column = len(before.decode(errors="replace")) + 1
        source = " ".join(reader.text(node).split())
        write = _FIXES.get(rule) if self.cell is None else None
        text = write(reader, term) if write else None
        place = node.lineno, node.col_offset, node.end_lineno, node.end_col_offset
        edit = None if text is None else Edit(*place, text)
        self.findings.append(
            LintFinding(self.path, node.lineno, column, rule, term.library, source, self.cell, edit)
        )

    def is_silenced(self, node: Any, rule: str) -> bool:
        """Whether a comment on one of the lines silences a rule."""
        lines = map(self.reader.line, range(node.lineno, node.end_lineno + 1))
        found = [match[1] for match in map(_SILENCE.search, lines) if match]
        return any(rules is None or rule in re.split(r"[\s,]+", rules) for rules in found)


_SILENCE = re.compile(r"#\s*stablelse:\s*ignore(?:\[([^\]]*)\])?")


# ---- Patterns

#: How an unknown name looks that is subtracted to keep exp in range.
_SHIFT_NAME = re.compile(r"max|shift|lse|logsumexp|logaddexp|log_?z|log_?norm|offset|\b[amcMZ]\b")


def _is_constant(term: Term, *values: float) -> bool:
    if term.op == "neg":
        return _is_constant(term.args[0], *(-value for value in values))
    try:
        return term.op == "constant" and (not values or float(term.name) in values)
    except ValueError:
        return False


def _is_shift(term: Term) -> bool:
    """Whether subtracting this keeps exp in range."""
    if term.op in ("max", "bounded"):
        return True
    if term.op == "unknown":
        return _SHIFT_NAME.search(term.name) is not None
    return any(map(_is_shift, term.args))


def _is_bounded(x: Term) -> bool:
    """Whether something keeps exp of a term in range: a shift, a limit, or a log-probability."""
    if x.op in ("bounded", "log_softmax", "constant"):
        return True
    if x.op == "sub":
        return _is_shift(x.args[1]) or _is_bounded(x.args[0])
    if x.op in ("mul", "div"):  # a factor such as 1/T does not matter
        factors = x.args if x.op == "mul" else x.args[:1]
        return any(part.op != "constant" and _is_bounded(part) for part in factors)
    if x.op == "add":
        return any(part.op == "neg" and _is_shift(part.args[0]) for part in x.args)
    return x.op == "neg" and x.args[0].op == "sub" and _is_shift(x.args[0].args[0])


def _is_nonpositive(x: Term) -> bool:
    """Whether a term is provably at most 0."""
    if x.op == "neg":
        return _is_nonnegative(x.args[0])
    if x.op in ("mul", "div"):
        first, second = x.args
        return (_is_nonpositive(first) and _is_nonnegative(second)) or (
            _is_nonnegative(first) and _is_nonpositive(second)
        )
    return x.op == "log_softmax" or (x.op == "constant" and x.name.startswith("-"))


def _is_nonnegative(x: Term) -> bool:
    if x.op == "pow":
        return x.args[1].name in ("2", "4", "2.0")
    if x.op in ("mul", "div"):
        return x.args[0].same(x.args[1]) or all(map(_is_nonnegative, x.args))
    if x.op == "constant":
        return x.name[:1].isdigit()
    return x.op in ("size", "exp", "sigmoid", "softmax") or (
        x.op in ("sum", "add") and bool(x.args) and all(map(_is_nonnegative, x.args))
    )


def _risky_exp(term: Term) -> Term | None:
    """Return the argument of exp, if nothing keeps it in range."""
    if term.op != "exp" or not term.args or _is_bounded(term.args[0]):
        return None
    return term.args[0]


def _exps(term: Term) -> Iterator[Term]:
    """Yield the arguments of exp among the factors of the terms of a sum."""
    if term.op in ("add", "sub") or term.op in ("mul", "dot"):
        for arg in term.args:
            yield from _exps(arg)
    elif term.op == "div":
        yield from _exps(term.args[0])
    elif (x := _risky_exp(term)) is not None:
        yield x


def _is_sum_of_exp(term: Term) -> bool:
    """Whether a term is a sum, a mean or a dot product of exp, perhaps weighted."""
    if term.op in ("sum", "dot"):
        inner = term.args if term.op == "dot" else term.args[:1]
        return any(True for arg in inner for _ in _exps(arg))
    if term.op in ("add", "mul"):
        return any(map(_is_sum_of_exp, term.args))
    return term.op == "div" and _is_sum_of_exp(term.args[0]) and not _is_quotient(term)


def _is_quotient(term: Term) -> bool:
    """Whether a term is exp over a sum that has the same exp, shifted or not."""
    if term.op != "div" or len(term.args) != 2:
        return False
    above, below = term.args
    exps = [part for part in _factors(above) if part.op == "exp"]
    is_sum = below.op in ("sum", "add", "dot")
    return is_sum and any(part.same(exp) for exp in exps for part in below.within())


def _addends(term: Term) -> list[Term]:
    if term.op == "add":
        return [part for arg in term.args for part in _addends(arg)]
    return [term]


def _factors(term: Term) -> list[Term]:
    if term.op == "mul":
        return [part for arg in term.args for part in _factors(arg)]
    return [term]


def _is_softmax(term: Term) -> bool:
    return term.op == "softmax" or (_is_quotient(term) and not _one(term.args[1]))


def _one(term: Term) -> bool:
    return term.op == "add" and any(_is_constant(arg, 1) for arg in term.args)


def _is_sigmoid(term: Term) -> bool:
    if term.op == "sigmoid":
        return True
    if term.op != "div" or len(term.args) != 2 or not _is_constant(term.args[0], 1):
        return False
    below = term.args[1]
    return _one(below) and any(arg.op == "exp" for arg in below.args)


def _of_log(term: Term) -> str | None:
    """Return the rule that a logarithm breaks."""
    if not term.args:
        return None
    x = term.args[0]
    if _is_softmax(x):
        return "LSE002"
    if _is_sigmoid(x):
        return "LSE003"
    if x.op == "add" and any(map(_is_softmax, x.args)) and len(x.args) == 2:
        return "LSE010"
    if x.op == "sub" and _is_constant(x.args[0], 1) and x.args[1].op == "exp":
        return "LSE009"
    if x.op == "add" and any(_is_constant(arg, 1) for arg in x.args):
        exp = next((arg for arg in x.args if arg.op == "exp"), None)
        if exp is not None:
            is_safe = _risky_exp(exp) is None or _is_nonpositive(exp.args[0])
            return None if is_safe else "LSE004"
    if _is_sum_of_exp(x):
        return "LSE001"
    if x.op == "add" and sum(any(True for _ in _exps(part)) for part in _addends(x)) > 1:
        return "LSE005"
    return None


def _of_log1p(term: Term) -> str | None:
    if not term.args:
        return None
    (x, *_), is_sum = term.args, False
    is_sum = _is_sum_of_exp(x)
    if is_sum:
        return "LSE001"
    risky = _risky_exp(x)
    return None if risky is None or _is_nonpositive(risky) else "LSE004"


def _of_div(term: Term) -> str | None:
    if not _is_quotient(term):
        return None
    above, below = term.args
    is_safe = _one(below) and all(map(_is_nonpositive, _exps(below)))  # 1 is the largest term
    return "LSE007" if any(True for _ in _exps(above)) and not is_safe else None


def _of_loss(term: Term) -> str | None:
    is_wrong = bool(term.args) and _is_softmax(term.args[0])
    return "LSE006" if is_wrong else None


def _of_where(term: Term) -> str | None:
    """Find exp of what the condition tests in a branch, for libraries that differentiate."""
    if len(term.args) != 3 or term.library not in _DIFFERENTIATED:
        return None
    condition, *branches = term.args
    if condition.op != "compare":
        return None
    tested = {part.name for part in condition.within() if part.op == "unknown"}
    for x in (x for branch in branches for x in _branch_exps(branch)):
        names = {part.name for part in x.within() if part.op == "unknown"}
        is_guarded = any(part.op in ("where", "bounded", "max") for part in x.within())
        if tested & names and not (is_guarded or _is_bounded(x) or _is_nonpositive(x)):
            return "LSE008"
    return None


def _branch_exps(term: Term) -> Iterator[Term]:
    """Yield the arguments of exp that arithmetic and logarithms lead to."""
    if term.op == "exp" and term.args:
        yield term.args[0]
    elif term.op in ("add", "sub", "mul", "div", "neg", "log", "log1p", "pow"):
        for arg in term.args:
            yield from _branch_exps(arg)


_DIFFERENTIATED = ("torch", "jax", "tensorflow")

_PATTERNS: dict[str, Callable[[Term], str | None]] = {
    "log": _of_log,
    "log1p": _of_log1p,
    "div": _of_div,
    "cross_entropy": _of_loss,
    "nll_loss": _of_loss,
    "where": _of_where,
}


# ---- Rewriting the safe cases


class _Called(NamedTuple):
    """A call as it is written: a function or a method of an array, and its arguments."""

    name: str
    prefix: str  # of a function: np, torch.nn.functional
    first: ast.expr  # the array
    rest: list[ast.expr]
    keywords: dict[str, ast.expr]


def _called(node: ast.AST, reader: Reader) -> _Called | None:
    """Take a call apart; None if it is none, or has other arguments than arrays and axes."""
    if not isinstance(node, ast.Call) or any(k.arg is None for k in node.keywords):
        return None
    keywords = {k.arg: k.value for k in node.keywords if k.arg is not None}
    if not isinstance(node.func, ast.Attribute):
        return None
    prefix = dotted(node.func.value) or ""
    is_function = prefix.partition(".")[0] in reader.modules
    if is_function and node.args:
        return _Called(node.func.attr, prefix, node.args[0], node.args[1:], keywords)
    return (
        None if is_function else _Called(node.func.attr, "", node.func.value, node.args, keywords)
    )


def _module(reader: Reader, full: str) -> str | None:
    """Return how the source writes a module."""
    for alias, name in reader.modules.items():
        if name == full:
            return alias
    parent, _, last = full.rpartition(".")
    above = _module(reader, parent) if parent else None
    return f"{above}.{last}" if above else None


#: What replaces the log of a sum of exp: the module, the name of its axis and of keepdims.
_SUMS = {
    "numpy": ("numpy", "logaddexp.reduce", "axis", "keepdims", "axis=None"),
    "torch": ("torch", "logsumexp", "dim", "keepdim", None),
    "jax": ("jax", "nn.logsumexp", "axis", "keepdims", ""),
    "tensorflow": ("tensorflow", "reduce_logsumexp", "axis", "keepdims", ""),
}


def _logsumexp_for(reader: Reader, term: Term) -> str | None:
    log = _called(term.node, reader)
    total = _called(log.first, reader) if log and log.name == "log" and not log.rest else None
    if total is None or total.name not in ("sum", "reduce_sum") or len(total.rest) > 1:
        return None
    exp = _called(total.first, reader)
    if exp is None or exp.name != "exp" or exp.rest or exp.keywords or log is None or log.keywords:
        return None
    if term.library not in _SUMS:
        return None
    full, name, axis, keep, without = _SUMS[term.library]
    module = _module(reader, full)
    if module is None or not set(total.keywords) <= {axis, keep}:
        return None
    given = [f"{axis}={reader.text(total.rest[0])}"] if total.rest else []
    given += [f"{key}={reader.text(value)}" for key, value in total.keywords.items()]
    if not any(each.startswith(f"{axis}=") for each in given):
        if without is None:
            return None
        given = [*filter(None, [without]), *given]
    return f"{module}.{name}({', '.join([reader.text(exp.first), *given])})"


def _log_softmax_for(reader: Reader, term: Term) -> str | None:
    log = _called(term.node, reader)
    if log is None or log.name != "log" or log.rest or log.keywords:
        return None
    softmax = log.first
    called = _called(softmax, reader)
    if called is None or called.name != "softmax" or not isinstance(softmax, ast.Call):
        return None
    text, whole = reader.text(softmax.func), reader.text(softmax)
    return f"{text.removesuffix('softmax')}log_softmax{whole[len(text) :]}"


#: What replaces log(1 + exp(x)): the module and the function.
_SOFTPLUSES = {
    "numpy": (("numpy", "logaddexp(0, {})"),),
    "torch": (("torch.nn.functional", "softplus({})"),),
    "jax": (("jax.nn", "softplus({})"),),
    "tensorflow": (("tensorflow.math", "softplus({})"),),
}


def _softplus_for(reader: Reader, term: Term) -> str | None:
    log = _called(term.node, reader)
    if log is None or log.name not in ("log", "log1p") or log.rest or log.keywords:
        return None
    node = log.first
    if log.name == "log":
        if not isinstance(node, ast.BinOp):
            return None
        node = node.right if isinstance(node.left, ast.Constant) else node.left
    exp = _called(node, reader)
    if exp is None or exp.name != "exp" or exp.rest or exp.keywords:
        return None
    for full, text in _SOFTPLUSES.get(term.library, ()):
        module = _module(reader, full)
        if module is not None:
            return f"{module}.{text.format(reader.text(exp.first))}"
    return None


_FIXES: dict[str, Callable[[Reader, Term], str | None]] = {
    "LSE001": _logsumexp_for,
    "LSE002": _log_softmax_for,
    "LSE004": _softplus_for,
}


def rewritten(source: str, edits: Sequence[Edit]) -> str:
    """Return a source with its edits made; edits inside others are left for the next time."""
    lines = source.encode().splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    text, end = source.encode(), None
    for edit in sorted(edits, key=lambda e: (e.line, e.column, -e.end_line), reverse=True):
        begin = starts[edit.line - 1] + edit.column
        stop = starts[edit.end_line - 1] + edit.end_column
        if end is None or stop <= end:
            text, end = text[:begin] + edit.text.encode() + text[stop:], begin
    return text.decode()


# ---- Files


def lint(source: str, path: str = "<source>") -> list[LintFinding | LintError]:
    """Find naive formulas in Python source, or in a notebook if the path ends in .ipynb.

    Parameters
    ----------
    source : str
        The text of the file. It is parsed, never run.
    path : str
        The name to report.

    Returns
    -------
    list of LintFinding or LintError
        In the order of the lines; an error for each piece that cannot be parsed.
    """
    if HINT.search(source) is None:
        return []
    if not path.endswith(".ipynb"):
        return _lint_part(source, path)
    try:
        cells = json.loads(source)["cells"]
        codes = [(k, c) for k, c in enumerate(cells, 1) if c["cell_type"] == "code"]
        texts = [(k, "".join(c["source"])) for k, c in codes]
    except (ValueError, KeyError, TypeError, RecursionError):
        return [LintError(path, 1, "not a notebook")]
    found: list[LintFinding | LintError] = []
    imports = ""
    for cell, text in texts:
        plain = re.sub(r"(?m)^\s*[%!?].*$", "pass", text)
        found += _lint_part(plain, path, cell, imports)
        imports += "".join(f"{line}\n" for line in plain.splitlines() if _IMPORT.match(line))
    return found


_IMPORT = re.compile(r"(import|from)\s[^(\\]*$")


def _lint_part(
    source: str, path: str, cell: int | None = None, imports: str = ""
) -> list[LintFinding | LintError]:
    try:
        before, tree = ast.parse(imports), ast.parse(source)
        linter = _Linter(path, source, cell)
        linter.reader.run(before.body)
        linter.reader.run(tree.body)
    except (SyntaxError, ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None) or 1
        where = f"cell {cell}: " if cell else ""
        return [LintError(path, line, f"{where}{getattr(error, 'msg', None) or error}")]
    findings = sorted(linter.findings, key=lambda f: (f.line, f.column, f.rule))
    return list[LintFinding | LintError](findings)
