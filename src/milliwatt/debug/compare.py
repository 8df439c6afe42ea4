"""Where a run goes wrong: the first layer whose right operands give a wrong result.

The device keeps no intermediate values, so a probe is built: the same program, cut after one layer,
with that layer's place in the arena as its output. Kernels, offsets and order stay what they were.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from milliwatt.compiler.board import Board
from milliwatt.compiler.build import link
from milliwatt.compiler.memory import root
from milliwatt.compiler.program import Program
from milliwatt.compiler.toolchain import STACK_BYTES
from milliwatt.debug.inputs import Inputs
from milliwatt.debug.report import differing_bytes, equal, largest_difference
from milliwatt.emulate.machine import run as run_firmware
from milliwatt.ir.graph import Graph
from milliwatt.ir.reference import run, run_all


@dataclass(frozen=True)
class Divergence:
    """The first layer that differs from the reference.

    `found` is the device's value, `wanted` the reference's. Layer "(passes)" means that the
    compiler's passes changed what the graph computes, before any device was asked.
    """

    layer: str
    op: str
    kernel: str
    found: np.ndarray
    wanted: np.ndarray

    def __str__(self) -> str:
        count = differing_bytes((self.found,), (self.wanted,))
        largest = largest_difference((self.found,), (self.wanted,))
        return (
            f"first differing layer: {self.layer} ({self.op}, {self.kernel}), "
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
    for node, found, wanted in zip(
        lowered.outputs, run(lowered, inputs), run(graph, inputs), strict=True
    ):
        if not equal((found,), (wanted,)):
            return Divergence("(passes)", str(node.op), "compiler", found, wanted)
    values = run_all(lowered, inputs)
    tried: dict[int, np.ndarray] = {}

    def differs(index: int) -> bool:
        if index not in tried:
            tried[index] = _probe(program, index, target, inputs)
        return not equal((tried[index],), (values[program.steps[index].node],))

    made = {step.node: index for index, step in enumerate(program.steps)}
    outputs = [made[n] for n in map(root, lowered.outputs) if n in made]
    wrong = next((index for index in outputs if differs(index)), None)
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
    step = program.steps[index]
    cut = replace(
        program,
        graph=replace(program.graph, outputs=(step.node,)),
        steps=program.steps[: index + 1],
    )
    firmware = link(
        cut,
        target.board,
        toolchain=target.toolchain,
        optimize=target.optimize,
        stack_bytes=target.stack_bytes,
    )
    return run_firmware(firmware, inputs).outputs[0]
