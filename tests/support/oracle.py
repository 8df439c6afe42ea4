"""The outside judge: the TensorFlow Lite Micro interpreter with its reference kernels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest


class Tflm:
    """One model in the `tflite-micro` interpreter."""

    def __init__(self, model: bytes, arena_bytes: int = 1 << 20) -> None:
        micro = pytest.importorskip("tflite_micro", reason="the tflite-micro wheel is the oracle")
        # The default arena, ten times the file, is too small for small files with large tensors.
        self._interpreter = micro.runtime.Interpreter.from_bytes(model, arena_size=arena_bytes)

    def run(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """The first output for `inputs`."""
        for index, value in enumerate(inputs):
            self._interpreter.set_input(value, index)
        self._interpreter.invoke()
        output: np.ndarray = self._interpreter.get_output(0)
        return output


def litert(model: bytes, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """The first output in LiteRT (TensorFlow Lite), reference kernels: the second opinion."""
    lite = pytest.importorskip("ai_edge_litert.interpreter", reason="ai-edge-litert is an oracle")
    interpreter = lite.Interpreter(
        model_content=model, experimental_op_resolver_type=lite.OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    output: np.ndarray = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return output
