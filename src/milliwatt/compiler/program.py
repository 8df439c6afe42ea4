"""Graph -> Program: every node bound to a kernel call, every value placed in the arena."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from milliwatt.compiler.bind import Call, bind
from milliwatt.compiler.memory import Plan, plan_memory, root
from milliwatt.compiler.pipeline import run_passes
from milliwatt.errors import UnsupportedOp
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import OPS
from milliwatt.ir.verify import verify


@dataclass(frozen=True)
class Step:
    """One kernel call: the C function that holds it, its node and where its operands lie.

    `operands` are arena offsets, or constant nodes that stay in flash.
    """

    symbol: str
    node: Node
    call: Call
    out_offset: int
    operands: tuple[int | Node, ...]
    workspace_offset: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        ins = [s.type for s in self.node.src]
        return OPS[self.node.op].macs(self.node.attrs, self.node.type, ins)

    @property
    def weight_bytes(self) -> int:
        """Bytes of constants that the call keeps in flash."""
        packed = sum(v.nbytes for _, v in self.call.fields if isinstance(v, np.ndarray))
        return packed + sum(o.type.nbytes for o in self.operands if isinstance(o, Node))


@dataclass(frozen=True)
class Program:
    """A compiled network before any C is written: order, kernel per node, arena offsets."""

    graph: Graph
    steps: tuple[Step, ...]
    plan: Plan

    @property
    def arena_bytes(self) -> int:
        """Exact size of the one buffer that the firmware needs."""
        return self.plan.arena_bytes


def compile_graph(graph: Graph, on_pass: Callable[[str, Graph], None] | None = None) -> Program:
    """Verify, run the passes, plan memory and bind kernels.

    Raises: InvalidGraph if the graph breaks a rule; UnsupportedOp naming the node without a kernel.
    """
    if graph.updates:
        state = graph.updates[0][0]
        raise UnsupportedOp(
            f"{state.name} ({state.op}): the graph keeps state between runs; "
            "a graph without updates wanted"
        )
    lowered = verify(run_passes(verify(graph), on_pass))
    for node in lowered.outputs:
        if root(node).is_constant:
            raise UnsupportedOp(
                f"{node.name} ({node.op}): this output is a constant, there is nothing to compute; "
                "drop it from the graph's outputs"
            )
    plan = plan_memory(lowered)
    idents = identifiers(node.name for node in plan.order)
    steps = tuple(
        _step(f"mw_layer_{i:02d}_{ident}", node, plan)
        for i, (ident, node) in enumerate(zip(idents, plan.order, strict=True))
    )
    return Program(lowered, steps, plan)


def _step(symbol: str, node: Node, plan: Plan) -> Step:
    call = bind(node)
    sources = [node.src[i] for i in call.operands]
    operands = tuple(s if root(s).is_constant else plan.offset(s) for s in sources)
    return Step(symbol, node, call, plan.offset(node), operands, plan.workspace_offset(node))


def identifiers(names: Iterable[str]) -> list[str]:
    """C identifiers for node names: readable, unique, at most 48 characters."""
    taken: set[str] = set()
    result = []
    for name in names:
        base = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")[-48:].lstrip("_") or "node"
        ident, number = base, 2
        while ident in taken:
            ident, number = f"{base}_{number}", number + 1
        taken.add(ident)
        result.append(ident)
    return result
