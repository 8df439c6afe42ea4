"""Measured mode: candidates run alone, decide, and are not run again until their sources change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import milliwatt as mw
from milliwatt.compiler.aim import Aim
from milliwatt.debug import measure
from milliwatt.debug.inputs import random_inputs
from milliwatt.debug.measure import Case, candidates_of, known_cycles, measure_cases
from milliwatt.emulate.boards import board as find_board
from milliwatt.ir.attrs import Conv2d, Elementwise
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant

L4 = find_board("nucleo-l4r5zi")
Q = Quant.per_tensor(0.05, 3)


def tiny() -> Graph:
    """A pointwise convolution, and its result added to itself."""
    x = graph_input((1, 4, 4, 8), DType.S8, "x", Q)
    rng = np.random.default_rng(0)
    values = rng.integers(-60, 60, (8, 1, 1, 8)).astype(np.int8)
    weight = constant(values, "w", Quant.per_axis(np.full(8, 0.004), 0))
    conv = Node(Op.CONV2D, (x, weight), Conv2d(quant=Q), "conv")
    return Graph((x,), (Node(Op.ADD, (conv, conv), Elementwise(quant=Q), "twice"),), name="tiny")


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for cycles; compiled objects stay where they are."""
    monkeypatch.setattr(measure, "cache_dir", lambda: tmp_path)
    return tmp_path


def test_every_candidate_is_measured_once(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second build asks the table; the kernels chosen are the fastest measured ones."""
    ran: list[list[Case]] = []
    true_measure = measure.measure_cases

    def counting(cases: list[Case], *rest: object) -> object:
        ran.append(cases)
        return true_measure(cases, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(measure, "measure_cases", counting)
    graph = tiny()
    found = known_cycles(graph, L4, Aim(), "zig", measure=True)
    cases = list(candidates_of(graph, L4, Aim()))
    assert {case.layer for case in cases} == set(found)
    assert len(cases) > len({case.node.op for case in cases})
    assert len(ran[0]) == len(cases)
    assert known_cycles(graph, L4, Aim(), "zig", measure=True) == found
    assert ran[1] == []
    firmware = mw.build(graph, measure=True)
    for step in firmware.program.steps:
        own = {c.layer: found[c.layer] for c in cases if c.node.op is step.node.op}
        assert found[Case(step.node, step.call).layer] == min(own.values())
    assert firmware.check(random_inputs(graph))


def test_measured_cycles_are_those_of_a_run(own_cache: Path) -> None:
    """A layer alone takes what it takes in its network, but for caches that begin empty."""
    graph = tiny()
    firmware = mw.build(graph, measure=True)
    report = firmware.profile()
    found = known_cycles(graph, L4, Aim(), "zig", measure=True)
    for layer, step in zip(report.layers, firmware.program.steps, strict=False):
        case = Case(step.node, step.call)
        assert found[case.layer] == pytest.approx(layer.cycles, rel=0.05, abs=60)


def test_another_source_is_measured_again(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = tiny()
    found = known_cycles(graph, L4, Aim(), "zig", measure=True)
    monkeypatch.setattr(measure, "source_key", lambda files: "changed")
    assert known_cycles(graph, L4, Aim(), "zig") == {}
    again = known_cycles(graph, L4, Aim(), "zig", measure=True)
    assert again == found
    assert "changed" in next((own_cache / "cycles").iterdir()).read_text()


def test_a_spoiled_table_is_passed_over(own_cache: Path) -> None:
    """What cannot be read is measured again; where nothing can be written, builds go on."""
    graph = tiny()
    found = known_cycles(graph, L4, Aim(), "zig", measure=True)
    (table,) = (own_cache / "cycles").iterdir()
    table.write_bytes(b"layer,sources\n\xff\xfe")
    assert known_cycles(graph, L4, Aim(), "zig", measure=True) == found
    table.unlink()
    (own_cache / "cycles").rmdir()
    (own_cache / "cycles").write_text("a file where a folder is wanted")
    assert known_cycles(graph, L4, Aim(), "zig", measure=True) == found


def test_the_host_has_no_cycles() -> None:
    assert known_cycles(tiny(), find_board("host"), Aim(), "zig", measure=True) == {}


def test_batches_do_not_change_cycles(own_cache: Path) -> None:
    """Layers that share a firmware take what they take alone."""
    cases = list(candidates_of(tiny(), replace(L4), Aim()))
    together = {case.layer: cycles for case, cycles in measure_cases(cases, L4)}
    for case in cases[:2]:
        ((_, alone),) = measure_cases([case], L4)
        assert together[case.layer] == pytest.approx(alone, rel=0.05, abs=60)
