"""The installed libraries on the same vectors: each one's result and its error.

To add a library, add a row to `PEERS`. Libraries are imported only when they are asked.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass, field
from enum import Enum
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from inspect import signature
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stablelse.analysis import Displayed, Place
from stablelse.analysis.audit import rows_in
from stablelse.numerics.formats import Array, Format, format_of
from stablelse.numerics.formulas import ChoiceError
from stablelse.numerics.functions import Function, exact_values, ulp_error
from stablelse.numerics.inputs import find_formats, real_numbers, several
from stablelse.printable import printable

if TYPE_CHECKING:
    import numpy.typing as npt

#: The results on a single vector are kept up to this length.
_LONGEST_KEPT = 1000


class UnsupportedError(ValueError):
    """A library does not have the function or the format."""


class Task(Enum):
    """What a library is asked for. The first three are functions of x alone."""

    LOGSUMEXP = "logsumexp"
    SOFTMAX = "softmax"
    LOG_SOFTMAX = "log_softmax"
    WEIGHTED = "weighted logsumexp"  # of terms with weights b
    SIGNED = "signed logsumexp"  # log of the absolute value of such a sum, and its sign
    GRADIENT = "gradient of logsumexp"  # by automatic differentiation; in theory the softmax


class Outcome(Enum):
    """How good a library's results are."""

    RIGHT = "right"  # every result is the number of the format nearest to the exact value
    MISROUNDED = "misrounded"  # at least one is another number
    BROKEN = "broken"  # one is infinite or NaN where the exact value is not, or has no bit right
    NO_ANSWER = "no answer"  # there is no such function or format, or it raised an exception


class Peer(NamedTuple):
    """A row of the table of libraries."""

    name: str  # What the command line calls it; the name of its package works too
    title: str  # What people call it
    module: str  # What is imported
    # The code that a user would write: an expression in x, of shape (m, n), and the
    # weights b of the same shape. The text shown is the text evaluated.
    calls: Mapping[Task, str]
    # Turns an ndarray into an array of the library; takes the package, the array and its format
    native: Callable[[Any, Array, Format], Any] = lambda package, x, format_: x
    # Returns the context in which everything runs; takes the package
    context: Callable[[Any], AbstractContextManager[Any]] = lambda package: nullcontext()

    @property
    def package(self) -> str:
        """The name that pip installs."""
        return self.module.partition(".")[0]

    @property
    def is_installed(self) -> bool:
        """Whether the package is installed; this does not import it."""
        return find_spec(self.package) is not None

    def load(self) -> Any:
        """Import the library and return its package."""
        import_module(self.module)
        return sys.modules[self.package]

    def function(self, package: Any, task: Task) -> Callable[..., Any]:
        """Return the call as a function of x and b."""
        if task not in self.calls:
            raise UnsupportedError(f"has no {task.value}")
        names = {"np": np, self.package: package}
        # eval is safe, for the text is a constant of this package; it is the text that is shown.
        call: Callable[..., Any] = eval(f"lambda x, b: {self.calls[task]}", names)
        return call


def _torch_tensor(torch: Any, x: Array, format_: Format) -> Any:
    if not hasattr(torch, x.dtype.name):
        raise UnsupportedError(f"has no {format_.name}")
    if format_.extra is None:
        return torch.from_numpy(x)
    # Tensors do not know ml_dtypes, but float32 has every number of its formats.
    return torch.from_numpy(x.astype(np.float32)).to(getattr(torch, x.dtype.name))


def _jax_array(jax: Any, x: Array, format_: Format) -> Any:
    if not hasattr(jax.numpy, x.dtype.name):
        raise UnsupportedError(f"has no {format_.name}")
    return jax.device_put(x, jax.devices("cpu")[0])


def _jax_float64(jax: Any) -> AbstractContextManager[Any]:
    """Return a context in which JAX has float64; the user's setting does not change."""
    # Up to version 0.7, the context is in `experimental`.
    home = jax if hasattr(jax, "enable_x64") else import_module(f"{jax.__name__}.experimental")
    context: AbstractContextManager[Any] = home.enable_x64(True)
    return context


