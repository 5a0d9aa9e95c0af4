"""Log-sum-exp and softmax of Dask arrays, lazily: chunk by chunk, on whatever they are computed.

Where a vector lies within one chunk, the chunk is computed as any array is. Otherwise each chunk
gives a `RunningLogSumExp` for each of its vectors, and these merge; they take constant memory, and
some 0.1 ms each, so that many long vectors are better off with ``x.rechunk({axis: -1})``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from stablelse.numerics import arrays, exact
from stablelse.numerics.formats import FORMATS, Array
from stablelse.numerics.front import Axis, known_format, reduced
from stablelse.numerics.functions import Function
from stablelse.numerics.streams.elements import Whole, elements
from stablelse.numerics.streams.running import RunningLogSumExp

_LIBRARY = {Function.SOFTMAX: arrays.softmax, Function.LOG_SOFTMAX: arrays.log_softmax}


def logsumexp(x: Any, axis: Axis, keepdims: bool) -> Any:
    """Return the log-sum-exp of a Dask array as another; see `stablelse.logsumexp`.

    Raises
    ------
    TypeError
        If it does not hold real numbers of at most 64 bits.
    """
    import dask.array as da

    dtype = _result_dtype(x)
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    source, of_block = _states(x, axes), _values
    if all(x.numblocks[a] == 1 for a in axes):
        source, of_block = x, _exactly
    chunks = [(1,) if a in axes else sizes for a, sizes in enumerate(x.chunks)]
    return da.map_blocks(
        partial(of_block, axes=axes, keepdims=keepdims, dtype=dtype),
        source,
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
    meta = np.empty((0,) * x.ndim, dtype)
    if all(x.numblocks[a] == 1 for a in axes):
        whole = partial(_LIBRARY[function], axis=axes or None)
        return da.map_blocks(whole, x, dtype=dtype, meta=meta, token=function.value)
    parts = partial(_elements, axes=axes, function=function, dtype=dtype)
    states = _states(x, axes)
    return da.map_blocks(parts, x, states, dtype=dtype, meta=meta, token=function.value)


def _result_dtype(x: Any) -> np.dtype[Any]:
    """Return the dtype of the results: that of floating-point numbers, float64 of others."""
    dtype = FORMATS["float64"].dtype if x.dtype.kind in "biu" else x.dtype
    if dtype.kind == "O":
        raise TypeError("a Dask array of objects is not computed lazily: pass x.astype(float)")
    if dtype.kind == "c" or known_format(dtype).name == "longdouble":
        raise TypeError(f"a Dask array of {x.dtype} is not computed lazily; compute it first")
    return np.dtype(dtype)


def _exactly(block: Array, axes: tuple[int, ...], keepdims: bool, dtype: np.dtype[Any]) -> Any:
    """Return the log-sum-exp of whole vectors, correctly rounded."""

    def kernel(rows: Array, target: np.dtype[Any], weights: Array | None) -> Any:
        return *exact.logsumexp(rows, known_format(target), weights), None

    return reduced(kernel, block, axes or None, None, keepdims, False, dtype).value


def _states(x: Any, axes: tuple[int, ...]) -> Any:
    """Return a Dask array of states, one for each vector, with the axes kept."""
    import dask.array as da

    return da.reduction(
        x,
        _update,
        _merge,
        axis=axes,
        keepdims=True,
        dtype=object,
        meta=np.empty((0,) * x.ndim, object),
    )


def _update(block: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """Return the states of the vectors of a chunk."""
    return _reduced(block, axis, lambda numbers: RunningLogSumExp().update(numbers))


def _merge(states: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """Merge states along axes."""

    def together(several: Array) -> RunningLogSumExp:
        whole = RunningLogSumExp()
        for state in several:
            whole.merge(state)
        return whole

    return _reduced(states, axis, together)


def _reduced(x: Array, axes: tuple[int, ...], function: Any) -> Array:
    """Apply a function to every vector along the axes, which stay, with length 1."""
    rows = _rows(x, axes)
    shape = tuple(1 if a in axes else length for a, length in enumerate(x.shape))
    result = np.empty(len(rows), object)
    for index, row in enumerate(rows):
        result[index] = function(row)
    return result.reshape(shape)


def _rows(x: Array, axes: tuple[int, ...]) -> Array:
    """Return the vectors along the axes as rows: a view where that is possible."""
    last = np.moveaxis(x, axes, range(-len(axes), 0)) if axes else x[..., np.newaxis]
    kept = x.ndim - len(axes)
    m = int(np.prod(last.shape[:kept]))
    return last.reshape(m, x.size // m if m else 0)


def _values(block: Array, axes: tuple[int, ...], keepdims: bool, dtype: np.dtype[Any]) -> Any:
    """Return the results of a block of states."""
    name = known_format(dtype).name
    values = np.empty(block.shape, dtype)
    for index, state in np.ndenumerate(block):
        values[index] = state.result(name)
    return values if keepdims else values.squeeze(axes)[()]


def _elements(
    block: Array,
    states: Array,
    axes: tuple[int, ...],
    function: Function,
    dtype: np.dtype[Any],
) -> Array:
    """Return the elements of a chunk, the states of whose vectors are known."""
    format_ = known_format(dtype)
    rows = _rows(block.astype(dtype, copy=False), axes)
    values = np.empty(rows.shape, dtype)
    for row, state, out in zip(rows, states.ravel(), values, strict=True):
        whole = Whole(state.log_sum())
        out[...] = elements(function, row, whole, format_)
    kept = [a for a in range(block.ndim) if a not in axes]
    order = (*kept, *axes)
    restored = values.reshape([block.shape[a] for a in order])
    return np.transpose(restored, np.argsort(order))
