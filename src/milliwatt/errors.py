"""Every error milliwatt raises on purpose, as one tree.

MilliwattError
├── ImportFailed     a model file or module could not be read; says where in the file
├── UnsupportedOp    an operator, type or option that no kernel handles; names the node
├── InvalidGraph     a graph breaks a rule that `ir.verify` states; names the node
├── DoesNotFit       the firmware needs more flash or RAM than the board has
├── Mismatch         two rungs of the equality ladder differ; names the first diverging layer
├── ToolMissing      a compiler, emulator or Python extra is absent; prints the line to install it
├── MachineFault     emulated firmware crashed, overran its stack or hung; names function and layer
└── BadData          an input array or data set has the wrong shape, type or values

Messages are one line: node, what was found, what is allowed, what to do.

MilliwattWarning is for what works but is hardly meant; it is a UserWarning and no error.
"""


class MilliwattError(Exception):
    """Base class: catch this to catch everything milliwatt raises on purpose."""


class ImportFailed(MilliwattError):
    """A model file or module could not be read."""


class UnsupportedOp(MilliwattError):
    """An operator, type or option that milliwatt has no kernel for."""


class InvalidGraph(MilliwattError):
    """A graph that breaks a rule of the IR."""


class DoesNotFit(MilliwattError):
    """The firmware needs more flash or RAM than the board has."""


class Mismatch(MilliwattError):
    """Two rungs of the equality ladder give different bytes."""


class ToolMissing(MilliwattError):
    """A compiler, emulator or Python package that this step needs is not installed."""


class MachineFault(MilliwattError):
    """Emulated firmware faulted, overflowed its stack or exceeded its cycle limit."""


class BadData(MilliwattError):
    """An input array or data set has the wrong shape, type or values."""


class MilliwattWarning(UserWarning):
    """Something that works but is hardly meant, in one line; `mw` prints it as a notice."""
