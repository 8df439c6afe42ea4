"""Sources and a board in, a linked image out. Compilers: zig cc (a Python wheel) or gcc."""

from __future__ import annotations

import errno
import functools
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from milliwatt.compiler.board import Board
from milliwatt.compiler.cache import cache_dir, cached, key, says_full, workspace
from milliwatt.compiler.elf import read_elf
from milliwatt.compiler.firmware import Symbol
from milliwatt.errors import BadData, DoesNotFit, MilliwattError, ToolMissing

TOOLCHAINS = ("zig", "gcc")
OPTIMIZE = {"speed": "-O2", "ram": "-O2", "flash": "-Os", "balanced": "-O2"}
STACK_BYTES = 2048
"""Stack reserve at the bottom of RAM unless the caller asks for another."""

WARNINGS = (
    "-std=c99",
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Wmissing-prototypes",
    "-pedantic",
    "-Werror",
)
# -ffp-contract=off: a fused multiply-add rounds once and would break equality with the reference.
_CODE = (
    "-ffunction-sections",
    "-fdata-sections",
    "-ffp-contract=off",
    "-fomit-frame-pointer",
    "-g0",
)
# The kernels write loads next to each other, because neighbours pipeline on Cortex-M; these keep
# gcc from moving each load to its use (4 to 18 % of the cycles of whole networks).
_GCC_ORDER = ("-fno-schedule-insns", "-fno-schedule-insns2", "-fno-tree-ter")
_ENTRIES = ("mw_arena", "mw_firmware_init", "mw_firmware_run")
_ROOM_BYTES = 32 << 20
"""Below this zig works in a temporary folder: its library for a core takes some 10 MB."""
_DEVICE = Path(__file__).resolve().parent.parent / "kernels" / "device"


@dataclass(frozen=True)
class _Compiler:
    """A compiler driver that is installed: "zig" or "gcc", its command, its name with version."""

    kind: str
    command: tuple[str, ...]
    described: str


@dataclass(frozen=True)
class _Target:
    """How each compiler is told about a core: flags without and with a floating-point unit."""

    zig: str
    zig_cpu: tuple[str, str]
    gcc: tuple[str, ...]
    gcc_fpu: str


# zig's cortex_m* models leave the FPU out, so it is named; single precision only, as on most parts.
_TARGETS = {
    "cortex-m0plus": _Target(
        "thumb-freestanding", ("cortex_m0plus",) * 2, ("-mcpu=cortex-m0plus",), ""
    ),
    "cortex-m3": _Target("thumb-freestanding", ("cortex_m3",) * 2, ("-mcpu=cortex-m3",), ""),
    "cortex-m4": _Target(
        "thumb-freestanding",
        ("cortex_m4", "cortex_m4+vfp4d16sp"),
        ("-mcpu=cortex-m4",),
        "fpv4-sp-d16",
    ),
    "cortex-m7": _Target(
        "thumb-freestanding",
        ("cortex_m7", "cortex_m7+fp_armv8d16sp"),
        ("-mcpu=cortex-m7",),
        "fpv5-sp-d16",
    ),
    "cortex-m33": _Target(
        "thumb-freestanding",
        ("cortex_m33+dsp", "cortex_m33+dsp+fp_armv8d16sp"),
        ("-mcpu=cortex-m33",),
        "fpv5-sp-d16",
    ),
    "rv32imc": _Target(
        "riscv32-freestanding-none",
        ("generic_rv32+m+c",) * 2,
        ("-march=rv32imc", "-mabi=ilp32"),
        "",
    ),
}


@dataclass(frozen=True)
class Linked:
    """A linked image with its section sizes in bytes.

    `image` is an ELF executable (a shared library for the host board), `toolchain` names the
    compiler with its version. Flash holds code, constants and the initial values of `.data`; RAM
    holds `.data`, `.bss` and the stack reserve.
    """

    image: bytes
    toolchain: str
    symbols: tuple[Symbol, ...]
    code_bytes: int
    rodata_bytes: int
    data_bytes: int
    bss_bytes: int
    stack_bytes: int

    @property
    def flash_bytes(self) -> int:
        """Flash the image takes."""
        return self.code_bytes + self.rodata_bytes + self.data_bytes

    @property
    def static_ram_bytes(self) -> int:
        """RAM with a fixed address, the arena included, the stack not."""
        return self.data_bytes + self.bss_bytes

    @property
    def ram_bytes(self) -> int:
        """All RAM the image claims: static and stack reserve."""
        return self.static_ram_bytes + self.stack_bytes


