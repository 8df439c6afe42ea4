"""The command `mw`: parse, call, print. Each command is a few calls of the Python API."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from milliwatt import __version__, cli_errors
from milliwatt.cli_options import (
    DEFAULT_BOARD,
    DEFAULT_STACK,
    AsJson,
    BoardName,
    DemoBoard,
    DemoName,
    FlashBudget,
    InputFile,
    LatencyBudget,
    Measure,
    ModelFile,
    Optimize,
    OptimizeFor,
    Precision,
    RamBudget,
    StackBytes,
    Toolchain,
    ToolchainName,
    check_calibration,
    check_drop,
    check_suffix,
    refuse_foreign_options,
)

app = typer.Typer(
    name="mw",
    help="From a trained network to verified, measured microcontroller firmware, without a board.",
    epilog="Tab completion: mw --install-completion. Python: import milliwatt as mw.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 success, 1 failure, 2 wrong usage, 130 interrupted."""
    for name in ("stdout", "stderr"):
        # None where the caller closed it (`mw boards >&-`): what nobody reads goes nowhere.
        if getattr(sys, name) is None or getattr(sys, name).closed:
            nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  (until the exit)
            setattr(sys, name, nowhere)
    # Tables have lines that an ASCII terminal cannot show; a question mark is better than a crash.
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    raise SystemExit(cli_errors.run(app, sys.argv[1:] if arguments is None else arguments))


