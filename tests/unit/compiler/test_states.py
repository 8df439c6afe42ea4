"""States in the plan and in C: in place where it is safe, copied where not, small to reset."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import milliwatt as mw
from milliwatt.compiler.emit import emit
from milliwatt.compiler.memory import draw_plan
from milliwatt.compiler.program import Program, compile_graph
from milliwatt.ir.attrs import Concat, Elementwise, Reshape
from milliwatt.ir.attrs.control import Part
from milliwatt.ir.graph import Graph, Node, constant, graph_input, state
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant, Type

Q = Quant.per_tensor(0.0625, -3)


def held(name: str, fill: int = 0, size: int = 16) -> Node:
    return state(np.full((1, size), fill, np.int8), name, Q)


def given(name: str = "x", size: int = 16) -> Node:
    return graph_input((1, size), DType.S8, name, Q)


def add(a: Node, b: Node, name: str) -> Node:
    return Node(Op.ADD, (a, b), Elementwise(quant=Q), name)


def copies(program: Program) -> list[str]:
    return [copy.name for copy in program.plan.copies]


def test_a_sum_is_added_in_place() -> None:
    s, x = held("sum"), given()
    total = add(s, x, "total")
    program = compile_graph(Graph((x,), (total,), ((s, total),)))
    assert copies(program) == []
    assert program.plan.outputs == (program.plan.offset(s),) == (0,)
    assert (program.plan.state_bytes, program.arena_bytes) == (16, 32)


def test_a_shift_is_written_after_the_last_read() -> None:
    """Part of the old bytes, then the new ones: concat writes over the state it read before."""
    old = state(np.zeros(24, np.uint8), "ring")
    new = graph_input((8,), DType.U8, "new")
    rest = Node(Op.PART, (old,), Part(8, Type((16,), DType.U8)), "rest")
    ring = Node(Op.CONCAT, (rest, new), Concat(0), "shifted")
    program = compile_graph(Graph((new,), (ring,), ((old, ring),)))
    # concat reads the state itself, and does not work in place.
    assert copies(program) == ["ring"]


def test_readers_run_before_the_state_is_written() -> None:
    """y needs the old state; it runs first, although its other operand is the new value."""
    s, x = held("s"), given()
    new = add(x, x, "new")
    reader = add(s, x, "reader")
    program = compile_graph(Graph((x,), (new, reader), ((s, new),)))
    assert copies(program) == []
    names = [step.node.name for step in program.steps]
    assert names.index("reader") < names.index("new")
    assert program.plan.offset(new) == 0


def test_a_late_reader_makes_a_copy() -> None:
    s, x = held("s"), given()
    new = add(x, x, "new")
    late = add(new, s, "late")
    program = compile_graph(Graph((x,), (late,), ((s, new),)))
    assert copies(program) == ["s"]
    assert "  memcpy(model->arena + 0, model->arena + " in emit(program)["mw_model.c"]


def test_states_trade_places() -> None:
    """a, b, c = b, c, a; and d takes the old a as well."""
    a, b, c, d = (held(n, i) for i, n in enumerate("abcd"))
    x = given()
    y = add(a, x, "y")
    graph = Graph((x,), (y, a), ((a, b), (b, c), (c, a), (d, a)))
    program = compile_graph(graph)
    assert copies(program) == ["a", "d", "a", "a", "b", "c"]
    assert any(block.name == "states/aside" for block in program.plan.blocks)
    firmware = mw.build(graph, board="host")
    values = [np.full((1, 16), i, np.int8) for i in range(5)]
    assert firmware.check(values, stream=True)


def test_one_value_for_two_states() -> None:
    a, b, x = held("a"), held("b", 5), given()
    new = add(a, x, "new")
    program = compile_graph(Graph((x,), (new,), ((a, new), (b, new))))
    assert copies(program) == ["b"]


@pytest.mark.parametrize("kind", ["itself", "input", "constant", "state", "reshape", "part"])
def test_anything_may_be_the_next_value(kind: str) -> None:
    s, other, x = held("s", 1), held("other", 2), given()
    packet = graph_input((32,), DType.U8, "packet")
    flat = Node(Op.RESHAPE, (add(x, s, "y"),), Reshape((16,)), "flat")
    new = {
        "itself": s,
        "input": x,
        "constant": constant(np.arange(16, dtype=np.int8)[None], "c", Q),
        "state": other,
        "reshape": Node(Op.RESHAPE, (flat,), Reshape((1, 16)), "back"),
        "part": Node(Op.PART, (packet,), Part(8, s.type), "part"),
    }[kind]
    graph = Graph((x, packet), (add(s, x, "out"), s), ((s, new), (other, add(other, x, "o"))))
    firmware = mw.build(graph, board="host")
    chance = np.random.default_rng(0)
    frames = [
        (
            chance.integers(-9, 9, (1, 16)).astype(np.int8),
            chance.integers(0, 9, 32).astype(np.uint8),
        )
        for _ in range(4)
    ]
    assert firmware.check(frames, stream=True)


def remembering() -> Graph:
    """Zeros, equal bytes and different bytes; s8, f32, u64 and f16."""
    x = given()
    total = held("total")
    ramp = state(np.arange(6, dtype=np.float32), "ramp")
    ones = held("ones", 1)
    zeros = state(np.zeros(3, np.uint64), "zeros")
    half = state(np.array([1.5, -2], np.float16), "half")
    new = add(add(total, ones, "more"), x, "new")
    kept = ((zeros, zeros), (ramp, ramp), (ones, ones), (half, half))
    return Graph((x,), (new,), ((total, new), *kept), name="remembering")


def test_first_values_cost_little() -> None:
    program = compile_graph(remembering())
    text = emit(program)
    reset = (
        text["mw_model.c"].split("mw_model_reset(mw_model *model)\n")[1].split("return MW_OK")[0]
    )
    lines = [line.strip() for line in reset.split("\n") if "mem" in line]
    assert lines == [
        "memset(model->arena + 0, 0, 40);",
        "memset(model->arena + 40, 1, 16);",
        "memcpy(model->arena + 56, mw_state_ramp, 24);",
        "memcpy(model->arena + 80, mw_state_half, 4);",
    ]
    assert "const uint16_t mw_state_half[2] = {\n  15872, 49152\n};" in text["mw_weights.c"]
    assert program.weight_bytes == sum(s.weight_bytes for s in program.steps) + 24 + 4
    assert program.plan.state_bytes == 88


def test_the_header_says_what_is_kept() -> None:
    header = emit(compile_graph(remembering()))["mw_model.h"]
    assert "#define MW_MODEL_STATE_BYTES 88\n" in header
    assert "mw_status mw_model_reset(mw_model *model);\n" in header
    assert " *   byte 56: ramp, f32[6]\n" in header
    assert max(map(len, header.splitlines())) <= 140


def test_the_plan_shows_states() -> None:
    rows = draw_plan(compile_graph(remembering()).plan).split("\n")
    names = [row.split()[0] for row in rows if "/state" in row]
    assert names == [f"{name}/state" for name in ("total", "zeros", "ones", "ramp", "half")]


WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wmissing-prototypes", "-pedantic", "-Werror")


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc on this machine")
def test_generated_c_has_no_warnings(tmp_path: Path) -> None:
    """C99 and, for the header, C++."""
    for path, text in emit(compile_graph(remembering())).items():
        (tmp_path / path).write_text(text, encoding="utf-8")
    for path in ("mw_model.c", "mw_weights.c", "main.c"):
        subprocess.run(["gcc", "-std=c99", *WARNINGS, "-c", path], cwd=tmp_path, check=True)
    (tmp_path / "use.cpp").write_text(
        '#include "mw_model.h"\nmw_status (*f)(mw_model *) = mw_model_reset;\n'
    )
    if shutil.which("g++"):
        subprocess.run(
            ["g++", "-Wall", "-Wextra", "-pedantic", "-Werror", "-c", "use.cpp"],
            cwd=tmp_path,
            check=True,
        )


def test_a_first_value_that_repeats_is_stored_once() -> None:
    """A ring buffer of one position over and over keeps that position in flash."""
    row = np.array([3, -7, 100], np.int8)
    ring = state(np.broadcast_to(row, (1, 5, 3)), "ring", Q)
    x = graph_input((1, 5, 3), DType.S8, "x", Q)
    total = add(ring, x, "total")
    graph = Graph((x,), (total,), ((ring, total),))
    files = emit(compile_graph(graph))
    assert "const int8_t mw_state_ring[3] = {\n  3, -7, 100\n};" in files["mw_weights.c"]
    text = files["mw_model.c"]
    assert "for (size_t i = 0; i < 15; i += 3) memcpy(model->arena + " in text
    frames = np.arange(60, dtype=np.int8).reshape(4, 1, 5, 3)
    assert mw.build(graph, board="host").check(frames, stream=True)
