"""Each command does its job: what it prints, what it writes, what its JSON holds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import milliwatt as mw
from milliwatt.cli_options import DEFAULT_STACK
from milliwatt.compiler.elf import read_elf
from milliwatt.compiler.toolchain import STACK_BYTES
from milliwatt.debug.files import write_graph
from milliwatt.debug.inputs import as_inputs, random_inputs
from milliwatt.ir.attrs import Elementwise, Mean, Softmax
from milliwatt.ir.graph import Graph, Node, graph_input, state
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run as run_reference
from milliwatt.ir.types import DType
from support.command import Files, Run

REPORT_KEYS = [
    *("model", "board", "toolchain", "optimize", "bit_exact", "cycles", "instructions"),
    *("latency_ms", "energy_uj", "flash_bytes", "code_bytes", "weight_bytes", "arena_bytes"),
    *("stack_bytes", "ram_bytes", "layers"),
]
EXTRA_KEYS = [
    *("error_percent", "energy_source", "active_power_mw", "largest_difference", "input", "inputs"),
    *("period", "state_bytes", "stream"),
]
LAYER_KEYS = [
    *("name", "op", "kernel", "cycles", "macs", "cycles_per_mac", "flash_bytes"),
    *("flash_stall_cycles", "bound_cycles", "bound", "bound_reason"),
]


def test_version(run: Run) -> None:
    """--version prints the package's version."""
    assert run("--version").out == f"milliwatt {mw.__version__}\n"


def test_help_names_every_command(run: Run) -> None:
    """Help lists the commands and says how to complete with Tab."""
    done = run("--help")
    assert done.code == 0
    for name in ("boards", "build", "convert", "demo", "inspect", "profile", "quantize", "run"):
        assert f"│ {name} " in done.out
    assert "mw --install-completion" in done.out


def test_convert(run: Run, files: Files, tmp_path: Path) -> None:
    """A graph goes to .tflite and back as it was; the file is told on stderr."""
    there, back = tmp_path / "new" / "small.tflite", tmp_path / "small.mwg"
    assert run("convert", files.model, there).err == f"mw: wrote {there}\n"
    assert there.read_bytes()[4:8] == b"TFL3"
    assert run("convert", there, back).code == 0
    assert back.read_text() == files.model.read_text()
    assert run("convert", files.model, tmp_path / "small.onnx").code == 2


def test_boards(run: Run) -> None:
    """The table has a row for every board; the JSON also says where numbers are from."""
    text = run("boards").out
    listed = json.loads(run("boards", "--json").out)
    assert [row["name"] for row in listed] == [board.name for board in mw.boards()]
    assert all(f"\n{row['name']} " in text for row in listed)
    nucleo = next(row for row in listed if row["name"] == "nucleo-l4r5zi")
    assert nucleo["clock_hz"] == 120_000_000
    assert "MLPerf" in nucleo["sources"]["active_mw"]


def test_inspect(run: Run, files: Files) -> None:
    """Layers, ports with their real range, and on request the plan."""
    done = run("inspect", files.model, "--plan")
    assert "first" in done.out
    assert "mw_depthwise_conv2d_s8" in done.out
    assert "lower bound" in done.out
    found = json.loads(run("inspect", files.model, "--json").out)
    assert found["inputs"][0]["shape"] == [1, 8, 8, 3]
    assert found["inputs"][0]["scale"] > 0
    assert found["macs"] == sum(layer["macs"] for layer in found["layers"])
    assert found["arena_bytes"] >= 8 * 8 * 3


def test_run_prints_everything_the_issue_asks_for(run: Run, files: Files) -> None:
    """Outputs, latency, energy with its source, flash, RAM, exactness."""
    done = run("run", files.model, "--board", "nucleo-l4r5zi", "--input", files.one)
    assert (done.code, done.err) == (0, "")
    graph = mw.load(files.model)
    wanted = run_reference(graph, as_inputs(graph, np.load(files.one)))[0]
    assert f"largest at index {np.argmax(wanted)}" in done.out
    assert np.array2string(wanted.reshape(-1)) in done.out
    for label in ("latency", "energy", "flash", "RAM", "bit-exact"):
        assert f"\n{label} " in done.out
    assert "at 33.5 mW (MLPerf Tiny" in done.out
    assert "yes" in done.out.splitlines()[-1]


def test_run_json_keys(run: Run, files: Files) -> None:
    """The documented keys, in order, with plain values; stdout is one JSON document."""
    done = run("run", files.model, "--input", files.one, "--json", "--period-ms", "1000")
    found = json.loads(done.out)
    assert list(found) == [*REPORT_KEYS, *EXTRA_KEYS, "outputs"]
    assert list(found["layers"][0]) == LAYER_KEYS
    assert found["bit_exact"] is True
    assert sum(layer["cycles"] for layer in found["layers"]) == found["cycles"]
    assert found["latency_ms"] == pytest.approx(found["cycles"] / 120e3)
    assert found["energy_uj"] == pytest.approx(found["latency_ms"] * 33.5)
    assert found["flash_bytes"] == found["code_bytes"] + found["weight_bytes"]
    assert found["ram_bytes"] > found["arena_bytes"] + found["stack_bytes"]
    asleep = found["period"]["sleep_uj"]
    assert asleep == pytest.approx((1000 - found["latency_ms"]) * 0.01)
    assert np.shape(found["outputs"]) == (1, 1, 1, 5)


