"""Whole models on real inputs: our reference against TensorFlow Lite Micro, byte for byte."""

from __future__ import annotations

import csv
import io
import zipfile

import numpy as np
import pytest

from milliwatt.formats.tflite import read_tflite
from milliwatt.ir.graph import Graph
from milliwatt.ir.ops.quantization import quantize_array
from milliwatt.ir.reference import run
from support.oracle import Tflm, litert
from support.shared import FLOAT_MODELS, INT8_MODELS, mlperf, shared
from support.single_ops import random_values

ARENA_BYTES = 4 << 20
INPUTS = 100

# Least accuracy of the oracle on the inputs taken: shows that they are the real thing.
ACCURACY = {"kws": 0.85, "vww": 0.78, "ic": 0.8, "sww": 0.85}


def images(archive: str, names: list[str]) -> np.ndarray:
    """u8 [len(names), H, W, 3] from a zip of pictures."""
    pillow = pytest.importorskip("PIL.Image", reason="Pillow reads the test pictures")
    with zipfile.ZipFile(shared(archive)) as pack:
        return np.stack(
            [np.asarray(pillow.open(io.BytesIO(pack.read(name))).convert("RGB")) for name in names]
        )


def centred(pixels: np.ndarray) -> np.ndarray:
    """u8 pixels as s8 with zero point -128, what both image models take."""
    return (pixels.astype(np.int16) - 128).astype(np.int8)


def keyword_inputs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    data = np.load(shared("data/mlperf_kws01/mlperf_kws01.npz"))
    chosen = rng.permutation(len(data["x"]))[:INPUTS]
    return data["x"][chosen], data["y"][chosen]


def person_inputs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    with zipfile.ZipFile(shared("data/vww96/vww96.zip")) as pack:
        names = sorted(n for n in pack.namelist() if n.startswith("test/") and n.endswith(".jpg"))
    chosen = [names[i] for i in rng.permutation(len(names))[:INPUTS]]
    labels = np.array([int(name.split("/")[1] == "person") for name in chosen])
    return centred(images("data/vww96/vww96.zip", chosen)), labels


def picture_inputs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    with shared("data/cifar10/mlperf_ic01.csv").open() as file:
        rows = list(csv.DictReader(file))
    rows = [rows[i] for i in rng.permutation(len(rows))[:INPUTS]]
    names = [f"test/{row['class']}/{row['file']}" for row in rows]
    labels = np.array([int(row["label_index"]) for row in rows])
    return centred(images("data/cifar10/cifar10.zip", names)), labels


def wake_word_inputs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The 45 published windows, then the same windows shifted in time."""
    data = np.load(shared("data/mlperf_sww/calibration_samples.npz"))
    kind = read_tflite(mlperf(INT8_MODELS["sww"])).inputs[0].type
    windows = quantize_array(data["specs"].astype(np.float32), kind)
    shifted = [np.roll(windows, int(rng.integers(1, 30)), axis=1) for _ in range(2)]
    return np.concatenate([windows, *shifted])[:INPUTS], data["labels"]


REAL = {
    "kws": keyword_inputs,
    "vww": person_inputs,
    "ic": picture_inputs,
    "sww": wake_word_inputs,
}


def differing_bytes(graph: Graph, model: bytes, inputs: np.ndarray) -> tuple[int, np.ndarray]:
    """(bytes in which reference and oracle differ over all inputs, the oracle's outputs)."""
    oracle = Tflm(model, ARENA_BYTES)
    differ, outputs = 0, []
    for value in inputs:
        wanted = oracle.run([value[None]])
        differ += int((run(graph, [value[None]])[0] != wanted).sum())
        outputs.append(wanted[0])
    return differ, np.stack(outputs)


@pytest.mark.parametrize("key", REAL)
def test_int8_model_equals_the_oracle_on_real_inputs(key: str) -> None:
    path = mlperf(INT8_MODELS[key])
    inputs, labels = REAL[key](np.random.default_rng(0))
    assert len(inputs) == INPUTS
    differ, outputs = differing_bytes(read_tflite(path), path.read_bytes(), inputs)
    right = outputs[: len(labels)].argmax(axis=1) == labels
    assert right.mean() >= ACCURACY[key], "these inputs are not what the model was made for"
    assert differ == 0


def test_anomaly_model_equals_the_oracle_on_random_inputs() -> None:
    """Its data set, ToyADMOS, is not at hand."""
    path = mlperf(INT8_MODELS["ad"])
    graph = read_tflite(path)
    rng = np.random.default_rng(0)
    inputs = np.stack([random_values(rng, graph.inputs[0].type)[0] for _ in range(INPUTS)])
    assert differing_bytes(graph, path.read_bytes(), inputs)[0] == 0


@pytest.mark.parametrize("file", ["person_detect.tflite", "micro_speech_quantized.tflite"])
def test_example_model_equals_the_oracle_on_random_inputs(file: str) -> None:
    path = shared(f"models/tflm/{file}")
    graph = read_tflite(path)
    rng = np.random.default_rng(0)
    inputs = np.stack([random_values(rng, graph.inputs[0].type)[0] for _ in range(20)])
    assert differing_bytes(graph, path.read_bytes(), inputs)[0] == 0


def float_inputs(key: str, graph: Graph) -> np.ndarray:
    shape = (5, *graph.inputs[0].type.shape)
    values = np.random.default_rng(0).random(shape, np.float32)
    return values * np.float32({"ic": 255, "ad": 20, "kws": 60}.get(key, 1))


@pytest.mark.parametrize("key", [key for key in FLOAT_MODELS if key != "kws"])
def test_float_model_is_within_1e_5_of_the_oracle(key: str) -> None:
    path = mlperf(FLOAT_MODELS[key])
    graph = read_tflite(path)
    oracle = Tflm(path.read_bytes(), ARENA_BYTES)
    for value in float_inputs(key, graph):
        wanted = oracle.run([value])
        got = run(graph, [value])[0]
        assert np.abs(got - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_dynamic_range_model_is_near_litert() -> None:
    """The float keyword model holds s8 weights; TensorFlow Lite rounds its activations as well."""
    path = mlperf(FLOAT_MODELS["kws"])
    graph = read_tflite(path)
    data = np.load(shared("data/mlperf_kws01/mlperf_kws01.npz"))
    reals = (data["x"][:20].astype(np.float32) - 83) * np.float32(0.5847029)
    for value in reals:
        wanted = litert(path.read_bytes(), [value[None]])
        got = run(graph, [value[None]])[0]
        assert got.argmax() == wanted.argmax()
        assert np.abs(got - wanted).max() < 0.05
