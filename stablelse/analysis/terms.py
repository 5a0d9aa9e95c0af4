"""Python source as terms such as ``log(sum(exp(x)))``, whatever library they are written in.

The source is parsed, never imported or run. A name stands for what was last assigned to it in the
same function; one that was known before a branch and assigned in it is unknown after it.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, zip_longest
from typing import Any


@dataclass(slots=True)
class Term:
    """An operation on terms; a constant or an unknown has its source text as `name`.

    Terms are equal if they are the same formula.
    """

    op: str
    args: tuple[Term, ...] = ()
    name: str = ""
    library: str = field(default="", compare=False)
    node: Any = field(default=None, compare=False)
    size: int = 1  # how many terms it has, with repetitions

    def within(self) -> Iterator[Term]:
        """Yield the term and its parts."""
        yield self
        for arg in self.args:
            yield from arg.within()


#: Larger terms become unknown: x = x + exp(x), thirty times, would have a thousand million parts.
_LARGEST = 1000

#: The library of each module, by its own name or a usual one.
_LIBRARIES = {
    **dict.fromkeys(("numpy", "np", "cupy", "scipy", "autograd"), "numpy"),
    **dict.fromkeys(("torch", "F"), "torch"),
    **dict.fromkeys(("jax", "jnp", "flax"), "jax"),
    **dict.fromkeys(("tensorflow", "tf", "keras"), "tensorflow"),
    # how programs that work with several libraries call the one at hand
    **dict.fromkeys(("math", "xp", "xpx", "K", "ops", "backend", "lax"), ""),
}

#: What functions and methods compute: an operation, and its names, in any module. What is ``same``
#: returns its argument, as far as the rules are concerned; ``bounded`` results keep exp in range;
#: a ``grid`` has numbers that the program chose.
_NAMES = {
    "exp": "exp",
    "expm1": "expm1",
    "log": "log log2 log10",
    "log1p": "log1p",
    "sum": "sum fsum nansum reduce_sum mean nanmean average reduce_mean",
    "dot": "dot matmul vdot inner tensordot einsum mm bmm",
    "softmax": "softmax Softmax softmax2d",
    "log_softmax": "log_softmax LogSoftmax",
    "sigmoid": "sigmoid expit Sigmoid logistic",
    "max": "max amax nanmax reduce_max cummax topk logsumexp reduce_logsumexp logaddexp",
    "where": "where select",
    "abs": "abs absolute fabs square norm",
    "bounded": "clip clamp clip_by_value hardtanh minimum min amin fmin nanmin tanh logsigmoid "
    "log_sigmoid log_expit erf zeros_like ones_like",
    "grid": "arange range linspace meshgrid mgrid ogrid",
    "loss": "cross_entropy CrossEntropyLoss nll_loss NLLLoss binary_cross_entropy_with_logits "
    "BCEWithLogitsLoss sigmoid_cross_entropy_with_logits softmax_cross_entropy_with_logits "
    "sparse_softmax_cross_entropy_with_logits softmax_cross_entropy "
    "softmax_cross_entropy_with_integer_labels sigmoid_binary_cross_entropy",
    "add": "add",
    "sub": "subtract sub",
    "mul": "multiply mul",
    "div": "divide div true_divide",
    "pow": "pow power",
    "neg": "negative neg",
    "same": "array asarray asanyarray detach float double half clone contiguous to astype view "
    "reshape unsqueeze squeeze expand_dims item numpy cpu cuda flatten ravel transpose permute "
    "stop_gradient expand broadcast_to requires_grad_ copy Tensor tensor Variable type_as "
    "masked_fill nan_to_num optimization_barrier cast list tuple gather take_along_axis "
    "masked_select index_select",
}
_OPS = {name: op for op, names in _NAMES.items() for name in names.split()}

#: How many arguments matter of operations that need them.
_ARITIES = {
    **dict.fromkeys(("exp", "expm1", "log", "log1p", "sum", "neg"), 1),
    **dict.fromkeys(("add", "sub", "mul", "div", "pow"), 2),
    "where": 3,
}

_BINARY: dict[type, str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.MatMult: "dot",
    ast.Pow: "pow",
}

#: A source without any of these has no finding: most files need not be parsed.
HINT = re.compile(rb"(?<![a-z])exp(m1)?_?\(|[sS]oftmax|[sS]igmoid|expit|logistic|Loss\(")


class Reader:
    """Reads a module, and shows each term to `check` where it stands in the source.

    `modules` says what imported names stand for. The visit of an expression returns its term.
    """

    def __init__(self, source: str, check: Callable[[Term], None], modules: dict[str, str]) -> None:
        self.check, self.modules = check, modules
        self.source = source.encode()  # in bytes, as ast counts columns
        lines = self.source.splitlines(keepends=True)
        self.starts = list(accumulate(map(len, lines), initial=0))  # of the lines, and the end
        self._hints = [match.start() for match in HINT.finditer(self.source)]
        self._env: dict[str, Term] = {}
        self.tested: set[str] = set()  # the names that the function has compared

    def span(self, node: Any) -> tuple[int, int]:
        """Return where a piece of the source begins and ends, in bytes."""
        begin, end = self.starts[node.lineno - 1], self.starts[node.end_lineno - 1]
        return begin + node.col_offset, end + node.end_col_offset

    def text(self, node: ast.AST) -> str:
        """Return the source of an expression."""
        begin, end = self.span(node)
        return self.source[begin:end].decode(errors="replace")

    def visit(self, node: ast.AST) -> Term:
        """Read a node of the syntax tree; return its term if it is an expression."""
        visit: Callable[[ast.AST], Term]
        visit = getattr(self, f"_{type(node).__name__.lower()}", self._other)
        return visit(node)

    def _other(self, node: ast.AST) -> Term:
        for part in ast.iter_child_nodes(node):
            self.visit(part)
        return self._unknown(node)

    def _unknown(self, node: ast.AST) -> Term:
        return Term("unknown", name=self.text(node) if isinstance(node, ast.expr) else "")

    # ---- Statements

    def _branches(self, node: ast.AST) -> None:
        """Read the head of a statement, then each of its bodies."""
        parts = [part for _, part in ast.iter_fields(node)]
        for part in parts:
            if isinstance(part, ast.AST):
                self.visit(part)
        known = before = self._env
        new: dict[str, Term] = {}
        for body in (part for part in parts if isinstance(part, list)):
            self._env = dict(before)
            for each in body:
                self.visit(each)
            new |= {name: term for name, term in self._env.items() if name not in known}
            before = {name: term for name, term in before.items() if self._env.get(name) is term}
        self._env = before | new

    _if = _try = _while = _for = _asyncfor = _match = _branches

    def _scope(self, node: ast.AST) -> Term:
        """Read what has names of its own, if it can have a finding; methods share layers."""
        outside, tested = dict(self._env), set(self.tested)
        begin, end = self.span(node)
        has_hint = bisect_left(self._hints, begin) < bisect_left(self._hints, end)
        has_layer = any(name.startswith("self.") for name in outside)
        term = self._other(node) if has_hint or has_layer else self._unknown(node)
        if not isinstance(node, ast.ClassDef):
            layers = ("softmax", "log_softmax", "sigmoid", "loss")  # made, but not called yet
            made = [(n, t) for n, t in self._env.items() if n[:5] == "self." and t.op in layers]
            outside |= {n: t for n, t in made if all(arg.op == "constant" for arg in t.args)}
        self._env, self.tested = outside, tested
        return term

    _functiondef = _asyncfunctiondef = _classdef = _lambda = _dictcomp = _scope

    def _arg(self, node: ast.arg) -> None:
        self._env.pop(node.arg, None)

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            top = alias.name.partition(".")[0]
            self.modules[alias.asname or top] = alias.name if alias.asname else top

    def _importfrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self.modules[alias.asname or alias.name] = f"{node.module or ''}.{alias.name}"

    def _assign(self, node: ast.Assign) -> None:
        value = self.visit(node.value)
        for target in node.targets:
            self._bind(target, value)

    def _augassign(self, node: ast.AugAssign) -> None:
        """Read ``e /= s`` as ``e = e / s``."""
        node.target.ctx = ast.Load()
        value = ast.copy_location(ast.BinOp(node.target, node.op, node.value), node)
        self._bind(node.target, self.visit(value))

    def _bind(self, target: ast.expr, value: Term) -> None:
        """Keep what a name stands for; a pair of names may get a pair of values."""
        if isinstance(target, (ast.Tuple, ast.List)):
            # values, indices = x.max(dim); rows, columns = np.mgrid[:m, :n]
            shared = {"max": [value], "grid": [value] * len(target.elts), "tuple": value.args}
            values = shared.get(value.op, ())
            for each, part in zip_longest(target.elts, values[: len(target.elts)]):
                if part is None:
                    self.visit(each)
                else:
                    self._bind(each, part)
        elif (name := dotted(target)) is not None:
            self._env[name] = value
        else:
            self.visit(target)

    # ---- Expressions

    def _made(self, op: str, args: Sequence[Term], node: ast.AST, library: str = "") -> Term:
        """Return an operation after it was checked; nested sums become one, and so do products."""
        if op in ("add", "mul"):
            args = [part for arg in args for part in (arg.args if arg.op == op else (arg,))]
        size = 1 + sum(arg.size for arg in args)
        if size > _LARGEST:
            return self._unknown(node)
        library = library or next((arg.library for arg in args if arg.library), "")
        made = Term(op, tuple(args), "", library, node, size)
        self.check(made)
        return made

    def _constant(self, node: ast.Constant) -> Term:
        return Term("constant", name=repr(node.value))

    def _name(self, node: ast.Name) -> Term:
        """Return what a name stands for; the target of a loop may be anything."""
        if isinstance(node.ctx, ast.Store):
            self._env.pop(node.id, None)
        return self._env.get(node.id) or Term("unknown", name=node.id)

    def _attribute(self, node: ast.Attribute) -> Term:
        """Return what an attribute stands for, or the array that it is a view of."""
        name = dotted(node)
        if name in self._env:
            return self._env[name]
        inner: Term = self.visit(node.value)
        if node.attr in ("T", "mT", "data", "values", "real"):
            return inner
        is_grid = _OPS.get(node.attr) == "grid"
        return Term("grid" if is_grid else "unknown", name=name or self.text(node))

    def _tuple(self, node: ast.Tuple | ast.List) -> Term:
        return self._made("tuple", [self.visit(each) for each in node.elts], node)

    _list = _tuple

    def _binop(self, node: ast.BinOp) -> Term:
        args = self.visit(node.left), self.visit(node.right)
        return self._made(_BINARY.get(type(node.op), "unknown"), args, node)

    def _unaryop(self, node: ast.UnaryOp) -> Term:
        inner = self.visit(node.operand)
        is_negative = isinstance(node.op, ast.USub)
        return _negative(inner) if is_negative else self._made("unknown", [inner], node)

    def _subscript(self, node: ast.Subscript) -> Term:
        """Return the term of the whole array, of a column, or of the largest element."""
        index: Term = self.visit(node.slice)
        whole: Term = self.visit(node.value)
        if (name := dotted(node)) is not None:  # df["x"]
            return self._env.get(name) or Term("unknown", name=name)
        is_largest = any("argmax" in part.name for part in index.within())
        return Term("max", (whole,), size=whole.size + 1) if is_largest else whole

    def _namedexpr(self, node: Any) -> Term:
        if node.value is None:  # an annotation alone
            return self._unknown(node)
        value = self.visit(node.value)
        self._bind(node.target, value)
        return value

    _annassign = _namedexpr

    def _compare(self, node: ast.Compare) -> Term:
        made = self._made("compare", [*map(self.visit, [node.left, *node.comparators])], node)
        arithmetic = {"compare", "neg", "abs", *_BINARY.values()}
        is_order = all(isinstance(op, (ast.Lt, ast.LtE, ast.Gt, ast.GtE)) for op in node.ops)
        if is_order and all(part.op in arithmetic or not part.args for part in made.within()):
            self.tested |= {part.name for part in made.within() if part.op == "unknown"}
        return made

    def _listcomp(self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp) -> Term:
        """Return the term of each item, which stands for all of them."""
        outside = dict(self._env)
        for generator in node.generators:
            self._bind(generator.target, self.visit(generator.iter))
            for test in generator.ifs:
                self.visit(test)
        item: Term = self.visit(node.elt)
        self._env = outside
        return item

    _generatorexp = _setcomp = _listcomp

    def _call(self, node: ast.Call) -> Term:
        """Return the term of a call of a function, a method, or a layer."""
        args = [self.visit(arg) for arg in node.args if not isinstance(arg, ast.Starred)]
        for keyword in node.keywords:
            value = self.visit(keyword.value)
            if keyword.arg in ("input", "a", "x", "logits", "tensor") and not args:
                args = [value]
        op, library, args = self._operation(node.func, args)
        if op == "same" and args:
            return args[0]
        arity = _ARITIES.get(op)
        if arity is not None and len(args) < arity:
            op = "unknown"
        made = self._made(op, args[:arity], node, library)
        if op == "unknown":
            return replace(made, name=self.text(node.func))
        targets = [keyword.value for keyword in node.keywords if keyword.arg == "out"]
        if isinstance(node.func, ast.Attribute) and node.func.attr.endswith("_"):
            targets.append(node.func.value)
        for name in filter(None, map(dotted, targets)):
            self._env[name] = made
        return made

    def _operation(self, func: ast.expr, args: list[Term]) -> tuple[str, str, list[Term]]:
        """Return what a call computes, with which library, and its arguments."""
        name = dotted(func) or ""
        # a layer: nn.Softmax(dim=1)(x)
        layer = self.visit(func) if isinstance(func, ast.Call) else self._env.get(name)
        if layer is not None and isinstance(layer.node, ast.Call) and args:
            return layer.op, layer.library, args
        first, _, rest = name.partition(".")
        full = f"{self.modules.get(first, first)}.{rest}".rstrip(".")
        op = _OPS.get(full.rpartition(".")[2].rstrip("_"), "unknown")
        is_function = first in self.modules or first in _LIBRARIES
        if is_function or not isinstance(func, ast.Attribute):
            return op, _LIBRARIES.get(full.partition(".")[0], ""), args
        array = self.visit(func.value)
        op = _OPS.get(func.attr.rstrip("_"), "unknown")
        return op, array.library, [array, *args]


def _negative(term: Term) -> Term:
    """Return a term with the other sign."""
    if term.op == "neg":
        return term.args[0]
    if term.op == "constant":
        minus = "" if term.name.startswith("-") else "-"
        return replace(term, name=minus + term.name.removeprefix("-"))
    return Term("neg", (term,), "", term.library, size=term.size + 1)


def dotted(node: ast.AST) -> str | None:
    """Return a name such as ``np.exp`` or ``self.x``; a column, ``df["x"]``, has one too."""
    match node:
        case ast.Name(name):
            return name
        case ast.Attribute(value, part) | ast.Subscript(value, ast.Constant(str(part))):
            outer = dotted(value)
            return outer and f"{outer}.{part}"
    return None
