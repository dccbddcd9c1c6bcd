"""Language model in other processes, of this machine or of a cluster; its spec is sent, and no weights."""

from dataclasses import dataclass
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from antibody_esm.batch import Batch
from antibody_esm.specs import ExtractorSpec, RuntimeSpec


class Loadable(Protocol):
    """A language model that is read when it is first needed: an `Extractor`."""

    def warm_up(self) -> None:
        """Read the model."""
        ...

    def run(self, batch: Batch) -> list[NDArray[np.float32]]:
        """Return one array ``(b, dim)`` for each spec of the batch, computed in this thread."""
        ...


class Make(Protocol):
    """Class of such models."""

    def __call__(self, spec: ExtractorSpec, runtime: RuntimeSpec, /) -> Loadable:
        """Return a model; no file is read."""
        ...


@dataclass(frozen=True)
class RemoteModel:
    """A language model, read once by each process that runs a batch."""

    make: Make
    spec: ExtractorSpec
    """Pinned spec: other files under the same name are an error in the other process."""
    runtime: RuntimeSpec

    def run(self, batch: Batch) -> list[NDArray[np.float32]]:
        """Return one array ``(b, dim)`` for each spec of the batch, computed in the calling process."""
        return _of_this_process(self).run(batch)


_loaded: dict[tuple[ExtractorSpec, str], Loadable] = {}
_lock = Lock()


def _of_this_process(model: RemoteModel) -> Loadable:
    """Return this process's model, loaded once by the first thread that needs it."""
    key = model.spec, model.runtime.device
    with _lock:
        if key not in _loaded:
            _loaded.clear()  # one model for each process
            loaded = model.make(model.spec, model.runtime)
            loaded.warm_up()
            _loaded[key] = loaded
        return _loaded[key]
