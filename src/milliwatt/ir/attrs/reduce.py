"""Reductions, searches along an axis, norms, resizing: attributes."""

from __future__ import annotations
