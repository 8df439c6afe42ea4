"""Spoiled copies of a .tflite file, made in its bytes: single fields of the FlatBuffer.

`places` walks a file by the schema and says what lies where; `spoil` overwrites some of it with
what is interesting for its kind. Field numbers follow `schema.fbs` of TensorFlow Lite, version 3.
"""

from __future__ import annotations

import contextlib
import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

WORDS = (0, 1, 2, 3, 4, 7, 8, 127, 128, 255, 256, 32767, 65535, 65536, 46341, 2**24, 2**31 - 1)
WIDE = (*WORDS, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1)
DIMS = (
    0,
    1,
    1,
    2,
    3,
    4,
    5,
    8,
    16,
    100,
    255,
    1000,
    65536,
    46341,
    2**30,
    2**31 - 1,
    -1,
    -2,
    -(2**31),
)
REALS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-45, 1e-38, 1e-10, 1e10, 3.4e38, 255.0)
REALS = (*REALS, float("inf"), float("-inf"), float("nan"))
MAX_PLACES = 4000

# kind of a place -> struct code of what lies there.
CODES = {
    "byte": "B", "word": "I", "long": "Q", "real": "f", "dim": "i", "index": "i", "type": "B",
    "code": "i", "code8": "B", "number": "I", "offset": "I", "vtable": "i", "slot": "H",
    "length": "I", "bytes": "B", "half": "H",
}  # fmt: skip

# table -> field -> what it is: a kind, ("vector", kind), a table, or [table].
Field = str | tuple[str, str] | list[str]
TABLES: dict[str, dict[int, Field]] = {
    "Model": {0: "word", 1: ["Code"], 2: ["Subgraph"], 3: ("vector", "bytes"), 4: ["Buffer"]},
    "Code": {0: "code8", 1: ("vector", "bytes"), 2: "word", 3: "code"},
    "Subgraph": {
        0: ["Tensor"],
        1: ("vector", "index"),
        2: ("vector", "index"),
        3: ["Operator"],
        4: ("vector", "bytes"),
    },
    "Tensor": {
        0: ("vector", "dim"),
        1: "type",
        2: "number",
        3: ("vector", "bytes"),
        4: "Quant",
        5: "byte",
        6: "Sparsity",
        7: ("vector", "dim"),
    },
    "Quant": {2: ("vector", "real"), 3: ("vector", "long"), 4: "byte", 6: "word"},
    "Sparsity": {0: ("vector", "word"), 1: ("vector", "word"), 2: ["Level"]},
    "Level": {0: "byte", 1: "word", 2: "byte", 3: "Indices", 4: "byte", 5: "Indices"},
    "Indices": {0: ("vector", "bytes")},
    "Operator": {
        0: "number",
        1: ("vector", "index"),
        2: ("vector", "index"),
        3: "byte",
        4: "Options",
        5: ("vector", "bytes"),
    },
    "Options": {},
    "Buffer": {0: ("vector", "bytes"), 1: "long", 2: "long"},
}


@dataclass(frozen=True)
class Place:
    """Bytes of a file: where they are and what they mean."""

    at: int
    kind: str


@dataclass
class _Walk:
    """The walk over one file; it believes what it reads, and ends where that leads nowhere."""

    data: bytes
    found: list[Place] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)

    def number(self, at: int, code: str) -> int:
        value: int = struct.unpack_from("<" + code, self.data, at)[0]
        return value

    def follow(self, at: int) -> int:
        self.found.append(Place(at, "offset"))
        return at + self.number(at, "I")

    def table(self, at: int, name: str) -> None:
        if at in self.seen or len(self.found) > MAX_PLACES:
            return
        self.seen.add(at)
        self.found.append(Place(at, "vtable"))
        vtable = at - self.number(at, "i")
        self.found += (Place(vtable, "slot"), Place(vtable + 2, "slot"))
        slots = (self.number(vtable, "H") - 4) // 2
        steps = [self.number(vtable + 4 + 2 * i, "H") for i in range(slots)]
        size = self.number(vtable + 2, "H")
        for number, step in enumerate(steps):
            self.found.append(Place(vtable + 4 + 2 * number, "slot"))
            if not step:
                continue
            kind = TABLES[name].get(number)
            if name == "Options":
                end = min((s for s in (*steps, size) if s > step), default=step + 1)
                kind = {1: "byte", 2: "half", 3: "half"}.get(end - step, "word")
            if kind is not None:
                self.field(at + step, kind)

    def field(self, at: int, kind: Field) -> None:
        if isinstance(kind, list):
            start = self.follow(at)
            self.found.append(Place(start, "length"))
            for index in range(min(self.number(start, "I"), 200)):
                self.table(self.follow(start + 4 + 4 * index), kind[0])
        elif isinstance(kind, tuple):
            start = self.follow(at)
            self.found.append(Place(start, "length"))
            width = struct.calcsize(CODES[kind[1]])
            for index in range(min(self.number(start, "I"), 32)):
                self.found.append(Place(start + 4 + width * index, kind[1]))
        elif kind in TABLES:
            self.table(self.follow(at), kind)
        else:
            self.found.append(Place(at, kind))