def test_run_without_input_says_what_it_runs(run: Run, files: Files) -> None:
    """A random input with a fixed seed, told on stderr and in the report."""
    done = run("run", files.model, "--board", "host", "--json")
    assert done.err == "mw: no --input given; running a random input (seed 0)\n"
    found = json.loads(done.out)
    graph = mw.load(files.model)
    wanted = run_reference(graph, random_inputs(graph, 0))[0]
    assert found["input"] == "random, seed 0"
    assert found["outputs"] == [[wanted.tolist()]]
    assert (found["cycles"], found["energy_uj"], found["stack_bytes"]) == (None, None, None)


def test_run_takes_a_stack_of_inputs(run: Run, files: Files) -> None:
    """Each input of a stack runs; the report is of the slowest."""
    done = run("run", files.model, "-i", files.three, "--json")
    found = json.loads(done.out)
    assert found["inputs"] == len(found["outputs"]) == 3
    assert found["bit_exact"] is True
    text = run("run", files.model, "-i", files.three).out
    assert "input 2: prob s8[1,5]: largest at index" in text
    assert "all 3 runs equal to the reference" in text


def test_profile_shows_layers(run: Run, files: Files) -> None:
    """One row a layer with its share of the cycles, a total, and the summary."""
    done = run("profile", files.model, "--board", "esp32-c3", "--input", files.one)
    assert (done.code, done.err) == (0, "")
    assert "cycles/MAC" in done.out
    rows = {line.split()[0]: line for line in done.out.splitlines() if line}
    assert rows["first"].split()[1] == "conv2d_s8"
    shares = [float(line.split(" %")[0].split()[-1]) for line in rows.values() if " % " in line]
    assert sum(shares) == pytest.approx(100, abs=0.5)
    assert max(len(line) for line in done.out.splitlines()) <= 120


def test_build_writes_a_folder(run: Run, files: Files, tmp_path: Path) -> None:
    """C sources, the linked image, the plan and checksums; again over an unchanged folder."""
    folder = tmp_path / "out"
    done = run("build", files.model, "--board", "bluepill-f103", "-o", folder)
    assert (done.code, done.err) == (0, f"mw: wrote {folder}\n")
    assert "% of 65,536" in done.out
    names = {path.name for path in folder.iterdir()}
    assert {"mw_model.h", "mw_model.c", "firmware.elf", "plan.txt", "SHA256SUMS"} <= names
    found = json.loads(run("build", files.model, "-o", folder, "--json").out)
    assert found["flash_bytes"] == found["code_bytes"] + found["weight_bytes"]
    assert found["output"] == str(folder)


def test_quantize_writes_a_model_that_runs(run: Run, files: Files, tmp_path: Path) -> None:
    """From a float model and samples to int8, with the table of layers and the accuracy."""
    made = tmp_path / "made.mwg"
    done = run(
        "quantize", files.float_model, "--data", files.three, "-o", made, "--max-drop", "0.99"
    )
    assert (done.code, done.err) == (0, f"mw: wrote {made}\n")
    assert "SQNR dB" in done.out
    assert "agreement with the float model" in done.out
    again = run("quantize", files.float_model, "--data", files.three, "-o", made, "--json")
    layers = {row["name"]: row for row in json.loads(again.out)["layers"]}
    assert layers["first"]["sqnr_db"] > 20
    assert json.loads(run("run", made, "-i", files.one, "--json").out)["bit_exact"] is True


def test_quantize_to_other_types(run: Run, files: Files, tmp_path: Path) -> None:
    """int16 is bit for bit as int8 is; float16 keeps f32 inputs; other types are wrong usage."""
    made = tmp_path / "made.mwg"
    start = ["quantize", files.float_model, "--data", files.three, "-o", made, "--to"]
    for to, dtype in (("int16", "s16"), ("float16", "f32")):
        found = json.loads(run(*start, to, "--json").out)
        assert {row["dtype"] for row in found["layers"]} == {dtype}
        assert found["promoted"] == []
        ran = json.loads(run("run", made, "-i", files.one, "--json").out)
        assert ran["bit_exact"] or to == "float16"
    assert run(*start, "int4").code == 2


def test_float_models_run_and_say_how_far_off(run: Run, files: Files) -> None:
    """Float kernels may round differently; the difference is told, and small."""
    done = run("run", files.float_model, "-i", files.one, "--json")
    found = json.loads(done.out)
    assert done.code == 0
    assert found["largest_difference"] < 1e-5
    assert found["bit_exact"] or "float arithmetic" in done.err


