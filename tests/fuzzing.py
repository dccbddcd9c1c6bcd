"""Mutants of files: bytes, JSON values, numbers in binary headers, and members of archives."""

import io
import json
import random
import re
import resource
import signal
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from antibody_esm import AntibodyESMError
from effort import STRESS

MUTANTS = 10_000 if STRESS else 300
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**40, -0.0, 1e308, float("nan"), float("inf")),
    *("", "a", "\0", "../x", "/dev/zero", "é", "9" * 400, [], {}, [None], {"": None}, [[[[]]]]),
]
NUMBERS = [0, 1, 127, 128, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1]
DEEP = b"[" * 20_000


def mutated(content: bytes, pick: random.Random) -> bytes:
    """Return a mutant: of its archive, of its JSON, or of its bytes."""
    if content[:2] == b"PK" and pick.random() < 0.7:
        return _archive(content, pick)
    if content[:1] in b"{[" and content and pick.random() < 0.7:
        return _json(content, pick)
    return _bytes(content, pick)


def _bytes(content: bytes, pick: random.Random) -> bytes:
    at, to = sorted(pick.randrange(len(content) + 1) for _ in range(2))
    to = min(to, at + 64)
    number = struct.pack(pick.choice(("<", ">")) + "Q", pick.choice(NUMBERS))
    return pick.choice(
        [
            lambda: content[:at] + bytes([pick.randrange(256)]) + content[at + 1 :],
            lambda: content[:at] + content[to:],
            lambda: content[:at] + content[at:to] * 3 + content[to:],
            lambda: content[:at],
            lambda: content[at:],
            lambda: content[:at] + number[: pick.choice((1, 2, 4, 8))] + content[at + 8 :],
            lambda: content[:at] + DEEP + content[at:],
            lambda: content[:at] + pick.choice((b"\n", b'"', b",", b"\0", b">", b"\xff", b"\r", b"#")) + content[at:],
            lambda: _digits(content, pick),
        ]
    )()


def _digits(content: bytes, pick: random.Random) -> bytes:
    """Replace one number that is written in digits."""
    numbers = list(re.finditer(rb"\d+", content))
    if not numbers:
        return content[::-1]
    where = pick.choice(numbers)
    return content[: where.start()] + str(pick.choice(NUMBERS)).encode() + content[where.end() :]


def _json(content: bytes, pick: random.Random) -> bytes:
    try:
        value = json.loads(content)
    except ValueError:
        return _bytes(content, pick)
    places = list(_places(value))
    if not places:
        return _bytes(content, pick)
    for _ in range(pick.choice((1, 1, 2, 5))):
        holder, key = pick.choice(places)
        change = pick.randrange(4)
        if change == 0 and isinstance(holder, dict):
            holder.pop(key, None)
        elif change == 1:
            other, name = pick.choice(places)
            if name in other if isinstance(other, dict) else name < len(other):
                holder[key] = json.loads(json.dumps(other[name]))
        else:
            holder[key] = pick.choice(VALUES)
    return json.dumps(value).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield value, key
        yield from _places(part)


def _archive(content: bytes, pick: random.Random) -> bytes:
    with ZipFile(io.BytesIO(content)) as archive:
        files = [(name, archive.read(name)) for name in archive.namelist()]
    number = pick.randrange(len(files))
    name, data = files[number]
    change = pick.randrange(6)
    if change == 0:
        del files[number]
    elif change == 1:
        files[number] = (name, pick.choice(files)[1])
    elif change == 2:
        files[number] = (pick.choice(("../x", "", "schema.json", "a" * 300)), data)
    else:
        files[number] = (name, mutated(data, pick))
    mutant = io.BytesIO()
    with ZipFile(mutant, "w") as archive:
        for name, data in files:
            archive.writestr(ZipInfo(name), data, pick.choice((ZIP_DEFLATED, ZIP_DEFLATED, ZIP_STORED, ZIP_BZIP2)))
    return mutant.getvalue()


@contextmanager
def limited() -> Iterator[None]:
    """In stress, give every mutant five seconds and one gigabyte of addresses beyond those in use."""
    if not STRESS:
        yield
        return

    def late(*_: object) -> None:
        raise TimeoutError("a mutant took more than five seconds")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGALRM, late)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**30, hard))
    signal.alarm(5)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def fuzz(
    content: bytes, read: Callable[[bytes], object], mutants: int = MUTANTS, seed: int = 0
) -> dict[str, tuple[int, BaseException]]:
    """Read mutants; return the errors that are not the package's, with the number of the mutant that raised each."""
    finds: dict[str, tuple[int, BaseException]] = {}
    for number in range(mutants):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                mutant = mutant_of(content, number, seed)
                with limited():
                    read(mutant)
        except AntibodyESMError:
            continue
        except Exception as error:  # noqa: BLE001  every other error is a find
            finds.setdefault(f"{type(error).__name__}: {str(error)[:80]}", (number, error))
    return finds


def mutant_of(content: bytes, number: int, seed: int = 0) -> bytes:
    """Return one mutant, always the same."""
    return mutated(content, random.Random(f"{seed}-{number}"))
