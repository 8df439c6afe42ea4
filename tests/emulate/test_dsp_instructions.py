"""kernels/mw_dsp.h: every instruction gives on the emulated core what its C gives on the host."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest

from milliwatt.compiler.firmware import Firmware, Layer, Port
from milliwatt.compiler.toolchain import compile_firmware
from milliwatt.emulate.boards import board
from milliwatt.emulate.machine import run
from milliwatt.ir.types import DType, Type
from support.compilers import want_compiler

ROUNDS = 400
TELLING = (0, 1, -1, 0x7FFFFFFF, -0x80000000, 0x00008000, -0x8000, 0x00FF00FF, 0x7F807F80)

CALLS = (
    "(int32_t)mw_sxtb16((uint32_t)a)",
    "(int32_t)mw_sxtb16_ror8((uint32_t)a)",
    "(int32_t)mw_pkhbt((uint32_t)a, (uint32_t)b)",
    "(int32_t)mw_pkhtb((uint32_t)a, (uint32_t)b)",
    "mw_smlad((uint32_t)a, (uint32_t)b, c)",
    "mw_smlabb((uint32_t)a, (uint32_t)b, c)",
    "mw_smlabt((uint32_t)a, (uint32_t)b, c)",
    "mw_smlatb((uint32_t)a, (uint32_t)b, c)",
    "mw_smlatt((uint32_t)a, (uint32_t)b, c)",
    "mw_smmla(a, b, c)",
    "mw_smmulr(a, b)",
    "mw_ssat8(a)",
    "mw_one_step(a / 2, b & 0x7fffffff, c / 4)",
    "mw_two_step(a / 4, b & 0x7fffffff, c / 4, 1 + (c & 15))",
)

# The arena: ROUNDS of {a, b, c}, then ROUNDS of one result a call.
PROGRAM = """
#include "mw_dsp.h"
#include "probe.h"
int mw_firmware_init(void) { return MW_HAS_DSP == WANTED ? 0 : 1; }
int main(void) { return mw_firmware_init() + mw_firmware_run(); }
int mw_firmware_run(void) {
  const int32_t *in = (const int32_t *)(void *)mw_arena;
  int32_t *out = (int32_t *)(void *)mw_arena + 3 * ROUNDS;
  for (int i = 0; i < ROUNDS; i++, in += 3) {
    int32_t a = in[0], b = in[1], c = in[2];
    RESULTS
  }
  return 0;
}
"""
HEADER = f"""
#include <stdint.h>
#define ROUNDS {ROUNDS}
extern uint64_t mw_arena[];
int mw_firmware_init(void);
int mw_firmware_run(void);
int main(void);
"""
ARENA = f'#include "probe.h"\nuint64_t mw_arena[{ROUNDS * (3 + len(CALLS)) // 2 + 1}];\n'


def results(name: str, toolchain: str, operands: np.ndarray) -> np.ndarray:
    """s32 [ROUNDS, calls]: what the header's functions give on a board."""
    target = board(name)
    kernels = resources.files("milliwatt") / "kernels"
    stores = "\n    ".join(f"*out++ = {call};" for call in CALLS)
    program = PROGRAM.replace("RESULTS", stores).replace("WANTED", str(int(target.dsp)))
    sources = {
        "probe.h": HEADER,
        "probe.c": program,
        "arena.c": ARENA,
        **{h: (kernels / h).read_text("utf-8") for h in ("mw_dsp.h", "mw_word.h", "mw_common.h")},
    }
    linked = compile_firmware(sources, target, toolchain=toolchain)
    kinds = [Type(shape, DType.S32) for shape in ((ROUNDS, 3), (ROUNDS, len(CALLS)))]
    offsets = (0, kinds[0].nbytes)
    ports = [Port(n, k, at) for n, k, at in zip(("in", "out"), kinds, offsets, strict=True)]
    firmware = Firmware(
        name="probe",
        board=target,
        toolchain=linked.toolchain,
        optimize="speed",
        sources=sources,
        image=linked.image,
        symbols=linked.symbols,
        layers=(Layer("probe", "probe", "probe", "mw_firmware_run", 0, 0),),
        inputs=(ports[0],),
        outputs=(ports[1],),
        states=(),
        arena_bytes=sum(k.nbytes for k in kinds),
        flash_bytes=linked.flash_bytes,
        code_bytes=linked.code_bytes,
        weight_bytes=linked.rodata_bytes,
        static_ram_bytes=linked.static_ram_bytes,
    )
    return run(firmware, [operands]).outputs[0]


@pytest.mark.parametrize(
    ("name", "toolchain"),
    [("cortex-m4", "zig"), ("cortex-m4", "gcc"), ("cortex-m7", "zig"), ("cortex-m33", "zig")],
)
def test_instructions_are_their_c(name: str, toolchain: str) -> None:
    """Random words and the telling ones, on every core that has the extension."""
    want_compiler(toolchain)
    rng = np.random.default_rng(1)
    operands = rng.integers(-(2**31), 2**31, (ROUNDS, 3), dtype=np.int64).astype(np.int32)
    operands[: ROUNDS // 2] = rng.choice(np.array(TELLING, np.int64), (ROUNDS // 2, 3))
    wanted = results("cortex-m3", "zig", operands)
    got = results(name, toolchain, operands)
    for index, call in enumerate(CALLS):
        np.testing.assert_array_equal(got[:, index], wanted[:, index], err_msg=call)
