"""The installed libraries on the same vectors: which there are, and how each is asked.

One file per library, imported only when the library is asked something. To add one is to add a
row to :data:`PEERS` and a function that says how it is called::

    def library() -> Library: ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from stablelse.numerics.formats import Array, Format


class UnknownPeerError(ValueError):
    """A name that is no library of the table, or a library that is not installed."""


class UnsupportedError(ValueError):
    """A library that has no such function or format."""


class Task(Enum):
    """What a library is asked for. The first three are the functions of a vector x alone."""

    LOGSUMEXP = "logsumexp"
    SOFTMAX = "softmax"
    LOG_SOFTMAX = "log_softmax"
    WEIGHTED = "weighted logsumexp"
    """Of terms with weights b."""
    SIGNED = "signed logsumexp"
    """Of terms with weights b; the logarithm of the absolute value, and the sign of the sum."""
    GRADIENT = "gradient of logsumexp"
    """By automatic differentiation; in truth it is the softmax."""


class Library(NamedTuple):
    """How a library is called.

    Attributes
    ----------
    version : str
        What it says its version is.
    names : mapping of str to object
        The names that the calls speak of, beside x and b.
    calls : mapping of Task to str
        How a user of the library would write it: an expression in x, of shape (m, n), and the
        weights b of the same shape. What is shown is what is evaluated.
    native : callable
        Takes an ndarray and its format to an array of the library's own.
    to_numpy : callable
        Takes what a call returned back to NumPy.
    compiled : callable
        Takes a function to what a user would rather call, if there is such a thing.
    context : callable
        Gives the context in which everything happens.
    """

    version: str
    names: Mapping[str, Any]
    calls: Mapping[Task, str]
    native: Callable[[Array, Format], Any] = lambda x, format_: x
    to_numpy: Callable[[Any], Any] = lambda result: result
    compiled: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda function: function
    context: Callable[[], AbstractContextManager[Any]] = nullcontext

    def function(self, task: Task) -> Callable[..., Any]:
        """Return the call as a function of x and b.

        Raises
        ------
        UnsupportedError
            If the library has no such function.
        """
        if task not in self.calls:
            raise UnsupportedError(f"has no {task.value}")
        # The text is a constant of this package: evaluated, it cannot differ from what is shown.
        return self.compiled(eval(f"lambda x, b: {self.calls[task]}", dict(self.names)))


class Peer(NamedTuple):
    """A row of the table of libraries.

    Attributes
    ----------
    name : str
        What the command line calls it.
    title : str
        What people call it.
    package : str
        What is imported, and what pip installs.
    home : str
        Where its `Library` is made: a module of this package, and a function there.
    """

    name: str
    title: str
    package: str
    home: str

    @property
    def is_installed(self) -> bool:
        """Whether the package is there; it is not imported for that."""
        return find_spec(self.package) is not None

    def library(self) -> Library:
        """Import the library."""
        module, _, name = self.home.partition(":")
        library: Library = getattr(import_module(f"{__name__}.{module}"), name)()
        return library


#: Every library, in the order they are shown; the last one is this package.
PEERS = (
    Peer("numpy", "NumPy", "numpy", "numpy:naive"),
    Peer("logaddexp", "logaddexp", "numpy", "numpy:logaddexp"),
    Peer("scipy", "SciPy", "scipy", "scipy:library"),
    Peer("torch", "PyTorch", "torch", "torch:library"),
    Peer("jax", "JAX", "jax", "jax:library"),
    Peer("stablelse", "stablelse", "stablelse", "own:library"),
)


def choose_peers(names: Sequence[str] = ()) -> tuple[list[Peer], list[Peer]]:
    """Return the libraries to ask, this package always among them, and those to be missed.

    Parameters
    ----------
    names : sequence of str
        Ask only these; all that are installed if there are none.

    Returns
    -------
    asked, missing : list of Peer
        Nothing is missing where names are given.

    Raises
    ------
    UnknownPeerError
        If a name is not in the table, or its library not installed.
    """
    known = {peer.name: peer for peer in PEERS}
    for name in names:
        if name not in known:
            raise UnknownPeerError(f"unknown peer {name!r}: choose from {', '.join(known)}")
        if not known[name].is_installed:
            package = known[name].package
            raise UnknownPeerError(f"{name} is not installed: pip install {package} brings it")
    chosen = [peer for peer in PEERS if not names or peer.name in (*names, PEERS[-1].name)]
    return [p for p in chosen if p.is_installed], [p for p in chosen if not p.is_installed]