class OwnPeer(Peer):
    """A function of the user: its file or module, a colon, and its name."""

    @classmethod
    def of(cls, text: str) -> OwnPeer:
        """Return the peer of a text such as ``model.py:softmax``, or raise ChoiceError."""
        home, _, name = text.rpartition(":")
        is_missing = home.endswith(".py") and not os.path.isfile(home)
        if is_missing or not (home and name):
            problem = f"{home} does not exist" if is_missing else f"{text!r} is not a function"
            raise ChoiceError(f"{problem}: name a file or a module, a colon, a function")
        tasks = [task for task, known in _OWN_NAMES.items() if re.search(known, name)]
        found = tasks[:1] or list(_OWN_NAMES)
        return cls(text, name, home, dict.fromkeys(found, f"{printable(name)}(x)"))

    def load(self) -> Any:
        """Import the file or the module, which runs its code, and return the function of rows."""
        is_file = self.module.endswith(".py")
        folder = os.path.abspath(os.path.dirname(self.module) if is_file else "")
        if folder not in sys.path:  # so that it finds the files next to it, as a script does
            sys.path.insert(0, folder)
        if not is_file:
            module = import_module(self.module)
        elif spec := spec_from_file_location("own_peer", self.module):
            assert spec.loader is not None, "it is a file"
            module = module_from_spec(spec)
            sys.modules[spec.name] = module  # data classes look for their module there
            spec.loader.exec_module(module)
        name = self.name.rpartition(":")[2]
        if not hasattr(module, name):
            raise UnsupportedError(f"{self.module} has no {name}")
        return of_rows(getattr(module, name))

    def function(self, package: Any, task: Task) -> Callable[..., Any]:
        """Return the function that was loaded."""
        if task not in self.calls:
            named = next(iter(self.calls)).value
            raise UnsupportedError(f"its name says {named}, not {task.value}")
        return lambda x, b: package(x)


#: What a function of the user computes, by its name; any of these if the name does not say.
_OWN_NAMES = {
    Task.LOG_SOFTMAX: "log_?softmax",
    Task.SOFTMAX: "softmax",
    Task.LOGSUMEXP: "log_?sum_?exp|lse",
}


def of_rows(function: Callable[..., Any]) -> Callable[[Array], Array]:
    """Return a function of rows: with axis=-1 or dim=-1 if it takes that, otherwise row by row.

    It is given a copy, which it may change.
    """
    try:
        names = list(signature(function).parameters)
    except (TypeError, ValueError):  # some builtins have none
        names = []
    axis = next((name for name in ("axis", "dim") if name in names), None)
    if axis is None:
        return lambda x: np.stack([real_numbers(function(row)) for row in x.copy()])
    return lambda x: real_numbers(function(x.copy(), **{axis: -1}))


_REDUCED = "np.logaddexp.reduce(x, axis=-1, keepdims=True)"

