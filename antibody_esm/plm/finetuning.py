"""Fine-tuning of a language model: an adapter from texts and labels."""

from collections.abc import Sequence
from pathlib import Path
from threading import RLock

import numpy as np
from numpy.typing import NDArray

from antibody_esm.plm.adapter_folders import AdapterFolder, offer
from antibody_esm.plm.adapters import Adapter
from antibody_esm.plm.devices import torch_threads_restored
from antibody_esm.plm.extractor import Extractor
from antibody_esm.plm.training import AdapterTraining
from antibody_esm.plm.training_rows import TrainingRows
from antibody_esm.specs import ExtractorSpec, RuntimeSpec
from antibody_esm.specs.finetuning import FineTuneSpec
from antibody_esm.specs.tunable import refuse_unsuited

_ONE_AT_A_TIME = RLock()
"""A training uses all cores, so that trainings of one process take turns."""


def adapted(extractor: ExtractorSpec, adapter: Adapter) -> ExtractorSpec:
    """Return the spec of the fine-tuned model: with the adapter, and its pooling.

    Examples
    --------
    >>> adapted(ExtractorSpec(model="antiberty"), adapter).pooling  # doctest: +SKIP
    'attention'
    """
    fields = {"adapter": adapter.digest, "pooling": adapter.facts.spec.pooling}
    return ExtractorSpec.model_validate(dict(extractor) | fields)


def finetune(
    spec: FineTuneSpec,
    extractor: ExtractorSpec,
    texts: Sequence[str],
    label: NDArray[np.generic],
    units: NDArray[np.generic] | None = None,
    *,
    continuous: bool,
    runtime: RuntimeSpec | None = None,
    folder: Path | str | None = None,
) -> Adapter:
    """Return the adapter of a language model that was fine-tuned on labelled texts.

    The same spec, rows and machine give the same bytes on a CPU, whatever the order of rows and the number of workers
    and of torch's threads. One training runs at a time in a process.

    Parameters
    ----------
    spec
        Settings of the training.
    extractor
        Model, layer and residues; its pooling is that of `spec`. Number formats of weights and vectors have no effect:
        a training computes in float32, on a GPU in bfloat16 with weights in float32.
    texts
        ``n`` inputs of the model in normal form; a pair has ``|`` between its chains.
    label
        ``(n,)``, 0 and 1 or, if `continuous`, numbers.
    units
        ``(n,)``, rows of one unit are held out for early stopping together, if units allow it (see
        `AdapterFacts.divided`); None has a unit for each row.
    continuous
        True for labels that are numbers, whose loss is the squared error; classes have the cross entropy.
    runtime
        Device, workers, progress, and places of the model's files.
    folder
        Folder that keeps adapters by the key of their training: one that is there is returned. None trains, and keeps
        the adapter in memory.

    Raises
    ------
    ValueError
        If the extractor or the labels do not suit.
    SequenceError, CheckpointError
        As `Extractor.embed`; or if the type of model has no linear maps that are known here.
    StoreError
        If the folder cannot be created or written; nothing was trained then.
    ImportError
        Without peft, for ``method="lora"``.
    """
    refuse_unsuited(spec, extractor)
    rows = _checked(texts, label, units, continuous)
    plain = extractor.model_copy(update={"precision": "float32", "storage": "float32"})
    frozen = Extractor(plain, runtime)
    key = rows.key(spec, frozen.resolved, continuous)
    kept = None if folder is None else AdapterFolder(folder)
    with _ONE_AT_A_TIME, torch_threads_restored():
        adapter = None if kept is None else kept.trained(key)
        if adapter is not None and adapter.facts.base == frozen.resolved.digest and adapter.facts.spec == spec:
            return adapter
        if kept is not None:
            kept.prepare()
        adapter = AdapterTraining(spec, frozen, rows, continuous).run()
        if kept is None:
            offer(adapter)
        else:
            kept.keep(key, adapter)
    return adapter


def _checked(
    texts: Sequence[str], label: NDArray[np.generic], units: NDArray[np.generic] | None, continuous: bool
) -> TrainingRows:
    """Return the rows of a training. Raises ValueError if lengths or labels do not suit."""
    values = np.asarray(label, np.float64)
    if values.shape != (len(texts),) or (units is not None and len(units) != len(texts)):
        raise ValueError(f"{len(texts)} texts need as many labels and units")
    if not np.isfinite(values).all() or (not continuous and not np.isin(values, (0, 1)).all()):
        raise ValueError("labels are finite numbers, and 0 and 1 for classes")
    if len(np.unique(values)) < 2:
        raise ValueError("fine-tuning needs two labels that differ")
    return TrainingRows.of(texts, values, units)
