"""Cycles of microkernels that a person can add up from the core's manual."""

from __future__ import annotations

import numpy as np
import pytest
import toy

from milliwatt.emulate.machine import LayerTrace, Trace, machine_for

X = [np.zeros(8, np.int8)]


def layer(
    body: str, board: str = "cortex-m4", inputs: list[np.ndarray] | None = None
) -> LayerTrace:
    """Run a layer written in assembly, entered by BL with r1 (a1) = mw_arena already loaded."""
    return trace(body, board, inputs).layers[0]


def trace(body: str, board: str = "cortex-m4", inputs: list[np.ndarray] | None = None) -> Trace:
    """The whole trace of a firmware whose first layer is `body`."""
    arm = "movw r1, #:lower16:mw_arena\\n movt r1, #:upper16:mw_arena\\n"
    if board == "cortex-m0plus":
        arm = "ldr r1, =mw_arena\\n"
    if board == "rv32imc":
        arm = "lui a1, %hi(mw_arena)\\n addi a1, a1, %lo(mw_arena)\\n"
    lines = "".join(f'  "{line.strip()}\\n"\n' for line in body.strip().splitlines())
    source = f"""
#include "toy.h"
__attribute__((naked, noinline)) int layer_0(void) {{
  __asm__ volatile("{arm}"
{lines}  );
}}
"""
    firmware = toy.firmware(board, {"scale.c": source})
    return machine_for(firmware.board).load(firmware).run(inputs or X)


BASE = 2  # movw and movt of the preamble: DDI0439 table 3-1, one cycle each
RETURN = 2  # bx lr: 1 + P with P = 1


def test_loads_pipeline_unless_the_address_depends() -> None:
    """Table 3-1 and 3.3.2.

    str 2, movs 1, movs 1; then 10 times: ldr 2, ldr (pipelined) 1, ldr (address is what the load
    before it loads) 2, adds 1, subs 1 = 7, bne 2 taken, 1 the last time; movs 1.
    """
    got = layer("""
        str r1, [r1]
        movs r0, #0
        movs r2, #10
        1:
        ldr.w r12, [r1, #4]
        ldr r3, [r1]
        ldr r3, [r3]
        adds r0, r0, #1
        subs r2, #1
        bne 1b
        movs r0, #0
        bx lr
        """)
    assert got.cycles == BASE + 4 + 10 * 7 + 9 * 2 + 1 + 1 + RETURN
    assert got.instructions == 2 + 3 + 10 * 6 + 2


def test_smlad_block() -> None:
    """Three words from each of two pointers: ldr 2, ldr 1, smlad 1, three times, 12; moves 2."""
    got = layer("""
        movs r0, #0
        ldr r2, [r1], #4
        ldr r3, [r1, #8]
        smlad r0, r2, r3, r0
        ldr r2, [r1], #4
        ldr r3, [r1, #8]
        smlad r0, r2, r3, r0
        ldr r2, [r1], #4
        ldr r3, [r1, #8]
        smlad r0, r2, r3, r0
        movs r0, #0
        bx lr
        """)
    assert got.cycles == BASE + 1 + 3 * 4 + 1 + RETURN


def test_multiples() -> None:
    """push of 5: 1 + 5; ldm of 4: 1 + 4; ldr behind it 2; ldrd 3; pop with pc 1 + 5 + P."""
    got = layer("""
        push {r4, r5, r6, r7, lr}
        ldm r1, {r4, r5, r6, r7}
        ldr r2, [r1]
        ldrd r2, r3, [r1]
        movs r0, #0
        pop {r4, r5, r6, r7, pc}
        """)
    assert got.cycles == BASE + 6 + 5 + 2 + 3 + 1 + 7


def test_it_and_conditional_return() -> None:
    """it 1, moveq 1 (executed or not); it 1, bxne lr not taken 1; it 1, bxeq lr taken 2."""
    got = layer("""
        movs r0, #0
        cmp r0, #0
        it eq
        moveq r0, #0
        it ne
        bxne lr
        cmp r0, #0
        it eq
        bxeq lr
        bx lr
        """)
    assert got.cycles == BASE + 1 + 1 + 2 + 2 + 1 + 1 + 2
    assert got.instructions == 2 + 9


@pytest.mark.parametrize(
    ("numbers", "name", "cycles"),
    [
        ((1000, 7), "udiv", 5),  # quotient 142, 8 bits: 3 + 8 / 4
        ((5, 10), "udiv", 2),  # quotient 0
        ((-1000, 7), "sdiv", 6),  # 3 + 2, signed 1
        ((0x7FFFFFFF, 1), "udiv", 11),  # 31 bits: 3 + 8
        ((-0x80000000, 1), "sdiv", 12),  # 32 bits: 3 + 8 + 1
        ((7, 0), "udiv", 2),  # division by zero gives 0
    ],
)
def test_division_depends_on_operands(numbers: tuple[int, int], name: str, cycles: int) -> None:
    """ldr 2, ldr 1, then the division; movs 1."""
    data = [np.array(numbers, np.int64).astype(np.int32).view(np.int8)]
    got = layer(
        f"""
        ldr r2, [r1]
        ldr r3, [r1, #4]
        {name} r2, r2, r3
        movs r0, #0
        bx lr
        """,
        inputs=data,
    )
    assert got.cycles == BASE + 3 + cycles + 1 + RETURN