#: All libraries, in the order shown; the last one is this package.
PEERS = (
    Peer("naive", "naive", "numpy", {
        Task.LOGSUMEXP: "np.log(np.sum(np.exp(x), axis=-1))",
        Task.SOFTMAX: "np.exp(x) / np.sum(np.exp(x), axis=-1, keepdims=True)",
        Task.LOG_SOFTMAX: "np.log(np.exp(x) / np.sum(np.exp(x), axis=-1, keepdims=True))",
        Task.WEIGHTED: "np.log(np.sum(b * np.exp(x), axis=-1))",
        Task.SIGNED: "(np.log(np.abs(s := np.sum(b * np.exp(x), axis=-1))), np.sign(s))",
    }),
    Peer("logaddexp", "logaddexp", "numpy", {
        Task.LOGSUMEXP: "np.logaddexp.reduce(x, axis=-1)",
        Task.SOFTMAX: f"np.exp(x - {_REDUCED})",
        Task.LOG_SOFTMAX: f"x - {_REDUCED}",
    }),
    Peer("scipy", "SciPy", "scipy.special", {
        Task.LOGSUMEXP: "scipy.special.logsumexp(x, axis=-1)",
        Task.SOFTMAX: "scipy.special.softmax(x, axis=-1)",
        Task.LOG_SOFTMAX: "scipy.special.log_softmax(x, axis=-1)",
        Task.WEIGHTED: "scipy.special.logsumexp(x, axis=-1, b=b)",
        Task.SIGNED: "scipy.special.logsumexp(x, axis=-1, b=b, return_sign=True)",
    }),
    Peer("torch", "PyTorch", "torch", {
        Task.LOGSUMEXP: "torch.logsumexp(x, dim=-1)",
        Task.SOFTMAX: "torch.softmax(x, dim=-1)",
        Task.LOG_SOFTMAX: "torch.log_softmax(x, dim=-1)",
        Task.GRADIENT: "torch.func.grad(lambda x: torch.logsumexp(x, dim=-1).sum())(x)",
    }, _torch_tensor),
    Peer("jax", "JAX", "jax", {
        Task.LOGSUMEXP: "jax.nn.logsumexp(x, axis=-1)",
        Task.SOFTMAX: "jax.nn.softmax(x, axis=-1)",
        Task.LOG_SOFTMAX: "jax.nn.log_softmax(x, axis=-1)",
        Task.WEIGHTED: "jax.nn.logsumexp(x, axis=-1, b=b)",
        Task.SIGNED: "jax.nn.logsumexp(x, axis=-1, b=b, return_sign=True)",
        Task.GRADIENT: "jax.grad(lambda x: jax.nn.logsumexp(x, axis=-1).sum())(x)",
    }, _jax_array, _jax_float64),
    Peer("stablelse", "stablelse", "stablelse", {
        Task.LOGSUMEXP: "stablelse.logsumexp(x, axis=-1)",
        Task.SOFTMAX: "stablelse.softmax(x, axis=-1)",
        Task.LOG_SOFTMAX: "stablelse.log_softmax(x, axis=-1)",
        Task.WEIGHTED: "stablelse.logsumexp(x, axis=-1, b=b)",
        Task.SIGNED: "stablelse.logsumexp(x, axis=-1, b=b, return_sign=True)",
        Task.GRADIENT: "stablelse.softmax(x, axis=-1)",
    }),
)  # fmt: skip


def choose_peers(names: Sequence[str] = ()) -> tuple[list[Peer], tuple[str, ...]]:
    """Return the libraries of these names, or all that are installed, and the missing packages."""
    own = [OwnPeer.of(name) for name in dict.fromkeys(names) if ":" in name]
    titles = Counter(peer.title for peer in own)
    own = [peer._replace(title=peer.name) if titles[peer.title] > 1 else peer for peer in own]
    named = {name for name in names if ":" not in name}
    known = {name: peer for peer in PEERS for name in (peer.name, peer.package)}
    for name in sorted(named):
        if name not in known:
            choices = ", ".join([*(peer.name for peer in PEERS), "FILE.py:FUNCTION"])
            raise ChoiceError(f"unknown peer {name!r}: choose from {choices}")
        if not known[name].is_installed:
            raise ChoiceError(f"{name} is not installed: pip install {known[name].package}")
    wanted = {*named, PEERS[-1].name} if names else known.keys()
    chosen = [peer for peer in PEERS if not wanted.isdisjoint((peer.name, peer.package))]
    missing = tuple(peer.package for peer in chosen if not peer.is_installed)
    return [*own, *(peer for peer in chosen if peer.is_installed)], missing


class Worst(NamedTuple):
    """The result with the largest error (the first one); all ``None`` if there is none."""

    source: str | None = None  # Where the vector came from, as in `Place`
    row: int | tuple[int, ...] | None = None
    column: str | None = None
    # Which element of the vector's result, from 1; ``None`` if the result is one number
    element: int | None = None
    value: Any = None  # The library's value and the right one, both in the format
    exact: Any = None


