"""The command `stream`: make a streaming graph, show what it saves, write it."""

from __future__ import annotations

from pathlib import Path

from milliwatt import api
from milliwatt.cli_show import note, show, show_json, waiting
from milliwatt.debug.files import check_file
from milliwatt.debug.streaming import stream_report, stream_view
from milliwatt.errors import Mismatch


def stream_model(
    model: Path, output: Path | None, *, frames: int, axis: int, board: str, as_json: bool = False
) -> None:
    """Stream a model, compare both graphs on a board, print the table; Mismatch where they differ.

    Errors as in `mw.stream` and `mw.build`.
    """
    if output is not None:
        check_file(output)  # told before anything slow
    target = api.board(board)
    graph = api.load(model)
    streaming = api.stream(graph, frames=frames, axis=axis)
    with waiting(f"running the window and the stream on {target.name}"):
        report = stream_report(graph, streaming, target, axis=axis)
    if output is not None and not report.different:
        api.save(streaming, output)
    if as_json:
        show_json({"model": graph.name, "output": str(output or ""), **report.to_dict()})
    else:
        show(*stream_view(report))
        if output is not None and not report.different:
            note(f"wrote {output}")
    if report.different:
        raise Mismatch(
            f"{graph.name}: {report.different} of {report.runs} runs give another result than the "
            "window; please report this model"
        )
