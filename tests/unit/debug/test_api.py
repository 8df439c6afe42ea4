"""The public names and verbs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import milliwatt as mw
from milliwatt.compiler.elf import read_elf
from milliwatt.debug.files import write_graph
from milliwatt.ir.reference import run as run_reference
from milliwatt.ir.text import print_graph
from support.effort import TRIES
from support.quantize_nets import samples, small_cnn


def test_public_names_are_sorted_and_there() -> None:
    """Every name of __all__ resolves; dir() lists them; others are refused."""
    assert mw.__all__ == sorted(mw.__all__)
    for name in mw.__all__:
        assert getattr(mw, name).__name__ == name
        assert name in dir(mw)
    with pytest.raises(AttributeError, match="has no attribute 'compile'"):
        _ = mw.compile  # type: ignore[attr-defined]


def test_type_checkers_see_the_same_names() -> None:
    """The imports under TYPE_CHECKING and the lazy table name one set."""
    tree = ast.parse(Path(mw.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = [a.name for n in block.body if isinstance(n, ast.ImportFrom) for a in n.names]
    assert sorted(seen) == mw.__all__


def test_import_is_quick_and_light() -> None:
    """`import milliwatt` loads no NumPy; its verbs load NumPy and neither torch nor unicorn."""
    code = (
        "import sys, time; began = time.process_time(); import milliwatt as mw\n"
        "seconds = time.process_time() - began\n"
        "assert 'numpy' not in sys.modules; mw.build; mw.load; mw.quantize\n"
        "heavy = {'torch', 'unicorn', 'capstone', 'elftools', 'rich', 'typer'}\n"
        "print(seconds, sorted(heavy & set(sys.modules)))"
    )
    least = float("inf")
    for _ in range(TRIES):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        seconds, heavy = done.stdout.split(maxsplit=1)
        assert heavy == "[]\n"
        least = min(least, float(seconds))
        if least < 0.25:
            break
    assert least < 0.25


def test_load_tells_sources_apart(tmp_path: Path) -> None:
    """Text graphs by path or string; anything else says what is wanted."""
    write_graph(small_cnn(), tmp_path / "m.mwg")
    for path in (tmp_path / "m.mwg", str(tmp_path / "m.mwg")):
        assert print_graph(mw.load(path)) == print_graph(small_cnn())
    for source, message in (
        ("m.h5", r"m.h5: .h5 is no format that milliwatt reads; .tflite or .mwg wanted"),
        (b"nonsense", "not a .tflite file"),
        (12, "int is not a model; a path, bytes or torch.nn.Module wanted"),
    ):
        with pytest.raises(mw.ImportFailed, match=message):
            mw.load(source)  # type: ignore[arg-type]


def test_save_and_load(tmp_path: Path) -> None:
    """A saved graph loads as it was, from a folder that save made; other suffixes are refused."""
    path = tmp_path / "deep" / "m.mwg"
    mw.save(small_cnn(), path)
    assert print_graph(mw.load(path)) == print_graph(small_cnn())
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(mw.BadData, match=r"m\.txt: a name that ends in \.mwg or \.tflite wanted"):
        mw.save(small_cnn(), tmp_path / "m.txt")
    with pytest.raises(mw.MilliwattError, match="cannot be written"):
        mw.save(small_cnn(), path / "m.mwg")


def test_verbs_want_a_graph(tmp_path: Path) -> None:
    """A model that was not loaded gives one line; a missing argument is Python's own error."""
    for call in (
        lambda: mw.quantize("x.tflite", np.zeros((1, 2), np.float32)),  # type: ignore[arg-type]
        lambda: mw.build("x.tflite"),  # type: ignore[arg-type]
        lambda: mw.build(graph="x.tflite"),  # type: ignore[arg-type]
        lambda: mw.save("x.tflite", tmp_path / "m.mwg"),  # type: ignore[arg-type]
    ):
        with pytest.raises(mw.BadData, match=r"str given; a Graph wanted, call mw\.load\(\.\.\.\)"):
            call()
    with pytest.raises(TypeError, match="missing"):
        mw.build()  # type: ignore[call-arg]
    assert "Jacob et al." in (mw.quantize.__doc__ or "")


