"""Results are computed once, and never taken for those of something else."""

import json
import logging
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
