"""Turn what users pass as data into checked f32 batches: arrays, generators, tuples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from milliwatt.errors import BadData
from milliwatt.ir.graph import Graph, Node

# What `batches` takes.
Data = np.ndarray | Iterable[Any] | Callable[[], Iterable[Any]]


def batches(graph: Graph, data: Data) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield one tuple a step, an f32 array [n, ...] an input, n samples of the graph's input shape.

    `data` for one input [1, ...]: an array [N, ...] or [N, 1, ...], or an iterable of samples
    (with or without the batch axis) or of batches. For several inputs: a tuple of arrays, one an
    input, or an iterable of tuples. A function that returns any of these also goes.
    BadData names the sample and the input where data is empty, of the wrong shape or type, or NaN.
    """
    first = 0
    for item in _items(graph, data() if callable(data) else data):
        arrays = tuple(
            _batch(value, node, first) for value, node in zip(item, graph.inputs, strict=True)
        )
        counts = {len(a) for a in arrays}
        if len(counts) != 1:
            raise BadData(
                f"sample {first}: inputs hold {[len(a) for a in arrays]} samples; as many wanted"
            )
        yield arrays
        first += counts.pop()
    if first == 0:
        raise BadData("data holds no samples; one or more wanted")


def collect(graph: Graph, data: Data) -> tuple[np.ndarray, ...]:
    """All samples in memory: one f32 array [N, ...] an input. Errors as in `batches`."""
    return tuple(np.concatenate(column) for column in zip(*batches(graph, data), strict=True))


def _items(graph: Graph, data: Any) -> Iterator[Sequence[Any]]:
    """Tuples of one raw value an input."""
    inputs = len(graph.inputs)
    if hasattr(data, "__array__"):
        data = (np.asarray(data),) if inputs == 1 else data
    columns = isinstance(data, tuple | list) and len(data) == inputs
    if columns and all(hasattr(column, "__array__") for column in data):
        yield tuple(np.asarray(column) for column in data)
        return
    try:
        items = iter(data)
    except TypeError:
        raise BadData(
            f"data is {type(data).__name__}; an array or an iterable of samples wanted"
        ) from None
    for index, item in enumerate(items):
        values = tuple(item) if isinstance(item, tuple | list) else (item,)
        if len(values) != inputs:
            names = ", ".join(node.name for node in graph.inputs)
            raise BadData(
                f"sample {index}: {len(values)} arrays given; {inputs} wanted, one each for {names}"
            )
        yield values


def _batch(value: Any, node: Node, first: int) -> np.ndarray:
    """`value` as f32 [n, ...input shape without its batch axis...], checked."""
    where = f"sample {first}, input {node.name}"
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise BadData(f"{where}: not an array ({error})") from None
    if not np.issubdtype(array.dtype, np.floating):
        raise BadData(
            f"{where}: {array.dtype} given; f32 wanted, scaled as the network was trained"
        )
    shaped = _shaped(array, node.type.shape)
    if shaped is None:
        raise BadData(
            f"{where}: shape {list(array.shape)} given; {list(node.type.shape)} wanted, "
            "or N such samples along axis 0"
        )
    if len(shaped) == 0:
        raise BadData(f"{where}: shape {list(array.shape)} holds no samples; one or more wanted")
    with np.errstate(over="ignore"):
        result = np.ascontiguousarray(shaped, np.float32)
    bad = ~np.isfinite(result.reshape(len(result), -1)).all(axis=1)
    if bad.any():
        index = int(np.argmax(bad))
        found = "NaN" if np.isnan(result[index]).any() else "infinity"
        raise BadData(
            f"sample {first + index}, input {node.name}: {found} found; finite values wanted"
        )
    return result


def _shaped(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """[n, ...] from a sample, a sample without batch axis, a batch, or a stack of samples."""
    if shape[:1] != (1,):
        # No batch axis: a stack of whole inputs; one whole input is a stack of one.
        if array.shape == shape:
            return array[None]
        return array if array.shape[1:] == shape else None
    if array.shape[1:] == shape[1:]:
        return array
    if array.shape == shape[1:]:
        return array[None]
    return array.reshape(-1, *shape[1:]) if array.shape[1:] == shape else None
