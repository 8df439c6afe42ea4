"""Graph -> Program: every node bound to a kernel call, every value placed in the arena."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from milliwatt.compiler.alias import root
from milliwatt.compiler.bind import Binder, Call, bind
from milliwatt.compiler.lifetimes import fill_byte, first_values
from milliwatt.compiler.memory import Plan, plan_memory
from milliwatt.compiler.pipeline import run_passes
from milliwatt.compiler.target import PORTABLE, Target
from milliwatt.errors import UnsupportedOp
from milliwatt.ir.attrs.control import State
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import OPS
from milliwatt.ir.types import DType
from milliwatt.ir.verify import verify


@dataclass(frozen=True)
class Step:
    """One kernel call: the C function that holds it, its node and where its operands lie.

    `operands` are arena offsets, or constant nodes that stay in flash. `inner` are the programs
    that an `if` or `while` runs, in the order of its fields; their arenas are its workspace.
    """

    symbol: str
    node: Node
    call: Call
    out_offset: int
    operands: tuple[int | Node, ...]
    workspace_offset: int
    inner: tuple[Program, ...] = ()

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference; of one turn where the node is a loop."""
        ins = [s.type for s in self.node.src]
        return OPS[self.node.op].macs(self.node.attrs, self.node.type, ins)

    @property
    def weight_bytes(self) -> int:
        """Bytes of constants that the call keeps in flash."""
        packed = sum(v.nbytes for _, v in self.call.fields if isinstance(v, np.ndarray))
        inside = sum(program.weight_bytes for program in self.inner)
        return packed + inside + sum(o.type.nbytes for o in self.operands if isinstance(o, Node))


@dataclass(frozen=True)
class Program:
    """A compiled network before any C is written: order, kernel per node, arena offsets.

    `symbol` is the C function that runs it where it is inside another program.
    """

    graph: Graph
    steps: tuple[Step, ...]
    plan: Plan
    symbol: str = ""

    @property
    def arena_bytes(self) -> int:
        """Exact size of the one buffer that the firmware needs."""
        return self.plan.arena_bytes

    @property
    def weight_bytes(self) -> int:
        """Bytes of constants in flash: what kernels read, first values of states, fixed outputs."""
        kept = sum(first_values(state).nbytes for state in self.stored_states())
        copied = sum(c.nbytes for c in self.plan.copies if isinstance(c.source, Node))
        return sum(step.weight_bytes for step in self.steps) + kept + copied

    def states(self) -> list[Node]:
        """The states in the order of their bytes in the arena."""
        return sorted((state for state, _ in self.graph.updates), key=self.plan.offset)

    def stored_states(self) -> Iterator[Node]:
        """States whose first value is kept in flash: its bytes are not all equal."""
        for state in self.states():
            assert isinstance(state.attrs, State)
            if fill_byte(state.attrs.value) is None:
                yield state

    def all_steps(self) -> Iterator[Step]:
        """Every step, those of the programs inside a step before the step itself."""
        for step in self.steps:
            for program in step.inner:
                yield from program.all_steps()
            yield step

    def all_programs(self) -> Iterator[Program]:
        """This program and those inside its steps."""
        yield self
        for step in self.steps:
            for program in step.inner:
                yield from program.all_programs()

    def cut(self, index: int) -> Program:
        """The program that ends after step `index` and gives that step's value; for debugging.

        Kernels, order and offsets stay; nothing is copied at the end.
        """
        node = self.steps[index].node
        plan = replace(self.plan, outputs=(self.plan.offset(node),), copies=())
        graph = replace(self.graph, outputs=(node,))
        return replace(self, graph=graph, steps=self.steps[: index + 1], plan=plan)


def compile_graph(
    graph: Graph,
    target: Target = PORTABLE,
    on_pass: Callable[[str, Graph], None] | None = None,
) -> Program:
    """Verify, run the passes, plan memory and bind the first kernels of the table for `target`.

    `compiler.search` chooses among all of them.

    Raises: InvalidGraph if the graph breaks a rule; UnsupportedOp naming the node without a kernel.
    """
    choose = functools.partial(bind, target=target)
    return bind_program(verify(run_passes(verify(graph), target, on_pass)), choose)


def bind_program(graph: Graph, choose: Binder = bind) -> Program:
    """Plan memory and bind kernels of a graph that the passes have seen; errors as above.

    `choose` gives the call of each node.
    """
    for node in graph.nodes():
        if node.type.dtype is DType.S4 and not node.is_constant:
            raise UnsupportedOp(
                f"{node.name} ({node.op}): {node.type.short} is computed or kept; "
                "s4 is for constants, s8 wanted"
            )
    plan = plan_memory(graph, choose)
    idents = identifiers(node.name for node in plan.order)
    steps = tuple(
        _step(f"mw_layer_{i:02d}_{ident}", node, plan, choose(node))
        for i, (ident, node) in enumerate(zip(idents, plan.order, strict=True))
    )
    return Program(graph, steps, plan)


def _step(symbol: str, node: Node, plan: Plan, call: Call) -> Step:
    sources = [node.src[i] for i in call.operands]
    operands = tuple(s if root(s).is_constant else plan.offset(s) for s in sources)
    inner = tuple(_inside(program, f"{symbol}_{name}") for name, program in call.inner)
    return Step(symbol, node, call, plan.offset(node), operands, plan.workspace_offset(node), inner)


def _inside(program: Program, symbol: str) -> Program:
    """A program of its own under the C names of the step that runs it."""
    steps = []
    for i, step in enumerate(program.steps):
        name = f"{symbol}_{i:02d}"
        pairs = zip(step.call.inner, step.inner, strict=True)
        inner = tuple(_inside(each, f"{name}_{field}") for (field, _), each in pairs)
        steps.append(replace(step, symbol=name, inner=inner))
    return replace(program, steps=tuple(steps), symbol=symbol)


def identifiers(names: Iterable[str]) -> list[str]:
    """C identifiers for node names: readable, unique, at most 48 characters."""
    taken: set[str] = set()
    following: dict[str, int] = {}
    result = []
    for name in names:
        base = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")[-48:].lstrip("_") or "node"
        ident, number = base, following.get(base, 2)
        while ident in taken:
            ident, number = f"{base}_{number}", number + 1
        following[base] = number
        taken.add(ident)
        result.append(ident)
    return result
