"""A grid of pipelines on one training set, cross-validated there and tested on others; each result computed once."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any, Self

import numpy as np

from antibody_esm import presets
from antibody_esm.data.dataset import Dataset
from antibody_esm.data.parts import FRAGMENTS
from antibody_esm.data.public import PUBLIC, load_dataset
from antibody_esm.embedding import as_store
from antibody_esm.errors import RECOVERABLE, AntibodyESMError, in_one_line
from antibody_esm.evaluation.cross_validation import CrossValidation
from antibody_esm.evaluation.overlap import Again, SecondScores
from antibody_esm.evaluation.test_set_log import Ledger, Opening
from antibody_esm.files import digest as file_digest
from antibody_esm.files import resolved, write
from antibody_esm.folders import recover, replacing_folder
from antibody_esm.reports.grid import GridReport
from antibody_esm.reports.names import pipeline
from antibody_esm.reports.notes import UNCHECKED
from antibody_esm.reports.report import Report, cross_validation_report, evaluation_report
from antibody_esm.result_cache import ResultFolder, digest
from antibody_esm.sequences import Chain
from antibody_esm.specs import (
    AnyExtractorSpec,
    ClassifierSpec,
    DecisionSpec,
    RegressorSpec,
    RuntimeSpec,
    SplitSpec,
    TrainSpec,
)
from antibody_esm.store.store import Store
from antibody_esm.trainer import Trainer

logger = logging.getLogger("antibody_esm")

_RUN, _CELLS, _LEDGER, _SUMMARY = "run.json", "cells", "openings.jsonl", "summary.txt"
_PAGE = "report.html"

WRITTEN = (_PAGE, "results.json", "scores.csv", _SUMMARY, _RUN)
"""Files of a benchmark's folder that are replaced together; single results and the ledger of test sets stay."""


