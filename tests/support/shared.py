"""Models and recordings that live beside the checkout; tests skip loudly without them."""

from __future__ import annotations

from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_PLACES = (_ROOT / "shared", _ROOT.parent / "shared")

# The five MLPerf Tiny reference models, and their float versions where published.
INT8_MODELS = {
    "kws": "kws_ref_model.tflite",
    "vww": "vww_96_int8.tflite",
    "ic": "pretrainedResnet_quant.tflite",
    "ad": "ad01_int8.tflite",
    "sww": "str_ww_ref_model.tflite",
}
FLOAT_MODELS = {
    "kws": "kws_ref_model_float32.tflite",
    "vww": "vww_96_float.tflite",
    "ic": "pretrainedResnet.tflite",
    "ad": "ad01_fp32.tflite",
}


def shared(relative: str) -> Path:
    """The path of a shared file such as `models/mlperf_tiny/ad01_int8.tflite`."""
    for place in _PLACES:
        if (place / relative).exists():
            return place / relative
    pytest.skip(f"shared/{relative} is not beside this checkout")


def mlperf(file: str) -> Path:
    """The path of an MLPerf Tiny model."""
    return shared(f"models/mlperf_tiny/{file}")
