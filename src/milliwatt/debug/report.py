"""One run in numbers: what a board needs in time, energy and memory, and whether it is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from milliwatt.compiler.board import Board
from milliwatt.compiler.firmware import Firmware
from milliwatt.debug.inputs import Inputs
from milliwatt.emulate.energy import Duty, duty_cycle
from milliwatt.emulate.machine import RUNTIME, Trace
from milliwatt.errors import BadData
from milliwatt.ir.batch import run_samples
from milliwatt.ir.graph import Graph
from milliwatt.ir.reference import Session, run


@dataclass(frozen=True)
class LayerReport:
    """One kernel call of an inference; the row named "(runtime)" is the code outside all layers.

    `cycles_per_mac` is None where nothing is multiplied. `flash_bytes` are the constants and the
    call that this layer alone has; kernels are shared and counted in the report's `code_bytes`.
    `flash_stall_cycles` of the cycles are spent waiting for the flash. `bound_cycles` are the
    fewest that any kernel can take; `bound` says in a word what most of them are for (an
    instruction, `words` moved, `flash` reads), `bound_reason` in a few. None: no bound is known.
    """

    name: str
    op: str
    kernel: str
    cycles: int
    macs: int
    cycles_per_mac: float | None
    flash_bytes: int
    flash_stall_cycles: int = 0
    bound_cycles: int | None = None
    bound: str | None = None
    bound_reason: str | None = None


@dataclass(frozen=True)
class Report:
    """What one inference takes on one board. `to_dict` gives the documented JSON keys.

    Numbers are of the slowest of the inputs that ran (`inputs` of them; `input` says where from).
    `bit_exact`: every output byte of every input equals the reference's; `largest_difference` is
    the largest absolute difference of an output value, in steps of an integer output. `cycles` is
    an estimate within `error_percent`; `instructions` is exact. On the host, which counts nothing,
    `cycles`, `instructions`, `stack_bytes` and `energy_uj` are None and `latency_ms` is wall-clock
    time. Energy is None where the board gives no power. flash = code + weights; `stack_bytes` is
    the measured high-water mark; `ram_bytes` is all RAM with a fixed address, the arena included,
    plus that stack; `state_bytes` of the arena are kept from run to run. `stream`: the inputs were
    frames of one session. `period`: energy with sleep, where a period was asked for.
    """

    model: str
    board: str
    toolchain: str
    optimize: str
    bit_exact: bool
    cycles: int | None
    instructions: int | None
    latency_ms: float | None
    energy_uj: float | None
    flash_bytes: int
    code_bytes: int
    weight_bytes: int
    arena_bytes: int
    stack_bytes: int | None
    ram_bytes: int
    layers: tuple[LayerReport, ...]
    error_percent: float
    energy_source: str | None
    active_power_mw: float | None
    largest_difference: float
    input: str
    inputs: int
    period: Duty | None = None
    state_bytes: int = 0
    stream: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values under the field names, ready for JSON."""
        return asdict(self) | {"layers": [asdict(layer) for layer in self.layers]}

    def __str__(self) -> str:
        from milliwatt.debug.profile import profile_text

        return profile_text(self)


def make_report(
    graph: Graph,
    firmware: Firmware,
    inputs: Sequence[Inputs],
    traces: Sequence[Trace],
    text: str,
    *,
    period_ms: float | None = None,
    stream: bool = False,
) -> Report:
    """Report on runs of `firmware`, compared with the reference run of `graph`.

    Args:
        graph: the model as loaded, before the compiler's passes.
        inputs: one tuple of arrays an inference.
        traces: one for each of the inputs.
        text: where the inputs are from, in words.
        period_ms: time from one inference to the next, for energy with sleep.
        stream: the inputs are frames, one after the other; the states went on between them.
    Raises: BadData where the period is shorter than the latency, or the board lacks a power.
    """
    expected = reference_outputs(graph, inputs, stream=stream)
    pairs = list(zip((trace.outputs for trace in traces), expected, strict=True))
    slowest = max(traces, key=lambda trace: trace.cycles or 0)
    stacks = [trace.stack_bytes for trace in traces if trace.stack_bytes is not None]
    stack = max(stacks, default=None)
    energy = slowest.energy
    return Report(
        model=graph.name,
        board=firmware.board.name,
        toolchain=firmware.toolchain,
        optimize=firmware.optimize,
        bit_exact=all(equal(found, wanted) for found, wanted in pairs),
        cycles=slowest.cycles,
        instructions=slowest.instructions,
        latency_ms=slowest.latency_ms,
        energy_uj=slowest.energy_uj,
        flash_bytes=firmware.flash_bytes,
        code_bytes=firmware.code_bytes,
        weight_bytes=firmware.weight_bytes,
        arena_bytes=firmware.arena_bytes,
        stack_bytes=stack,
        ram_bytes=firmware.static_ram_bytes + (stack or 0),
        layers=_layers(firmware, slowest),
        error_percent=slowest.error_percent,
        energy_source=energy.source if energy else None,
        active_power_mw=energy.active_power_mw if energy else None,
        largest_difference=max(largest_difference(found, wanted) for found, wanted in pairs),
        input=text,
        inputs=len(inputs),
        period=_period(firmware, slowest, period_ms) if period_ms is not None else None,
        state_bytes=firmware.state_bytes,
        stream=stream,
    )


