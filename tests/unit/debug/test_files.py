"""Files are there whole or not at all, and nobody's work is overwritten."""

from __future__ import annotations

import ast
import base64
import math
import os
import random
import re
import stat
import zlib
from pathlib import Path

import pytest

from milliwatt.debug.files import read_graph, write_folder, write_graph
from milliwatt.errors import ImportFailed, MilliwattError, UnsupportedOp
from milliwatt.ir.text import print_graph
from support.quantize_nets import small_cnn

resource = pytest.importorskip("resource", reason="POSIX limits stand in for a full disk")

FILES = {"a.c": b"int a;\n", "sub/b.h": b"#define B\n"}


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_folder_and_checksums(tmp_path: Path) -> None:
    """All files, with a SHA256SUMS that names them; readable as other new folders are."""
    folder = tmp_path / "deep" / "out"
    write_folder(folder, FILES)
    found = contents(folder)
    assert {name: found[name] for name in FILES} == FILES
    assert [line.split("  ")[1] for line in found["SHA256SUMS"].decode().splitlines()] == [*FILES]
    (tmp_path / "other").mkdir()
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_an_unchanged_folder_is_replaced_whole(tmp_path: Path) -> None:
    """Files of the last time that are not of this time go."""
    folder = tmp_path / "out"
    write_folder(folder, FILES)
    write_folder(folder, {"c.c": b"int c;\n"})
    assert set(contents(folder)) == {"c.c", "SHA256SUMS"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("a.c", "a.c was changed"), ("mine.c", "mine.c is not from milliwatt")],
)
def test_work_in_the_folder_is_kept(tmp_path: Path, name: str, message: str) -> None:
    """A changed or foreign file stops the write before anything is touched."""
    folder = tmp_path / "out"
    write_folder(folder, FILES)
    (folder / name).write_text("my work")
    before = contents(folder)
    with pytest.raises(MilliwattError, match=f"{message}; a new or empty folder wanted"):
        write_folder(folder, FILES)
    assert contents(folder) == before


def test_a_file_in_the_way(tmp_path: Path) -> None:
    """A folder cannot replace a file."""
    (tmp_path / "out").write_text("x")
    with pytest.raises(MilliwattError, match="out: is a file; a folder to write wanted"):
        write_folder(tmp_path / "out", FILES)


@pytest.mark.parametrize("existing", [False, True])
def test_a_disk_that_fills_leaves_what_was_there(tmp_path: Path, existing: bool) -> None:
    """The system refuses the write of the second file half-way: no new file is left."""
    folder = tmp_path / "out"
    if existing:
        write_folder(folder, FILES)
    before = contents(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(MilliwattError, match=r"out: cannot be written \(file too large\)"):
            write_folder(folder, {"a.c": b"int a;\n", "big.bin": bytes(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert contents(tmp_path) == before
    assert folder.exists() == existing


def test_ctrl_c_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt between the two renames puts the old folder back."""
    folder = tmp_path / "out"
    write_folder(folder, FILES)
    before = contents(tmp_path)
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_folder(folder, {"c.c": b"int c;\n"})
    assert contents(tmp_path) == before


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_no_permission(tmp_path: Path) -> None:
    """A folder that may not be written says so."""
    tmp_path.chmod(0o500)
    with pytest.raises(MilliwattError, match="permission denied"):
        write_folder(tmp_path / "out", FILES)
    tmp_path.chmod(0o700)


def test_graphs_round_trip(tmp_path: Path) -> None:
    """What is written reads back as the same graph, over an older file too."""
    path = tmp_path / "m.mwg"
    for graph in (small_cnn(0), small_cnn(1)):
        write_graph(graph, path)
        assert print_graph(read_graph(path)) == print_graph(graph)
    assert [p.name for p in tmp_path.iterdir()] == ["m.mwg"]


def test_graph_files_that_are_none(tmp_path: Path) -> None:
    """The file is named; a line number where there is one."""
    path = tmp_path / "m.mwg"
    path.write_text("graph g\n  x = input() {type=1} : f32[1]\n")
    with pytest.raises(ImportFailed, match=r"m.mwg: "):
        read_graph(path)
    with pytest.raises(ImportFailed, match="is a directory"):
        read_graph(tmp_path)


def test_altered_graph_files_end_in_our_errors(tmp_path: Path) -> None:
    """Characters of a good file changed, dropped or doubled at random: never a crash."""
    path = tmp_path / "m.mwg"
    good = re.sub(r'array\("float32", (\(\d[^)]*\)), "[^"]*"\)', _zeros, print_graph(small_cnn()))
    path.write_text(good)
    read_graph(path)
    chance, refused = random.Random(0), 0
    for _ in range(400):
        text = list(good)
        for _ in range(chance.choice((1, 1, 2, 5))):
            place = chance.randrange(len(text))
            text[place] = chance.choice(("", text[place] * 2, chance.choice("(){}[]=,.-019xs8\n ")))
        path.write_text("".join(text))
        try:
            read_graph(path)
        except (ImportFailed, UnsupportedOp) as error:
            refused += 1
            assert "\n" not in str(error)
            assert "m.mwg" in str(error)
    assert refused > 200


def _zeros(found: re.Match[str]) -> str:
    """An array of the same shape in few characters, so that changes hit the structure too."""
    shape = ast.literal_eval(found.group(1))
    packed = base64.b64encode(zlib.compress(bytes(4 * math.prod(shape)))).decode()
    return f'array("float32", {shape}, "{packed}")'
