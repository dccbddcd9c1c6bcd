"""Commands as all of them are: help in panels with examples, ``--version``, earlier names of options."""

from collections.abc import Callable
from functools import cache
from inspect import cleandoc
from typing import Annotated, Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from antibody_esm.cli.errors import complain
from antibody_esm.cli.option_names import options_named
from antibody_esm.deprecation import Renamed, with_new_names

_EXAMPLES = "Examples\n--------\n"


class Command(TyperCommand):
    """A command whose examples are the last section of its docstring.

    Parameters
    ----------
    renamed
        Earlier names of its options, see `with_new_names`.
    """

    renamed: ClassVar[Renamed] = {}

    def __init__(self, name: str | None, *, params: list[Any] | None = None, **options: Any) -> None:
        text, _, examples = cleandoc(options.pop("help", None) or "").partition(_EXAMPLES)
        super().__init__(name, help=_reflowed(text), params=[*(params or []), _version_option()], **options)
        self.examples = tuple(filter(None, map(str.strip, examples.splitlines())))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words, with new names in place of earlier ones."""
        words, warned = with_new_names(args, self.renamed)
        if not ctx.resilient_parsing:
            for text in warned:
                complain(f"warning: {text}")
        return super().parse_args(ctx, words)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; its messages name its options."""
        with options_named(tuple(text for param in self.params for text in param.opts if text.startswith("--"))):
            return super().invoke(ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help, and the examples in a panel of their own."""
        super().format_help(ctx, formatter)
        if self.examples:
            from rich.box import HORIZONTALS
            from rich.console import Console
            from rich.panel import Panel
            from rich.text import Text

            lines = Text("\n".join(self.examples))
            Console().print(Panel(lines, box=HORIZONTALS, title="Examples", title_align="left", border_style="dim"))


class Program(typer.Typer):
    """A program of this package, or a group of its commands.

    Parameters
    ----------
    text
        Help of a group.
    name
        Name of a group in another one.
    complete
        True adds the options that install and show the completion of a shell.
    """

    def __init__(self, text: str = "", name: str | None = None, *, complete: bool = True) -> None:
        super().__init__(
            name=name,
            help=text,
            cls=CommandGroup,
            add_completion=complete,
            pretty_exceptions_enable=False,
            rich_markup_mode="rich",
            no_args_is_help=bool(text),
        )

    def command(  # type: ignore[override]  # fewer options: the others are the same for every command
        self, name: str | None = None, *, renamed: Renamed | None = None, text: str | None = None, panel: str = ""
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Return a decorator that adds a function as a command.

        Parameters
        ----------
        name
            Name of the command; that of the function if absent.
        renamed
            Earlier names of its options.
        text
            Help text in place of the docstring.
        panel
            Panel of the group's help.
        """
        kind = type("Command", (Command,), {"renamed": renamed or {}}) if renamed else Command
        return super().command(name, cls=kind, help=text, rich_help_panel=panel or None)


class CommandGroup(TyperGroup):
    """A group of commands, with ``--version``."""

    def __init__(self, *, params: list[Any] | None = None, **options: Any) -> None:
        text = _reflowed(options.pop("help", None) or "")
        super().__init__(help=text, params=[*(params or []), _version_option()], **options)


@cache
def _version_option() -> Any:
    """Return the option that prints the version, made by typer from a function."""
    plain = typer.Typer(add_completion=False)

    @plain.command()
    def nothing(
        version: Annotated[
            bool,
            typer.Option(
                "--version",
                is_eager=True,
                expose_value=False,
                callback=_print_version,
                help="Print the version and end.",
            ),
        ] = False,
    ) -> None: ...

    return typer.main.get_command(plain).params[0]


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"antibody_esm {version('antibody_esm')}")  # noqa: T201
        raise typer.Exit


def _reflowed(text: str) -> str:
    """Return a help text with each paragraph in one line, but for blocks that begin with a backspace, as in click."""
    paragraphs = cleandoc(text).strip().split("\n\n")
    return "\n\n".join(each if each.startswith("\b") else " ".join(each.split()) for each in paragraphs)