@dataclass(eq=False)
class PeerResult:
    """One library's results in one format, or only a reason if it gave no answer."""

    # The library's name in the table, and in sentences; ``"exact"`` for the exact result
    peer: str
    title: str
    version: str | None  # The library's version, and what was called
    call: str | None
    format: str  # The format of x
    # The format (or dtype) of the library's result, which is then rounded to the format
    returned: str | None = None
    outcome: Outcome = Outcome.NO_ANSWER  # For all results together
    judged: int = 0  # How many numbers there were: one per vector, or one per element
    misrounded: int = 0  # How many are not the number nearest to the exact value
    share: float | None = None  # ``misrounded / judged``
    broken: int = 0  # How many are broken; see `Outcome`
    ulps: float | None = None  # The largest error, in units in the last place of the exact value
    worst: Worst = field(default=Worst())  # Where that is
    reason: str | None = None  # Why there is no answer
    value: Any = None  # Its result on a single vector, unless that is long

    def judge(self, values: Array, question: Question) -> None:
        """Count one more answer, shape (m, k)."""
        errors = ulp_error(values, question.exact, question.format)
        # An error as large as the leading bit of the significand: no bit is right.
        nothing_right = 2.0 ** (question.format.significand_bits - 1)
        is_scalar = question.task in (Task.LOGSUMEXP, Task.WEIGHTED)
        row, element = divmod(int(np.argmax(errors)), errors.shape[-1])
        if self.ulps is None or errors[row, element] > self.ulps:
            self.ulps = float(errors[row, element])
            self.worst = Worst(
                *question.place(row),
                element=None if is_scalar else element + 1,
                value=values[row, element],
                exact=question.exact[row, element],
            )
        self.judged += errors.size
        self.misrounded += int(np.count_nonzero(errors))
        self.broken += int(np.count_nonzero(errors >= nothing_right))
        self.share = self.misrounded / self.judged
        wrong = Outcome.BROKEN if self.broken else Outcome.MISROUNDED
        self.outcome = wrong if self.misrounded else Outcome.RIGHT
        if values.size <= _LONGEST_KEPT:
            self.value = values[0, 0] if is_scalar else values[0]


@dataclass(frozen=True)
class PeerComparison(Displayed):
    """The installed libraries on the same vectors."""

    function: Task
    case: str | None  # The name of a case of the gallery, and its note
    note: str | None
    source: str | None  # The file, if all vectors came from one
    vectors: int  # How many there were
    n: int | None  # The number of elements of each; ``None`` if they differ
    # For each format one result per library, this package's last; for a single vector also the
    # exact result
    results: tuple[PeerResult, ...]
    missing: tuple[str, ...]  # The packages that are not installed


class Question(NamedTuple):
    """A question for all libraries."""

    task: Task  # What to compute
    # Shape (m, n), n >= 1: one vector per row, in the format (or integers);
    # ``None`` for b if there are no weights
    x: Array
    b: Array | None
    format: Format  # To which results are rounded before they are judged
    exact: Array  # Shape (m, k): the correctly rounded results
    # Returns where a row came from, by its index
    place: Callable[[int], Place] = lambda row: Place()


def compare_peers(
    x: npt.ArrayLike,
    function: str = "logsumexp",
    *,
    formats: str | Sequence[str] = ("float64",),
    peers: str | Sequence[str] = (),
) -> PeerComparison:
    """Compute log-sum-exp or softmax by every installed library, and compare with the exact value.

    Parameters
    ----------
    x : array_like
        Shape (n,) or (m, n), n >= 1, real numbers: one vector, or one a row.
    function : {"logsumexp", "softmax", "log_softmax"}
        What to compute.
    formats : sequence of str
        The formats to compute in; x is rounded to each first.
    peers : sequence of str
        Ask only these of ``"naive"`` (the textbook formula in NumPy), ``"logaddexp"`` (NumPy's
        reduction), ``"scipy"``, ``"torch"`` and ``"jax"``; by default all that are installed. Also
        functions of your own, ``"file.py:function"`` or ``"package.module:function"``: their code
        is imported and run.
        This package is always among them.

    Returns
    -------
    PeerComparison
        Shows itself in a notebook, on a Rich console, and when printed.

    Raises
    ------
    TypeError
        If x does not hold real numbers.
    ValueError
        If x has another shape, or a name is unknown or not installed.

    Examples
    --------
    >>> import stablelse
    >>> comparison = stablelse.compare_peers([0, -40], peers=["naive"])
    >>> for result in comparison.results:
    ...     print(result.peer, result.value, result.outcome.value)
    naive 0.0 broken
    stablelse 4.248354255291589e-18 right
    exact 4.248354255291589e-18 right
    """
    rows = real_numbers(x)
    if rows.ndim not in (1, 2) or rows.size == 0:
        raise ValueError(f"compare_peers takes a vector or rows of numbers, not shape {rows.shape}")
    place = (lambda row: Place(row=row + 1)) if rows.ndim == 2 else (lambda row: Place())
    chosen = find_formats(formats)
    stacks = [(np.atleast_2d(rows), place)]
    return compare_stacks(stacks, Function(function), chosen, several(peers))


