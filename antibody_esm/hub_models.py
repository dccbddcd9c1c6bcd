"""Models and panels on the Hugging Face hub: the files of a saved model, and nothing else, in one commit.

A model from the hub passes every check of a model on disk. No training sequence, label or vector leaves this computer
unless its owner passes ``training=True``.
"""

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from antibody_esm.card_files import CARD
from antibody_esm.errors import StoreError
from antibody_esm.files import size
from antibody_esm.limits import LimitError, read_regular, unpacked_limit
from antibody_esm.model_files import FILES, PANEL, runtime_around
from antibody_esm.panel_files import folders_of
from antibody_esm.plm.adapters import LARGEST
from antibody_esm.plm.adapters import NAME as ADAPTER
from antibody_esm.serialization import UNPACKED

if TYPE_CHECKING:
    from antibody_esm.specs import RuntimeSpec
    from antibody_esm.store.store import Store

_COMMIT = re.compile("[0-9a-f]{40}")
_NAMES = "|".join(map(re.escape, (*FILES, CARD)))
_OURS = re.compile(rf"([A-Za-z0-9][A-Za-z0-9_-]{{0,63}}/)?({_NAMES})|{re.escape(PANEL)}")
"""Names of files of a model or a panel in a repository."""


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

        The repository is created if necessary. Files of an earlier model in it are replaced or deleted in the same
        commit; its history keeps them. Other files stay. The log of test sets is not sent. A printed line states
        whether the training antibodies were sent.

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
            If a classifier that consists of training vectors would be sent with ``training=False``; or if the
            repository is public and `private` is True.
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
            info = api.model_info(repo_id, revision=revision)
            if private and info.private is False:
                raise ValueError(f"{repo_id} is public: pass private=False to publish the model, or name another one")
            there = [sibling.rfilename for sibling in info.siblings or ()]
            earlier = [name for name in there if _OURS.fullmatch(name) and name not in files]
            commit = api.create_commit(
                repo_id,
                [
                    *(CommitOperationAdd(name, content) for name, content in files.items()),
                    *(CommitOperationDelete(name) for name in earlier),
                ],
                commit_message=message,
                revision=revision,
            )
        place = "private" if info.private else "public"
        print(f"Pushed to {repo_id} ({place}) at commit {commit.oid}, {description}.")  # noqa: T201
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
                for file in [place + file for place in places for file in FILES]:
                    if file in sizes or not file.endswith(ADAPTER):  # only a fine-tuned model has an adapter
                        _fetch(repo_id, commit, token, file, sizes, folder)
            yield folder, commit
        except StoreError as error:
            raise StoreError(str(error).replace(name, repo_id)) from error


def _listed(repo_id: str, revision: str | None, token: str | None) -> tuple[str, dict[str, int | None]]:
    """Return the commit of a revision, and the size of each of its files; no request for a commit in the cache."""
    from huggingface_hub import HfApi, try_to_load_from_cache

    if revision is not None and _COMMIT.fullmatch(revision):
        paths = {name: try_to_load_from_cache(repo_id, name, revision=revision) for name in FILES}
        cached = {name: Path(path) for name, path in paths.items() if isinstance(path, str)}
        if FILES[0] in cached and _needed(cached[FILES[0]]) <= cached.keys():
            return revision, dict.fromkeys(cached)
    info = HfApi(token=token).model_info(repo_id, revision=revision, files_metadata=True)
    if not isinstance(info.sha, str) or not _COMMIT.fullmatch(info.sha):
        raise StoreError("the hub names no commit", repo_id)
    return info.sha, {sibling.rfilename: sibling.size for sibling in info.siblings or ()}


def _needed(manifest: Path) -> set[str]:
    """Return the names of a model's files, of which only a fine-tuned one has an adapter."""
    return {name for name in FILES if name != ADAPTER or b'"adapter_sha256"' in manifest.read_bytes()}


def _fetch(
    repo_id: str, commit: str, token: str | None, name: str, sizes: Mapping[str, int | None], folder: Path
) -> None:
    """Copy one file of a commit to a folder. Raises StoreError if it is missing or too large."""
    from huggingface_hub import HfApi

    limit = LARGEST if Path(name).name == ADAPTER else unpacked_limit(UNPACKED, UNPACKED)
    if name not in sizes:
        raise StoreError(f"not a saved model of antibody_esm: it has no {name}", f"{repo_id} at {commit}")
    if (sizes[name] or 0) > limit:
        raise StoreError(f"{name} has {size(sizes[name] or 0)}, more than {size(limit)}", repo_id)
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
