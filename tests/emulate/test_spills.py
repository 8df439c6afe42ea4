"""The inner loops of docs/performance.md, in linked images: what they spill, and their size.

One image holds all of them; tools/gen_performance.py says where they are and what is on the stack.
"""

from __future__ import annotations

import pytest
from tools.gen_performance import BOARD, LOOPS, PAGE, Inner, cycles_of, firmware, loop_of, split

from milliwatt.emulate.boards import board
from support.compilers import want_compiler

NAMES = [inner.name for inner in LOOPS]


def image(toolchain: str) -> bytes:
    want_compiler(toolchain)
    return firmware(toolchain).image


@pytest.mark.parametrize("toolchain", ["zig", "gcc"])
@pytest.mark.parametrize("inner", LOOPS, ids=NAMES)
def test_stack_and_size_of_inner_loops(inner: Inner, toolchain: str) -> None:
    """As many loads and stores on the stack as stated; code that the flash's cache holds."""
    loop = loop_of(inner, image(toolchain))
    assert len(loop.stack_accesses) == inner.stack, f"{loop.stack_accesses} in\n{loop}"
    cache = board(BOARD).flash.icache
    assert cache is not None
    assert loop.nbytes < cache.lines * cache.line_bytes


@pytest.mark.parametrize("inner", LOOPS, ids=NAMES)
def test_both_compilers_make_the_same_loop(inner: Inner) -> None:
    """Assembly is assembled alike; the loop in a C function takes as many cycles."""
    zig, gcc = image("zig"), image("gcc")
    loops = loop_of(inner, zig), loop_of(inner, gcc)
    assert cycles_of(loops[0], zig) == cycles_of(loops[1], gcc)
    if not inner.holds:
        names = [[line.text.split(".")[0].split()[0] for line in loop.lines] for loop in loops]
        assert names[0] == names[1]


def test_the_page_states_the_same() -> None:
    """Every loop of the page is counted here, and every count is on the page."""
    lines = split(PAGE.read_text(encoding="utf-8"))["loops"].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    stated = {name.strip("`"): int(stack.split()[0]) for name, *_, stack in cells}
    assert stated == {inner.name: inner.stack for inner in LOOPS}
    multiplying = [loop for loop in LOOPS if loop.unit == "product"]
    assert multiplying
    # Weights of the 3 x 3 depthwise loops lie on the stack; the others keep theirs in registers.
    assert [x.name for x in multiplying if x.stack > 5] == ["mw_dw3_s1_lines", "mw_dw3_s2_lines"]
