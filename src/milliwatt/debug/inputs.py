"""The inputs of a run: what the caller gives, checked and quantized, or random ones from a seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from milliwatt.errors import BadData
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops.quantization import quantize_array
from milliwatt.ir.types import DType, Type

Inputs = tuple[np.ndarray, ...]


def as_inputs(graph: Graph, value: Any) -> Inputs:
    """One array an input, in the graph's own types, from what a caller passes for one inference.

    Args: value: an array (graphs of one input) or a tuple or list of arrays, one an input. Each has
    the input's shape, a batch axis of 1 may be left out. Integers must have the input's own element
    type; floats are real values and are quantized with the input's scale and zero point, saturated.
    Raises: BadData naming the input for a wrong count, shape or type, for NaN or infinity, and for
    floats more than the input's whole span outside of its range (unscaled data, as a rule).
    """
    wanted = len(graph.inputs)
    if wanted == 1 and not (isinstance(value, tuple) and len(value) == 1):
        value = (value,)
    if not isinstance(value, tuple | list) or len(value) != wanted:
        names = ", ".join(node.name for node in graph.inputs)
        count = len(value) if isinstance(value, tuple | list) else 1
        raise BadData(f"{graph.name}: {count} inputs given; {wanted} wanted, for {names}")
    return tuple(_input(node, part) for node, part in zip(graph.inputs, value, strict=True))


def samples(graph: Graph, values: Any) -> Iterator[Inputs]:
    """Inputs of many inferences, one tuple each, from arrays stacked along a new or the batch axis.

    Args: values: an array [N, ...] (graphs of one input), a tuple of such arrays, one an input, or
    any other iterable of what `as_inputs` takes. Errors as there, with the sample's number.
    """
    if isinstance(values, tuple) and len(values) == len(graph.inputs) > 1:
        counts = [len(part) for part in values]
        if len(set(counts)) != 1:
            raise BadData(f"{graph.name}: inputs hold {counts} samples; equal numbers wanted")
        values = zip(*values, strict=True)
    if not isinstance(values, Iterable) or (isinstance(values, np.ndarray) and values.ndim == 0):
        raise BadData(f"{graph.name}: {type(values).__name__} given; an array of samples wanted")
    for index, value in enumerate(values):
        try:
            yield as_inputs(graph, value)
        except BadData as error:
            raise BadData(f"sample {index}: {error}") from None


def split(graph: Graph, arrays: Inputs) -> tuple[Inputs, ...]:
    """Samples of a file: arrays of one inference give one, stacks of N give N."""
    shapes = [
        (array.shape, node.type.shape) for array, node in zip(arrays, graph.inputs, strict=True)
    ]
    if all(shape in (found, (1, *found)) for found, shape in shapes):
        return (as_inputs(graph, arrays),)
    if all(len(found) >= len(shape) and found[0] > 0 for found, shape in shapes):
        return tuple(samples(graph, arrays if len(arrays) > 1 else arrays[0]))
    return (as_inputs(graph, arrays),)


def random_inputs(graph: Graph, seed: int = 0) -> Inputs:
    """Inputs drawn uniformly: integers over their whole range, floats from -1 to 1."""
    chance = np.random.default_rng(seed)
    return tuple(_random(node.type, chance) for node in graph.inputs)


def _random(kind: Type, chance: np.random.Generator) -> np.ndarray:
    if kind.dtype.is_float:
        return chance.uniform(-1, 1, kind.shape).astype(kind.dtype.numpy)
    if kind.dtype is DType.BOOL:
        return chance.integers(0, 2, kind.shape).astype(np.bool_)
    low, high = kind.dtype.limits
    return chance.integers(low, high, kind.shape, kind.dtype.numpy, endpoint=True)


def _input(node: Node, value: Any) -> np.ndarray:
    """One input, checked, shaped and in the node's element type."""
    kind, where = node.type, f"input {node.name}"
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise BadData(f"{where}: not an array ({error})") from None
    found = f"{array.dtype}{list(array.shape)}"
    if array.shape != kind.shape:
        if (1, *array.shape) != kind.shape:
            raise BadData(f"{where}: {found} given; {kind.short} wanted")
        array = array[None]
    if array.dtype == kind.dtype.numpy:
        return _finite(array, where) if kind.dtype.is_float else array
    if not np.issubdtype(array.dtype, np.floating):
        floats = ", or real values as floats" if kind.quant or kind.dtype.is_float else ""
        raise BadData(f"{where}: {found} given; {kind.short} wanted{floats}")
    if kind.dtype.is_float:
        with np.errstate(over="ignore"):
            return _finite(array.astype(kind.dtype.numpy), where)
    if kind.quant is None:
        raise BadData(f"{where}: {found} given; {kind.short} wanted, it has no scale for floats")
    return quantize_array(_in_range(_finite(array, where), kind, where), kind)


def _finite(array: np.ndarray, where: str) -> np.ndarray:
    bad = ~np.isfinite(array)
    if bad.any():
        at = [int(i) for i in np.argwhere(bad)[0]]
        what = "NaN" if np.isnan(array[tuple(at)]) else "infinity"
        raise BadData(f"{where}: {what} at {at}; finite values wanted")
    return array


def _in_range(array: np.ndarray, kind: Type, where: str) -> np.ndarray:
    """Saturation is part of quantization; values a whole span outside mean another scale."""
    low, high = ((limit - kind.zero_point) * kind.scale for limit in kind.dtype.limits)
    span = high - low
    if array.size and (array.min() < low - span or array.max() > high + span):
        raise BadData(
            f"{where}: values from {array.min():g} to {array.max():g} given; {low:g} to {high:g} "
            "wanted; scale the data as the network was trained, or clip it"
        )
    return array
