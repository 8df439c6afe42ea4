"""Runs kernels inside a process of its own, under AddressSanitizer: `python worker.py library.so`.

Reads pickled requests on stdin, writes pickled replies on stdout. Every buffer is its own malloc of
the exact size, so that a read or write next to it stops the process with a report on stderr.
"""

from __future__ import annotations

import ctypes
import pickle
import sys

LIBC = ctypes.CDLL(None)
LIBC.malloc.restype = ctypes.c_void_p
LIBC.malloc.argtypes = [ctypes.c_size_t]
LIBC.free.argtypes = [ctypes.c_void_p]
# What fresh memory holds: a kernel that relies on zeros is found out.
DIRT = 0xA5


class Heap:
    """The buffers of one call."""

    def __init__(self) -> None:
        """Nothing allocated yet."""
        self.blocks: list[int] = []

    def new(self, nbytes: int) -> int:
        """A block of exactly `nbytes`, filled with dirt."""
        address = LIBC.malloc(nbytes)
        ctypes.memset(address, DIRT, nbytes)
        self.blocks.append(address)
        return address

    def copy(self, data: bytes) -> int:
        """A block that holds `data`."""
        address = self.new(len(data))
        ctypes.memmove(address, data, len(data))
        return address

    def free(self) -> None:
        """Give everything back."""
        for address in self.blocks:
            LIBC.free(address)


def struct_of(fields: list, heap: Heap) -> ctypes.Structure:
    """A C struct with the members in order; "a.b" is b inside the struct a; bytes a pointer."""
    layout, values = [], []
    while fields:
        name, value = fields[0]
        outer, dot, _ = name.partition(".")
        if dot:
            inner = [f for f in fields if f[0].startswith(outer + ".")]
            assert fields[: len(inner)] == inner, f"members of {outer} are not together"
            nested = struct_of([(n.partition(".")[2], v) for n, v in inner], heap)
            layout.append((outer, type(nested)))
            values.append(nested)
            fields = fields[len(inner) :]
            continue
        kind = {int: ctypes.c_int32, float: ctypes.c_float, bytes: ctypes.c_void_p}[type(value)]
        layout.append((name, kind))
        values.append(heap.copy(value) if kind is ctypes.c_void_p else value)
        fields = fields[1:]
    made = type("Params", (ctypes.Structure,), {"_fields_": layout})
    return made(*values)


def call(library: ctypes.CDLL, request: dict) -> bytes:
    """Run one kernel; the bytes of its result. AssertionError where it wrote to an operand."""
    heap = Heap()
    operands = [heap.copy(data) for data in request["operands"]]
    over = request["over"]
    out = heap.new(request["out_bytes"]) if over is None else operands[over]
    workspace = heap.new(request["workspace_bytes"]) if request["workspace_bytes"] else None
    params = struct_of(request["fields"], heap)
    pointers = [ctypes.c_void_p(p) for p in operands]
    if request["variadic"]:
        pointers = [(ctypes.c_void_p * len(operands))(*operands)]
    kernel = getattr(library, request["kernel"])
    kernel.restype = None
    kernel(ctypes.c_void_p(out), *pointers, ctypes.byref(params), ctypes.c_void_p(workspace))
    result = ctypes.string_at(out, request["out_bytes"])
    for index, data in enumerate(request["operands"]):
        if index != over:
            assert ctypes.string_at(operands[index], len(data)) == data, f"operand {index} changed"
    heap.free()
    return result


def main() -> None:
    """Serve until stdin ends."""
    library = ctypes.CDLL(sys.argv[1])
    stream, replies = sys.stdin.buffer, sys.stdout.buffer
    while stream.peek(1):
        request = pickle.load(stream)
        try:
            reply: object = call(library, request)
        except AssertionError as error:
            reply = str(error)
        pickle.dump(reply, replies)
        replies.flush()


if __name__ == "__main__":
    main()
