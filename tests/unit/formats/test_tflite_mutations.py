"""Thousands of spoiled copies of good files: each is read or refused by name, in time.

Most positions spoiled are those that an honest read looks at: flipped weights are still a network.
"""

from __future__ import annotations

import pytest

from support.shared import FLOAT_MODELS, INT8_MODELS, shared
from support.tflite_edit import small_model
from support.tflite_mutate import survive

REAL = [
    *(f"models/mlperf_tiny/{file}" for file in (*INT8_MODELS.values(), *FLOAT_MODELS.values())),
    "models/tflm/person_detect.tflite",
    "models/tflm/micro_speech_quantized.tflite",
    "models/tflm/audio_preprocessor_int8.tflite",
]


def test_small_model(monkeypatch: pytest.MonkeyPatch) -> None:
    assert survive(small_model(), 1000, 0, monkeypatch) > 0.5


@pytest.mark.parametrize("file", REAL)
def test_real_model(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert survive(shared(file).read_bytes(), 60, 1, monkeypatch) > 0.3


@pytest.mark.slow
@pytest.mark.parametrize("file", REAL)
def test_real_model_at_length(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert survive(shared(file).read_bytes(), 1000, 2, monkeypatch) > 0.3
