"""Jobs of the page run in a process that can be ended, and what a page that was killed leaves behind is removed."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from antibody_esm.cli.web_folder import remove_leftovers, remove_old, temporary_folder
from antibody_esm.cli.web_worker import Worker
from antibody_esm.errors import DatasetError
from antibody_esm.processes import runs
from effort import PATIENCE


def sleep(model: int, seconds: float) -> None:
    time.sleep(seconds)


def add(model: int, number: int) -> int:
    return model + number


def refuse(model: int) -> None:
    raise DatasetError("no column is named 'heavy'", path=Path("/secret/upload.csv"))


def crash(model: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_job_that_takes_too_long_is_ended_with_its_process_and_the_next_one_runs() -> None:
    with Worker(partial(int, 40), seconds=PATIENCE) as worker:
        assert worker(add, 2) == 42
        worker._seconds, process = 0.5, worker.process
        with pytest.raises(ValueError, match=r"^the job was stopped after 0.5 seconds; try fewer antibodies"):
            worker(sleep, PATIENCE)
        assert process is not None
        assert not runs(process)
        worker._seconds = PATIENCE
        assert worker(add, 3) == 43
        process = worker.process
    assert process is not None
    assert not runs(process)


def test_a_job_that_is_refused_or_whose_process_dies_is_a_message_and_the_next_one_runs() -> None:
    with Worker(partial(int, 40), seconds=PATIENCE) as worker:
        with pytest.raises(ValueError, match=r"^no column is named 'heavy'$"):
            worker(refuse)
        with pytest.raises(ValueError, match=r"^the job ended abnormally \(status -9\)"):
            worker(crash)
        assert worker(add, 2) == 42
        os.kill(worker.process or 0, signal.SIGKILL)  # between two jobs
        time.sleep(0.2)
        assert worker(add, 3) == 43


OPEN = """
import sys, time
from antibody_esm.cli.web_folder import temporary_folder

with temporary_folder() as folder:
    print(folder, flush=True)
    time.sleep(600)
"""


def test_the_folder_of_a_killed_page_is_removed_at_the_next_start_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pages = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN], env=os.environ | {"TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    killed, alive = (Path(page.stdout.readline().decode().strip()) for page in pages)
    try:
        (killed / "upload.csv").write_text("id,heavy")
        pages[0].kill()
        pages[0].wait()
        remove_leftovers()
        assert killed.exists(), "it may be one that starts just now"
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (tmp_path / "antibody_esm-app-link").symlink_to(elsewhere)
        for folder in (killed, alive, elsewhere):
            os.utime(folder, (0, 0))
        with temporary_folder() as mine:
            assert sorted(tmp_path.iterdir()) == sorted([alive, elsewhere, tmp_path / "antibody_esm-app-link", mine])
            assert oct(mine.stat().st_mode)[-3:] == "700"
        assert not mine.exists()
    finally:
        for page in pages:
            page.kill()
            page.wait()
            page.stdout.close()


def test_a_table_is_kept_for_an_hour(tmp_path: Path) -> None:
    for name, age in (("table-old", 3700), ("table-new", 3500), ("upload", 3700)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "scores.csv").touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    remove_old(tmp_path, 3600)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table-new", "upload"]
