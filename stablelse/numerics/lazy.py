"""Log-sum-exp and softmax of Dask arrays, lazily: chunk by chunk, on any scheduler.

Where a vector lies within one chunk, the chunk is computed as any array is. Otherwise each chunk
gives a state of each of its vectors (`stablelse.numerics.states`), and these merge. A result that
stays in doubt, one in some ten millions, has its vector computed once more, chunk by chunk.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from stablelse.numerics import states
from stablelse.numerics.exact import evaluate
from stablelse.numerics.formats import FORMATS, Array
from stablelse.numerics.functions import Function
from stablelse.numerics.inputs import known_format
from stablelse.numerics.rows import Axis, apply
from stablelse.numerics.running import Whole


def logsumexp(x: Any, axis: Axis, keepdims: bool) -> Any:
    """Return the log-sum-exp of a Dask array as another; see `stablelse.logsumexp`."""
    import dask.array as da

    dtype = _result_dtype(x)
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    options: dict[str, Any] = {"axes": axes, "keepdims": keepdims, "dtype": dtype}
    sources, of_block = _sources(x, axes, dtype), partial(_values, **options)
    if all(x.numblocks[a] == 1 for a in axes):
        sources, of_block = [x], partial(_exactly, name="logsumexp", **options)
    chunks = [(1,) if a in axes else sizes for a, sizes in enumerate(x.chunks)]
    return da.map_blocks(
        of_block,
        *sources,
        chunks=chunks if keepdims else [chunks[a] for a in range(x.ndim) if a not in axes],
        drop_axis=() if keepdims else axes,
        dtype=dtype,
        meta=np.empty((0,) * (x.ndim if keepdims else x.ndim - len(axes)), dtype),
        token="logsumexp",
    )


def softmax(x: Any, axis: Axis) -> Any:
    """Return the softmax of a Dask array as another; see `logsumexp`."""
    return _elementwise(Function.SOFTMAX, x, axis)


def log_softmax(x: Any, axis: Axis) -> Any:
    """Return the log_softmax of a Dask array as another; see `logsumexp`."""
    return _elementwise(Function.LOG_SOFTMAX, x, axis)


def _elementwise(function: Function, x: Any, axis: Axis) -> Any:
    import dask.array as da

    dtype = _result_dtype(x)
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    options: dict[str, Any] = {"dtype": dtype, "meta": np.empty((0,) * x.ndim, dtype)}
    if all(x.numblocks[a] == 1 for a in axes):
        whole = partial(_exactly, name=function.value, axes=axes)
        return da.map_blocks(whole, x, token=function.value, **options)
    parts = partial(_elements, axes=axes, function=function, dtype=dtype)
    return da.map_blocks(parts, x, *_sources(x, axes, dtype), token=function.value, **options)


def _result_dtype(x: Any) -> np.dtype[Any]:
    """Return the dtype of the results: that of floating-point numbers, float64 of others."""
    dtype = FORMATS["float64"].dtype if x.dtype.kind in "biu" else x.dtype
    if dtype.kind == "O":
        raise TypeError("a Dask array of objects is not computed lazily: pass x.astype(float)")
    if dtype.kind == "c" or known_format(dtype).name == "longdouble":
        raise TypeError(f"a Dask array of {x.dtype} is not computed lazily; compute it first")
    return np.dtype(dtype)


def _exactly(block: Array, name: str, axes: tuple[int, ...], **options: Any) -> Any:
    """Return a function of whole vectors."""
    return apply(name, partial(evaluate, name), block, axes or None, **options).value


class _Slab:
    """The chunks of an array that the vectors of a block of results lie in."""

    def __init__(self, x: Any, index: tuple[Any, ...]) -> None:
        self._x, self._index = x, index

    def parts(self, axes: tuple[int, ...], row: int, dtype: np.dtype[Any]) -> Iterator[Array]:
        """Compute one of the vectors, chunk by chunk."""
        slab = self._x.blocks[self._index]
        for place in np.ndindex(*slab.numblocks):
            block = slab.blocks[place].compute(scheduler="synchronous")
            yield _rows(block, axes)[row].astype(dtype, copy=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the tasks of these chunks and no others."""
        import dask.array as da

        slab = self._x.blocks[self._index]
        graph = slab.__dask_graph__().cull(set(_flat(slab.__dask_keys__())))
        alone = da.Array(graph, slab.name, slab.chunks, meta=slab._meta)
        return _Slab, (alone, (slice(None),) * slab.ndim)


def _flat(keys: Any) -> Iterator[Any]:
    """Yield the keys of nested lists."""
    for key in keys:
        if isinstance(key, list):
            yield from _flat(key)
        else:
            yield key


def _sources(x: Any, axes: tuple[int, ...], dtype: np.dtype[Any]) -> list[Any]:
    """Return Dask arrays of states, one for each vector, with the axes kept, and of slabs."""
    import dask.array as da
    from dask.base import tokenize

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
    rows = _rows(block, axis)
    found = states.empty(len(rows))
    states.add(found, rows, known_format(target))
    return found.reshape([1 if a in axis else n for a, n in enumerate(block.shape)])


def _merge(several: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """Merge states along axes, which stay, with length 1."""
    rows = _rows(several, axis)
    found = states.empty(len(rows))
    for column in rows.T:
        states.merge(found, column.copy())
    return found.reshape([1 if a in axis else n for a, n in enumerate(several.shape)])


def _rows(x: Array, axes: tuple[int, ...]) -> Array:
    """Return the vectors along the axes as rows: a view where that is possible."""
    last = np.moveaxis(x, axes, range(-len(axes), 0)) if axes else x[..., np.newaxis]
    kept = x.ndim - len(axes)
    m = int(np.prod(last.shape[:kept]))
    return last.reshape(m, x.size // m if m else 0)


def _values(
    block: Array, slabs: Array, axes: tuple[int, ...], keepdims: bool, dtype: np.dtype[Any]
) -> Any:
    """Return the results of a block of states."""
    flat = block.reshape(-1)
    format_ = known_format(dtype)
    values, settled, *_ = states.rounded(flat, format_)
    for row in np.flatnonzero(~settled).tolist():
        whole = Whole(flat[row : row + 1], partial(slabs.flat[0].parts, axes, row, dtype))
        values[row], _ = whole.rounded(format_)
    result = values.reshape(block.shape)
    return result if keepdims else result.squeeze(axes)[()]


def _elements(
    block: Array,
    found: Array,
    slabs: Array,
    axes: tuple[int, ...],
    function: Function,
    dtype: np.dtype[Any],
) -> Array:
    """Return the elements of a chunk, the states of whose vectors are known."""
    format_ = known_format(dtype)
    rows, flat = _rows(block.astype(dtype, copy=False), axes), found.reshape(-1)
    values, doubtful = states.elements(function, rows, flat, format_)
    for row in np.unique(doubtful // max(1, rows.shape[1])).tolist():
        whole = Whole(flat[row : row + 1], partial(slabs.flat[0].parts, axes, row, dtype))
        values[row] = whole.elements(function, rows[row], format_)
    kept = [a for a in range(block.ndim) if a not in axes]
    order = (*kept, *axes)
    restored = values.reshape([block.shape[a] for a in order])
    return np.transpose(restored, np.argsort(order))
