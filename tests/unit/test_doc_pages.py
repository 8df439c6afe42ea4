"""The pages of docs/if-you-see-this and docs/streaming.md: what they show runs and prints that."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from milliwatt import cli
from milliwatt.ir.types import DType, Type
from support.shared import mlperf, shared
from support.tflite_ops import TfliteFile

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "if-you-see-this"
PAGES = [p for p in sorted(FOLDER.glob("*.md")) if p.name != "README.md"]
INDEX = (FOLDER / "README.md").read_text(encoding="utf-8")
PAINS = 15
SLOW = ("accuracy-lost", "recurrent-and-conv1d", "streaming")
RUN = [
    pytest.param(page, id=page.stem, marks=[pytest.mark.slow] if page.stem in SLOW else [])
    for page in (*PAGES, ROOT / "docs" / "streaming.md")
]


def pow_model() -> bytes:
    """A file with an operator that TFLM and milliwatt lack."""
    file, kind = TfliteFile(), Type((1, 12), DType.F32)
    x = file.input(kind)
    return file.data(file.operator("POW", [x, x], [kind]))


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the files that the pages name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    shutil.copy(mlperf("kws_ref_model.tflite"), "kws.tflite")
    shutil.copy(mlperf("kws_ref_model_float32.tflite"), "kws_float.tflite")
    shutil.copy(mlperf("str_ww_ref_model.tflite"), "wake_word.tflite")
    Path("pow.tflite").write_bytes(pow_model())
    with np.load(shared("data/mlperf_kws01/mlperf_kws01.npz")) as data:
        x, scale, zero_point = data["x"][::14], data["scale"], data["zero_point"]
        np.save("samples.npy", ((x.astype(np.float32) - zero_point) * scale).astype(np.float32))
        np.save("labels.npy", data["y"][::14])
    return tmp_path


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """(language, text) of a page's blocks that run."""
    text = page.read_text(encoding="utf-8")
    yield from re.findall(r"^```(python|console)\n(.*?)^```$", text, re.M | re.S)


def shape(line: str) -> str:
    """A line without its figures: they change when a kernel gets faster."""
    return re.sub(r"[\d.,]*\d", "#", re.sub(r"[─\s#|]+", " ", line)).strip()


def run_console(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Run each `$ mw` line; the lines below it are part of its output, "..." stands for others."""
    for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
        command, *shown = part.splitlines()
        words = shlex.split(command)
        assert words[0] == "mw", command
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main(words[1:])
        found = capsys.readouterr()
        failed = any(line.startswith("mw: error: ") for line in shown)
        assert ended.value.code == int(failed), f"{command}\n{found.err}"
        if failed:
            assert [found.err.strip()] == shown
            continue
        printed = iter([shape(line) for line in found.out.splitlines()])
        for line in shown:
            if line != "..." and shape(line):
                assert shape(line) in printed, f"{command}: {line!r} was not printed (here)"


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("page", RUN)
def test_what_a_page_shows_runs(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Python and commands in the page's order; what was printed is what the page says."""
    for module in ("torch", "tflite_micro", "pymicro_wakeword"):
        if module in page.read_text(encoding="utf-8"):
            pytest.importorskip(module, reason=f"{page.name} imports it")
    names = {"__name__": "document"}
    ran = 0
    for language, block in blocks(page):
        ran += 1
        if language == "python":
            exec(compile(block, page.name, "exec"), names)
        else:
            run_console(block, capsys)
    assert ran


def test_the_index_answers_every_complaint() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", INDEX, re.M)
    assert [int(number) for number, _ in rows] == list(range(1, PAINS + 1))
    for number, row in rows:
        assert "](" in row, f"{number} leads nowhere"
        assert re.search(r"\]\([\w-]+\.md\)", row) or "not caused by reading" in row


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_a_page_has_all_its_parts(page: Path) -> None:
    """The symptom first, then why, what milliwatt does, and what to do elsewhere; with sources."""
    text = page.read_text(encoding="utf-8")
    assert text.count(f"({page.name})") == 0
    assert INDEX.count(f"({page.name})") == 2, "a row by message and one by number"
    headings = re.findall(r"^## (.*)$", text, re.M)
    assert headings[:2] == ["What happened", "What milliwatt does"]
    assert headings[2].startswith("If you stay with ")
    threads = re.search(r"^Threads: (.*?)\.\n\n", text, re.M | re.S)
    assert threads is not None
    for thread in re.split(r",\s", threads[1]):
        assert re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", thread), thread


def anchors(page: Path) -> set[str]:
    """The names by which other pages link to its headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_to_headings() -> None:
    """The part of a link behind # is a heading of the document it names."""
    broken = []
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        links = re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text(encoding="utf-8"))
        broken += [
            f"{page.relative_to(ROOT)} -> {target}#{name}"
            for target, name in links
            if "://" not in target and name not in anchors(page.parent / target if target else page)
        ]
    assert broken == []
