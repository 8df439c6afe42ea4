"""Read what the linker made: section sizes, symbols, and the bytes to load."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from milliwatt.compiler.firmware import Symbol
from milliwatt.errors import BadData, ToolMissing

_ALLOC, _EXEC, _WRITE = 0x2, 0x4, 0x1


@dataclass(frozen=True)
class Segment:
    """Bytes that lie at `address` before the program starts (`.data` at its place in flash)."""

    address: int
    data: bytes


@dataclass(frozen=True)
class Elf:
    """Section sizes in bytes, symbols sorted by address, and the segments that are loaded."""

    code_bytes: int
    rodata_bytes: int
    data_bytes: int
    bss_bytes: int
    stack_bytes: int
    symbols: tuple[Symbol, ...]
    labels: dict[str, int]
    segments: tuple[Segment, ...]


def read_elf(image: bytes) -> Elf:
    """Parse an ELF executable or shared library. BadData where the bytes are not one."""
    try:
        from elftools.common.exceptions import ELFError
        from elftools.elf.elffile import ELFFile
    except ImportError:
        raise ToolMissing(
            "pyelftools is not installed; run: pip install 'milliwatt[emulate]'"
        ) from None
    try:
        elf = ELFFile(io.BytesIO(image))
    except ELFError as error:
        raise BadData(f"firmware image: {len(image)} bytes, not ELF ({error})") from None
    sizes = dict.fromkeys(("text", "rodata", "data", "bss", "stack"), 0)
    kinds: dict[int, str] = {}
    for index, section in enumerate(elf.iter_sections()):
        kind = _kind(section)
        if kind:
            kinds[index] = kind
            sizes[kind] += section["sh_size"]
    table = elf.get_section_by_name(".symtab") or elf.get_section_by_name(".dynsym")
    symbols, labels = _symbols(table, kinds)
    segments = tuple(
        Segment(segment["p_paddr"], segment.data())
        for segment in elf.iter_segments()
        if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]
    )
    return Elf(
        code_bytes=sizes["text"],
        rodata_bytes=sizes["rodata"],
        data_bytes=sizes["data"],
        bss_bytes=sizes["bss"],
        stack_bytes=sizes["stack"],
        symbols=symbols,
        labels=labels,
        segments=segments,
    )


def _kind(section: Any) -> str | None:
    """text, rodata, data, bss or stack; None for a section that takes no memory."""
    flags = section["sh_flags"]
    if not flags & _ALLOC:
        return None
    if section.name == ".stack":
        return "stack"
    if flags & _EXEC:
        return "text"
    if not flags & _WRITE:
        return "rodata"
    return "bss" if section["sh_type"] == "SHT_NOBITS" else "data"


def _symbols(table: Any, kinds: dict[int, str]) -> tuple[tuple[Symbol, ...], dict[str, int]]:
    """Functions and objects with a size, and every name's address (Thumb bit cleared)."""
    symbols: list[Symbol] = []
    labels: dict[str, int] = {}
    for entry in table.iter_symbols() if table else ():
        info, address = entry["st_info"]["type"], entry["st_value"]
        if not entry.name or entry.name.startswith("$"):
            continue
        if info == "STT_FUNC":
            address &= ~1
        labels[entry.name] = address
        kind = kinds.get(entry["st_shndx"])
        if kind and kind != "stack" and info in ("STT_FUNC", "STT_OBJECT") and entry["st_size"]:
            symbols.append(Symbol(entry.name, address, entry["st_size"], kind))
    return tuple(sorted(symbols, key=lambda s: (s.address, s.name))), labels
