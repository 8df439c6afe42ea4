"""Elementwise operators beyond add, sub and mul: math, comparison, logic, choice: attributes."""

from __future__ import annotations
