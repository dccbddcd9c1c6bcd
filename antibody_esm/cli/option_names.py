"""Options of the running command in place of Python's arguments in messages."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_NAMES: ContextVar[tuple[str, ...] | None] = ContextVar("antibody_esm_options", default=None)
"""Long names of the running command's options; None outside of commands."""

_SENTENCES = (
    (r"\bidentity requires by='identity'", "--identity requires --by identity"),
    (
        r"\bby='(\w+)' uses the folds of the data, and does not allow folds",
        r"--by \1 uses the folds of the data, not --folds",
    ),
    (r"\bsplit\.by=(\w+)", r"--by \1"),
    (r"\bsplit\.(folds|identity)\b", r"--\1"),
    (r"\bcheck=False( \(data\.check=false\))?", "--no-check"),
    (r"\bdrop=True \(--drop\)", "--drop"),
    (r"\bload_dataset\(\.\.\., drop=True\)", "--drop"),
    (r"\bExtractorSpec\(model=\.\.\.\) for any other model", "the name of a model of the hub"),
    (r"\bpart='([\w-]+)' \(data\.part=[\w-]+\)", r"--part \1"),
    (r"\bhigher_is_better=True or False\b", "--higher-is-better or --lower-is-better"),
    (r"\bhigher_is_better=False\b", "--lower-is-better"),
    (r"\bPanel\.load reads all\b", "antibody-esm predict and evaluate read all"),
    (r"\b(threshold|groups|label|labels)=(?=$|[\s,;.)])", r"--\1"),
)
"""Patterns of Python's names in messages that have words of their own, and the options in their place."""
_ELSEWHERE = {"column": "--sequence", "sequence": "--sequence"}
"""Options of other names than the arguments of the package."""


@contextmanager
def options_named(names: Iterator[str] | tuple[str, ...]) -> Iterator[None]:
    """Let `in_options` know the long names of the running command's options."""
    token = _NAMES.set(tuple(names))
    try:
        yield
    finally:
        _NAMES.reset(token)


def in_options(text: str, names: tuple[str, ...] | None = None) -> str:
    """Return a message with options in place of Python's arguments and of fields of specs.

    Parameters
    ----------
    text
        The message.
    names
        Long names of options; None is those of the running command. A command without ``--by``, ``--label`` and
        ``--model``, such as ``antibody-train``, has the fields of specs as its own names, which stay.

    Examples
    --------
    >>> in_options("class 1 has 4. Set split.folds lower, or use split.by=leave_one_out", ("--by", "--folds"))
    'class 1 has 4. Set --folds lower, or use --by leave_one_out'
    >>> in_options("candidates=500 are few; give heavy='VH'", ("--model", "--candidates", "--heavy"))
    '--candidates 500 are few; give --heavy VH'
    """
    options = _NAMES.get() if names is None else names
    if options is None:
        return text
    if not {"--by", "--label", "--model", "--store", "--id"} & set(options):
        return _fields(text)
    for pattern, option in _SENTENCES:
        text = re.sub(pattern, option, text)
    if "--drop" in options:
        text = text.replace("drop=True (data.drop=true)", "--drop")
    folder = next((name for name in ("--language-model", "--checkpoint") if name in options), "")
    text = re.sub(r"\bExtractorSpec\(model='([^']*)'\)", rf"{folder} \1".strip(), text)
    if "--chain" not in options:
        text = text.replace("; chain= names another", "")
    arguments = _arguments(options)
    named = "|".join(sorted(map(re.escape, arguments), key=len, reverse=True))
    pattern = rf"(?<![\w./'\"-])({named})=(?:'([^']*)'|(True|False)\b|([\w.,]*\w))?"
    return re.sub(pattern, lambda match: _option(arguments, *match.groups()), text)


def _fields(text: str) -> str:
    """Return a message with the fields of `antibody-train` in place of Python's arguments."""
    text = re.sub(r"\bExtractorSpec\((model|tokenizer)='([^']*)'\)", r"extractor.\1=\2", text)
    return re.sub(r"(?<![\w.])chain= names another", "data.chain= names another", text)


def _arguments(options: tuple[str, ...]) -> Mapping[str, str]:
    """Return the options by the names of Python's arguments."""
    elsewhere = {name: option for name, option in _ELSEWHERE.items() if option in options}
    return elsewhere | {option.removeprefix("--").replace("-", "_"): option for option in options}


def _option(arguments: Mapping[str, str], name: str, quoted: str | None, truth: str | None, value: str | None) -> str:
    option = arguments[name]
    if truth == "False":
        return f"--no-{option.removeprefix('--')}"
    return " ".join(filter(None, (option, quoted or value)))
