"""Instruction counts against an independent emulator: QEMU's MPS2 board with a Cortex-M4."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import toy

from milliwatt.emulate.boards import board
from milliwatt.emulate.machine import machine_for

WORK = """
#include "toy.h"
__attribute__((noinline)) int layer_0(void) {
  volatile int32_t sum = 0;
  for (int i = 1; i < 60; ++i) {
    sum += (i % 3 ? i : -i) / (i & 3 ? i & 3 : 5);
    if (sum & 1) { sum = sum * 7 - (sum >> 2); }
  }
  return sum == 0;
}
"""
# After the inference the program leaves QEMU by a semihosting call: SYS_EXIT, application exit.
EXIT = toy.MAIN.replace(
    "return mw_firmware_init() + mw_firmware_run();",
    "const int status = mw_firmware_run();"
    '__asm__ volatile("mov r0, #0x18\\n ldr r1, =0x20026\\n bkpt 0xab" ::: "r0", "r1");'
    "return status;",
)


def test_instruction_count_equals_qemus(tmp_path: Path) -> None:
    if not shutil.which("qemu-system-arm"):
        pytest.skip("qemu-system-arm is not installed: apt-get install qemu-system-arm")
    path = tmp_path / "mps2.toml"
    text = Path(toy.__file__).parents[2] / "src/milliwatt/emulate/boards/cortex-m4.toml"
    path.write_text(
        text.read_text()
        .replace("flash_base = 0x08000000", "flash_base = 0")
        .replace("_bytes = 0x1000000", "_bytes = 0x400000")
    )
    firmware = toy.firmware(board(path), {"scale.c": WORK, "main.c": EXIT})
    got = machine_for(firmware.board).load(firmware).run([toy.INPUT])
    image, log = tmp_path / "toy.elf", tmp_path / "log"
    image.write_bytes(firmware.image)
    # One instruction a translation block and no chaining: one line of the log an instruction.
    options = ["-nographic", "-semihosting", "-singlestep", "-d", "exec,nochain", "-D", str(log)]
    command = ["qemu-system-arm", "-M", "mps2-an386", *options, "-kernel", str(image)]
    subprocess.run(command, check=True, timeout=240, stdin=subprocess.DEVNULL)
    run = [int(a, 16) for a in re.findall(r"\[\w+/(\w+)/", log.read_text())]
    # mw_firmware_run itself is inlined into main there, so layers are compared, one by one.
    for symbol, layer in zip(("layer_0", "layer_1"), got.layers, strict=False):
        found = next(s for s in firmware.symbols if s.name == symbol)
        body = range(found.address, found.address + found.nbytes)
        assert sum(address in body for address in run) == layer.instructions > 0
