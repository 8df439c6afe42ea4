"""The whole window against new frames: equal results, and what they cost on a board."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from milliwatt.compiler.board import Board
from milliwatt.compiler.build import build
from milliwatt.compiler.firmware import Firmware
from milliwatt.debug.inputs import random_inputs
from milliwatt.emulate.machine import Trace, machine_for
from milliwatt.ir.graph import Graph
from milliwatt.ir.reference import Session, run
from milliwatt.ir.types import Type

if TYPE_CHECKING:
    from rich.console import RenderableType

MORE_RUNS = 4
"""Runs after the ring buffers have been filled once."""
COMPARED = 12
"""Windows computed for comparison, spread over the runs: each costs as much as all runs do."""
NO_GAIN = 1.05
"""Cycles saved that are none."""
SEED = 0
Arrays = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Cost:
    """What one inference takes on a board."""

    cycles: int | None
    latency_ms: float | None
    energy_uj: float | None
    arena_bytes: int
    flash_bytes: int


@dataclass(frozen=True)
class StreamReport:
    """A window graph and its streaming graph on one board.

    `window_frames` and `new_frames` are positions along time a run takes. `runs` runs on random
    frames were compared; in `different` of them a result was not that of the window.
    """

    board: str
    window_frames: int
    new_frames: int
    runs: int
    different: int
    window: Cost
    stream: Cost

    @property
    def saved(self) -> float | None:
        """Cycles of the whole window over those of new frames; None where nothing is counted."""
        if not self.window.cycles or not self.stream.cycles:
            return None
        return self.window.cycles / self.stream.cycles

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the fields, and `saved`."""
        return {**asdict(self), "saved": self.saved}


def stream_report(graph: Graph, streaming: Graph, board: Board, *, axis: int = 1) -> StreamReport:
    """Run random frames through both graphs, on the board and in the reference.

    Args:
        graph: over a whole window. streaming: what `mw.stream` made of it, `axis` as there.
    Raises: as `mw.build` and `Firmware.run` do.
    """
    length, frames = _frames(graph, axis), _frames(streaming, axis)
    count = -(-length // frames) + MORE_RUNS
    steps = [random_inputs(streaming, SEED + number) for number in range(count)]
    wanted = _wanted(graph, streaming, steps, axis)
    small = build(streaming, board)
    session = machine_for(board).load(small)
    traces = [session.run(values) for values in steps]
    large = build(graph, board)
    whole = machine_for(board).run(large, random_inputs(graph, SEED))
    different = sum(
        want is not None and not _equal(trace.outputs, want)
        for trace, want in zip(traces, wanted, strict=True)
    )
    return StreamReport(
        board.name,
        length,
        frames,
        sum(want is not None for want in wanted),
        different,
        _cost(large, whole),
        _cost(small, traces[-1]),
    )


def _frames(graph: Graph, axis: int) -> int:
    return next(n.type.shape[axis] for n in graph.inputs if len(n.type.shape) > axis)


def _cost(firmware: Firmware, trace: Trace) -> Cost:
    return Cost(
        trace.cycles,
        trace.latency_ms,
        trace.energy_uj,
        firmware.arena_bytes,
        firmware.flash_bytes,
    )


def _equal(found: Arrays, wanted: Arrays) -> bool:
    """True for equal integers, and for floats equal but for rounding."""
    return all(
        np.allclose(a, b, rtol=1e-4, atol=1e-5) if a.dtype.kind == "f" else np.array_equal(a, b)
        for a, b in zip(found, wanted, strict=True)
    )


def _wanted(graph: Graph, streaming: Graph, steps: list[Arrays], axis: int) -> list[Arrays | None]:
    """What runs must give; None for one that is not compared or has no window yet."""
    total = len(steps)
    if all(a.type.shape == b.type.shape for a, b in _outputs(graph, streaming)):
        chosen = set(np.linspace(0, total - 1, min(total, COMPARED)).astype(int).tolist())
        return [
            run(graph, _joined(graph, steps[: number + 1], axis)) if number in chosen else None
            for number in range(total)
        ]
    # A sequence: as many runs as fill it; the next one goes on only where the graph has states.
    count = _frames(graph, axis) // _frames(streaming, axis)
    starts = range(0, total - count + 1 if graph.updates else 1, count)
    session = Session(graph)
    found = [session.run(_joined(graph, steps[at : at + count], axis)) for at in starts]
    return [
        _positions(graph, streaming, found[number // count], number % count, count)
        if number // count < len(found)
        else None
        for number in range(total)
    ]


def _outputs(graph: Graph, streaming: Graph) -> list[tuple[Any, Any]]:
    return list(zip(graph.outputs, streaming.outputs, strict=True))


def _positions(
    graph: Graph, streaming: Graph, results: Arrays, number: int, count: int
) -> Arrays | None:
    """The positions of the sequence's `results` that run `number` of `count` gives."""
    cut = []
    for (whole, part), value in zip(_outputs(graph, streaming), results, strict=True):
        axis = _time_axis(whole.type, part.type)
        step = part.type.shape[axis]
        first = value.shape[axis] - (count - number) * step
        if first < 0:
            return None
        cut.append(np.take(value, range(first, first + step), axis))
    return tuple(cut)


def _time_axis(whole: Type, part: Type) -> int:
    pairs = zip(whole.shape, part.shape, strict=True)
    return next(axis for axis, (a, b) in enumerate(pairs) if a != b)


def _joined(graph: Graph, steps: list[Arrays], axis: int) -> Arrays:
    """The last frames of all steps, as many as the graph takes, real zeros before the first."""
    inputs = []
    for number, node in enumerate(graph.inputs):
        kind = node.type
        if len(kind.shape) <= axis:
            inputs.append(steps[-1][number])
            continue
        silence = np.full(kind.shape, kind.zero_point, kind.dtype.numpy)
        joined = np.concatenate([silence, *(s[number] for s in steps)], axis)
        newest = range(joined.shape[axis] - kind.shape[axis], joined.shape[axis])
        inputs.append(np.take(joined, newest, axis))
    return tuple(inputs)


def stream_view(report: StreamReport) -> list[RenderableType]:
    """The report as a table and one line of verdict."""
    from milliwatt.debug.table import columns, facts

    def cells(name: str, frames: int, cost: Cost) -> tuple[str, ...]:
        return (
            f"{name}: {frames} frame{'s' * (frames != 1)} a run",
            _number(cost.cycles),
            _number(cost.latency_ms, 3),
            _number(cost.energy_uj, 1),
            f"{cost.arena_bytes:,}",
            f"{cost.flash_bytes:,}",
        )

    heads = (report.board, "cycles", "ms", "uJ", "arena bytes", "flash bytes")
    rows = (
        cells("whole window", report.window_frames, report.window),
        cells("stream", report.new_frames, report.stream),
    )
    lines = []
    if report.saved is not None:
        saves = report.saved >= NO_GAIN
        why = "" if saves else "the network mixes the whole window in most of its work"
        what = "fewer cycles a run" if saves else "the cycles: nothing is saved"
        lines.append(("saved", f"{report.saved:.1f} x", what, why))
    verdict = "yes" if report.different == 0 else f"no, {report.different} differ"
    what = f"{report.runs} runs of random frames against the window in the reference"
    lines.append(("equal", verdict, "", what))
    return [columns(heads, rows), "", facts(lines)]


def _number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
