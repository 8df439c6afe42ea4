"""Every pass keeps meaning: s8 bit for bit, f32 to rounding; and the graph stays legal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from milliwatt.compiler.pipeline import PASSES, run_passes
from milliwatt.compiler.target import PORTABLE
from milliwatt.formats.tflite import read_tflite
from milliwatt.ir.graph import Graph
from milliwatt.ir.reference import Session
from milliwatt.ir.text import print_graph
from milliwatt.ir.types import DType
from milliwatt.ir.verify import verify
from support.random_graphs import random_graph, with_f16_weights, with_ring
from support.shared import FLOAT_MODELS, INT8_MODELS, mlperf
from support.single_ops import random_inputs

SEEDS = range(80)
INPUTS = 3


def some_graph(seed: int, dtype: DType) -> Graph:
    """A random network; every eighth remembers; of floats every fourth has weights in f16."""
    graph = random_graph(seed, dtype)
    if seed % 8 == 5 and graph.outputs[0].type.shape:
        graph = with_ring(graph, seed)
    return with_f16_weights(graph) if dtype is DType.F32 and seed % 4 == 0 else graph


def stages(graph: Graph) -> Iterator[tuple[str, Graph]]:
    """The graph after each pass."""
    seen: list[tuple[str, Graph]] = []
    run_passes(graph, on_pass=lambda name, after: seen.append((name, after)))
    assert [name for name, _ in seen] == [name for name, _ in PASSES]
    yield from seen


def assert_same_meaning(before: Graph, after: Graph, where: str, seed: int, count: int) -> None:
    """Equal inputs, output types and outputs."""
    assert [n.type for n in after.inputs] == [n.type for n in before.inputs], where
    assert [n.type for n in after.outputs] == [n.type for n in before.outputs], where
    sessions = Session(before), Session(after)
    for k in range(count):
        inputs = random_inputs(before, seed * 1000 + k)
        results = (session.run(inputs) for session in sessions)
        for wanted, have in zip(*results, strict=True):
            if wanted.dtype == np.float32:
                size = max(float(np.abs(wanted).max()), 1.0)
                np.testing.assert_allclose(have, wanted, rtol=0, atol=2e-5 * size, err_msg=where)
            else:
                np.testing.assert_array_equal(have, wanted, err_msg=where)


@pytest.mark.parametrize("dtype", [DType.F32, DType.S8], ids=str)
@pytest.mark.parametrize("part", range(8))
def test_passes_keep_meaning(dtype: DType, part: int) -> None:
    """Random networks: after each pass in order, and after each pass on its own."""
    for seed in SEEDS[part::8]:
        graph = verify(some_graph(seed, dtype))
        for name, after in stages(graph):
            where = f"{graph.name} after {name}"
            assert_same_meaning(graph, verify(after), where, seed, INPUTS)
        for name, step in PASSES:
            where = f"{graph.name} after {name} alone"
            assert_same_meaning(graph, verify(step(graph, PORTABLE)), where, seed, 1)


def test_every_pass_does_something() -> None:
    """A pass that never fires on these graphs would pass the test above for nothing."""
    fired: Counter[str] = Counter()
    for dtype in (DType.F32, DType.S8):
        for seed in SEEDS:
            text = print_graph(some_graph(seed, dtype))
            for name, after in stages(some_graph(seed, dtype)):
                fired[name] += print_graph(after) != text
                text = print_graph(after)
    assert {name: count for name, count in fired.items() if count < 3} == {}


def test_passes_are_done_after_one_round() -> None:
    """A second round changes nothing: no pass leaves work for one before it."""
    for dtype in (DType.F32, DType.S8):
        for seed in SEEDS:
            once = run_passes(some_graph(seed, dtype))
            assert print_graph(run_passes(once)) == print_graph(once), (dtype, seed)


@pytest.mark.parametrize("model", [*INT8_MODELS.values(), *FLOAT_MODELS.values()])
def test_passes_keep_meaning_on_models(model: str) -> None:
    """The MLPerf Tiny models: int8 ones bit for bit, after every pass."""
    graph = verify(read_tflite(mlperf(model)))
    for name, after in stages(graph):
        assert_same_meaning(graph, verify(after), f"{model} after {name}", 1, 1)
