"""The rules a graph must keep, stated in code. Every pass is checked against them in tests."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from milliwatt.errors import InvalidGraph
from milliwatt.ir.attrs import Constant
from milliwatt.ir.attrs.control import Control, State
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import OPS, Op
from milliwatt.ir.types import DType

NAME = re.compile(r"[A-Za-z0-9_./:;\-]+")
_MATRIX_OPS = (Op.CONV2D, Op.DEPTHWISE_CONV2D, Op.FULLY_CONNECTED)


def verify(graph: Graph) -> Graph:
    """Return `graph` if it keeps every rule, else raise InvalidGraph naming the first offender."""
    if not graph.outputs:
        raise InvalidGraph(f"{graph.name}: no outputs; one or more wanted")
    for problem in _problems(graph):
        raise InvalidGraph(problem)
    return graph


def _problems(graph: Graph) -> Iterator[str]:
    names: dict[str, Node] = {}
    inputs = set(graph.inputs)
    for node in graph.nodes():
        where = f"{node.name} ({node.op})"
        if not NAME.fullmatch(node.name):
            yield f"{where}: the name holds characters outside {NAME.pattern}"
        if node.name in names:
            yield f"{where}: the name is taken by {names[node.name]!r}; unique names wanted"
        names[node.name] = node
        if node.op is Op.INPUT and node not in inputs:
            yield f"{where}: reachable but not among the graph's inputs"
        inferred = OPS[node.op].infer(node.attrs, [s.type for s in node.src])
        if inferred != node.type:
            yield f"{where}: type is {node.type}; {inferred} inferred"
        if isinstance(node.attrs, Constant | State):
            yield from _array_problems(node.attrs.value, node.op, where)
        if isinstance(node.attrs, Control):
            for field, inner in node.attrs.graphs():
                yield from (f"{where}: {field}: {problem}" for problem in _problems(inner))
        if node.op in _MATRIX_OPS:
            yield from _bias_problems(node, where)
    for node in graph.inputs:
        if node.op is not Op.INPUT:
            yield f"{node.name} ({node.op}): listed as an input; op input wanted"
    yield from _state_problems(graph)


def _state_problems(graph: Graph) -> Iterator[str]:
    """Every state is a state node, updated once, by a value of its own type."""
    updated: set[Node] = set()
    for state, new in graph.updates:
        where = f"{state.name} ({state.op})"
        if state.op is not Op.STATE:
            yield f"{where}: updated from run to run; op state wanted"
        if state in updated:
            yield f"{where}: updated twice; one update wanted"
        if state.type != new.type:
            yield f"{where}: state is {state.type}, its update {new.type}; one type wanted"
        updated.add(state)
    for node in graph.nodes():
        if node.op is Op.STATE and node not in updated:
            yield f"{node.name} ({node.op}): never updated; a constant or an update wanted"


def _array_problems(value: np.ndarray, kind: Op, where: str) -> Iterator[str]:
    if value.flags.writeable:
        yield f"{where}: the {kind} can be written to; read-only wanted"
    if not np.isfinite(value).all():
        yield f"{where}: the {kind} holds NaN or infinity; finite numbers wanted"


def _bias_problems(node: Node, where: str) -> Iterator[str]:
    """A quantized bias that says how it is scaled must say s_x * s_w (within float32 rounding)."""
    if len(node.src) < 3 or node.src[0].type.dtype is DType.F32:
        return
    x, weight, bias = (s.type for s in node.src)
    if bias.quant is None or weight.quant is None:
        return
    if len(bias.quant.scale) != len(weight.quant.scale):
        yield (
            f"{where}: bias has {len(bias.quant.scale)} scales, weight {len(weight.quant.scale)}; "
            "as many wanted"
        )
        return
    if node.src[2].is_constant and not node.src[2].value.any():
        return  # zeros are zeros: converters share them among layers of different scales
    for have, weight_scale in zip(bias.quant.scale, weight.quant.scale, strict=True):
        wanted = x.scale * weight_scale
        # TFLite's own check: 2 % of the smaller scale in output steps.
        if abs(have - wanted) > 0.02 * max(have, wanted):
            yield f"{where}: bias scale is {have:g}; input scale x weight scale = {wanted:g} wanted"
            return
