"""The pipeline model: what a block of instructions costs on a core that a table describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Instruction:
    """One decoded instruction, reduced to what timing depends on.

    `kind` is a key of `Timing.cycles`; `words` counts the registers that a multiple load or store
    moves; `loads` are the registers a load writes with data, `base` those its address is made of.
    `branch` is "" for none, "always", or "maybe" for a branch whose condition may fail.
    """

    address: int
    size: int
    kind: str
    words: int = 1
    loads: frozenset[int] = frozenset()
    base: frozenset[int] = frozenset()
    reads: frozenset[int] = frozenset()
    writes: frozenset[int] = frozenset()
    branch: str = ""


@dataclass(frozen=True)
class Divide:
    """Cycles of an integer division.

    `zero` when the quotient is 0, else `offset` plus one for every `bits` bits of the quotient,
    `signed` more for a signed one, at most `maximum`.
    """

    zero: int
    offset: int
    bits: int
    signed: int
    maximum: int


@dataclass(frozen=True)
class Timing:
    """One core's table.

    `cycles` gives each kind's cycles without a taken branch; multiples cost that plus one a word.
    `taken` is added where the kind's branch is taken. With `pipelined` a single load or store right
    after another costs 1, unless its address needs what that one loads. `stalls` gives the cycles
    an instruction waits when it reads the result of the one before, by the latter's kind. `pairs`
    are the kinds that a second instruction may issue together with its predecessor (dual issue);
    `unaligned` is the cost of each extra bus transfer of an unaligned access, `strict` says that
    there are none: the core faults.
    """

    core: str
    source: str
    cycles: Mapping[str, int]
    taken: Mapping[str, int]
    divide: Divide | None
    pipelined: bool = False
    stalls: Mapping[str, int] = field(default_factory=dict)
    pairs: frozenset[str] = frozenset()
    unaligned: int = 0
    strict: bool = False


SINGLE = frozenset({"load", "store", "fp_load", "fp_store"})
MULTIPLE = frozenset(
    {"load_multiple", "store_multiple", "pop_pc", "fp_load_multiple", "fp_store_multiple"}
)
# Units a dual-issue core has once: two instructions of one group do not issue together.
_UNITS = (
    frozenset({"load", "store", "fp_load", "fp_store"}),
    frozenset({"mul", "mac", "mul_long"}),
    frozenset({"fp", "fp_mac"}),
    frozenset({"branch", "call", "branch_register"}),
)


@dataclass(frozen=True)
class Cost:
    """Cycles of a block when it goes on to the code behind it, and when its branch is taken."""

    instructions: int
    fall: int
    taken: int


def cost(block: Sequence[Instruction], timing: Timing) -> Cost:
    """Cycles of a straight run of instructions with at most one branch, at its end.

    Divisions count 0 here: their cycles depend on operands and are added where they run.
    Instructions under an IT condition count as executed; the flash is not included.
    """
    total = 0
    before: Instruction | None = None
    paired = False
    for instruction in block:
        cycles = timing.cycles[instruction.kind]
        if instruction.kind in MULTIPLE:
            cycles += instruction.words
        if before is not None:
            if timing.pipelined and _streams(before, instruction):
                cycles = 1
            stall = timing.stalls.get(before.kind, 0)
            waits = stall and instruction.reads & (before.loads or before.writes)
            if waits:
                cycles += stall
            paired = not paired and not waits and _pairs(before, instruction, timing)
            if paired:
                cycles -= 1
        total += cycles
        before = instruction
    if before is None or not before.branch:
        return Cost(len(block), total, total)
    taken = total + timing.taken.get(before.kind, 0)
    if before.branch == "always":
        return Cost(len(block), taken, taken)
    # A branch or POP {pc} whose condition fails takes one cycle, whatever it would have done.
    own = timing.cycles[before.kind] + (before.words if before.kind in MULTIPLE else 0)
    return Cost(len(block), total - own + 1, taken)


def _streams(before: Instruction, now: Instruction) -> bool:
    """Whether the address phase of `now` overlaps the data phase of the single access before it."""
    return before.kind in SINGLE and now.kind in SINGLE and not now.base & before.loads


def _pairs(before: Instruction, now: Instruction, timing: Timing) -> bool:
    """Whether a dual-issue core starts `now` in the same cycle as `before`."""
    return (
        before.kind in timing.pairs
        and now.kind in timing.pairs
        and not before.branch
        and not before.writes & (now.reads | now.writes)
        and not any(before.kind in unit and now.kind in unit for unit in _UNITS)
    )