def compile_firmware(
    sources: Mapping[str, str],
    board: Board,
    *,
    toolchain: str = "zig",
    optimize: str = "speed",
    stack_bytes: int = STACK_BYTES,
) -> Linked:
    """Compile and link C99 sources (relative path -> text) for a board.

    The sources define `uint8_t mw_arena[]`, `int mw_firmware_init(void)`, `int
    mw_firmware_run(void)` and `int main(void)`; start-up code, memory functions and the memory map
    are added here. For the host board the result is a shared library. Objects are kept in the
    user's cache by content.

    Args: toolchain: "zig" or "gcc". optimize: a key of OPTIMIZE. stack_bytes: reserve, multiple
    of 8.
    Raises: ToolMissing without the compiler; MilliwattError where the C does not compile or link,
    or the disk is full; BadData for an unknown option. Whether the image fits is `verify_fits`'s
    question.
    """
    if optimize not in OPTIMIZE:
        raise BadData(f"optimize is {optimize!r}; one of {', '.join(OPTIMIZE)} wanted")
    if stack_bytes <= 0 or stack_bytes % 8:
        raise BadData(f"stack_bytes is {stack_bytes}; a positive multiple of 8 wanted")
    compiler = _compiler(toolchain, board)
    files = {**sources, **_device_sources(board)}
    flags = _flags(compiler, board, optimize)
    own_header = (_DEVICE / "include" / "string.h").read_text(encoding="utf-8")
    with workspace() as work:
        _write(files, work)

        def build(path: str) -> Path:
            extra = ["-fno-builtin"] if path == "mw_device/memory.c" else []
            name = (
                key(compiler.described, *flags, *extra, own_header, path, *_closure(path, files))
                + ".o"
            )
            return cached(name, lambda made: _compile([*flags, *extra], path, made, work), work)

        units = sorted(path for path in files if path.endswith(".c"))
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            objects = list(pool.map(build, units))
        image = _link(compiler, board, objects, work, stack_bytes)
    elf = read_elf(image)
    return Linked(
        image=image,
        toolchain=compiler.described,
        symbols=elf.symbols,
        code_bytes=elf.code_bytes,
        rodata_bytes=elf.rodata_bytes,
        data_bytes=elf.data_bytes,
        bss_bytes=elf.bss_bytes,
        stack_bytes=elf.stack_bytes,
    )


def object_bytes(
    path: str,
    sources: Mapping[str, str],
    board: Board,
    *,
    toolchain: str = "zig",
    optimize: str = "speed",
) -> int:
    """Code and constants of one source, compiled as `compile_firmware` does; errors as there.

    `sources` (relative path -> text) hold it and the headers that it includes.
    """
    compiler = _compiler(toolchain, board)
    with workspace() as work:
        _write(sources, work)
        made = work / "object.o"
        _compile(_flags(compiler, board, optimize), path, made, work)
        elf = read_elf(made.read_bytes())
    return elf.code_bytes + elf.rodata_bytes + elf.data_bytes


def _flags(compiler: _Compiler, board: Board, optimize: str) -> list[str]:
    """The compiler's command with all that an object's code depends on."""
    target = _target_flags(compiler.kind, board)
    return [*compiler.command, OPTIMIZE[optimize], *WARNINGS, *_CODE, *target]