def test_firmware_prints_as_one_line() -> None:
    """In place of half a megabyte of sources and symbols."""
    data = samples(small_cnn(), 4)
    firmware = mw.build(mw.quantize(small_cnn(), data), board="cortex-m4")
    sizes = f"{firmware.flash_bytes:,} flash, {firmware.static_ram_bytes:,} RAM bytes"
    assert repr(firmware) == f"<Firmware {firmware.graph.name} for cortex-m4: {sizes}>"
    assert "mw_arena" not in repr(firmware.image)


def test_a_module_needs_an_example() -> None:
    """The message says which argument."""
    torch = pytest.importorskip("torch", reason="torch is an extra: pip install 'milliwatt[torch]'")
    with pytest.raises(mw.ImportFailed, match=r"Linear: .* pass example="):
        mw.load(torch.nn.Linear(2, 2))


def test_verbs_in_a_row(tmp_path: Path) -> None:
    """quantize, build, run, run_many, sizes: types and shapes of what comes back."""
    data = samples(small_cnn(), 6)
    graph = mw.quantize(small_cnn(), data)
    firmware = mw.build(graph, board=mw.board("host"), optimize="flash")
    trace = firmware.run(data[0])
    assert isinstance(trace, mw.Trace)
    assert [(x.shape, x.dtype) for x in trace.outputs] == [((1, 5), np.dtype(np.int8))]
    many = list(firmware.run_many(data))
    assert len(many) == 6
    np.testing.assert_array_equal(many[0].outputs[0], trace.outputs[0])
    assert firmware.flash_bytes == firmware.code_bytes + firmware.weight_bytes
    assert firmware.static_ram_bytes >= firmware.arena_bytes > 0
    firmware.save(tmp_path / "out")
    assert (tmp_path / "out" / "firmware.so").read_bytes() == firmware.image.image


def test_torch_and_back() -> None:
    """A float graph as a module computes the same; one step of training moves the graph too."""
    torch = pytest.importorskip("torch", reason="torch is an extra: pip install 'milliwatt[torch]'")
    graph, x = small_cnn(), samples(small_cnn(), 3)
    module = mw.to_torch(graph)
    expected = np.concatenate([run_reference(graph, [one[None]])[0] for one in x])
    np.testing.assert_allclose(module(torch.from_numpy(x)).detach(), expected, atol=1e-5)
    module(torch.from_numpy(x)).square().sum().backward()
    torch.optim.SGD(module.parameters(), lr=0.01).step()
    tuned = mw.from_torch(module, graph)
    moved = run_reference(tuned, [x[:1]])[0]
    np.testing.assert_allclose(module(torch.from_numpy(x[:1])).detach(), moved, atol=1e-5)
    assert np.abs(moved - expected[:1]).max() > 1e-4
    with pytest.raises(mw.InvalidGraph, match="take the graph as it was before mw.quantize"):
        mw.to_torch(mw.quantize(graph, x))


def test_a_larger_stack() -> None:
    """The stack that is asked for counts as RAM and is in the image; odd sizes are refused."""
    graph = mw.quantize(small_cnn(), samples(small_cnn(), 2))
    firmware = mw.build(graph, board="cortex-m4", stack_bytes=4096)
    assert firmware.stack_bytes == read_elf(firmware.image.image).stack_bytes == 4096
    with pytest.raises(mw.DoesNotFit, match="bytes of RAM are missing"):
        mw.build(graph, board="bluepill-f103", stack_bytes=20480)
    with pytest.raises(mw.BadData, match="stack_bytes is 12; a positive multiple of 8 wanted"):
        mw.build(graph, stack_bytes=12)


def test_a_toml_file_is_a_board(tmp_path: Path) -> None:
    """build takes the path of a board file as it takes a name."""
    import importlib.resources

    text = (importlib.resources.files("milliwatt.emulate") / "boards/esp32-c3.toml").read_text()
    path = tmp_path / "mine.toml"
    path.write_text(text.replace('name = "esp32-c3"', 'name = "mine"'))
    graph = mw.quantize(small_cnn(), samples(small_cnn(), 2))
    assert mw.build(graph, board=path).board.name == "mine"


def test_limit_cycles_stops_a_run() -> None:
    """A limit below the run's cycles is a fault that says so."""
    graph = mw.quantize(small_cnn(), samples(small_cnn(), 2))
    firmware = mw.build(graph, board="cortex-m4")
    with pytest.raises(mw.MachineFault, match="did not end within 100 cycles"):
        firmware.run(np.zeros((8, 8, 3)), limit_cycles=100)
