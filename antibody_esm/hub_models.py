"""Models and panels on the Hugging Face hub: the files of a saved model, and nothing else, in one commit.

A model from the hub passes every check of a model on disk. No training sequence, label or vector leaves this computer
unless its owner passes ``training=True``.
"""

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from antibody_esm.card_files import CARD, is_card
from antibody_esm.errors import StoreError
from antibody_esm.files import size
from antibody_esm.limits import LimitError, parse_json, read_regular, unpacked_limit
from antibody_esm.model_files import FILES, PANEL, runtime_around
from antibody_esm.panel_files import folders_of
from antibody_esm.plm.adapters import LARGEST
from antibody_esm.plm.adapters import NAME as ADAPTER
from antibody_esm.serialization import UNPACKED

if TYPE_CHECKING:
    from antibody_esm.specs import RuntimeSpec
    from antibody_esm.store.store import Store

_COMMIT = re.compile("[0-9a-f]{40}")


class HubFiles(NamedTuple):
    """Content of a repository."""

    files: Mapping[str, bytes]
    description: str
    """Description of the training data in them."""
    of_training: str
    """Classifiers that consist of training vectors and labels, or may do so; empty if there are none."""


class OnHub:
    """The part of a model or a panel that exchanges it with the hub."""

    def hub_files(self, *, training: bool) -> HubFiles:
        """Return the files as `save` writes them."""
        raise NotImplementedError

    @classmethod
    def of_hub(cls, folder: Path, origin: str, store: "str | Path | Store | None", runtime: "RuntimeSpec") -> Self:
        """Return the model in a folder that is removed afterwards."""
        raise NotImplementedError

    def push_to_hub(
        self,
        repo_id: str,
        *,
        training: bool = False,
        private: bool = True,
        token: str | None = None,
        revision: str | None = None,
        message: str = "Model of antibody_esm",
    ) -> str:
        """Commit the model with its card to a repository of the Hugging Face hub, and return the commit.

        The repository is created if necessary. Files of an earlier model or panel in it are replaced or deleted in the
        same commit; its history keeps them. Other files stay, also a README that is not a card as it was written; the
        printed line then states that. The log of test sets is not sent. The line also states whether the training
        antibodies were sent.

        Parameters
        ----------
        repo_id
            ``organisation/name``.
        training
            True also sends sequences, labels and vectors of the training antibodies. Nobody else can be sure to have
            deleted them later.
        private
            False makes a new repository public, and allows a public one.
        token
            Token of the hub; None is that of ``hf auth login``.
        revision
            Branch; None is the main one.
        message
            Summary of the commit.

        Raises
        ------
        ValueError
            If a classifier that consists of training vectors would be sent with ``training=False``; if the
            repository is public and `private` is True; or if a file there that is of no earlier model or panel has the
            name of a file to send.
        StoreError
            If the hub refuses, or cannot be reached.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

        files, description, of_training = self.hub_files(training=training)
        if of_training and not training:
            raise ValueError(
                f"{of_training} consists, or may consist, of vectors and labels of training antibodies: "
                "fit another classifier, or pass training=True to send them"
            )
        api = HfApi(token=token)
        with _errors_of(repo_id, revision):
            api.create_repo(repo_id, private=private, exist_ok=True)
            info = api.model_info(repo_id, revision=revision, files_metadata=True)
            if private and info.private is False:
                raise ValueError(f"{repo_id} is public: pass private=False to publish the model, or name another one")
            there = _sizes(repo_id, info)
            earlier = _earlier(repo_id, str(info.sha), token, there)
            kept = [name for name in files if name in there and name not in earlier]
            taken = [name for name in kept if Path(name).name != CARD]
            if taken:
                raise ValueError(
                    f"{repo_id} has a file {taken[0]} that is of no earlier model or panel: name another repository"
                )
            commit = api.create_commit(
                repo_id,
                [
                    *(CommitOperationAdd(name, content) for name, content in files.items() if name not in kept),
                    *(CommitOperationDelete(name) for name in earlier if name not in files),
                ],
                commit_message=message,
                revision=revision,
            )
        place = "private" if info.private else "public"
        stays = f"; {', '.join(kept)} there is not a card as it was written, and stays" if kept else ""
        print(f"Pushed to {repo_id} ({place}) at commit {commit.oid}, {description}{stays}.")  # noqa: T201
        return str(commit.oid)

    @classmethod
    def from_hub(
        cls,
        repo_id: str,
        revision: str | None = None,
        *,
        token: str | None = None,
        store: "str | Path | Store | None" = None,
        runtime: "RuntimeSpec | None" = None,
        checkpoint: str | Path | Sequence[str | Path] = (),
    ) -> Self:
        """Read a model from a repository of the Hugging Face hub, with every check of `load`.

        Only files of a saved model are downloaded, from one commit, into the cache of the hub. `origin` names the
        repository and the commit, and so do reports. Test sets are logged in memory: save the model to keep the log.

        Parameters
        ----------
        repo_id
            ``organisation/name``.
        revision
            Branch, tag or commit; None is the main branch. A commit never changes.
        token
            Token of the hub; None is that of ``hf auth login``.
        store, runtime, checkpoint
            As for `load`.

        Raises
        ------
        StoreError
            If there is no such repository or revision, if a file is missing or too large, and as `load` does. No code
            of the files runs.
        """
        with downloaded(repo_id, revision, token) as (folder, commit):
            return cls.of_hub(folder, f"{repo_id} at {commit}", store, runtime_around(None, checkpoint, runtime))


@contextmanager
def downloaded(repo_id: str, revision: str | None, token: str | None) -> Iterator[tuple[Path, str]]:
    """Yield a temporary folder with the files of a saved model or panel, and the commit; raises as `OnHub.from_hub`."""
    with tempfile.TemporaryDirectory(prefix="antibody_esm-") as name:
        folder = Path(name)
        try:
            with _errors_of(repo_id, revision):
                commit, sizes = _listed(repo_id, revision, token)
                places = [""]
                if FILES[0] not in sizes:
                    _fetch(repo_id, commit, token, PANEL, sizes, folder)
                    places = [f"{inner}/" for inner in folders_of(folder)]
                for place in places:
                    _fetch(repo_id, commit, token, place + FILES[0], sizes, folder)
                    needed = _needed(folder / place / FILES[0])
                    for file in [file for file in FILES[1:] if file in needed]:
                        _fetch(repo_id, commit, token, place + file, sizes, folder)
            yield folder, commit
        except StoreError as error:
            raise StoreError(str(error).replace(name, repo_id)) from error


def _listed(repo_id: str, revision: str | None, token: str | None) -> tuple[str, dict[str, int]]:
    """Return the commit of a revision, and the size of each of its files; no request for a commit in the cache."""
    from huggingface_hub import HfApi, try_to_load_from_cache

    if revision is not None and _COMMIT.fullmatch(revision):
        paths = {name: try_to_load_from_cache(repo_id, name, revision=revision) for name in FILES}
        cached = {name: Path(path) for name, path in paths.items() if isinstance(path, str)}
        if FILES[0] in cached and _needed(cached[FILES[0]]) <= cached.keys():
            return revision, {name: path.stat().st_size for name, path in cached.items()}
    info = HfApi(token=token).model_info(repo_id, revision=revision, files_metadata=True)
    if not isinstance(info.sha, str) or not _COMMIT.fullmatch(info.sha):
        raise StoreError("the hub names no commit", repo_id)
    return info.sha, _sizes(repo_id, info)


def _sizes(repo_id: str, info: Any) -> dict[str, int]:
    """Return the size of each file of a commit. Raises StoreError if the hub names none."""
    sizes = {sibling.rfilename: sibling.size for sibling in info.siblings or ()}
    for name, number in sizes.items():
        if not isinstance(name, str) or type(number) is not int or number < 0:
            raise StoreError(f"the hub names no size of the file {str(name)[:80]!r}", repo_id)
    return sizes


def _earlier(repo_id: str, commit: str, token: str | None, sizes: Mapping[str, int]) -> list[str]:
    """Return the files of the earlier model or panel in a commit: those that its manifests name, and unedited cards."""
    with tempfile.TemporaryDirectory(prefix="antibody_esm-") as name:
        folder = Path(name)

        def content(file: str) -> bytes:
            with suppress(StoreError):  # such as one that is too large to be ours
                _fetch(repo_id, commit, token, file, sizes, folder)
                return (folder / file).read_bytes()
            return b""

        panel: list[str] = []
        if PANEL in sizes and content(PANEL):
            with suppress(StoreError):  # of another program
                panel = folders_of(folder)
        ours = [PANEL] if panel else []
        for place in ["", *(f"{inner}/" for inner in panel)]:
            manifest = place + FILES[0]
            files = _files_of(content(manifest)) if manifest in sizes else set()
            ours += [place + file for file in FILES if file in files and place + file in sizes]
            card = place + CARD
            ours += [card] if card in sizes and is_card(content(card)) else []
        return ours


def _files_of(manifest: bytes) -> set[str]:
    """Return the names of the files of the model that a manifest describes; none if it is of another program."""
    try:
        fields = parse_json(manifest)
    except LimitError:
        return set()
    ours = isinstance(fields, dict) and {"format", "spec", "classifier_sha256", "training_sha256"} <= fields.keys()
    return {name for name in FILES if name != ADAPTER or "adapter_sha256" in fields} if ours else set()


def _needed(manifest: Path) -> set[str]:
    """Return the names of a model's files, of which only a fine-tuned one has an adapter."""
    return {name for name in FILES if name != ADAPTER or b'"adapter_sha256"' in manifest.read_bytes()}


