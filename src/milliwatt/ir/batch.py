"""Run a graph on many samples at once: evaluation and calibration over data sets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from milliwatt.errors import BadData, InvalidGraph
from milliwatt.ir.attrs import Attrs, Input, Reshape
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run_all

# Memory that one batched run of the reference may take (larger ones are slower: they leave the
# caches), and the most samples worth batching.
BUDGET_BYTES = 16 << 20
MOST_SAMPLES = 32
_UNBATCHED = (Op.STATE, Op.PART, Op.IF, Op.WHILE)


def with_batch(graph: Graph, samples: int) -> Graph:
    """Copy of `graph` whose inputs and activations have `samples` on axis 0 instead of 1.

    Node names and their order stay. InvalidGraph where axis 0 is not a batch axis of size 1 all the
    way from the inputs to the outputs (a reshape or mean that mixes it with others), and for graphs
    with state, bundles or control flow.
    """
    done: dict[Node, Node] = {}
    for node in graph.nodes():
        if node.op in _UNBATCHED:
            raise InvalidGraph(f"{node.name} ({node.op}): has no batch axis")
        src = tuple(done[s] for s in node.src)
        if src == node.src and node.op is not Op.INPUT:
            done[node] = node  # constants, and what depends on nothing else
            continue
        done[node] = fresh = Node(node.op, src, _batched_attrs(node, samples), node.name)
        lone = node.op is Op.SOFTMAX and len(node.type.shape) < 2
        if lone or fresh.type.shape != (samples, *node.type.shape[1:]) or not _has_batch_axis(node):
            raise InvalidGraph(
                f"{node.name} ({node.op}): {node.type.short} becomes {fresh.type.short} for "
                f"{samples} samples; axis 0 is no batch axis here"
            )
    return Graph(
        tuple(done[n] for n in graph.inputs),
        tuple(done[n] for n in graph.outputs),
        name=graph.name,
    )


def _batched_attrs(node: Node, samples: int) -> Attrs:
    """Attributes that name axis 0 by size: those of inputs and reshapes."""
    shape = (samples, *node.type.shape[1:])
    if isinstance(node.attrs, Input):
        return Input(replace(node.attrs.type, shape=shape))
    return Reshape(shape) if isinstance(node.attrs, Reshape) else node.attrs


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

    Samples are independent: every one finds the states at their first values.

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
