"""Files of the digits demo that are not text: held-out images, a picture of what was said."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from milliwatt.debug.inputs import Inputs
from milliwatt.zoo.digits import Digits

COLUMNS, ROWS = 12, 4


def npy(array: np.ndarray) -> bytes:
    """The bytes of a .npy file."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def draw(digits: Digits, outputs: Sequence[Inputs]) -> bytes | None:
    """A PNG of held-out images under what the board said, the mistaken ones first and in red.

    None where matplotlib, which nothing else needs, is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    said = np.array([int(np.argmax(values[0])) for values in outputs])
    wrong = said != digits.test_y
    order = np.argsort(~wrong, kind="stable")[: COLUMNS * ROWS]
    figure = Figure(figsize=(COLUMNS * 0.8, ROWS))
    figure.suptitle(f"{len(said) - wrong.sum()} of {len(said)} held-out digits right")
    for place, index in enumerate(order):
        axes = figure.add_subplot(ROWS, COLUMNS, place + 1)
        axes.imshow(digits.test_x[index, :, :, 0], cmap="gray_r")
        axes.axis("off")
        text = f"{said[index]}, is {digits.test_y[index]}" if wrong[index] else str(said[index])
        axes.set_title(text, fontsize=9, color="red" if wrong[index] else "black", pad=2)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=100, bbox_inches="tight")
    return stream.getvalue()
