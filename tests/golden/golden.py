"""Golden texts of two small nets: what the compiler writes for them, kept in tests/golden/texts.

`tiny` is a network without state, `stream` one that remembers, chooses and loops.

`make golden` rewrites them after a wanted change; the diff is then part of the review. A change
that is meant to change nothing must leave every byte of them equal.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from milliwatt.compiler.emit import emit
from milliwatt.compiler.memory import draw_plan
from milliwatt.compiler.program import Program, compile_graph
from milliwatt.ir.attrs import (
    RELU,
    ClampAttrs,
    Concat,
    Conv2d,
    Elementwise,
    FullyConnected,
    Mean,
    Pad,
    Softmax,
)
from milliwatt.ir.attrs.control import If, While
from milliwatt.ir.attrs.move import StridedSlice
from milliwatt.ir.graph import Graph, Node, constant, graph_input, parts, state
from milliwatt.ir.ops import Op
from milliwatt.ir.text import print_graph
from milliwatt.ir.types import DType, Quant

FOLDER = Path(__file__).resolve().parent / "texts"
SOURCES = ("mw_model.h", "mw_model.c", "mw_weights.c", "main.c")
S8 = Quant.per_tensor(0.0625, -3)


def ramp(name: str, shape: tuple[int, ...], axis: int) -> Node:
    """Weights -4 .. 4 over and over, a power-of-two scale a channel."""
    values = (np.arange(np.prod(shape)) % 9 - 4).reshape(shape).astype(np.int8)
    return constant(values, name, Quant.per_axis(2.0 ** -(3 + np.arange(shape[axis]) % 2), axis))


def bias(name: str, channels: int) -> Node:
    """Biases 0, 10, 20, ..."""
    return constant(np.arange(channels, dtype=np.int32) * 10, name)


def tiny() -> Graph:
    """pad, conv, clamp, residual add, depthwise, mean, fully connected, softmax; s8 throughout."""
    x = graph_input((1, 5, 4, 2), DType.S8, "image", S8)
    padded = Node(Op.PAD, (x,), Pad(((0, 0), (1, 1), (1, 1), (0, 0))), "pad")
    conv = Conv2d(quant=S8)
    y = Node(Op.CONV2D, (padded, ramp("w1", (2, 3, 3, 2), 0), bias("b1", 2)), conv, "conv")
    y = Node(Op.CLAMP, (y,), ClampAttrs(RELU, S8), "relu")
    y = Node(Op.ADD, (y, x), Elementwise(quant=S8), "residual")
    depthwise = Conv2d(stride=(2, 2), quant=Quant.per_tensor(0.125, 5))
    operands = (y, ramp("w2", (1, 3, 3, 4), 3), bias("b2", 4))
    y = Node(Op.DEPTHWISE_CONV2D, operands, depthwise, "depthwise")
    y = Node(Op.MEAN, (y,), Mean((1, 2), quant=S8), "pool")
    dense = FullyConnected(quant=S8)
    y = Node(Op.FULLY_CONNECTED, (y, ramp("w3", (3, 4), 0), bias("b3", 3)), dense, "scores")
    return Graph((x,), (Node(Op.SOFTMAX, (y,), Softmax(), "label"),), name="tiny")


def stream() -> Graph:
    """A ring of frames, a running sum, a choice and a loop; s8, four states.

    The ring and the sum are written in place after their last reads, two states are copied.
    """
    x = graph_input((1, 4), DType.S8, "frame", S8)
    flag = graph_input((1,), DType.BOOL, "loud")
    ring = state(np.zeros((3, 4), np.int8), "ring", S8)
    total = state(np.full((1, 4), -3, np.int8), "total", S8)
    gain = state(np.array([[1, 2, 3, 4]], np.int8), "gain", S8)
    last = state(np.zeros((1, 4), np.int8), "last", S8)

    def add(a: Node, b: Node, name: str) -> Node:
        return Node(Op.ADD, (a, b), Elementwise(quant=S8), name)

    def branch(name: str) -> Graph:
        value = graph_input((1, 4), DType.S8, "value", S8)
        ramp = constant(np.array([[0, 8, 16, 24]], np.int8), "ramp", S8)
        result = value if name == "quiet" else add(value, ramp, "raised")
        return Graph((value,), (result,), name=name)

    attrs = If(branch("loud"), branch("quiet"))
    choice = Node(Op.IF, (flag, x), attrs, "choice")
    (y,) = parts(choice, attrs.results, ["y"])
    rows = Node(Op.CONCAT, (ring, y), Concat(0), "rows")
    shifted = Node(Op.STRIDED_SLICE, (rows,), StridedSlice((1, 0), (3, 4), (1, 1)), "shifted")
    summed = add(total, y, "summed")
    on, value = graph_input((1,), DType.BOOL, "on"), graph_input((1, 4), DType.S8, "v", S8)
    off = constant(np.zeros(1, np.bool_), "off")
    loop = While(
        Graph((on, value), (on,), name="go_on"),
        Graph((on, value), (off, add(value, value, "twice")), name="turn"),
    )
    node = Node(Op.WHILE, (flag, summed), loop, "loop")
    _, doubled = parts(node, loop.results, ["left", "doubled"])
    score = Node(Op.MEAN, (ring,), Mean((0,), quant=S8), "score")
    updates = ((ring, shifted), (total, summed), (gain, last), (last, x))
    return Graph((x, flag), (score, doubled, gain), updates, name="stream")


def shapes(program: Program) -> str:
    """What a program is, as JSON: the facts that reports and firmware take from it."""
    steps = [
        {
            "name": step.node.name,
            "op": str(step.node.op),
            "kernel": step.call.kernel,
            "macs": step.macs,
            "weight_bytes": step.weight_bytes,
            "out_offset": step.out_offset,
        }
        for step in program.steps
    ]
    facts = {"arena_bytes": program.arena_bytes, "steps": steps}
    return json.dumps(facts, indent=1) + "\n"


GRAPHS = {"tiny": tiny, "stream": stream}


def texts(folder: str) -> dict[str, str]:
    """File name -> text of one of the nets."""
    graph = GRAPHS[folder]()
    program = compile_graph(graph)
    sources = emit(program)
    return {
        "graph.txt": print_graph(graph),
        "lowered.txt": print_graph(program.graph),
        "plan.txt": draw_plan(program.plan),
        "program.json": shapes(program),
        **{name: sources[name] for name in SOURCES},
    }


def main() -> None:
    """Rewrite the golden files."""
    for folder in GRAPHS:
        (FOLDER / folder).mkdir(exist_ok=True)
        for name, text in texts(folder).items():
            (FOLDER / folder / name).write_text(text, encoding="utf-8")
        print(f"wrote {len(texts(folder))} files in tests/golden/{folder}")


if __name__ == "__main__":
    main()