def _fetch(repo_id: str, commit: str, token: str | None, name: str, sizes: Mapping[str, int], folder: Path) -> None:
    """Copy one file of a commit to a folder. Raises StoreError if it is missing or too large."""
    from huggingface_hub import HfApi

    limit = LARGEST if Path(name).name == ADAPTER else unpacked_limit(UNPACKED, UNPACKED)
    if name not in sizes:
        raise StoreError(f"not a saved model of antibody_esm: it has no {name}", f"{repo_id} at {commit}")
    if sizes[name] > limit:
        raise StoreError(f"{name} has {size(sizes[name])}, more than {size(limit)}", repo_id)
    path = Path(HfApi(token=token).hf_hub_download(repo_id, name, revision=commit))
    try:
        content = read_regular(path, limit)
    except LimitError as error:
        raise StoreError(f"{name} {error}", repo_id) from error
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)


@contextmanager
def _errors_of(repo_id: str, revision: str | None) -> Iterator[None]:
    """Raise errors of the hub as StoreError, with advice."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        yield
    except StoreError:
        raise
    except (
        HFValidationError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        OSError,
        RuntimeError,
    ) as error:
        raise StoreError(_reason(repo_id, revision, error), repo_id) from error


def _reason(repo_id: str, revision: str | None, error: Any) -> str:
    from huggingface_hub import errors

    match error:
        case errors.HFValidationError():
            return "no name of a repository of the hub, such as organisation/name"
        case errors.GatedRepoError():
            return "its owners ask for an agreement: accept it on its page, then log in with hf auth login"
        case errors.RepositoryNotFoundError():
            return "the hub has no such repository, or it is private: log in with hf auth login"
        case errors.RevisionNotFoundError():
            return f"it has no revision {revision!r}"
        case errors.OfflineModeIsEnabled():
            return "requests to the hub are switched off (HF_HUB_OFFLINE)"
    lines = str(error).splitlines()
    return f"the hub cannot be reached, or refuses: {lines[0] if lines else type(error).__name__}"