def test_unaligned_accesses() -> None:
    """ldr at +2: 2 + 1; at +1: 2 + 2; ldrh at +1: 2 + 1; str at +3: 2 + 2; nops keep them apart."""
    got = layer("""
        ldr r2, [r1, #2]
        nop
        ldr r2, [r1, #1]
        nop
        ldrh r2, [r1, #1]
        nop
        str r2, [r1, #3]
        movs r0, #0
        bx lr
        """)
    assert got.cycles == BASE + 3 + 1 + 4 + 1 + 3 + 1 + 4 + 1 + RETURN


def test_floating_point() -> None:
    """vldr 2 and 1; vadd 1; vmul waits for it 1 + 1; vmla 3; vdiv 14; vmov of a pair 2; vldm 4."""
    got = layer("""
        vldr s0, [r1]
        vldr s1, [r1, #4]
        vadd.f32 s2, s0, s1
        vmul.f32 s3, s2, s0
        vmla.f32 s4, s0, s1
        vdiv.f32 s5, s0, s1
        vmov r2, r3, s0, s1
        vldmia r1, {s6, s7, s8}
        movs r0, #0
        bx lr
        """)
    assert got.cycles == BASE + 2 + 1 + 1 + 2 + 3 + 14 + 2 + 4 + 1 + RETURN


def test_calls_and_table_branch() -> None:
    """push of 2: 3; bl 2; bx lr 2; movs 1; cbz taken 2; tbb 2 + P; pop 1 + 2 + P."""
    got = layer("""
        push {r4, lr}
        bl 3f
        movs r0, #0
        cbz r0, 1f
        nop
        1: tbb [pc, r0]
        2: .byte (4f - 2b) / 2, 0
        3: bx lr
        4: pop {r4, pc}
        """)
    assert got.cycles == BASE + 3 + 2 + 2 + 1 + 2 + 3 + (1 + 2 + 1)
    assert got.instructions == 2 + 8 - 1


def test_cortex_m0plus() -> None:
    """DDI0484C table 3-1: ldr 2, muls 1, b<cc> 2 or 1, push 1 + N, pop with pc 3 + N, bl 3."""
    got = layer(
        """
        push {r4, lr}
        movs r2, #3
        1: ldr r3, [r1]
        ldr r4, [r1, #4]
        muls r3, r4, r3
        subs r2, #1
        bne 1b
        bl 2f
        movs r0, #0
        pop {r4, pc}
        2: bx lr
        """,
        "cortex-m0plus",
    )
    loop = 2 + 2 + 1 + 1
    assert got.cycles == 2 + 3 + 1 + 3 * loop + 2 * 2 + 1 + 3 + 2 + 1 + (3 + 2)


def test_rv32imc() -> None:
    """lw 1, add that waits for it 1 + 1, addi 1, bnez 3 taken, 1 not; li 1; ret 3."""
    got = layer(
        """
        li a2, 4
        1: lw a3, 0(a1)
        add a4, a4, a3
        addi a2, a2, -1
        bnez a2, 1b
        li a0, 0
        ret
        """,
        "rv32imc",
    )
    assert got.cycles == 2 + 1 + 4 * 4 + 3 * 3 + 1 + 1 + 3


def test_dual_issue_of_cortex_m7() -> None:
    """Independent pairs issue together, dependent ones do not: 4 adds in 2, 2 in a chain in 2."""
    wide = "add r2, r2, #1\n add r3, r3, #1\n" * 8
    chain = "add r2, r2, #1\n add r2, r2, #1\n" * 8
    end = "movs r0, #0\n bx lr"
    saved = layer(chain + end, "cortex-m7").cycles - layer(wide + end, "cortex-m7").cycles
    assert saved in (7, 8)


@pytest.mark.parametrize("board", ["cortex-m4", "cortex-m0plus", "cortex-m33", "rv32imc"])
def test_totals_are_the_sum_of_layers(board: str) -> None:
    """Nothing is counted twice or lost: layers and the runtime row add up."""
    firmware = toy.firmware(board)
    got = machine_for(firmware.board).load(firmware).run([toy.INPUT])
    assert got.cycles == sum(row.cycles for row in got.layers)
    assert got.instructions == sum(row.instructions for row in got.layers)
    assert [row.name for row in got.layers] == ["scale", "add_one", "(runtime)"]
    assert [row.calls for row in got.layers] == [1, 1, 0]
    assert [row.macs for row in got.layers] == [8, 0, 0]
    assert all(row.cycles >= row.instructions > 0 for row in got.layers)
    np.testing.assert_array_equal(got.outputs[0], toy.EXPECTED)
