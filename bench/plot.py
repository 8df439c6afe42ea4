"""bench/results/models.csv as one picture: latency beside published engines, flash and RAM.

    python -m bench.plot

Latency: every engine's best submission on a board (bench/published.csv) and milliwatt with its
error bar. Flash and RAM: milliwatt's aims on the Cortex-M4 board beside TensorFlow Lite Micro with
CMSIS-NN (bench/tflm.csv).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.common import HERE, RESULTS, read_csv
from bench.compare import Submission, submissions

NAMES = {"vww": "VWW", "ic": "IC", "kws": "KWS", "ad": "AD", "sww": "SWW"}
BOARDS = {
    "nucleo-l4r5zi": "Cortex-M4, NUCLEO-L4R5ZI",
    "nucleo-u575zi-q": "Cortex-M33, NUCLEO-U575ZI-Q",
    "nucleo-h7a3zi-q": "Cortex-M7, NUCLEO-H7A3ZI-Q",
    "disco-f746ng": "Cortex-M7, 32F746GDISCOVERY",
}
ENGINES = {  # submitter: (label, colour, marker), slowest first
    "Reference": ("TFLM reference kernels", "#b0b0b0", "s"),
    "OctoML": ("microTVM", "#8c6d31", "v"),
    "Skymizer": ("ONNC", "#7b9e87", "D"),
    "Bosch": ("Bosch HALE", "#5b8db8", "^"),
    "STMicroelectronics": ("ST X-CUBE-AI", "#2c5f8a", "P"),
    "Plumerai": ("Plumerai", "#6a4c93", "X"),
}
OURS = "#d1495b"
SIZES = {  # aim or TFLM: colour
    "tflm": "#b0b0b0",
    "speed": OURS,
    "balanced": "#e58c5a",
    "ram": "#e9b949",
    "flash": "#7fa650",
}
KIB = 1024
Rows = Sequence[dict[str, str]]


def plot(results: Path, picture: Path) -> None:
    """Draw `results`, a models.csv, into `picture`. Needs matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = read_csv(results)
    figure = pyplot.figure(figsize=(14, 9), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1.15, 1])
    for axes, board in zip(above.subplots(1, len(BOARDS), sharey=True), BOARDS, strict=True):
        _latency(axes, board, rows)
    handles = {}
    for axes in above.axes:
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    order = ["milliwatt, speed (emulated)", *(label for label, _, _ in ENGINES.values())]
    above.legend(
        [handles[k] for k in order if k in handles],
        [k for k in order if k in handles],
        loc="outside lower center",
        ncols=len(order),
        frameon=False,
    )
    above.suptitle(
        "Latency of one inference, MLPerf Tiny int8 models. Each engine's best closed submission, "
        "v0.5 to v1.3, measured on the board; milliwatt emulated, with its error bar",
        fontsize=11,
    )
    flash, ram = below.subplots(1, 2)
    _sizes(flash, rows, ("weight_bytes", "code_bytes"), ("model_bytes", "code_bytes"))
    flash.set_title("Flash: weights (solid) and code (light)", fontsize=10)
    _sizes(ram, rows, ("arena_bytes", "other_bytes"), ("arena_bytes", "other_bytes"))
    ram.set_title("RAM: arena (solid), stack and static data (light)", fontsize=10)
    below.legend(
        *flash.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=len(SIZES),
        frameon=False,
    )
    below.suptitle(
        "Flash and RAM on the Cortex-M4 board. TensorFlow Lite Micro with CMSIS-NN: built with GCC "
        "12.2 -O3, int8 kernels only; milliwatt: zig cc, one bar an aim",
        fontsize=11,
    )
    figure.savefig(picture, dpi=110, metadata={"Software": None})
    pyplot.close(figure)
    print(f"drew {picture.parent.name}/{picture.name}")


def _found(rows: Rows, board: str, aim: str) -> dict[str, dict[str, str]]:
    """Rows by model of a board and an aim, built by zig."""
    wanted = (board, "zig", aim)
    return {r["model"]: r for r in rows if (r["board"], r["toolchain"], r["optimize"]) == wanted}


