"""A folder of results is replaced as a whole, or stays as it was."""

import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import files, folders
from antibody_esm.folders import replacing_folder
from effort import STRESS
from processes import fork

OURS = ("config.yaml", "report.html", "model/manifest.json", "model/training.npz")


def write(folder: Path, text: str, names: tuple[str, ...] = OURS) -> None:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(f"{text} {name}")


def content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def result(text: str) -> dict[str, str]:
    return {name: f"{text} {name}" for name in OURS}


@pytest.fixture(params=["exchange", "two renames"])
def swap(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to swap: in one step, and where the file system cannot do that."""
    if request.param == "two renames":
        monkeypatch.setattr(folders, "_renameat2", lambda: None)
    elif sys.platform != "linux":
        pytest.fail("this way to swap is Linux's")
    return str(request.param)


NOTES = {"notes.txt": "mine", "model/openings.jsonl": "{}", "extra/deep/table.csv": "1,2", "model/card/readme.md": "x"}


@given(
    old=st.sets(st.sampled_from(OURS)),
    new=st.sets(st.sampled_from(OURS)),
    notes=st.sets(st.sampled_from(sorted(NOTES))),
    fails=st.booleans(),
)
def test_a_result_is_replaced_whole_on_success_only_and_files_of_others_are_kept(
    swap: str, tmp_path_factory: pytest.TempPathFactory, old: set[str], new: set[str], notes: set[str], fails: bool
) -> None:
    out = tmp_path_factory.mktemp("results") / "out"
    write(out, "old", tuple(old))
    for name in notes:
        (out / name).parent.mkdir(exist_ok=True, parents=True)
        (out / name).write_text(NOTES[name])
    before = content(out)
    try:
        with replacing_folder(out, OURS) as folder:
            write(folder, "new", tuple(new))
            assert content(out) == before, "nothing is touched before all is written"
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert content(out) == before
    else:
        assert content(out) == {name: f"new {name}" for name in new} | {name: NOTES[name] for name in notes}
    assert [path.name for path in out.parent.iterdir()] == (["out"] if out.exists() else [])


def test_the_ledger_is_one_file_before_and_after_so_that_no_line_is_lost(tmp_path: Path, swap: str) -> None:
    write(tmp_path / "out", "old")
    ledger = tmp_path / "out" / "model" / "openings.jsonl"
    ledger.write_text("first\n")
    with ledger.open("a") as written_meanwhile, replacing_folder(tmp_path / "out", OURS) as folder:
        write(folder, "new")
        written_meanwhile.write("second\n")
    assert ledger.read_text() == "first\nsecond\n"


def test_what_others_add_during_the_swap_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "out", "old")
    swap = folders._swap

    def slow(new: Path, path: Path) -> None:
        (path / "late.txt").write_text("late")
        swap(new, path)

    monkeypatch.setattr(folders, "_swap", slow)
    with replacing_folder(tmp_path / "out", OURS) as folder:
        write(folder, "new")
    assert content(tmp_path / "out") == result("new") | {"late.txt": "late"}


def test_permissions_of_the_folder_stay_and_a_link_leads_to_the_new_result(tmp_path: Path, swap: str) -> None:
    write(tmp_path / "real", "old")
    (tmp_path / "real").chmod(0o700)
    (tmp_path / "out").symlink_to("real")
    with replacing_folder(tmp_path / "out", OURS) as folder:
        write(folder, "new")
    assert (tmp_path / "out").is_symlink()
    assert content(tmp_path / "real") == result("new")
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o700


def test_the_current_folder_stays_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "out", "old")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    monkeypatch.chdir(tmp_path / "out")
    with replacing_folder(Path(), OURS) as folder:
        write(folder, "new", OURS[1:])
    assert content(Path()) == {name: f"new {name}" for name in OURS[1:]} | {"notes.txt": "mine"}
    assert Path.cwd().samefile(tmp_path / "out"), "a shell that is there sees the new result"


def test_a_folder_with_more_files_of_others_than_are_linked_is_replaced_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_MOST_OTHERS", 2)
    write(tmp_path / "out", "old")
    write(tmp_path / "out", "mine", ("a", "b", "c", "d/e", "model/f"))
    with replacing_folder(tmp_path / "out", OURS) as folder:
        write(folder, "new")
    assert content(tmp_path / "out") == result("new") | {n: f"mine {n}" for n in ("a", "b", "c", "d/e", "model/f")}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda out: out.write_text("a file"), "is not a folder"),
        (lambda out: write(out, "mine", ("report.html/inside",)), "the result has a file of this name"),
        (lambda out: write(out, "mine", ("model",)), "is not a folder of its own"),
        (lambda out: (out / "elsewhere").mkdir(parents=True) or (out / "model").symlink_to("elsewhere"), "of its own"),
    ],
)
def test_what_stands_in_the_way_is_refused_before_work_and_kept(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    make(tmp_path / "out")
    before = content(tmp_path)
    with pytest.raises(OSError, match=message), replacing_folder(tmp_path / "out", OURS):
        pytest.fail("the block runs")
    assert content(tmp_path) == before


def test_folders_made_for_a_result_that_fails_go(tmp_path: Path) -> None:
    def fail() -> None:
        with replacing_folder(tmp_path / "a" / "b" / "out", OURS) as folder:
            write(folder, "new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not list(tmp_path.iterdir())


# --- kills ------------------------------------------------------------------------------------------------------------


def _replace_again_and_again(out: Path, exchange: bool, pause: float) -> None:
    if not exchange:
        folders._renameat2 = lambda: None  # type: ignore[assignment]
    number = 0
    while True:
        with replacing_folder(out, OURS) as folder:
            write(folder, f"new{number}")
        number += 1
        time.sleep(pause * random.random())


def _whole(found: dict[str, str]) -> bool:
    """Return whether files are those of one result."""
    return set(found) == set(OURS) and len({text.partition(" ")[0] for text in found.values()}) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="kills of POSIX")
def test_killed_at_any_moment_the_old_result_or_the_new_one_is_there(tmp_path: Path, swap: str) -> None:
    generator, notes = random.Random(0), {name: NOTES[name] for name in ("notes.txt", "extra/deep/table.csv")}
    for kill in range(300 if STRESS else 12):
        out = tmp_path / str(kill) / "out"
        write(out, "old")
        for name, text in notes.items():
            (out / name).parent.mkdir(exist_ok=True, parents=True)
            (out / name).write_text(text)
        process = fork(_replace_again_and_again, out, swap == "exchange", 0.0)
        time.sleep(generator.uniform(0.0, 0.05))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        if swap == "exchange":
            found = content(out)
            assert notes.items() <= found.items()
            assert _whole({name: text for name, text in found.items() if name not in notes}), found
        else:  # under its name, or beside it
            assert any(_whole({n: t for n, t in content(one).items() if n in OURS}) for one in out.parent.iterdir())
        folders.recover(out, OURS)
        found = content(out)
        assert notes.items() <= found.items()
        assert _whole({name: text for name, text in found.items() if name not in notes}), found
        assert [path.name for path in out.parent.iterdir()] == ["out"], "what the killed process left is gone"


def test_a_swap_that_another_machine_left_halfway_is_completed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(tmp_path / f"out.replaced-{'0' * 8}-1-{'0' * 8}", "old")
    folders.recover(out, OURS)
    assert not out.exists(), "it may be at it"
    (aside,) = tmp_path.iterdir()
    later = time.time() + 100
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: later)
        folders.recover(out, OURS)
    assert content(out) == result("old")
    assert not aside.exists()


def test_unfinished_folders_of_living_processes_and_of_other_machines_stay(tmp_path: Path) -> None:
    mine, theirs = files.beside(tmp_path / "out", "partial"), tmp_path / f"out.partial-{'0' * 8}-1-{'0' * 8}"
    for folder in (mine, theirs, tmp_path / "out.partial-notes"):
        write(folder, "half")
    with replacing_folder(tmp_path / "out", OURS) as folder:
        write(folder, "new")
    assert len(list(tmp_path.iterdir())) == 4


def test_readers_miss_no_file_while_a_folder_is_replaced(tmp_path: Path) -> None:
    write(tmp_path / "out", "old")
    ended = threading.Event()

    def replace() -> None:
        for number in range(40):
            with replacing_folder(tmp_path / "out", OURS) as folder:
                write(folder, f"new{number}")
        ended.set()

    thread = threading.Thread(target=replace)
    thread.start()
    seen: set[str] = set()
    while not ended.is_set():
        seen.add((tmp_path / "out" / "config.yaml").read_text().split()[0])  # a missing folder fails the test
    thread.join()
    assert len(seen) > 1
