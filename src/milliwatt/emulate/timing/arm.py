"""Thumb machine code -> Instruction, through capstone."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from milliwatt.emulate.timing.model import Instruction
from milliwatt.errors import ToolMissing

_KINDS = {
    "mul": "mul",
    **dict.fromkeys(
        ("mla", "mls", "smlabb", "smlabt", "smlatb", "smlatt", "smlad", "smladx"), "mac"
    ),
    **dict.fromkeys(("smlsd", "smlsdx", "smlawb", "smlawt", "smmla", "smmls", "usada8"), "mac"),
    **dict.fromkeys(("smull", "umull", "smlal", "umlal", "umaal", "smlald", "smlaldx"), "mul_long"),
    **dict.fromkeys(("smlalbb", "smlalbt", "smlaltb", "smlaltt", "smlsld", "smlsldx"), "mul_long"),
    **dict.fromkeys(("smulbb", "smulbt", "smultb", "smultt", "smuad", "smuadx", "smmul"), "mul"),
    **dict.fromkeys(("smulwb", "smulwt", "smusd", "smusdx"), "mul"),
    **dict.fromkeys(("sdiv", "udiv"), "divide"),
    **dict.fromkeys(("ldr", "ldrb", "ldrh", "ldrsb", "ldrsh", "ldrex", "ldrexb", "ldrexh"), "load"),
    **dict.fromkeys(("str", "strb", "strh", "strex", "strexb", "strexh"), "store"),
    **dict.fromkeys(("ldrd", "strd"), "double"),
    **dict.fromkeys(("ldm", "ldmdb", "pop"), "load_multiple"),
    **dict.fromkeys(("stm", "stmdb", "push"), "store_multiple"),
    **dict.fromkeys(("b", "cbz", "cbnz"), "branch"),
    "bl": "call",
    **dict.fromkeys(("bx", "blx"), "branch_register"),
    **dict.fromkeys(("tbb", "tbh"), "table_branch"),
    "it": "it",
    **dict.fromkeys(
        ("mrs", "msr", "dsb", "dmb", "isb", "wfi", "wfe", "cps", "svc", "bkpt"), "system"
    ),
    **dict.fromkeys(("vmla", "vmls", "vnmla", "vnmls", "vfma", "vfms", "vfnma", "vfnms"), "fp_mac"),
    **dict.fromkeys(("vdiv", "vsqrt"), "fp_divide"),
    "vldr": "fp_load",
    "vstr": "fp_store",
    **dict.fromkeys(("vldmia", "vldmdb", "vpop"), "fp_load_multiple"),
    **dict.fromkeys(("vstmia", "vstmdb", "vpush"), "fp_store_multiple"),
}
_ALWAYS, _PC = 15, 11
_REGISTER, _MEMORY = 1, 3
# Instructions that list the registers they move behind a base register, and those that do not.
_LISTED = {"ldm": 1, "ldmdb": 1, "stm": 1, "stmdb": 1, "vldmia": 1, "vldmdb": 1, "vstmia": 1}
_LISTED |= {"vstmdb": 1, "push": 0, "pop": 0, "vpush": 0, "vpop": 0}


@functools.cache
def _engine() -> Any:
    try:
        import capstone
    except ImportError:
        raise ToolMissing(
            "capstone is not installed; run: pip install 'milliwatt[emulate]'"
        ) from None
    engine = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    engine.detail = True
    return engine


def decode(code: bytes, address: int) -> Iterator[Instruction]:
    """Decode Thumb instructions that start at `address`; stops at the first that is none."""
    for found in _engine().disasm(code, address):
        yield _instruction(found)


def _instruction(found: Any) -> Instruction:
    """Reduce one capstone instruction; what is no special kind is `fp` (v...) or `alu`."""
    name = found.insn_name()
    kind = _KINDS.get(name) or ("fp" if name.startswith("v") else "alu")
    read, written = found.regs_access()
    operands = found.operands
    registers = [o.reg for o in operands if o.type == _REGISTER]
    base: set[int] = set()
    for operand in operands:
        if operand.type == _MEMORY:
            base |= {operand.mem.base, operand.mem.index} - {0}
    words = 1
    if name in _LISTED:
        moved = registers[_LISTED[name] :]
        words = sum(2 if found.reg_name(r).startswith("d") else 1 for r in moved)
    elif kind in ("fp_load", "fp_store") and found.reg_name(registers[0]).startswith("d"):
        kind, words = f"{kind}_multiple", 2
    elif name == "vmov" and sum(found.reg_name(r)[0] not in "sdq" for r in registers) == 2:
        kind = "fp_pair"
    writes = frozenset(written)
    if _PC in writes and kind in ("load", "load_multiple"):
        kind = {"load": "load_pc", "load_multiple": "pop_pc"}[kind]
    branch = ""
    if _PC in writes or name in ("b", "bl", "bx", "blx", "cbz", "cbnz", "tbb", "tbh"):
        maybe = name in ("cbz", "cbnz") or found.cc not in (0, _ALWAYS)
        branch = "maybe" if maybe else "always"
    return Instruction(
        address=found.address,
        size=found.size,
        kind=kind,
        words=words,
        loads=frozenset(registers[:1]) if kind in ("load", "fp_load") else frozenset(),
        base=frozenset(base),
        reads=frozenset(read),
        writes=writes,
        branch=branch,
    )
