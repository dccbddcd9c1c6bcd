from pathlib import Path

import pytest

import needed

pytest_plugins = ["pytester"]

TESTS = """
import needed

def test_clusters():
    assert needed.mmseqs() or needed.leave("mmseqs")

def test_data():
    assert needed.published() or needed.leave("published")

def test_more_data():
    assert needed.published() or needed.leave("published")
"""


@pytest.fixture
def bare(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A machine without any program, and with an empty folder of data."""
    monkeypatch.setenv("PATH", str(pytester.mkdir("bin")))
    monkeypatch.setenv(needed.VARIABLE, str(pytester.mkdir("data")))
    pytester.makeconftest("from needed import pytest_terminal_summary")
    pytester.makepyfile(TESTS)
    return pytester


def test_what_was_not_tested_stands_in_the_last_lines(bare: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    done = bare.runpytest_inprocess("-p", "no:cacheprovider")
    done.assert_outcomes(skipped=3)
    last = done.outlines[-3:]
    assert last[0].startswith("1 tests skipped, not tested: no mmseqs2")
    assert last[1].startswith("2 tests skipped, not tested: the published files")
    assert "3 skipped" in last[2]


def test_what_was_not_tested_fails_in_continuous_integration(
    bare: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    done = bare.runpytest_inprocess("-p", "no:cacheprovider")
    done.assert_outcomes(failed=3)


@pytest.mark.parametrize(("status", "name"), [(0, "google-chrome"), (0, "microsoft-edge"), (1, "chromium-browser")])
def test_a_browser_is_one_that_starts(status: int, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ubuntu's chromium-browser is a stub that ends with 1 where snap is absent."""
    path = tmp_path / name
    path.write_text(f"#!/bin/sh\nexit {status}\n")
    path.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(needed, "_of_playwright", lambda: iter(()))
    assert needed.browser.__wrapped__() == (str(path) if status == 0 else None)


def test_published_files_are_those_of_a_folder_that_holds_them_all(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(needed.VARIABLE, str(tmp_path))
    assert needed.published() is None
    names = list(needed.files())
    for name in names[1:]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(published / name)
    assert needed.published() is None
    (tmp_path / names[0]).symlink_to(published / names[0])
    assert needed.published() == tmp_path


def test_files_that_only_tests_read_have_the_digests_of_their_list(published: Path) -> None:
    from antibody_esm.files import digest

    assert len(needed.files()) == 35
    for name, (sha256, _) in needed.files().items():
        assert digest(published / name) == sha256
