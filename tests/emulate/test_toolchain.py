"""Compilers, the object cache, section sizes, and what happens when something is missing."""

from __future__ import annotations

import errno
import io
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import toy

from milliwatt.compiler import toolchain
from milliwatt.compiler.cache import cache_dir, cached, key, workspace
from milliwatt.compiler.elf import read_elf
from milliwatt.compiler.toolchain import Linked, compile_firmware, verify_fits, zig_command
from milliwatt.emulate import counter
from milliwatt.emulate.boards import board
from milliwatt.emulate.machine import run
from milliwatt.errors import BadData, DoesNotFit, MilliwattError, ToolMissing

M4 = board("nucleo-l4r5zi")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the toolchain runs, one word a call: compiling or linking."""
    made: list[str] = []
    real = toolchain._run

    def spy(command: object, work: Path, what: str) -> None:
        made.append(what.split(maxsplit=1)[0])
        real(command, work, what)  # type: ignore[arg-type]

    monkeypatch.setattr(toolchain, "_run", spy)
    return made


@pytest.fixture
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MILLIWATT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_sizes_are_those_of_the_sections() -> None:
    """A table of 1000 bytes is in .rodata, 64 + 300 bytes in .bss, 20 in .data and flash."""
    extra = """
#include "toy.h"
extern const uint8_t table[1000];
extern uint8_t zeros[300];
extern uint32_t numbers[5];
const uint8_t table[1000] = {1};
uint8_t zeros[300];
uint32_t numbers[5] = {1, 2, 3, 4, 5};
int layer_1(void) {
  volatile int i = 3;
  zeros[i] = table[i];
  return (int)(numbers[i] - 4u);
}
"""
    linked = compile_firmware({**toy.SOURCES, "add_one.c": extra}, M4)
    assert linked.rodata_bytes >= 1000
    assert linked.data_bytes == 20
    assert linked.bss_bytes in range(364, 380)
    assert linked.stack_bytes == 2048
    assert linked.flash_bytes == linked.code_bytes + linked.rodata_bytes + 20
    assert linked.ram_bytes == linked.static_ram_bytes + 2048
    sizes = {s.name: (s.nbytes, s.section) for s in linked.symbols}
    assert sizes["table"] == (1000, "rodata")
    assert sizes["zeros"] == (300, "bss")
    assert sizes["numbers"] == (20, "data")
    assert sizes["layer_0"][1] == "text"
    assert "zig cc" in linked.toolchain


@pytest.mark.parametrize(
    ("name", "compiler"),
    [("cortex-m4", "zig"), ("cortex-m0plus", "gcc"), ("rv32imc", "zig")],
)
def test_size_of_binutils_agrees(name: str, compiler: str) -> None:
    """The stack is writable and takes no flash: text + data of `size` is the flash reported."""
    from elftools.elf.elffile import ELFFile

    own = '#include "toy.h"\nint32_t three = 3;\nint layer_1(void) { return three - 3; }\n'
    own = own.replace("int32_t three", "extern int32_t three;\nint32_t three", 1)
    linked = compile_firmware({**toy.SOURCES, "add_one.c": own}, board(name), toolchain=compiler)
    elf = ELFFile(io.BytesIO(linked.image))
    stack = elf.get_section_by_name(".stack")
    assert (stack["sh_type"], stack["sh_size"]) == ("SHT_NOBITS", 2048)
    alloc, write, execute = 2, 1, 4
    assert stack["sh_flags"] & (alloc | write | execute) == alloc | write
    text = data = 0  # as binutils' size counts: read-only, then writable with bytes in the file
    for section in elf.iter_sections():
        if section["sh_flags"] & alloc:
            if not section["sh_flags"] & write:
                text += section["sh_size"]
            elif section["sh_type"] != "SHT_NOBITS":
                data += section["sh_size"]
    assert data == linked.data_bytes == 4
    assert text + data == linked.flash_bytes


def test_data_is_copied_and_bss_is_cleared() -> None:
    """The start-up code ran: an initialised variable has its value, a plain one is 0."""
    extra = """
