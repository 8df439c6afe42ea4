"""Turn what users pass as data into checked f32 batches: arrays, generators, tuples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from milliwatt.errors import BadData
from milliwatt.ir.batch import run_batches, run_sequences
from milliwatt.ir.graph import Graph, Node

# What `batches` takes.
Data = np.ndarray | Iterable[Any] | Callable[[], Iterable[Any]]


def batches(graph: Graph, data: Data) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield one tuple a step, an f32 array [n, ...] an input, n samples of the graph's input shape.

    Of a graph with state a sample is a sequence of frames: arrays are [n, frames, ...].
    `data` for one input [1, ...]: an array [N, ...] or [N, 1, ...], or an iterable of samples
    (with or without the batch axis) or of batches. For several inputs: a tuple of arrays, one an
    input, or an iterable of tuples. A function that returns any of these also goes. With state: an
    array [N, frames, ...], or [frames, ...] for one sequence, or an iterable of either.
    BadData names the sample and the input where data is empty, of the wrong shape or type, or NaN.
    """
    first = 0
    for item in _items(graph, data() if callable(data) else data):
        arrays = tuple(
            _batch(value, node, first, bool(graph.updates))
            for value, node in zip(item, graph.inputs, strict=True)
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
    """All samples in memory: one f32 array [N, ...] an input. Errors as in `batches`.

    BadData besides for sequences of different lengths: they have no common array.
    """
    columns = list(zip(*batches(graph, data), strict=True))
    if graph.updates:
        lengths = sorted({array.shape[1] for array in columns[0]})
        if len(lengths) > 1:
            raise BadData(
                f"sequences of {lengths[0]} to {lengths[-1]} frames; equally long ones wanted to "
                "measure accuracy on"
            )
    return tuple(np.concatenate(column) for column in columns)


def runs(
    graph: Graph, arrays: Sequence[np.ndarray], step: int | None = None
) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
    """(rows, value of every node by name) of every run on what `batches` yields.

    A graph with state runs frame by frame, so that the same rows come once a frame.
    """
    if not graph.updates:
        yield from run_batches(graph, arrays, step)
        return
    for rows, _, values in run_sequences(graph, arrays, step):
        yield rows, values


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


def _batch(value: Any, node: Node, first: int, of_frames: bool) -> np.ndarray:
    """`value` as f32 [n, ...input shape without its batch axis...], checked.

    With `of_frames` n sequences of frames [n, frames, ...].
    """
    where = f"sample {first}, input {node.name}"
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise BadData(f"{where}: not an array ({error})") from None
    if not np.issubdtype(array.dtype, np.floating):
        raise BadData(
            f"{where}: {array.dtype} given; f32 wanted, scaled as the network was trained"
        )
    shaped = (_sequences if of_frames else _shaped)(array, node.type.shape)
    if shaped is None:
        stack = "or N such samples along axis 0"
        if of_frames:
            stack = "a frame, in sequences [N, frames, ...]: the graph has state"
        raise BadData(
            f"{where}: shape {list(array.shape)} given; {list(node.type.shape)} wanted, {stack}"
        )
    if 0 in shaped.shape[: 1 + of_frames]:
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


def _sequences(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """[n, frames, ...] from one sequence of frames, with or without their batch axis, or several.

    A lone frame is no sequence.
    """
    frame = shape[1:] if shape[:1] == (1,) else shape
    if array.ndim > 1 and array.shape[1:] == shape:
        return array.reshape(1, -1, *frame)
    if array.ndim == len(frame) + 1 and array.shape[1:] == frame:
        return array[None]
    if array.ndim > 2 and array.shape[2:] in (shape, frame):
        return array.reshape(*array.shape[:2], *frame)
    return None
