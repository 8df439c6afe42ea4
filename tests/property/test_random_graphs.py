"""The generator itself: what the other properties lean on must be varied and deterministic."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run
from milliwatt.ir.text import parse_graph, print_graph
from milliwatt.ir.types import DType
from milliwatt.ir.verify import verify
from support.ops.core import OPERATORS
from support.random_graphs import random_graph, random_stateful
from support.single_ops import random_inputs

SEEDS = range(60)
DTYPES = (DType.F32, DType.S8)


def test_every_operator_appears() -> None:
    """The graphs of this suite cover every operator of the first family, and the leaves."""
    seen = Counter(
        node.op for dtype in DTYPES for seed in SEEDS for node in random_graph(seed, dtype).nodes()
    )
    seen.update(node.op for seed in SEEDS for node in random_stateful(seed, DType.S8).nodes())
    wanted = {Op(name) for name in OPERATORS} | {Op.INPUT, Op.CONSTANT, Op.STATE, Op.PART}
    assert wanted - set(seen) == set()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_outputs_vary(dtype: DType) -> None:
    """Most outputs are not constant: a pass that broke values would be seen."""
    lively = 0
    for seed in SEEDS:
        graph = random_graph(seed, dtype)
        for value in run(graph, random_inputs(graph, seed)):
            lively += len(np.unique(value)) > min(3, value.size - 1)
    assert lively > 0.6 * len(SEEDS)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_text_round_trip(dtype: DType) -> None:
    """Print, parse, print: equal text, legal graph, equal outputs bit for bit."""
    for seed in SEEDS:
        graph = verify(random_graph(seed, dtype))
        text = print_graph(graph)
        again = verify(parse_graph(text))
        assert print_graph(again) == text
        # The parser lists inputs in order of appearance, which is the order they were printed in.
        assert [n.name for n in again.inputs] == [n.name for n in graph.inputs]
        inputs = random_inputs(graph, seed)
        for ours, theirs in zip(run(graph, inputs), run(again, inputs), strict=True):
            np.testing.assert_array_equal(ours, theirs)
