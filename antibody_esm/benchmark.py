"""A grid of pipelines, cross-validated on one training set and tested on others; each result is computed once."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Self

import numpy as np

from antibody_esm import presets
from antibody_esm.benchmark_results import plain, plain_scores, prediction_of, validation_of
from antibody_esm.benchmark_sets import DataSource, Grounds
from antibody_esm.callbacks import announces, untracked
from antibody_esm.data.antibodies import read_antibodies
from antibody_esm.data.column_reading import with_columns_read
from antibody_esm.data.dataset import Dataset
from antibody_esm.embedding import as_store
from antibody_esm.errors import RECOVERABLE, AntibodyESMError, ClusterError, in_one_line
from antibody_esm.evaluation.baselines import BaselineName
from antibody_esm.evaluation.overlap import Again, SecondScores
from antibody_esm.evaluation.test_set_log import Ledger, Opening
from antibody_esm.evaluation.tuned import Tuned, TunedCrossValidation
from antibody_esm.evaluation.ungraded import Ungraded
from antibody_esm.files import digest as file_digest
from antibody_esm.files import resolved, write
from antibody_esm.folders import recover, replacing_folder
from antibody_esm.panel import labelled
from antibody_esm.reports.grid import GridReport
from antibody_esm.reports.names import pipeline
from antibody_esm.reports.notes import UNCHECKED, unlike_training
from antibody_esm.reports.report import Report, cross_validation_report, evaluation_report
from antibody_esm.result_cache import ResultFolder, digest
from antibody_esm.sequences import Chain
from antibody_esm.specs import (
    AnyExtractorSpec,
    ClassifierSpec,
    DecisionSpec,
    FineTuneSpec,
    RegressorSpec,
    RuntimeSpec,
    SplitSpec,
    TrainSpec,
    TuneSpec,
    default_split,
)
from antibody_esm.specs.ensembles import of_chain
from antibody_esm.store.store import Store
from antibody_esm.trainer import Trainer, validated
from antibody_esm.untrained import Untrained

logger = logging.getLogger("antibody_esm")

_RUN, _CELLS, _LEDGER, _SUMMARY = "run.json", "cells", "openings.jsonl", "summary.txt"
_PAGE = "report.html"

WRITTEN = (_PAGE, "results.json", "scores.csv", _SUMMARY, _RUN)
"""Files of a benchmark's folder that are replaced together; single results and the log of test sets stay."""


