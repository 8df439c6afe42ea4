"""Firmware that goes wrong ends in one clear line that names function and layer."""

from __future__ import annotations

import os
import signal
import threading

import pytest
import toy

from milliwatt.emulate.machine import machine_for
from milliwatt.errors import BadData, MachineFault

LIMIT = 20_000_000


def broken(body: str, before: str = "") -> dict[str, str]:
    """Sources whose first layer is `body`."""
    return {
        "scale.c": f'#include "toy.h"\n{before}\n'
        f"__attribute__((noinline)) int layer_0(void) {{ {body} }}\n"
    }


DEEP = """
int deep(int n);
__attribute__((noinline)) int deep(int n) {
  volatile int a[8];
  a[0] = n;
  return n ? deep(n - 1) + a[0] : 0;
}
"""

CASES = {
    "read": (broken("return *(volatile int *)0x40000000u;"), "read of unmapped address 0x40000000"),
    "write": (
        broken("*(volatile int *)0x40000000u = 1; return 0;"),
        "write to unmapped address 0x40000000",
    ),
    "flash": (
        broken("*(volatile char *)(uintptr_t)&layer_0 = 1; return 0;"),
        "write to read-only address",
    ),
    "stack": (broken("return deep(100000);", DEEP), "stack overflow: 2048 bytes are reserved"),
    "loop": (broken('for (;;) { __asm__ volatile(""); }'), "did not end within 20,000,000 cycles"),
    "slow": (
        broken("for (volatile int i = 0; i >= 0; ++i) { } return 0;"),
        "did not end within 20,000,000 cycles",
    ),
}


@pytest.mark.parametrize("board", ["cortex-m4", "cortex-m0plus", "rv32imc"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("count", [True, False])
def test_fault_names_function_and_layer(board: str, case: str, count: bool) -> None:
    """With and without counting: two ways to find missing memory, one message."""
    sources, message = CASES[case]
    firmware = toy.firmware(board, sources)
    session = machine_for(firmware.board).load(firmware, count=count)
    with pytest.raises(MachineFault) as caught:
        session.run([toy.INPUT], limit_cycles=LIMIT)
    text = str(caught.value)
    assert message in text
    assert text.endswith(f"; in {'deep' if case == 'stack' else 'layer_0'}, layer scale (mul)")
    assert "\n" not in text
    assert "Traceback" not in text


def test_jump_into_nowhere() -> None:
    firmware = toy.firmware("rv32imc", broken("((void (*)(void))0x40000000u)(); return 0;"))
    with pytest.raises(
        MachineFault, match="jump to an address without code, 0x40000000; in layer_0"
    ):
        machine_for(firmware.board).load(firmware).run([toy.INPUT])


@pytest.mark.parametrize("board", ["cortex-m4", "cortex-m0plus", "cortex-m33", "rv32imc"])
def test_invalid_instruction(board: str) -> None:
    firmware = toy.firmware(board, broken("__builtin_trap();"))
    with pytest.raises(MachineFault, match=r"invalid instruction|hard fault.* layer scale"):
        machine_for(firmware.board).load(firmware).run([toy.INPUT])


def test_unaligned_access_faults_only_where_the_core_does() -> None:
    """Armv6-M has no unaligned accesses; Armv7-M does (Architecture Reference Manual, A3.2.1)."""
    body = broken(
        "int v; const void *p = mw_arena + 1; "
        '__asm__ volatile("ldr %0, [%1]" : "=r"(v) : "r"(p)); return v;'
    )
    m4 = toy.firmware("cortex-m4", body)
    machine_for(m4.board).load(m4).run([toy.INPUT * 0])
    m0 = toy.firmware("cortex-m0plus", body)
    with pytest.raises(MachineFault, match="unaligned access to 0x20000801; in layer_0"):
        machine_for(m0.board).load(m0).run([toy.INPUT * 0])


@pytest.mark.parametrize(("board", "status"), [("cortex-m4", 7), ("rv32imc", -3), ("host", -3)])
def test_status_of_run(board: str, status: int) -> None:
    firmware = toy.firmware(board, broken(f"return {status};"))
    with pytest.raises(MachineFault, match=f"mw_firmware_run returned {status}; 0 wanted"):
        machine_for(firmware.board).load(firmware).run([toy.INPUT])


@pytest.mark.parametrize("board", ["cortex-m4", "host"])
def test_status_of_init(board: str) -> None:
    main = toy.MAIN.replace(
        "mw_firmware_init(void) { return 0; }", "mw_firmware_init(void) { return 5; }"
    )
    firmware = toy.firmware(board, {"main.c": main})
    with pytest.raises(MachineFault, match="mw_firmware_init returned 5; 0 wanted"):
        machine_for(firmware.board).load(firmware)


def test_a_session_survives_a_fault() -> None:
    """After a fault the next run starts afresh from its inputs."""
    firmware = toy.firmware(
        "cortex-m4",
        broken("return *(volatile int *)(uintptr_t)(mw_arena[0] ? 0x40000000u : 0x20000000u) * 0;"),
    )
    session = machine_for(firmware.board).load(firmware)
    with pytest.raises(MachineFault, match="unmapped"):
        session.run([toy.INPUT])
    session.run([toy.INPUT * 0])


@pytest.mark.parametrize("count", [True, False])
def test_ctrl_c_stops_an_endless_loop(count: bool) -> None:
    firmware = toy.firmware("cortex-m4", broken('for (;;) { __asm__ volatile(""); }'))
    session = machine_for(firmware.board).load(firmware, count=count)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))

    def interrupted() -> None:
        timer.start()
        session.run([toy.INPUT], limit_cycles=10**15)

    # A run that does not stop takes days: the limit is what the suite allows one test.
    with pytest.raises(KeyboardInterrupt):
        interrupted()


def test_uncounted_runs_have_limits_and_names_too() -> None:
    firmware = toy.firmware("cortex-m4", broken('for (;;) { __asm__ volatile(""); }'))
    session = machine_for(firmware.board).load(firmware, count=False)
    with pytest.raises(MachineFault, match="did not end within 1,000,000 cycles; in layer_0"):
        session.run([toy.INPUT], limit_cycles=1_000_000)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "0 input arrays given; 1 wanted"),
        ([toy.INPUT[:4]], r"input x: array is int8\[4\]; s8\[8\] wanted"),
        ([toy.INPUT.astype("float32")], r"input x: array is float32\[8\]; s8\[8\] wanted"),
    ],
)
@pytest.mark.parametrize("board", ["host", "cortex-m4"])
def test_wrong_inputs(board: str, inputs: list, message: str) -> None:
    firmware = toy.firmware(board)
    with pytest.raises(BadData, match=message):
        machine_for(firmware.board).load(firmware).run(inputs)
