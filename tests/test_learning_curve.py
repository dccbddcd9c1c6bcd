"""Learning curves: no held-out row is fitted, model and baseline are paired, and every face has the same numbers."""

import json
import warnings
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from matplotlib import pyplot
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

from antibody_esm import (
    ColumnSpec,
    Dataset,
    DatasetError,
    DecisionSpec,
    EnsembleSpec,
    ExtractorSpec,
    LearningCurve,
    Panel,
    SplitSpec,
    Trainer,
)
from antibody_esm.cli import app, train
from antibody_esm.evaluation.learning_curve import MeasuredCurve, learning_curve
from antibody_esm.evaluation.nested import Candidate
from antibody_esm.evaluation.splits import Division
from antibody_esm.reports.grid import GridReport
from antibody_esm.unknown import Unknown
from chains import HEAVY, LIGHT, mutants
from reporting import CHARGES, LOGREG, antibodies

GENERATOR = np.random.default_rng(0)
X = np.column_stack([np.arange(100), GENERATOR.normal(size=(100, 4))])
Y = (X[:, 1] + GENERATOR.normal(size=100) > 0).astype(np.int64)
FOLDS = SplitSpec(folds=4)


class Recorder(LogisticRegression):  # type: ignore[misc]  # scikit-learn has no types
    """A classifier that keeps the rows, in the first column, and the labels it was fitted on."""

    seen: list[tuple[frozenset[int], dict[int, int]]] = []  # noqa: RUF012  shared by clones

    def fit(self, X: Any, y: Any) -> "Recorder":
        rows = X[:, 0].astype(int).tolist()
        self.seen.append((frozenset(rows), dict(zip(rows, y.tolist(), strict=True))))
        super().fit(X[:, 1:], y)
        return self

    def predict_proba(self, X: Any) -> Any:
        tested = frozenset(X[:, 0].astype(int).tolist())
        assert not tested & self.seen[-1][0], "held-out rows were fitted"
        return super().predict_proba(X[:, 1:])


def measured(model: Any = None, baselines: dict[Any, Candidate] | None = None, **options: Any) -> MeasuredCurve:
    candidate = Candidate(X[:, 1:], LogisticRegression()) if model is None else model
    return learning_curve(candidate, Y, Division(FOLDS), baselines or {}, **({"number": 4} | options))


@cache
def curve_of(continuous: bool = False) -> LearningCurve:
    return Trainer(CHARGES, "ridge" if continuous else LOGREG, FOLDS).learning_curve(
        antibodies(80, continuous=continuous), draws=8
    )


def test_no_held_out_row_reaches_a_fit() -> None:
    Recorder.seen.clear()
    curve = measured(Candidate(X, Recorder()), workers=1)
    assert len(Recorder.seen) == curve.draws * len(curve.sizes)
    assert sorted({len(rows) for rows, _ in Recorder.seen}) == curve.sizes.tolist()


def test_poisoned_labels_of_held_out_rows_change_no_model() -> None:
    division = Division(SplitSpec(by="fold"), np.arange(100) % 4)
    fitted = []
    for poison in (False, True):
        label = Y.copy()
        label[::4] = Y[::4][::-1] if poison else Y[::4]  # as many of each class
        assert not poison or (label != Y).any()
        Recorder.seen.clear()
        learning_curve(Candidate(X, Recorder()), label, division, {}, number=4, workers=1)
        fitted.append([labels for rows, labels in Recorder.seen if not any(row % 4 == 0 for row in rows)])
    assert len(fitted[0]) > 3
    assert fitted[0] == fitted[1]


def test_the_same_fits_beside_each_other_have_no_lead_and_do_not_cross() -> None:
    model = Candidate(X[:, 1:], LogisticRegression())
    curve = measured(model, {"twin": model})
    assert str(curve.crossing).startswith("they are equal from ")
    assert not isinstance(curve.baseline, Unknown)
    assert np.array_equal(curve.baseline.by_draw, curve.line.by_draw)
    assert (curve.lead().low, curve.lead().high) == (0, 0)
    assert isinstance(curve.crossing, Unknown)


