"""Which bytes a value is: a reshape is its operand's bytes, a part some of its bundle's."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from milliwatt.ir.attrs.control import Part
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op

# Long chains are walked once.
_KNOWN: WeakKeyDictionary[Node, tuple[Node, int]] = WeakKeyDictionary()


def is_alias(node: Node) -> bool:
    """True where the node's bytes are its operand's: nothing is computed, nothing is copied."""
    return node.op in (Op.RESHAPE, Op.PART) and not node.src[0].is_constant


def locate(node: Node) -> tuple[Node, int]:
    """The node whose bytes `node` stands for, and at which byte of them it begins."""
    chain: list[Node] = []
    while node not in _KNOWN and is_alias(node):
        chain.append(node)
        node = node.src[0]
    base, offset = _KNOWN.get(node, (node, 0))
    for alias in reversed(chain):
        offset += alias.attrs.offset if isinstance(alias.attrs, Part) else 0
        _KNOWN[alias] = (base, offset)
    return base, offset


def root(node: Node) -> Node:
    """The node whose bytes `node` stands for."""
    return locate(node)[0]
