"""Results are computed once, and never taken for those of something else."""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import result_cache
from antibody_esm.result_cache import ResultFolder, digest
from antibody_esm.threads import in_threads
from test_store_faults import unprivileged

values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
identities = st.dictionaries(st.sampled_from(["spec", "data", "test"]), values, min_size=1)


@given(identities, identities)
def test_two_identities_have_one_digest_exactly_if_they_are_the_same(one: dict, other: dict) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (digest(one) == digest(other)) == same


@given(st.lists(st.tuples(identities, values), min_size=1, max_size=5))
def test_what_is_kept_is_what_was_computed(jobs: list) -> None:
    folder = ResultFolder(None)
    first = {digest(identity): json.dumps(value) for identity, value in reversed(jobs)}
    for identity, value in jobs:
        assert json.dumps(folder.once(identity, lambda value=value: value)) == first[digest(identity)]
    assert folder.computed == len(first)


def test_another_process_finds_the_result_and_computes_nothing(tmp_path: Path) -> None:
    number = 0.1 + 0.2
    assert ResultFolder(tmp_path / "new").once({"a": 1}, lambda: [number]) == [number]
    again = ResultFolder(tmp_path / "new")
    assert again.once({"a": 1}, lambda: pytest.fail("computed again")) == [number]
    assert again.computed == 0


def test_other_code_or_other_libraries_mean_other_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ResultFolder(tmp_path).once({"a": 1}, lambda: 1)
    for name in ("antibody_esm", "numpy", "python"):
        changed = result_cache.versions() | {name: "another"}
        with monkeypatch.context() as patch:
            patch.setattr(result_cache, "versions", lambda changed=changed: changed)
            assert ResultFolder(tmp_path).once({"a": 1}, lambda: 2) == 2


@pytest.mark.parametrize(
    "damage", [lambda text: text[:-3], lambda text: text.replace("7", "8"), lambda _: "", str.upper]
)
def test_a_damaged_result_is_computed_again_and_that_is_said(
    damage: object, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ResultFolder(tmp_path).once({"a": 1}, lambda: {"found": 7})
    (path,) = tmp_path.iterdir()
    path.write_text(damage(path.read_text()))  # type: ignore[operator]
    with caplog.at_level(logging.WARNING, "antibody_esm"):
        assert ResultFolder(tmp_path).once({"a": 1}, lambda: {"found": 7}) == {"found": 7}
    assert "is damaged; it is computed again" in caplog.text
    assert ResultFolder(tmp_path).once({"a": 1}, lambda: pytest.fail("computed again")) == {"found": 7}


def test_nan_is_no_result() -> None:
    with pytest.raises(ValueError, match="Out of range float values"):
        ResultFolder(None).once({"a": 1}, lambda: float("nan"))


@pytest.mark.parametrize("content", ["[NaN]", "[Infinity]", "[1", "[" * 500, "1e999"])
def test_content_with_its_checksum_that_is_no_plain_json_is_computed_again(
    content: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ResultFolder(tmp_path).once({"a": 1}, lambda: [7])
    (path,) = tmp_path.iterdir()
    path.write_text(f"{hashlib.sha256(content.encode()).hexdigest()}\n{content}\n")
    assert ResultFolder(tmp_path).once({"a": 1}, lambda: [8]) == [8]
    assert "is damaged" in caplog.text


def test_a_value_that_the_computation_cannot_return_is_computed_again(tmp_path: Path) -> None:
    ResultFolder(tmp_path).once({"a": 1}, lambda: ["text"])
    folder = ResultFolder(tmp_path)
    assert folder.once({"a": 1}, lambda: [8], lambda value: isinstance(value[0], int)) == [8]
    assert folder.computed == 1


def test_the_target_of_a_link_is_neither_read_nor_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    results, theirs = tmp_path / "results", tmp_path / "theirs"
    ResultFolder(results).once({"a": 1}, lambda: [7])
    (path,) = results.iterdir()
    path.rename(theirs)
    before = theirs.read_bytes()
    path.symlink_to(theirs)
    assert ResultFolder(results).once({"a": 1}, lambda: [8]) == [8]
    assert "is damaged" in caplog.text
    assert theirs.read_bytes() == before
    assert not path.is_symlink()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs")
def test_a_fifo_blocks_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ResultFolder(tmp_path).once({"a": 1}, lambda: [7])
    (path,) = tmp_path.iterdir()
    path.unlink()
    os.mkfifo(path)
    assert ResultFolder(tmp_path).once({"a": 1}, lambda: [8]) == [8]
    assert "is damaged" in caplog.text
    assert ResultFolder(tmp_path).once({"a": 1}, lambda: pytest.fail("computed again")) == [8]


def test_a_folder_in_the_place_of_a_result_is_left_alone(tmp_path: Path) -> None:
    ResultFolder(tmp_path).once({"a": 1}, lambda: [7])
    (path,) = tmp_path.iterdir()
    path.unlink()
    path.mkdir()
    assert ResultFolder(tmp_path).once({"a": 1}, lambda: [8]) == [8]
    assert path.is_dir()


def test_results_that_cannot_be_kept_end_no_run_and_are_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "store.tuning").write_text("a file of that name")
    folder = ResultFolder(tmp_path / "store.tuning", required=False)
    with caplog.at_level(logging.WARNING):
        assert [folder.once({"n": n}, lambda n=n: n) for n in (1, 2, 1)] == [1, 2, 1]
    assert folder.computed == 2
    (record,) = caplog.records
    assert "store.tuning, and the run goes on" in record.message
    assert (tmp_path / "store.tuning").read_text() == "a file of that name"
    with pytest.raises(OSError, match="store.tuning"):
        ResultFolder(tmp_path / "store.tuning").once({"n": 1}, lambda: 1)


def test_results_in_a_read_only_folder_are_read(caplog: pytest.LogCaptureFixture) -> None:
    place = Path(tempfile.mkdtemp())
    in_threads(lambda n: n, [(1,), (2,)], 4)  # imports its modules while this process may read them
    try:
        ResultFolder(place / "results").once({"n": 1}, lambda: 7)
        for path in (place, place / "results"):
            path.chmod(0o555)
        with unprivileged(), caplog.at_level(logging.WARNING):
            folder = ResultFolder(place / "results", required=False)
            assert folder.once({"n": 1}, lambda: pytest.fail("computed again")) == 7
            assert not caplog.records
            assert in_threads(lambda n: folder.once({"n": n}, lambda: n), [(n,) for n in range(2, 30)], 4) == [
                *range(2, 30)
            ]
            new = ResultFolder(place / "new", required=False)
            assert new.once({"n": 1}, lambda: 3) == 3
        assert len(caplog.records) == 2, "once for each folder"
    finally:
        place.chmod(0o755)
        (place / "results").chmod(0o755)
        shutil.rmtree(place)
