"""Operators that move values: slices, gathers, broadcasts, mirrors: attributes."""

from __future__ import annotations