def _best(board: str, submitter: str, model: str) -> Submission | None:
    found = [
        s for s in submissions() if (s.board, s.submitter, s.model) == (board, submitter, model)
    ]
    return min(found, key=lambda s: s.latency_ms, default=None)


def _latency(axes: Any, board: str, rows: Rows) -> None:
    """One board: a group a model, a line an engine; milliseconds on a logarithmic scale."""
    ours = _found(rows, board, "speed")
    models = [m for m in NAMES if any((s.board, s.model) == (board, m) for s in submissions())]
    step = 0.8 / len(ENGINES)
    for group, model in enumerate(models):
        for line, (submitter, (label, colour, marker)) in enumerate(ENGINES.items()):
            if best := _best(board, submitter, model):
                axes.plot(
                    best.latency_ms, group - 0.4 + line * step, marker, color=colour, label=label
                )
        if model in ours:
            latency = float(ours[model]["latency_ms"])
            error = latency * float(ours[model]["error_percent"]) / 100
            at = group - 0.4 + len(ENGINES) * step
            style = {"fmt": "o", "color": OURS, "markersize": 7, "capsize": 3}
            axes.errorbar(latency, at, xerr=error, label="milliwatt, speed (emulated)", **style)
            axes.annotate(
                f"{latency:.3g}",
                (latency + error, at),
                xytext=(4, -3),
                textcoords="offset points",
                fontsize=8,
                color=OURS,
            )
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.margins(x=0.16)  # room for the figure on the right
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda ms, _: f"{ms:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", labelsize=8, rotation=45)
    axes.set_yticks(range(len(models)), [NAMES[m] for m in models])
    axes.set_ylim(len(models) - 0.4, -0.6)
    for group in range(1, len(models)):
        axes.axhline(group - 0.5, color="#dddddd", linewidth=0.8)
    axes.grid(axis="x", color="#eeeeee")
    axes.set_axisbelow(True)
    axes.set_xlabel("ms (log)")
    error_percent = next((r["error_percent"] for r in ours.values()), "?")
    axes.set_title(f"{BOARDS[board]}\nerror bar {float(error_percent):g} %", fontsize=10)


def _sizes(axes: Any, rows: Rows, ours: tuple[str, str], tflm: tuple[str, str]) -> None:
    """A group a model: TFLM, then the aims; two parts of a sum on top of each other, KiB."""
    baseline = {r["model"]: r for r in read_csv(HERE / "tflm.csv") if r["build"] == "cmsis_O3_i8"}
    width = 0.85 / len(SIZES)
    for index, (name, colour) in enumerate(SIZES.items()):
        found = baseline if name == "tflm" else _found(rows, "nucleo-l4r5zi", name)
        columns = tflm if name == "tflm" else ours
        label = "TFLM + CMSIS-NN" if name == "tflm" else f"milliwatt, {name}"
        for group, model in enumerate(NAMES):
            if model not in found:
                continue
            row = dict(found[model])
            row["other_bytes"] = str(int(row["ram_bytes"]) - int(row["arena_bytes"]))
            base, top = (int(row[c]) / KIB for c in columns)
            at = group + (index - (len(SIZES) - 1) / 2) * width
            axes.bar(at, base, width * 0.92, color=colour, label=label if group == 0 else None)
            axes.bar(at, top, width * 0.92, bottom=base, color=colour, alpha=0.45)
            axes.annotate(
                f"{base + top:.3g}",
                (at, base + top),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                fontsize=7,
                rotation=90,
            )
    axes.set_xticks(range(len(NAMES)), list(NAMES.values()))
    axes.set_ylabel("KiB")
    axes.grid(axis="y", color="#eeeeee")
    axes.set_axisbelow(True)
    axes.margins(y=0.14)


def main() -> None:
    """Draw what was measured last."""
    plot(RESULTS / "models.csv", RESULTS / "models.png")


if __name__ == "__main__":
    main()