def _write(files: Mapping[str, str], work: Path) -> None:
    """Put sources into the build folder."""
    for path, text in files.items():
        target = work / "src" / _safe(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def verify_fits(linked: Linked, board: Board, *, largest: str = "") -> None:
    """Raise DoesNotFit where the image needs more flash or RAM than the board has.

    The message says how much is missing in which memory, the stack reserve apart; `largest` is
    appended (the caller knows the tensors). A board with 0 bytes of a memory does not limit it.
    """
    lines = []
    parts = f"{linked.static_ram_bytes:,} bytes + {linked.stack_bytes:,} for the stack,"
    for memory, needed, available, found in (
        ("flash", linked.flash_bytes, board.flash_bytes, f"{linked.flash_bytes:,}"),
        ("RAM", linked.ram_bytes, board.ram_bytes, parts),
    ):
        if available and needed > available:
            short = needed - available
            lines.append(f"{short:,} bytes of {memory} are missing ({found} of {available:,})")
    if lines:
        tail = f"; {largest}" if largest else ""
        raise DoesNotFit(f"{board.name}: {' and '.join(lines)}{tail}")


def zig_command() -> list[str]:
    """The command that runs zig, from the ziglang wheel or the path; ToolMissing without one."""
    spec = importlib.util.find_spec("ziglang")
    if spec and spec.origin:
        binary = Path(spec.origin).parent / ("zig.exe" if os.name == "nt" else "zig")
        if binary.is_file():
            return [str(binary)]
    found = shutil.which("zig")
    if not found:
        raise ToolMissing("zig is not installed; run: pip install 'milliwatt[emulate]'")
    return [found]


@functools.cache
def compiler_version(binary: str, argument: str) -> str:
    """What a compiler says its version is."""
    done = subprocess.run([binary, argument], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _compiler(toolchain: str, board: Board) -> _Compiler:
    """Find the compiler for a board; BadData for an unknown kind, ToolMissing if not installed."""
    if toolchain not in TOOLCHAINS:
        raise BadData(f"toolchain is {toolchain!r}; one of {', '.join(TOOLCHAINS)} wanted")
    if toolchain == "zig":
        zig = zig_command()
        return _Compiler("zig", (*zig, "cc"), f"zig cc {compiler_version(zig[0], 'version')}")
    names: tuple[str, ...] = ("riscv64-unknown-elf-gcc", "riscv32-unknown-elf-gcc")
    hint = "apt-get install gcc-riscv64-unknown-elf"
    if board.is_host:
        names, hint = ("gcc", "cc"), "apt-get install gcc"
    elif board.is_arm:
        names, hint = ("arm-none-eabi-gcc",), "apt-get install gcc-arm-none-eabi"
    for name in names:
        found = shutil.which(name)
        if found:
            described = f"{name} {compiler_version(found, '-dumpfullversion')}"
            return _Compiler("gcc", (found,), described)
    raise ToolMissing(f"{names[0]} is not installed; run: {hint} (or use toolchain zig)")


def _target_flags(toolchain: str, board: Board) -> list[str]:
    """Flags that select core, floating-point unit and freestanding mode."""
    if board.is_host:
        return ["-fPIC"]
    target = _TARGETS[board.core]
    hard = board.fpu and bool(target.gcc_fpu)
    if toolchain == "zig":
        abi = ("-eabihf" if hard else "-eabi") if board.is_arm else ""
        return [
            *("-target", target.zig + abi, f"-mcpu={target.zig_cpu[hard]}"),
            *("-ffreestanding", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables"),
            *("-isystem", str(_DEVICE / "include")),
        ]
    flags = [*target.gcc, "-ffreestanding"]
    if board.is_arm:
        flags += [*_GCC_ORDER, "-mthumb", f"-mfloat-abi={'hard' if hard else 'soft'}"]
        flags += [f"-mfpu={target.gcc_fpu}"] if hard else []
    return flags


def _device_sources(board: Board) -> dict[str, str]:
    """Start-up code and memory functions; none on the host, whose C library has them."""
    if board.is_host:
        return {}
    start = "startup_arm.c" if board.is_arm else "startup_riscv.c"
    return {
        f"mw_device/{name}": (_DEVICE / name).read_text(encoding="utf-8")
        for name in (start, "memory.c")
    }


def _safe(path: str) -> Path:
    """A source path that stays inside the build folder."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise BadData(f"source path {path!r} leaves the build folder; a relative path wanted")
    return Path(*pure.parts)


def _closure(path: str, files: Mapping[str, str]) -> list[str]:
    """The texts an object depends on: its source and, recursively, the headers it names."""
    by_name: dict[str, list[str]] = {}
    for name in files:
        by_name.setdefault(PurePosixPath(name).name, []).append(name)
    seen, queue = {path: None}, [path]
    while queue:
        for header in re.findall(r'^\s*#\s*include\s*["<]([^">]+)[">]', files[queue.pop()], re.M):
            for name in by_name.get(PurePosixPath(header).name, ()):
                if name not in seen:
                    seen[name] = None
                    queue.append(name)
    return [text for name in sorted(seen) for text in (name, files[name])]


def _run(command: Sequence[str | Path], work: Path, what: str) -> None:
    """Run a compiler; on failure raise one line with its first error, the rest as a note.

    OSError where the disk of `work` is full; a full disk under the cache is passed over.
    """
    own, spare = cache_dir() / "zig", work / "zig"
    first_place = own if _has_room(own) else spare
    done = _spawn(command, work, first_place)
    if done.returncode and first_place == own and says_full(done.stderr):
        shutil.rmtree(own / "tmp", ignore_errors=True)  # what zig could not write to its end
        done = _spawn(command, work, spare)
    if done.returncode and says_full(done.stderr):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(work))
    if done.returncode:
        text = done.stderr.strip() or f"exit status {done.returncode}"
        lines = text.splitlines()
        telling = (line for line in lines if re.search("error:|undefined reference", line))
        first = next((line for line in telling if "collect2" not in line), lines[0])
        # Only a section beyond the 32 MiB of link.ld.in gets here; verify_fits judges the rest.
        kind = DoesNotFit if "will not fit in region" in text else MilliwattError
        error = kind(f"{what} failed: {first.strip()}")
        error.add_note(text)
        raise error


def _has_room(folder: Path) -> bool:
    """Whether zig can work in a cache folder, which is made here."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free >= _ROOM_BYTES
    except OSError:
        return False


def _spawn(
    command: Sequence[str | Path], work: Path, zig_cache: Path
) -> subprocess.CompletedProcess[str]:
    """Run a compiler in `work`, with its temporary files, its own cache in `zig_cache`."""
    place = str(zig_cache)
    caches = {"ZIG_GLOBAL_CACHE_DIR": place, "ZIG_LOCAL_CACHE_DIR": place}
    env = {**os.environ, **caches, "TMPDIR": str(work)}
    return subprocess.run(
        [str(part) for part in command],
        cwd=work,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def _compile(flags: Sequence[str], path: str, made: Path, work: Path) -> None:
    """Compile one source of the build folder; every folder with headers is on the include path."""
    source = work / "src"
    folders = sorted({str(p.parent.relative_to(source)) for p in source.rglob("*.h")})
    includes = [f"-I{Path('src') / folder}" for folder in folders]
    command = [*flags, *includes, "-c", str(Path("src") / path), "-o", str(made)]
    _run(command, work, f"compiling {path}")


def _link(
    compiler: _Compiler, board: Board, objects: Sequence[Path], work: Path, stack_bytes: int
) -> bytes:
    """Link objects and return the image's bytes."""
    made = work / ("firmware.so" if board.is_host else "firmware.elf")
    common: list[str | Path] = [*compiler.command, *_target_flags(compiler.kind, board), "-g0"]
    common += [*objects, "-o", made]
    what = f"linking for {board.name}"
    if board.is_host:
        # What is left undefined (memcpy) the C library of the loading process provides.
        _run([*common, "-shared", "-nostdlib", "-Wl,-Bsymbolic"], work, what)
        return made.read_bytes()
    script = (_DEVICE / "link.ld.in").read_text(encoding="utf-8")
    for name, value in (
        ("FLASH_BASE", hex(board.flash_base)),
        ("RAM_BASE", hex(board.ram_base)),
        ("STACK_BYTES", str(stack_bytes)),
    ):
        script = script.replace(f"@{name}@", value)
    (work / "link.ld").write_text(script, encoding="utf-8")
    keep = [f"-Wl,-u,{name}" for name in _ENTRIES]
    options = ["-Wl,-e,Reset_Handler", *keep, "-Wl,--gc-sections", "-T", "link.ld"]
    if compiler.kind == "gcc":
        # -n: no page alignment, or GNU ld puts the ELF headers in front of the first section.
        options += ["-nostartfiles", "-nostdlib", "-Wl,-n", "-Wl,--no-warn-rwx-segments"]
        _run([*common, *options, "-lgcc"], work, what)
        return made.read_bytes()
    try:
        _run([*common, *options, "-nostdlib"], work, what)
    except MilliwattError as error:
        # Soft floats and 64-bit division live in zig's compiler_rt, which costs seconds the first
        # time it is built for a core: link it only where it is missed.
        if "undefined symbol: __" not in "\n".join(getattr(error, "__notes__", [])):
            raise
        _run([*common, *options], work, what)
    return made.read_bytes()
