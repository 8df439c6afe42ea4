"""The whole tool on one task: train, import, quantize, build, run every held-out digit on boards.

Each stage prints a table; the folder keeps the models, the firmware and the numbers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from milliwatt import api
from milliwatt.compiler.board import Board
from milliwatt.compiler.toolchain import zig_command
from milliwatt.compress.accuracy import predict, top1
from milliwatt.compress.progress import track
from milliwatt.debug.files import write_file, write_graph, writing
from milliwatt.debug.inputs import Inputs, samples
from milliwatt.debug.model import quantization_view
from milliwatt.debug.profile import layer_table, summary, title
from milliwatt.debug.report import Report, differing_bytes, make_report, reference_outputs
from milliwatt.debug.table import Fact, as_text, columns, facts, heading
from milliwatt.errors import Mismatch, ToolMissing
from milliwatt.formats.torch import import_torch
from milliwatt.ir.graph import Graph
from milliwatt.zoo.digits import Digits, accuracy, load_digits, train
from milliwatt.zoo.digits_picture import draw, npy

if TYPE_CHECKING:
    from rich.console import RenderableType

BOARDS = ("nucleo-l4r5zi", "esp32-c3")
CALIBRATION = 256
"""Training images that give the ranges of activations."""

Show = Callable[..., None]


@dataclass(frozen=True)
class BoardResult:
    """All held-out images on one board. Differences are in output bytes; both are 0 or an error."""

    report: Report
    accuracy: float
    differ_reference: int
    differ_host: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return self.report.to_dict() | {
            "accuracy": self.accuracy,
            "differing_bytes_reference": self.differ_reference,
            "differing_bytes_host": self.differ_host,
        }


def demo(folder: Path, show: Show, *, boards: Sequence[str] = BOARDS) -> dict[str, Any]:
    """Run the demo, print its tables through `show(*renderables)` and leave its files in `folder`.

    Returns what report.json holds: accuracies of float and quantized model, a report a board.
    Raises: Mismatch where a board's outputs differ from the reference's or the host's in any byte;
    ToolMissing, before anything slow, where torch, scikit-learn, zig or the emulator is not
    installed; BadData for an unknown board.
    """
    targets = [api.board(name) for name in ("host", *(name for name in boards if name != "host"))]
    _need_tools(targets)
    digits = load_digits()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    shown: list[RenderableType] = []

    def tell(*parts: RenderableType) -> None:
        shown.extend((*parts, ""))
        show(*parts, "")

    float_graph, float_accuracy = _train(digits, tell)
    graph, s8_accuracy, outputs = _quantize(digits, float_graph, tell)
    write_graph(float_graph, folder / "digits_f32.mwg")
    write_graph(graph, folder / "digits_s8.mwg")
    inputs = list(samples(graph, digits.test_x))
    results = _run_boards(graph, digits, inputs, outputs, targets, folder, tell)
    tell(heading(f"All {len(inputs)} held-out digits"), _comparison(results))
    tell(heading("Quantized model, rows true, columns said"), _confusion(digits.test_y, outputs))
    found = {
        "task": "digits",
        "held_out": len(inputs),
        "float_accuracy": float_accuracy,
        "s8_accuracy": s8_accuracy,
        "boards": [result.to_dict() for result in results],
    }
    write_file(folder / "report.json", (json.dumps(found, indent=2) + "\n").encode())
    write_file(folder / "held_out.npy", npy(digits.test_x))
    picture = draw(digits, outputs)
    if picture:
        write_file(folder / "digits.png", picture)
    write_file(folder / "report.txt", (as_text(*shown) + "\n").encode())
    return found


def _need_tools(targets: Sequence[Board]) -> None:
    """ToolMissing for what the stages need, so that none fails after a training."""
    import_torch()
    zig_command()
    if find_spec("unicorn") is None and not all(target.is_host for target in targets):
        raise ToolMissing("unicorn is not installed; run: pip install 'milliwatt[emulate]'")


def _train(digits: Digits, tell: Show) -> tuple[Graph, float]:
    """Stage 1: a trained torch module as a float graph, and its accuracy."""
    began = time.perf_counter()
    net = train(digits)
    seconds = time.perf_counter() - began
    import torch

    share = accuracy(net, digits.test_x, digits.test_y)
    graph = api.load(net, example=torch.zeros(1, 1, 8, 8), name="digits")
    (scores,) = predict(graph, (digits.test_x,))
    with torch.no_grad():
        wanted = net(torch.from_numpy(digits.test_x).permute(0, 3, 1, 2)).numpy()
    count = sum(p.numel() for p in net.parameters())
    rows: list[Fact] = [
        ("training", f"{len(digits.train_x):,}", "images", f"{seconds:.1f} s"),
        ("parameters", f"{count:,}", "", "three convolutions, one linear layer"),
        ("accuracy", f"{100 * share:.2f}", "%", f"{len(digits.test_x)} held-out images, float"),
        ("import", f"{np.max(np.abs(scores - wanted)):.1g}", "", "largest difference to torch"),
    ]
    tell(heading("1  Train"), facts(rows))
    return graph, share


def _quantize(digits: Digits, graph: Graph, tell: Show) -> tuple[Graph, float, list[Inputs]]:
    """Stage 2: the int8 graph, its accuracy, and its reference outputs for all held-out images."""
    from milliwatt.compress.quantize import quantize_with_report

    data = digits.train_x[:CALIBRATION]
    small, report = quantize_with_report(graph, data)
    rows = api.layer_report(graph, small, digits.test_x)
    outputs = reference_outputs(small, list(samples(small, digits.test_x)))
    share = top1((np.concatenate([o[0] for o in outputs]),), digits.test_y)
    fact: Fact = ("accuracy", f"{100 * share:.2f}", "%", f"int8, ranges from {len(data)} images")
    tell(heading("2  Quantize"), "", *quantization_view(report, rows), "", facts([fact]))
    return small, share, outputs


def _run_boards(
    graph: Graph,
    digits: Digits,
    inputs: list[Inputs],
    expected: list[Inputs],
    targets: Sequence[Board],
    folder: Path,
    tell: Show,
) -> list[BoardResult]:
    """Stages 3 and on: all images on each target, the host first; firmware folders on the way."""
    results: list[BoardResult] = []
    host: list[Inputs] = []
    for stage, target in enumerate(targets, start=3):
        name = target.name
        firmware = api.build(graph, board=target)
        firmware.save(folder / name)
        began = time.perf_counter()
        traces = list(track(firmware.run_many(inputs), f"running on {name}", len(inputs)))
        seconds = time.perf_counter() - began
        found = [trace.outputs for trace in traces]
        host = host or found
        _must_agree(firmware, inputs, found, expected)
        text = f"held-out images in {seconds:.1f} s"
        report = make_report(graph, firmware.image, inputs, traces, text)
        result = BoardResult(
            report,
            top1((np.concatenate([o[0] for o in found]),), digits.test_y),
            sum(map(differing_bytes, found, expected)),
            sum(map(differing_bytes, found, host)),
            seconds,
        )
        results.append(result)
        table = ("", layer_table(report), "") if report.layers else ()
        tell(heading(f"{stage}  Run on {name}"), title(report), *table, summary(report))
    return results


def _must_agree(
    firmware: api.Firmware, inputs: list[Inputs], found: list[Inputs], wanted: list[Inputs]
) -> None:
    """Raise Mismatch, naming the first layer that differs, unless all outputs are equal."""
    for index, x in enumerate(inputs):
        if differing_bytes(found[index], wanted[index]):
            raise Mismatch(
                f"{firmware.graph.name} on {firmware.board.name}: image {index} differs from the "
                f"reference; {firmware.first_divergence(x)}"
            )


def _comparison(results: Sequence[BoardResult]) -> RenderableType:
    """One row a board: accuracy, memory, time, energy, and the bytes that differ."""
    heads = (
        *("board", "accuracy", "flash", "RAM", "cycles", "ms", "uJ"),
        *("bytes unlike reference", "unlike host"),
    )
    rows = []
    for result in results:
        report = result.report
        counted = report.cycles is not None
        rows.append(
            (
                report.board,
                f"{100 * result.accuracy:.2f} %",
                f"{report.flash_bytes:,}",
                f"{report.ram_bytes:,}",
                f"{report.cycles:,}" if counted else "",
                f"{report.latency_ms:.3f}",
                f"{report.energy_uj:,.1f}" if report.energy_uj is not None else "",
                str(result.differ_reference),
                str(result.differ_host),
            )
        )
    return columns(heads, rows)


def _confusion(labels: np.ndarray, outputs: Sequence[Inputs]) -> RenderableType:
    """How often each digit was taken for which; blanks are zeros."""
    said = np.array([int(np.argmax(o[0])) for o in outputs])
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (labels, said), 1)
    rows = [(str(i), *(str(n) if n else "" for n in row)) for i, row in enumerate(counts)]
    return columns(("", *map(str, range(10))), rows)
