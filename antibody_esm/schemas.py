"""Checks of a skops archive before skops builds its objects."""

from typing import Any

from antibody_esm.boosters import check_booster
from antibody_esm.limits import LimitError, check_npy, parse_json, rezip, unzip

SCHEMA = "schema.json"
_NODES = 100_000
"""Most parts of an estimator; a forest of 100 trees has 6,000."""
_LOADERS = frozenset(
    {
        "BytearrayNode",
        "BytesNode",
        "DTypeNode",
        "DictNode",
        "JsonNode",
        "ListNode",
        "NdArrayNode",
        "ObjectNode",
        "RandomStateNode",
        "SetNode",
        "SliceNode",
        "TreeNode",
        "TupleNode",
        "TypeNode",
    }
)
"""Readers of skops that the estimators of this package need."""


def checked(content: bytes, unpacked: int) -> bytes:
    """Return a skops archive with the same files, unpacked and checked.

    Parameters
    ----------
    content
        The archive.
    unpacked
        Most unpacked bytes; a file that is read twice counts twice.

    Raises
    ------
    LimitError
        If the archive, its schema or an array in it exceeds a limit.
    """
    files = unzip(content, unpacked)
    if SCHEMA not in files:
        raise LimitError(f"an archive without {SCHEMA}")
    schema = parse_json(files[SCHEMA])
    read = 0
    for node in _nodes(schema):
        loader, name = node.get("__loader__"), node.get("file")
        if name is not None:
            if not (isinstance(name, str) and name in files):
                raise LimitError("its schema names a file that is not in the archive")
            read += len(files[name])
            if loader == "NdArrayNode":
                check_npy(files[name])
            elif files[name].startswith(b"{"):
                check_booster(files[name])
        if loader == "JsonNode":
            parse_json(str(node.get("content")).encode())
    if read > max(unpacked, sum(map(len, files.values()))):
        raise LimitError("its schema reads the same files again and again")
    _check_expanded(schema)
    return rezip(files)


def check_loaders(content: bytes) -> None:
    """Raise LimitError if an archive needs readers of skops that no estimator of this package needs."""
    unknown = {str(node["__loader__"]) for node in _nodes(parse_json(unzip(content, len(content))[SCHEMA]))} - _LOADERS
    if unknown:
        raise LimitError(f"needs {', '.join(sorted(unknown))[:200]}")


def _nodes(schema: Any) -> list[dict[str, Any]]:
    """Return every object of a schema from which skops builds a part."""
    nodes, level = [], [schema]
    while level:
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                if "__loader__" in value:
                    nodes.append(value)
                inner += value.values()
            elif isinstance(value, list):
                inner += value
        level = [value for value in inner if isinstance(value, dict | list)]
    if len(nodes) > _NODES:
        raise LimitError(f"more than {_NODES:,} parts")
    return nodes


def _check_expanded(schema: Any) -> None:
    """Raise LimitError if references between parts of a schema form a circle, or expand to too many parts.

    If a number occurs again, skops walks again through the part with that number.
    """
    occurrences: dict[Any, list[dict[str, Any]]] = {}
    for value in _dicts(schema):
        occurrences.setdefault(_number(value), []).append(value)
    sizes: dict[Any, int] = {}

    def expanded(value: Any) -> int:
        if isinstance(value, list):
            return sum(map(expanded, value))
        if not isinstance(value, dict):
            return 0
        number = _number(value)
        if number is None:
            return 1 + sum(map(expanded, value.values()))
        if number not in sizes:
            sizes[number] = -1
            sizes[number] = max(1 + sum(map(expanded, each.values())) for each in occurrences[number])
        if sizes[number] < 0:
            raise LimitError("a part that contains itself")
        if sizes[number] > _NODES:
            raise LimitError(f"more than {_NODES:,} parts")
        return sizes[number]

    try:
        total = expanded(schema)
    except RecursionError as error:
        raise LimitError("parts that are nested too deeply") from error
    if total > _NODES:
        raise LimitError(f"more than {_NODES:,} parts")


def _dicts(schema: Any) -> list[dict[str, Any]]:
    dicts, level = [], [schema]
    while level:
        dicts += [value for value in level if isinstance(value, dict)]
        inner = [part for value in level for part in (value.values() if isinstance(value, dict) else value)]
        level = [value for value in inner if isinstance(value, dict | list)]
    return dicts


def _number(value: dict[str, Any]) -> Any:
    number = value.get("__id__")
    if not isinstance(number, int | float | str | None):
        raise LimitError("a part whose number is none")
    return number