def compare_stacks(
    stacks: Iterable[tuple[Array, Callable[[int], Place]]],
    function: Function,
    formats: Sequence[Format],
    peers: Sequence[str] = (),
) -> PeerComparison:
    """Compare on stacks of rows, each with a function that returns a row's place."""

    def questions() -> Iterator[Question]:
        for stack, place in stacks:
            for format_ in formats:
                x = rows_in(stack, format_, place)
                yield Question(task, x, None, format_, exact_values(function, x, format_), place)

    task = Task(function.value)
    return ask(task, questions(), *choose_peers(peers))


def ask(
    task: Task,
    questions: Iterable[Question],
    peers: Sequence[Peer],
    missing: tuple[str, ...],
    *,
    case: str | None = None,
    note: str | None = None,
) -> PeerComparison:
    """Ask all libraries questions of one task, and add up the answers by format."""
    packages = [_loaded(peer) for peer in peers]
    results: dict[str, list[PeerResult]] = {}
    sources: set[str | None] = set()
    lengths: set[int] = set()
    vectors: dict[str, int] = Counter()
    for question in questions:
        name = question.format.name
        if name not in results:
            results[name] = [PeerResult("exact", "exact", None, None, name)]
            results[name][:0] = [
                PeerResult(
                    peer.name,
                    printable(peer.title),
                    getattr(package, "__version__", None),
                    None if isinstance(package, str) else peer.calls.get(task),
                    name,
                    reason=package if isinstance(package, str) else None,
                )
                for peer, package in zip(peers, packages, strict=True)
            ]
        results[name][-1].judge(question.exact, question)
        for at, (peer, package) in enumerate(zip(peers, packages, strict=True)):
            result = results[name][at]
            if result.reason is None:
                try:
                    result.judge(_answer(peer, package, question, result), question)
                except (Exception, SystemExit) as error:  # a library may raise anything
                    head = (result.peer, result.title, result.version, result.call)
                    results[name][at] = PeerResult(*head, name, reason=_reason(error))
        vectors[name] += len(question.x)
        sources.add(question.place(0).source)
        lengths.add(question.x.shape[-1])
    is_single = max(vectors.values()) == 1
    every = [result for of_format in results.values() for result in of_format]
    for result in every:
        result.value = result.value if is_single else None
    return PeerComparison(
        function=task,
        case=case,
        note=note,
        source=sources.pop() if len(sources) == 1 else None,
        vectors=max(vectors.values()),
        n=lengths.pop() if len(lengths) == 1 else None,
        results=tuple(result for result in every if result.peer != "exact" or is_single),
        missing=missing,
    )


def _loaded(peer: Peer) -> Any:
    """Return a library's package, or why it cannot be imported."""
    try:
        with _contained():
            return peer.load()
    except (Exception, SystemExit) as error:  # the other libraries go on
        return _reason(error, "cannot be imported: ")


def _answer(peer: Peer, package: Any, question: Question, result: PeerResult) -> Array:
    """Return a library's answer in the format, and note its type."""
    with _contained(), peer.context(package):
        function = peer.function(package, question.task)
        x, b = (
            None if given is None else peer.native(package, given, question.format)
            for given in (question.x, question.b)
        )
        answer = function(x, b)
        parts = answer if isinstance(answer, tuple) else (answer,)
        arrays = [real_numbers(part) for part in parts]
    returned = format_of(arrays[0].dtype)
    result.returned = returned.name if returned else arrays[0].dtype.name
    rows = np.concatenate([array.reshape(len(question.x), -1) for array in arrays], axis=-1)
    if rows.shape != question.exact.shape:
        given, wanted = rows.shape[-1], question.exact.shape[-1]
        raise UnsupportedError(f"returns {given:,} numbers a row, not {wanted:,}")
    return question.format.round(rows)


@contextmanager
def _contained() -> Iterator[None]:
    """Keep a library's warnings, and what it prints, from what this program prints."""
    with (
        warnings.catch_warnings(action="ignore"),
        np.errstate(all="ignore"),
        redirect_stdout(sys.stderr),
    ):
        yield


def _reason(error: BaseException, prefix: str = "") -> str:
    """Return why there is no answer, in one line."""
    if isinstance(error, UnsupportedError):
        return printable(str(error))
    return prefix + printable(" ".join(f"{type(error).__name__}: {error}".split()))
