"""Lazy log-sum-exp and softmax of Dask arrays: chunk by chunk, on any scheduler.

If vectors lie within one chunk, the chunk is computed like any array. Otherwise each chunk gives a
state for each of its vectors (`stablelse.numerics.states`), and these are merged. If a result stays
in doubt (about one in ten million), its vector is computed once more, chunk by chunk.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
from dask.base import tokenize
from numpy.lib.array_utils import normalize_axis_tuple

from stablelse.numerics import states
from stablelse.numerics.exact import evaluate
from stablelse.numerics.formats import FORMATS, Array
from stablelse.numerics.functions import Function
from stablelse.numerics.inputs import known_format
from stablelse.numerics.rows import Axis, Stack, apply
from stablelse.numerics.states import Whole


def compute(name: str, x: Any, axis: Axis, keepdims: bool = False) -> Any:
    """Return logsumexp, softmax or log_softmax of a Dask array as a Dask array."""
    dtype = _result_dtype(x)
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    options: dict[str, Any] = {"dtype": dtype, "meta": np.empty((0,) * x.ndim, dtype)}
    reduces, sources = name == "logsumexp", [x]
    if all(x.numblocks[a] == 1 for a in axes):
        of_block = partial(_exactly, name=name, axes=axes)
    elif reduces:
        of_block, sources = partial(_values, axes=axes, dtype=dtype), _sources(x, axes, dtype)
    else:
        sources += _sources(x, axes, dtype)
        of_block = partial(_elements, axes=axes, function=Function(name), dtype=dtype)
    if reduces:
        of_block = partial(of_block, keepdims=keepdims)
        options["chunks"] = [(1,) if a in axes else sizes for a, sizes in enumerate(x.chunks)]
    if reduces and not keepdims:
        options["chunks"] = [sizes for a, sizes in enumerate(x.chunks) if a not in axes]
        options["drop_axis"] = axes
        options["meta"] = np.empty((0,) * (x.ndim - len(axes)), dtype)
    return da.map_blocks(of_block, *sources, token=name, **options)


def _result_dtype(x: Any) -> np.dtype[Any]:
    """Return the dtype of the results: that of floating-point numbers, float64 for others."""
    dtype = FORMATS["float64"].dtype if x.dtype.kind in "biu" else x.dtype
    if dtype.kind == "O":
        raise TypeError("a Dask array of objects is not computed lazily: pass x.astype(float)")
    if dtype.kind == "c" or known_format(dtype).name == "longdouble":
        raise TypeError(f"a Dask array of {x.dtype} is not computed lazily; compute it first")
    return np.dtype(dtype)


def _exactly(block: Array, name: str, axes: tuple[int, ...], keepdims: bool = False) -> Any:
    """Return a function of whole vectors."""
    along = axes if block.ndim else None
    return apply(name, partial(evaluate, name), block, along, keepdims=keepdims).value


class _Slab:
    """The chunks of an array that hold the vectors of a block of results."""

    def __init__(self, x: Any, index: tuple[Any, ...]) -> None:
        self._x, self._index = x, index

    def whole(self, found: Array, axes: tuple[int, ...], row: int, dtype: np.dtype[Any]) -> Whole:
        """Return a vector with a known state, to compute it chunk by chunk."""

        def parts() -> Iterator[Array]:
            slab = self._x.blocks[self._index]
            for place in np.ndindex(*slab.numblocks):
                block = slab.blocks[place].compute(scheduler="synchronous")
                yield Stack(block.shape, axes).rows(block)[row].astype(dtype, copy=False)

        return Whole(found[row : row + 1], parts)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle only the tasks of these chunks."""
        import dask.array as da
        from dask.core import flatten

        slab = self._x.blocks[self._index]
        graph = slab.__dask_graph__().cull(set(flatten(slab.__dask_keys__())))
        alone = da.Array(graph, slab.name, slab.chunks, meta=slab._meta)
        return _Slab, (alone, (slice(None),) * slab.ndim)


def _sources(x: Any, axes: tuple[int, ...], dtype: np.dtype[Any]) -> list[Any]:
    """Return Dask arrays of states, one for each vector, with the axes kept, and of slabs."""
    found = da.reduction(
        x,
        partial(_update, target=dtype),
        _merge,
        axis=axes,
        keepdims=True,
        dtype=states.STATE,
        meta=np.empty((0,) * x.ndim, states.STATE),
    )
    name = f"slabs-{tokenize(x.name, axes)}"
    slabs = {}
    for place in np.ndindex(*found.numblocks):
        index = tuple(slice(None) if a in axes else i for a, i in enumerate(place))
        slabs[name, *place] = np.full((1,) * x.ndim, _Slab(x, index), object)
    return [found, da.Array(slabs, name, found.chunks, meta=np.empty((0,) * x.ndim, object))]


def _update(block: Array, axis: tuple[int, ...], keepdims: bool, target: np.dtype[Any]) -> Array:
    """Return the states of the vectors of a chunk."""
    if block.dtype.kind in "iu" and block.dtype.itemsize == 8 and np.any(abs(block) > 2**53):
        raise ValueError(
            "a Dask array of integers above 2**53 is not computed lazily, for float64 does not "
            "hold them: compute it first, or pass x.astype(float)"
        )
    stack = Stack(block.shape, axis)
    found = states.empty(stack.m)
    states.add(found, stack.rows(block), known_format(target))
    return found.reshape(stack.reduced_shape(keepdims=True))


def _merge(several: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """Merge states along axes, which stay, with length 1."""
    stack = Stack(several.shape, axis)
    found = states.empty(stack.m)
    for column in stack.rows(several).T:
        states.merge(found, column.copy())
    return found.reshape(stack.reduced_shape(keepdims=True))


def _values(
    block: Array, slabs: Array, axes: tuple[int, ...], keepdims: bool, dtype: np.dtype[Any]
) -> Any:
    """Return the results of a block of states."""
    found, format_ = block.reshape(-1), known_format(dtype)
    values, settled, *_ = states.rounded(found, format_)
    for row in np.flatnonzero(~settled).tolist():
        values[row], _ = slabs.flat[0].whole(found, axes, row, dtype).rounded(format_)
    result = values.reshape(block.shape)
    return result if keepdims else result.squeeze(axes)[()]


def _elements(
    block: Array,
    known: Array,
    slabs: Array,
    axes: tuple[int, ...],
    function: Function,
    dtype: np.dtype[Any],
) -> Array:
    """Return the elements of a chunk, given the states of its vectors."""
    stack, found, format_ = Stack(block.shape, axes), known.reshape(-1), known_format(dtype)
    rows = stack.rows(block.astype(dtype, copy=False))
    values, doubtful = states.elements(function, rows, found, format_)
    for row in np.unique(doubtful // max(1, stack.n)).tolist():
        whole = slabs.flat[0].whole(found, axes, row, dtype)
        values[row] = whole.elements(function, rows[row], format_)
    return stack.restored(values)