#include "toy.h"
extern volatile int32_t seven;
extern volatile int32_t zero;
volatile int32_t seven = 7;
volatile int32_t zero;
int layer_1(void) { return seven - 7 + zero; }
"""
    for name in ("cortex-m4", "cortex-m0plus", "rv32imc"):
        run(toy.firmware(name, {"add_one.c": extra}), [toy.INPUT])


@pytest.mark.parametrize("name", ["cortex-m4", "cortex-m0plus", "rv32imc", "host"])
@pytest.mark.parametrize("compiler", ["zig", "gcc"])
def test_memory_functions(name: str, compiler: str) -> None:
    """All alignments and overlaps of the functions that compilers call, against plain loops."""
    if (name, compiler) == ("rv32imc", "gcc"):
        pytest.skip("no RISC-V gcc among the tools this project installs")
    check = """
#include <string.h>
#include "toy.h"
static uint8_t a[96], b[96];
static int differ(void) {
  for (int i = 0; i < 96; ++i) { if (a[i] != b[i]) { return 1; } }
  return 0;
}
static void fill(void) { for (int i = 0; i < 96; ++i) { a[i] = b[i] = (uint8_t)(i * 7 + 3); } }
int layer_1(void) {
  volatile unsigned step = 1;
  for (unsigned to = 0; to < 9; to += step) {
    for (unsigned from = 0; from < 9; from += step) {
      for (unsigned n = 0; n < 40; n += step) {
        fill();
        memmove(a + to, a + from, n);
        for (unsigned i = 0; i < n; ++i) { b[to + i] = (uint8_t)((from + i) * 7 + 3); }
        if (differ()) { return 1; }
        fill();
        memcpy(a + 48 + to, a + from, n);
        for (unsigned i = 0; i < n; ++i) { b[48 + to + i] = b[from + i]; }
        if (differ()) { return 2; }
        fill();
        memset(a + to, (int)(n + 200u), n);
        for (unsigned i = 0; i < n; ++i) { b[to + i] = (uint8_t)(n + 200u); }
        if (differ()) { return 3; }
      }
    }
  }
  fill();
  if (memcmp(a, b, 96) != 0) { return 4; }
  b[5] = 255;
  if (memcmp(a, b, 96) >= 0 || memcmp(b, a, 96) <= 0 || memcmp(a, b, 5) != 0) { return 5; }
  return 0;
}
"""
    run(toy.firmware(name, {"add_one.c": check}, toolchain=compiler), [toy.INPUT])


@pytest.mark.parametrize("name", ["cortex-m0plus", "rv32imc"])
def test_soft_floats_and_long_division(name: str) -> None:
    """What the core lacks comes from the compiler's library; it is linked only where needed."""
    body = """
#include "toy.h"
int layer_1(void) {
  volatile float f = 1.5f;
  volatile int64_t n = 1000000000000;
  f = f * 3.0f / 2.0f;
  return (f > 2.24f && f < 2.26f && n / 7 == 142857142857) ? 0 : 1;
}
"""
    run(toy.firmware(name, {"add_one.c": body}), [toy.INPUT])


def test_unchanged_sources_are_not_compiled_again(fresh_cache: Path, calls: list[str]) -> None:
    first = compile_firmware(toy.SOURCES, M4)
    assert calls.count("compiling") == 5  # three sources, start-up, memory functions
    calls.clear()
    assert compile_firmware(toy.SOURCES, M4) == first
    assert calls == ["linking"]
    calls.clear()
    compile_firmware({**toy.SOURCES, "add_one.c": toy.ADD_ONE + "\n"}, M4)
    assert calls == ["compiling", "linking"]
    calls.clear()
    compile_firmware({**toy.SOURCES, "toy.h": toy.HEADER + "\n"}, M4)
    assert calls.count("compiling") == 3
    calls.clear()
    compile_firmware(toy.SOURCES, M4, optimize="flash")
    assert calls.count("compiling") == 5


def test_a_cache_that_cannot_be_written_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    monkeypatch.setenv("MILLIWATT_CACHE", str(blocker / "below"))
    assert compile_firmware(toy.SOURCES, M4).code_bytes > 0
    assert blocker.read_text() == "not a folder"


