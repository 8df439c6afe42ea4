"""The outside judges: TensorFlow Lite Micro and LiteRT, both with their reference kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import pytest


class Oracle(Protocol):
    """One model in an interpreter that is not ours; variables keep their values between runs."""

    def run_all(self, inputs: Sequence[np.ndarray], outputs: int = 1) -> tuple[np.ndarray, ...]:
        """The first `outputs` outputs for `inputs`."""


class Tflm:
    """One model in the `tflite-micro` interpreter."""

    def __init__(self, model: bytes, arena_bytes: int = 1 << 20) -> None:
        micro = pytest.importorskip("tflite_micro", reason="the tflite-micro wheel is the oracle")
        # The default arena, ten times the file, is too small for small files with large tensors.
        self._interpreter = micro.runtime.Interpreter.from_bytes(model, arena_size=arena_bytes)

    def run_all(self, inputs: Sequence[np.ndarray], outputs: int = 1) -> tuple[np.ndarray, ...]:
        """See Oracle."""
        for index, value in enumerate(inputs):
            self._interpreter.set_input(value, index)
        self._interpreter.invoke()
        return tuple(self._interpreter.get_output(index) for index in range(outputs))

    def run(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """The first output for `inputs`."""
        return self.run_all(inputs)[0]


class LiteRt:
    """One model in LiteRT (TensorFlow Lite): the second opinion, and the judge where TFLM has none.

    Operators that differ between the two are in docs/spec.md, "Known deviations".
    """

    def __init__(self, model: bytes) -> None:
        lite = pytest.importorskip("ai_edge_litert.interpreter", reason="ai-edge-litert is it")
        self._interpreter = lite.Interpreter(
            model_content=model, experimental_op_resolver_type=lite.OpResolverType.BUILTIN_REF
        )
        self._interpreter.allocate_tensors()

    def run_all(self, inputs: Sequence[np.ndarray], outputs: int = 1) -> tuple[np.ndarray, ...]:
        """See Oracle."""
        for detail, value in zip(self._interpreter.get_input_details(), inputs, strict=True):
            self._interpreter.set_tensor(detail["index"], value)
        self._interpreter.invoke()
        details = self._interpreter.get_output_details()
        return tuple(self._interpreter.get_tensor(d["index"]) for d in details[:outputs])


def litert(model: bytes, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """The first output in LiteRT."""
    return LiteRt(model).run_all(inputs)[0]