class Benchmark:
    """Every extractor with every classifier on every fragment: cross-validated on one data set, tested on others.

    Parameters
    ----------
    extractors, classifiers
        Names of presets, or specs.
    data
        What is trained on: a name or path as `load_dataset` takes it, or a `Dataset`.
    tests
        What the models are tested on, in the same way. No label of them has a part in any fit.
    fragments
        Parts of the chains, see `Dataset.cut`; None is the data as they are.
    chain
        Chain of data that are given by name or path, as for `load_dataset`, where no fragment says it; a `Dataset` has
        its own.
    split, decision
        Folds, and what is learnt within them, as for `Trainer`.
    store
        An `EmbeddingStore` or its folder; None keeps vectors in memory for the life of this object.
    output
        Folder of the results. What lies there already and is of the same specs, data and versions is not computed
        again. None keeps nothing.
    runtime
        Device, workers and progress, none of which changes a number.
    check
        Whether numbering decides if each antibody is the molecule that is read, see `Trainer.cross_validate`.
    pipelines
        Pipelines that are no product of lists; `extractors`, `classifiers`, `split` and `decision` then play no part.

    Attributes
    ----------
    pipelines
        A `TrainSpec` for each extractor and classifier.
    computed
        How many results the last `run` computed; the others were there.
    failed
        Pipeline and fragment to the error for which the last `run` has no result of them.
    missing
        File of `output` that the last `run` could not write to the reason; all results are in the other files.

    Examples
    --------
    >>> from antibody_esm import Benchmark, load_dataset
    >>> data = load_dataset("boughter_flu_cdrs")
    >>> some, others = data.subset(range(0, 358, 3)), data.subset(range(1, 358, 3))
    >>> benchmark = Benchmark(["descriptors"], ["knn", "random_forest"], some, [others])
    >>> [len(benchmark.pipelines), len(benchmark.run().reports)]
    [2, 4]
    """

    def __init__(
        self,
        extractors: Sequence[str | Path | AnyExtractorSpec] = (presets.DEFAULT_EXTRACTOR,),
        classifiers: Sequence[str | ClassifierSpec | RegressorSpec] = (presets.DEFAULT_CLASSIFIER,),
        data: str | Path | Dataset = "boughter",
        tests: Sequence[str | Path | Dataset] = (),
        fragments: Sequence[str | None] = (None,),
        *,
        chain: Chain | None = None,
        split: SplitSpec | None = None,
        decision: DecisionSpec | None = None,
        store: str | Path | Store | None = None,
        output: str | Path | None = None,
        runtime: RuntimeSpec | None = None,
        check: bool = True,
        pipelines: Sequence[TrainSpec] | None = None,
    ) -> None:
        for name, given in {"extractors": extractors, "classifiers": classifiers, "fragments": fragments}.items():
            if isinstance(given, str) or not given:
                raise ValueError(f"{name} is a list of at least one, got {given!r}")
        if isinstance(tests, str | Path | Dataset):
            raise ValueError(f"tests is a list, got {tests!r}")
        product_of_lists = (
            TrainSpec(
                extractor=presets.extractor(extractor),
                classifier=presets.classifier(classifier),
                split=split or SplitSpec(),
                decision=decision or DecisionSpec(),
            )
            for extractor, classifier in product(extractors, classifiers)
        )
        self.pipelines = tuple(product_of_lists) if pipelines is None else tuple(dict.fromkeys(pipelines))
        self.data, self.tests = _Source(data, chain), tuple(_Source(test, chain) for test in tests)
        self.fragments = tuple(fragments)
        self.store = as_store(store)
        self.output = None if output is None else Path(output)
        self.runtime = runtime
        self.check = check
        self.computed = 0
        self.failed: dict[str, AntibodyESMError | OSError] = {}
        self.missing: dict[str, str] = {}

    @classmethod
    def from_specs(cls, specs: Sequence[TrainSpec], *args: Any, **options: Any) -> Self:
        """Return the benchmark of pipelines that are no product of lists; other arguments from ``data`` on."""
        return cls([specs[0].extractor], [specs[0].classifier], *args, pipelines=specs, **options)

    def run(self, say: Callable[[str], None] | None = None) -> GridReport:
        """Return the reports of all pipelines, and write them to `output`: HTML, JSON, CSV and text.

        Parameters
        ----------
        say
            Is told what is done next; None tells the log.

        Raises
        ------
        AntibodyESMError
            If the data cannot be had, or no pipeline has a result. A pipeline that fails is in `failed`, and the others
            go on.
        """
        say = say or logger.info
        self.computed, self.failed, self.missing = 0, {}, {}
        results = ResultFolder(None if self.output is None else self.output / _CELLS)
        if self.output is not None:
            recover(resolved(self.output), WRITTEN)  # before it is seen what is there
            self.output.mkdir(parents=True, exist_ok=True)
        ledger = Ledger(None if self.output is None else self.output / _LEDGER)
        grounds = {fragment: _Grounds(self.data, self.tests, fragment, self.check) for fragment in self.fragments}
        found: list[tuple[TrainSpec, _Grounds, dict[str, Any]]] = []
        jobs = list(product(self.fragments, self.pipelines))
        for number, (fragment, spec) in enumerate(jobs, 1):
            name = pipeline(spec) + (f" on {fragment}" if fragment else "")
            say(f"[{number}/{len(jobs)}] {name}")
            try:
                identity = {"spec": _pinned(spec), "data": grounds[fragment].digests, "check": self.check}
                cell = results.once(identity, partial(self._cell, spec, grounds[fragment]))
            except (AntibodyESMError, OSError) as error:
                logger.error("%s: %s", name, error)
                self.failed[name] = error
                continue
            for data in grounds[fragment].tests:
                ledger.record(Opening(data.provenance.source, data.digest, cell["model"]))
            found.append((spec, grounds[fragment], cell))
        self.computed = results.computed
        if not found:
            raise next(iter(self.failed.values()))
        reports = []
        for spec, given, cell in found:
            again = partial(self._second, results, spec, given)
            reports += _reports(spec, given, cell, ledger, again, () if self.check else (UNCHECKED,))
        grid = GridReport(reports)
        if self.output is not None:
            self._write(grid, self.output)
        return grid

    def finished(self) -> str | None:
        """Return what ``str(run())`` is, if `output` holds all results of this very grid; else None.

        Data that were given by name or path are not read for that, and nothing is computed.
        """
        if self.output is None:
            return None
        try:
            said = json.loads((self.output / _RUN).read_bytes())
            if said["key"] != self._key():
                return None
            for name, sha256 in said["files"].items():
                if file_digest(self.output / Path(name).name) != sha256:
                    return None
            return (self.output / _SUMMARY).read_text(encoding="utf-8")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None  # so that it is done again

    def _key(self) -> str:
        identity = {
            "pipelines": [_pinned(one) for one in self.pipelines],
            "data": [one.identity() for one in (self.data, *self.tests)],
            "fragments": self.fragments,
            "check": self.check,
        }
        return digest(identity)

    def _write(self, grid: GridReport, folder: Path) -> None:
        with replacing_folder(folder, WRITTEN) as new:
            write(new / _SUMMARY, str(grid).encode())
            files = [grid.to_json(new / "results.json"), grid.to_csv(new / "scores.csv"), new / _SUMMARY]
            try:
                files.append(grid.to_html(new / _PAGE))
            except RECOVERABLE as error:
                self.missing[_PAGE] = in_one_line(error)
                logger.warning("%s is missing: %s", folder / _PAGE, in_one_line(error))
            if not self.failed and not self.missing:
                digests = {file.name: file_digest(file) for file in files}
                write(new / _RUN, json.dumps({"key": self._key(), "files": digests}, indent=2).encode())

    def _cell(self, spec: TrainSpec, given: "_Grounds") -> dict[str, Any]:
        """Return what a pipeline predicts; labels of test sets are not looked at."""
        trainer = Trainer.from_spec(spec, store=self.store, runtime=self.runtime)
        report = trainer.cross_validate(given.data, check=self.check)
        predictor = trainer.fit(given.data, uncertainty=False, check=self.check)
        tests = []
        for data in given.tests:
            probability = None if spec.is_regression else predictor.predict_proba(data)[:, 1].tolist()
            tests.append({"prediction": predictor.predict(data).tolist(), "probability": probability})
        kept = [name for name in ("fold", "prediction", "probability") if name in report.predictions]
        columns = report.predictions[kept].to_dict("list")
        scores = {
            name: [None if np.isnan(value) else float(value) for value in values]
            for name, values in report.scores.items()
        }
        return {"predictions": columns, "scores": scores, "tests": tests, "model": predictor.digest}

    def _second(self, results: ResultFolder, spec: TrainSpec, given: "_Grounds", split: SplitSpec) -> SecondScores:
        """Return the scores with another split, computed from the store's vectors once, and kept as other results."""

        def compute() -> dict[str, Any]:
            trainer = Trainer.from_spec(spec, store=self.store, runtime=self.runtime)
            return asdict(SecondScores.of(trainer.same_vectors(given.data, check=self.check).validation(split)))

        identity = {"spec": _pinned(spec.model_copy(update={"split": split})), "data": given.digests[0]}
        return SecondScores(**results.once(identity, compute))