def test_a_relative_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MILLIWATT_CACHE", "some/cache")
    assert cache_dir() == tmp_path / "some" / "cache"
    assert compile_firmware(toy.SOURCES, M4) == compile_firmware(toy.SOURCES, M4)
    assert any((tmp_path / "some" / "cache" / "objects").iterdir())
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MILLIWATT_CACHE", "~/c")
    assert cache_dir() == tmp_path / "c"


def zig_on_a_full_disk(folder: Path, where: str) -> list[str]:
    """A zig that fails half-way, as on a full disk, if its cache lies below `where`."""
    program = folder / "zig"
    program.write_text(
        "#!/bin/sh\n"
        'test "$1" = version && exec ' + zig_command()[0] + ' "$@"\n'
        f'case "$ZIG_LOCAL_CACHE_DIR" in {where}*)\n'
        '  d=$ZIG_LOCAL_CACHE_DIR/$(echo tmp); mkdir -p "$d"; echo half > "$d/0123"\n'
        '  echo "error: unable to build: NoSpaceLeft" >&2; exit 1;;\n'
        "esac\n"
        "exec " + zig_command()[0] + ' "$@"\n'
    )
    program.chmod(0o755)
    return [str(program)]


def test_a_full_disk_under_the_cache(
    fresh_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The build goes on in the temporary folder and nothing half-written stays in the cache."""
    command = zig_on_a_full_disk(tmp_path, str(fresh_cache))
    monkeypatch.setattr(toolchain, "zig_command", lambda: command)
    assert compile_firmware(toy.SOURCES, M4).code_bytes > 0
    assert not (fresh_cache / "zig" / "tmp").exists()


def test_little_room_under_the_cache(
    fresh_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where too little is free zig does not try."""
    monkeypatch.setattr(toolchain, "_ROOM_BYTES", 1 << 62)
    assert compile_firmware(toy.SOURCES, M4).code_bytes > 0
    assert list((fresh_cache / "zig").iterdir()) == []


def test_a_full_disk_everywhere(
    fresh_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = zig_on_a_full_disk(tmp_path, "/")
    monkeypatch.setattr(toolchain, "zig_command", lambda: command)
    with pytest.raises(MilliwattError, match="no space left to build in; .*TMPDIR") as caught:
        compile_firmware(toy.SOURCES, M4)
    assert "MILLIWATT_CACHE, now " + str(fresh_cache) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_only_a_full_disk_is_explained() -> None:
    with pytest.raises(PermissionError), workspace():
        raise PermissionError(errno.EACCES, "no")


def test_the_counting_hook_is_kept_by_compiler(
    fresh_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other flags or another compiler: another file."""
    load = counter.hooks.__wrapped__
    load()
    load()
    assert len(list((fresh_cache / "objects").iterdir())) == 1
    monkeypatch.setattr(counter, "_FLAGS", (*counter._FLAGS, "-O1"))
    load()
    assert len(list((fresh_cache / "objects").iterdir())) == 2
    monkeypatch.setattr(counter, "compiler_version", lambda *_: "other 1.0")
    load()
    assert len(list((fresh_cache / "objects").iterdir())) == 3


def test_a_full_cache_keeps_nothing_half_written(
    fresh_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    made = cached("x.o", lambda path: path.write_bytes(b"object") and None, tmp_path)
    assert made == tmp_path / "x.o"
    assert made.read_bytes() == b"object"
    assert list((fresh_cache / "objects").iterdir()) == []


def test_old_objects_are_dropped(
    fresh_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("milliwatt.compiler.cache._KEEP", 4)
    for i in range(6):
        cached(f"{i}.o", lambda path: path.write_bytes(b"x") and None, tmp_path)
        os.utime(fresh_cache / "objects" / f"{i}.o", (i, i))
    assert {p.name for p in (fresh_cache / "objects").iterdir()} == {"3.o", "4.o", "5.o"}


def test_objects_in_use_are_not_dropped(
    fresh_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However full the cache: another process may be about to link what it has just made."""
    monkeypatch.setattr("milliwatt.compiler.cache._KEEP", 4)
    for i in range(8):
        cached(f"{i}.o", lambda path: path.write_bytes(b"x") and None, tmp_path)
    assert len(list((fresh_cache / "objects").iterdir())) == 8


def test_keys_do_not_run_together() -> None:
    assert key("ab", "c") != key("a", "bc")


def test_cache_folder_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MILLIWATT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_dir() == Path("/somewhere/milliwatt")


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
def test_a_source_that_does_not_compile(compiler: str) -> None:
    with pytest.raises(MilliwattError, match=r"compiling scale.c failed: .*error") as caught:
        compile_firmware(
            {**toy.SOURCES, "scale.c": "int layer_0(void) { return x; }"}, M4, toolchain=compiler
        )
    assert "\n" not in str(caught.value)
    assert "scale.c" in caught.value.__notes__[0]


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
def test_warnings_are_errors(compiler: str) -> None:
    bad = toy.SCALE.replace("(int8_t)(in[i] * weights[i])", "in[i] * weights[i] + i")
    with pytest.raises(MilliwattError, match="conversion"):
        compile_firmware({**toy.SOURCES, "scale.c": bad}, M4, toolchain=compiler)


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
def test_a_missing_function(compiler: str) -> None:
    sources = {k: v for k, v in toy.SOURCES.items() if k != "scale.c"}
    with pytest.raises(
        MilliwattError, match=r"linking for nucleo-l4r5zi failed: .*layer_0"
    ) as caught:
        compile_firmware(sources, M4, toolchain=compiler)
    assert "\n" not in str(caught.value)


def test_missing_compilers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ToolMissing, match="apt-get install gcc-arm-none-eabi"):
        compile_firmware(toy.SOURCES, M4, toolchain="gcc")
    with pytest.raises(ToolMissing, match="apt-get install gcc "):
        compile_firmware(toy.SOURCES, board("host"), toolchain="gcc")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ToolMissing, match="pip install 'milliwatt"):
        compile_firmware(toy.SOURCES, M4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"toolchain": "tcc"}, "toolchain is 'tcc'; one of zig, gcc wanted"),
        ({"optimize": "fast"}, "optimize is 'fast'; one of speed, ram, flash, balanced wanted"),
        ({"stack_bytes": 100}, "stack_bytes is 100; a positive multiple of 8 wanted"),
    ],
)
def test_wrong_options(options: dict, message: str) -> None:
    with pytest.raises(BadData, match=message):
        compile_firmware(toy.SOURCES, M4, **options)