def test_the_best_baseline_is_that_of_the_largest_size_and_curves_cross_where_they_say() -> None:
    noise = np.random.default_rng(1).normal(size=(100, 60))
    wide = np.column_stack([X[:, 1:], noise])
    candidates = {"noise": Candidate(noise, LogisticRegression()), "twin": Candidate(X[:, 1:], LogisticRegression())}
    curve = measured(Candidate(wide, LogisticRegression()), candidates)
    assert not isinstance(curve.baseline, Unknown)
    assert str(curve.baseline.name) == "twin"
    assert curve.tried[curve.baseline.name or "length"] == max(curve.tried.values())
    assert curve.lead().estimate < 0
    if not isinstance(curve.crossing, Unknown):
        assert abs(curve.lead(curve.crossing).estimate) < 0.01


def test_without_a_baseline_the_reason_stands_in_its_place() -> None:
    curve = measured()
    assert isinstance(curve.baseline, Unknown)
    assert "baseline" in str(curve.crossing)
    with pytest.raises(ValueError, match="no baseline"):
        curve.lead()


def test_workers_change_no_number() -> None:
    one, two = (measured(workers=workers) for workers in (1, 2))
    assert np.array_equal(one.line.resampled, two.line.resampled)
    assert np.array_equal(one.line.law.parameters, two.line.law.parameters)


def test_a_gain_is_never_negative_rises_with_the_antibodies_and_is_not_claimed() -> None:
    curve = measured()
    gains = [curve.gain(more) for more in (0, 50, 500)]
    assert gains[0].estimate == gains[0].high == 0
    assert 0 <= gains[1].estimate <= gains[2].estimate
    assert all(each.low <= each.estimate <= each.high for each in gains)
    assert not gains[1].claimed
    assert curve.gain(50, 0.5).width <= gains[1].width
    with pytest.raises(ValueError, match="not -1"):
        curve.gain(-1)
    with pytest.raises(ValueError, match="begins at"):
        curve.at(3)
    with pytest.raises(ValueError, match="between 0 and 1"):
        curve.gain(5, 1.0)


@pytest.mark.parametrize("continuous", [False, True])
def test_every_face_has_the_same_numbers(continuous: bool, tmp_path: Path) -> None:
    curve = curve_of(continuous)
    assert curve.metric == ("spearman" if continuous else "roc_auc")
    assert not isinstance(curve.baseline, Unknown)
    written = json.loads(curve.to_json(tmp_path / "c.json").read_text())
    assert written == json.loads(json.dumps(curve.to_dict()))
    assert written["sizes"] == curve.sizes.tolist()
    np.testing.assert_allclose(written["scores"], curve.scores)
    np.testing.assert_allclose(written["baseline"]["scores"], curve.baseline.scores)
    gain = curve.gain(96)
    assert [written["gain"][name] for name in ("estimate", "low", "high")] == [gain.estimate, gain.low, gain.high]
    assert (written["crossing"] is None) == isinstance(curve.crossing, Unknown)
    page = curve.to_html(tmp_path / "c.html").read_text()
    for face in (str(curve), curve._repr_html_(), page):
        assert f"{curve.sizes[-1]}" in face
        assert f"{curve.scores[-1]:.3f}"[1:] in face
        assert "96 antibodies more" in face
    assert "<svg" in page
    assert "<script" not in page
    assert repr(curve).startswith("<LearningCurve: descriptors")
    axes = pyplot.figure().subplots()
    assert curve.plot(axes) is axes
    pyplot.close("all")


def test_a_report_shows_a_curve_of_its_own_and_refuses_another(tmp_path: Path) -> None:
    data, trainer = antibodies(80), Trainer(CHARGES, LOGREG, FOLDS)
    report = trainer.cross_validate(data)
    shown = report.with_curve(curve_of())
    for before, after in ((str(report), str(shown)), (report._repr_html_(), shown._repr_html_())):
        assert "96 antibodies more" not in before
        assert "96 antibodies more" in after
    assert "learning_curve" not in report.to_dict()
    assert shown.to_dict()["learning_curve"] == curve_of().to_dict()
    assert "Learning curve" in shown.to_html(tmp_path / "r.html").read_text()
    assert shown.scores == report.scores
    with pytest.raises(ValueError, match="other data"):
        Trainer(CHARGES, LOGREG, FOLDS).cross_validate(antibodies(60)).with_curve(curve_of())
    with pytest.raises(ValueError, match="of descriptors"):
        Trainer(CHARGES, "knn", FOLDS).cross_validate(data).with_curve(curve_of())


