"""TFLM's compressed constants (custom operator TFLM_DECODE): unpacked where the file is read.

Each pair of operands (codes, tables) makes one constant. The tables begin with 16 bytes: kind,
version and, from byte 4 on, what the kind needs. Codes are a stream of bits, the highest of each
byte first. Source: TFLM `decode.cc`, `decode_state_{lut,huffman,prune}.cc`.
"""

from __future__ import annotations

import numpy as np

from milliwatt.formats.tflite_read.memory import held_constant
from milliwatt.formats.tflite_read.site import Reader, Result, Site
from milliwatt.formats.tflite_schema import Tensor
from milliwatt.ir.types import DType

_HEADER_BYTES = 16
_LUT, _HUFFMAN, _PRUNE = 0, 1, 2
_TYPES = (DType.BOOL, DType.F32, DType.S8, DType.S16, DType.S32, DType.S64)
MOST_HUFFMAN = 500_000
"""Elements of a Huffman-coded constant: they are decoded one after the other."""


def _decode(site: Site) -> tuple[Result, ...]:
    if len(site.operands) != 2 * len(site.outs) or not site.outs:
        site.fail(f"{len(site.operands)} operands for {len(site.outs)} results; 2 each wanted")
    return tuple(
        held_constant(_unpacked(site, number, out), out.type, name)
        for number, (out, name) in enumerate(zip(site.outs, site.names, strict=True))
    )


def _unpacked(site: Site, number: int, out: Tensor) -> np.ndarray:
    codes, tables = (_bytes(site, 2 * number + at) for at in (0, 1))
    if len(tables) < _HEADER_BYTES or tables[1] != 1 or tables[4] != 1:
        site.fail(f"tables of {len(tables)} bytes; {_HEADER_BYTES} of version 1 or more wanted")
    if out.dtype not in _TYPES:
        site.unsupported(f"{out} is {out.dtype}; one of {', '.join(map(str, _TYPES))} wanted")
    unpack = {_LUT: _lookup, _HUFFMAN: _huffman, _PRUNE: _pruned}.get(int(tables[0]))
    if unpack is None:
        site.unsupported(f"compression of kind {tables[0]}; 0 (table), 1 (Huffman), 2 (pruned)")
    values = unpack(site, codes, tables, out).reshape(out.shape)
    values.setflags(write=False)
    return values


def _bytes(site: Site, index: int) -> np.ndarray:
    node = site.operand(index)
    if not node.is_constant:
        site.unsupported(f"operand {index} ({node.name}) is computed at run time; constant wanted")
    return np.ascontiguousarray(node.value).reshape(-1).view(np.uint8)


def _bits(site: Site, codes: np.ndarray, count: int) -> np.ndarray:
    """The first `count` bits of the stream."""
    if count > 8 * codes.size:
        site.fail(f"{codes.size} bytes of codes; {-(-count // 8)} wanted")
    bits: np.ndarray = np.unpackbits(codes[: -(-count // 8)], count=count)
    return bits


def _channels(site: Site, out: Tensor) -> np.ndarray:
    """The channel of each element: along the first axis or the last one."""
    size = out.type.size
    count = len(out.quant.scale) if out.quant else 1
    axis = out.quant.axis if out.quant else None
    if count == 1 or axis is None:
        return np.zeros(size, np.int64)
    if axis == len(out.shape) - 1:
        return np.arange(size) % count
    if axis != 0:
        site.unsupported(f"{out} has scales along axis {axis}; the first or the last wanted")
    return np.arange(size) // (size // count)


def _values(site: Site, tables: np.ndarray, out: Tensor) -> np.ndarray:
    """What stands behind the header, as elements of the result."""
    raw = tables[_HEADER_BYTES:]
    whole = raw[: raw.size - raw.size % out.dtype.itemsize]
    if out.dtype is DType.BOOL:
        return np.asarray(whole != 0)
    values: np.ndarray = np.ascontiguousarray(whole).view(out.dtype.numpy.newbyteorder("<"))
    return values


def _taken(site: Site, values: np.ndarray, at: np.ndarray, out: Tensor) -> np.ndarray:
    if at.size and int(at.max()) >= values.size:
        site.fail(f"element {int(at.max())} of a table of {values.size} is used")
    taken: np.ndarray = values[at].astype(out.dtype.numpy)
    return taken


def _lookup(site: Site, codes: np.ndarray, tables: np.ndarray, out: Tensor) -> np.ndarray:
    """Indices of a few bits into a table of values, one table a channel."""
    width, stride, size = int(tables[5]) & 7, int(tables[6]), out.type.size
    if width == 0:
        site.fail("indices of 0 bits; 1 to 7 wanted")
    bits = _bits(site, codes, width * size).reshape(size, width)
    index = np.packbits(bits, axis=1).reshape(-1).astype(np.int64) >> (8 - width)
    return _taken(site, _values(site, tables, out), _channels(site, out) * stride + index, out)


def _pruned(site: Site, codes: np.ndarray, tables: np.ndarray, out: Tensor) -> np.ndarray:
    """One bit an element: a stored value, or the zero point."""
    kept = _bits(site, codes, out.type.size) != 0
    points = np.array(out.quant.zero_point if out.quant else (0,), out.dtype.numpy)
    values: np.ndarray = points[_channels(site, out)]
    stored = _values(site, tables, out)
    values[kept] = _taken(site, stored, np.arange(int(kept.sum())), out)
    return values


def _huffman(site: Site, codes: np.ndarray, tables: np.ndarray, out: Tensor) -> np.ndarray:
    """Tables that lead on to tables: an entry is a symbol, or how many bits to read and where."""
    wide = bool(tables[5] & 1)
    if out.dtype is not DType.S8 and not (wide and out.dtype is DType.S16):
        site.unsupported(f"{out} is {out.dtype}, Huffman-coded; s8 or s16 wanted")
    if out.type.size > min(MOST_HUFFMAN, 8 * codes.size):
        site.unsupported(f"{out.type.size} elements, Huffman-coded; at most {MOST_HUFFMAN} wanted")
    raw = tables[_HEADER_BYTES:]
    itemsize, top = (4, 27) if wide else (2, 11)
    entries = raw[: raw.size - raw.size % itemsize].view("<u4" if wide else "<u2").tolist()
    stream, end = codes.tobytes() + bytes(4), 8 * codes.size
    first, at = int(tables[5] >> 4) + 1, 0
    symbols: list[int] = []
    for _ in range(out.type.size):
        width, entry, place = first, 0, 0
        while True:
            word = int.from_bytes(stream[at >> 3 : (at >> 3) + 4], "big")
            place += word >> (32 - (at & 7) - width) & ((1 << width) - 1)
            at += width
            if place >= len(entries) or at > end + width:
                site.fail("Huffman codes lead out of their tables; the file is damaged")
            entry = entries[place]
            bits = entry >> top & 15
            if entry >> (top + 4):
                break
            width = bits + 1
            place += entry & ((1 << top) - 1)
        at -= max(width - bits, 0)
        symbols.append(entry)
    narrow = np.uint8 if out.dtype is DType.S8 else np.uint16
    values: np.ndarray = np.array(symbols, np.int64).astype(narrow).view(out.dtype.numpy)
    return values


READERS: dict[str, tuple[int, Reader]] = {"TFLM_DECODE": (0, _decode)}