def test_json_has_null_for_what_is_not_finite(run: Run, tmp_path: Path) -> None:
    """A mean whose sum overflows on the board, and its softmax: valid JSON, no warning."""
    x = graph_input((1, 4, 2), DType.F32, "x")
    mean = Node(Op.MEAN, (x,), Mean(axes=(1,)), "mean")
    shares = Node(Op.SOFTMAX, (mean,), Softmax(), "shares")
    write_graph(Graph((x,), (mean, shares), name="huge"), tmp_path / "huge.mwg")
    np.save(tmp_path / "x.npy", np.array([[[3e38, 1]] * 4], np.float32))
    done = run("run", tmp_path / "huge.mwg", "-i", tmp_path / "x.npy", "-b", "cortex-m4", "--json")
    found = json.loads(done.out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert (done.code, found["outputs"]) == (0, [[[[None, 1]], [[None, None]]]])
    # NaN on both sides differs by nothing, whatever its bits.
    assert (found["bit_exact"], found["largest_difference"]) == (False, 0)
    assert done.err.startswith("mw: float arithmetic rounds differently")
    text = run("run", tmp_path / "huge.mwg", "-i", tmp_path / "x.npy", "-b", "cortex-m4")
    assert (text.code, "inf" in text.out, "nan" in text.out) == (0, True, True)


def test_a_file_of_frames_is_a_stream(run: Run, tmp_path: Path) -> None:
    """A model with states takes a stack for frames: each finds what the one before it left."""
    x = graph_input((1, 2), DType.F32, "x")
    total = state(np.zeros((1, 2), np.float32), "total")
    new = Node(Op.ADD, (total, x), Elementwise(), "new")
    write_graph(Graph((x,), (new,), ((total, new),), name="sums"), tmp_path / "sums.mwg")
    np.save(tmp_path / "x.npy", np.ones((3, 1, 2), np.float32))
    done = run("run", tmp_path / "sums.mwg", "-i", tmp_path / "x.npy", "-b", "host", "--json")
    found = json.loads(done.out)
    assert (done.code, found["outputs"]) == (0, [[[[i, i]]] for i in (1, 2, 3)])
    assert (found["bit_exact"], found["stream"], found["state_bytes"]) == (True, True, 8)
    text = run("profile", tmp_path / "sums.mwg", "-i", tmp_path / "x.npy", "-b", "cortex-m4").out
    assert "3 frames: x.npy" in text
    assert "(8 of it state)" in text
    listed = json.loads(run("inspect", tmp_path / "sums.mwg", "--json").out)
    assert [row["name"] for row in listed["states"]] == ["total"]


def test_stack_is_reserved(run: Run, files: Files, tmp_path: Path) -> None:
    """--stack sets the reserve of the linked image, for build and for run."""
    for command in (["build", "-o", tmp_path / "out"], ["run", "-i", files.one], ["profile"]):
        done = run(command[0], files.model, *command[1:], "--stack", "4096", "--json")
        assert done.code == 0, done.err
    elf = read_elf((tmp_path / "out" / "firmware.elf").read_bytes())
    assert elf.stack_bytes == 4096
    assert DEFAULT_STACK == STACK_BYTES


def test_aims_and_budgets(run: Run, files: Files, tmp_path: Path) -> None:
    """What the options say is what the image is built for; a measured build ends the same way."""
    sizes = {}
    for aim in ("speed", "ram", "flash", "balanced"):
        done = run("build", files.model, "-o", tmp_path / aim, "--optimize", aim, "--json")
        sizes[aim] = json.loads(done.out)
        assert sizes[aim]["optimize"] == aim
    assert sizes["ram"]["arena_bytes"] == min(s["arena_bytes"] for s in sizes.values())
    assert sizes["flash"]["flash_bytes"] == min(s["flash_bytes"] for s in sizes.values())
    budget = sizes["speed"]["flash_bytes"] - 100
    done = run("build", files.model, "-o", tmp_path / "b", "--flash", str(budget), "--json")
    assert json.loads(done.out)["flash_bytes"] <= budget
    done = run("run", files.model, "-i", files.one, "--measure", "--json")
    assert json.loads(done.out)["bit_exact"] is True


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--ram", "3000"), "bytes of RAM are missing"),
        (("--flash", "1000"), "bytes of flash are missing"),
        (("--latency-ms", "0.001"), "ms are missing"),
    ],
)
def test_budgets_that_cannot_be_kept(
    run: Run, files: Files, tmp_path: Path, options: tuple[str, str], message: str
) -> None:
    """One line that says what is missing and in which layer most."""
    done = run("build", files.model, "-o", tmp_path / "out", *options)
    assert done.code == 1
    assert message in done.err
    assert "; most" in done.err
    assert done.err.count("\n") == 1
    for wrong in ("0", "-5", "nan", "many", "10K"):
        done = run("build", files.model, "-o", tmp_path / "x", options[0], wrong)
        what = "" if options[0] == "--latency-ms" else f"{wrong}: a positive number of bytes wanted"
        done.fails(what, code=2)
