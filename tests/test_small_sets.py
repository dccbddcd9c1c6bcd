"""Few antibodies with numbers: repeated folds by default, one left out on request, and pooled correlations."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from typer.testing import CliRunner

from antibody_esm import (
    Benchmark,
    Dataset,
    DatasetError,
    DescriptorSpec,
    Predictor,
    SplitSpec,
    Splitter,
    Trainer,
    load_dataset,
)
from antibody_esm.cli.benchmark import app as grid_app
from antibody_esm.cli.train import app
from antibody_esm.evaluation.cross_validation import cross_validate
from antibody_esm.evaluation.predictions import ContinuousPredictions
from antibody_esm.evaluation.splits import Division
from antibody_esm.specs import default_split

GENERATOR = np.random.default_rng(0)
N = 14
SEQUENCES = ["".join(GENERATOR.choice(list("ACDEFGHIKLMNPQRSTVWY"), 20)) for _ in range(N)]
VALUE = GENERATOR.normal(size=N) + np.array([one.count("K") + one.count("R") for one in SEQUENCES])
CHARGE = DescriptorSpec(descriptors=("net_charge", "length"))
ONE_OUT = SplitSpec(by="leave_one_out")


def few(**columns: object) -> Dataset:
    fields = {"ids": [f"a{i}" for i in range(N)], "heavy": SEQUENCES, "label": VALUE, "fragment": "H-CDRs"}
    return Dataset(**fields | columns)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return few(measurements={"other": VALUE**2})


def test_the_mean_model_is_minus_one_before_the_correction_and_undefined_after_it() -> None:
    found = cross_validate(Ridge(alpha=1e12), np.zeros((N, 1)), VALUE, Division(ONE_OUT, np.arange(N)))
    assert spearmanr(found.prediction, VALUE).statistic == pytest.approx(-1)
    assert np.isnan(found.scores["spearman"]).all()
    assert np.isnan(found.scores["pearson"]).all()


def test_predictions_are_those_of_scikit_learn_and_correlations_are_corrected() -> None:
    X = GENERATOR.normal(size=(N, 2)) + VALUE[:, None]
    found = cross_validate(Ridge(), X, VALUE, Division(ONE_OUT, np.arange(N)))
    expected = cross_val_predict(Ridge(), X, VALUE, cv=LeaveOneOut())
    np.testing.assert_allclose(found.prediction, expected)
    means = (VALUE.sum() - VALUE) / (N - 1)
    assert found.scores["spearman"] == pytest.approx([spearmanr(expected - means, VALUE).statistic])
    assert found.scores["pearson"] == pytest.approx([np.corrcoef(expected - means, VALUE)[0, 1]])
    assert found.scores["rmse"] == pytest.approx([np.sqrt(np.mean((expected - VALUE) ** 2))]), (
        "of predictions as they are"
    )
    assert sorted(found.fold.tolist()) == list(range(N))
    pairs = list(Splitter(ONE_OUT).split(X, VALUE))
    assert [test.tolist() for _, test in pairs] == [[row] for row in range(N)]


@given(st.integers(0, 2**20), st.integers(2, 6))
def test_a_model_that_knows_only_the_training_mean_is_never_ranked(seed: int, folds: int) -> None:
    generator = np.random.default_rng(seed)
    target, fold = 300 + generator.normal(size=30), np.arange(30) % folds
    rows = ContinuousPredictions(target=target, prediction=np.zeros(30), fold=fold)
    mean = ContinuousPredictions(target=target, prediction=rows.training_means(), fold=fold)
    assert np.isnan(mean.pooled().scores()["spearman"])


def test_a_report_of_one_left_out_works_at_every_door(data: Dataset, tmp_path: Path) -> None:
    trainer = Trainer(CHARGE, "ridge", ONE_OUT)
    report = trainer.cross_validate(data)
    text = str(report)
    assert "one antibody left out at a time" in text
    assert "that of the mean labels alone is -1.000" in " ".join(text.split())
    mean_value = next(line for line in text.splitlines() if line.startswith("mean value"))
    assert "undefined" in mean_value
    assert report.comparisons[0].difference.method == "paired bootstrap"
    assert report.to_frame().columns.tolist() == ["score", "low", "high"]
    assert report._repr_html_()
    assert report.to_html(tmp_path / "report.html").stat().st_size
    written = json.loads(report.to_json(tmp_path / "report.json").read_text())
    assert written["pooled"]["mean_model"] == pytest.approx(-1)
    assert written["pooled"]["spearman"] == report.scores["spearman"][0]
    assert len(pd.read_csv(report.to_csv(tmp_path / "report.csv"))) == N
    assert -1 <= report.correlation("other").estimate <= 1
    trainer.fit(data, scores=False).save(tmp_path / "model")
    loaded = Predictor.load(tmp_path / "model")
    assert loaded.spec.split == ONE_OUT
    assert len(loaded.score_table(data)) == N
    grid = Benchmark([CHARGE], ["ridge"], data, split=ONE_OUT).run()
    assert grid.reports[0].scores["spearman"] == pytest.approx(report.scores["spearman"])
    assert str(grid)


def test_pairs_are_left_out_one_at_a_time() -> None:
    pairs = few(light=SEQUENCES[::-1], chain="paired", fragment=None)
    report = Trainer(CHARGE, "ridge", ONE_OUT).cross_validate(pairs, check=False)
    assert np.isfinite(report.scores["spearman"]).all()
    assert str(report)


def test_classes_are_not_left_out_one_at_a_time() -> None:
    halves = few(label=np.median(VALUE) < VALUE)
    with pytest.raises(DatasetError, match="leave_one_out is for continuous labels"):
        Trainer(CHARGE, "logreg", ONE_OUT).cross_validate(halves)


def test_few_numbers_are_divided_into_five_folds_twenty_times_unless_a_split_is_named(data: Dataset) -> None:
    assert default_split(44, continuous=True) == SplitSpec(folds=5, repeats=20)
    assert default_split(45, continuous=True) == default_split(9, continuous=False) == SplitSpec()
    report = Trainer(CHARGE, "ridge").cross_validate(data)
    assert report.design == "5 folds stratified by the median, 20 times"
    assert report.spec.split == SplitSpec(folds=5, repeats=20)
    assert (
        Trainer(CHARGE, "ridge", SplitSpec(folds=7)).cross_validate(data).design == "7 folds stratified by the median"
    )


def test_commands_and_benchmarks_divide_few_numbers_alike(data: Dataset, tmp_path: Path) -> None:
    assert Benchmark([CHARGE], ["ridge"], data).run().reports[0].spec.split == SplitSpec(folds=5, repeats=20)
    assert Benchmark([CHARGE], ["ridge"], data, split=SplitSpec(folds=3)).run().reports[0].spec.split.repeats == 1
    few().to_frame().to_csv(tmp_path / "few.csv", index=False)
    common = [f"data={tmp_path / 'few.csv'}", "data.part=H-CDRs", "model=descriptors", "classifier=ridge", "store=null"]
    designs = []
    for split in ([], ["split.folds=3"]):
        output = tmp_path / f"run{len(split)}"
        done = CliRunner().invoke(app, [*common, *split, f"output={output}"])
        assert done.exit_code == 0, done.output
        designs.append(json.loads((output / "metrics.json").read_text())["design"])
    assert designs == ["5 folds stratified by the median, 20 times", "3 folds stratified by the median"]


def test_average_and_pooled_are_in_every_report_of_numbers(data: Dataset) -> None:
    report = Trainer(CHARGE, "ridge", SplitSpec(folds=2, repeats=3)).cross_validate(data)
    pooled = report.scored.pooled
    assert pooled is not None
    rows = report.predictions
    by_hand = []
    for _, repeat in rows.groupby("repeat"):
        others = [repeat.loc[repeat["fold"] != fold, "label"].mean() for fold in repeat["fold"]]
        by_hand.append(spearmanr(repeat["prediction"] - others, repeat["label"]).statistic)
    assert pooled.spearman == pytest.approx(np.mean(by_hand))
    assert f"Spearman is {pooled.spearman:.3f}".replace("0.", ".") in " ".join(str(report).split())
    assert "Spearman above is the average of the folds" in " ".join(str(report).split())


@pytest.mark.parametrize(("by", "words"), [("antibody", "either side of the median;"), ("identity", "in different")])
def test_errors_about_folds_of_numbers_speak_of_values(data: Dataset, by: str, words: str) -> None:
    with pytest.raises(DatasetError, match="values on") as error:
        Trainer(CHARGE, "ridge", SplitSpec(folds=9, by=by)).cross_validate(data)
    assert words in str(error.value)
    assert "class" not in str(error.value)


@pytest.mark.parametrize("names", [[4, 7], ["first", "second"], [4.0, 7.0]], ids=str)
def test_a_column_names_predefined_folds_apart_from_groups(names: list[object], tmp_path: Path) -> None:
    table = few(groups=["x", "y"] * 7).to_frame().assign(cv=[names[i % 3 == 0] for i in range(N)])
    table.to_csv(tmp_path / "t.csv", index=False)
    for source in (table, tmp_path / "t.csv"):
        data = load_dataset(source, part="H-CDRs", fold="cv")
        assert data.groups == ("x", "y") * 7
        assert "cv" not in data.measurements
        report = Trainer(CHARGE, "ridge", SplitSpec(by="fold")).cross_validate(data)
        assert report.design == "2 predefined folds"
        assert "2 predefined folds" in str(report)
        assert (report.predictions["fold"] == [int(i % 3 == 0) for i in range(N)]).all()
    output = tmp_path / "run"
    common = [f"data={tmp_path / 't.csv'}", "data.part=H-CDRs", "data.fold=cv", "split.by=fold", "classifier=ridge"]
    done = CliRunner().invoke(app, [*common, "model=descriptors", "store=null", f"output={output}"])
    assert done.exit_code == 0, done.output
    assert json.loads((output / "metrics.json").read_text())["design"] == "2 predefined folds"
    done = CliRunner().invoke(grid_app, [*common, "model=descriptors", "store=null", f"output={tmp_path / 'grid'}"])
    assert done.exit_code == 0, done.output
    assert "2 predefined folds" in done.output


def test_an_antibody_without_a_fold_is_an_error(tmp_path: Path) -> None:
    table = few().to_frame().assign(cv=[0.0, None] * 7)
    with pytest.raises(DatasetError, match="7 rows have no 'cv'"):
        load_dataset(table, part="H-CDRs", fold="cv")
    with pytest.raises(DatasetError, match="fold="):
        load_dataset("boughter_flu_cdrs", fold="cv")
