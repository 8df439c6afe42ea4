"""milliwatt: from a trained network to verified, measured microcontroller firmware.

import milliwatt as mw

graph = mw.quantize(mw.load(module, example=x), data)
firmware = mw.build(graph, board="nucleo-l4r5zi")
print(firmware.profile())

Names are loaded at first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from milliwatt.api import (
        Firmware,
        board,
        boards,
        build,
        from_torch,
        layer_report,
        load,
        quantize,
        save,
        stream,
        to_torch,
    )
    from milliwatt.compiler.board import Board
    from milliwatt.debug.report import Report
    from milliwatt.emulate.machine import Trace
    from milliwatt.errors import (
        BadData,
        DoesNotFit,
        ImportFailed,
        InvalidGraph,
        MachineFault,
        MilliwattError,
        Mismatch,
        ToolMissing,
        UnsupportedOp,
    )
    from milliwatt.ir.graph import Graph

__version__ = "0.1.0"

__all__ = [
    "BadData",
    "Board",
    "DoesNotFit",
    "Firmware",
    "Graph",
    "ImportFailed",
    "InvalidGraph",
    "MachineFault",
    "MilliwattError",
    "Mismatch",
    "Report",
    "ToolMissing",
    "Trace",
    "UnsupportedOp",
    "board",
    "boards",
    "build",
    "from_torch",
    "layer_report",
    "load",
    "quantize",
    "save",
    "stream",
    "to_torch",
]

_HOMES = {
    "Board": "milliwatt.compiler.board",
    "Graph": "milliwatt.ir.graph",
    "Report": "milliwatt.debug.report",
    "Trace": "milliwatt.emulate.machine",
    "Firmware": "milliwatt.api",
    "board": "milliwatt.api",
    "boards": "milliwatt.api",
    "build": "milliwatt.api",
    "from_torch": "milliwatt.api",
    "layer_report": "milliwatt.api",
    "load": "milliwatt.api",
    "quantize": "milliwatt.api",
    "save": "milliwatt.api",
    "stream": "milliwatt.api",
    "to_torch": "milliwatt.api",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its module at first use."""
    if name not in __all__:
        raise AttributeError(f"module 'milliwatt' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES.get(name, "milliwatt.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
