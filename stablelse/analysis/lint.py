"""A linter for naive formulas in Python source: it parses the text, and imports and runs nothing.

Expressions become terms such as ``log(sum(exp(x)))``, whatever library they are written in. Names
stand for what was last assigned to them in the same function. Each rule is a pattern of terms.
"""

from __future__ import annotations

import ast
import json
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple


class Rule(NamedTuple):
    """A pattern, numbers that break it, and what to write instead."""

    title: str
    #: What `compare` shows: the function, a vector that breaks it, and the weights.
    function: str
    x: tuple[float, ...]
    advice: dict[str, str]  # by library; "" for any other
    limit: str = "overflow"  # the threshold of e^x that x crosses, or no threshold
    weights: tuple[float, ...] | None = None


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
_LOG1MEXP = {
    "": "log(-expm1(x)) where x > -log(2), log1p(-exp(x)) elsewhere (Maechler 2012)",
}

RULES = {
    "LSE001": Rule("log of a sum of exp", "logsumexp", (1000.0, 1001.0), _LSE),
    "LSE002": Rule("log of softmax", "log_softmax", (0.0, -1000.0), _LOG_SOFTMAX, "underflow"),
    "LSE003": Rule("log of sigmoid", "log_softmax", (-1000.0, 0.0), _LOG_SIGMOID, "underflow"),
    "LSE004": Rule("log(1 + exp(x))", "logsumexp", (0.0, 1000.0), _SOFTPLUS),
    "LSE005": Rule("log of a sum of two exp", "logsumexp", (1000.0, 999.0), _LOGADDEXP),
    "LSE006": Rule(
        "loss of softmax: the function expects logits, or log-softmax",
        "log_softmax",
        (0.0, -1000.0),
        {
            "torch": "cross_entropy of the logits, or nll_loss of log_softmax",
            "tensorflow": "the loss with from_logits=True, of the logits",
            "": "the loss of the logits",
        },
        "underflow",
    ),
    "LSE007": Rule("exp over a sum of exp, without a shift", "softmax", (1000.0, 1001.0), _SOFTMAX),
    "LSE008": Rule(
        "exp in a branch of where that is not selected can overflow: the gradient is NaN",
        "logsumexp",
        (0.0, 1000.0),
        {"": "a bounded argument in the branch: exp(minimum(x, 20)), or a function such as softplus"},
    ),
    "LSE009": Rule("log(1 - exp(x))", "logsumexp", (0.0, -1e-17), _LOG1MEXP, "", (1.0, -1.0)),
    "LSE010": Rule(
        "log of softmax plus a small number: smaller probabilities are all alike",
        "log_softmax",
        (0.0, -1000.0),
        _LOG_SOFTMAX,
        "underflow",
    ),
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


class Term(NamedTuple):
    """An operation on terms; an unknown one has its source text as `name`."""

    op: str
    args: tuple[Term, ...] = ()
    name: str = ""
    library: str = ""
    node: Any = None

    def same(self, other: Term) -> bool:
        """Whether two terms are the same formula."""
        return (
            (self.op, self.name) == (other.op, other.name)
            and len(self.args) == len(other.args)
            and all(a.same(b) for a, b in zip(self.args, other.args, strict=True))
        )

    def within(self) -> Iterator[Term]:
        """Yield the term and its parts."""
        yield self
        for arg in self.args:
            yield from arg.within()


#: The modules of each library, with the names that people give them where they import nothing.
_LIBRARIES = {
    "numpy": "numpy",
    "np": "numpy",
    "scipy": "scipy",
    "torch": "torch",
    "F": "torch",
    "jax": "jax",
    "jnp": "jax",
    "flax": "jax",
    "tensorflow": "tensorflow",
    "tf": "tensorflow",
    "keras": "tensorflow",
    "math": "math",
    "cupy": "numpy",
}

#: What functions and methods compute, by their last name.
_OPS = {
    **dict.fromkeys(("exp", "exp_"), "exp"),
    **dict.fromkeys(("log", "log_", "log2", "log10"), "log"),
    **dict.fromkeys(("sum", "fsum", "nansum", "reduce_sum"), "sum"),
    **dict.fromkeys(("mean", "nanmean", "average", "reduce_mean"), "sum"),
    **dict.fromkeys(("dot", "matmul", "vdot", "inner", "tensordot", "einsum", "mm", "bmm"), "dot"),
    **dict.fromkeys(("log1p", "log1p_"), "log1p"),
    **dict.fromkeys(("softmax", "softmax_", "Softmax", "softmax2d"), "softmax"),
    **dict.fromkeys(("log_softmax", "LogSoftmax"), "log_softmax"),
    **dict.fromkeys(("sigmoid", "sigmoid_", "expit", "Sigmoid", "logistic"), "sigmoid"),
    **dict.fromkeys(("max", "amax", "nanmax", "reduce_max", "cummax"), "max"),
    **dict.fromkeys(("logsumexp", "reduce_logsumexp", "logaddexp", "log_normalizer"), "max"),
    **dict.fromkeys(("where", "select"), "where"),
    **dict.fromkeys(("abs", "absolute", "fabs", "square", "norm"), "size"),
    **dict.fromkeys(("clip", "clamp", "clamp_", "clip_by_value", "hardtanh"), "bounded"),
    **dict.fromkeys(("minimum", "min", "amin", "fmin", "nanmin"), "bounded"),
    **dict.fromkeys(("tanh", "logsigmoid", "log_sigmoid", "log_expit", "erf"), "bounded"),
    **dict.fromkeys(("add", "subtract", "sub", "multiply", "mul", "divide", "div"), "arithmetic"),
    **dict.fromkeys(("true_divide", "negative", "neg"), "arithmetic"),
    **dict.fromkeys(("cross_entropy", "CrossEntropyLoss"), "cross_entropy"),
    **dict.fromkeys(("nll_loss", "NLLLoss"), "nll_loss"),
}

#: Functions and methods that return their argument, as far as the rules are concerned.
_SAME = frozenset(
    "array asarray asanyarray detach float double half clone contiguous to astype view reshape "
    "unsqueeze squeeze expand_dims item numpy cpu cuda flatten ravel transpose permute T "
    "stop_gradient expand broadcast_to requires_grad_ copy Tensor tensor Variable type_as "
    "masked_fill nan_to_num".split()
)

#: How an unknown name looks that is subtracted to keep exp in range.
_SHIFT_NAME = re.compile(r"max|shift|lse|logsumexp|logaddexp|log_?z|log_?norm|offset|\b[amcMZ]\b")

_METHODS_WITHOUT_LIBRARY = frozenset(_OPS) - {"log", "add", "sub", "norm", "select", "copy"}


#: How programs that work with several libraries call the one at hand.
_NAMESPACES = frozenset(("xp", "xpx", "K", "ops", "backend", "lax"))

#: A source without any of these has no finding: most files need not be parsed.
_HINT = re.compile(r"(?<![a-z])exp_?\(|softmax|[sS]igmoid|expit|logistic")


class _Reader:
    """Reads one module: the terms of all expressions, and the findings among them."""

    def __init__(self, path: str, source: str, cell: int | None = None) -> None:
        self.path, self.source, self.cell = path, source, cell
        self.lines = source.splitlines(keepends=True)
        self.hints = [number for number, line in enumerate(self.lines, 1) if _HINT.search(line)]
        self.modules: dict[str, str] = {}  # what imported names stand for
        self.env: dict[str, Term] = {}
        self.findings: list[LintFinding] = []
        self.made: dict[str, Term] = {}

    # ---- Statements

    def run(self, body: Sequence[ast.stmt]) -> None:
        """Read statements in order."""
        for statement in body:
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        """Read a statement, and keep what it assigns."""
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self.imported(node)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            self.scope(node)
        elif isinstance(node, ast.Assign):
            value = self.term(node.value)
            for target in node.targets:
                self.assign(target, value, node.value)
        elif isinstance(node, ast.AnnAssign):
            if node.value is not None:
                self.assign(node.target, self.term(node.value), node.value)
        elif isinstance(node, ast.AugAssign):
            before = self.term(node.target)
            value = Term(_BINARY.get(type(node.op), "?"), (before, self.term(node.value)), node=node)
            value = value._replace(library=_library_of(value))
            self.check(value)
            self.assign(node.target, value, node.value)
        else:
            self.compound(node)

    def compound(self, node: ast.AST) -> None:
        """Read the parts of any other statement in order."""
        if isinstance(node, (ast.For, ast.AsyncFor)):
            self.term(node.iter)
            self.forget(node.target)
        before = dict(self.env)
        for field in ("test", "value", "exc", "cause", "msg", "items", "subject"):
            part = getattr(node, field, None)
            for each in part if isinstance(part, list) else [part]:
                if isinstance(each, ast.withitem):
                    self.term(each.context_expr)
                elif isinstance(each, ast.expr):
                    self.term(each)
        branches = [getattr(node, name, None) for name in ("body", "orelse", "finalbody")]
        branches += [part.body for name in ("handlers", "cases") for part in getattr(node, name, ())]
        for branch in branches:
            if isinstance(branch, list):
                self.run(branch)
        if isinstance(node, (ast.If, ast.Try, ast.While, ast.For, ast.AsyncFor, ast.Match)):
            # what a branch assigned holds after it only where it was not known before
            for name, term in before.items():
                if self.env.get(name) is not term:
                    self.env.pop(name, None)

    def scope(self, node: Any) -> None:
        """Read a function or a class with names of its own, if it can have a finding."""
        at = bisect_left(self.hints, node.lineno)
        if at == len(self.hints) or self.hints[at] > node.end_lineno:
            return
        for decorator in node.decorator_list:
            self.term(decorator)
        outside = dict(self.env)
        if not isinstance(node, ast.ClassDef):
            arguments = node.args
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            for each in [*every, arguments.vararg, arguments.kwarg]:
                if each is not None:
                    self.env.pop(each.arg, None)
            for default in [*arguments.defaults, *arguments.kw_defaults]:
                if default is not None:
                    self.term(default)
        self.run(node.body)
        self.env = outside

    def imported(self, node: ast.Import | ast.ImportFrom) -> None:
        """Keep what imported names stand for."""
        for alias in node.names:
            if isinstance(node, ast.Import):
                top = alias.name.partition(".")[0]
                self.modules[alias.asname or top] = alias.name if alias.asname else top
            else:
                self.modules[alias.asname or alias.name] = f"{node.module or ''}.{alias.name}"

    def assign(self, target: ast.expr, value: Term, node: ast.expr) -> None:
        """Keep what a name stands for; a pair of names may get a pair of values."""
        if isinstance(target, (ast.Tuple, ast.List)):
            values = node.elts if isinstance(node, (ast.Tuple, ast.List)) else []
            is_pair = len(values) == len(target.elts)
            is_max = value.op == "max" and target.elts  # values, indices = x.max(dim)
            for number, each in enumerate(target.elts):
                if is_pair:
                    self.assign(each, self.made.get(_key(values[number]), _unknown(each)), each)
                elif is_max and number == 0:
                    self.assign(each, value, each)
                else:
                    self.forget(each)
        elif (name := _dotted(target)) is not None:
            self.env[name] = value
        elif isinstance(target, ast.Subscript):
            self.forget(target.value)

    def forget(self, target: ast.expr) -> None:
        """Drop what is known of the names in a target."""
        for part in ast.walk(target):
            name = _dotted(part)
            if name is not None:
                self.env.pop(name, None)

    # ---- Expressions

    def term(self, node: ast.expr) -> Term:
        """Return the term of an expression; every expression is read once."""
        made = self.made[_key(node)] = self.read(node)
        return made

    def read(self, node: ast.expr) -> Term:
        """Read an expression and check it."""
        if isinstance(node, ast.Constant):
            return Term("constant", name=repr(node.value), node=node)
        if isinstance(node, (ast.Name, ast.Attribute)):
            return self.named(node)
        if isinstance(node, ast.BinOp):
            op = _BINARY.get(type(node.op), "?")
            made = Term(op, (self.term(node.left), self.term(node.right)), node=node)
            made = made._replace(library=_library_of(made))
            self.check(made)
            return made
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return Term("neg", (self.term(node.operand),), node=node)
        if isinstance(node, ast.Call):
            return self.call(node)
        if isinstance(node, (ast.GeneratorExp, ast.ListComp, ast.SetComp)):
            return self.comprehension(node)
        if isinstance(node, ast.Subscript):
            self.term(node.slice)
            return self.term(node.value)
        if isinstance(node, ast.NamedExpr):
            value = self.term(node.value)
            self.assign(node.target, value, node.value)
            return value
        if isinstance(node, ast.Compare):
            return Term("compare", tuple(map(self.term, [node.left, *node.comparators])), node=node)
        if isinstance(node, ast.IfExp):
            self.term(node.test)
            self.term(node.body), self.term(node.orelse)
            return _unknown(node)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.term(child)
        return _unknown(node)

    def named(self, node: ast.Name | ast.Attribute) -> Term:
        """Return what a name stands for."""
        name = _dotted(node)
        if name in self.env:
            return self.env[name]
        if isinstance(node, ast.Attribute):
            inner = self.term(node.value)
            if node.attr in ("T", "mT", "data", "values", "real"):
                return inner
        return Term("unknown", name=name or ast.dump(node), node=node)

    def comprehension(self, node: ast.GeneratorExp | ast.ListComp | ast.SetComp) -> Term:
        """Return the term of each item."""
        outside = dict(self.env)
        for generator in node.generators:
            # two comprehensions over the same numbers have the same items
            items = self.term(generator.iter)
            self.forget(generator.target)
            if isinstance(generator.target, ast.Name):
                self.env[generator.target.id] = Term("item", (items,))
            for test in generator.ifs:
                self.term(test)
        made = self.term(node.elt)
        self.env = outside
        return made

    def call(self, node: ast.Call) -> Term:
        """Return the term of a call of a function, a method, or a layer."""
        op, library, args = self.operation(node)
        for keyword in node.keywords:
            value = self.term(keyword.value)
            if keyword.arg in ("input", "a", "x", "logits", "tensor") and not args:
                args = [value]
        if op == "same" and args:
            return args[0]
        if op == "arithmetic":
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            op = _NAMED.get(name, "?")
        made = Term(op, tuple(args), node=node)
        made = made._replace(library=library or _library_of(made))
        if op == "unknown":
            return made._replace(name=ast.dump(node.func))
        self.check(made)
        return made

    def operation(self, node: ast.Call) -> tuple[str, str, list[Term]]:
        """Return what a call computes, with which library, and its arguments."""
        args = [self.term(arg) for arg in node.args if not isinstance(arg, ast.Starred)]
        func = node.func
        if isinstance(func, ast.Call):  # a layer: nn.Softmax(dim=1)(x)
            layer, library, _ = self.operation(func)
            return layer, library, args
        name = _dotted(func)
        if name is None:
            if isinstance(func, ast.Attribute):
                return self.method(func, [self.term(func.value), *args])
            return "unknown", "", args
        if name in self.env and self.env[name].node is not None and not args:
            return "unknown", "", args
        first, _, rest = name.partition(".")
        full = f"{self.modules[first]}.{rest}".rstrip(".") if first in self.modules else ""
        library = _LIBRARIES.get((full or name).partition(".")[0], "")
        last = name.rpartition(".")[2]
        if full:
            last = full.rpartition(".")[2]
        if library or (not rest and last in ("sum", "max", "min", "abs") and not full):
            op = _OPS.get(last, "same" if last in _SAME else "unknown")
            return op, "" if library == "math" else library, args
        if not rest and name in self.env and self.env[name].op in ("softmax", "cross_entropy", "nll_loss"):
            made = self.env[name]
            return made.op, made.library, args
        if isinstance(func, ast.Attribute):
            layer = self.env.get(name)
            if layer is not None and isinstance(layer.node, ast.Call) and args:
                return layer.op, layer.library, args
            return self.method(func, [self.term(func.value), *args])
        return "unknown", "", args

    def method(self, func: ast.Attribute, args: list[Term]) -> tuple[str, str, list[Term]]:
        """Return what a method of an array computes, or a function of an unknown library."""
        known = self.made.get(_key(func.value))
        if isinstance(func.value, ast.Name) and func.value.id in _NAMESPACES and len(args) > 1:
            op = _OPS.get(func.attr, "same" if func.attr in _SAME else "unknown")
            return op, "", args[1:]
        is_array = known is not None and known.op not in ("unknown", "constant")
        if func.attr in _SAME:
            return "same", known.library if known else "", args
        if func.attr in _OPS and (is_array or func.attr in _METHODS_WITHOUT_LIBRARY):
            op = _OPS[func.attr]
            return op, known.library if known else "", args
        return "unknown", "", args

    # ---- Rules

    def check(self, term: Term) -> None:
        """Report a term that matches a rule, unless a comment says not to."""
        matches = _PATTERNS.get(term.op)
        rule = matches(term) if matches else None
        if rule is None:
            return
        node = term.node
        found = ast.get_source_segment(self.source, node) or ""
        column = len(self.line(node.lineno).encode()[: node.col_offset].decode(errors="ignore")) + 1
        if any(self.is_silenced(number, rule) for number in range(node.lineno, node.end_lineno + 1)):
            return
        self.findings.append(
            LintFinding(
                self.path,
                node.lineno,
                column,
                rule,
                term.library or _library_of(term),
                " ".join(found.split()),
                self.cell,
                self.edit(term, rule),
            )
        )

    def line(self, number: int) -> str:
        """Return a line of the source, from 1."""
        return self.lines[number - 1] if number <= len(self.lines) else ""

    def is_silenced(self, number: int, rule: str) -> bool:
        """Whether a comment on a line silences a rule."""
        found = _SILENCE.search(self.line(number))
        return found is not None and (found[1] is None or rule in re.split(r"[\s,]+", found[1]))

    def edit(self, term: Term, rule: str) -> Edit | None:
        """Return the safe rewriting of a formula, if there is one."""
        write = _FIXES.get(rule)
        text = write(self, term) if write and self.cell is None else None
        if text is None:
            return None
        node = term.node
        return Edit(node.lineno, node.col_offset, node.end_lineno, node.end_col_offset, text)

    def text(self, node: ast.AST) -> str:
        """Return the source of an expression."""
        return ast.get_source_segment(self.source, node) or ""


_SILENCE = re.compile(r"#\s*stablelse:\s*ignore(?:\[([^\]]*)\])?")

_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.MatMult: "dot",
    ast.Pow: "pow",
}
_NAMED = {
    **dict.fromkeys(("add",), "add"),
    **dict.fromkeys(("subtract", "sub"), "sub"),
    **dict.fromkeys(("multiply", "mul"), "mul"),
    **dict.fromkeys(("divide", "div", "true_divide"), "div"),
    **dict.fromkeys(("negative", "neg"), "neg"),
}


