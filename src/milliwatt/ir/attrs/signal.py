"""The audio front end: window, FFT, filter bank, PCAN: attributes."""

from __future__ import annotations