def _version(wanted: bool) -> None:
    if wanted:
        print(f"milliwatt {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _mw(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Print a traceback where a command fails.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


@app.command()
def boards(as_json: AsJson = False) -> None:
    """List the boards and bare cores that firmware can be built for and run on."""
    from milliwatt.cli_show import show, show_json
    from milliwatt.debug.boards import boards_dict, boards_view
    from milliwatt.emulate.boards import boards as known

    if as_json:
        show_json(boards_dict(known()))
    else:
        show(boards_view(known()))


@app.command()
def inspect(
    model: ModelFile,
    plan: Annotated[bool, typer.Option("--plan", help="Draw the memory plan too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a model's inputs, outputs and layers, and the memory it will need."""
    from milliwatt import api
    from milliwatt.cli_show import show, show_json
    from milliwatt.compiler.memory import draw_plan
    from milliwatt.compiler.program import compile_graph
    from milliwatt.debug.model import model_dict, model_view

    graph = api.load(model)
    program = compile_graph(graph)
    if as_json:
        show_json(model_dict(graph, program))
    else:
        show(*model_view(graph, program))
        if plan:
            print("\n" + draw_plan(program.plan), end="")


@app.command()
def quantize(
    model: ModelFile,
    data: Annotated[Path, typer.Option("--data", help="Samples: .npy [N, ...], or .npz by input.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The .mwg or .tflite file to write.")
    ],
    to: Annotated[
        Precision,
        typer.Option(help="int8; int16 activations with int8 weights; or float16 constants."),
    ] = Precision.INT8,
    calibration: Annotated[
        str,
        typer.Option(
            callback=check_calibration, help="min-max, percentile, percentile:99.9 or mse."
        ),
    ] = "min-max",
    labels: Annotated[
        Path | None, typer.Option(help="Class of each sample, .npy [N]: measures accuracy.")
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(
            callback=check_drop,
            help="Largest loss of accuracy; layers that lose more get int16 or float.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Quantize a float model and show what that does to each layer."""
    from milliwatt import api
    from milliwatt.cli_show import note, show, show_json, waiting
    from milliwatt.compress.quantize import quantize_with_report
    from milliwatt.debug.arrays import read_array, read_arrays
    from milliwatt.debug.files import check_file
    from milliwatt.debug.model import quantization_view

    check_suffix(output, "--output")
    check_file(output)  # told before anything slow
    graph = api.load(model)
    samples = read_arrays(data, graph)
    with waiting("quantizing"):
        made, report = quantize_with_report(
            graph,
            samples,
            activations="int16" if to is Precision.INT16 else None,
            weights="float16" if to is Precision.FLOAT16 else "int8",
            calibration=calibration,
            labels=read_array(labels) if labels else None,
            max_drop=max_drop,
        )
        rows = api.layer_report(graph, made, samples)
    api.save(made, output)
    if as_json:
        layers = [row.to_dict() for row in rows]
        show_json({"model": made.name, "output": str(output), **report.to_dict(), "layers": layers})
    else:
        show(*quantization_view(report, rows))
        note(f"wrote {output}")


@app.command()
def convert(
    model: ModelFile,
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="A .tflite or .mwg file.")],
) -> None:
    """Write a model as a .tflite file for other tools, or as a .mwg file, the graph as text."""
    from milliwatt import api
    from milliwatt.cli_show import note
    from milliwatt.debug.files import check_file

    check_suffix(output, "OUTPUT")
    check_file(output)
    api.save(api.load(model), output)
    note(f"wrote {output}")


@app.command()
def stream(
    model: ModelFile,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The .mwg or .tflite file to write.")
    ] = None,
    frames: Annotated[int, typer.Option(min=1, help="New frames a run.")] = 1,
    axis: Annotated[int, typer.Option(min=0, help="Time axis of the model's inputs.")] = 1,
    board: BoardName = DEFAULT_BOARD,
    as_json: AsJson = False,
) -> None:
    """Turn a model over a window into one that takes new frames, and show the cycles saved."""
    from milliwatt.cli_stream import stream_model

    if output is not None:
        check_suffix(output, "--output")
    stream_model(model, output, frames=frames, axis=axis, board=board, as_json=as_json)


@app.command()
def build(
    model: ModelFile,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")],
    board: BoardName = DEFAULT_BOARD,
    toolchain: ToolchainName = Toolchain.ZIG,
    optimize: OptimizeFor = Optimize.SPEED,
    stack: StackBytes = DEFAULT_STACK,
    flash: FlashBudget = None,
    ram: RamBudget = None,
    latency_ms: LatencyBudget = None,
    measure: Measure = False,
    as_json: AsJson = False,
) -> None:
    """Compile a model to a folder of C sources with a linked image for a board."""
    from milliwatt import api
    from milliwatt.cli_run import Target, build_firmware
    from milliwatt.cli_show import note, show, show_json
    from milliwatt.debug.boards import sizes_dict, sizes_view
    from milliwatt.debug.files import check_folder

    check_folder(output)  # told before anything slow
    target = Target(board, toolchain, optimize, stack, flash, ram, latency_ms, measure)
    firmware = build_firmware(api.load(model), target)
    firmware.save(output)
    if as_json:
        show_json({**sizes_dict(firmware.image), "output": str(output)})
    else:
        show(*sizes_view(firmware.image))
        note(f"wrote {output}")


@app.command()
def run(
    model: ModelFile,
    input_file: InputFile = None,
    board: BoardName = DEFAULT_BOARD,
    toolchain: ToolchainName = Toolchain.ZIG,
    optimize: OptimizeFor = Optimize.SPEED,
    stack: StackBytes = DEFAULT_STACK,
    flash: FlashBudget = None,
    ram: RamBudget = None,
    latency_ms: LatencyBudget = None,
    measure: Measure = False,
    period_ms: Annotated[
        float | None, typer.Option(help="Time between inferences: adds energy with sleep.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a model on an emulated board: outputs, latency, energy, flash, RAM, bit-exactness."""
    from milliwatt.cli_run import Target, run_model

    if period_ms is not None and not 0 < period_ms < math.inf:
        raise typer.BadParameter(f"{period_ms}: a time above 0 wanted", param_hint="--period-ms")
    target = Target(board, toolchain, optimize, stack, flash, ram, latency_ms, measure)
    run_model(model, input_file, target, period_ms=period_ms, as_json=as_json)


@app.command()
def profile(
    model: ModelFile,
    input_file: InputFile = None,
    board: BoardName = DEFAULT_BOARD,
    toolchain: ToolchainName = Toolchain.ZIG,
    optimize: OptimizeFor = Optimize.SPEED,
    stack: StackBytes = DEFAULT_STACK,
    flash: FlashBudget = None,
    ram: RamBudget = None,
    latency_ms: LatencyBudget = None,
    measure: Measure = False,
    as_json: AsJson = False,
) -> None:
    """Run a model on an emulated board and show where its cycles and bytes go, layer by layer."""
    from milliwatt.cli_run import Target, run_model

    target = Target(board, toolchain, optimize, stack, flash, ram, latency_ms, measure)
    run_model(model, input_file, target, by_layer=True, as_json=as_json)


@app.command()
def demo(
    task: Annotated[DemoName, typer.Argument(help="What to run.")] = DemoName.DIGITS,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="digits: folder to fill.", show_default="demo"),
    ] = None,
    model: Annotated[Path | None, typer.Option(help="kws: an int8 keyword .tflite.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="kws: .npz of x [N, ...], y [N], labels.")
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="kws: utterances to run.", show_default="100")
    ] = None,
    board: DemoBoard = None,
    as_json: AsJson = False,
) -> None:
    """Run a whole task: digits trains a net and proves it on two boards, kws runs real speech."""
    from milliwatt.cli_show import note, show, show_json

    options = {"--output": output, "--model": model, "--data": data, "--count": count}
    refuse_foreign_options(task, options)
    quiet = (lambda *parts: None) if as_json else show
    if task is DemoName.DIGITS:
        from milliwatt.zoo.digits_demo import BOARDS
        from milliwatt.zoo.digits_demo import demo as run_digits

        folder = output or Path("demo")
        found = run_digits(folder, quiet, boards=(board,) if board else BOARDS)
        note(f"left models, firmware and report.json in {folder}")
    else:
        from milliwatt.zoo.keywords import demo as run_keywords

        if model is None or data is None:
            raise typer.BadParameter("the kws demo needs --model and --data", param_hint="--model")
        found = run_keywords(model, data, quiet, board=board or DEFAULT_BOARD, count=count or 100)
    if as_json:
        show_json(found)
