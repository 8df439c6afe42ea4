"""A slice of the fuzz job (docs/fuzzing.md), always the same, and tests of the job itself."""

from __future__ import annotations

import itertools
import os
import random
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import NoReturn

import pytest
from bench import fuzz, fuzz_bytes, fuzz_path, fuzz_tree
from bench.fuzz import Tally, mutants
from bench.fuzz_corpus import Pool
from bench.fuzz_seeds import generated

from milliwatt.errors import ImportFailed
from support.tflite_edit import small_model

FILES = 8000


@pytest.fixture(autouse=True)
def _strict() -> Iterator[None]:
    with warnings.catch_warnings():
        fuzz_path.strict_warnings()
        yield


@pytest.mark.parametrize("seed", ["a", "b"])
def test_spoiled_files_are_read_or_refused_by_name(seed: str) -> None:
    """Mutants of a file of every operator and type: read, compiled, written, read again."""
    tally = Tally()
    for _ in itertools.islice(mutants(Pool(generated(1, 6)), seed, tally), FILES // 2):
        pass
    for _, problem in tally.failures.values():
        pytest.fail(problem)
    assert tally.counts.total() == FILES // 2
    # Enough of them go all the way, and few are alike.
    assert tally.counts["compiled"] > FILES // 40
    assert tally.counts["UnsupportedOp"] > FILES // 40
    assert len(tally.ways) > FILES // 20


def test_most_generated_files_are_read() -> None:
    """All but some of uint8; a corpus of files that are refused at once would test little."""
    kinds = Counter[str]()
    for model in generated(1, 6):
        outcome = fuzz_path.check(model)
        assert outcome.kind != "failure", outcome.problem
        kinds[outcome.kind] += 1
    assert kinds["compiled"] > 0.8 * kinds.total()


def test_equal_seeds_give_equal_files() -> None:
    made = []
    for _ in range(2):
        pool, chance = Pool([small_model()]), random.Random("again")
        made.append([pool.mutant(chance) for _ in range(50)])
    assert made[0] == made[1]
    assert len(set(made[0])) > 45


def test_places_name_what_lies_there() -> None:
    """The walk knows the fields of the format."""
    kinds = Counter(place.kind for place in fuzz_bytes.places(small_model()))
    assert kinds["dim"] == 4 + 4 + 1 + 4 + 4 + 2 + 1 + 2 + 2 + 2  # axes of the tensors
    assert kinds["real"] >= 10
    assert kinds["code"] == 5
    assert len(fuzz_bytes.places(b"no file at all, but of some length")) == 1


def test_changes_of_the_object_form_keep_most_files_readable() -> None:
    """They are meant to reach what lies behind the reader."""
    chance, kinds = random.Random(0), Counter[str]()
    for _ in range(200):
        changed = fuzz_tree.spoil(small_model(), small_model(), chance)
        kinds["none" if changed is None else fuzz_path.check(changed).kind] += 1
    assert kinds["compiled"] > 20
    assert kinds["ImportFailed"] > 20
    assert kinds["none"] < 20


def failing(model: bytes) -> NoReturn:
    raise KeyError("x")


def endless(model: bytes) -> NoReturn:
    while True:
        pass


def greedy(model: bytes) -> NoReturn:
    raise MemoryError


def vague(model: bytes) -> fuzz_path.Outcome:
    return fuzz_path._refused("ImportFailed", ImportFailed("something is wrong"))


def torn(model: bytes) -> fuzz_path.Outcome:
    return fuzz_path._refused("ImportFailed", ImportFailed("tensor 3 is\nno tensor"))


def noisy(model: bytes) -> fuzz_path.Outcome:
    warnings.warn("overflow", RuntimeWarning, stacklevel=1)
    return fuzz_path.Outcome("compiled", "")


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (failing, "KeyError"),
        (endless, "TooSlow"),
        (greedy, "MemoryError"),
        (vague, "names no place"),
        (torn, "is no line"),
        (noisy, "RuntimeWarning"),
    ],
)
def test_what_counts_as_a_failure(
    path: object, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuzz_path, "_path", path)
    monkeypatch.setattr(fuzz_path, "SECONDS_A_FILE", 0.2)
    outcome = fuzz_path.check(b"")
    assert outcome.kind == "failure"
    assert problem in outcome.problem


def dying(model: bytes) -> NoReturn:
    os._exit(3)


def test_a_dead_worker_is_a_failure_with_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python cannot report a fault in C code or an endless loop there; the parent does."""
    monkeypatch.setattr(fuzz_path, "_path", dying)
    monkeypatch.setattr(fuzz, "SECONDS_A_REPORT", 0.1)
    tally = Tally()
    fuzz.run([small_model()], 0, 0.5, 1, tally)
    assert tally.counts["failure"] == tally.counts.total() > 0
    (model, problem), *_ = tally.failures.values()
    assert problem == "the worker is dead, exit code 3"
    assert abs(len(model) - len(small_model())) < 2000
    assert len(model) > 100


def test_workers_report_all_their_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "SECONDS_A_REPORT", 0.1)
    tally = Tally()
    fuzz.run([small_model()], 0, 0.5, 2, tally)
    assert tally.counts.total() > 50
    assert len(tally.ways) > 10
    assert not tally.failures
