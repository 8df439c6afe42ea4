"""Keyword spotting: real utterances through a quantized keyword model on an emulated board.

Written for MLPerf Tiny's kws01 inputs; any classifier of one input goes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from milliwatt import api
from milliwatt.compress.progress import track
from milliwatt.debug.arrays import read_named
from milliwatt.debug.inputs import samples
from milliwatt.debug.profile import summary, title
from milliwatt.debug.report import differing_bytes, make_report, reference_outputs
from milliwatt.debug.table import columns, facts
from milliwatt.errors import BadData, Mismatch


@dataclass(frozen=True)
class Utterances:
    """Model inputs [N, ...], their classes [N], and the classes' names in the output's order."""

    x: np.ndarray
    y: np.ndarray
    labels: tuple[str, ...]


def load_utterances(path: Path, count: int) -> Utterances:
    """`count` utterances, evenly spaced, of a .npz with arrays x, y and labels.

    Raises: BadData where the file or its arrays are not what they should be.
    """
    x, y, labels = read_named(path, ("x", "y", "labels"))
    if x.ndim < 2 or y.shape != (len(x),) or not len(y) or y.dtype.kind not in "iu":
        raise BadData(
            f"{path}: x is {x.dtype}{list(x.shape)} and y {y.dtype}{list(y.shape)}; "
            "x [N, ...] and integers y [N] wanted"
        )
    if labels.ndim != 1 or y.min() < 0 or y.max() >= len(labels):
        raise BadData(f"{path}: y runs from {y.min()} to {y.max()} for {labels.size} labels")
    kept = np.linspace(0, len(x) - 1, min(count, len(x))).round().astype(int)
    return Utterances(x[kept], y[kept], tuple(map(str, labels)))


def demo(
    model: Path, data: Path, show: Callable[..., None], *, board: str, count: int
) -> dict[str, Any]:
    """Run utterances on an emulated board and print what it heard, how well and at what cost.

    Returns the report with accuracy and, for every utterance, the label said on the board.
    Raises: BadData for wrong data; Mismatch where any output byte differs from the reference's.
    """
    graph = api.load(model)
    heard = load_utterances(data, count)
    if len(graph.outputs) != 1 or graph.outputs[0].type.size != len(heard.labels):
        outputs = ", ".join(node.type.short for node in graph.outputs)
        raise BadData(f"{graph.name}: output {outputs}; one of {len(heard.labels)} labels wanted")
    firmware = api.build(graph, board=board)
    inputs = list(samples(graph, heard.x))
    running = track(firmware.run_many(inputs), f"running on {firmware.board.name}", len(inputs))
    traces = list(running)
    expected = reference_outputs(graph, inputs)
    for index, (trace, wanted) in enumerate(zip(traces, expected, strict=True)):
        if differing_bytes(trace.outputs, wanted):
            raise Mismatch(
                f"{graph.name} on {firmware.board.name}: utterance {index} differs from the "
                f"reference; {firmware.first_divergence(inputs[index])}"
            )
    said = np.array([int(np.argmax(trace.outputs[0])) for trace in traces])
    reference = np.array([int(np.argmax(wanted[0])) for wanted in expected])
    accuracy = float(np.mean(said == heard.y))
    report = make_report(graph, firmware.image, inputs, traces, f"utterances of {data.name}")
    right = f"{np.count_nonzero(said == heard.y):,} of {len(said):,} utterances"
    same = f"{np.count_nonzero(said == reference):,} of {len(said):,} as the reference"
    show(title(report), "", _by_label(heard, said), "")
    show(facts([("accuracy", f"{100 * accuracy:.1f}", "%", right), ("labels", "", "", same)]))
    show("", summary(report))
    return report.to_dict() | {
        "accuracy": accuracy,
        "labels": [heard.labels[index] for index in said],
        "labels_equal_reference": bool(np.all(said == reference)),
    }


def _by_label(heard: Utterances, said: np.ndarray) -> Any:
    """One row a label: how many utterances, how many heard right, what they were taken for."""
    rows = []
    for index, label in enumerate(heard.labels):
        mine = said[heard.y == index]
        wrong = [heard.labels[other] for other in mine[mine != index]]
        taken = ", ".join(f"{name} {wrong.count(name)}" for name in sorted(set(wrong)))
        rows.append((label, taken, str(len(mine)), str(np.count_nonzero(mine == index))))
    return columns(("label", "taken for", "spoken", "right"), rows, left=2)
