"""Grids of the family `recurrent`."""

from __future__ import annotations

from kernels.cases_core import Case

CASES: tuple[Case, ...] = ()
