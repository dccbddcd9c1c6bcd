"""Models of several labels on one language model: a developability profile of each antibody."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from antibody_esm.callbacks import announces
from antibody_esm.cards.card import model_card, panel_card
from antibody_esm.data.dataset import Dataset
from antibody_esm.data.labels import as_labelled
from antibody_esm.embedding import as_store
from antibody_esm.errors import DatasetError, StoreError, errors_of_label
from antibody_esm.evaluation.conformal import CONFIDENCE
from antibody_esm.evaluation.test_set_log import Ledger
from antibody_esm.features.sources import AnyExtractor, load
from antibody_esm.hub_models import HubFiles, OnHub
from antibody_esm.model_files import FittedModel, ledger_of, runtime_around
from antibody_esm.panel_files import Cards, folder_names, load_panel, save_panel, saved_panel
from antibody_esm.predictor import Predictor
from antibody_esm.reports.grid import GridReport
from antibody_esm.specs import AnyExtractorSpec, ChainSpec, ExtractorSpec, RuntimeSpec, TrainSpec
from antibody_esm.specs.ensembles import columns_of, without_adapter, without_columns
from antibody_esm.spelling import did_you_mean
from antibody_esm.store.store import Store
from antibody_esm.targets import target_of
from antibody_esm.trainer import Trainer
from antibody_esm.training_rows import may_hold_training

if TYPE_CHECKING:
    import pandas as pd

    from antibody_esm.data.antibodies import Antibodies


CARDS = Cards(model_card, panel_card)
"""Functions that write the cards of a panel and of its models."""


@announces("evaluate")
class Panel(Mapping[str, Predictor], OnHub):
    """Fitted models of several labels, which share the vectors of one language model.

    A panel is a mapping from a label's name to its `Predictor`: ``panel["HIC"]``.

    Parameters
    ----------
    models
        A model for each label. All have one language model, of which tuned ones may read different views (layer,
        pooling, region), and read the same part of an antibody.

    Raises
    ------
    ValueError
        If there is no model, or models differ in the language model or in the part that they read.

    Examples
    --------
    >>> from antibody_esm import Dataset, Trainer, load_dataset
    >>> flu = load_dataset("boughter_flu_cdrs")
    >>> lengths = {"heavy length": list(map(len, flu.heavy)), "light length": list(map(len, flu.light))}
    >>> data = Dataset(flu.ids, flu.heavy, measurements=lengths, targets=lengths, fragment="H-CDRs")
    >>> panel = Panel.fit(Trainer("descriptors", "ridge"), data)
    >>> list(panel)
    ['heavy length', 'light length']
    >>> panel.predict(data.subset([0, 1]))["heavy length prediction"].round(1).tolist()
    [31.0, 31.0]
    """

    def __init__(self, models: Mapping[str, Predictor]) -> None:
        self._models = dict(models)
        if not self._models:
            raise ValueError("a panel needs one model at least")
        problem = _difference(self._models)
        if problem:
            raise ValueError(problem)

    def __getitem__(self, label: str) -> Predictor:
        if label not in self._models:
            raise KeyError(f"no label {label!r}{did_you_mean(label, self)}; the labels are {', '.join(self)}")
        return self._models[label]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def __repr__(self) -> str:
        names = [label[:40] for label in self._models]
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        return f"<{type(self).__name__}: {len(names)} labels ({', '.join(names[:5])}{more})>"

    @property
    def first(self) -> Predictor:
        """The first model; all models share its language model, and the part of an antibody that is read."""
        return next(iter(self._models.values()))

    @classmethod
    def fit(
        cls, trainer: Trainer, data: Dataset, *, uncertainty: bool = True, scores: bool = True, check: bool = True
    ) -> "Panel":
        """Fit one model for each label of a data set, each on the antibodies that have it.

        The vectors of all antibodies are computed once. Each model is the one that `Trainer.fit` returns for
        ``data.target(label)``.

        Parameters
        ----------
        trainer
            Language model and classifier or regressor, the same for all labels.
        data
            Antibodies with several labels, see `Dataset.targets`.
        uncertainty, scores, check
            As for `Trainer.fit`.

        Raises
        ------
        DatasetError
            If the data set has no targets; if labels do not fit the classifier or regressor, before any computation;
            and as `Trainer.fit` does.
        """
        parts = labelled(trainer.spec, data)
        _embed(trainer, data, check)
        models = {}
        for label, part in parts.items():
            with errors_of_label(label):
                models[label] = trainer.fit(part, uncertainty=uncertainty, scores=scores, check=check)
        return cls(models)

    @staticmethod
    def cross_validate(trainer: Trainer, data: Dataset, *, check: bool = True) -> GridReport:
        """Cross-validate a pipeline on each label of a data set, on vectors that are computed once.

        The report has a column for each label. Its numbers are those of `Trainer.cross_validate` for
        ``data.target(label)``, but the correction of differences is for all labels together. Parameters and errors are
        those of `fit`.
        """
        parts = labelled(trainer.spec, data)
        _embed(trainer, data, check)
        reports = []
        for label, part in parts.items():
            with errors_of_label(label):
                reports.append(trainer.cross_validate(part, check=check))
        return GridReport(reports)

    def evaluate(
        self,
        data: Dataset,
        *,
        threshold: float | None = None,
        assay: str | None = None,
        check: bool | None = None,
        drop: bool = False,
        random_seeds: int = 1,
    ) -> GridReport:
        """Return the scores of all models on held-out data with the same labels; see `Predictor.evaluate`.

        Raises
        ------
        DatasetError
            If the data are no `Dataset` or lack a label of the panel, and as `Predictor.evaluate` does.
        """
        absent = [label for label in self if label not in as_labelled(data).targets]
        if absent:
            there = ", ".join(data.targets) or "none"
            raise DatasetError(f"the data have no label {', '.join(absent)}; their labels are: {there}")
        parts = {label: data.target(label) for label in self}
        for label, part in parts.items():  # before any test set is opened
            with errors_of_label(label):
                target_of(self[label].spec).labels(part)
        options: dict[str, Any] = {"threshold": threshold, "assay": assay, "check": check, "drop": drop}
        options["random_seeds"] = random_seeds
        reports = []
        for label, part in parts.items():
            with errors_of_label(label):
                reports.append(self[label].evaluate(part, **options))
        return GridReport(reports)

    def predict(
        self,
        sequences: "Antibodies",
        *,
        threshold: float | None = None,
        assay: str | None = None,
        confidence: float = CONFIDENCE,
        check: bool | None = None,
    ) -> "pd.DataFrame":
        """Return a table with one row for each antibody, and a block of columns for each label.

        Parameters
        ----------
        sequences
            As for `Predictor.predict`.
        threshold, assay, confidence, check
            As for `Predictor.score_table`; a regressor has no threshold.

        Returns
        -------
        ``id``, and for each label the columns of `Predictor.score_table`, named ``HIC prediction``, ``HIC low``,
        ``HIC high``, ``HIC warning`` and so on. An antibody that a model refuses has no numbers in its block; the
        warning is the reason. Raises as `Predictor.score_table` does.
        """
        options: dict[str, Any] = {"threshold": threshold, "assay": assay, "confidence": confidence, "check": check}
        tables = {label: model.score_table(sequences, **options) for label, model in self.items()}
        return blocks(tables, ["id"])

    def with_columns(self, values: Mapping[str, Any]) -> "Panel":
        """Return the same models with fixed values of columns for all antibodies, see `Predictor.with_columns`."""
        return Panel({label: model.with_columns(values) for label, model in self.items()})

    def save(self, folder: str | Path, *, training: bool = True) -> Path:
        """Write the panel to a folder, and return the folder: one saved model for each label, and a manifest.

        The folder of each label is a saved model (`Predictor.save`), which other commands read too. An earlier panel
        or model in the folder is replaced as a whole; logs of test sets and foreign files are kept. A printed line
        states whether the training antibodies were saved.

        Parameters
        ----------
        folder
            Folder of the panel; it is created if necessary.
        training
            False leaves out sequences, labels and vectors of the training antibodies, see `Predictor.save`.
        """
        folder = Path(folder)
        print(f"Saved to {folder}: {self.write(folder, training=training)}.")  # noqa: T201
        return folder

    def write(self, folder: str | Path, *, training: bool = True) -> str:
        """Write the panel like `save`, and return a description of the saved training data."""
        folder = Path(folder)
        models = {label: model.fitted() for label, model in self.items()}
        description = save_panel(models, folder, training=training, cards=CARDS)
        for label, name in folder_names(self).items():
            self[label].ledger.move(ledger_of(folder / name))
        return description

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        store: str | Path | Store | None = None,
        runtime: RuntimeSpec | None = None,
        checkpoint: str | Path | Sequence[str | Path] = (),
        plugins: Sequence[str] = (),
    ) -> "Panel":
        """Read a saved panel. The language model is loaded when a sequence needs it, once for each view of it.

        Parameters
        ----------
        folder
            Folder of the panel, see `save`.
        store, runtime, checkpoint, plugins
            As for `Predictor.load`; all models share them.

        Raises
        ------
        StoreError
            If the folder is not a saved panel, was changed, names a folder outside of it, holds models that are no
            panel together, or holds types that no classifier of this package contains. No code of it runs.
        """
        runtime = runtime_around(Path(folder), checkpoint, runtime)
        models = load_panel(Path(folder), plugins)
        return cls._read(models, folder, as_store(store), runtime, lambda place: Ledger(ledger_of(place)))

    @classmethod
    def of_hub(cls, folder: Path, origin: str, store: str | Path | Store | None, runtime: RuntimeSpec) -> "Panel":
        """Return the panel in a folder that is removed afterwards."""
        models = load_panel(folder, lasting=False)
        return cls._read(models, folder, as_store(store), runtime, lambda _: Ledger(), origin)

    def hub_files(self, *, training: bool) -> HubFiles:
        """Return the files as `save` writes them."""
        models = {label: model.fitted() for label, model in self.items()}
        files, description = saved_panel(models, training=training, cards=CARDS)
        kinds = dict.fromkeys(filter(None, (may_hold_training(model.spec) for model in models.values())))
        return HubFiles(files, description, ", ".join(kinds))

    @classmethod
    def _read(
        cls,
        models: Mapping[str, tuple[FittedModel, Path]],
        folder: str | Path,
        store: Store,
        runtime: RuntimeSpec,
        log: Callable[[Path], Ledger],
        origin: str = "",
    ) -> "Panel":
        problem = _difference({label: model for label, (model, _) in models.items()})
        if problem:
            raise StoreError(problem, folder)
        extractors: dict[str, AnyExtractor] = {}
        loaded = {}
        for label, (model, place) in models.items():
            address = model.spec.extractor.address
            if address not in extractors:
                extractors[address] = load(without_columns(model.spec.extractor), runtime)
            loaded[label] = Predictor(
                model.spec,
                model.classifier,
                model.data,
                model.scores,
                store=store,
                extractor=extractors[address],
                reading=model.reading,
                training=model.training,
                ledger=log(place),
                digest=model.digest,
                origin=origin or model.origin,
            )
        return cls(loaded)


def _difference(models: Mapping[str, Predictor | FittedModel]) -> str:
    """Return what keeps models from being one panel; empty if nothing does."""
    first_label, first = next(iter(models.items()))
    for label, model in models.items():
        names = f"the model of {label!r}", f"that of {first_label!r}"
        if not _of_one_model(model.spec.extractor, first.spec.extractor):
            return f"{names[0]} has another language model than {names[1]}"
        if not model.reading.same_part(first.reading):
            return f"{names[0]} reads {model.reading}, {names[1]} {first.reading}"
        if model.reading.species != first.reading.species:
            mine, other = (", ".join(reading.species) for reading in (model.reading, first.reading))
            return f"{names[0]} is numbered by {mine}, {names[1]} by {other}"
    return ""


def _of_one_model(first: AnyExtractorSpec, second: AnyExtractorSpec) -> bool:
    """Return True if two extractors are the same, or views of one language model."""
    if first.address == second.address:
        return True
    views = [without_adapter(without_columns(each.pin())) for each in (first, second)]
    models = [each.of_one_pass for each in views if isinstance(each, ExtractorSpec | ChainSpec)]
    any_name = {"model": "any", "revision": None, "tokenizer": None, "tokenizer_revision": None}
    named = [
        each.with_fields(any_name) if isinstance(each, ChainSpec) else each.model_copy(update=any_name)
        for each in models
    ]
    return len(named) == 2 and named[0] == named[1] and columns_of(first) == columns_of(second)


def labelled(spec: TrainSpec, data: Dataset) -> dict[str, Dataset]:
    """Return the data set of each label.

    Raises
    ------
    DatasetError
        If the data have no targets, or if labels do not fit the classifier or regressor; the message lists them all.
    """
    if not as_labelled(data).targets:
        raise DatasetError("a panel needs several labels: load_dataset(..., label=['HIC', 'Tm2'])", data.file)
    parts, problems = {}, {}
    for label in data.targets:
        try:
            parts[label] = data.target(label)
            target_of(spec).labels(parts[label])
        except DatasetError as error:
            problems[label] = str(error)
    if problems:
        texts = "; ".join(f"{label}: {problem}" for label, problem in problems.items())
        raise DatasetError(
            f"{len(problems)} of {len(data.targets)} labels do not fit {spec.classifier.kind}: {texts}. "
            "Train classifiers of 0 and 1 and regressors of values apart",
            column=next(iter(problems)),
        )
    return parts


def _embed(trainer: Trainer, data: Dataset, check: bool) -> None:
    """Compute the vectors of all antibodies with a label, which the store then holds."""
    values = np.array([data.measurements[label] for label in data.targets])
    measured = ~np.isnan(values).all(axis=0)
    trainer.embed(data if measured.all() else data.subset(measured), check=check)


def blocks(tables: "Mapping[str, pd.DataFrame]", shared: list[str]) -> "pd.DataFrame":
    """Return tables with the same rows side by side: the shared columns once, the others named by label."""
    import pandas as pd

    first = next(iter(tables.values()))
    columns: dict[Any, Any] = {name: first[name] for name in shared}
    for label, table in tables.items():
        columns |= {f"{label} {name}": table[name] for name in table if name not in shared}
    return pd.DataFrame(columns)
