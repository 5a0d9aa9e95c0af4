"""A linter for naive formulas in Python source: rules, which are patterns of terms, and fixes."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from stablelse.analysis.terms import HINT, Reader, Term


class LintFinding(NamedTuple):
    """A naive formula in a file."""

    path: str
    line: int  # from 1
    column: int  # from 1, in characters
    rule: str
    library: str
    source: str  # the formula
    span: tuple[int, int]  # where it begins and ends, in bytes
    cell: int | None = None  # of a notebook, from 1
    replacement: str | None = None  # if it can be rewritten safely


class LintError(NamedTuple):
    """A file that cannot be parsed."""

    path: str
    line: int
    reason: str


LintResults = list[LintFinding | LintError]


def lint(source: str, path: str = "<source>") -> LintResults:
    """Find naive formulas in Python or a notebook (.ipynb), and what cannot be parsed, in order."""
    if HINT.search(source.encode(errors="replace")) is None:
        return []
    modules: dict[str, str] = {}
    if not path.endswith(".ipynb"):
        return _part(source, path, modules)
    try:
        notebook = json.loads(source)
        codes = [(k, c) for k, c in enumerate(notebook["cells"], 1) if c["cell_type"] == "code"]
        texts = [(k, "".join(c["source"])) for k, c in codes]
        language = notebook.get("metadata", {}).get("language_info", {}).get("name", "python")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return [LintError(path, 1, "not a notebook of version 4 (nbformat)")]
    if "py" not in language.lower():
        return []
    python = ((k, text) for k, text in texts if not _OTHER_LANGUAGE.match(text))
    plain = [(k, _MAGIC.sub(_without_magic, text)) for k, text in python]
    return [found for k, text in plain for found in _part(text, path, modules, k)]


#: A cell that is not Python, such as %%bash.
_OTHER_LANGUAGE = re.compile(r"\s*%%(?!time|capture|prun)")

#: Lines of IPython: ``%timeit f()``, ``!ls``, ``files = !ls``, ``np.exp?`` and ``?np.exp``.
_MAGIC = re.compile(
    r"(?m)^([ \t]*(?:[\w, ]+=[ \t]*)?)(?:[%!](?:.*\\\n)*.*|\?.*|[\w.*]+\?\??[ \t]*)$"
)


def _without_magic(found: re.Match[str]) -> str:
    """Return a line of Python with as many line breaks."""
    return found[1] + "..." + "\n" * found[0].count("\n")


def _part(source: str, path: str, modules: dict[str, str], cell: int | None = None) -> LintResults:
    """Find naive formulas in a file or a cell."""
    found: LintResults = []

    def check(term: Term) -> None:
        rule = _rule(term, reader.tested)
        if rule is None:
            return
        node, (begin, end) = term.node, reader.span(term.node)
        start, stop = reader.starts[node.lineno - 1], reader.starts[node.end_lineno]
        silenced = _SILENCE.findall(reader.source[start:stop].decode())
        if any(not rules or rule in re.split(r"[\s,]+", rules) for rules in silenced):
            return
        formula = reader.text(node)
        place = path, node.lineno, len(reader.source[start:begin].decode()) + 1
        shown = " ".join(formula.split())
        better = _rewriting(formula, modules) if cell is None else None
        found.append(LintFinding(*place, rule, term.library, shown, (begin, end), cell, better))

    try:
        reader = Reader(source, check, modules)
        reader.visit(ast.parse(source))
    except (SyntaxError, ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None) or 1
        where = f"cell {cell}: " if cell else ""
        return [LintError(path, line, f"{where}{getattr(error, 'msg', None) or error}")]
    return sorted(found, key=lambda finding: finding[1:4])  # by line, column and rule


_SILENCE = re.compile(r"#\s*stablelse:\s*ignore(?:\[([^\]]*)\])?")


# ---- Rules


def _rule(term: Term, tested: set[str]) -> str | None:
    """Return the rule that a term breaks, where the program has compared some names."""
    match term:
        case Term("log", (x,)):
            return _of_log(x, tested)
        case Term("log1p", (x,)):
            rule = _of_log(Term("add", (_ONE, *(x.args if x.op == "add" else (x,)))), tested)
            return rule if rule in ("LSE001", "LSE004", "LSE005") else None
        case Term("loss", (x, *_)) if _is_probability(x):
            return "LSE006"
        case Term("div", (above, below)) if _is_quotient(term):
            is_safe = _is_one_plus(below) and all(_is_small(y, tested) for y in _exps(below))
            is_naive = any(any(_exps(factor)) for factor in _factors(above))
            return "LSE007" if is_naive and not is_safe else None
        case Term("where", (Term("compare") as condition, *branches), _, library):
            if library in ("torch", "jax", "tensorflow"):
                names = _unknowns(condition)
                parts = [part for branch in branches for part in branch.within()]
                negative = list(filter(None, map(_log1mexp_argument, parts)))
                exps = (part.args[0] for part in parts if part.op in ("exp", "expm1"))
                risky = (x for x in exps if _is_unguarded(x, names) and x not in negative)
                return "LSE008" if any(risky) else None
    return None


def _of_log(x: Term, tested: set[str]) -> str | None:
    """Return the rule that the logarithm of a term breaks."""
    if _is_softmax(x):
        return "LSE002"
    if _is_sigmoid(x):
        return "LSE003"
    match x:
        case Term("add" | "bounded", args) if any(map(_is_probability, args)):
            others = (arg for arg in args if not _is_probability(arg))
            return "LSE010" if all(arg.op in ("constant", "unknown") for arg in others) else None
        case Term("sub", (one, Term("exp"))) if _is_one(one):
            return "LSE009"
        case Term("add", (one, Term("exp") as exp) | (Term("exp") as exp, one)) if _is_one(one):
            return None if all(_is_small(y, tested) for y in _exps(exp)) else "LSE004"
    if _is_sum_of_exp(x):
        return "LSE001"
    several = x.op == "add" and sum(any(_exps(part)) for part in x.args) > 1
    return "LSE005" if several else None


def _is_one(term: Term) -> bool:
    return term.op == "constant" and term.name in ("1", "1.0")


_ONE = Term("constant", name="1")


def _is_one_plus(term: Term) -> bool:
    return term.op == "add" and any(map(_is_one, term.args))


def _is_softmax(term: Term) -> bool:
    if _is_quotient(term):
        return term.args[0].op not in ("sum", "dot") and not _is_one_plus(term.args[1])
    return term.op == "softmax"


def _is_sigmoid(term: Term) -> bool:
    match term:
        case Term("div", (one, below)) if _is_one(one) and _is_one_plus(below):
            return any(part.op == "exp" for part in below.args)
    return term.op == "sigmoid"


def _is_probability(term: Term) -> bool:
    return _is_softmax(term) or _is_sigmoid(term)


def _is_quotient(term: Term) -> bool:
    """Whether a term is exp over a sum that has the same exp, shifted or not."""
    if term.op != "div" or term.args[1].op not in ("sum", "add", "dot"):
        return False
    above, below = term.args
    exps = [part for part in _factors(above) if part.op == "exp"]
    return any(part in exps for part in below.within())


def _factors(term: Term) -> Iterator[Term]:
    """Yield the factors of a product or a quotient, or of what is summed."""
    if term.op in ("mul", "div", "dot", "sum"):
        for arg in term.args[:1] if term.op == "div" else term.args:
            yield from _factors(arg)
    else:
        yield term


def _is_sum_of_exp(term: Term) -> bool:
    """Whether a term is a sum, a mean or a dot product of exp, perhaps weighted or divided."""
    match term:
        case Term("sum" | "dot", args):
            return any(any(_exps(arg)) for arg in args)
        case Term("add" | "mul", args):
            return any(map(_is_sum_of_exp, args))
        case Term("div", (above, below)):
            return _is_sum_of_exp(above) or (below.op == "sum" and _is_sum_of_exp(below))
    return False


def _exps(term: Term) -> Iterator[Term]:
    """Yield the unbounded arguments of exp among the factors of the terms of a sum."""
    if term.op in ("add", "sub", "mul", "div", "dot"):
        for arg in term.args[:1] if term.op == "div" else term.args:
            yield from _exps(arg)
    elif term.op == "exp" and not _is_bounded(term.args[0]) and not _is_grid(term.args[0]):
        yield term.args[0]


def _log1mexp_argument(term: Term) -> Term | None:
    """Return the argument of log(1 - exp) in its stable forms: it is below 0."""
    match term:
        case Term("log1p", (Term("neg", (Term("exp", (y,)),)),)):
            return y
        case Term("log", (Term("neg", (Term("expm1", (y,)),)),)):
            return y
    return None


def _unknowns(term: Term) -> set[str]:
    return {part.name for part in term.within() if part.op == "unknown"}


def _is_unguarded(x: Term, tested: set[str]) -> bool:
    """Whether exp of what a condition tests can overflow where it is not selected."""
    is_guarded = any(part.op in ("where", "bounded", "max") for part in x.within())
    is_small = is_guarded or _is_bounded(x) or _is_nonpositive(x)
    return not is_small and bool(tested & _unknowns(x))


#: How an unknown name looks that is subtracted to keep exp in range.
_SHIFT_NAME = re.compile(r"max|shift|lse|logsumexp|logaddexp|log_?z|log_?norm|offset|\b[amcMZ]\b")


def _is_shift(term: Term) -> bool:
    """Whether subtracting this keeps exp in range."""
    if term.op in ("max", "bounded"):
        return True
    if term.op == "unknown":
        return _SHIFT_NAME.search(term.name) is not None
    return any(map(_is_shift, term.args))


def _is_bounded(x: Term) -> bool:
    """Whether something keeps exp of a term in range: a shift, a limit, or a log-probability."""
    match x:
        case Term("bounded" | "log_softmax" | "constant"):
            return True
        case Term("sub", (y, shift)):
            return _is_shift(shift) or _is_bounded(y)
        case Term("neg", (Term("sub", (shift, least)),)):
            return _is_shift(shift) or least.op == "bounded"
        case Term("add", parts) if any(p.op == "neg" and _is_shift(p.args[0]) for p in parts):
            return True
        case Term("add" | "mul" | "div" as op, parts):
            # a factor such as 1/T does not matter
            some = parts[:1] if op == "div" else parts
            return any(part.op != "constant" and _is_bounded(part) for part in some)
    return False


def _is_grid(x: Term) -> bool:
    """Whether a term is a grid such as arange, moved, scaled or squared: the program chose it."""
    match x:
        case Term("mul" | "div", parts):
            return any(map(_is_grid, parts))
        case Term("add", parts):
            return all(map(_is_grid, parts))
        case Term("neg" | "sub" | "pow" | "abs", (y, *_)):
            return _is_grid(y)
    return x.op == "grid"


def _is_small(x: Term, tested: set[str]) -> bool:
    """Whether a term is at most 0, or all of its names are tested: others are for large ones."""
    return _is_nonpositive(x) or set() < _unknowns(x) <= tested


def _is_nonpositive(x: Term) -> bool:
    """Whether a term is provably at most 0."""
    match x:
        case Term("neg", (y,)):
            return _is_nonnegative(y)
        case Term("mul" | "div", parts):
            is_negative = [_is_nonpositive(part) for part in parts]
            is_known = all(n or _is_nonnegative(p) for n, p in zip(is_negative, parts, strict=True))
            return is_known and sum(is_negative) % 2 == 1
    return x.op == "log_softmax" or (x.op == "constant" and x.name.startswith("-"))


def _is_nonnegative(x: Term) -> bool:
    match x:
        case Term("pow", (_, power)):
            return power.name in ("2", "4", "2.0")
        case Term("mul" | "div", (y, z)) if y == z:
            return True
        case Term("mul" | "div" | "sum" | "add", parts):
            return all(map(_is_nonnegative, parts))
        case Term("constant"):
            return x.name[:1].isdigit()
        case Term("log", (Term("constant", name=name),)):
            return name[:1] in "123456789"
    return x.op in ("abs", "exp", "sigmoid", "softmax")


# ---- Rewriting the safe cases

#: How formulas are written that can be rewritten, with modules M and N, an array X and an axis A;
#: and by the name of M, or for any, what replaces them.
_REWRITINGS: tuple[tuple[tuple[str, ...], dict[str, str]], ...] = (
    (("M.log(M.sum(M.exp(X), A))", "M.log(M.exp(X).sum(A))", "M.exp(X).sum(A).log()"),
     {"numpy": "M.logaddexp.reduce(X, A)", "torch": "M.logsumexp(X, A)",
      "jax.numpy": "jax.nn.logsumexp(X, A)", "tensorflow": "M.reduce_logsumexp(X, A)"}),
    (("M.log(M.sum(M.exp(X)))", "M.log(M.exp(X).sum())"),
     {"numpy": "M.logaddexp.reduce(X, axis=None)",
      "jax.numpy": "jax.nn.logsumexp(X)", "tensorflow": "M.reduce_logsumexp(X)"}),
    (("M.log(1.0 + M.exp(X))", "M.log(M.exp(X) + 1.0)", "M.log1p(M.exp(X))"),
     {"numpy": "M.logaddexp(0, X)", "torch": "M.nn.functional.softplus(X, threshold=40)",
      "jax.numpy": "M.logaddexp(0, X)", "tensorflow": "M.math.softplus(X)"}),
    (("M.log(N.softmax(X, A))", "N.softmax(X, A).log()"), {"": "N.log_softmax(X, A)"}),
    (("X.softmax(A).log()",), {"": "X.log_softmax(A)"}),
)  # fmt: skip

#: Longer formulas are not rewritten: the expressions below may take quadratic time.
_LONGEST = 1000

#: The regular expressions of the parts of a form.
_PARTS = {
    r"\ ": r"\s*",
    r"\(": r"\(\s*",
    r"\)": r"\s*\)",
    r"1\.0": r"1(?:\.0?)?",
    "sum": "(?:reduce_)?sum",
    "N": r"(?P<N>[\w.]+)",
    "X": "(?P<X>[^#]+)",
    "A": r"(?P<A>(?:(?:axis=|dim=(?!None\b))(?:-?\w+|\([\d, -]+\))|-?\d+)(?:,\s*keepdims?=\w+)?)",
    "M": "(?P=M)",
}


def _rewriting(formula: str, modules: dict[str, str]) -> str | None:
    """Return what to write instead of a formula, if that is safe."""
    if len(formula) > _LONGEST:
        return None
    for forms, replacements in _REWRITINGS:
        for match in filter(None, (re.fullmatch(_pattern(form), formula) for form in forms)):
            module = modules.get(match.groupdict().get("M", ""), "")
            form = replacements.get(module) or replacements.get("", "")
            text = match.expand(re.sub(r"\b([MNXA])\b", r"\\g<\1>", form))
            is_known = form.startswith("X") or text.partition(".")[0] in modules
            if is_known and _is_argument(match["X"]):
                return text
    return None


def _pattern(form: str) -> str:
    pattern = re.escape(form)
    for part, expression in _PARTS.items():
        pattern = pattern.replace(part, expression)
    return pattern.replace("(?P=M)", r"(?P<M>\w+)(?:\.math)?", 1)  # the others are the same


def _is_argument(text: str) -> bool:
    """Whether a piece of source is one argument of a call."""
    try:
        match ast.parse(f"f({text})", mode="eval").body:
            case ast.Call(ast.Name(), [_], []):
                return True
    except SyntaxError:
        pass
    return False


def rewritten(source: str, findings: Iterable[LintFinding]) -> str:
    """Return a source with replacements made; those inside others are left for the next time."""
    text, last = source.encode(), None
    for finding in sorted(findings, key=lambda finding: finding.span, reverse=True):
        begin, end = finding.span
        if finding.replacement is not None and (last is None or end <= last):
            text, last = text[:begin] + finding.replacement.encode() + text[end:], begin
    return text.decode()
