"""Files of a model from the Hugging Face hub or its cache, with advice that fits the reason if there are none."""

import re
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from antibody_esm.errors import CheckpointError
from antibody_esm.licences import WEIGHTS


class Form(NamedTuple):
    """One of the forms in which weights are published."""

    pattern: str
    """Pattern of its files."""
    names: tuple[str, ...]
    """Names of which a complete download has one."""


def download(
    model: str, revision: str | None, common: Sequence[str], forms: Sequence[Form], field: str = "model"
) -> Path:
    """Return the folder of a model's files, from the cache or from the hub.

    Parameters
    ----------
    model, revision
        Name ``organisation/model``, and branch, tag or commit; None is the branch ``main``.
    common
        Patterns of the files that are always wanted.
    forms
        Forms of the weights in the order of preference, of which one is enough; empty if no weights are needed.
    field
        Field of `ExtractorSpec` that names the repository.

    Raises
    ------
    CheckpointError
        If the files are neither in the cache nor can be downloaded; the message gives the reason and the advice.
    """
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    if revision is not None and re.fullmatch("[0-9a-f]{40}", revision):  # a commit never changes: no request is needed
        earlier = downloaded(model, revision, common, forms)
        if earlier is not None:
            return earlier
    absent: Exception | None = None
    for form in tuple(forms) or (None,):
        try:
            folder = _snapshot(model, revision, common, form)
        except LocalEntryNotFoundError as error:  # another form may be in the cache
            absent = absent or error
            continue
        except (HFValidationError, HfHubHTTPError, OSError) as error:
            raise CheckpointError(_reason(model, revision, error, field), model, revision) from error
        if _is_complete(folder, form):
            return folder
    if absent is not None:
        raise CheckpointError(_reason(model, revision, absent, field), model, revision) from absent
    return folder


def downloaded(model: str, revision: str | None, common: Sequence[str], forms: Sequence[Form]) -> Path | None:
    """Return the folder of a model's files in the cache, without a request; None if some of them are not there."""
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    for form in tuple(forms) or (None,):
        with suppress(LocalEntryNotFoundError, HFValidationError):
            folder = _snapshot(model, revision, common, form, cached=True)
            if _is_complete(folder, form):
                return folder
    return None


def _is_complete(folder: Path, form: Form | None) -> bool:
    return form is None or any((folder / name).is_file() for name in form.names)


def _snapshot(
    model: str, revision: str | None, common: Sequence[str], form: Form | None, *, cached: bool = False
) -> Path:
    import huggingface_hub

    patterns = [*common, *([] if form is None else [form.pattern])]
    folder = huggingface_hub.snapshot_download(
        model, revision=revision, allow_patterns=patterns, local_files_only=cached
    )
    return Path(folder)


def _reason(model: str, revision: str | None, error: Exception, field: str) -> str:
    """Return the reason why a model's files are not here, and what to do."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    page = f"https://huggingface.co/{model}"
    fetch = f"hf download {model}{f' --revision {revision}' if revision else ''}"
    start = f"{'checkpoint' if field == 'model' else field} {model!r} is neither on disk nor can it be downloaded"
    files = "config, weights and tokenizer files" if field == "model" else "its files"
    otherwise = f"or give a local folder with {files}: ExtractorSpec({field}='path/to/folder')"
    near = get_close_matches(model, [name for name in WEIGHTS if "/" in name and name != model], 1, 0.8)
    meant = f" Did you mean {near[0]}?" if near else ""
    match error:
        case HFValidationError():
            return f"{start}: it is no folder, and no name of the hub such as facebook/esm2_t6_8M_UR50D.{meant}"
        case GatedRepoError():
            return (
                f"{start}: its authors ask for an agreement. Accept it on {page}, then log in with the same account: "
                "hf auth login"
            )
        case RepositoryNotFoundError():
            return (
                f"{start}: the hub has no such model, or it is private.{meant} If it is private, log in with an "
                f"account that may read {page}: hf auth login"
            )
        case RevisionNotFoundError():
            return f"{start}: it has no revision {revision!r}; {page}/commits/main lists its branches, tags and commits"
        case LocalEntryNotFoundError() if constants.HF_HUB_OFFLINE:
            return (
                f"{start}: downloads are switched off (HF_HUB_OFFLINE), and the cache lacks some of its files;\n"
                f"fetch it where there is a network with: {fetch}\n{otherwise}"
            )
    lines = str(error).splitlines()
    why = lines[0] if lines else type(error).__name__
    return f"{start} ({why});\nfetch it where there is a network with: {fetch}\n{otherwise}"
