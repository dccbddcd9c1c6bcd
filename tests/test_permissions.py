"""Folders of a store are made with the permissions of the folder around them."""

from pathlib import Path

import pytest

from antibody_esm import StoreError
from antibody_esm.store.permissions import make_folder


def test_a_folder_that_is_removed_while_it_is_made_is_gone_and_not_another_thing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was reported as `not a folder of its own`, which ended a writer that only had to try again."""
    folder = tmp_path / "spec"
    make = Path.mkdir

    def removed_at_once(self: Path, mode: int = 0o777) -> None:
        make(self, mode)
        self.rmdir()
        raise FileExistsError(self)

    monkeypatch.setattr(Path, "mkdir", removed_at_once)
    with pytest.raises(FileNotFoundError):
        make_folder(folder)


@pytest.mark.parametrize("kind", ["file", "link", "link that leads nowhere"])
def test_another_thing_in_the_place_of_a_folder_is_refused(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "spec"
    if kind == "file":
        folder.write_text("")
    else:
        folder.symlink_to(tmp_path if kind == "link" else tmp_path / "nothing")
    with pytest.raises(StoreError, match="is not a folder of its own"):
        make_folder(folder)