@announces("run")
class Benchmark:
    """Cross-validation and tests of every extractor with every classifier on every fragment.

    Parameters
    ----------
    extractors, classifiers
        Names of presets, or specs.
    data
        Training set: a name or path as for `load_dataset`, or a `Dataset`. If it has several labels
        (`Dataset.targets`), every pipeline is run on each of them, and no vector is computed twice.
    tests
        Test sets, in the same form, with the same labels. Their labels have no part in any fit.
    fragments
        Parts of the chains, see `Dataset.cut`; None leaves the data as they are.
    chain
        Chain of data that are loaded by name or path, as for `load_dataset`, if no fragment determines it; a `Dataset`
        has its own.
    split, decision
        Folds, and calibration and threshold within them, as for `Trainer`.
    store
        An `EmbeddingStore` or its folder; None keeps vectors in memory for the life of this object.
    output
        Folder of the results. Results there of the same specs, data and versions are not computed again. None keeps no
        results.
    runtime
        Device, workers and progress, none of which changes a number.
    check
        True if numbering checks that each antibody is the molecule that is read, see `Trainer.cross_validate`.
    pipelines
        Pipelines that are no product of lists; `extractors`, `classifiers`, `split`, `decision` and `tune` are then
        ignored.
    by_default
        True if the pipelines' split was not named, and the one that suits the data is to replace it.
    random_seeds
        Number of baselines of each pipeline whose language model has random weights, as for `Trainer`.
    tune, finetune
        Choice inside the training folds, and fine-tuning, of every pipeline, as for `Trainer`.

    Attributes
    ----------
    pipelines
        A `TrainSpec` for each extractor and classifier.
    computed
        Number of results that the last `run` computed; the others were in `output`.
    failed
        Errors of the last `run`, by pipeline and fragment.
    missing
        Reasons why the last `run` could not write a file, by name; all results are in the other files.

    Examples
    --------
    >>> from antibody_esm import Benchmark, load_dataset
    >>> data = load_dataset("boughter_flu_cdrs")
    >>> training, test = data.subset(range(0, 358, 3)), data.subset(range(1, 358, 3))
    >>> benchmark = Benchmark(["descriptors"], ["knn", "random_forest"], training, [test])
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
        by_default: bool = False,
        random_seeds: int = 1,
        tune: TuneSpec | Mapping[str, Sequence[Any]] | None = None,
        finetune: str | FineTuneSpec | None = None,
    ) -> None:
        for name, choices in {"extractors": extractors, "classifiers": classifiers, "fragments": fragments}.items():
            if isinstance(choices, str) or not choices:
                raise ValueError(f"{name} must be a list with at least one element, got {choices!r}")
        if isinstance(tests, str | Path | Dataset):
            raise ValueError(f"tests must be a list, got {tests!r}")
        product_of_lists = (
            TrainSpec(
                extractor=extractor,
                classifier=presets.classifier(classifier, extractor),
                split=split or SplitSpec(),
                decision=decision or DecisionSpec(),
                tune=TuneSpec(grid=tune) if isinstance(tune, Mapping) else tune,
                finetune=presets.finetuning(finetune),
            )
            for extractor, classifier in product(map(presets.extractor, extractors), classifiers)
        )
        self.pipelines = tuple(product_of_lists) if pipelines is None else tuple(dict.fromkeys(pipelines))
        self._by_default = by_default or (split is None and pipelines is None)
        self.data, self.tests = DataSource(data, chain), tuple(DataSource(test, chain) for test in tests)
        self.fragments = tuple(fragments)
        self.store = as_store(store)
        self.output = None if output is None else Path(output)
        self.runtime = runtime
        self.check = check
        self.random_seeds = random_seeds
        self.computed = 0
        self.failed: dict[str, AntibodyESMError | OSError] = {}
        self.missing: dict[str, str] = {}

    @classmethod
    def from_specs(cls, specs: Sequence[TrainSpec], *args: Any, **options: Any) -> Self:
        """Return the benchmark of pipelines that are no product of lists; further arguments begin with ``data``."""
        return cls([specs[0].extractor], [specs[0].classifier], *args, pipelines=specs, **options)

    def run(self, say: Callable[[str], None] | None = None) -> GridReport:
        """Return the reports of all pipelines, and write them to `output`: HTML, JSON, CSV and text.

        Parameters
        ----------
        say
            Function that is called with a line of progress before each pipeline; None logs it.

        Raises
        ------
        AntibodyESMError
            If the data cannot be loaded, if one of several labels does not fit a pipeline or is not in a test set, or
            if no pipeline has a result. If a pipeline fails, its error is in `failed`,
            and the others run.
        """
        say = say or logger.info
        self.computed, self.failed, self.missing = 0, {}, {}
        results = ResultFolder(None if self.output is None else self.output / _CELLS)
        if self.output is not None:
            recover(resolved(self.output), WRITTEN)  # before earlier results are read
            self.output.mkdir(parents=True, exist_ok=True)
        ledger = Ledger(None if self.output is None else self.output / _LEDGER)
        cells: list[tuple[TrainSpec, Grounds, dict[str, Any]]] = []
        jobs = list(product(self._grounds(), self.pipelines))
        for number, (grounds, named) in enumerate(jobs, 1):
            name = pipeline(named) + grounds.title
            say(f"[{number}/{len(jobs)}] {name}")
            try:
                spec = self._for(named, grounds.data)
                if any(spec == other and grounds is others for other, others, _ in cells):
                    continue  # `sapiens` and `sapiens_vh` are one pipeline for heavy chains
                identity = {"spec": _pinned(spec), "data": grounds.digests, "check": self.check} | grounds.sides(spec)
                cell = results.once(identity, partial(self._cell, spec, grounds))
            except ClusterError:  # which the other pipelines would meet too
                raise
            except (AntibodyESMError, OSError) as error:
                logger.error("%s: %s", name, error)
                self.failed[name] = error
                continue
            for data in grounds.tests:
                ledger.record(Opening(grounds.opened(data), data.digest, cell["model"]))
            cells.append((spec, grounds, cell))
        self.computed = results.computed
        if not cells:
            raise next(iter(self.failed.values()))
        reports = []
        for spec, grounds_of_cell, cell in cells:
            again = None if spec.finetune else partial(self._second, results, spec, grounds_of_cell)
            untrained = self._untrained(results, spec, grounds_of_cell)
            notes = () if self.check else (UNCHECKED,)
            reports += _reports(spec, grounds_of_cell, cell, ledger, again, notes, untrained)
        grid = GridReport(reports)
        if self.output is not None:
            self._write(grid, self.output)
        return grid

    def _for(self, spec: TrainSpec, data: Dataset) -> TrainSpec:
        """Return the pipeline for these data: the models of their chain, and a split that suits if none was named."""
        split = default_split(len(data), continuous=spec.is_regression) if self._by_default else spec.split
        return spec.model_copy(update={"split": split, "extractor": of_chain(spec.extractor, data.chain)})

    def _grounds(self) -> list[Grounds]:
        """Return the training and test sets of each fragment and label."""
        grounds = []
        for fragment in self.fragments:
            data = self.data.load(fragment)
            if data.targets:
                for spec in {spec.classifier.kind: spec for spec in self.pipelines}.values():
                    labelled(spec, data)  # raises an error if labels do not fit
            grounds += [
                Grounds(self.data, self.tests, fragment, label, self.check, self.pipelines)
                for label in data.targets or (None,)
            ]
        return grounds

    def finished(self) -> str | None:
        """Return ``str(run())`` if `output` holds all results of exactly this grid; else None.

        Nothing is computed, and data sets with a name or path are not loaded.
        """
        if self.output is None:
            return None
        try:
            finished = json.loads((self.output / _RUN).read_bytes())
            if finished["key"] != self._key():
                return None
            for name, sha256 in finished["files"].items():
                if file_digest(self.output / Path(name).name) != sha256:
                    return None
            return (self.output / _SUMMARY).read_text(encoding="utf-8")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None  # the grid runs again

    def _key(self) -> str:
        identity = {
            "pipelines": [_pinned(spec) for spec in self.pipelines],
            "data": [source.identity() for source in (self.data, *self.tests)],
            "fragments": self.fragments,
            "check": self.check,
            "random seeds": self.random_seeds,
            **({"default split": True} if self._by_default else {}),
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

    def _cell(self, spec: TrainSpec, grounds: Grounds) -> dict[str, Any]:
        """Return the predictions of a pipeline, without reading labels of test sets."""
        trainer = Trainer.from_spec(spec, store=self.store, runtime=self.runtime)
        with untracked():
            report = trainer.cross_validate(grounds.data, check=self.check)
            predictor = trainer.fit(grounds.data, uncertainty=False, check=self.check)
        tests = []
        for data in grounds.tests:
            probability = None if spec.is_regression else predictor.predict_proba(data)[:, 1].tolist()
            notes = unlike_training(read_antibodies(data, predictor.reading).inputs.warnings)
            ungraded = predictor.ungraded(data)
            output = {"prediction": predictor.predict(data).tolist(), "probability": probability}
            output |= {} if ungraded is None else {"ungraded": ungraded.to_dict()}
            notes = [*predictor.data.notes, *notes]
            tests.append(output | ({"notes": notes} if notes else {}))
        kept = [name for name in ("fold", "prediction", "probability") if name in report.predictions]
        columns = report.predictions[kept].to_dict("list")
        fits: dict[str, Any] = {"unconverged": report.unconverged, "penalties": list(report.penalties)}
        fits |= {"finetuned": [facts.plain() for facts in report.finetuned]} if report.finetuned else {}
        cell = {"predictions": columns, "scores": plain_scores(report.scores), "tests": tests} | fits
        cell["model"] = predictor.digest
        cell |= {} if report.tuned is None else {"tuned": report.tuned.to_dict()}
        return cell | ({} if report.ungraded is None else {"ungraded": report.ungraded.to_dict()})

    def _second(self, results: ResultFolder, spec: TrainSpec, grounds: Grounds, split: SplitSpec) -> SecondScores:
        """Return the scores with another split, computed once from the store's vectors, and kept like other results."""

        def compute() -> dict[str, Any]:
            trainer = Trainer.from_spec(spec, store=self.store, runtime=self.runtime)
            return asdict(SecondScores.of(trainer.same_vectors(grounds.data, check=self.check).validation(split)))

        pinned = _pinned(spec.model_copy(update={"split": split}))
        identity = {"spec": pinned, "data": grounds.digests[0]} | grounds.sides(spec)
        return SecondScores(**results.once(identity, compute))

    def _untrained(self, results: ResultFolder, spec: TrainSpec, grounds: Grounds) -> list[Mapping[BaselineName, Any]]:
        """Return the baselines of random weights on the folds and on each test set, kept like other results."""
        runtime = self.runtime or RuntimeSpec()
        read = with_columns_read(spec, grounds.data.columns)
        validate = partial(validated, store=self.store, runtime=runtime)
        baselines = Untrained(read, self.store, runtime, self.random_seeds, validate=validate)
        every: list[Mapping[BaselineName, Any]] = [baselines.cross_validated(grounds.data)]
        every += [baselines.tested(grounds.data, test) for test in grounds.tests]

        def kept(place: int, name: BaselineName, compute: Callable[[], Any]) -> Any:
            identity = {"spec": _pinned(spec), "data": grounds.digests, "untrained": [name, place]}
            values = results.once(identity | grounds.sides(spec), lambda: plain(compute()))
            return prediction_of(values) if place else validation_of(values, len(grounds.data))

        return [
            {name: partial(kept, place, name, compute) for name, compute in named.items()}
            for place, named in enumerate(every)
        ]


