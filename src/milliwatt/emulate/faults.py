"""Words for the ways emulated firmware dies."""

from __future__ import annotations

from dataclasses import dataclass

_STACK_REACH = 1 << 20
"""Bytes below the stack in which an access is taken for an overflow, not for a wild pointer."""

# In the order of MW_FAULT_* in counter.h.
FOUND = (
    "no fault at",
    "read of unmapped address",
    "write to unmapped address",
    "write to read-only address",
    "jump to an address without code,",
    "hard fault: unaligned access to",
    "more code than the counter has room for, at",
)


@dataclass(frozen=True)
class Fault:
    """What went wrong, as words that an address completes, and the address."""

    what: str
    address: int


def unicorn_fault(access: int) -> str:
    """The words for one of Unicorn's invalid memory accesses."""
    import unicorn

    return {
        unicorn.UC_MEM_READ_UNMAPPED: FOUND[1],
        unicorn.UC_MEM_WRITE_UNMAPPED: FOUND[2],
        unicorn.UC_MEM_WRITE_PROT: FOUND[3],
        unicorn.UC_MEM_FETCH_UNMAPPED: FOUND[4],
        unicorn.UC_MEM_FETCH_PROT: FOUND[4],
    }.get(access, "access to protected address")


def explain(errno: int, fault: Fault | None, stack: tuple[int, int]) -> str:
    """One clause on what ended the run: Unicorn's error number, the access, the stack's bounds."""
    import unicorn

    if fault is not None:
        bottom, top = stack
        if bottom - _STACK_REACH <= fault.address < bottom:
            return (
                f"stack overflow: {top - bottom} bytes are reserved and an access went "
                f"{bottom - fault.address} bytes below; build with a larger stack "
                "(--stack, or stack_bytes in Python)"
            )
        return f"{fault.what} {fault.address:#010x}"
    if errno == unicorn.UC_ERR_INSN_INVALID:
        return "invalid instruction"
    if errno == unicorn.UC_ERR_EXCEPTION:
        return "hard fault (an exception with no handler: trap, unaligned access or system call)"
    return f"the emulator stopped ({unicorn.UcError(errno)})"