@pytest.mark.parametrize("path", ["../evil.c", "/etc/evil.c", ""])
def test_sources_stay_in_their_folder(path: str) -> None:
    with pytest.raises(BadData, match="leaves the build folder"):
        compile_firmware({**toy.SOURCES, path: "int evil;"}, M4)


def test_what_does_not_fit_is_linked_and_measured() -> None:
    big = '#include "toy.h"\nextern uint8_t big[900000];\nuint8_t big[900000];\n'
    flash = "extern const uint8_t table[3000000];\nconst uint8_t table[3000000] = {1};\n"
    body = "int layer_1(void) { volatile int i = 0; return big[i] + table[i + 1]; }\n"
    linked = compile_firmware({**toy.SOURCES, "add_one.c": big + flash + body}, M4)
    assert linked.bss_bytes > 900000
    with pytest.raises(DoesNotFit) as caught:
        verify_fits(linked, M4, largest="the largest tensor is conv1")
    text = str(caught.value)
    assert text.startswith("nucleo-l4r5zi: ")
    assert f"{linked.flash_bytes - M4.flash_bytes:,} bytes of flash are missing" in text
    assert f"{linked.ram_bytes - M4.ram_bytes:,} bytes of RAM are missing" in text
    assert text.endswith("; the largest tensor is conv1")
    verify_fits(linked, board("host"))


def test_an_exact_fit() -> None:
    linked = Linked(b"", "", (), 0x200000 - 8, 4, 4, 0xA0000 - 2052, 2048)
    verify_fits(linked, M4)
    with pytest.raises(
        DoesNotFit, match=r"^nucleo-l4r5zi: 1 bytes of flash are missing \(2,097,153"
    ):
        verify_fits(Linked(b"", "", (), 0x200000 - 7, 4, 4, 0, 2048), M4)


