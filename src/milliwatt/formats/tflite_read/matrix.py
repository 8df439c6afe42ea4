"""TRANSPOSE_CONV, BATCH_MATMUL: .tflite operators as nodes."""

from __future__ import annotations

from milliwatt.formats.tflite_read.site import Reader

READERS: dict[str, tuple[int, Reader]] = {}
