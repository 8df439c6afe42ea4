"""Variables and control flow: .tflite operators as nodes.

Variables are no nodes of their own in the IR: a read is the node that the variable holds at that
point of the file, a state at first. Branches and loop bodies get the variables that they use as
further inputs and give back those that they change.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from milliwatt.formats.tflite_read.site import Branch, Handle, Reader, Result, Site, Value
from milliwatt.formats.tflite_read.variables import NAME_BYTES
from milliwatt.ir.attrs.control import If, While
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Type


def _var_handle(site: Site) -> Result:
    if site.options is None:
        site.fail("no options; the name of a variable wanted")
    return site.memory.handle(
        site.options.string(0, NAME_BYTES), site.options.string(1, NAME_BYTES)
    )


def _read_variable(site: Site) -> Result:
    if len(site.outs) != 1:
        site.fail(f"{len(site.outs)} results; 1 wanted")
    return site.memory.variable(site.handle(0), site.out)


def _assign_variable(site: Site) -> tuple[Result, ...]:
    site.memory.assign(site.handle(0), site.operand(1))
    return ()


def _call_once(site: Site) -> tuple[Result, ...]:
    site.memory.run_once(site.option(0, "i"))
    return ()


def _values(site: Site, first: int) -> list[Value]:
    """Operands from number `first` on, for a subgraph; each must be there."""
    return [
        site.handles[index] or site.operand(index) for index in range(first, len(site.operands))
    ]


def _union(branches: Sequence[Branch]) -> dict[Hashable, Type]:
    """The variables of all `branches`; they must agree about their types (verified as inputs)."""
    found: dict[Hashable, Type] = {}
    for branch in branches:
        for key, kind in branch.variables().items():
            found.setdefault(key, kind)
    return found


def _results(
    site: Site, op: Op, src: tuple[Node, ...], attrs: If | While, own: Sequence[Result]
) -> tuple[tuple[Result, ...], tuple[Node, ...]]:
    """(the operator's results: `own` with nodes of its own, what its graphs give beyond them)."""
    names = [
        name for name, result in zip(site.names, own, strict=False) if isinstance(result, Node)
    ]
    more = len(attrs.results) - len(names)
    names += [f"{site.name}.variable{number}" for number in range(more)]
    nodes = site.parts(op, src, attrs, attrs.results, names)
    values = iter(nodes)
    results = tuple(r if isinstance(r, Handle) else next(values) for r in own)
    return results, tuple(values)


def _if(site: Site) -> tuple[Result, ...]:
    condition, values = site.operand(0), _values(site, 1)
    if condition.type.dtype is not DType.BOOL or condition.type.size != 1:
        site.fail(f"condition is {condition.type.short}; one bool wanted")
    then, otherwise = (site.memory.subgraph(site.option(at, "i"), values) for at in (0, 1))
    own = then.results()
    handles = [[r for r in b.results() if isinstance(r, Handle)] for b in (then, otherwise)]
    if handles[0] != handles[1]:
        site.unsupported("the branches give different variables; a value wanted, read them inside")
    given = _union((then, otherwise))
    changed = [key for key in given if key in (*then.changes(), *otherwise.changes())]
    attrs = If(then.graph(given, changed), otherwise.graph(given, changed))
    if not attrs.then.outputs:
        return own
    states = [site.memory.current(key, kind) for key, kind in given.items()]
    src = (condition, *(v for v in values if isinstance(v, Node)), *states)
    results, new = _results(site, Op.IF, src, attrs, own)
    for key, node in zip(changed, new, strict=True):
        site.memory.change(key, node)
    return results


def _while(site: Site) -> tuple[Result, ...]:
    values = _values(site, 0)
    condition, body = (site.memory.subgraph(site.option(at, "i"), values) for at in (0, 1))
    if condition.changes():
        site.unsupported("its condition assigns a variable; assign it in the loop's body")
    own = body.results()
    for given_value, result in zip(values, own, strict=False):
        if isinstance(given_value, Handle) and given_value != result:
            site.unsupported("its body gives another variable than it takes; the same wanted")
    given = _union((condition, body))
    attrs = While(condition.graph(given, ()), body.graph(given, list(given)))
    states = [site.memory.current(key, kind) for key, kind in given.items()]
    src = (*(v for v in values if isinstance(v, Node)), *states)
    results, new = _results(site, Op.WHILE, src, attrs, own)
    for key, node in zip(given, new, strict=True):
        if key in body.changes():
            site.memory.change(key, node)
    return results


READERS: dict[str, tuple[int, Reader]] = {
    "ASSIGN_VARIABLE": (113, _assign_variable),
    "CALL_ONCE": (103, _call_once),
    "IF": (92, _if),
    "READ_VARIABLE": (112, _read_variable),
    "VAR_HANDLE": (111, _var_handle),
    "WHILE": (93, _while),
}