def reference_outputs(
    graph: Graph, inputs: Sequence[Inputs], *, stream: bool = False
) -> list[Inputs]:
    """The reference's outputs for every input; in batches where the graph has a batch axis.

    `stream`: the inputs are frames of one session, whose states go on; otherwise each finds the
    states at their first values. Floats that overflow become infinite or NaN as they do on a
    board, without a warning.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if stream:
            session = Session(graph)
            return [session.run(frame) for frame in inputs]
        if (
            len(inputs) == 1
            or graph.updates
            or any(node.type.shape[:1] != (1,) for node in graph.inputs)
        ):
            return [run(graph, one) for one in inputs]
        stacked = [np.concatenate(column) for column in zip(*inputs, strict=True)]
        outputs = run_samples(graph, stacked)
    return [
        tuple(
            column[i].reshape(node.type.shape)
            for column, node in zip(outputs, graph.outputs, strict=True)
        )
        for i in range(len(inputs))
    ]


def equal(found: Inputs, wanted: Inputs) -> bool:
    """True where two sets of outputs agree in type, shape and every byte (so NaN equals itself)."""
    return len(found) == len(wanted) and all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in zip(found, wanted, strict=True)
    )


def differing_bytes(found: Inputs, wanted: Inputs) -> int:
    """Output bytes that differ between two runs of one graph."""
    return sum(
        int(np.count_nonzero(_bytes(a) != _bytes(b))) for a, b in zip(found, wanted, strict=True)
    )


def _bytes(array: np.ndarray) -> np.ndarray:
    return np.frombuffer(array.tobytes(), np.uint8)


def largest_difference(found: Inputs, wanted: Inputs) -> float:
    """Largest absolute difference of an output value between two runs of one graph.

    Equal infinities, and NaN on both sides, differ by 0; NaN on one side gives NaN.
    """
    return max(_difference(a, b) for a, b in zip(found, wanted, strict=True))


def _difference(found: np.ndarray, wanted: np.ndarray) -> float:
    a, b = found.astype(np.float64), wanted.astype(np.float64)
    differ = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    return float(np.max(np.abs(a[differ] - b[differ]), initial=0.0))


def _layers(firmware: Firmware, trace: Trace) -> tuple[LayerReport, ...]:
    """A row for each of the trace's layers; the trace lists them in the firmware's order."""
    sizes = {symbol.name: symbol.nbytes for symbol in firmware.symbols}
    found = []
    for index, row in enumerate(trace.layers):
        layer = firmware.layers[index] if row.name != RUNTIME else None
        bound = layer.bound if layer else None
        found.append(
            LayerReport(
                name=row.name,
                op=row.op,
                kernel=row.kernel,
                cycles=row.cycles,
                macs=row.macs,
                cycles_per_mac=row.cycles / row.macs if row.macs else None,
                flash_bytes=layer.weight_bytes + sizes.get(layer.symbol, 0) if layer else 0,
                flash_stall_cycles=row.flash_stall_cycles,
                bound_cycles=bound.cycles if bound else None,
                bound=bound.limit if bound else None,
                bound_reason=bound.why if bound else None,
            )
        )
    return tuple(found)


def check_period(board: Board, period_ms: float | None) -> None:
    """BadData where a period is given and the board lacks a power that energy with sleep needs."""
    if period_ms is not None and None in (board.active_power_mw, board.sleep_power_mw):
        raise _no_power(board)


def _period(firmware: Firmware, trace: Trace, period_ms: float) -> Duty:
    board = firmware.board
    duty = duty_cycle(board, trace.latency_ms or 0.0, period_ms)
    if duty is None:
        raise _no_power(board)
    return duty


def _no_power(board: Board) -> BadData:
    return BadData(
        f"{board.name}: its board file gives no active or no sleep power; "
        "leave the period out, or use a TOML board file with [power]"
    )
