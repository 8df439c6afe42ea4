"""What the measurements share: where models and inputs are, and how results are written."""

from __future__ import annotations

import argparse
import csv
import io
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

import milliwatt as mw
from milliwatt.ir.graph import Graph

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
MODELS = {
    "kws": "kws_ref_model.tflite",
    "vww": "vww_96_int8.tflite",
    "ic": "pretrainedResnet_quant.tflite",
    "ad": "ad01_int8.tflite",
    "sww": "str_ww_ref_model.tflite",
}
SEED = 0


def arguments(text: str, more: Mapping[str, str] | None = None) -> argparse.Namespace:
    """Command-line arguments: --models FOLDER (checked), --only MODEL ..., --quick.

    `more`: further switches and what they do; one that is given does without models.
    """
    parser = argparse.ArgumentParser(description=text)
    default = HERE.parent.parent / "shared" / "models"
    parser.add_argument("--models", type=Path, default=default, help="folder with mlperf_tiny/")
    parser.add_argument("--only", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--quick", action="store_true", help="fewer boards and inputs")
    for switch, what in (more or {}).items():
        parser.add_argument(switch, action="store_true", help=what)
    given = parser.parse_args()
    if any(getattr(given, switch.lstrip("-")) for switch in more or {}):
        return given
    if not (given.models / "mlperf_tiny").is_dir():
        sys.exit(
            f"NOTHING MEASURED: no mlperf_tiny in {given.models}; "
            "put the MLPerf Tiny models there or run: make bench MODELS=<folder>"
        )
    return given


def path(models: Path, key: str) -> Path:
    """The .tflite file of a model."""
    return models / "mlperf_tiny" / MODELS[key]


def write_csv(name: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Write bench/results/NAME.csv, replacing it whole, and say so."""
    RESULTS.mkdir(exist_ok=True)
    save_csv(RESULTS / f"{name}.csv", rows)


def save_csv(file: Path, rows: Sequence[Mapping[str, object]], head: str = "") -> None:
    """Write the rows under the first row's columns, replacing the file whole, and say so.

    `head`: a comment above them. Columns that the first row lacks are left out.
    """
    text = io.StringIO(f"# {head}\n" if head else "")
    text.seek(0, io.SEEK_END)
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    file.write_text(text.getvalue(), encoding="utf-8")
    print(f"{len(rows)} rows in {file.name}")


def read_csv(file: Path) -> list[dict[str, str]]:
    """Rows of a CSV file; lines that start with # are comments."""
    lines = [r for r in file.read_text(encoding="utf-8").splitlines() if not r.startswith("#")]
    return list(csv.DictReader(lines))


def inputs(key: str, graph: Graph, models: Path, count: int) -> tuple[list[np.ndarray], str]:
    """`count` inputs of a model and what they are: real ones beside the models, or random ones.

    Real: MLPerf Tiny's own accuracy inputs (kws, vww, ic) and the reference calibration windows
    (sww).
    """
    chance = np.random.default_rng(SEED)
    kind = graph.inputs[0].type
    data = models.parent / "data"
    try:
        real = _REAL[key](data, chance, count)
    except (KeyError, FileNotFoundError):
        low, high = kind.dtype.limits
        values = chance.integers(low, high + 1, (count, *kind.shape)).astype(kind.dtype.numpy)
        return list(values), "random"
    if real.dtype != kind.dtype.numpy:
        scaled = np.round(real / kind.scale) + kind.zero_point
        real = np.clip(scaled, *kind.dtype.limits).astype(kind.dtype.numpy)
    return [value.reshape(kind.shape) for value in real], "real"


def _pick(chance: np.random.Generator, total: int, count: int) -> np.ndarray:
    return chance.permutation(total)[:count]


def _keywords(data: Path, chance: np.random.Generator, count: int) -> np.ndarray:
    found: np.ndarray = np.load(data / "mlperf_kws01" / "mlperf_kws01.npz")["x"]
    return found[_pick(chance, len(found), count)]


def _wake_words(data: Path, chance: np.random.Generator, count: int) -> np.ndarray:
    """The 45 windows, then the same ones shifted in time."""
    windows = np.load(data / "mlperf_sww" / "calibration_samples.npz")["specs"]
    shifts = [0, *chance.permutation(np.arange(1, 30))]
    shifted = [np.roll(windows, int(s), axis=1) for s in shifts[: -(-count // len(windows))]]
    return np.concatenate(shifted)[:count]


def _pictures(archive: Path, names: Sequence[str]) -> np.ndarray:
    """u8 pictures as s8 with zero point -128, which is what both image models take."""
    from PIL import Image

    with zipfile.ZipFile(archive) as pack:
        pixels = [
            np.asarray(Image.open(io.BytesIO(pack.read(name))).convert("RGB")) for name in names
        ]
    return (np.stack(pixels).astype(np.int16) - 128).astype(np.int8)


def _persons(data: Path, chance: np.random.Generator, count: int) -> np.ndarray:
    archive = data / "vww96" / "vww96.zip"
    with zipfile.ZipFile(archive) as pack:
        names = sorted(n for n in pack.namelist() if n.startswith("test/") and n.endswith(".jpg"))
    return _pictures(archive, [names[i] for i in _pick(chance, len(names), count)])


def _objects(data: Path, chance: np.random.Generator, count: int) -> np.ndarray:
    folder = data / "cifar10"
    rows = read_csv(folder / "mlperf_ic01.csv")
    chosen = [rows[i] for i in _pick(chance, len(rows), count)]
    return _pictures(folder / "cifar10.zip", [f"test/{r['class']}/{r['file']}" for r in chosen])


_REAL = {"kws": _keywords, "vww": _persons, "ic": _objects, "sww": _wake_words}


def environment() -> dict[str, str]:
    """What the figures were made with, for the log."""
    import platform

    return {"milliwatt": mw.__version__, "python": platform.python_version()}
