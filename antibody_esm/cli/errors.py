"""Errors, warnings and signals of a command, and closed output pipes."""

import logging
import os
import re
import select
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import typer

from antibody_esm.cli.option_names import in_options
from antibody_esm.cli.progress_lines import AT_ONCE, INTERVAL, progress_lines
from antibody_esm.errors import RECOVERABLE, AntibodyESMError, ClusterError, DatasetError, in_one_line
from antibody_esm.progress import step

logger = logging.getLogger("antibody_esm")

_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_NOTES = "antibody_esm.tables"
"""Logger of notes on how tables are read."""
_BROKEN_PIPE = 141
"""Exit status of a program whose output pipe is closed, as in shells."""

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Characters in names of a user's files and antibodies that move the cursor, set colours, or reverse the text."""


def _escaped(character: re.Match[str]) -> str:
    return character[0].encode("unicode_escape").decode()


class Ended(KeyboardInterrupt):
    """A signal to end the process.

    Parameters
    ----------
    number
        Number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Kept:
    """Note on the results that remain if the command is interrupted; the command updates it.

    Parameters
    ----------
    text
        For the user, without a full stop; or a function that returns it at the interruption.
    """

    def __init__(self, text: str | Callable[[], str]) -> None:
        self._text = text

    @property
    def text(self) -> str:
        """The note."""
        return self._text if isinstance(self._text, str) else self._text()

    def become(self, text: str | Callable[[], str]) -> None:
        """Replace the note."""
        self._text = text


@contextmanager
def reported(kept: str = "") -> Iterator[Kept]:
    """Print errors and warnings on one line each; exit 2 for usage errors, 128 + n after signal n, 1 for all others.

    Parameters
    ----------
    kept
        Note on the results that remain, printed if the command is interrupted.
    """
    state = Kept(kept)
    try:
        if sys.stdout is None:
            raise OSError("standard output is closed")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            # of a file that an import left open when Ctrl-C ended it; not the user's matter
            warnings.simplefilter("ignore", ResourceWarning)
            warnings.showwarning = lambda message, *_, **__: complain(f"warning: {in_options(str(message))}")
            with _logged_warnings(), step("loading libraries and data", announced=False):
                yield state
        _end_output()
    except KeyboardInterrupt as error:
        text = state.text
        complain(f"interrupted{text and f'; {text}'}")
        raise typer.Exit(128 + getattr(error, "number", signal.SIGINT)) from error
    except (AntibodyESMError, OSError, ValueError) as error:
        from pydantic import ValidationError  # which is a ValueError, and takes time to load

        if isinstance(error, ValidationError):
            for problem in error.errors():
                complain(f"error: {in_options(problem['msg'])} (given: {problem['input']})")
            raise typer.Exit(2) from error
        if isinstance(error, BrokenPipeError) and _is_unread():
            _discard_output()
            raise typer.Exit(_BROKEN_PIPE) from error
        kept = f"; {state.text}" if isinstance(error, ClusterError) and error.begun and state.text else ""
        if not _complained(f"error: {in_options(_line(error))}{kept}") and isinstance(error, BrokenPipeError):
            raise typer.Exit(_BROKEN_PIPE) from error  # standard error is closed too
        raise typer.Exit(1) from error


@contextmanager
def optional(path: Path) -> Iterator[None]:
    """Log a warning instead of ending the command if a page cannot be written; all other output is complete."""
    try:
        yield
    except (*RECOVERABLE, OSError) as error:
        logger.warning("%s is missing: %s", path, in_one_line(error))


@contextmanager
def named_options(source: str = "", label: str | None = None) -> Iterator[None]:
    """Let errors name options; those of labels name their file and column.

    Parameters
    ----------
    source, label
        File or public data set, and the column of its labels.
    """
    try:
        yield
    except ValueError as error:
        from pydantic import ValidationError

        if isinstance(error, ValidationError):
            for problem in error.errors():
                text = in_options(problem["msg"].removeprefix("Value error, "))
                complain(
                    f"error: {text}" + ("" if isinstance(problem["input"], dict) else f" (given: {problem['input']})")
                )
            raise typer.Exit(2) from error
        of_labels = isinstance(error, DatasetError) and error.column == "label" and error.path is None
        where = f"{source}: " if source and of_labels else ""
        column = f"column {label}: " if where and label else ""
        text = f"{where}{column}{in_options(str(error))}"
        if isinstance(error, DatasetError):
            raise DatasetError(text, column=error.column, rows=error.rows, reasons=error.reasons or None) from error
        if type(error) is ValueError:
            raise ValueError(text) from error
        raise


class _Warnings(logging.Handler):
    """Print logged warnings, and once each note on how a table is read.

    Logged errors are also raised, and printed there.
    """

    def __init__(self) -> None:
        super().__init__()
        self._notes: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == logging.WARNING:
            complain(f"warning: {in_options(record.getMessage())}")
        elif record.name == _NOTES and record.getMessage() not in self._notes:  # a file is read more than once
            self._notes.add(record.getMessage())
            complain(f"note: {in_options(record.getMessage())}")


@contextmanager
def _logged_warnings() -> Iterator[None]:
    logger, notes, handler = logging.getLogger("antibody_esm"), logging.getLogger(_NOTES), _Warnings()
    logger.addHandler(handler)
    level = notes.level
    notes.setLevel(logging.INFO)
    try:
        yield
    finally:
        notes.setLevel(level)
        logger.removeHandler(handler)


def complain(text: str) -> None:
    """Print a line to standard error, if it is open, with characters that control a terminal escaped."""
    _complained(text)


def _complained(text: str) -> bool:
    """Print a line to standard error; return False if it is closed."""
    if sys.stderr is None:
        return False
    try:
        print(_CONTROL.sub(_escaped, text), file=sys.stderr, flush=True)  # noqa: T201
    except (OSError, ValueError):
        return False
    return True


def show(text: str, *, needed: bool = True) -> None:
    """Print text; if the output pipe is closed, raise BrokenPipeError only for `needed` text."""
    try:
        print(text, flush=not needed)  # noqa: T201
    except BrokenPipeError:
        if needed:
            raise
        _discard_output()


def run(app: Callable[[], object], *, at_once: float = AT_ONCE, interval: float = INTERVAL) -> None:
    """Run a command as this process: the first SIGTERM, SIGHUP or Ctrl-C ends it cleanly, the second at once.

    Parameters
    ----------
    app
        The command.
    at_once, interval
        Seconds until its first line about slow work, and between two of them.
    """
    stdout = sys.stdout
    if not os.environ.get("COLUMNS", "0").strip("0"):  # an unknown width, as for Python; rich takes it for none
        os.environ.pop("COLUMNS", None)
    _end_in_order()
    try:
        with progress_lines(complain, at_once=at_once, interval=interval):
            app()
    except OSError as error:  # of a help or a version, before the command
        _discard_output()
        complain(f"error: {'' if error.filename else 'standard output cannot be written: '}{_line(error)}")
        raise SystemExit(1) from None
    except SystemExit as end:
        # If the pipe is closed, typer replaces it, and rich discards the rest.
        if sys.stdout is not stdout or isinstance(end.__context__, BrokenPipeError):
            raise SystemExit(_BROKEN_PIPE) from None
        try:
            _end_output()
        except typer.Exit as failed:
            raise SystemExit(failed.exit_code) from None
        raise


def _end_output() -> None:
    """Flush standard output, and end the command if that fails."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        raise typer.Exit(_BROKEN_PIPE) from None
    except (OSError, ValueError) as error:
        _discard_output()
        complain(f"error: standard output cannot be written: {_line(error)}")
        raise typer.Exit(1) from None


