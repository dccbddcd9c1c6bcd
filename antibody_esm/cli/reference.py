"""Reference of all commands as a page of the documentation, made from the commands themselves.

``python -m antibody_esm.cli.reference docs/commands.md`` writes the page.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from antibody_esm.cli import app, benchmark, train
from antibody_esm.cli.program import Command, Program
from antibody_esm.files import write

PROGRAMS: dict[str, Program] = {
    "antibody-esm": app.app,
    "antibody-train": train.app,
    "antibody-benchmark": benchmark.app,
}
"""Programs by name."""
_WORDS = {int: "N", float: "X", str: "TEXT", Path: "PATH"}
_OF_ALL = ("version", "help", "install_completion", "show_completion")
_BEGIN = """# Commands

This page is made from the commands (`make commands`); `--help` prints the same in a terminal.

- `--version` prints the version and ends, `--help` the help of a command.
- `antibody-esm --install-completion` lets the shell complete commands, options and presets with the Tab key, without a
  network. The other two programs have it too. `--show-completion` prints the script instead.
- Messages and progress go to standard error, results to standard output. A command that works for longer than a moment
  prints a line at once, and a line at the begin of each slow step. In a terminal, steps have progress bars; elsewhere,
  there is a line a minute.
- Exit status: 0, or 1 after an error, 2 for wrong usage, 128 + n after signal n.
- Earlier names of options work for one release, with a warning.
"""


def commands() -> Iterator[tuple[str, Command]]:
    """Yield the full name of each command, and the command."""
    from typer.main import get_command

    for name, program in PROGRAMS.items():
        yield from _inner(name, get_command(program))


def _inner(name: str, command: Any) -> Iterator[tuple[str, Command]]:
    if isinstance(command, Command):
        yield name, command
    for word, inner in getattr(command, "commands", {}).items():
        yield from _inner(f"{name} {word}", inner)


def page() -> str:
    """Return the page as Markdown."""
    every = list(commands())
    counts = Counter(_long(param) for _, command in every for param in _options(command))
    shared = {
        _long(param): (*_row(param, kinds(command)[param.name], default=False), _panel(param))
        for _, command in every
        for param in _options(command)
        if counts[_long(param)] > 1 and _long(param) != "--output"  # each command writes other files
    }
    parts = [_BEGIN, "## Options of several commands\n\nThey mean the same in every command that has them.\n"]
    for panel in dict.fromkeys(panel for *_, panel in shared.values()):
        rows = [row[:2] for row in shared.values() if row[2] == panel]
        parts.append(f"**{panel}**\n\n{_table('option', rows)}")
    for name, command in every:
        types = kinds(command)
        parts += [f"## {name}\n", _text(command.help or ""), _code([_usage(name, command, types)])]
        arguments = [param for param in command.params if param.param_type_name == "argument"]
        if arguments:
            parts.append(_table("argument", [_row(param, types[param.name]) for param in arguments]))
        if own := [_row(param, types[param.name]) for param in _options(command) if _long(param) not in shared]:
            parts.append(_table("option", own))
        if others := [param for param in _options(command) if _long(param) in shared]:
            parts.append(f"[Options of several commands](#options-of-several-commands): {_names(others)}.\n")
        if command.examples:
            parts.append(_code(command.examples))
    return "\n".join(parts)


def _options(command: Command) -> list[Any]:
    return [each for each in command.params if each.param_type_name == "option" and each.name not in _OF_ALL]


def _long(param: Any) -> str:
    return str(next((text for text in param.opts if text.startswith("--")), param.name))


def _panel(param: Any) -> str:
    return param.rich_help_panel or "General"


def _usage(name: str, command: Command, types: dict[str, Any]) -> str:
    words = [name]
    for param in command.params:
        if param.param_type_name == "argument":
            word = f"{param.name.upper()}{'...' if param.nargs == -1 else ''}"
            words.append(word if param.required else f"[{word}]")
    words += [f"{_long(each)} {_metavar(each, types[each.name])}" for each in _options(command) if each.required]
    return " ".join([*words, "[OPTIONS]"])


def kinds(command: Command) -> dict[str, Any]:
    """Return the type of each parameter, by its name; that of the items, if it may be repeated."""
    return {name: _kind(hint) for name, hint in get_type_hints(command.callback).items() if name != "return"}


def _kind(hint: Any) -> Any:
    """Return a type without None and list."""
    if get_origin(hint) in (list, Union, UnionType):
        return _kind(next(part for part in get_args(hint) if part is not type(None)))
    return hint


def _metavar(param: Any, kind: Any) -> str:
    if kind is bool:
        return ""
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    return "|".join(choices) if choices else param.metavar or _WORDS[kind]


def _row(param: Any, kind: Any, *, default: bool = True) -> tuple[str, str]:
    if param.param_type_name == "argument":
        name = f"`{param.name.upper()}`"
    else:
        names = ", ".join([*param.opts, *param.secondary_opts])
        name = f"`{' '.join(filter(None, (names, _metavar(param, kind))))}`"
    value = param.default
    shown = default and not param.required and value not in (None, False, True) and not callable(value)
    required = " Required." if param.required and param.param_type_name == "option" else ""
    return name, (param.help or "") + (f" Default: `{value}`." if shown else "") + required


def _names(params: list[Any]) -> str:
    def words(param: Any) -> str:
        value = param.default
        plain = value in (None, False, True) or callable(value) or param.required
        return f"`{_long(param)}`" + ("" if plain else f" (`{value}`)")

    return ", ".join(map(words, params))


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    lines = [
        f"| {title} | |",
        "|---|---|",
        *(f"| {name} | {text} |" for name, text in (map(_cell, row) for row in rows)),
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")


def _code(lines: Any) -> str:
    return "\n".join(["```text", *lines, "```"]) + "\n"


def _text(text: str) -> str:
    """Return a help text as Markdown; blocks that begin with a backspace as they are."""
    parts = []
    for paragraph in _plain(text).split("\n\n"):
        if paragraph.startswith("\b"):
            parts.append(_code(paragraph.removeprefix("\b").strip("\n").splitlines()).rstrip())
        else:
            parts.append(" ".join(paragraph.split()))
    return "\n\n".join(parts) + "\n"


def _plain(text: str) -> str:
    """Return a text without the backslashes before brackets, which rich would read as styles."""
    return text.replace("\\[", "[")


if __name__ == "__main__":
    write(Path(sys.argv[1]), page().encode())
