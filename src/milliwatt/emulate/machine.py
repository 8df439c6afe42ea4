"""The one interface of every machine: firmware and inputs in, a Trace out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from milliwatt.compiler.board import Board
from milliwatt.compiler.firmware import Firmware, Port
from milliwatt.emulate.energy import Energy, energy
from milliwatt.errors import BadData

LIMIT_CYCLES = 4_000_000_000
"""Cycles after which a run is taken for an endless loop: half a minute of a 120 MHz core."""

FLOAT_ERROR_PERCENT = 7.0
"""Error bar of cycles at its narrowest where float kernels ran: docs/timing.md, "How close"."""

RUNTIME = "(runtime)"
"""Name and operator of the row that holds the code outside all layers."""


@dataclass(frozen=True)
class LayerTrace:
    """What one layer took in one inference. `macs` is from the firmware, the rest is counted."""

    name: str
    op: str
    kernel: str
    cycles: int
    instructions: int
    macs: int
    calls: int
    flash_stall_cycles: int


@dataclass(frozen=True)
class Trace:
    """One inference on a machine.

    `outputs` are arrays in the graph's own types. `cycles` is an estimate good to `error_percent`,
    the board's and at least FLOAT_ERROR_PERCENT where float kernels ran; `instructions` is
    exact; both are None where the machine does not count (the host, and sessions opened with
    count=False), and `layers` is then empty. The last layer is the code outside all
    layers. `stack_bytes` is the high-water mark of this run, None on the host. `latency_ms` follows
    from the cycles and the board's clock, or is wall-clock time on the host. `energy` is None where
    the board gives no power.
    """

    board: str
    outputs: tuple[np.ndarray, ...]
    instructions: int | None
    cycles: int | None
    error_percent: float
    layers: tuple[LayerTrace, ...]
    stack_bytes: int | None
    latency_ms: float | None
    energy: Energy | None

    @property
    def energy_uj(self) -> float | None:
        """Microjoules of this inference, without the sleep between two."""
        return self.energy.energy_uj if self.energy else None


class Session(Protocol):
    """Firmware loaded into a machine and started; RAM keeps its contents from run to run.

    A model's states therefore go on from run to run, as they do on a board.
    """

    def run(self, inputs: Sequence[np.ndarray], *, limit_cycles: int = LIMIT_CYCLES) -> Trace:
        """Run one inference.

        Args: inputs: one array per input port, of the port's shape and type.
        Raises: BadData for wrong inputs; MachineFault for a crash, an overflow, a status other than
        0, or more than `limit_cycles` cycles.
        """

    def reset(self) -> None:
        """Give the model's states their first values, as `mw_model_reset` does."""

    def states(self) -> tuple[np.ndarray, ...]:
        """What the model's states hold, in the order of the firmware's `states`."""


class Machine(Protocol):
    """Something that runs firmware."""

    def load(self, firmware: Firmware, *, count: bool = True) -> Session:
        """Load and start firmware. With count=False runs are faster and count nothing.

        Raises: ToolMissing without the emulator, MachineFault where the start-up code fails.
        """

    def run(
        self, firmware: Firmware, inputs: Sequence[np.ndarray], *, limit_cycles: int = LIMIT_CYCLES
    ) -> Trace:
        """Load firmware, run one inference, forget the machine; see Session.run."""
        return self.load(firmware).run(inputs, limit_cycles=limit_cycles)


def machine_for(board: Board) -> Machine:
    """The machine that stands for a board: the host itself, or an emulated core."""
    if board.is_host:
        from milliwatt.emulate.host import HostMachine

        return HostMachine()
    from milliwatt.emulate.cortex_m import CORTEX_M
    from milliwatt.emulate.emulated import EmulatedMachine
    from milliwatt.emulate.riscv import RISCV

    return EmulatedMachine(CORTEX_M if board.is_arm else RISCV)


def run(
    firmware: Firmware, inputs: Sequence[np.ndarray], *, limit_cycles: int = LIMIT_CYCLES
) -> Trace:
    """Run one inference of firmware on its board's machine; see Session.run."""
    return machine_for(firmware.board).run(firmware, inputs, limit_cycles=limit_cycles)


def input_bytes(ports: Sequence[Port], inputs: Sequence[np.ndarray]) -> list[bytes]:
    """Check arrays against the input ports and give their bytes; BadData says what differs."""
    if len(inputs) != len(ports):
        raise BadData(f"{len(inputs)} input arrays given; {len(ports)} wanted")
    done = []
    for port, array in zip(ports, inputs, strict=True):
        value = np.asarray(array)
        if value.dtype != port.type.dtype.numpy or value.shape != port.type.shape:
            found = f"{value.dtype}[{','.join(map(str, value.shape))}]"
            raise BadData(f"input {port.name}: array is {found}; {port.type.short} wanted")
        done.append(np.ascontiguousarray(value).tobytes())
    return done


def output_array(port: Port, data: bytes) -> np.ndarray:
    """An output port's bytes as an array of its type."""
    return np.frombuffer(data, port.type.dtype.numpy).reshape(port.type.shape).copy()


def make_trace(
    board: Board,
    outputs: tuple[np.ndarray, ...],
    layers: tuple[LayerTrace, ...],
    *,
    stack_bytes: int | None,
    counted: bool,
) -> Trace:
    """A trace of an emulated run: totals, latency and energy from the layers' counts."""
    cycles = sum(layer.cycles for layer in layers) if counted else None
    floats = any(layer.kernel.endswith("_f32") for layer in layers)
    latency_ms = cycles / board.clock_hz * 1e3 if cycles is not None else None
    return Trace(
        board=board.name,
        outputs=outputs,
        instructions=sum(layer.instructions for layer in layers) if counted else None,
        cycles=cycles,
        error_percent=max(board.error_percent, FLOAT_ERROR_PERCENT if floats else 0),
        layers=layers,
        stack_bytes=stack_bytes,
        latency_ms=latency_ms,
        energy=energy(board, latency_ms) if latency_ms is not None else None,
    )
