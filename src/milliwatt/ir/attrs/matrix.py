"""Matrix products beyond conv2d and fully_connected: transpose_conv2d, batch_matmul: attributes."""

from __future__ import annotations
