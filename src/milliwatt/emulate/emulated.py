"""An emulated microcontroller: Unicorn runs the image, native hooks count, tables give cycles."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from milliwatt.compiler.elf import Elf, read_elf
from milliwatt.compiler.firmware import Firmware, Port
from milliwatt.emulate.counter import Counter, hooks
from milliwatt.emulate.faults import FOUND, Fault, explain, unicorn_fault
from milliwatt.emulate.isa import Isa
from milliwatt.emulate.machine import (
    LIMIT_CYCLES,
    RUNTIME,
    LayerTrace,
    Machine,
    Trace,
    input_bytes,
    make_trace,
    output_array,
)
from milliwatt.emulate.timing.cores import TIMINGS
from milliwatt.emulate.timing.model import cost
from milliwatt.errors import BadData, DoesNotFit, MachineFault

_PAGE = 0x1000
_RETURN = 0x1FFE0000
"""A page of its own that functions called from here return to; Cortex-M runs code below 2**29."""
_SLICE = 1 << 24
"""Bytes of code between two looks at the cycle limit and at Ctrl-C: some 50 ms."""
_START_CYCLES = 200_000_000
"""Cycles for start-up and mw_firmware_init: clearing 16 MiB of RAM takes 30 million."""
_PAINT = 0xA5


class EmulatedMachine(Machine):
    """Runs firmware for every board of one instruction set."""

    def __init__(self, isa: Isa) -> None:
        """A machine for the boards of `isa`."""
        self._isa = isa

    def load(self, firmware: Firmware, *, count: bool = True) -> EmulatedSession:
        """Load and start firmware; see Machine.load."""
        return EmulatedSession(firmware, self._isa, count=count)


class EmulatedSession:
    """One loaded and started firmware image."""

    def __init__(self, firmware: Firmware, isa: Isa, *, count: bool) -> None:
        """Map the board's memory, load the image, run reset handler and mw_firmware_init."""
        self._firmware, self._isa, self._count = firmware, isa, count
        self._elf = elf = read_elf(firmware.image)
        wanted = ("Reset_Handler", "main", "mw_arena", "mw_firmware_init", "mw_firmware_run")
        for name in (*wanted, *(layer.symbol for layer in firmware.layers)):
            if name not in elf.labels:
                raise BadData(
                    f"{firmware.name}: the image has no symbol {name}; a rebuild is needed"
                )
        self._timing = TIMINGS[firmware.board.core]
        self._costs: list[tuple[int, int, int]] = []
        self._engine = isa.engine(firmware.board.core)
        board = firmware.board
        unaligned = self._timing.unaligned or self._timing.strict
        self._watch = count and bool(board.flash.wait_states or unaligned)
        self._map()
        self._fault: Fault | None = None
        self._counter = self._hook(elf)
        self._start()

    def _map(self) -> None:
        """Map the board's memory, the page that calls return to, and load the image.

        Where every access is watched, flash and RAM are one region, gap and all, and the access
        hook finds what is missing: Unicorn looks the region up at each hooked access, and that is
        half as fast when the region changes each time. Elsewhere Unicorn itself guards the bounds.
        """
        board, engine = self._firmware.board, self._engine
        first = board.flash_base & -_PAGE
        flash = (first, -(-(board.flash_base + board.flash_bytes) // _PAGE) * _PAGE)
        ram = (board.ram_base, board.ram_base + -(-board.ram_bytes // _PAGE) * _PAGE)
        read_write, read_execute, everything = 1 | 2, 1 | 4, 1 | 2 | 4
        regions = [(*flash, read_execute), (*ram, read_write)]
        if self._watch:
            regions = [(min(flash[0], ram[0]), max(flash[1], ram[1]), everything)]
        if not any(begin <= _RETURN < end for begin, end, _ in regions):
            regions.append((_RETURN, _RETURN + _PAGE, read_execute))
        for begin, end, permission in regions:
            engine.mem_map(begin, end - begin, permission)
        engine.mem_write(_RETURN, self._isa.idle)
        for base, size in self._isa.system:
            self._engine.mem_map(base, size, read_write)
        for segment in self._elf.segments:
            end = segment.address + len(segment.data)
            if segment.address < board.flash_base or end > board.flash_base + board.flash_bytes:
                raise DoesNotFit(
                    f"{board.name}: the image ends at {end:#x}, "
                    f"flash at {board.flash_base + board.flash_bytes:#x}"
                )
            self._engine.mem_write(segment.address, segment.data)

    def _hook(self, elf: Elf) -> Counter:
        """Install the native hooks, and one Python hook that only runs when memory is missing."""
        import unicorn

        firmware, isa, library = self._firmware, self._isa, hooks()
        code = next(s for s in elf.segments if s.address >= firmware.board.flash_base)
        entries = [elf.labels[layer.symbol] for layer in firmware.layers]
        registers = (isa.register("sp"), isa.register("return"))
        counter = Counter(firmware.board, (code.address, len(code.data)), entries, registers)
        core = unicorn.unicorn_py3.unicorn.uclib
        counter.state.reg_read = ctypes.cast(core.uc_reg_read, ctypes.c_void_p)
        counter.state.emu_stop = ctypes.cast(core.uc_emu_stop, ctypes.c_void_p)

        def add(kind: int, name: str, data: int, begin: int = 1, end: int = 0) -> None:
            handle = ctypes.c_size_t()
            function = ctypes.cast(getattr(library, name), ctypes.c_void_p)
            limits = (ctypes.c_uint64(begin), ctypes.c_uint64(end))
            status = core.uc_hook_add(
                self._engine._uch,
                ctypes.byref(handle),
                kind,
                function,
                ctypes.c_void_p(data),
                *limits,
            )
            if status:
                raise MachineFault(f"{firmware.name}: the emulator refused a hook ({status})")

        state = ctypes.addressof(counter.state)
        suffix = "" if self._count else "_uncounted"
        if not self._count:
            counter.mark_layers()
        add(unicorn.UC_HOOK_BLOCK, f"mw_on_block{suffix}", state)
        if self._count:
            counter.state.strict = self._timing.strict
            for base, size in isa.system:
                counter.state.system_base, counter.state.system_bytes = base, size
            if self._watch:
                kinds = unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE
                add(kinds, "mw_on_access", state)
            formula = self._timing.divide
            for place in isa.divisions(code.data, code.address):
                if formula is None:
                    break
                operands = (isa.register(place.dividend), isa.register(place.divisor))
                data = counter.divide(operands, place.signed, formula)
                add(unicorn.UC_HOOK_CODE, "mw_on_divide", data, place.address, place.address)
        self._engine.hook_add(
            unicorn.UC_HOOK_MEM_UNMAPPED | unicorn.UC_HOOK_MEM_PROT, self._on_missing
        )
        return counter

    def _on_missing(self, _: Any, access: int, address: int, *rest: Any) -> bool:
        """Note the access that is about to end the run."""
        self._fault = Fault(unicorn_fault(access), address)
        return False

    def _start(self) -> None:
        """Reset, C start-up, mw_firmware_init."""
        labels = self._elf.labels
        self._stack = (labels["mw_stack_bottom"], labels["mw_stack_top"])
        self._engine.reg_write(self._isa.register("sp"), self._stack[1])
        self._execute(labels["Reset_Handler"], labels["main"], _START_CYCLES, "start-up")
        self._call("mw_firmware_init", _START_CYCLES)

    def run(self, inputs: Sequence[np.ndarray], *, limit_cycles: int = LIMIT_CYCLES) -> Trace:
        """Run one inference; see Session.run."""
        firmware, arena = self._firmware, self._elf.labels["mw_arena"]
        for port, data in zip(firmware.inputs, input_bytes(firmware.inputs, inputs), strict=True):
            self._engine.mem_write(arena + port.offset, data)
        bottom, top = self._stack
        self._engine.mem_write(bottom, bytes([_PAINT]) * (top - bottom))
        self._counter.clear()
        self._call("mw_firmware_run", limit_cycles)
        outputs = tuple(map(self._read, firmware.outputs))
        layers = self._layers() if self._count else ()
        return make_trace(
            firmware.board,
            outputs,
            layers,
            stack_bytes=self._stack_bytes(),
            counted=self._count,
        )

    def reset(self) -> None:
        """Initialise the model again; see Session.reset."""
        self._counter.clear()
        self._call("mw_firmware_init", _START_CYCLES)

    def states(self) -> tuple[np.ndarray, ...]:
        """The states' values; see Session.states."""
        return tuple(map(self._read, self._firmware.states))

    def _read(self, port: Port) -> np.ndarray:
        address = self._elf.labels["mw_arena"] + port.offset
        return output_array(port, bytes(self._engine.mem_read(address, port.type.nbytes)))

    def _stack_bytes(self) -> int:
        """High-water mark: the lowest byte that changed or the lowest stack pointer seen."""
        bottom, top = self._stack
        stack = np.frombuffer(bytes(self._engine.mem_read(bottom, top - bottom)), np.uint8)
        used = np.flatnonzero(stack != _PAINT)
        lowest = bottom + int(used[0]) if used.size else top
        return top - min(lowest, int(self._counter.state.stack_low))

    def _call(self, function: str, limit_cycles: int) -> None:
        """Call a C function without arguments; MachineFault unless it returns 0."""
        self._engine.reg_write(self._isa.register("sp"), self._stack[1])
        self._engine.reg_write(self._isa.register("return"), _RETURN | self._isa.entry_bit)
        self._execute(self._elf.labels[function], _RETURN, limit_cycles, function)
        status = self._engine.reg_read(self._isa.register(0 if self._isa.entry_bit else 10))
        if status:
            signed = status - (status >> 31 << 32)
            raise MachineFault(f"{self._firmware.name}: {function} returned {signed}; 0 wanted")

    def _execute(self, begin: int, until: int, limit_cycles: int, what: str) -> None:
        """Run from `begin` to `until` in slices, so that limits and Ctrl-C are seen in time."""
        import unicorn

        state, counter = self._counter.state, self._isa.register("pc")
        position, self._fault, state.fault = begin, None, 0
        spent_bytes = 0
        while True:
            state.stopped = 0
            left = limit_cycles - (self._cycles() if self._count else spent_bytes // 4)
            if left <= 0:
                raise self._error(f"{what} did not end within {limit_cycles:,} cycles")
            state.budget = budget = max(64, min(_SLICE, 2 * left))
            try:
                self._engine.emu_start(position | self._isa.entry_bit, until)
            except unicorn.UcError as error:
                raise self._error(explain(error.errno, self._fault, self._stack)) from None
            if state.fault:
                fault = Fault(FOUND[state.fault], state.fault_address)
                raise self._error(explain(0, fault, self._stack))
            spent_bytes += budget - state.budget
            position = self._engine.reg_read(counter)
            if position == until:
                return
            if not state.stopped:
                raise self._error(f"{what} stopped at {position:#x} without returning")

    def _error(self, what: str) -> MachineFault:
        """A MachineFault that names the function and the layer that were running."""
        state, firmware = self._counter.state, self._firmware
        address = state.block_address
        names = (s.name for s in firmware.symbols if s.address <= address < s.address + s.nbytes)
        function = next(names, f"code at {address:#x}")
        where = "outside all layers"
        if state.layer < len(firmware.layers):
            layer = firmware.layers[state.layer]
            where = f"layer {layer.name} ({layer.op})"
        return MachineFault(f"{firmware.name}: {what}; in {function}, {where}")

    def _cycles(self) -> int:
        """Cycles so far in this run, all layers."""
        return int(sum(self._totals()[0]))

    def _totals(self) -> tuple[np.ndarray, np.ndarray]:
        """Cycles and instructions of every layer so far, [layers + 1] each."""
        counter = self._counter
        for address, size in counter.blocks(len(self._costs)):
            code = bytes(self._engine.mem_read(address, size))
            found = cost(list(self._isa.decode(code, address)), self._timing)
            self._costs.append((found.instructions, found.fall, found.taken))
        if not self._costs:
            zeros = np.zeros(len(counter.calls), np.int64)
            return zeros, zeros
        instructions, fall, taken = np.array(self._costs, np.int64).T
        entries, falls = counter.entries.astype(np.int64), counter.falls.astype(np.int64)
        cycles = falls @ fall + (entries - falls) @ taken
        data = counter.extra + counter.stalls + counter.split * self._timing.unaligned
        return cycles + data.astype(np.int64), entries @ instructions

    def _layers(self) -> tuple[LayerTrace, ...]:
        """One row a layer, and the runtime's."""
        firmware, counter = self._firmware, self._counter
        cycles, instructions = self._totals()
        rows = [(f.name, f.op, f.kernel, f.macs) for f in firmware.layers]
        rows.append((RUNTIME, RUNTIME, "", 0))
        return tuple(
            LayerTrace(
                name=name,
                op=op,
                kernel=kernel,
                cycles=int(cycles[i]),
                instructions=int(instructions[i]),
                macs=macs,
                calls=int(counter.calls[i]),
                flash_stall_cycles=int(counter.stalls[i]),
            )
            for i, (name, op, kernel, macs) in enumerate(rows)
        )
