"""Words for the ways emulated firmware dies."""

from __future__ import annotations

from dataclasses import dataclass

_STACK_REACH = 1 << 20
"""Bytes below the stack in which an access is taken for an overflow, not for a wild pointer."""


@dataclass(frozen=True)
class Fault:
    """A memory access that found no memory or no permission: Unicorn's access type, the address."""

    access: int
    address: int


def explain(errno: int, fault: Fault | None, stack: tuple[int, int]) -> str:
    """One clause on what ended the run: Unicorn's error number, the access, the stack's bounds."""
    import unicorn

    if fault is not None:
        bottom, top = stack
        if bottom - _STACK_REACH <= fault.address < bottom:
            return (
                f"stack overflow: {top - bottom} bytes are reserved and an access went "
                f"{bottom - fault.address} bytes below; build with a larger stack"
            )
        verb = {
            unicorn.UC_MEM_READ_UNMAPPED: "read of unmapped address",
            unicorn.UC_MEM_WRITE_UNMAPPED: "write to unmapped address",
            unicorn.UC_MEM_FETCH_UNMAPPED: "jump to unmapped address",
            unicorn.UC_MEM_WRITE_PROT: "write to read-only address",
            unicorn.UC_MEM_READ_PROT: "read of protected address",
            unicorn.UC_MEM_FETCH_PROT: "jump to memory without code, address",
        }.get(fault.access, "access to address")
        return f"{verb} {fault.address:#010x}"
    if errno == unicorn.UC_ERR_INSN_INVALID:
        return "invalid instruction"
    if errno == unicorn.UC_ERR_EXCEPTION:
        return "hard fault (an exception with no handler: trap, unaligned access or system call)"
    return f"the emulator stopped ({unicorn.UcError(errno)})"
