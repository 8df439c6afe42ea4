"""The native counting hooks: built once, loaded through ctypes, read as numpy arrays."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from milliwatt.compiler.board import Board, Cache
from milliwatt.compiler.cache import cached, key, says_full, workspace
from milliwatt.compiler.toolchain import compiler_version, zig_command
from milliwatt.emulate.timing.model import Divide
from milliwatt.errors import ToolMissing

_FOLDER = Path(__file__).resolve().parent
_FLAGS = ("-O2", "-std=c99", "-fPIC", "-shared", "-nostdlib")
_SOURCES = ("counter.h", "counter.c", "flash.c")
_NONE = 0xFFFFFFFF
_BLOCKS = 1 << 15
"""Room for translated blocks; a firmware of 100 KB of code has some 5,000."""

_u32, _u64, _i32, _ptr = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_int32, ctypes.c_void_p


class _Block(ctypes.Structure):
    _fields_ = (("address", _u32), ("size", _u32), ("layer", _i32), ("next", _u32))


class _Cache(ctypes.Structure):
    _fields_ = (
        *((name, _u32) for name in ("ways", "set_mask", "line_shift", "clock")),
        *((name, _u32) for name in ("again_first", "again_last")),
        *((name, _ptr) for name in ("slot_of", "line_of", "used", "valid")),
    )


class _State(ctypes.Structure):
    """mw_counter of counter.h, field by field."""

    _fields_ = (
        *((name, _ptr) for name in ("reg_read", "emu_stop")),
        *((name, _i32) for name in ("reg_sp", "reg_return")),
        *((name, _u32) for name in ("code_base", "code_bytes")),
        *((name, _ptr) for name in ("index", "blocks")),
        *((name, _u32) for name in ("block_count", "block_capacity", "layer_count")),
        ("layer_entry", _ptr),
        *((name, _u32) for name in ("layer", "return_address")),
        *((name, _ptr) for name in ("calls", "entries", "falls", "extra", "stalls", "split")),
        ("last_fall", _ptr),
        ("last_end", _u32),
        ("budget", _u64),
        *((name, _u32) for name in ("stopped", "block_address", "stack_low")),
        *((name, _u32) for name in ("fault", "fault_address", "strict")),
        *((name, _u32) for name in ("ram_base", "ram_bytes", "system_base", "system_bytes")),
        *((name, _u32) for name in ("flash_base", "flash_bytes", "wait_states", "read_shift")),
        *((name, _u32) for name in ("prefetch", "prefetch_hit", "prefetched", "whole_line")),
        ("icache", _Cache),
        ("dcache", _Cache),
        ("data", _ptr),
    )


class _Divide(ctypes.Structure):
    _fields_ = (
        ("counter", _ptr),
        ("dividend", _i32),
        ("divisor", _i32),
        *((name, _u32) for name in ("is_signed", "zero_cycles", "offset", "bits_per_cycle")),
        *((name, _u32) for name in ("signed_cycles", "max_cycles")),
    )


@functools.cache
def hooks() -> Any:
    """The shared library of counter.c; ToolMissing where no C compiler is found."""
    texts = [(_FOLDER / name).read_text(encoding="utf-8") for name in _SOURCES]
    suffix = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
    system = shutil.which("gcc") or shutil.which("cc")
    command = [system] if system else [*zig_command(), "cc"]
    version = compiler_version(command[0], "--version" if system else "version")
    machine = (platform.machine(), sys.platform)
    name = key(*machine, *command, version, *_FLAGS, *texts) + suffix
    with workspace() as work:
        return ctypes.CDLL(str(cached(name, lambda made: _build(command, made), work)))


def _build(command: Sequence[str], made: Path) -> None:
    """Compile counter.c with the system's C compiler, or with zig."""
    sources = [str(_FOLDER / name) for name in _SOURCES if name.endswith(".c")]
    done = subprocess.run(
        [*command, *_FLAGS, *sources, "-o", str(made)],
        env={**os.environ, "TMPDIR": str(made.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and says_full(done.stderr):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(made))
    if done.returncode:
        error = ToolMissing(f"{command[0]} cannot build the counting hook; install gcc or ziglang")
        error.add_note(done.stderr)
        raise error


class Counter:
    """Counts of one emulated machine: entries and fall-throughs of every block in every layer.

    Layers are numbered by `layers`, the addresses of their functions; one more number stands
    for all other code. Arrays are [layers + 1, blocks] and [layers + 1].
    """

    def __init__(
        self,
        board: Board,
        code: tuple[int, int],
        layers: Sequence[int],
        registers: tuple[int, int],
    ) -> None:
        """`code` is base and bytes; `registers` the emulator's numbers of SP and return address."""
        rows = len(layers) + 1
        self._kept: list[Any] = []
        self._caches: list[tuple[_Cache, np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
        self.state = state = _State()
        state.code_base, state.code_bytes = code
        index = np.zeros(code[1] // 2 + 1, np.uint32)
        state.index = self._array(index)
        self._blocks = (_Block * _BLOCKS)()
        state.blocks = ctypes.addressof(self._blocks)
        state.block_capacity = _BLOCKS
        self._layers = tuple(layers)
        state.layer_count = len(layers)
        state.layer_entry = self._array(np.asarray(layers, np.uint32))
        state.reg_sp, state.reg_return = registers
        self._entries = np.zeros((rows, _BLOCKS), np.uint64)
        self._falls = np.zeros((rows, _BLOCKS), np.uint64)
        self.calls, self.extra, self.stalls, self.split = np.zeros((4, rows), np.uint64)
        for name in ("calls", "extra", "stalls", "split"):
            setattr(state, name, self._array(getattr(self, name)))
        state.entries, state.falls = self._array(self._entries), self._array(self._falls)
        self._flash(board)
        self._index = index
        self.clear()

    def mark_layers(self) -> None:
        """Set up the index for runs that are not counted: they still know their layer."""
        for number, address in enumerate(self._layers):
            self._index[(address - self.state.code_base) // 2] = number + 1

    def _array(self, array: np.ndarray) -> int:
        """Keep an array alive and give its address."""
        self._kept.append(array)
        return int(array.ctypes.data)

    def _flash(self, board: Board) -> None:
        state, flash = self.state, board.flash
        state.flash_base, state.flash_bytes = board.flash_base, board.flash_bytes
        state.ram_base, state.ram_bytes = board.ram_base, board.ram_bytes
        state.wait_states = flash.wait_states
        state.read_shift = (flash.read_bits // 8).bit_length() - 1
        state.prefetch, state.whole_line = flash.prefetch, flash.whole_line
        # While one read's bytes execute, at a word a cycle, the next read is under way.
        state.prefetch_hit = max(0, flash.wait_states - flash.read_bits // 32)
        self._cache(state.icache, flash.icache, board.flash_bytes)
        self._cache(state.dcache, flash.dcache, board.flash_bytes)
        offset = _State.icache.offset if flash.unified else _State.dcache.offset
        state.data = ctypes.addressof(state) + offset

    def _cache(self, state: _Cache, cache: Cache | None, flash_bytes: int) -> None:
        state.again_first = _NONE
        if cache is None:
            return
        state.ways = cache.ways
        state.set_mask = cache.lines // cache.ways - 1
        state.line_shift = cache.line_bytes.bit_length() - 1
        slot_of = np.zeros(flash_bytes // cache.line_bytes + 1, np.uint16)
        line_of, used, valid = np.zeros((3, cache.lines), np.uint32)
        state.slot_of, state.line_of = self._array(slot_of), self._array(line_of)
        state.used, state.valid = self._array(used), self._array(valid)
        self._caches.append((state, slot_of, line_of, used, valid))

    def clear(self) -> None:
        """Forget the last run's counts and empty the caches, so that equal runs count alike."""
        state, count = self.state, self.state.block_count
        self._entries[:, :count] = 0
        self._falls[:, :count] = 0
        for array in (self.calls, self.extra, self.stalls, self.split):
            array[:] = 0
        state.layer, state.return_address = state.layer_count, _NONE
        state.last_fall, state.stack_low, state.fault = None, _NONE, 0
        state.prefetched = _NONE
        for cache, slot_of, line_of, used, valid in self._caches:
            cache.clock, cache.again_first = 0, _NONE
            slot_of[line_of[line_of != _NONE]] = 0
            line_of[:], used[:], valid[:] = _NONE, 0, 0

    def blocks(self, start: int = 0) -> list[tuple[int, int]]:
        """Address and size of every block from number `start` on."""
        found = self._blocks[start : self.state.block_count]
        return [(block.address, block.size) for block in found]

    @property
    def entries(self) -> np.ndarray:
        """Times each block was entered, [layers + 1, blocks]."""
        return self._entries[:, : self.state.block_count]

    @property
    def falls(self) -> np.ndarray:
        """Times each block went on to the code behind it, [layers + 1, blocks]."""
        return self._falls[:, : self.state.block_count]

    def divide(self, operands: tuple[int, int], signed: bool, formula: Divide) -> int:
        """Address of the user data of a division hook: registers and the core's formula."""
        data = _Divide(
            ctypes.addressof(self.state),
            *operands,
            signed,
            formula.zero,
            formula.offset,
            formula.bits,
            formula.signed,
            formula.maximum,
        )
        self._kept.append(data)
        return ctypes.addressof(data)
