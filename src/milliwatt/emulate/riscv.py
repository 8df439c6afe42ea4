"""RV32IMC in Unicorn: registers, divisions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from milliwatt.emulate.isa import Division, Isa
from milliwatt.emulate.timing.riscv import decode
from milliwatt.errors import ToolMissing


def _unicorn() -> Any:
    try:
        import unicorn
    except ImportError:
        raise ToolMissing(
            "unicorn is not installed; run: pip install 'milliwatt[emulate]'"
        ) from None
    return unicorn


def _engine(core: str) -> Any:
    unicorn = _unicorn()
    return unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)


def _register(name: str | int) -> int:
    names = {"pc": "PC", "sp": "X2", "return": "X1"}
    text = names[name] if isinstance(name, str) else f"X{name}"
    return int(getattr(_unicorn().riscv_const, f"UC_RISCV_REG_{text}"))


def _divisions(code: bytes, address: int) -> Iterator[Division]:
    """Every place that reads as DIV, DIVU, REM or REMU (RISC-V manual, 24.1: OP with funct7 1)."""
    for offset in range(0, len(code) - 3, 2):
        word = int.from_bytes(code[offset : offset + 4], "little")
        if word & 0xFE00407F == 0x02004033:
            signed = not word & 0x1000
            yield Division(address + offset, word >> 15 & 31, word >> 20 & 31, signed)


RISCV = Isa(
    engine=_engine,
    register=_register,
    entry_bit=0,
    idle=bytes.fromhex("01a0"),
    decode=decode,
    divisions=_divisions,
    system=(),
)
