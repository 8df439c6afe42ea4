"""The helper that counts spills: loops written by hand, and ones that a compiler made."""

from __future__ import annotations

import pytest
import toy

from support.disassembly import inner_loops

# Two loops in one that pushes and pops; the second spills. The nops are a loop of no function.
BY_HAND = """
#include "toy.h"
__attribute__((naked, noinline)) int layer_0(void) {
  __asm__ volatile(
      "push {r4, lr}\\n sub sp, #8\\n movs r0, #3\\n"
      "1: movs r1, #4\\n"
      "2: adds r2, r1, #1\\n ldr r3, =mw_arena\\n ldrb r3, [r3]\\n subs r1, #1\\n bne 2b\\n"
      "movs r1, #4\\n"
      "3: str r2, [sp, #4]\\n adds r2, #1\\n ldr r2, [sp, #4]\\n subs r1, #1\\n bne 3b\\n"
      "subs r0, #1\\n bne 1b\\n add sp, #8\\n pop {r4, pc}\\n");
}
"""
COMPILED = """
#include "toy.h"
__attribute__((noinline)) int layer_0(void) {
  KEPT int kept = 0;
  for (int i = 0; i < mw_arena[0]; ++i) {
    kept = (mw_arena[i & 7] ^ kept) * 7;
  }
  return kept;
}
"""


def test_loops_by_hand() -> None:
    """The outer loop is left out; push and pop around the loops do not count."""
    image = toy.firmware("cortex-m4", {"scale.c": BY_HAND}).image
    first, second = inner_loops(image, "layer_0")
    assert [line.text.split()[0] for line in first.lines] == ["adds", "ldr", "ldrb", "subs", "bne"]
    assert first.stack_accesses == ()
    assert second.stack_accesses == ("str r2, [sp, #4]", "ldr r2, [sp, #4]")
    assert second.nbytes == 10
    assert "str r2, [sp, #4]" in str(second)


@pytest.mark.parametrize("spills", [False, True])
@pytest.mark.parametrize("board", ["cortex-m4", "cortex-m0plus"])
def test_compiled_loops(spills: bool, board: str) -> None:
    """A variable that must live in memory is seen in the loop; without one there is nothing."""
    source = COMPILED.replace("KEPT", "volatile" if spills else "")
    loops = inner_loops(toy.firmware(board, {"scale.c": source}).image, "layer_0")
    assert loops
    assert any(loop.stack_accesses for loop in loops) == spills


def test_no_such_function() -> None:
    with pytest.raises(AssertionError, match="layer_7 is no function of the image"):
        inner_loops(toy.firmware("cortex-m4").image, "layer_7")
