"""Run a graph on many samples at once: evaluation and calibration over data sets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from milliwatt.errors import BadData, InvalidGraph
from milliwatt.ir.attrs import Attrs, Input, Reshape
from milliwatt.ir.attrs.control import State
from milliwatt.ir.attrs.move import BroadcastTo, Gather, StridedSlice
from milliwatt.ir.graph import Graph, Node, state
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import first_states, run_all

# Memory that one batched run of the reference may take (larger ones are slower: they leave the
# caches), and the most samples worth batching.
BUDGET_BYTES = 16 << 20
MOST_SAMPLES = 32

# Says of a node and of each operand, whether it has samples on axis 0, that the operator keeps the
# samples apart. That the result's axis 0 counts samples is checked besides.
Apart = Callable[[Node, Sequence[bool]], bool]


def _first(node: Node, batched: Sequence[bool]) -> bool:
    """Only the first operand differs from sample to sample."""
    return not any(batched[1:])


def _rows(node: Node, batched: Sequence[bool]) -> bool:
    """Axis 0 is not the last one, along which the operator computes."""
    return len(node.type.shape) > 1


def _same_rank(node: Node, batched: Sequence[bool]) -> bool:
    """Operands of fewer axes would have their samples on another axis of the result."""
    rank = len(node.type.shape)
    return all(len(s.type.shape) == rank for s, b in zip(node.src, batched, strict=True) if b)


def _all(node: Node, batched: Sequence[bool]) -> bool:
    return all(batched)


def _updated(node: Node, batched: Sequence[bool]) -> bool:
    return batched[0] and batched[1] and not batched[2]


def _gathered(node: Node, batched: Sequence[bool]) -> bool:
    """Every sample picks from itself, or all of them from one table."""
    attrs = node.attrs
    if not batched[0] or not isinstance(attrs, Gather):
        return not batched[0]
    return attrs.batch_dims > 0 if batched[1] else attrs.axis > 0


def _beyond_first(node: Node, batched: Sequence[bool]) -> bool:
    return getattr(node.attrs, "axis", 0) != 0


_ONE_OPERAND = (
    *(Op.MAX_POOL2D, Op.AVERAGE_POOL2D, Op.L2_POOL2D, Op.MEAN, Op.SUM, Op.REDUCE_MAX),
    *(Op.REDUCE_MIN, Op.REDUCE_ALL, Op.ARG_MAX, Op.ARG_MIN, Op.CLAMP, Op.LOGISTIC, Op.TANH),
    *(Op.ABS, Op.NEG, Op.EXP, Op.LOG, Op.SIN, Op.COS, Op.SQRT, Op.RSQRT, Op.SQUARE, Op.SIGN),
    *(Op.FLOOR, Op.CEIL, Op.ROUND, Op.ELU, Op.GELU, Op.HARD_SWISH, Op.LEAKY_RELU),
    *(Op.LOGICAL_NOT, Op.LOOKUP, Op.PAD, Op.RESHAPE, Op.TRANSPOSE, Op.STRIDED_SLICE),
    *(Op.BROADCAST_TO, Op.MIRROR_PAD, Op.RESIZE_BILINEAR, Op.RESIZE_NEAREST),
    *(Op.QUANTIZE, Op.DEQUANTIZE, Op.REQUANTIZE, Op.CAST),
)
_PRODUCTS = (Op.CONV2D, Op.DEPTHWISE_CONV2D, Op.FULLY_CONNECTED, Op.TRANSPOSE_CONV2D)
_BROADCAST = (
    *(Op.ADD, Op.SUB, Op.MUL, Op.DIV, Op.FLOOR_DIV, Op.FLOOR_MOD, Op.MAXIMUM, Op.MINIMUM),
    *(Op.SQUARED_DIFFERENCE, Op.PRELU, Op.EQUAL, Op.NOT_EQUAL, Op.LESS, Op.LESS_EQUAL),
    *(Op.GREATER, Op.GREATER_EQUAL, Op.LOGICAL_AND, Op.LOGICAL_OR, Op.SELECT, Op.BATCH_MATMUL),
)
# Operators that are not here run sample by sample.
_APART: dict[Op, Apart] = {
    **dict.fromkeys((*_ONE_OPERAND, *_PRODUCTS), _first),
    **dict.fromkeys(_BROADCAST, _same_rank),
    **dict.fromkeys((Op.SOFTMAX, Op.LOG_SOFTMAX, Op.L2_NORMALIZATION), _rows),
    **dict.fromkeys((Op.CONCAT, Op.SHIFT_IN, Op.ADD_N), _all),
    Op.CONV2D_ADD: lambda node, batched: batched[0] and batched[3] and not any(batched[1:3]),
    Op.CUMSUM: _beyond_first,
    Op.DYNAMIC_UPDATE_SLICE: _updated,
    Op.GATHER: _gathered,
    Op.GATHER_ND: _gathered,
}


def with_batch(graph: Graph, samples: int) -> Graph:
    """Copy of `graph` whose inputs, states and activations have `samples` on axis 0 instead of 1.

    Node names and their order stay. InvalidGraph where axis 0 is not a batch axis of size 1 all the
    way from the inputs to the outputs (a reshape, mean or gather that mixes it with others), and
    for graphs with bundles or control flow.
    """
    done: dict[Node, Node] = {}
    batched: set[Node] = set()
    for node in graph.nodes():
        if node.op is Op.STATE:
            done[node] = _batched_state(node, samples)
            batched.add(node)
            continue
        flags = [s in batched for s in node.src]
        if node.op is not Op.INPUT and not any(flags):
            done[node] = node  # constants, and what depends on nothing else
            continue
        if node.op is not Op.INPUT and not _APART.get(node.op, _never)(node, flags):
            raise InvalidGraph(f"{node.name} ({node.op}): axis 0 is no batch axis here")
        src = tuple(done[s] for s in node.src)
        done[node] = fresh = Node(node.op, src, _batched_attrs(node, samples), node.name)
        batched.add(node)
        if fresh.type.shape != (samples, *node.type.shape[1:]) or not _has_batch_axis(node):
            raise InvalidGraph(
                f"{node.name} ({node.op}): {node.type.short} becomes {fresh.type.short} for "
                f"{samples} samples; axis 0 is no batch axis here"
            )
    for held, new in graph.updates:
        if new not in batched:
            raise InvalidGraph(f"{held.name} (state): its next value {new.name} has no batch axis")
    return Graph(
        tuple(done[n] for n in graph.inputs),
        tuple(done[n] for n in graph.outputs),
        tuple((done[held], done[new]) for held, new in graph.updates),
        graph.name,
    )


def _never(node: Node, batched: Sequence[bool]) -> bool:
    return False


def _batched_state(node: Node, samples: int) -> Node:
    assert isinstance(node.attrs, State)
    if not _has_batch_axis(node):
        raise InvalidGraph(f"{node.name} ({node.op}): {node.type.short} has no batch axis")
    value = np.repeat(node.attrs.value, samples, axis=0)
    return state(value, node.name, node.attrs.quant, node.attrs.dtype)


def _batched_attrs(node: Node, samples: int) -> Attrs:
    """Attributes that name axis 0 by size."""
    attrs, shape = node.attrs, (samples, *node.type.shape[1:])
    if isinstance(attrs, Input):
        return Input(replace(attrs.type, shape=shape))
    if isinstance(attrs, Reshape | BroadcastTo):
        return replace(attrs, shape=shape)
    if isinstance(attrs, StridedSlice) and _has_batch_axis(node.src[0]):
        # Of one element every step is the same.
        strides = (1, *attrs.strides[1:])
        return StridedSlice(attrs.begin, (samples, *attrs.size[1:]), strides)
    return attrs


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
    step, total = step or batch_size(graph), _count(graph, inputs)
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


def _count(graph: Graph, inputs: Sequence[np.ndarray]) -> int:
    """How many samples all inputs hold; BadData where they differ."""
    counts = {len(array) for array in inputs}
    if len(inputs) != len(graph.inputs) or len(counts) != 1:
        raise BadData(
            f"{graph.name}: inputs hold {[len(a) for a in inputs]} samples; "
            f"{len(graph.inputs)} arrays of one length wanted"
        )
    return counts.pop()


def run_sequences(
    graph: Graph, inputs: Sequence[np.ndarray], step: int | None = None
) -> Iterator[tuple[slice, int, dict[str, np.ndarray]]]:
    """Run sequences of frames, states kept from frame to frame; yields (rows, frame, values).

    `inputs`: one array [N, frames, ...] an input, N sequences; axis 0 of an input [1, ...] is left
    out. Every sequence begins with the states' first values. Values are [rows, ...] by name, as in
    `run_batches`. BadData where counts differ.
    """
    step, total = step or batch_size(graph), _count(graph, inputs)
    frames = {array.shape[1] for array in inputs}
    if len(frames) != 1:
        raise BadData(f"{graph.name}: inputs hold {sorted(frames)} frames; as many wanted")
    length = frames.pop()
    for start in range(0, total, step):
        rows = slice(start, min(start + step, total))
        running = with_batch(graph, rows.stop - rows.start) if step > 1 else graph
        states = first_states(running)
        for frame in range(length):
            given = [
                array[rows, frame] if _has_batch_axis(node) else array[start, frame]
                for array, node in zip(inputs, graph.inputs, strict=True)
            ]
            values = run_all(running, given, states)
            states = {held: values[new] for held, new in running.updates}
            whole = step > 1
            yield (
                rows,
                frame,
                {n.name: v if whole or _has_batch_axis(n) else v[None] for n, v in values.items()},
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