class _Source:
    """Antibodies that are loaded when they are needed, and known before."""

    def __init__(self, given: str | Path | Dataset, chain: Chain | None = None) -> None:
        self._given, self._chain = given, chain
        self._load = cache(self._loaded)

    def identity(self) -> dict[str, str]:
        """Return what changes where the antibodies do."""
        if isinstance(self._given, Dataset):
            return {"digest": self._given.digest}
        chain = {} if self._chain is None else {"chain": str(self._chain)}
        if self._given in PUBLIC:
            return {"name": str(self._given)} | chain  # its files are checked by digests that are part of the code
        return {"sha256": file_digest(Path(self._given))} | chain

    def load(self, fragment: str | None) -> Dataset:
        """Return the antibodies, cut to a fragment."""
        return self._load(fragment)

    def _loaded(self, fragment: str | None) -> Dataset:
        if isinstance(self._given, Dataset):
            return self._given if fragment is None else self._given.cut(fragment)
        of_both = fragment in FRAGMENTS and FRAGMENTS[fragment].chain == "both"
        chain = self._chain if fragment is None or (of_both and self._chain == "paired") else None
        return load_dataset(self._given, fragment=fragment, chain=chain)


class _Grounds:
    """What pipelines are trained and tested on, of one fragment."""

    def __init__(self, data: _Source, tests: Sequence[_Source], fragment: str | None, check: bool) -> None:
        self.data = data.load(fragment)
        self.tests = tuple(self._read(test.load(fragment), check) for test in tests)
        self.digests = [one.digest for one in (self.data, *self.tests)]

    def _read(self, data: Dataset, check: bool) -> Dataset:
        """Return a test set as a model of the training set reads it."""
        reading = replace(self.data.reading, check=check).with_lengths(self.data.sequences)
        texts = data.read_by(reading)
        data.refuse(texts, f"of a test set are not what the models read ({reading})")
        return data.as_read(reading, texts)


def _pinned(spec: TrainSpec) -> dict[str, Any]:
    pinned = spec.model_copy(update={"extractor": spec.extractor.pin()})
    return dict(json.loads(pinned.model_dump_json()))


def _reports(
    spec: TrainSpec,
    given: _Grounds,
    cell: Mapping[str, Any],
    ledger: Ledger,
    again: Again,
    notes: tuple[str, ...],
) -> list[Report]:
    """Return the report of the cross-validation, and those of the tests."""
    columns = {name: np.array(values).reshape(-1, len(given.data)).T for name, values in cell["predictions"].items()}
    columns = {name: values[:, 0] if values.shape[1] == 1 else values for name, values in columns.items()}
    scores = {
        name: np.array([np.nan if one is None else one for one in values], np.float64)
        for name, values in cell["scores"].items()
    }
    validation = CrossValidation(scores, columns["fold"], columns["prediction"], columns.get("probability"))
    found = [cross_validation_report(spec, given.data, validation, notes, again=again)]
    for data, said in zip(given.tests, cell["tests"], strict=True):
        probability = None if said["probability"] is None else np.array(said["probability"])
        source = data.provenance.source
        found.append(
            evaluation_report(
                spec,
                data,
                np.array(said["prediction"]),
                probability,
                (*notes, ledger.note(source)),
                training=given.data,
                openings=ledger.count(source),
            )
        )
    return found
