"""Every machine gives the same bytes; stack, speed, sessions, and the emulator's known bug."""

from __future__ import annotations

import numpy as np
import pytest
import toy

from milliwatt.emulate.boards import boards
from milliwatt.emulate.machine import machine_for, run
from support.effort import cpu_seconds

EMULATED = [b.name for b in boards() if not b.is_host]


@pytest.mark.parametrize("board", ["host", *EMULATED])
@pytest.mark.parametrize("toolchain", ["zig", "gcc"])
def test_outputs(board: str, toolchain: str) -> None:
    if toolchain == "gcc" and board in ("rv32imc", "esp32-c3"):
        pytest.skip("no RISC-V gcc among the tools this project installs")
    got = run(toy.firmware(board, toolchain=toolchain), [toy.INPUT])
    assert got.outputs[0].dtype == np.int8
    np.testing.assert_array_equal(got.outputs[0], toy.EXPECTED)
    assert got.board == board


@pytest.mark.parametrize("board", ["host", "cortex-m4", "rv32imc"])
def test_sessions_share_nothing_and_keep_their_memory(board: str) -> None:
    """A counter in the arena counts runs of its own session only."""
    counting = toy.ADD_ONE.replace(
        "return 0;", "mw_arena[40]++; out[0] = (int8_t)mw_arena[40]; return 0;"
    )
    firmware = toy.firmware(board, {"add_one.c": counting})
    first, second = (machine_for(firmware.board).load(firmware) for _ in range(2))
    assert [int(first.run([toy.INPUT]).outputs[0][0]) for _ in range(3)] == [1, 2, 3]
    assert int(second.run([toy.INPUT]).outputs[0][0]) == 1


def test_equal_runs_count_alike_and_uncounted_ones_not_at_all() -> None:
    firmware = toy.firmware("nucleo-l4r5zi")
    session = machine_for(firmware.board).load(firmware)
    first, second = session.run([toy.INPUT]), session.run([toy.INPUT])
    assert (first.cycles, first.layers) == (second.cycles, second.layers)
    fast = machine_for(firmware.board).load(firmware, count=False).run([toy.INPUT])
    assert fast.cycles is None
    assert fast.layers == ()
    np.testing.assert_array_equal(fast.outputs[0], first.outputs[0])


def test_slices_lose_no_block() -> None:
    """Limits and Ctrl-C stop the emulator in the middle; counts must not depend on where."""
    loop = '__asm__ volatile("ldr r2, =1000000\\n 1: subs r2, #1\\n bne 1b" ::: "r2", "cc");'
    source = (
        f'#include "toy.h"\n__attribute__((noinline)) int layer_0(void) {{ {loop} return 0; }}\n'
    )
    firmware = toy.firmware("cortex-m4", {"scale.c": source})
    session = machine_for(firmware.board).load(firmware)
    whole = session.run([toy.INPUT])
    assert whole.cycles is not None
    # ldr 2, a million times subs 1 and bne 2, one less at the end; movs 1 and bx 2 return.
    assert whole.layers[0].cycles == 2 + 3_000_000 - 1 + 1 + 2
    # A limit just above the need makes the last slices short and many.
    tight = session.run([toy.INPUT], limit_cycles=whole.cycles + 1)
    assert tight.layers == whole.layers


FRAME = """
#include "toy.h"
int leaf(volatile uint8_t *bytes);
__attribute__((noinline)) int leaf(volatile uint8_t *bytes) { return bytes[0] + bytes[99]; }
__attribute__((naked, noinline)) int layer_0(void) {
  __asm__ volatile("push {r4, r5, r6, lr}\\n sub sp, #200\\n mov r0, sp\\n str r0, [r0]\\n"
                   "add sp, #200\\n movs r0, #0\\n pop {r4, r5, r6, pc}\\n");
}
"""


def test_stack_high_water_is_exact() -> None:
    """layer_0 takes 16 + 200 bytes; mw_firmware_run saved 8 before it called."""
    got = run(toy.firmware("cortex-m4", {"scale.c": FRAME}), [toy.INPUT])
    assert got.stack_bytes == 16 + 200 + 8


def test_stack_high_water_sees_memory_that_is_reserved_but_not_written() -> None:
    """The stack pointer counts even where the lowest bytes keep their paint."""
    unwritten = FRAME.replace("str r0, [r0]\\n", "b 1f\\n 1: nop\\n")
    got = run(toy.firmware("cortex-m4", {"scale.c": unwritten}), [toy.INPUT])
    assert got.stack_bytes == 16 + 200 + 8


def test_memory_hooks_lose_no_register_write() -> None:
    """Unicorn 2.1.4 loses the write-back of the predicated store when a memory hook is installed.

    The loop clears 16 bytes; the function returns the distance of its pointer from their end.
    """
    body = """
#include "toy.h"
__attribute__((naked, noinline)) int layer_0(void) {
  __asm__ volatile("ldr r1, =mw_arena\\n ldr r0, =mw_arena + 16\\n movs r2, #0\\n"
                   "1: cmp r1, r0\\n itt cc\\n strcc r2, [r1], #4\\n cmpcc r1, r0\\n bcc 1b\\n"
                   "subs r0, r1, r0\\n bx lr\\n");
}
"""
    run(toy.firmware("nucleo-l4r5zi", {"scale.c": body}), [toy.INPUT], limit_cycles=1_000_000)


def test_speed() -> None:
    """A counted loop of 8 million instructions without memory accesses: 5 MIPS is a broken hook."""
    turn = "adds r0, #1\\n eors r3, r0\\n adds r3, #3\\n adds r0, #1\\n eors r3, r0\\n nop\\n"
    loop = f"ldr r2, =1000000\\n 1: {turn} subs r2, #1\\n bne 1b\\n movs r0, #0\\n bx lr"
    head = "__attribute__((naked, noinline)) int layer_0(void)"
    source = f'#include "toy.h"\n{head} {{ __asm__("{loop}"); }}'
    firmware = toy.firmware("nucleo-l4r5zi", {"scale.c": source})
    session = machine_for(firmware.board).load(firmware)
    instructions = session.run([toy.INPUT]).instructions
    assert instructions is not None
    assert instructions > 8_000_000
    limit = instructions / 5e6
    assert cpu_seconds(lambda: session.run([toy.INPUT]), limit)[0] < limit
