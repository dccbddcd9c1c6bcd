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
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import numpy as np

from antibody_esm import AntibodyESMError
from antibody_esm.ubjson import read_ubjson
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
    if content[:2] == b"{L" and pick.random() < 0.7:
        return _booster(content, pick)
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
    if not any(True for _ in _places(value)):
        return _bytes(content, pick)
    _change(value, pick)
    return json.dumps(value).encode()


def _booster(content: bytes, pick: random.Random) -> bytes:
    """Return a mutant of a booster, whose numbers in lists are changed too."""
    value = plain(read_ubjson(content))
    _change(value, pick)
    return ubjson(value)


def plain(value: Any) -> Any:
    """Return values as JSON has them; an array is a dictionary with the type of its numbers."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return {f"${value.dtype.char}": value.tolist()} if isinstance(value, np.ndarray) else value


_UBJSON = {"b": "i", "B": "U", "h": "I", "i": "l", "l": "L", "q": "L", "f": "d", "d": "D"}
"""Marks of UBJSON, by NumPy's and struct's characters of types."""


def ubjson(value: Any) -> bytes:
    """Return UBJSON; numbers that do not fit into the type of their list are left out."""
    if isinstance(value, dict):
        name = next(iter(value), "")
        if name[:1] == "$" and name[1:] in _UBJSON and isinstance(value[name], list):
            form = "q" if name[1:] == "l" else name[1:]
            numbers = b""
            for number in value[name]:
                with suppress(struct.error, OverflowError):
                    numbers += struct.pack(f">{form}", number)
            count = struct.pack(">q", len(numbers) // struct.calcsize(form))
            return b"[$" + _UBJSON[form].encode() + b"#L" + count + numbers
        inner = b"".join(_text(str(name)) + ubjson(part) for name, part in value.items())
        return b"{" + inner + b"}"
    if isinstance(value, list):
        return b"[#L" + struct.pack(">q", len(value)) + b"".join(map(ubjson, value))
    if isinstance(value, str):
        return b"S" + _text(value)
    if isinstance(value, bool) or value is None:
        return {None: b"Z", True: b"T", False: b"F"}[value]
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return b"L" + struct.pack(">q", value)
    return b"D" + struct.pack(">d", min(value, 10**300))


def _text(text: str) -> bytes:
    return b"L" + struct.pack(">q", len(text.encode())) + text.encode()


def _change(value: Any, pick: random.Random) -> None:
    """Change some values within a value of JSON."""
    places = list(_places(value))
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
    """In stress, limit a mutant to five seconds of CPU, a minute, and one gigabyte of addresses beyond those in use."""
    if not STRESS:
        yield
        return

    def late(*_: object) -> None:
        raise TimeoutError("a mutant took more than five seconds of CPU, or a minute")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = {number: signal.signal(number, late) for number in (signal.SIGPROF, signal.SIGALRM)}
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**30, hard))
    signal.setitimer(signal.ITIMER_PROF, 5)
    signal.alarm(60)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)
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
