"""Board files: every number has a source, every mistake one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest

from milliwatt.compiler.board import Board
from milliwatt.emulate.boards import board, boards
from milliwatt.emulate.energy import duty_cycle, energy
from milliwatt.emulate.timing.cores import TIMINGS
from milliwatt.errors import BadData

TEXT = (Path(__file__).parents[2] / "src/milliwatt/emulate/boards/nucleo-l4r5zi.toml").read_text()
NEEDED = {
    "host",
    "nucleo-l4r5zi",
    "nucleo-u575zi-q",
    "nucleo-h7a3zi-q",
    "disco-f746ng",
    "arduino-nano-33-ble",
    "raspberry-pi-pico",
    "esp32-c3",
    "bluepill-f103",
    "cortex-m0plus",
    "cortex-m3",
    "cortex-m4",
    "cortex-m7",
    "cortex-m33",
    "rv32imc",
}


def test_the_list() -> None:
    names = [b.name for b in boards()]
    assert names == sorted(names)
    assert set(names) >= NEEDED


@pytest.mark.parametrize("found", boards(), ids=lambda b: b.name)
def test_a_shipped_board_is_complete(found: Board) -> None:
    assert board(found.name) is found
    assert (Path(__file__).parents[2] / f"src/milliwatt/emulate/boards/{found.name}.toml").is_file()
    if found.is_host:
        return
    assert found.core in TIMINGS
    assert 0 < found.error_percent <= 30
    assert found.flash_bytes > 0
    assert found.ram_bytes > 0
    for key in ("clock_hz", "memory", "flash", "error_percent"):
        assert len(found.sources[key]) > 10
    assert (found.active_power_mw is None) == ("active_mw" not in found.sources)
    assert (found.sleep_power_mw is None) == ("sleep_mw" not in found.sources)


def test_l4r5_is_single_bank_without_prefetch() -> None:
    flash = board("nucleo-l4r5zi").flash
    assert (flash.wait_states, flash.read_bits, flash.prefetch) == (5, 128, False)
    assert flash.icache is not None
    assert flash.dcache is not None
    assert (flash.icache.lines, flash.dcache.lines, flash.icache.line_bytes) == (32, 8, 32)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("nucleo-l4r5", "nucleo-l4r5zi"),
        ("NUCLEO-L4R5ZI", "nucleo-l4r5zi"),
        ("esp32c3", "esp32-c3"),
        ("pico", "raspberry-pi-pico"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(name: str, near: str) -> None:
    with pytest.raises(BadData, match=f"board '{name}' is not known; did you mean {near}"):
        board(name)


def test_a_hopeless_name_lists_all() -> None:
    with pytest.raises(BadData, match="known boards: arduino-nano-33-ble, bluepill-f103"):
        board("zzzzzzzzzz")


def test_a_file_of_the_user(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace('name = "nucleo-l4r5zi"', 'name = "mine"'))
    assert board(path) == board(str(path))
    assert board(path).name == "mine"
    assert board(path).flash == board("nucleo-l4r5zi").flash


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "clock_hz = 120_000_000",
            "clock = 120_000_000",
            "clock is not a key; did you mean clock_hz",
        ),
        ("clock_hz = 120_000_000", 'clock_hz = "fast"', "clock_hz is 'fast'; int wanted"),
        ("clock_hz = 120_000_000", "clock_hz = 0", "clock_hz is 0"),
        ("clock_hz = 120_000_000", "", "clock_hz is missing"),
        (
            'core = "cortex-m4"',
            'core = "cortex-m9"',
            "core is 'cortex-m9'; one of host, cortex-m0plus",
        ),
        ('name = "nucleo-l4r5zi"', 'name = "../up"', "name is '../up'; letters, digits"),
        ("fpu = true", "fpu = 1", "fpu is 1; bool wanted"),
        ("ram_bytes = 0xA0000", "ram_bytes = -5", "memory.ram_bytes is -5; 0 or more wanted"),
        ("wait_states = 5", "wait_states = true", "flash.wait_states is True; int wanted"),
        ("read_bits = 128", "read_bits = 100", "flash.read_bits is 100"),
        ("lines = 32,", "lines = 33,", "flash.icache is"),
        ("lines = 32,", "rows = 32,", "flash.icache is"),
        ("ways = 8", "ways = 16", "in whole sets, wanted"),
        ("line_bytes = 32, ways = 8", "line_bytes = 8, ways = 8", "flash.dcache.line_bytes is 8"),
        ("active_mw = 33.5", "active_mw = nan", "power.active_mw is nan"),
        ("error_percent = 5\n", "", "timing.error_percent is missing"),
        ("[memory]", "[memories]", "memories is not a key"),
        ('flash = "RM0432', 'flush = "RM0432', "sources.flush is not a key"),
        ("[sources]", "[[sources]]", r"\[sources\] must give a text"),
        ("fpu = true", "fpu = ", "not TOML"),
    ],
)
def test_a_wrong_file(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TEXT
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(BadData, match=message) as caught:
        board(path)
    assert "mine.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_number_without_source(tmp_path: Path) -> None:
    lines = [line for line in TEXT.split("\n") if not line.startswith('active_mw = "')]
    path = tmp_path / "mine.toml"
    path.write_text("\n".join(lines))
    with pytest.raises(BadData, match=r"sources.active_mw is missing"):
        board(path)


def test_a_missing_or_binary_file(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="cannot be read"):
        board(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadData, match="cannot be read"):
        board(tmp_path / "bad.toml")


def test_energy_is_time_times_power() -> None:
    """MLPerf Tiny v1.3 on this board: 43.4 ms took 1431 uJ, 165.7 ms took 5496 uJ; within 3 %."""
    l4 = board("nucleo-l4r5zi")
    for latency_ms, published_uj in ((43.4, 1431), (89.4, 3030), (165.7, 5496), (4.79, 160)):
        got = energy(l4, latency_ms)
        assert got is not None
        assert got.energy_uj == pytest.approx(published_uj, rel=0.03)
        assert "MLPerf" in got.source
    assert energy(board("cortex-m4"), 10.0) is None


def test_duty_cycle() -> None:
    """10 ms at 33.5 mW and 990 ms at 0.01 mW."""
    got = duty_cycle(board("nucleo-l4r5zi"), 10.0, 1000.0)
    assert got is not None
    assert got.active_uj == pytest.approx(335.0)
    assert got.sleep_uj == pytest.approx(9.9)
    assert got.average_mw == pytest.approx(0.3449)
    with pytest.raises(BadData, match="at least the latency of 10.000 ms"):
        duty_cycle(board("nucleo-l4r5zi"), 10.0, 5.0)
    assert duty_cycle(board("cortex-m4"), 1.0, 5.0) is None
