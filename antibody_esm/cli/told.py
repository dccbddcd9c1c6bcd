"""Errors and warnings of a command, a line each."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from pydantic import ValidationError

from antibody_esm.errors import AntibodyESMError


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
