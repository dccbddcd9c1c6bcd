"""Lines about slow work: soon after the start, at the begin of each step, and once an interval."""

import logging
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from antibody_esm import ExtractorSpec
from antibody_esm.cli.progress_lines import AT_ONCE, INTERVAL, progress_lines
from antibody_esm.numbering import number
from antibody_esm.plm.schedule import progress_bar
from antibody_esm.progress import Step, running, step
from chains import HEAVY, mutants
from effort import PATIENCE


@pytest.fixture
def lines() -> Iterator[list[str]]:
    printed: list[str] = []
    with progress_lines(printed.append, at_once=0, interval=INTERVAL):
        yield printed


def test_the_figures_are_a_minute_and_less_than_half_a_second() -> None:
    assert (AT_ONCE, INTERVAL) == (0.1, 60.0)


def test_each_step_has_a_line_at_its_begin_and_a_name_once_an_interval(lines: list[str]) -> None:
    for _ in range(3):
        with step("numbering", 2000, "sequences") as now:
            now.update(500)
            assert str(now) == "numbering: 500 of 2,000 sequences"
            with step("embedding", 7, "sequences"):
                assert str(running()) == "embedding: 7 sequences"
            assert running() is now
    with step("nothing to do", 0, "sequences"), step("quiet", announced=False):
        pass
    assert running() is None
    assert lines == ["numbering: 2,000 sequences ...", "embedding: 7 sequences ..."]


def test_a_step_ends_with_an_error_too() -> None:
    with pytest.raises(ValueError, match="no"), step("numbering"):
        raise ValueError("no")
    assert running() is None


def test_a_line_tells_how_far_a_long_step_is_once_an_interval() -> None:
    printed: list[str] = []
    with progress_lines(printed.append, at_once=0, interval=0.05), step("embedding", 100, "sequences") as now:
        for _ in range(3):
            now.update(10)
            before, until = len(printed), time.monotonic() + PATIENCE
            while len(printed) < before + 2:
                assert time.monotonic() < until
                time.sleep(0.01)
    assert printed[0] == "embedding: 100 sequences ..."
    assert any(line.startswith("embedding: 30 of 100 sequences; ") for line in printed)
    assert all(line.endswith("since the start ...") for line in printed[2:])
    assert all("\r" not in line and "\n" not in line for line in printed)
    count = len(printed)
    time.sleep(0.2)
    assert len(printed) == count, "the thread has ended"


def test_a_step_without_a_name_waits_without_lines_and_its_time_does_not_count_after_it() -> None:
    printed: list[str] = []
    with progress_lines(printed.append, at_once=0, interval=0.2), step("loading", announced=False):
        with step("", announced=False):
            time.sleep(0.6)
        assert [line for line in printed if "since" in line] == []


def test_short_work_and_other_log_records_have_no_line(lines: list[str]) -> None:
    logging.getLogger("antibody_esm.progress").info("text of somebody else")
    logging.getLogger("antibody_esm").info("text of somebody else")
    with step("quiet", announced=False):
        assert lines == []


def test_numbering_and_progress_bars_are_steps(
    lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number(mutants(HEAVY, 60, 3))
    with progress_bar(5, "tuning", "fit", None) as bar:
        bar.update()
        assert isinstance(running(), Step)
        assert str(running()) == "tuning: 1 of 5 fits"
    assert "tuning: 5 fits ..." in lines
    number(mutants(HEAVY, 3, 5))
    assert len([line for line in lines if line.startswith("numbering")]) <= 1, "a few need no line"


PROGRAM = "from antibody_esm.cli.app import app; from antibody_esm.cli.errors import run; run(app{})"


def start(folder: Path, *words: str, options: str, stderr: int = subprocess.PIPE) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", PROGRAM.format(options), *words]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=stderr)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    pd.DataFrame({"id": range(80), "heavy": mutants(HEAVY, 80, 4)}).to_csv(tmp_path / "in.csv", index=False)
    return tmp_path


def test_a_command_prints_a_line_at_once_and_one_for_each_step(here: Path, tiny: ExtractorSpec) -> None:
    words = ("embed", "in.csv", "--language-model", str(tiny.model), "-o", "out.npz")
    began = time.monotonic()
    with start(here, *words, options=", interval=0.2") as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        taken = time.monotonic() - began
        rest = process.stderr.read()
        assert process.wait(PATIENCE) == 0
    assert first == b"loading libraries and data ...\n"
    assert b"embedding with " in rest
    assert b"80 sequences ..." in rest
    assert b"\r" not in rest
    assert b"loading libraries and data; " in rest, "a line an interval, during the imports too"
    whole = time.monotonic() - began
    assert taken < whole / 2, f"the first line after {taken:.2f} of {whole:.2f} s"


def test_an_error_that_is_found_at_once_is_one_line(here: Path) -> None:
    with start(here, "predict", "absent.csv", "-m", "absent", "-o", "out.csv", options=", at_once=60") as process:
        assert process.stderr is not None
        assert process.stderr.read().count(b"\n") == 1
        assert process.wait(PATIENCE) == 1


def test_a_terminal_has_lines_at_the_begin_of_steps_and_none_an_interval(here: Path) -> None:
    mine, theirs = pty.openpty()
    with start(here, "data", "number", "in.csv", "-o", "out.csv", options=", interval=0.05", stderr=theirs) as process:
        os.close(theirs)
        assert process.wait(PATIENCE) == 0
    text = os.read(mine, 10**6).decode()
    os.close(mine)
    assert "loading libraries and data ..." in text
    assert "since the start" not in text