def test_a_report_refuses_a_curve_of_another_unit_or_of_components() -> None:
    data = grouped()
    report = Trainer(CHARGES, LOGREG, FOLDS).cross_validate(data)
    group = SplitSpec(by="group", folds=4)
    with pytest.raises(ValueError, match="by group, the report by antibody"):
        report.with_curve(Trainer(CHARGES, LOGREG, group).learning_curve(data, draws=3))
    with pytest.raises(ValueError, match="learning curve is of .*1 principal components"):
        report.with_curve(Trainer(CHARGES, LOGREG, FOLDS, pca=1).learning_curve(data, draws=3))


def test_repeated_antibodies_are_counted_in_a_curve() -> None:
    once = grouped()
    twice = Dataset(
        [f"b{i}" for i in range(144)], [*once.sequences, *once.sequences], label=np.tile(np.asarray(once.label), 2)
    )
    curve = Trainer(CHARGES, LOGREG, FOLDS).learning_curve(twice, draws=3)
    assert "72 exact duplicates of 72 sequences" in " ".join(str(curve).split())
    assert any("72 exact duplicates" in note for note in curve.to_dict()["notes"])
    assert "duplicate" not in str(curve_of())


def test_numbers_of_no_sense_are_refused_before_any_work() -> None:
    trainer = Trainer(CHARGES, LOGREG, FOLDS)
    with pytest.raises(ValueError, match="more is a number"):
        trainer.learning_curve(antibodies(80), more=-5)
    with pytest.raises(ValueError, match="draws is a number"):
        trainer.learning_curve(antibodies(80), draws=0)


def test_a_fit_below_the_last_score_says_that_it_is_a_fit() -> None:
    curve = curve_of()
    line = replace(curve.line, resampled=curve.line.resampled + 0.01 * (np.arange(len(curve.sizes)) + 1))
    below = " ".join(str(replace(curve, line=line)).split())
    at = curve.at(int(curve.sizes[-1])).estimate
    assert f"the fit has {at:.3f}".replace("0.", ".") in below
    above = replace(curve.line, resampled=curve.line.resampled - 0.2)
    assert "read from a fit" not in " ".join(str(replace(curve, line=above)).split())


def grouped(**changes: Any) -> Dataset:
    heavy = mutants(HEAVY, 72, 9)
    label = np.array([(each.count("K") + each.count("R")) % 2 for each in heavy])
    assert 20 < label.sum() < 52
    return replace(
        Dataset([f"a{i}" for i in range(72)], heavy, label=label, groups=[f"g{i % 9}" for i in range(72)]), **changes
    )


