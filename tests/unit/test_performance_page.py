"""docs/performance.md: its loops are those of the image, its cycles those of a run."""

from __future__ import annotations

import re

import pytest
from tools.gen_performance import (
    CASES,
    LOOPS,
    PAGE,
    TOOLCHAINS,
    firmware,
    measure,
    parts,
    split,
)

from milliwatt.compiler.rows import TABLE
from milliwatt.compiler.target import DSP
from support.compilers import want_compiler, want_version

TOLERANCE = 0.02
AGAIN = "run: python tools/gen_performance.py"
TEXT = PAGE.read_text(encoding="utf-8")


def rows(part: str) -> list[list[str]]:
    """The cells of a table of the page, without its head."""
    lines = [line for line in split(TEXT)[part].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def built(toolchain: str) -> None:
    """Skip without the compiler whose figures the page has."""
    want_compiler(toolchain)
    (recorded,) = re.findall(r"^Compiled by (.*)\.$", split(TEXT)["layers"], re.M)
    want_version(firmware(toolchain).toolchain, recorded, "python tools/gen_performance.py")


def test_the_page_has_every_part() -> None:
    """A marker for each table and listing, each with its end, and no other."""
    assert list(split(TEXT)) == re.findall(r"^<!-- measured: (.*) -->$", TEXT, re.M)
    assert sorted(split(TEXT)) == sorted(parts())


def test_every_special_kernel_is_on_the_page() -> None:
    special = {row.kernel for row in TABLE if row.isa == DSP}
    assert special
    assert {name for name in special if f"`{name}`" not in TEXT} == set()
    assert {case.kernel for case in CASES} <= special


@pytest.mark.parametrize("name", [name for name in parts() if name != "layers"])
def test_loops_are_those_of_the_image(name: str) -> None:
    """Instructions, cycles, bytes and accesses to the stack, as zig compiles them."""
    built("zig")
    assert split(TEXT)[name] == parts()[name](), AGAIN


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
def test_cycles_are_those_of_a_run(toolchain: str) -> None:
    """Within 2 %, both ways; a kernel that got faster makes the page stale too."""
    built(toolchain)
    found = rows("layers")
    assert [(what, kernel.strip("`")) for what, kernel, *_ in found] == [
        (case.what, case.kernel) for case in CASES
    ]
    column = 2 + TOOLCHAINS.index(toolchain)
    stale = [
        f"{what} by {case.kernel}: {cells[column]} on the page, {now.cycles:,} now"
        for (what, *_), cells, case, now in zip(
            found, found, CASES, measure(toolchain), strict=True
        )
        if abs(int(cells[column].replace(",", "")) - now.cycles) > TOLERANCE * now.cycles
    ]
    assert stale == [], AGAIN


def test_cycles_a_mac_follow_from_the_cycles() -> None:
    for _, kernel, cycles, _, macs, each, *_ in rows("layers"):
        if macs:
            counts = [int(text.replace(",", "")) for text in (cycles, macs)]
            assert float(each) == pytest.approx(counts[0] / counts[1], abs=0.0051), kernel


def test_stated_accesses_to_the_stack_have_a_reason() -> None:
    assert [loop.name for loop in LOOPS if bool(loop.stack) != bool(loop.why)] == []
