"""Matrix products beyond conv2d and fully_connected: transpose_conv2d, batch_matmul."""

from __future__ import annotations

from milliwatt.ir.ops.table import Op, OpDef

OPS: dict[Op, OpDef] = {}