SETTINGS: dict[str, tuple[SplitSpec, dict[str, Any], str]] = {
    "identity": (SplitSpec(by="identity", identity=0.98, folds=3), {}, "whole clusters at 98% identity"),
    "group": (SplitSpec(by="group", folds=3), {}, "whole groups"),
    "family": (SplitSpec(by="family"), {}, "whole families"),
    "fold": (SplitSpec(by="fold"), {"measurements": {"fold": np.arange(72) % 3}}, "predefined folds"),
    "repeats": (SplitSpec(folds=3, repeats=2), {}, "antibodies"),
    "unshuffled": (SplitSpec(folds=3, shuffle=False), {}, "antibodies"),
    "pairs": (SplitSpec(folds=3), {"light": mutants(LIGHT, 72, 9), "chain": "paired"}, "antibodies"),
    "columns": (SplitSpec(folds=3), {"columns": {"ph": np.arange(72) % 5 / 1.0}}, "antibodies"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_curve_meets_splits_pairs_columns_and_decisions(name: str) -> None:
    split, changes, unit = SETTINGS[name]
    data = grouped(**changes)
    trainer = Trainer(CHARGES, LOGREG, split, decision=DecisionSpec(calibration="sigmoid", threshold=0.4))
    curve = trainer.learning_curve(data, draws=3)
    assert unit in str(curve)
    assert len(curve.sizes) >= 3
    assert (np.diff(curve.sizes) > 0).all()
    assert np.isfinite(curve.scores).all()
    if name == "columns":
        assert "columns" in curve.tried
    report = trainer.cross_validate(data).with_curve(curve)
    assert report.to_dict()["learning_curve"]["unit"] == split.by


def test_one_antibody_at_a_time_has_a_curve_of_fifths() -> None:
    curve = Trainer(CHARGES, "ridge", SplitSpec(by="leave_one_out")).learning_curve(
        antibodies(50, continuous=True), draws=5
    )
    assert "a fifth is held out" in str(curve)


def test_missing_labels_and_few_antibodies_are_refused_before_any_fit() -> None:
    with pytest.raises(DatasetError, match="label"):
        Trainer(CHARGES, LOGREG).learning_curve(replace(antibodies(60), label=None))
    with pytest.raises(DatasetError, match="learning curve needs training sets"):
        Trainer(CHARGES, LOGREG).learning_curve(antibodies(20))


def test_vectors_of_the_store_need_no_forward_pass(tmp_path: Path, checkpoints: dict[str, Path]) -> None:
    data = grouped()
    spec = EnsembleSpec(members=(ExtractorSpec(model=str(checkpoints["esm"])), CHARGES), combine="concat")
    Trainer(spec, LOGREG, FOLDS, store=tmp_path / "store").embed(data)
    trainer = Trainer(spec, LOGREG, FOLDS, store=tmp_path / "store")
    trainer.learning_curve(data, draws=4)
    assert trainer.extractor.computed == 0


def test_the_command_writes_what_python_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = grouped()
    data.to_frame().to_csv("t.csv", index=False)
    words = [
        "curve",
        "t.csv",
        "--language-model",
        "descriptors",
        "--folds",
        "4",
        "--draws",
        "4",
        "--more",
        "50",
    ]
    done = CliRunner().invoke(app.app, [*words, "-o", "c.json", "-o", "c.html"])
    assert done.exit_code == 0, done.output
    written = json.loads(Path("c.json").read_text())
    curve = Trainer("descriptors", "logreg", FOLDS).learning_curve(data, draws=4, more=50)
    np.testing.assert_allclose(written["scores"], curve.scores)
    assert written["gain"]["more"] == 50
    assert "50 antibodies more" in done.stdout
    assert Path("c.html").exists()
    refused = CliRunner().invoke(app.app, [*words, "--by", "clone"])
    assert refused.exit_code == 2
    assert "Traceback" not in refused.output


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (["--label", "K"], 1, "error: t.csv: column K: a classifier needs the labels 0 and 1"),
        (["--label", "rare", "--folds", "5"], 1, "t.csv: column rare: 5 folds need at least 5 antibodies"),
        (["--label", "rare", "--folds", "5"], 1, "Set --folds lower"),
        (["--label", "even", "--identity", "0.8"], 2, "error: --identity requires --by identity\n"),
        (["--label", "even", "--by", "family", "--folds", "3"], 2, "--by family uses the folds of the data, not --fol"),
        (["--label", "even", "--by", "group"], 1, "--by group needs groups, and this data set has none; name their"),
        (["--label", "even", "--by", "group"], 1, "column with --groups"),
        (["--label", "even", "--by", "fold"], 1, "use --by family"),
        (["--label", "even", "--by", "clone"], 2, "(given: clone)"),
    ],
)
def test_errors_of_the_command_name_its_options_and_the_column(
    words: list[str], code: int, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = grouped()
    table = data.to_frame()[["id", "heavy"]].assign(
        K=[each.count("K") * 1.5 for each in data.sequences],
        even=[i % 2 for i in range(72)],
        rare=[int(i < 4) for i in range(72)],
    )
    table.to_csv("t.csv", index=False)
    refused = CliRunner().invoke(app.app, ["curve", "t.csv", "--language-model", "descriptors", *words])
    assert refused.exit_code == code
    assert reason in refused.stderr
    assert "Traceback" not in refused.output
    assert "split." not in refused.stderr


@pytest.mark.parametrize("several", [False, True])
def test_a_run_adds_curves_to_its_report_if_asked(
    several: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = grouped()
    frame = data.to_frame()[["id", "heavy"]].assign(
        HIC=[each.count("K") + 0.1 * i % 7 for i, each in enumerate(data.sequences)],
        Tm2=[each.count("D") + 0.1 * i % 5 for i, each in enumerate(data.sequences)],
    )
    frame.to_csv("t.csv", index=False)
    label = "data.label=[HIC,Tm2]" if several else "data.label=HIC"
    words = ["data=t.csv", label, "model=descriptors", "classifier=ridge", "classifier.alpha=10", "split.folds=3"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = CliRunner().invoke(train.app, [*words, "curve=true", "store=null", "output=out"])
    assert done.exit_code == 0, done.output
    metrics = json.loads(Path("out/metrics.json").read_text())
    curves = (
        [each["learning_curve"] for each in metrics["targets"].values()] if several else [metrics["learning_curve"]]
    )
    assert len(curves) == (2 if several else 1)
    assert all(curve["metric"] == "spearman" for curve in curves)
    assert Path("out/report.html").read_text().count("<h2>Learning curve") == len(curves)
    assert yaml.safe_load(Path("out/config.yaml").read_text())["curve"] is True


def test_a_run_without_a_curve_keeps_everything_else_and_gives_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = grouped()
    few = [float(each.count("K")) + 0.1 * i if i < 15 else np.nan for i, each in enumerate(data.sequences)]
    many = [each.count("D") + 0.1 * i % 5 for i, each in enumerate(data.sequences)]
    data.to_frame()[["id", "heavy"]].assign(HIC=few, Tm2=many).to_csv("t.csv", index=False)
    words = ["data=t.csv", "model=descriptors", "classifier=ridge", "classifier.alpha=10", "split.folds=3"]
    words += ["curve=true", "store=null", "random_seeds=0"]
    several = "data.label=[HIC,Tm2]"
    for number, (label, more, reason) in enumerate(
        (
            ("data.label=HIC", [], "needs training sets"),
            (several, [], "needs training sets"),
            ("data.label=Tm2", ["tune.grid={classifier.alpha:[1,10]}"], "tuned pipeline"),
        )
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            done = CliRunner().invoke(train.app, [*words, label, *more, f"output=out{number}"])
        assert done.exit_code == 0, done.output
        assert f"warning: there is no learning curve{' of HIC' if label == several else ''}: " in done.stderr
        assert reason in done.stderr
        metrics = json.loads(Path(f"out{number}/metrics.json").read_text())
        single = metrics["targets"]["HIC"] if label == several else metrics
        assert single["learning_curve"] is None
        assert reason in single["without_learning_curve"]
        if label == several:
            assert metrics["targets"]["Tm2"]["learning_curve"]["metric"] == "spearman"
        else:
            assert "There is no learning curve: " in done.stdout
            assert Path(f"out{number}/model/manifest.json").exists()
        assert "There is no learning curve: " in Path(f"out{number}/report.html").read_text()
        assert reason in Path(f"out{number}/train.log").read_text()


def test_labels_of_a_panel_have_a_curve_each() -> None:
    data = grouped()
    values = {name: [each.count(name) for each in data.sequences] for name in ("K", "D")}
    data = Dataset(data.ids, data.heavy, measurements=values, targets=tuple(values))
    trainer = Trainer(CHARGES, "ridge", SplitSpec(folds=3))
    grid = Panel.cross_validate(trainer, data)
    curves = [trainer.learning_curve(report.data, draws=3) for report in grid.reports]
    shown = GridReport([report.with_curve(curve) for report, curve in zip(grid.reports, curves, strict=True)])
    assert [each["learning_curve"]["label"] for each in shown.to_dict()["reports"]] == ["K", "D"]


def test_a_tuned_pipeline_is_refused() -> None:
    tuned = Trainer(CHARGES, "logreg", FOLDS, tune={"classifier.C": (0.1, 1.0)})
    with pytest.raises(ValueError, match="tuned pipeline has no learning curve"):
        tuned.learning_curve(grouped())


def test_columns_named_by_the_extractor_are_read() -> None:
    data = grouped(columns={"ph": np.arange(72) % 5 / 1.0})
    spec = EnsembleSpec(members=(CHARGES, ColumnSpec(name="ph")), combine="concat")
    curve = Trainer(spec, LOGREG, FOLDS).learning_curve(data, draws=4)
    assert "ph" in curve.title
