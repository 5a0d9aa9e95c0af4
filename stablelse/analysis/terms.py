"""Python source as terms such as ``log(sum(exp(x)))``, whatever library they are written in.

The source is parsed, never imported or run. A name stands for what was last assigned to it in the
same function; one that was known before a branch and assigned in it is unknown after it.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple


class Term(NamedTuple):
    """An operation on terms; a constant or an unknown has its source text as `name`."""

    op: str
    args: tuple[Term, ...] = ()
    name: str = ""
    library: str = ""
    node: Any = None
    size: int = 1  # how many terms it has, with repetitions

    def same(self, other: Term) -> bool:
        """Whether two terms are the same formula."""
        return self is other or (
            (self.op, self.name, self.size) == (other.op, other.name, other.size)
            and len(self.args) == len(other.args)
            and all(a.same(b) for a, b in zip(self.args, other.args, strict=True))
        )

    def within(self) -> Iterator[Term]:
        """Yield the term and its parts."""
        yield self
        for arg in self.args:
            yield from arg.within()


#: Larger terms become unknown: x = x + exp(x), thirty times, would have a thousand million parts.
_LARGEST = 1000

#: The library of each module, and the usual names of modules.
_LIBRARIES = {
    **dict.fromkeys(("numpy", "np", "cupy"), "numpy"),
    **dict.fromkeys(("torch", "F"), "torch"),
    **dict.fromkeys(("jax", "jnp", "flax"), "jax"),
    **dict.fromkeys(("tensorflow", "tf", "keras"), "tensorflow"),
    "scipy": "scipy",
    "math": "math",
}

#: How programs that work with several libraries call the one at hand.
_NAMESPACES = frozenset(("xp", "xpx", "K", "ops", "backend", "lax"))

#: What functions and methods compute: an operation, and its names. What is ``same`` returns its
#: argument, as far as the rules are concerned; ``bounded`` results keep exp in range.
_NAMES = {
    "exp": "exp exp_",
    "log": "log log_ log2 log10",
    "log1p": "log1p log1p_",
    "sum": "sum fsum nansum reduce_sum mean nanmean average reduce_mean",
    "dot": "dot matmul vdot inner tensordot einsum mm bmm",
    "softmax": "softmax softmax_ Softmax softmax2d",
    "log_softmax": "log_softmax LogSoftmax",
    "sigmoid": "sigmoid sigmoid_ expit Sigmoid logistic",
    "max": "max amax nanmax reduce_max cummax logsumexp reduce_logsumexp logaddexp",
    "where": "where select",
    "size": "abs absolute fabs square norm",
    "bounded": "clip clamp clamp_ clip_by_value hardtanh minimum min amin fmin nanmin tanh "
    "logsigmoid log_sigmoid log_expit erf",
    "cross_entropy": "cross_entropy CrossEntropyLoss",
    "nll_loss": "nll_loss NLLLoss",
    "add": "add",
    "sub": "subtract sub",
    "mul": "multiply mul",
    "div": "divide div true_divide",
    "neg": "negative neg",
    "same": "array asarray asanyarray detach float double half clone contiguous to astype view "
    "reshape unsqueeze squeeze expand_dims item numpy cpu cuda flatten ravel transpose permute "
    "stop_gradient expand broadcast_to requires_grad_ copy Tensor tensor Variable type_as "
    "masked_fill nan_to_num",
}
_OPS = {name: op for op, names in _NAMES.items() for name in names.split()}

#: Methods that objects other than arrays have too.
_AMBIGUOUS = frozenset(("log", "add", "sub", "norm", "select", "copy"))

_BINARY: dict[type, str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.MatMult: "dot",
    ast.Pow: "pow",
}

#: A source without any of these has no finding: most files need not be parsed.
HINT = re.compile(r"(?<![a-z])exp_?\(|softmax|[sS]igmoid|expit|logistic")

_BRANCHES = (ast.If, ast.Try, ast.While, ast.For, ast.AsyncFor, ast.Match)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Reader:
    """Reads a module, and shows each term to `visit` where it stands in the source."""

    def __init__(self, source: str, visit: Callable[[Term], None]) -> None:
        self.source, self.visit = source, visit
        self.lines = source.splitlines(keepends=True)
        self.modules: dict[str, str] = {}  # what imported names stand for
        self._hints = [n for n, line in enumerate(self.lines, 1) if HINT.search(line)]
        self._env: dict[str, Term] = {}
        self._made: dict[int, Term] = {}  # by the id of the node
        self._readers: dict[type[ast.AST], Callable[[Any], Term]] = {
            ast.Constant: lambda node: Term("constant", name=repr(node.value), node=node),
            ast.Name: self._name,
            ast.Attribute: self._name,
            ast.BinOp: lambda node: self._binary(node, node.left, node.right),
            ast.UnaryOp: self._unary,
            ast.Call: self._call,
            ast.GeneratorExp: self._comprehension,
            ast.ListComp: self._comprehension,
            ast.Subscript: self._subscript,
            ast.NamedExpr: self._walrus,
            ast.Compare: self._compare,
        }

    def text(self, node: ast.AST) -> str:
        """Return the source of an expression."""
        return ast.get_source_segment(self.source, node) or ""

    def line(self, number: int) -> str:
        """Return a line of the source, from 1."""
        return self.lines[number - 1] if number <= len(self.lines) else ""

    # ---- Statements

    def run(self, body: Sequence[ast.stmt]) -> None:
        """Read statements in order."""
        for node in body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self._import(node)
            elif isinstance(node, _SCOPES):
                self._scope(node)
            elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
                value = self._term(node.value)
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    self._assign(target, value, node.value)
            elif isinstance(node, ast.AugAssign):
                value = self._binary(node, node.target, node.value)
                self._assign(node.target, value, node.value)
            else:
                self._compound(node)

    def _compound(self, node: ast.stmt) -> None:
        """Read the expressions of a statement, then each of its branches."""
        if isinstance(node, (ast.For, ast.AsyncFor)):
            self._term(node.iter)
            self._forget(node.target)
        known = before = dict(self._env)
        new: dict[str, Term] = {}
        is_branched = isinstance(node, _BRANCHES)
        for _, part in ast.iter_fields(node):
            each = part if isinstance(part, list) else [part]
            for inner in each:
                if isinstance(inner, ast.withitem):
                    self._term(inner.context_expr)
                elif isinstance(inner, ast.expr):
                    self._term(inner)
                elif isinstance(inner, (ast.ExceptHandler, ast.match_case)):
                    self.run(inner.body)
            if each and isinstance(each[0], ast.stmt):
                self.run(each)
            if is_branched:
                new |= {name: term for name, term in self._env.items() if name not in known}
                changed = {name for name, term in before.items() if self._env.get(name) is not term}
                before = {name: term for name, term in before.items() if name not in changed}
                self._env = dict(before)
        self._env |= new

    def _scope(self, node: Any) -> None:
        """Read a function or a class with names of its own, if it can have a finding."""
        at = bisect_left(self._hints, node.lineno)
        if at == len(self._hints) or self._hints[at] > node.end_lineno:
            return
        outside = dict(self._env)
        if not isinstance(node, ast.ClassDef):
            for part in ast.walk(node.args):
                if isinstance(part, ast.arg):
                    self._env.pop(part.arg, None)
                elif isinstance(part, ast.Call):
                    self._term(part)
        self.run(node.body)
        self._env = outside

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            if isinstance(node, ast.ImportFrom):
                self.modules[alias.asname or alias.name] = f"{node.module or ''}.{alias.name}"
            else:
                top = alias.name.partition(".")[0]
                self.modules[alias.asname or top] = alias.name if alias.asname else top

    def _assign(self, target: ast.expr, value: Term, node: ast.expr) -> None:
        """Keep what a name stands for; a pair of names may get a pair of values."""
        if isinstance(target, (ast.Tuple, ast.List)):
            values = node.elts if isinstance(node, (ast.Tuple, ast.List)) else []
            for number, each in enumerate(target.elts):
                if len(values) == len(target.elts):
                    self._assign(each, self._made[id(values[number])], values[number])
                elif value.op == "max" and number == 0:  # values, indices = x.max(dim)
                    self._assign(each, value, each)
                else:
                    self._forget(each)
        elif (name := dotted(target)) is not None:
            self._env[name] = value
        else:
            self._forget(target)

    def _forget(self, target: ast.expr) -> None:
        """Drop what is known of the names in a target."""
        for part in ast.walk(target):
            self._env.pop(dotted(part) or "", None)

    # ---- Expressions

    def _term(self, node: ast.expr) -> Term:
        """Return the term of an expression; every expression is read once."""
        read: Callable[[Any], Term] = self._readers.get(type(node), self._other)
        made = self._made[id(node)] = read(node)
        return made

    def _made_of(self, op: str, args: Sequence[Term], node: ast.AST, library: str = "") -> Term:
        """Return an operation after it was visited."""
        size = 1 + sum(arg.size for arg in args)
        if size > _LARGEST:
            return Term("unknown", name=ast.dump(node), node=node)
        library = library or next((arg.library for arg in args if arg.library), "")
        made = Term(op, tuple(args), "", library, node, size)
        self.visit(made)
        return made

    def _other(self, node: ast.expr) -> Term:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self._term(child)
        return Term("unknown", name=ast.dump(node), node=node)

    def _name(self, node: ast.Name | ast.Attribute) -> Term:
        name = dotted(node)
        if name in self._env:
            return self._env[name]
        if isinstance(node, ast.Attribute):
            inner = self._term(node.value)
            if node.attr in ("T", "mT", "data", "values", "real"):
                return inner
        return Term("unknown", name=name or ast.dump(node), node=node)

    def _binary(self, node: Any, left: ast.expr, right: ast.expr) -> Term:
        args = self._term(left), self._term(right)
        return self._made_of(_BINARY.get(type(node.op), "unknown"), args, node)

    def _unary(self, node: ast.UnaryOp) -> Term:
        inner = self._term(node.operand)
        return self._made_of("neg" if isinstance(node.op, ast.USub) else "unknown", [inner], node)

    def _subscript(self, node: ast.Subscript) -> Term:
        self._term(node.slice)
        return self._term(node.value)

    def _walrus(self, node: ast.NamedExpr) -> Term:
        value = self._term(node.value)
        self._assign(node.target, value, node.value)
        return value

    def _compare(self, node: ast.Compare) -> Term:
        return self._made_of("compare", [*map(self._term, [node.left, *node.comparators])], node)

    def _comprehension(self, node: ast.GeneratorExp | ast.ListComp) -> Term:
        """Return the term of each item; the same numbers have the same items."""
        outside = dict(self._env)
        for generator in node.generators:
            items = self._term(generator.iter)
            self._forget(generator.target)
            if isinstance(generator.target, ast.Name):
                self._env[generator.target.id] = Term("item", (items,), size=items.size + 1)
            for test in generator.ifs:
                self._term(test)
        made = self._term(node.elt)
        self._env = outside
        return made

    def _call(self, node: ast.Call) -> Term:
        """Return the term of a call of a function, a method, or a layer."""
        op, library, args = self._operation(node)
        for keyword in node.keywords:
            value = self._term(keyword.value)
            if keyword.arg in ("input", "a", "x", "logits", "tensor") and not args:
                args = [value]
        if op == "same" and args:
            return args[0]
        made = self._made_of(op, args, node, library)
        name = dotted(node.func) or ast.dump(node.func)
        return made._replace(name=name) if op == "unknown" else made

    def _operation(self, node: ast.Call) -> tuple[str, str, list[Term]]:
        """Return what a call computes, with which library, and its arguments."""
        args = [self._term(arg) for arg in node.args if not isinstance(arg, ast.Starred)]
        func, name = node.func, dotted(node.func) or ""
        if isinstance(func, ast.Call):  # a layer: nn.Softmax(dim=1)(x)
            op, library, _ = self._operation(func)
            return op, library, args
        first, _, rest = name.partition(".")
        full = f"{self.modules[first]}.{rest}".rstrip(".") if first in self.modules else name
        last, is_module = full.rpartition(".")[2], rest or first in self.modules
        library = _LIBRARIES.get(full.partition(".")[0], "") if is_module else ""
        is_builtin = name in ("sum", "max", "min", "abs") and first not in self.modules
        if library or is_builtin:
            return _OPS.get(last, "unknown"), library.replace("math", ""), args
        layer = self._env.get(name)
        if layer is not None and isinstance(layer.node, ast.Call) and args:
            return layer.op, layer.library, args
        if isinstance(func, ast.Attribute):
            return self._method(func, self._term(func.value), args)
        return "unknown", "", args

    def _method(
        self, func: ast.Attribute, array: Term, args: list[Term]
    ) -> tuple[str, str, list[Term]]:
        """Return what a method of an array computes, or a function of an unknown library."""
        op = _OPS.get(func.attr, "unknown")
        if isinstance(func.value, ast.Name) and func.value.id in _NAMESPACES and args:
            return op, "", args
        if func.attr in _AMBIGUOUS and array.op in ("unknown", "constant"):
            op = "unknown"
        return op, array.library, [array, *args]


def dotted(node: ast.AST) -> str | None:
    """Return a name such as ``np.exp`` or ``self.x``."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None
