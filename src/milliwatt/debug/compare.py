"""Where a run goes wrong: the first layer whose right operands give a wrong result.

The device keeps no intermediate values, so a probe is built: the same program, cut after one layer,
with that layer's place in the arena as its output. Kernels, offsets and order stay what they were.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from milliwatt.compiler.alias import root
from milliwatt.compiler.board import Board
from milliwatt.compiler.build import link
from milliwatt.compiler.firmware import Firmware
from milliwatt.compiler.program import Program
from milliwatt.compiler.toolchain import STACK_BYTES
from milliwatt.debug.inputs import Inputs
from milliwatt.debug.report import differing_bytes, equal, largest_difference
from milliwatt.emulate.machine import RUNTIME, machine_for
from milliwatt.emulate.machine import run as run_firmware
from milliwatt.ir.attrs.control import Part
from milliwatt.ir.graph import Graph, Node, state
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import Session, States, run, run_all


@dataclass(frozen=True)
class Divergence:
    """The first layer that differs from the reference.

    `found` is the device's value, `wanted` the reference's. Layer "(passes)" means that the
    compiler's passes changed what the graph computes, before any device was asked; "(runtime)" that
    every layer is right and what the end of a run copies is not. `frame`: of a stream, from 0.
    """

    layer: str
    op: str
    kernel: str
    found: np.ndarray
    wanted: np.ndarray
    frame: int | None = None

    def __str__(self) -> str:
        count = differing_bytes((self.found,), (self.wanted,))
        largest = largest_difference((self.found,), (self.wanted,))
        when = f"frame {self.frame}, " if self.frame is not None else ""
        return (
            f"{when}first differing layer: {self.layer} ({self.op}, {self.kernel}), "
            f"{count:,} of {self.wanted.nbytes:,} bytes, by up to {largest:g}"
        )


@dataclass(frozen=True)
class Target:
    """How to build the probes: as the firmware in question was."""

    board: Board
    toolchain: str
    optimize: str
    stack_bytes: int = STACK_BYTES


def first_divergence(
    graph: Graph, program: Program, target: Target, inputs: Inputs
) -> Divergence | None:
    """The first layer of `program` that differs from the reference on `inputs`, if any.

    The reference runs the graph that the passes made, after checking that it still computes what
    `graph` does. Layers are found by halving, one build and run of a probe each; the layer named
    has operands that were right when they were made.
    Raises: what building and running raise.
    """
    lowered = program.graph
    wrong = _wrong_passes(lowered, run(lowered, inputs), run(graph, inputs))
    return wrong or _first_layer(program, target, inputs, None)


def _wrong_passes(lowered: Graph, found: Inputs, wanted: Inputs) -> Divergence | None:
    for node, a, b in zip(lowered.outputs, found, wanted, strict=True):
        if not equal((a,), (b,)):
            return Divergence("(passes)", str(node.op), "compiler", a, b)
    return None


def _first_layer(
    program: Program, target: Target, inputs: Inputs, states: States | None
) -> Divergence | None:
    """The search itself; `states` are those of `program.graph` before the run, None: the first."""
    lowered = program.graph
    values = run_all(lowered, inputs, states)
    if states is not None:
        program = _starting_with(program, states)
        # The nodes are new ones, in the old order.
        values = dict(zip(program.graph.nodes(), (values[n] for n in lowered.nodes()), strict=True))
        lowered = program.graph
    seen = _seen(lowered)
    tried: dict[int, np.ndarray] = {}

    def differs(index: int) -> bool:
        if index not in tried:
            tried[index] = _probe(program, index, target, inputs)
        node = program.steps[index].node
        return not equal((tried[index][seen[node]],), (values[node][seen[node]],))

    made = {step.node: index for index, step in enumerate(program.steps)}
    ends = [made[n] for n in map(root, _ends(lowered)) if n in made]
    wrong = next((index for index in ends if differs(index)), None)
    while wrong is not None:
        wrong = _halve(wrong, differs)
        step = program.steps[wrong]
        operands = [made[n] for n in map(root, step.node.src) if n in made]
        earlier = next((index for index in operands if differs(index)), None)
        if earlier is None:
            name, op = step.node.name, str(step.node.op)
            return Divergence(name, op, step.call.kernel, tried[wrong], values[step.node])
        wrong = earlier
    return None


def first_stream_divergence(
    graph: Graph, program: Program, target: Target, frames: Sequence[Inputs]
) -> Divergence | None:
    """The first layer that differs in the first frame that leaves a wrong output or state.

    All frames before it left the reference's states, so that the search begins with those.
    Errors as in `first_divergence`.
    """
    device = machine_for(target.board).load(_link(program, target), count=False)
    # Passes may change what a state holds, so that the device's are those of the graph they made.
    lowered = program.graph
    original, session = Session(graph), Session(lowered)
    for number, frame in enumerate(frames):
        before = session.states
        outputs = session.run(frame)
        found = (*device.run(frame).outputs, *device.states())
        wanted = (*outputs, *session.states.values())
        wrong = _wrong_passes(lowered, outputs, original.run(frame))
        if wrong is None and not equal(found, wanted):
            wrong = _first_layer(program, target, frame, before)
            if wrong is None:
                pairs = zip(_ends(lowered), found, wanted, strict=True)
                node, a, b = next(each for each in pairs if not equal(each[1:2], each[2:]))
                wrong = Divergence(RUNTIME, str(node.op), "", a, b)
        if wrong is not None:
            return replace(wrong, frame=number)
    return None


def _ends(graph: Graph) -> list[Node]:
    """What a run leaves: its outputs and the next values of its states."""
    return [*graph.outputs, *(new for _, new in graph.updates)]


def _starting_with(program: Program, states: States) -> Program:
    """The same program, kernels, order and offsets alike, whose states begin with these values."""
    values = {node.name: value for node, value in states.items()}

    def begin(node: Node) -> Node | None:
        if node.op is not Op.STATE:
            return None
        return state(values[node.name], node.name, node.type.quant, node.type.dtype)

    fresh = program.graph.rewrite(begin)
    named = dict(zip(program.graph.nodes(), fresh.nodes(), strict=True))

    def renew(node: Node) -> Node:
        return named.get(node, node)

    plan = program.plan
    return replace(
        program,
        graph=fresh,
        steps=tuple(replace(step, node=renew(step.node)) for step in program.steps),
        plan=replace(plan, values={renew(node): at for node, at in plan.values.items()}),
    )


def _seen(graph: Graph) -> dict[Node, np.ndarray | slice]:
    """Where the elements of each value count: of a bundle, only the bytes of its parts do."""
    seen: dict[Node, np.ndarray | slice] = {}
    for node, users in graph.users().items():
        parts = [user.attrs for user in users if isinstance(user.attrs, Part)]
        if not parts:
            seen[node] = slice(None)
            continue
        mask = np.zeros(node.type.size, np.bool_)
        for part in parts:
            mask[part.offset : part.offset + part.type.nbytes] = True
        seen[node] = mask
    return seen


def _halve(wrong: int, differs: Callable[[int], bool]) -> int:
    """A step at or before `wrong` that differs where the step before it in order does not."""
    right = -1
    while wrong - right > 1:
        middle = (right + wrong) // 2
        if differs(middle):
            wrong = middle
        else:
            right = middle
    return wrong


def _probe(program: Program, index: int, target: Target, inputs: Inputs) -> np.ndarray:
    """The value that step `index` leaves in the arena of a program that ends with it."""
    return run_firmware(_link(program.cut(index), target), inputs).outputs[0]


def _link(program: Program, target: Target) -> Firmware:
    return link(
        program,
        target.board,
        toolchain=target.toolchain,
        optimize=target.optimize,
        stack_bytes=target.stack_bytes,
    )
