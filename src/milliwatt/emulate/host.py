"""The host as a machine: the shared library runs inside this process."""

from __future__ import annotations

import ctypes
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from milliwatt.compiler.firmware import Firmware, Port
from milliwatt.emulate.machine import LIMIT_CYCLES, Machine, Trace, input_bytes, output_array
from milliwatt.errors import MachineFault


class HostMachine(Machine):
    """Runs firmware built for the board `host`: no counts, and no cover against wild pointers."""

    def load(self, firmware: Firmware, *, count: bool = True) -> HostSession:
        """Load a private copy of the library; see Machine.load. `count` makes no difference."""
        return HostSession(firmware)


class HostSession:
    """A loaded shared library. Two sessions share nothing: each loads its own copy of the file."""

    def __init__(self, firmware: Firmware) -> None:
        """Load and initialise; MachineFault where the library cannot be loaded or init fails."""
        self._firmware = firmware
        # A library loaded twice from one path would be one library, with one arena.
        with tempfile.TemporaryDirectory(prefix="milliwatt-", ignore_cleanup_errors=True) as folder:
            path = Path(folder) / "firmware.so"  # a model's own name may be any path
            path.write_bytes(firmware.image)
            try:
                library = ctypes.CDLL(str(path))
                self._run = library.mw_firmware_run
                arena = (ctypes.c_uint8 * firmware.arena_bytes).in_dll(library, "mw_arena")
                self._init = library.mw_firmware_init
            except (OSError, AttributeError, ValueError) as error:
                raise MachineFault(
                    f"{firmware.name}: the host library is unusable ({error})"
                ) from None
        self._arena = memoryview(arena).cast("B")
        self.reset()

    def reset(self) -> None:
        """Initialise the model again; see Session.reset."""
        status = self._init()
        if status:
            name = self._firmware.name
            raise MachineFault(f"{name}: mw_firmware_init returned {status}; 0 wanted")

    def states(self) -> tuple[np.ndarray, ...]:
        """The states' values; see Session.states."""
        return tuple(map(self._read, self._firmware.states))

    def _read(self, port: Port) -> np.ndarray:
        return output_array(port, bytes(self._arena[port.offset : port.offset + port.type.nbytes]))

    def run(self, inputs: Sequence[np.ndarray], *, limit_cycles: int = LIMIT_CYCLES) -> Trace:
        """Run one inference; see Session.run. The cycle limit has no effect here."""
        ports = self._firmware.inputs
        for port, data in zip(ports, input_bytes(ports, inputs), strict=True):
            self._arena[port.offset : port.offset + len(data)] = data
        start = time.perf_counter()
        status = self._run()
        seconds = time.perf_counter() - start
        if status:
            raise MachineFault(
                f"{self._firmware.name}: mw_firmware_run returned {status}; 0 wanted"
            )
        outputs = tuple(map(self._read, self._firmware.outputs))
        return Trace(
            board=self._firmware.board.name,
            outputs=outputs,
            instructions=None,
            cycles=None,
            error_percent=0.0,
            layers=(),
            stack_bytes=None,
            latency_ms=seconds * 1e3,
            energy=None,
        )
