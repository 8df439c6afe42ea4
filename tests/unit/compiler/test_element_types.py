"""Every element type as input, output, constant and state, from Python to the core and back."""

from __future__ import annotations

import numpy as np
import pytest

import milliwatt as mw
from milliwatt.compiler.emit_text import c_array, c_literal, stored
from milliwatt.ir.attrs import Concat
from milliwatt.ir.graph import Graph, Node, constant, graph_input, state
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import Session
from milliwatt.ir.types import DType

TYPES = [dtype for dtype in DType if dtype is not DType.S4]


def extremes(dtype: DType) -> np.ndarray:
    """Two values, the least and the most of the type."""
    if dtype is DType.BOOL:
        return np.array([False, True])
    if dtype.is_float:
        info = np.finfo(dtype.numpy)
        return np.array([info.smallest_subnormal, info.max], dtype.numpy)
    return np.array(dtype.limits, dtype.numpy)


@pytest.mark.parametrize("board", ["host", "cortex-m4"])
def test_all_types_go_through(board: str) -> None:
    inputs, outputs, updates, frames = [], [], [], []
    for dtype in TYPES:
        x = graph_input((2,), dtype, f"x_{dtype}")
        fixed = constant(extremes(dtype), f"c_{dtype}")
        held = state(extremes(dtype)[::-1], f"s_{dtype}")
        inputs.append(x)
        outputs.append(Node(Op.CONCAT, (x, fixed, held), Concat(0), f"y_{dtype}"))
        updates.append((held, x))
        frames.append(np.roll(extremes(dtype), 1))
    graph = Graph(tuple(inputs), tuple(outputs), tuple(updates))
    firmware = mw.build(graph, board=board)
    session = Session(graph)
    for trace in firmware.stream([tuple(frames), tuple(frames)]):
        for found, wanted in zip(trace.outputs, session.run(frames), strict=True):
            assert found.dtype == wanted.dtype
            assert found.tobytes() == wanted.tobytes()
    assert firmware.profile().bit_exact


@pytest.mark.parametrize(
    ("dtype", "value", "text"),
    [
        (DType.U32, 2**32 - 1, "4294967295u"),
        (DType.U64, 2**64 - 1, "18446744073709551615ull"),
        (DType.S64, -(2**63), "INT64_MIN"),
        (DType.S64, 2**63 - 1, "9223372036854775807"),
        (DType.BOOL, True, "1"),
    ],
)
def test_literals(dtype: DType, value: int, text: str) -> None:
    assert c_literal(value, dtype) == text


def test_s4_lie_two_to_a_byte_the_first_one_low() -> None:
    packed = stored(np.array([1, -1, -8, 7, 3], np.int8), DType.S4)
    assert c_array(packed) == ("uint8_t", ["241", "120", "3"])
    assert constant(np.zeros(5, np.int8), "c", None, DType.S4).type.nbytes == packed.nbytes == 3


def test_f16_is_stored_as_its_bits() -> None:
    assert c_array(stored(np.array([1.5, -2], np.float16))) == ("uint16_t", ["15872", "49152"])
