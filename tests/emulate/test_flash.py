"""The flash model against what is known of the STM32L4R5 (docs/timing.md)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import toy

from milliwatt.emulate.boards import _parse
from milliwatt.emulate.machine import LayerTrace, machine_for

BOARDS = Path(toy.__file__).parents[2] / "src/milliwatt/emulate/boards"
X = [np.zeros(8, np.int8)]


def layer(source: str, **changed: str) -> LayerTrace:
    """Run a first layer on nucleo-l4r5zi with some lines of its board file replaced."""
    text = (BOARDS / "nucleo-l4r5zi.toml").read_text()
    for key, value in changed.items():
        lines = [
            f"{key} = {value}" if line.startswith(f"{key} =") else line for line in text.split("\n")
        ]
        assert lines != text.split("\n")
        text = "\n".join(lines)
    firmware = toy.firmware(_parse(text, "test"), {"scale.c": f'#include "toy.h"\n{source}'})
    return machine_for(firmware.board).load(firmware).run(X).layers[0]


STREAM = """
extern const uint32_t table[4096];
const uint32_t table[4096] __attribute__((aligned(32))) = {1, 2, 3};
__attribute__((naked, noinline)) int layer_0(void) {
  __asm__ volatile(
    "ldr r1, =table\\n ldr r2, =4096\\n"
    "1: ldr r3, [r1], #4\\n subs r2, #1\\n bne 1b\\n"
    "movs r0, #0\\n bx lr\\n");
}
"""


def test_weights_read_once_cost_five_cycles_per_sixteen_bytes() -> None:
    single = layer(STREAM)
    expected = 4096 * 4 / 16 * 5
    assert expected <= single.flash_stall_cycles <= expected + 30


def test_dual_bank_reads_double_the_cost() -> None:
    single, dual = layer(STREAM), layer(STREAM, read_bits="64")
    assert 1.98 < dual.flash_stall_cycles / single.flash_stall_cycles < 2.02


def test_no_wait_states_no_stalls() -> None:
    free = layer(STREAM, wait_states="0")
    assert free.flash_stall_cycles == 0
    assert free.cycles + layer(STREAM).flash_stall_cycles == layer(STREAM).cycles


def test_two_streams_keep_their_lines() -> None:
    """Eight lines of data cache: eight rows read in turn miss as often as one after the other."""
    rows = STREAM.replace("ldr r3, [r1], #4", "ldr r3, [r1]\\n add.w r1, r1, #2048").replace(
        "subs r2, #1", "subs r2, #8"
    )
    turns = rows.replace(
        "ldr r3, [r1]\\n add.w r1, r1, #2048", "ldr r3, [r1, #2048]\\n" * 7 + "ldr r3, [r1], #4"
    )
    assert layer(turns).flash_stall_cycles <= 2 * 512 * 4 / 16 * 5 + 60


def loop(nbytes: int) -> str:
    """A loop of 200 turns over `nbytes` of 32-bit instructions, 32-byte aligned."""
    return f"""
__attribute__((naked, noinline, aligned(32))) int layer_0(void) {{
  __asm__ volatile(
    "movw r2, #200\\n .p2align 5\\n 1:\\n"
    ".rept {nbytes // 4 - 2}\\n add.w r3, r3, #1\\n .endr\\n"
    "subs.w r2, r2, #1\\n bne.w 1b\\n movs r0, #0\\n bx lr\\n");
}}
"""


def test_a_loop_that_fits_the_cache_is_nearly_free() -> None:
    small = layer(loop(960))
    assert small.flash_stall_cycles / small.cycles < 0.02


def test_a_loop_larger_than_the_cache_reads_every_line_every_turn() -> None:
    """LRU and a cyclic walk over 40 of 32 lines: nothing is ever still there."""
    large = layer(loop(1280))
    assert large.flash_stall_cycles >= 200 * 1280 // 16 * 5


def test_prefetch_hides_sequential_reads() -> None:
    """128 bits are four words: at one a cycle, four of five wait states pass meanwhile."""
    off, on = layer(loop(1280)), layer(loop(1280), prefetch="true")
    assert off.flash_stall_cycles / 6 < on.flash_stall_cycles < off.flash_stall_cycles / 4


def test_an_uncached_flash_pays_for_every_read() -> None:
    """STM32F103: constants have no cache, so each word costs its two wait states."""
    firmware = toy.firmware("bluepill-f103", {"scale.c": f'#include "toy.h"\n{STREAM}'})
    got = machine_for(firmware.board).load(firmware).run(X).layers[0]
    assert got.flash_stall_cycles >= 4096 * 2


@pytest.mark.parametrize(
    "board", ["raspberry-pi-pico", "esp32-c3", "nucleo-h7a3zi-q", "nucleo-u575zi-q"]
)
def test_whole_lines(board: str) -> None:
    """Reading 16 KiB once costs one miss a line."""
    source = """
#include "toy.h"
extern const uint32_t table[4096];
const uint32_t table[4096] __attribute__((aligned(32))) = {1, 2, 3};
int layer_0(void) {
  const volatile uint32_t *word = table;
  uint32_t sum = 0;
  for (int i = 0; i < 4096; ++i) { sum += word[i]; }
  return (int)(sum - 6u);
}
"""
    firmware = toy.firmware(board, {"scale.c": source})
    flash = firmware.board.flash
    assert flash.icache is not None
    lines = 4096 * 4 // flash.icache.line_bytes
    got = machine_for(firmware.board).load(firmware).run(X).layers[0]
    assert lines <= got.flash_stall_cycles / flash.wait_states <= lines + 40
