"""A generated .tflite file, its inputs, and how far results on it may be from a judge's.

Integers are equal bit for bit. Floats are within FLOAT_TOLERANCE of what the sums reach: the
largest magnitude before an activation cuts it, and for sums of values those values'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from milliwatt.formats.tflite import read_tflite
from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.attrs import NO_CLAMP
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import Session
from milliwatt.ir.text import print_graph
from milliwatt.ir.types import DType
from support.oracle import LiteRt, Oracle, Tflm
from support.single_ops import ORACLE, random_frames, single_op

FLOAT_TOLERANCE = 1e-5
Outputs = tuple[np.ndarray, ...]
# Operators whose result is small where large operands cancel.
_SUMS = (Op.MEAN, Op.SUM, Op.CUMSUM, Op.ADD_N, Op.SVDF)


@dataclass(frozen=True, eq=False)
class Case:
    """One file with the inputs of its runs; `graph` is what our reader makes of it."""

    name: str
    dtype: DType
    seed: int
    model: bytes
    graph: Graph
    frames: tuple[tuple[np.ndarray, ...], ...]
    judge: str = "tflm"
    tolerance: float = FLOAT_TOLERANCE

    def __str__(self) -> str:
        return f"{self.name}-{self.dtype}, seed {self.seed}"

    def oracle(self) -> Oracle:
        """The judge with the file loaded."""
        return LiteRt(self.model) if self.judge == "litert" else Tflm(self.model, 4 << 20)

    def wanted(self) -> list[Outputs]:
        """The judge's outputs of every run."""
        oracle = self.oracle()
        return [oracle.run_all(frame, len(self.graph.outputs)) for frame in self.frames]

    def reference(self) -> list[Outputs]:
        """Our reference's outputs of every run."""
        session = Session(self.graph)
        return [session.run(frame) for frame in self.frames]


def written(graph: Graph, name: str, dtype: DType, seed: int, judge: str = "tflm") -> Case:
    """A graph as a case: written, read back, with random inputs."""
    model = write_tflite(graph)
    frames = tuple(tuple(frame) for frame in random_frames(graph, seed))
    return Case(name, dtype, seed, model, read_tflite(model, name=graph.name), frames, judge)


def single_case(name: str, dtype: DType, seed: int) -> Case:
    """Case number `seed` of a pair of the grid."""
    judge = ORACLE.get((name, dtype), "tflm")
    return written(single_op(name, dtype, seed), name, dtype, seed, judge)


@dataclass(frozen=True)
class Difference:
    """How results differ: `differing` bytes of integers, `error` of floats relative to their reach.

    `problem` says where they differ more than they may, None where they do not.
    """

    differing: int
    error: float
    problem: str | None


def difference(case: Case, wanted: Sequence[Outputs], got: Sequence[Outputs]) -> Difference:
    """Compare all outputs of all runs with the judge's."""
    reach = None
    differing, worst, problem = 0, 0.0, None
    for number, (right, ours) in enumerate(zip(wanted, got, strict=True)):
        for at, (w, g) in enumerate(zip(right, ours, strict=True)):
            where = f"{case}, run {number}, output {case.graph.outputs[at].name}"
            if (g.shape, g.dtype) != (w.shape, w.dtype):
                kinds = f"{g.dtype}{g.shape}, {w.dtype}{w.shape} wanted"
                return Difference(max(w.nbytes, 1), np.inf, f"{where}: {kinds}")
            if w.dtype.kind == "f":
                reach = reach or _reaches(case)
                error = _relative(w, g, reach[number][at])
                worst, wrong = max(worst, float(error.max(initial=0))), error > case.tolerance
            else:
                wrong = w != g
                differing += int((_bytes(w) != _bytes(g)).sum())
            if problem is None and wrong.any():
                problem = f"{where}: {_shown(wrong, w, g)}\n{print_graph(case.graph, data=False)}"
    return Difference(differing, worst, problem)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8)


def _shown(wrong: np.ndarray, wanted: np.ndarray, got: np.ndarray) -> str:
    first = tuple(np.argwhere(wrong)[0])
    return f"{wrong.sum()} of {got.size} differ, at {first}: {got[first]}, {wanted[first]} wanted"


def _relative(wanted: np.ndarray, got: np.ndarray, reach: float) -> np.ndarray:
    """|got - wanted| / reach, 0 where both are the same infinity or no number."""
    same = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(got.astype(np.float64) - wanted.astype(np.float64)) / reach
    return np.where(same, 0.0, np.where(np.isnan(error), np.inf, error))


def _reaches(case: Case) -> list[list[float]]:
    """By run and output, the magnitude that float32 rounding is proportional to."""
    sessions = Session(case.graph), Session(without_clamp(case.graph))
    reaches = []
    for frame in case.frames:
        least = 1e-30
        if any(node.op in _SUMS for node in case.graph.nodes()):
            least = max((_magnitude(x) for x in frame), default=least)
        runs = [session.run(frame) for session in sessions]
        reaches.append([max(*map(_magnitude, both), least) for both in zip(*runs, strict=True)])
    return reaches


def _magnitude(values: np.ndarray) -> float:
    finite = np.abs(values[np.isfinite(values)].astype(np.float64))
    return float(finite.max(initial=1e-30))


def without_clamp(graph: Graph) -> Graph:
    """The same graph without its fused activations."""

    def rule(node: Node) -> Node | None:
        if getattr(node.attrs, "clamp", NO_CLAMP) == NO_CLAMP:
            return None
        return Node(node.op, node.src, replace(node.attrs, clamp=NO_CLAMP), node.name)

    return graph.rewrite(rule)
