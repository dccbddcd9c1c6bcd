"""Whether there is a progress bar, and which."""

import sys
from typing import Any


def watched(asked: bool | None) -> bool:
    """Return whether a progress bar has somebody who looks at it, or was asked for."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules if asked is None else asked


def progress_bar() -> Any:
    """Return the class of the bar, imported before transformers does it, and without advice on ipywidgets.

    A notebook that lacks them gets the bar as text, which is good enough.
    """
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="IProgress not found")
        from tqdm.auto import tqdm
    return tqdm