def test_the_stack_is_named_where_ram_is_missing() -> None:
    small = Linked(b"", "", (), 0, 0, 0, 0xA0000 - 2040, 2048)
    with pytest.raises(
        DoesNotFit,
        match=r"8 bytes of RAM are missing \(653,320 bytes \+ 2,048 for the stack, of 655,360\)",
    ):
        verify_fits(small, M4)


def test_an_image_that_is_no_elf() -> None:
    with pytest.raises(BadData, match="3 bytes, not ELF"):
        read_elf(b"abc")


@pytest.mark.parametrize("flags", [("-fsanitize=address,undefined",)])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_counting_hook_is_clean(tmp_path: Path, compiler: str, flags: tuple[str, ...]) -> None:
    """counter.c compiles without a warning and its caches run clean under the sanitizers."""
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    main = r"""
#include <stdlib.h>
#include "counter.h"
static int reg(void *engine, int number, void *value) {
  (void)engine; (void)number;
  *(uint32_t *)value = 0x20000400u;
  return 0;
}
static int stop(void *engine) { (void)engine; return 0; }
int main(void) {
  enum { LAYERS = 2, BLOCKS = 64, LINES = 32, SETS = 4 };
  static uint32_t index[513], line_of[LINES], used[LINES], valid[LINES];
  static uint16_t slot_of[1024 * 1024 / 32 + 1];
  static mw_block blocks[BLOCKS];
  static uint64_t cells[2][(LAYERS + 1) * BLOCKS], rows[4][LAYERS + 1];
  const uint32_t entry[LAYERS] = {0x08000010u, 0x08000020u};
  static mw_counter c;
  c.reg_read = reg; c.emu_stop = stop;
  c.code_base = 0x08000000u; c.code_bytes = 1024; c.index = index;
  c.blocks = blocks; c.block_capacity = BLOCKS; c.layer_count = LAYERS; c.layer_entry = entry;
  c.layer = LAYERS; c.return_address = UINT32_MAX; c.stack_low = UINT32_MAX;
  c.entries = cells[0]; c.falls = cells[1];
  c.calls = rows[0]; c.extra = rows[1]; c.stalls = rows[2]; c.split = rows[3];
  c.flash_base = 0x08000000u; c.flash_bytes = 1024 * 1024; c.wait_states = 5; c.read_shift = 4;
  for (int i = 0; i < LINES; ++i) { line_of[i] = UINT32_MAX; }
  c.icache.ways = LINES / SETS; c.icache.set_mask = SETS - 1; c.icache.line_shift = 5;
  c.icache.slot_of = slot_of; c.icache.line_of = line_of; c.icache.used = used;
  c.icache.valid = valid;
  c.data = &c.icache;
  c.budget = 1u << 30;
  uint32_t seed = 1;
  uint64_t entered = 0;
  for (int i = 0; i < 200000; ++i) {
    seed = seed * 1664525u + 1013904223u;
    c.fault = MW_FAULT_NONE;
    mw_on_block(0, 0x08000000u + (seed >> 21) * 2u, 2u + (seed >> 5 & 62u), &c);
    mw_on_access(0, 0, 0x08000000u + (seed >> 12), 1 << (seed & 3u), 0, &c);
  }
  for (int i = 0; i < (LAYERS + 1) * BLOCKS; ++i) { entered += cells[0][i]; }
  /* The table is full after 64 blocks and half the addresses lie behind the code. */
  return c.block_count == BLOCKS && entered > 0 && rows[2][LAYERS] > 0 ? 0 : 1;
}
"""
    (tmp_path / "main.c").write_text(main)
    folder = Path(toolchain.__file__).parents[1] / "emulate"
    warnings = [w for w in toolchain.WARNINGS if w != "-Wmissing-prototypes"]
    command = [compiler, *warnings, "-g", "-O1", *flags, "-fno-sanitize-recover=all", f"-I{folder}"]
    program = tmp_path / "program"
    subprocess.run(
        [*command, str(tmp_path / "main.c"), *map(str, folder.glob("*.c")), "-o", str(program)],
        check=True,
    )
    assert subprocess.run([str(program)], check=False).returncode == 0
