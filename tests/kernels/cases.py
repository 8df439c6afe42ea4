"""The parameter grids: a node a case, as data; every row of the bind table is met by one."""

from __future__ import annotations

from kernels import (
    cases_control,
    cases_conv_dsp,
    cases_core,
    cases_depthwise_dsp,
    cases_elementwise_dsp,
    cases_matrix,
    cases_matrix_dsp,
    cases_move,
    cases_pointwise,
    cases_recurrent,
    cases_reduce,
    cases_signal,
    cases_winograd_dsp,
)
from kernels.cases_core import Case

CASES: tuple[Case, ...] = (
    *cases_core.CASES,
    *cases_depthwise_dsp.CASES,
    *cases_elementwise_dsp.CASES,
    *cases_conv_dsp.CASES,
    *cases_matrix.CASES,
    *cases_matrix_dsp.CASES,
    *cases_reduce.CASES,
    *cases_pointwise.CASES,
    *cases_move.CASES,
    *cases_recurrent.CASES,
    *cases_signal.CASES,
    *cases_control.CASES,
    *cases_winograd_dsp.CASES,
)
