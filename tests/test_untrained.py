"""The baseline of random weights is the pipeline itself, but for the weights."""

import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from antibody_esm import (
    Benchmark,
    Dataset,
    EmbeddingStore,
    ExtractorSpec,
    Panel,
    Predictor,
    RuntimeSpec,
    SplitSpec,
    Trainer,
)
from antibody_esm.cli import app, train
from antibody_esm.evaluation.predictions import Predictions
from antibody_esm.evaluation.scored_predictions import ScoredPredictions
from antibody_esm.reports.report import Report
from antibody_esm.testing import tiny_checkpoint
from antibody_esm.untrained import NAMES, untrained, with_files
from bench import Bench
from chains import HEAVY, mutants
from crossing import Cell, conflict
from doors import CELLS
from effort import STRESS

RUNTIME = RuntimeSpec(workers=1)
LANGUAGE_MODELS = [
    cell
    for cell in CELLS
    if cell.extractor != "descriptors" and conflict(cell._replace(route="reports")._asdict()) is None
]
"""Cells of a language model that can be cross-validated."""

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, published: Path) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint("esm", tmp_path_factory.mktemp("model"), layers=1, dim=16)


@pytest.fixture(scope="module")
def data() -> Dataset:
    label = (np.arange(40) // 4 % 2).astype(float)
    fold = {"fold": np.arange(40.0) % 4}
    return Dataset([str(i) for i in range(40)], mutants(HEAVY, 40, 12), label=label, measurements=fold)


def probability(scored: ScoredPredictions) -> np.ndarray:
    assert isinstance(scored.rows, Predictions)
    return scored.rows.probability


@pytest.mark.parametrize("cell", LANGUAGE_MODELS[:: 1 if STRESS else 9], ids=str)
def test_it_is_the_pipeline_with_random_weights_on_the_same_folds(bench: Bench, cell: Cell) -> None:
    trainer, trained, asked = bench.trainer(cell), bench.trained(cell), bench.asked(cell)
    spec = trainer.spec
    frozen = spec.model_copy(update={"extractor": untrained(spec.extractor), "finetune": None})
    twin = Trainer.from_spec(frozen, store=bench.store)
    report, expected = trainer.cross_validate(trained), twin.cross_validate(trained)
    scored = report.baselines.found["random_weights"]
    assert scored.rows.fold is not None
    assert report.scored.rows.fold is not None
    assert np.array_equal(scored.rows.fold, report.scored.rows.fold)
    for metric in report.scores:
        assert np.array_equal(scored.scores[metric], expected.scores[metric], equal_nan=True), metric
    predictor = trainer.fit(trained, uncertainty=False)
    random = untrained(predictor.spec.extractor)
    assert random is not None
    random = with_files(random, predictor.spec.extractor)
    chosen = predictor.spec.model_copy(update={"extractor": random})  # if it is tuned
    fitted = Trainer.from_spec(chosen, store=bench.store, runtime=RUNTIME).fit(trained, uncertainty=False)
    test, right = predictor.evaluate(asked), fitted.evaluate(asked)
    of_test = test.baselines.found["random_weights"]
    for metric in right.scores:
        assert np.allclose(of_test.scores[metric], right.scores[metric], equal_nan=True), metric


def test_nothing_is_fitted_on_the_rows_that_are_tested(checkpoint: Path, data: Dataset) -> None:
    fold = data.measurements["fold"]

    def predicted(label: np.ndarray) -> np.ndarray:
        poisoned = Dataset(data.ids, data.heavy, label=label, measurements=data.measurements)
        trainer = Trainer(checkpoint, "logreg", SplitSpec(by="fold"), runtime=RUNTIME)
        return probability(trainer.cross_validate(poisoned).baselines.found["random_weights"])

    label = data.binary_labels()
    clean, poisoned = predicted(label), predicted(np.where(fold == 0, 1 - label, label))
    assert np.array_equal(clean[fold == 0], poisoned[fold == 0])
    assert not np.array_equal(clean[fold != 0], poisoned[fold != 0]), "it can be seen"


def test_the_pipeline_has_the_same_numbers_without_it(checkpoint: Path, data: Dataset, tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    reports: list[Report] = []
    for seeds in (0, 3, 1):
        trainer = Trainer(checkpoint, "logreg", SplitSpec(folds=4), store=store, random_seeds=seeds, runtime=RUNTIME)
        report = trainer.cross_validate(data)
        assert [name for name in report.baselines.found if name.startswith("random")] == list(NAMES[:seeds])
        assert trainer.extractor.computed == (40 if seeds == 0 else 0), "each row once"
        reports.append(report)
    for report in reports[1:]:
        pd.testing.assert_frame_equal(report.predictions, reports[0].predictions)
        assert report.spec.fingerprint == reports[0].spec.fingerprint
    assert [report.comparisons[0].family for report in reports] == [12, 15, 13], "Holm's correction counts them"
    assert len(list(store.stats().specs)) == 4
    with pytest.raises(ValueError, match="random_seeds must be 0 to 3"):
        Trainer(checkpoint, random_seeds=4).cross_validate(data)


def test_it_is_computed_on_first_use_and_announced_before(
    checkpoint: Path, data: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "antibody_esm")
    store = EmbeddingStore(tmp_path)
    trainer = Trainer(checkpoint, "logreg", SplitSpec(folds=4), store=store, runtime=RUNTIME)
    random = ExtractorSpec(model=str(checkpoint), random_weights=0)
    report = trainer.cross_validate(data)
    assert repr(report)
    assert report.summary
    assert store.count(random) == 0
    assert not [message for message in caplog.messages if "random weights" in message]
    announced = []

    def count(record: logging.LogRecord) -> bool:
        announced.append(store.count(random))
        return True

    logging.getLogger("antibody_esm").addFilter(count)
    try:
        text = str(report)
    finally:
        logging.getLogger("antibody_esm").removeFilter(count)
    assert store.count(random) == 40
    [message] = [each for each in caplog.messages if "random weights" in each]
    assert "40 sequences to compute" in message
    assert "about 1 s" in message
    assert announced[0] == 0, "before it begins"
    assert "\nrandom weights  " in text
    assert "random weights" in report._repr_html_()
    assert "random_weights" in report.to_dict()["baselines"]
    assert "random weights" in report.to_html(tmp_path / "page.html").read_text()
    caplog.clear()
    assert "random weights" in str(trainer.cross_validate(data))
    assert not caplog.messages, "stored rows are not announced"


def test_descriptors_have_no_such_baseline(data: Dataset) -> None:
    report = Trainer("descriptors", "logreg", SplitSpec(folds=4)).cross_validate(data)
    assert "random_weights" not in {*report.baselines.found, *report.baselines.absent}


def test_another_model_in_the_folder_is_no_baseline(data: Dataset, tmp_path: Path) -> None:
    folder = tiny_checkpoint("esm", tmp_path / "model", layers=1, dim=16, seed=23)  # files that are in no other folder
    predictor = Trainer(folder, "logreg", runtime=RUNTIME).fit(data.subset(range(30)))
    test = predictor.evaluate(data.subset(range(30, 40)))
    tiny_checkpoint("esm", folder, layers=1, dim=32)
    assert "pinned" in test.baselines.absent["random_weights"]
    assert "Without the baseline random weights: " in str(test)


def test_a_benchmark_keeps_it_like_other_results(checkpoint: Path, data: Dataset, tmp_path: Path) -> None:
    training, test = data.subset(range(28)), data.subset(range(28, 40))

    def grid(seeds: int = 1) -> Benchmark:
        return Benchmark(
            [checkpoint, ExtractorSpec(model=str(checkpoint), pooling="max")],
            ["logreg"],
            training,
            [test],
            split=SplitSpec(folds=4),
            store=tmp_path / "store",
            output=tmp_path / "results" if seeds else None,
            runtime=RUNTIME,
            random_seeds=seeds,
        )

    result = grid().run()
    rows = [row for row in result.rows if row.of]
    assert len(rows) == 2
    for column in result.columns:
        for row in rows:
            assert [first.name for first, second in column.pairs if second == row] == [row.of], "its own pipeline only"
    alone = Trainer(checkpoint, "logreg", SplitSpec(folds=4), runtime=RUNTIME)
    own = alone.cross_validate(training).baselines.found["random_weights"]
    of_tests = alone.fit(training).evaluate(test).baselines.found["random_weights"]
    for column, right in zip(result.columns, (own, of_tests), strict=True):
        [row] = [row for row in rows if "max" not in row.name]
        assert np.array_equal(probability(column.cells[row]), probability(right))
        for metric, values in right.scores.items():
            assert np.array_equal(column.cells[row].scores[metric], values, equal_nan=True)
    (tmp_path / "store").rename(tmp_path / "gone")
    (tmp_path / "results" / "run.json").unlink()
    again = grid()
    assert str(again.run()) == str(result)
    assert again.computed == 0
    assert not (tmp_path / "store").exists(), "nothing is embedded again"
    assert not [row for row in grid(0).run().rows if row.of]


def test_panels_and_loaded_models_have_it(checkpoint: Path, data: Dataset, tmp_path: Path) -> None:
    lengths = {"first": np.arange(40.0) % 7, "second": np.arange(40.0) % 5}
    several = Dataset(data.ids, data.heavy, measurements=lengths, targets=tuple(lengths))
    trainer = Trainer(checkpoint, "ridge", SplitSpec(folds=4), runtime=RUNTIME)
    for report in Panel.cross_validate(trainer, several).reports:
        assert "random_weights" in report.baselines.found
    loaded = Panel.load(
        Panel.fit(trainer, several.subset(range(30)), scores=False).write(tmp_path / "p") and tmp_path / "p"
    )
    tested = several.subset(range(30, 40))
    assert all("random_weights" in each.baselines.found for each in loaded.evaluate(tested).reports)
    assert not any(each.untrained for each in loaded.evaluate(tested, random_seeds=0).reports)
    single = Trainer(checkpoint, "logreg", runtime=RUNTIME).fit(data.subset(range(30)))
    single.write(tmp_path / "model", training=False)
    without = Predictor.load(tmp_path / "model").evaluate(data.subset(range(30, 40)))
    assert not without.untrained


def test_commands_have_it_and_leave_it_out_on_request(checkpoint: Path, data: Dataset, tmp_path: Path) -> None:
    frame = data.to_frame()
    frame.to_csv(table := tmp_path / "t.csv", index=False)
    fixed = [f"data={table}", f"extractor.model={checkpoint}", f"store={tmp_path / 's'}", "split.folds=3"]
    for seeds in (2, 0):
        done = CliRunner().invoke(train.app, [*fixed, f"output={tmp_path / str(seeds)}", f"random_seeds={seeds}"])
        assert done.exit_code == 0, done.output
        baselines = json.loads((tmp_path / str(seeds) / "metrics.json").read_text())["baselines"]
        assert [name for name in baselines if name.startswith("random")] == list(NAMES[:seeds])
    options = ["--model", str(tmp_path / "0" / "model"), "--store", str(tmp_path / "s")]
    for seeds in (1, 0):
        done = CliRunner().invoke(app.app, ["evaluate", str(table), *options, "--random-seeds", str(seeds)])
        assert done.exit_code == 0, done.output
        assert ("random weights" in done.stdout) == bool(seeds)
