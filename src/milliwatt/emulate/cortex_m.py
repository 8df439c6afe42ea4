"""Cortex-M in Unicorn: cores, registers, divisions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from milliwatt.emulate.isa import Division, Isa
from milliwatt.emulate.timing.arm import decode
from milliwatt.errors import ToolMissing

# Unicorn has no Cortex-M0+; the M0 runs the same instructions.
_MODELS = {
    "cortex-m0plus": "UC_CPU_ARM_CORTEX_M0",
    "cortex-m3": "UC_CPU_ARM_CORTEX_M3",
    "cortex-m4": "UC_CPU_ARM_CORTEX_M4",
    "cortex-m7": "UC_CPU_ARM_CORTEX_M7",
    "cortex-m33": "UC_CPU_ARM_CORTEX_M33",
}


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
    mode = unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS
    engine = unicorn.Uc(unicorn.UC_ARCH_ARM, mode)
    engine.ctl_set_cpu_model(getattr(unicorn.arm_const, _MODELS[core]))
    return engine


def _register(name: str | int) -> int:
    names = {"pc": "PC", "sp": "SP", "return": "LR"}
    text = names[name] if isinstance(name, str) else f"R{name}"
    return int(getattr(_unicorn().arm_const, f"UC_ARM_REG_{text}"))


def _divisions(code: bytes, address: int) -> Iterator[Division]:
    """Every halfword pair that reads as SDIV or UDIV (Armv7-M ARM, A7.7.127 and A7.7.195).

    Some may be data or the middle of something else; those never run, so they never count.
    """
    for offset in range(0, len(code) - 3, 2):
        first = int.from_bytes(code[offset : offset + 2], "little")
        second = int.from_bytes(code[offset + 2 : offset + 4], "little")
        if first & 0xFFD0 == 0xFB90 and second & 0xF0F0 == 0xF0F0:
            yield Division(address + offset, first & 15, second & 15, not first & 0x20)


CORTEX_M = Isa(
    engine=_engine,
    register=_register,
    entry_bit=1,
    idle=bytes.fromhex("fee7"),
    decode=decode,
    divisions=_divisions,
    # The system control space, plain memory: only CPACR is written, by the start-up code.
    system=((0xE000E000, 0x1000),),
)
