"""Build and run for the commands: what `run` and `profile` have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from milliwatt import api
from milliwatt.cli_show import note, show, show_json, waiting
from milliwatt.compress.progress import track
from milliwatt.debug.arrays import read_arrays
from milliwatt.debug.inputs import Inputs, random_inputs, split
from milliwatt.debug.outputs import outputs_text
from milliwatt.debug.profile import layer_table, summary, title
from milliwatt.debug.report import check_period, differing_bytes, make_report, reference_outputs
from milliwatt.emulate.machine import Trace
from milliwatt.errors import Mismatch
from milliwatt.ir.graph import Graph


@dataclass(frozen=True)
class Target:
    """What to build for: a board's name or file, a compiler, the aim, the stack, budgets."""

    board: str
    toolchain: str
    optimize: str
    stack_bytes: int
    flash: int | None = None
    ram: int | None = None
    latency_ms: float | None = None
    measure: bool = False


def build_firmware(graph: Graph, target: Target) -> api.Firmware:
    """Compile for a target; a spinner shows meanwhile, or the bar of what is measured."""
    text = f"compiling {graph.name} for {target.board}"
    with contextlib.nullcontext() if target.measure else waiting(text):
        return api.build(graph, **asdict(target))


def run_model(
    model: Path,
    input_file: Path | None,
    target: Target,
    *,
    period_ms: float | None = None,
    by_layer: bool = False,
    as_json: bool = False,
) -> None:
    """Load, build, run every input of the file (or a random one) and print what came of it.

    For a model with states the file holds frames: they run one after the other.
    """
    check_period(api.board(target.board), period_ms)  # told before anything slow
    graph = api.load(model)
    inputs, text = _inputs(graph, input_file)
    firmware = build_firmware(graph, target)
    traces = _run(firmware, inputs)
    with waiting("comparing with the reference"):
        report = make_report(
            graph,
            firmware.image,
            inputs,
            traces,
            text,
            period_ms=period_ms,
            stream=_is_stream(graph),
        )
    outputs = [trace.outputs for trace in traces]
    if as_json:
        listed = [[value.tolist() for value in values] for values in outputs]
        show_json(report.to_dict() | {"outputs": listed})
    else:
        show(title(report), "")
        if by_layer and report.layers:
            show(layer_table(report), "")
        else:
            print(outputs_text(graph, outputs, stream=report.stream) + "\n")
        show(summary(report))
    if not report.bit_exact:
        _explain(firmware, inputs, traces)


def _is_stream(graph: Graph) -> bool:
    """A model that remembers takes the inputs of a file for frames, one after the other."""
    return bool(graph.updates)


def _run(firmware: api.Firmware, inputs: Sequence[Inputs]) -> list[Trace]:
    """Run every input; a clock shows meanwhile, a bar where there are several."""
    text = f"running on {firmware.board.name}"
    runs = firmware.stream(inputs) if _is_stream(firmware.graph) else firmware.run_many(inputs)
    if len(inputs) == 1:
        with waiting(text):
            return list(runs)
    return list(track(runs, text, len(inputs)))


def _inputs(graph: Graph, path: Path | None) -> tuple[tuple[Inputs, ...], str]:
    """The inputs of a file or a random one, and where they are from in words."""
    if path is None:
        note(f"no --input given; running a random input (seed {api.SEED})")
        return (random_inputs(graph, api.SEED),), f"random, seed {api.SEED}"
    return split(graph, read_arrays(path, graph)), path.name


def _explain(firmware: api.Firmware, inputs: tuple[Inputs, ...], traces: list[Trace]) -> None:
    """Raise Mismatch with the first layer that differs; floats may differ and only get a note."""
    graph = firmware.graph
    if any(node.type.dtype.is_float for node in graph.nodes()):
        note("float arithmetic rounds differently from core to core; integer models are bit-exact")
        return
    stream = _is_stream(graph)
    expected = reference_outputs(graph, inputs, stream=stream)
    for x, trace, wanted in zip(inputs, traces, expected, strict=True):
        if differing_bytes(trace.outputs, wanted):
            with waiting("looking for the first layer that differs"):
                where = firmware.first_divergence(inputs if stream else x, stream=stream)
            raise Mismatch(f"{graph.name} on {firmware.board.name}: {where}")
