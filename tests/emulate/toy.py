"""Hand-written firmware that obeys toolchain.py's contract, small enough to reason about."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from milliwatt.compiler.board import Board
from milliwatt.compiler.firmware import Firmware, Layer, Port
from milliwatt.compiler.toolchain import compile_firmware
from milliwatt.emulate.boards import board as board_named
from milliwatt.ir.types import DType, Type

HEADER = """
#include <stdint.h>
extern uint8_t mw_arena[64];
int mw_firmware_init(void);
int mw_firmware_run(void);
int main(void);
int layer_0(void);
int layer_1(void);
"""

MAIN = """
#include "toy.h"
uint8_t mw_arena[64];
int mw_firmware_init(void) { return 0; }
int main(void) { return mw_firmware_init() + mw_firmware_run(); }
int mw_firmware_run(void) {
  const int status = layer_0();
  return status ? status : layer_1();
}
"""

# out[i] = weights[i] * in[i] for 8 values in layer_0; layer_1 adds one to each.
SCALE = """
#include "toy.h"
static const int8_t weights[8] = {1, 2, 3, 4, 5, 6, 7, 8};
__attribute__((noinline)) int layer_0(void) {
  const int8_t *in = (const int8_t *)mw_arena;
  int8_t *out = (int8_t *)mw_arena + 16;
  for (int i = 0; i < 8; ++i) {
    out[i] = (int8_t)(in[i] * weights[i]);
  }
  return 0;
}
"""

ADD_ONE = """
#include "toy.h"
__attribute__((noinline)) int layer_1(void) {
  int8_t *out = (int8_t *)mw_arena + 16;
  for (int i = 0; i < 8; ++i) {
    out[i] = (int8_t)(out[i] + 1);
  }
  return 0;
}
"""

SOURCES = {"toy.h": HEADER, "main.c": MAIN, "scale.c": SCALE, "add_one.c": ADD_ONE}
S8 = Type((8,), DType.S8)
INPUT = np.arange(-4, 4, dtype=np.int8)
EXPECTED = (INPUT * np.arange(1, 9) + 1).astype(np.int8)


def firmware(
    board: str | Board = "cortex-m4",
    changed: Mapping[str, str] | None = None,
    *,
    toolchain: str = "zig",
    stack_bytes: int = 2048,
) -> Firmware:
    """The toy firmware for a board, with some of its sources replaced."""
    target = board if isinstance(board, Board) else board_named(board)
    sources = {**SOURCES, **(changed or {})}
    linked = compile_firmware(sources, target, toolchain=toolchain, stack_bytes=stack_bytes)
    return Firmware(
        name="toy",
        board=target,
        toolchain=linked.toolchain,
        optimize="speed",
        sources=sources,
        image=linked.image,
        symbols=linked.symbols,
        layers=(
            Layer("scale", "mul", "mw_mul_s8", "layer_0", 8, 8),
            Layer("add_one", "add", "mw_add_s8", "layer_1", 0, 0),
        ),
        inputs=(Port("x", S8, 0),),
        outputs=(Port("y", S8, 16),),
        states=(),
        arena_bytes=64,
        flash_bytes=linked.flash_bytes,
        code_bytes=linked.code_bytes,
        weight_bytes=8,
        static_ram_bytes=linked.static_ram_bytes,
    )