def _pinned(spec: TrainSpec) -> dict[str, Any]:
    pinned = spec.model_copy(update={"extractor": spec.extractor.pin()})
    return dict(json.loads(pinned.model_dump_json()))


def _reports(
    spec: TrainSpec,
    grounds: Grounds,
    cell: Mapping[str, Any],
    ledger: Ledger,
    again: Again | None,
    notes: tuple[str, ...],
    untrained: Sequence[Mapping[BaselineName, Any]],
) -> list[Report]:
    """Return the report of the cross-validation and those of the test sets."""
    tuned = Tuned.from_dict(spec.tune, cell["tuned"]) if spec.tune is not None else None
    validation = TunedCrossValidation(**vars(validation_of(cell, len(grounds.data))), tuned=tuned)
    spec = with_columns_read(spec, grounds.data.columns)
    between = Ungraded.from_dict(cell.get("ungraded"))
    of_folds, *of_tests = untrained
    options: dict[str, Any] = {"again": again, "ungraded": between, "untrained": of_folds}
    reports = [cross_validation_report(spec, grounds.data, validation, notes, **options)]
    for data, output, of_test in zip(grounds.tests, cell["tests"], of_tests, strict=True):
        probability = None if output["probability"] is None else np.array(output["probability"])
        source = grounds.opened(data)
        reports.append(
            evaluation_report(
                spec,
                data,
                np.array(output["prediction"]),
                probability,
                (*notes, ledger.note(source), *output.get("notes", ())),
                training=grounds.data,
                openings=ledger.count(source),
                ungraded=Ungraded.from_dict(output.get("ungraded")),
                untrained=of_test,
            )
        )
    return reports
