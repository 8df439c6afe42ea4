"""Run a graph on many samples at once: evaluation and calibration over data sets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from milliwatt.errors import BadData, InvalidGraph
from milliwatt.ir.attrs import Input, Reshape
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run_all

# Memory that one batched run of the reference may take, and the most samples worth batching.
BUDGET_BYTES = 96 << 20
MOST_SAMPLES = 64


def with_batch(graph: Graph, samples: int) -> Graph:
    """Copy of `graph` whose inputs and activations have `samples` on axis 0 instead of 1.

    Node names and their order stay. InvalidGraph where axis 0 is not a batch axis of size 1 all the
    way from the inputs to the outputs (a reshape or mean that mixes it with others).
    """
    batched: set[Node] = set()

    def rule(node: Node) -> Node:
        if node.is_constant:
            return node
        fresh = node
        if isinstance(node.attrs, Input):
            kind = node.attrs.type
            if not _has_batch_axis(node):
                raise InvalidGraph(f"{node.name} (input): {kind.short} has no batch axis of size 1")
            fresh = Node(
                node.op, (), Input(replace(kind, shape=(samples, *kind.shape[1:]))), node.name
            )
        elif isinstance(node.attrs, Reshape) and node.src[0] in batched:
            shape = node.attrs.shape
            if not shape or shape[0] != 1:
                raise InvalidGraph(
                    f"{node.name} (reshape): to {list(shape)}, which has no batch axis"
                )
            fresh = Node(node.op, node.src, Reshape((samples, *shape[1:])), node.name)
        if node.op is Op.INPUT or any(s in batched for s in node.src):
            batched.add(fresh)
        return fresh

    result = graph.rewrite(rule)
    for before, after in zip(graph.nodes(), result.nodes(), strict=True):
        if after in batched and (
            before.type.shape[:1] != (1,) or after.type.shape != (samples, *before.type.shape[1:])
        ):
            raise InvalidGraph(
                f"{after.name} ({after.op}): {before.type.short} becomes {after.type.short} at "
                f"batch {samples}; axis 0 is no batch axis here"
            )
        mixes_rows = after.op is Op.SOFTMAX and len(after.type.shape) < 2
        if after in batched and mixes_rows:
            raise InvalidGraph(f"{after.name} ({after.op}): {before.type.short} has no batch axis")
    return result


def batch_size(graph: Graph) -> int:
    """Samples to run at once within BUDGET_BYTES; 1 where the graph cannot be batched."""
    try:
        with_batch(graph, 2)
    except InvalidGraph:
        return 1
    total, largest = 1, 1
    for node in graph.nodes():
        if not node.is_constant:
            total += node.type.size
            largest = max(largest, _unrolled(node))
    return max(1, min(MOST_SAMPLES, BUDGET_BYTES // (8 * (total + largest))))


def _unrolled(node: Node) -> int:
    """Elements the reference makes inside one node: its windows laid out, or its result."""
    if node.op in (Op.CONV2D, Op.DEPTHWISE_CONV2D):
        per_pixel = math.prod(node.src[1].type.shape[1:])
        return math.prod(node.type.shape[:3]) * per_pixel
    return node.type.size


def run_batches(
    graph: Graph, inputs: Sequence[np.ndarray], step: int | None = None
) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
    """Run samples in batches; yields (rows, value of every node by name), values [rows, ...].

    `inputs`: one array an input with the samples along axis 0. Axis 0 is the graph's batch axis
    where the input is [1, ...], else an axis on top of the input's shape. BadData where counts
    differ or a shape or dtype does not fit. `step`: samples a batch, `batch_size` if None.
    """
    counts = {len(array) for array in inputs}
    if len(inputs) != len(graph.inputs) or len(counts) != 1:
        raise BadData(
            f"{graph.name}: inputs hold {[len(a) for a in inputs]} samples; "
            f"{len(graph.inputs)} arrays of one length wanted"
        )
    step, total = step or batch_size(graph), counts.pop()
    batched = {1: graph}
    for start in range(0, total, step):
        rows = slice(start, min(start + step, total))
        size = rows.stop - rows.start
        if size not in batched:
            batched[size] = with_batch(graph, size)
        given = [
            array[rows] if _has_batch_axis(node) else array[start]
            for array, node in zip(inputs, graph.inputs, strict=True)
        ]
        values = run_all(batched[size], given)
        yield (
            rows,
            {n.name: v if size > 1 or _has_batch_axis(n) else v[None] for n, v in values.items()},
        )


def _has_batch_axis(node: Node) -> bool:
    return node.type.shape[:1] == (1,)


def run_samples(graph: Graph, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Outputs of the graph on N samples, each [N, ...]; arguments and errors as in `run_batches`.

    A graph without a batch axis runs once per sample.
    """
    chunks = [
        [values[node.name] for node in graph.outputs] for _, values in run_batches(graph, inputs)
    ]
    return tuple(np.concatenate(column) for column in zip(*chunks, strict=True))
