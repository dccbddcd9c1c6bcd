"""Errors and warnings of a command, a line each."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from pydantic import ValidationError

from antibody_esm.errors import RECOVERABLE, AntibodyESMError, in_one_line

logger = logging.getLogger("antibody_esm")


@contextmanager
def optional(path: Path) -> Iterator[None]:
    """Print a warning instead of ending the command if a page cannot be made, after everything else was written."""
    try:
        yield
    except (*RECOVERABLE, OSError) as error:
        logger.warning("%s is missing: %s", path, in_one_line(error))
        print(f"warning: {path} is missing: {in_one_line(error)}", file=sys.stderr)  # noqa: T201


@contextmanager
def told(interrupted: str = "") -> Iterator[None]:
    """Say errors and warnings in a line each, and end with 2 for what was asked, 1 for what was found.

    Parameters
    ----------
    interrupted
        What to say when somebody stops the command, which ends with 130 then.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)  # noqa: T201
            yield
    except ValidationError as error:
        for one in error.errors():
            print(f"error: {one['msg']} (given: {one['input']})", file=sys.stderr)  # noqa: T201
        raise typer.Exit(2) from error
    except KeyboardInterrupt as error:
        print(f"interrupted{interrupted and f'; {interrupted}'}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(130) from error
    except (AntibodyESMError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(1) from error
