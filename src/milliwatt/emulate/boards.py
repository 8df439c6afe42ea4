"""Boards by name or by TOML file. The files in `boards/` are the list; nothing else is."""

from __future__ import annotations

import difflib
import functools
import re
import tomllib
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any

from milliwatt.compiler.board import CORES, Board, Cache, FlashTiming
from milliwatt.errors import BadData

_TABLES: dict[str, dict[str, type | tuple[type, ...]]] = {
    "": {"name": str, "title": str, "core": str, "clock_hz": int, "fpu": bool, "dsp": bool},
    "memory": {"flash_base": int, "flash_bytes": int, "ram_base": int, "ram_bytes": int},
    "flash": {
        "wait_states": int,
        "read_bits": int,
        "prefetch": bool,
        "whole_line": bool,
        "unified": bool,
        "icache": dict,
        "dcache": dict,
    },
    "power": {"active_mw": (int, float), "sleep_mw": (int, float)},
    "timing": {"error_percent": (int, float)},
}
_OPTIONAL = {"flash", "power", *_TABLES["flash"], *_TABLES["power"]}
_SOURCED = ("clock_hz", "memory", "flash", "active_mw", "sleep_mw", "error_percent")


def board(name: str | Path) -> Board:
    """Return the board called `name`, or the one a TOML file at that path describes.

    Raises: BadData for an unknown name (the nearest one is suggested) or a wrong file.
    """
    if str(name).endswith(".toml"):
        path = Path(name)
        try:
            return _parse(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise BadData(f"board file {path}: cannot be read ({error})") from None
    table = _shipped()
    if str(name) in table:
        return table[str(name)]
    wanted = str(name).lower()
    near = [known for known in sorted(table) if wanted and wanted in known]
    near = near or difflib.get_close_matches(wanted, table, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"known boards: {', '.join(sorted(table))}"
    raise BadData(f"board {str(name)!r} is not known; {hint} (`mw boards` lists them)")


def boards() -> tuple[Board, ...]:
    """Every board that milliwatt ships, sorted by name."""
    return tuple(_shipped()[name] for name in sorted(_shipped()))


@functools.cache
def _shipped() -> dict[str, Board]:
    folder = resources.files("milliwatt.emulate").joinpath("boards")
    found = [
        _parse(entry.read_text(encoding="utf-8"), entry.name)
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    ]
    return {b.name: b for b in found}


def _parse(text: str, where: str) -> Board:
    """Build a Board from TOML text; BadData names file, key, what it holds, what is allowed."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadData(f"board file {where}: not TOML ({error})") from None
    tables: dict[str, dict[str, Any]] = {"": {}}
    for key, value in data.items():
        if key in _TABLES and isinstance(value, dict):
            tables[key] = value
        elif key != "sources":
            tables[""][key] = value
    for table, keys in _TABLES.items():
        if table not in tables and table not in _OPTIONAL:
            raise BadData(f"board file {where}: table [{table}] is missing")
        _check_table(where, table, tables.get(table, {}), keys)
    top, memory, power = tables[""], tables["memory"], tables.get("power", {})
    if top["core"] not in CORES:
        raise BadData(f"board file {where}: core is {top['core']!r}; one of {', '.join(CORES)}")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", top["name"]):
        raise BadData(
            f"board file {where}: name is {top['name']!r}; letters, digits, dots and dashes wanted"
        )
    sources = _sources(where, data.get("sources"), power, top["core"])
    return Board(
        name=top["name"],
        title=top["title"],
        core=top["core"],
        clock_hz=top["clock_hz"],
        fpu=top["fpu"],
        dsp=top["dsp"],
        flash=_flash(where, tables.get("flash", {})),
        active_power_mw=power.get("active_mw"),
        sleep_power_mw=power.get("sleep_mw"),
        error_percent=tables["timing"]["error_percent"],
        sources=sources,
        **memory,
    )


def _check_table(
    where: str, table: str, found: dict[str, Any], keys: dict[str, type | tuple[type, ...]]
) -> None:
    """Refuse unknown, missing, mistyped and negative entries of one TOML table."""
    prefix = f"{table}." if table else ""
    for key, value in found.items():
        if key not in keys:
            near = difflib.get_close_matches(key, keys, n=1)
            hint = f"did you mean {prefix}{near[0]}?" if near else f"allowed: {', '.join(keys)}"
            raise BadData(f"board file {where}: {prefix}{key} is not a key; {hint}")
        kind = keys[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            wanted = "number" if isinstance(kind, tuple) else kind.__name__
            raise BadData(f"board file {where}: {prefix}{key} is {value!r}; {wanted} wanted")
        if isinstance(value, (int, float)) and not value >= 0:
            raise BadData(f"board file {where}: {prefix}{key} is {value}; 0 or more wanted")
    for key in keys:
        if key not in found and key not in _OPTIONAL:
            raise BadData(f"board file {where}: {prefix}{key} is missing")
    if not table and found["clock_hz"] == 0:
        raise BadData(f"board file {where}: clock_hz is 0; the core's frequency in Hz wanted")


def _sources(where: str, found: Any, power: dict[str, Any], core: str) -> dict[str, str]:
    """The [sources] table: a text for every group of numbers the file gives."""
    if not isinstance(found, dict) or not all(isinstance(v, str) and v for v in found.values()):
        raise BadData(f"board file {where}: [sources] must give a text for each number's origin")
    unknown = set(found) - set(_SOURCED)
    if unknown:
        allowed = ", ".join(_SOURCED)
        raise BadData(
            f"board file {where}: sources.{min(unknown)} is not a key; allowed: {allowed}"
        )
    for key in _SOURCED:
        given = key not in ("active_mw", "sleep_mw") or key in power
        if given and key not in found and core != "host":
            raise BadData(f"board file {where}: sources.{key} is missing; say where it is from")
    return dict(found)


def _flash(where: str, found: dict[str, Any]) -> FlashTiming:
    """The [flash] table with its caches checked for shapes the model can run."""
    caches: dict[str, Cache] = {}
    for key in ("icache", "dcache"):
        if key in found:
            caches[key] = _cache(where, key, found[key])
    timing = FlashTiming(**{**found, **caches})
    if timing.read_bits not in (16, 32, 64, 128, 256):
        raise BadData(
            f"board file {where}: flash.read_bits is {timing.read_bits}; "
            "16, 32, 64, 128 or 256 wanted"
        )
    for key, cache in caches.items():
        reads = cache.line_bytes * 8 / timing.read_bits
        if not timing.whole_line and not (reads.is_integer() and 1 <= reads <= 32):
            raise BadData(
                f"board file {where}: flash.{key}.line_bytes is {cache.line_bytes}; "
                f"1 to 32 reads of {timing.read_bits} bits wanted"
            )
    return timing


def _cache(where: str, key: str, found: dict[str, Any]) -> Cache:
    names = [f.name for f in fields(Cache)]
    if sorted(found) != sorted(names) or not all(
        isinstance(v, int) and v > 0 and v & (v - 1) == 0 for v in found.values()
    ):
        raise BadData(
            f"board file {where}: flash.{key} is {found}; "
            f"powers of two for {', '.join(names)} wanted"
        )
    if found["lines"] % found["ways"] or found["lines"] > 4096 or found["line_bytes"] < 4:
        raise BadData(
            f"board file {where}: flash.{key} is {found}; up to 4096 lines of 4 or more bytes, "
            "in whole sets, wanted"
        )
    return Cache(**found)
