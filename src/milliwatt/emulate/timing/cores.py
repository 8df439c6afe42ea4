"""One row a core. Numbers are cycles with zero-wait-state memory; each row names its source."""

from __future__ import annotations

from milliwatt.emulate.timing.model import Divide, Timing

# Cortex-M4 Technical Reference Manual DDI0439, tables 3-1 and 7-1, section 3.3.2. The taken-branch
# cost P is 1 to 3 in the manual; 1 fits published hardware results best (docs/timing.md).
_P = 1

_M4_CYCLES = {
    "alu": 1,
    "mul": 1,
    "mul_long": 1,
    "mac": 1,
    "divide": 0,
    "load": 2,
    "store": 2,
    "double": 3,
    "load_multiple": 1,
    "store_multiple": 1,
    "load_pc": 2,
    "pop_pc": 1,
    "table_branch": 2,
    "branch": 1,
    "call": 1,
    "branch_register": 1,
    "it": 1,
    "system": 1,
    "fp": 1,
    "fp_pair": 2,
    "fp_mac": 3,
    "fp_divide": 14,
    "fp_load": 2,
    "fp_store": 2,
    "fp_load_multiple": 1,
    "fp_store_multiple": 1,
}
_TAKEN = dict.fromkeys(
    ("load_pc", "pop_pc", "table_branch", "branch", "call", "branch_register", "alu"), _P
)

CORTEX_M4 = Timing(
    core="cortex-m4",
    source="Arm DDI0439, tables 3-1 and 7-1; taken branch 1 + 1",
    cycles=_M4_CYCLES,
    taken=_TAKEN,
    divide=Divide(zero=2, offset=3, bits=4, signed=1, maximum=12),
    pipelined=True,
    # DDI0439 7.2.3: one cycle longer if the result is consumed by the following instruction.
    stalls={"fp": 1, "fp_mac": 1, "fp_divide": 1},
    unaligned=1,
)

CORTEX_M3 = Timing(
    core="cortex-m3",
    source="Arm DDI0337, table 18-1; UMULL and UMLAL at their upper ends",
    cycles={**_M4_CYCLES, "mac": 2, "mul_long": 5},
    taken=_TAKEN,
    divide=Divide(zero=2, offset=3, bits=4, signed=1, maximum=12),
    pipelined=True,
    unaligned=1,
)

CORTEX_M0PLUS = Timing(
    core="cortex-m0plus",
    source="Arm DDI0484C, table 3-1, single-cycle multiplier",
    cycles={**_M4_CYCLES, "load_pc": 2},
    taken={"branch": 1, "call": 2, "branch_register": 1, "pop_pc": 2, "load_pc": 1, "alu": 1},
    divide=None,
    strict=True,
)

CORTEX_M33 = Timing(
    core="cortex-m33",
    source=(
        "no instruction table is published; Cortex-M4's with one-cycle loads and stores and a "
        "load-use stall; MLPerf Tiny v1.3 results show 0.88 of the Cortex-M4's cycles"
    ),
    cycles={**_M4_CYCLES, "load": 1, "store": 1, "double": 2, "fp_load": 1, "fp_store": 1},
    taken=_TAKEN,
    divide=Divide(zero=2, offset=3, bits=4, signed=1, maximum=11),
    stalls={"load": 1, "fp_load": 1, "fp": 1, "fp_mac": 1, "fp_divide": 1},
    unaligned=1,
)

CORTEX_M7 = Timing(
    core="cortex-m7",
    source=(
        "no instruction table is published; in-order dual issue with one memory, multiply, float "
        "and branch unit, load-use and multiply-use stalls of one cycle, branches predicted"
    ),
    cycles={
        **_M4_CYCLES,
        "load": 1,
        "store": 1,
        "double": 1,
        "load_multiple": 0,
        "store_multiple": 0,
        "load_pc": 1,
        "fp_load": 1,
        "fp_store": 1,
        "fp_pair": 1,
        "fp_mac": 1,
    },
    taken={**_TAKEN, "load_pc": 3, "pop_pc": 3, "table_branch": 3},
    divide=Divide(zero=3, offset=4, bits=2, signed=0, maximum=20),
    stalls={"load": 1, "mul": 1, "mac": 1, "mul_long": 1, "fp_load": 1, "fp": 2, "fp_mac": 4},
    pairs=frozenset(
        {"alu", "mul", "mac", "mul_long", "load", "store", "branch", "call", "fp"}
        | {"fp_load", "fp_store"}
    ),
)

RV32IMC = Timing(
    core="rv32imc",
    source="a four-stage in-order pipeline is assumed: no vendor publishes a table",
    cycles={
        "alu": 1,
        "mul": 1,
        "divide": 0,
        "load": 1,
        "store": 1,
        "branch": 1,
        "call": 1,
        "branch_register": 1,
        "system": 1,
    },
    taken={"branch": 2, "call": 1, "branch_register": 2},
    divide=Divide(zero=3, offset=3, bits=1, signed=0, maximum=35),
    stalls={"load": 1, "mul": 1},
    unaligned=1,
)

TIMINGS = {
    row.core: row for row in (CORTEX_M0PLUS, CORTEX_M3, CORTEX_M4, CORTEX_M7, CORTEX_M33, RV32IMC)
}
