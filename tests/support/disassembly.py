"""The inner loops of functions in a linked Arm image: their instructions, and what they spill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from milliwatt.compiler.elf import read_elf

_STACK = ("sp", "r13")
_MEMORY = 3  # capstone's operand type


@dataclass(frozen=True)
class Line:
    """One instruction; `stack` where it reads or writes memory through the stack pointer."""

    address: int
    size: int
    text: str
    stack: bool


@dataclass(frozen=True)
class Loop:
    """Instructions from a backward branch's target up to that branch."""

    function: str
    lines: tuple[Line, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of code, which a small instruction cache must hold."""
        return sum(line.size for line in self.lines)

    @property
    def stack_accesses(self) -> tuple[str, ...]:
        """The loads and stores on the stack: values that found no register."""
        return tuple(line.text for line in self.lines if line.stack)

    def __str__(self) -> str:
        return "\n".join(f"{line.address:8x}  {line.text}" for line in self.lines)


def inner_loops(image: bytes, function: str) -> tuple[Loop, ...]:
    """The loops of a function that hold no other loop, in the order of their addresses.

    `image`: an ELF executable for a Cortex-M. A loop is a branch of the function back into it; a
    range of instructions that the compiler placed elsewhere is not seen. Raises: AssertionError for
    a name that is no function of the image.
    """
    import capstone

    elf = read_elf(image)
    found = [s for s in elf.symbols if s.name == function and s.section == "text"]
    assert found, f"{function} is no function of the image"
    symbol = found[0]
    code = next(
        s.data[symbol.address - s.address :][: symbol.nbytes]
        for s in elf.segments
        if s.address <= symbol.address < s.address + len(s.data)
    )
    engine = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    engine.detail = engine.skipdata = True  # literal pools lie between the instructions
    lines, backward = [], []
    for found_line in engine.disasm(code, symbol.address):
        data = found_line.id == 0
        text = f"{found_line.mnemonic} {found_line.op_str}".strip()
        stack = not data and _on_stack(found_line)
        lines.append(Line(found_line.address, found_line.size, text, stack))
        target = None if data else _target(found_line)
        if target is not None and symbol.address <= target <= found_line.address:
            backward.append((target, found_line.address))
    inner = [
        (begin, end)
        for begin, end in sorted(set(backward))
        if not any((begin, end) != (b, e) and begin <= b and e <= end for b, e in backward)
    ]
    return tuple(
        Loop(function, tuple(line for line in lines if begin <= line.address <= end))
        for begin, end in inner
    )


def _target(line: Any) -> int | None:
    """Where a direct branch goes; None for other instructions and for calls."""
    name, operands = line.insn_name(), line.operands
    return int(operands[-1].imm) if name in ("b", "cbz", "cbnz") else None


def _on_stack(line: Any) -> bool:
    name = line.insn_name()
    if name in ("push", "pop", "vpush", "vpop"):
        return True
    names = [
        line.reg_name(operand.mem.base) for operand in line.operands if operand.type == _MEMORY
    ]
    return any(name in _STACK for name in names) or (
        name in ("ldm", "stm", "ldmdb", "stmdb") and line.reg_name(line.operands[0].reg) in _STACK
    )