def _key(node: ast.AST) -> Any:
    return id(node)


def _dotted(node: ast.AST) -> str | None:
    """Return a name such as ``np.exp`` or ``self.x``."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def _unknown(node: ast.AST) -> Term:
    return Term("unknown", name=ast.dump(node), node=node)


def _library_of(term: Term) -> str:
    """Return the library of the first part that has one."""
    return next((part.library for part in term.within() if part.library), "")


# ---- Patterns


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
    """Whether exp of a term cannot overflow or underflow everywhere: shifted or clipped."""
    if x.op in ("bounded", "log_softmax", "constant"):
        return True
    if x.op == "sub":
        return _is_shift(x.args[1]) or _is_bounded(x.args[0])
    if x.op in ("mul", "div"):
        return any(map(_is_bounded, x.args[:1] if x.op == "div" else x.args)) and not all(
            map(_is_constant, x.args)
        ) and any(part.op in ("sub", "bounded", "log_softmax") for part in x.within())
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
    if term.op in ("add", "sub"):
        for arg in term.args:
            yield from _exps(arg)
    elif term.op in ("mul", "dot"):
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
    if x.op == "add" and sum(1 for _ in _exps(x)) > 1:
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
    return "LSE007" if any(True for _ in _exps(term.args[0])) else None


def _of_loss(term: Term) -> str | None:
    is_wrong = bool(term.args) and _is_softmax(term.args[0])
    return "LSE006" if is_wrong else None


def _of_where(term: Term) -> str | None:
    """Find exp of what the condition tests in a branch, for libraries that differentiate."""
    if len(term.args) != 3 or (term.library or _library_of(term)) not in _DIFFERENTIATED:
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


def _called(node: ast.AST, reader: _Reader) -> _Called | None:
    """Take a call apart; None if it is none, or has other arguments than arrays and axes."""
    if not isinstance(node, ast.Call) or any(k.arg is None for k in node.keywords):
        return None
    keywords = {k.arg: k.value for k in node.keywords if k.arg is not None}
    if not isinstance(node.func, ast.Attribute):
        return None
    prefix = _dotted(node.func.value) or ""
    is_function = prefix.partition(".")[0] in reader.modules
    if is_function and node.args:
        return _Called(node.func.attr, prefix, node.args[0], node.args[1:], keywords)
    return None if is_function else _Called(node.func.attr, "", node.func.value, node.args, keywords)


def _module(reader: _Reader, full: str) -> str | None:
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


def _logsumexp_for(reader: _Reader, term: Term) -> str | None:
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


def _log_softmax_for(reader: _Reader, term: Term) -> str | None:
    log = _called(term.node, reader)
    if log is None or log.name != "log" or log.rest or log.keywords:
        return None
    softmax = log.first
    if not isinstance(softmax, ast.Call) or not isinstance(softmax.func, ast.Attribute):
        return None
    called = _called(softmax, reader)
    if called is None or called.name != "softmax" or called.prefix in ("", None) and not called.rest:
        if called is None or called.name != "softmax":
            return None
    text, whole = reader.text(softmax.func), reader.text(softmax)
    return f"{text.removesuffix('softmax')}log_softmax{whole[len(text):]}"


#: What replaces log(1 + exp(x)): the module and the function.
_SOFTPLUSES = {
    "numpy": (("numpy", "logaddexp(0, {})"),),
    "torch": (("torch.nn.functional", "softplus({})"),),
    "jax": (("jax.nn", "softplus({})"),),
    "tensorflow": (("tensorflow.math", "softplus({})"),),
}


def _softplus_for(reader: _Reader, term: Term) -> str | None:
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


_FIXES: dict[str, Callable[[_Reader, Term], str | None]] = {
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
    if _HINT.search(source) is None:
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
        reader = _Reader(path, source, cell)
        reader.run(before.body)
        reader.run(tree.body)
    except (SyntaxError, ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None) or 1
        where = f"cell {cell}: " if cell else ""
        return [LintError(path, line, f"{where}{getattr(error, 'msg', None) or error}")]
    return sorted(reader.findings, key=lambda f: (f.line, f.column, f.rule))