def _is_unread() -> bool:
    """Return True if standard output is a closed pipe, to which nothing must be written again."""
    with suppress(OSError, ValueError, AttributeError):
        pipe = select.poll()
        pipe.register(sys.stdout.fileno(), select.POLLOUT)
        return any(event & select.POLLERR for _, event in pipe.poll(0))
    return False


def _discard_output() -> None:
    """Discard buffered output, so that the interpreter does not write it at exit."""
    with suppress(OSError, ValueError, AttributeError):
        number, nowhere = sys.stdout.fileno(), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)


def _line(error: Exception) -> str:
    """Return the message of an error; system errors without their number."""
    if isinstance(error, OSError) and not isinstance(error, AntibodyESMError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def _end_in_order() -> None:
    """Let the first signal raise `Ended`, and the second end the process at once."""
    counted = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]  # nohup ignores SIGHUP

    def end(number: int, frame: FrameType | None) -> None:
        for ending in counted:
            signal.signal(ending, signal.SIG_DFL)
        raise Ended(number)

    for ending in counted:
        signal.signal(ending, end)
    if os.name == "posix":
        _watch(counted)


def _watch(counted: list[int]) -> None:
    """End the process at the second signal, even while the main thread runs compiled code, which handles no signals."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def watch() -> None:
        seen = 0
        while number := os.read(reading, 1):
            seen += number[0] in counted
            if seen > 1:
                os._exit(128 + number[0])

    threading.Thread(target=watch, name="antibody_esm-signals", daemon=True).start()
