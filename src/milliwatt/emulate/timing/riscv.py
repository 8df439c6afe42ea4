"""RV32IMC machine code -> Instruction.

Source: RISC-V Instruction Set Manual, Volume I, version 20191213, chapters 2, 7, 16 and 24.
"""

from __future__ import annotations

from collections.abc import Iterator

from milliwatt.emulate.timing.model import Instruction

# Opcode bits 6..2 of 32-bit instructions -> kind, and which of rd, rs1, rs2 they use.
_LONG = {
    0x00: ("load", "d1"),
    0x08: ("store", "12"),
    0x04: ("alu", "d1"),
    0x05: ("alu", "d"),
    0x0D: ("alu", "d"),
    0x0C: ("alu", "d12"),
    0x18: ("branch", "12"),
    0x19: ("branch_register", "d1"),
    0x1B: ("call", "d"),
}


def decode(code: bytes, address: int) -> Iterator[Instruction]:
    """Decode RV32IMC instructions that start at `address`."""
    position = 0
    while position + 2 <= len(code):
        half = int.from_bytes(code[position : position + 2], "little")
        if half & 3 == 3:
            word = int.from_bytes(code[position : position + 4], "little")
            yield _long(word, address + position)
            position += 4
        else:
            yield _compressed(half, address + position)
            position += 2


def _make(address: int, size: int, kind: str, dest: int, reads: tuple[int, ...]) -> Instruction:
    """An instruction; register 0 is constant and depends on nothing."""
    writes = frozenset({dest} - {0})
    branch = {"branch": "maybe", "call": "always", "branch_register": "always"}.get(kind, "")
    return Instruction(
        address=address,
        size=size,
        kind=kind,
        loads=writes if kind == "load" else frozenset(),
        base=frozenset(reads[:1]) if kind in ("load", "store") else frozenset(),
        reads=frozenset(set(reads) - {0}),
        writes=writes,
        branch=branch,
    )


def _long(word: int, address: int) -> Instruction:
    kind, uses = _LONG.get(word >> 2 & 31, ("system", ""))
    if word >> 2 & 31 == 0x0C and word >> 25 == 1:
        kind = "divide" if word >> 14 & 1 else "mul"
    dest = word >> 7 & 31 if "d" in uses else 0
    reads: tuple[int, ...] = (word >> 15 & 31,) if "1" in uses else ()
    reads += (word >> 20 & 31,) if "2" in uses else ()
    return _make(address, 4, kind, dest, reads)


# Compressed instructions by (quadrant, bits 15..13): kind, destination, registers read. Fields:
# `f` is bits 11..7, `s` bits 6..2, `h` and `l` the three-bit fields at 9..7 and 4..2, digits a
# fixed register.
_SHORT = {
    (0, 0): ("alu", "l", "2"),
    (0, 2): ("load", "l", "h"),
    (0, 6): ("store", "", "hl"),
    (1, 0): ("alu", "f", "f"),
    (1, 1): ("call", "1", ""),
    (1, 2): ("alu", "f", ""),
    (1, 3): ("alu", "f", "f"),
    (1, 4): ("alu", "h", "hl"),
    (1, 5): ("call", "", ""),
    (1, 6): ("branch", "", "h"),
    (1, 7): ("branch", "", "h"),
    (2, 0): ("alu", "f", "f"),
    (2, 2): ("load", "f", "2"),
    (2, 4): ("alu", "f", "fs"),
    (2, 6): ("store", "", "2s"),
}


def _compressed(half: int, address: int) -> Instruction:
    """Chapter 16. Shifts and andi of row (1, 4) have an immediate where the row reads `l`."""
    quadrant, function = half & 3, half >> 13
    fields = {
        "f": half >> 7 & 31,
        "s": half >> 2 & 31,
        "h": (half >> 7 & 7) + 8,
        "l": (half >> 2 & 7) + 8,
        "1": 1,
        "2": 2,
    }
    kind, dest, reads = _SHORT.get((quadrant, function), ("system", "", ""))
    linked = half >> 12 & 1
    if (quadrant, function) == (1, 4) and half >> 10 & 3 != 3:
        reads = "h"
    elif (quadrant, function) == (2, 4) and fields["s"] == 0:
        kind, dest, reads = "branch_register", "1" if linked else "", "f"
    elif (quadrant, function) == (2, 4) and not linked:
        reads = "s"
    written = fields[dest] if dest else 0
    return _make(address, 2, kind, written, tuple(fields[r] for r in reads))
