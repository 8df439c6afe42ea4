"""What a first user met: names that swapped inputs, a negation nobody shares, lost variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import milliwatt as mw
from milliwatt.debug.arrays import read_arrays
from milliwatt.errors import BadData, UnsupportedOp
from milliwatt.formats.tflite import read_tflite
from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.attrs import Elementwise
from milliwatt.ir.attrs.pointwise import Pointwise
from milliwatt.ir.graph import Graph, Node, graph_input, state
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run
from milliwatt.ir.types import DType
from support.oracle import Tflm, litert
from support.tflite_edit import edited


def test_a_path_is_wanted() -> None:
    x = graph_input((2,), DType.F32, "x")
    graph = Graph((x,), (Node(Op.NEG, (x,), Pointwise(), "y"),))
    no_path: Any = 5
    with pytest.raises(BadData, match="save: int given; a path wanted"):
        mw.save(graph, no_path)


def test_a_mistyped_name_swaps_no_inputs(tmp_path: Path) -> None:
    a, b = (graph_input((2,), DType.F32, name) for name in ("in0", "in1"))
    graph = Graph((a, b), (Node(Op.SUB, (a, b), Elementwise(), "y"),))
    one, two = np.array([1, 2], np.float32), np.array([3, 4], np.float32)
    np.savez(tmp_path / "typo.npz", in1=two, In0=one)
    with pytest.raises(BadData, match=r"holds in1, In0; arrays named in0, in1 wanted"):
        read_arrays(tmp_path / "typo.npz", graph)
    np.savez(tmp_path / "named.npz", in1=two, in0=one)
    np.savez(tmp_path / "unnamed.npz", one, two)
    for name in ("named", "unnamed"):
        found = read_arrays(tmp_path / f"{name}.npz", graph)
        assert np.array_equal(found, [one, two])


def test_a_quantized_negation_is_the_same_everywhere() -> None:
    """TFLM has no int8 NEG and LiteRT's does not rescale: it is a product with -1."""
    x = graph_input((1, 64), DType.F32, "x")
    graph = Graph((x,), (Node(Op.NEG, (x,), Pointwise(), "y"),))
    samples = np.linspace(-0.4, 1.6, 640).astype(np.float32).reshape(10, 1, 64)
    small = mw.quantize(graph, samples)
    values = np.arange(-128, 128, 4).astype(np.int8).reshape(1, 64)
    (wanted,) = run(small, [values])
    model = write_tflite(small)
    assert np.array_equal(Tflm(model).run([values]), wanted)
    assert np.array_equal(litert(model, [values]), wanted)
    assert len(np.unique(wanted)) > 50


def test_a_variable_that_nothing_sets_is_told() -> None:
    """A broken export: weights as resources, without the subgraph that stores them."""
    x = graph_input((1, 4), DType.F32, "x")
    kept = state(np.ones((1, 4), np.float32), "kept")
    y = Node(Op.ADD, (x, kept), Elementwise(), "y")
    model = write_tflite(Graph((x,), (y,), ((kept, y),)))

    def without_assignments(tree: Any) -> None:
        main = tree.subgraphs[0]
        kinds = [c.builtinCode for c in tree.operatorCodes]
        dropped = (kinds.index(129), kinds.index(144))  # CALL_ONCE, ASSIGN_VARIABLE
        main.operators = [op for op in main.operators if op.opcodeIndex not in dropped]
        del tree.subgraphs[1:]

    with pytest.raises(UnsupportedOp, match=r"variable .*kept.* nothing ever gives it a value"):
        read_tflite(edited(model, without_assignments))