def places(model: bytes) -> list[Place]:
    """What the file holds, as far as it can be followed."""
    walk = _Walk(model)
    with contextlib.suppress(struct.error, RecursionError):  # it may be a spoiled file itself
        walk.table(walk.follow(0), "Model")
    ends = [(p, struct.calcsize(CODES[p.kind])) for p in walk.found]
    return [p for p, size in ends if 0 <= p.at <= len(model) - size]


def spoil(model: bytes, known: Sequence[Place], chance: random.Random) -> bytes:
    """A copy of `model` with one to five of its fields, bits or bytes changed, or cut short."""
    spoiled = bytearray(model)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5))):
        if known and chance.random() < 0.9:
            _change(spoiled, chance.choice(known), known, chance)
        elif len(spoiled) > 8:
            at = chance.randrange(len(spoiled))
            spoiled[at] = chance.choice((spoiled[at] ^ 1 << chance.randrange(8), 255, 0))
    if chance.random() < 0.02:
        del spoiled[chance.randrange(len(spoiled)) :]
    return bytes(spoiled)


def _change(
    spoiled: bytearray, place: Place, known: Sequence[Place], chance: random.Random
) -> None:
    code = CODES[place.kind]
    old = struct.unpack_from("<" + code, spoiled, place.at)[0]
    if chance.random() < 0.15:  # what another place of the kind says
        other = chance.choice([p for p in known if p.kind == place.kind])
        new = struct.unpack_from("<" + code, spoiled, other.at)[0]
    else:
        new = _VALUES[place.kind](chance, old)
    if code != "f":
        bits = 8 * struct.calcsize(code)
        new = int(new) & ((1 << bits) - 1)
        code = code.upper()
    struct.pack_into("<" + code, spoiled, place.at, new)


def _word(chance: random.Random, old: int) -> int:
    return chance.choice((chance.choice(WIDE), old + chance.choice((-1, 1)), chance.randrange(8)))


def _near(chance: random.Random, old: int) -> int:
    step = chance.choice((-8, -4, -2, -1, 1, 2, 4, 8, 16))
    return chance.choice((old + step, chance.choice(WIDE), chance.randrange(256)))


def _index(chance: random.Random, old: int) -> int:
    return chance.choice((old - 1, old + 1, 0, chance.randrange(12), -1, -2, chance.choice(WORDS)))


def _dim(chance: random.Random, old: int) -> int:
    return chance.choice((old - 1, old + 1, 2 * old, chance.choice(DIMS), chance.randrange(64)))


def _real(chance: random.Random, old: float) -> float:
    factor = chance.choice((0.5, 2.0, -1.0, 1e-6, 1e6))
    near = old * factor if abs(old) < 1e30 else 0.25
    return chance.choice((chance.choice(REALS), near))


_VALUES: dict[str, Callable[[random.Random, int], int | float]] = {
    "byte": lambda c, old: c.choice((c.randrange(8), old ^ 1, c.randrange(256))),
    "half": _word,
    "word": _word,
    "long": _word,
    "real": _real,
    "dim": _dim,
    "index": _index,
    "number": _index,
    "type": lambda c, old: c.randrange(20) if c.random() < 0.95 else c.randrange(256),
    "code": lambda c, old: c.randrange(165) if c.random() < 0.95 else c.choice(WORDS),
    "code8": lambda c, old: c.randrange(128) if c.random() < 0.95 else c.randrange(256),
    "offset": _near,
    "vtable": _near,
    "slot": _near,
    "length": _index,
    "bytes": lambda c, old: c.choice(
        (old ^ 1 << c.randrange(8), 0, 255, 127, 128, c.randrange(256))
    ),
}
