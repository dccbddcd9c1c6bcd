"""Language model in other processes, of this machine or of a cluster; its spec is sent, and no weights."""

from dataclasses import dataclass
from threading import Lock
from typing import Any, Generic, Protocol, Self, TypeVar

from antibody_esm.plm.adapter_folders import folder_of_adapter
from antibody_esm.plm.checkpoints import folder_of
from antibody_esm.specs import ExtractorSpec, RuntimeSpec

T = TypeVar("T")
R = TypeVar("R")
T_contra = TypeVar("T_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Loadable(Protocol[T_contra, R_co]):
    """A language model that is read when it is first needed: an `Extractor`."""

    def warm_up(self) -> None:
        """Read the model."""
        ...

    def run(self, batch: T_contra, /) -> R_co:
        """Return the result of a batch, computed in this thread."""
        ...


class Make(Protocol[T_contra, R_co]):
    """Class of such models."""

    def __call__(self, spec: ExtractorSpec, runtime: RuntimeSpec, /) -> Loadable[T_contra, R_co]:
        """Return a model; no file is read."""
        ...


@dataclass(frozen=True)
class RemoteModel(Generic[T, R]):
    """A language model, read once by each process that runs a batch."""

    make: Make[T, R]
    spec: ExtractorSpec
    """Pinned spec: other files under the same name are an error in the other process."""
    runtime: RuntimeSpec

    @classmethod
    def of(cls, make: Make[T, R], spec: ExtractorSpec, runtime: RuntimeSpec) -> Self:
        """Return the model of a pinned spec; a folder is named by its absolute path, as other processes need it."""
        folder = folder_of(spec.model)
        absolute = {} if folder is None else {"model": str(folder.absolute())}
        if spec.adapter is not None and (place := folder_of_adapter(spec.adapter, runtime.checkpoints)) is not None:
            places = (*runtime.checkpoints, str(place.absolute()))
            runtime = runtime.model_copy(update={"checkpoints": places})
        return cls(make, spec.model_copy(update=absolute), runtime)

    def run(self, batch: T) -> R:
        """Return the result of a batch, computed in the calling process."""
        return _of_this_process(self).run(batch)


_loaded: dict[tuple[Any, ExtractorSpec, str], Loadable[Any, Any]] = {}
_lock = Lock()


def _of_this_process(model: RemoteModel[T, R]) -> Loadable[T, R]:
    """Return this process's model, loaded once by the first thread that needs it."""
    key = model.make, model.spec, model.runtime.device
    with _lock:
        if key not in _loaded:
            _loaded.clear()  # one model for each process
            loaded = model.make(model.spec, model.runtime)
            loaded.warm_up()
            _loaded[key] = loaded
        return _loaded[key]
