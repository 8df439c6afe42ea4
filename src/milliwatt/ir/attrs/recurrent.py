"""Recurrent layers: SVDF and LSTM: attributes."""

from __future__ import annotations
