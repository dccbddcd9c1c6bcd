"""A tuned pipeline works at every door: reports, models, benchmarks, panels, commands."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import antibody_esm
from antibody_esm import (
    Benchmark,
    DescriptorSpec,
    ExtractorSpec,
    Panel,
    Predictor,
    RidgeSpec,
    RuntimeSpec,
    SplitSpec,
    Trainer,
    TrainSpec,
    TuneSpec,
    load_dataset,
    mutational_scan,
    residue_contributions,
)
from antibody_esm.cli import train
from antibody_esm.evaluation.conformal import Uncertainty
from antibody_esm.evaluation.tuned import Tuned
from antibody_esm.same_vectors import tuning_folder
from antibody_esm.testing import tiny_checkpoint
from test_ungraded import DATA as GRADED
from test_ungraded import M

FLU = load_dataset("boughter_flu_cdrs").subset(range(150, 210))
DATA = replace(FLU, measurements={"fold": [row % 3.0 for row in range(60)]})
CHARGED = [float(sum(map(sequence.count, "KRDE"))) for sequence in DATA.sequences]
NUMBERS = replace(DATA, label=CHARGED)
CHARGES = DescriptorSpec(descriptors=("net_charge", "composition"))
BY_FOLD = SplitSpec(by="fold")
GRID = {"classifier.C": (0.01, 100.0), "pca": (2, None)}
VIEWS = {"classifier.C": (0.01, 100.0), "extractor.layer": (0, 1, 2)}
RUNTIME = RuntimeSpec(workers=1)


def trainer(**options: Any) -> Trainer:
    fields: dict[str, Any] = {"extractor": CHARGES, "split": BY_FOLD, "tune": TuneSpec(grid=GRID, folds=2)}
    return Trainer(**fields | {"runtime": RUNTIME} | options)


def of(report: Any) -> Tuned:
    assert report.tuned is not None
    return report.tuned  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> ExtractorSpec:
    return ExtractorSpec(model=str(tiny_checkpoint("esm", tmp_path_factory.mktemp("deep") / "m", layers=2, dim=16)))


def test_labels_of_tested_antibodies_change_no_choice_of_their_fold() -> None:
    clean = of(trainer().cross_validate(DATA, check=False))
    for fold in range(3):
        label = np.abs((np.arange(60) % 3 == fold) - np.asarray(DATA.label))
        poisoned = of(trainer().cross_validate(replace(DATA, label=label), check=False))
        assert poisoned.selections[fold] == clean.selections[fold]
        assert poisoned.selections != clean.selections, "it can be seen in the other folds"


def test_sequences_of_tested_antibodies_change_no_choice_of_their_fold(deep: ExtractorSpec) -> None:
    tune = TuneSpec(grid=VIEWS, folds=2)
    clean = of(trainer(extractor=deep, tune=tune).cross_validate(DATA, check=False))
    assert DATA.heavy is not None
    assert DATA.light is not None
    heavy, light = (
        [str(chain)[::-1] if row % 3 == 0 else str(chain) for row, chain in enumerate(chains)]
        for chains in (DATA.heavy, DATA.light)
    )
    other = replace(DATA, heavy=heavy, light=light)
    poisoned = of(trainer(extractor=deep, tune=tune).cross_validate(other, check=False))
    assert poisoned.selections[0] == clean.selections[0]
    assert poisoned.selections != clean.selections


@pytest.mark.parametrize("continuous", [False, True])
def test_predictions_of_a_fold_are_those_of_its_choice_as_a_plain_pipeline(
    continuous: bool, deep: ExtractorSpec
) -> None:
    data = NUMBERS if continuous else DATA
    grid = {"classifier.alpha": (0.1, 1000.0), "extractor.layer": (0, 2)} if continuous else VIEWS
    classifier = RidgeSpec() if continuous else "logreg"
    made = trainer(extractor=deep, classifier=classifier, tune=TuneSpec(grid=grid, folds=2))
    report = made.cross_validate(data, check=False)
    column = "prediction" if continuous else "probability"
    plain = {
        choice: Trainer.from_spec(spec, runtime=RUNTIME).cross_validate(data, check=False)
        for choice, spec in made.spec.candidates.items()
        if choice in of(report).of_folds
    }
    for fold, choice in enumerate(of(report).of_folds):
        rows = report.predictions["fold"] == fold
        assert report.predictions[column][rows].equals(plain[choice].predictions[column][rows])
    untuned = Trainer.from_spec(made.spec.untuned, runtime=RUNTIME).cross_validate(data, check=False)
    beside = of(report).untuned
    assert beside is not None
    assert {name: values.tolist() for name, values in beside.scores.items()} == {
        name: values.tolist() for name, values in untuned.scores.items()
    }


def test_all_views_come_from_one_pass_and_nothing_is_embedded_twice(deep: ExtractorSpec, tmp_path: Path) -> None:
    tune = TuneSpec(grid=VIEWS | {"extractor.pooling": ("mean", "std")}, folds=2)
    first = trainer(extractor=deep, tune=tune, store=tmp_path / "store")
    first.cross_validate(DATA, check=False)
    assert first.source.computed == len(set(DATA.sequences))
    predictor = first.fit(DATA, check=False)
    predictor.predict(DATA.sequences, check=False)
    assert first.source.computed + predictor.extractor.computed <= len(set(DATA.sequences)) * 2
    for layer in (0, 1, 2):
        plain = Trainer(replace_layer(deep, layer), split=BY_FOLD, store=tmp_path / "store", runtime=RUNTIME)
        plain.cross_validate(DATA, check=False)
        assert plain.extractor.computed == 0
    again = trainer(extractor=deep, tune=tune, store=tmp_path / "store")
    again.cross_validate(DATA, check=False)
    again.fit(DATA, check=False)
    assert again.source.computed == 0


def replace_layer(spec: ExtractorSpec, layer: int) -> ExtractorSpec:
    return spec.model_copy(update={"layer": layer})


def test_a_second_run_chooses_nothing_again(tmp_path: Path) -> None:
    def results() -> set[str]:
        return {path.name for path in (tmp_path / "store.tuning").iterdir()}

    first = trainer(store=tmp_path / "store")
    report, predictor = first.cross_validate(DATA, check=False), first.fit(DATA, check=False)
    kept = results()
    second = trainer(store=tmp_path / "store")
    again = second.cross_validate(DATA, check=False)
    assert second.fit(DATA, check=False).digest == predictor.digest
    assert results() == kept
    assert again.predictions.equals(report.predictions)
    assert str(again) == str(report)
    assert json.dumps(again.to_dict()["tuned"]) == json.dumps(report.to_dict()["tuned"])
    other = trainer(store=tmp_path / "store")
    other.cross_validate(DATA.subset(range(1, 60)), check=False)
    assert len(results()) > len(kept), "other antibodies have results of their own"


def test_damaged_results_are_computed_again(tmp_path: Path) -> None:
    report = trainer(store=tmp_path / "store").cross_validate(DATA, check=False)
    for path in (tmp_path / "store.tuning").iterdir():
        path.write_text(path.read_text().replace("0.", "1."))
    again = trainer(store=tmp_path / "store").cross_validate(DATA, check=False)
    assert again.predictions.equals(report.predictions)


def test_the_saved_model_is_the_chosen_pipeline_and_records_the_choice(deep: ExtractorSpec, tmp_path: Path) -> None:
    made = trainer(extractor=deep, tune=TuneSpec(grid=VIEWS, folds=2))
    report, predictor = made.cross_validate(DATA, check=False), made.fit(DATA, check=False)
    chosen = made.spec.candidates[of(report).choice]
    assert predictor.spec.tune is None
    assert predictor.spec.classifier == chosen.classifier
    assert predictor.spec.extractor == chosen.extractor.pin()
    plain = Trainer.from_spec(chosen, runtime=RUNTIME).fit(DATA, check=False)
    assert predictor.digest == plain.digest
    assert np.array_equal(predictor.predict_proba(DATA, check=False), plain.predict_proba(DATA, check=False))
    loaded = Predictor.load(predictor.save(tmp_path / "model"), runtime=RUNTIME)
    manifest = json.loads((tmp_path / "model" / "manifest.json").read_text())
    record = manifest["data"]["tuned"]
    assert record["choice"] == dict(of(report).choice)
    assert TuneSpec.model_validate_json(json.dumps(record["spec"])) == made.spec.tune
    assert len(record["scores"]) == 6
    assert loaded.data == predictor.data
    assert loaded.spec == predictor.spec
    assert np.array_equal(loaded.predict_proba(DATA, check=False), predictor.predict_proba(DATA, check=False))
    tested = loaded.evaluate(DATA.subset(range(0, 60, 2)), check=False)
    assert any("was tuned on its training antibodies" in note for note in tested.notes)
    assert tested.tuned is None
    first = DATA.sequences[0]
    assert len(residue_contributions(loaded, first, check=False).contributions) == len(first)
    assert len(mutational_scan(loaded, first, [3], plausibility=False, check=False).table) == 19


def test_uncertainty_chooses_again_without_the_antibodies_that_it_predicts() -> None:
    made = trainer(tune=TuneSpec(grid={"classifier.C": (1e-6, 1e-3, 1.0, 1000.0), "pca": (1, 2, None)}, folds=2))
    found = made.fit(DATA, check=False).uncertainty
    assert isinstance(found, Uncertainty)
    report = made.cross_validate(DATA, check=False)  # by the same folds
    assert np.array_equal(found.score, report.predictions["probability"])


@pytest.mark.parametrize("continuous", [False, True])
def test_a_report_says_what_was_chosen_and_what_to_do(continuous: bool, tmp_path: Path) -> None:
    data = NUMBERS if continuous else DATA
    grid = {"classifier.alpha": (0.1, 1e5), "pca": (2, None)} if continuous else GRID
    made = trainer(classifier="ridge" if continuous else "logreg", tune=TuneSpec(grid=grid, folds=2))
    report = made.cross_validate(data, check=False)
    tuned = of(report)
    text = " ".join(str(report).split())
    page = report.to_html(tmp_path / "report.html").read_text()
    notebook = report._repr_html_()
    for shown in (text, page, notebook):
        assert "the choice is" in shown
        assert "untuned pipeline" in shown
        assert "which fit saves" in shown
    assert "fold 0" in text
    assert "All candidates on all antibodies" in page
    record = json.loads(report.to_json(tmp_path / "report.json").read_text())["tuned"]
    assert [fold["choice"] for fold in record["folds"]] == [dict(choice) for choice in tuned.of_folds]
    assert record["final"]["choice"] == dict(tuned.choice)
    assert record["stability"] == tuned.stability
    assert record["agreeing"] == tuned.agreeing
    low, estimate, high = (record["comparison"]["difference"][end] for end in ("low", "estimate", "high"))
    assert tuned.untuned is not None
    expected = np.mean(report.scores[report.metric]) - np.mean(tuned.untuned.scores[report.metric])
    assert estimate == pytest.approx(expected)
    assert low <= estimate <= high
    assert report.pipeline.count("tuned over") == 1
    assert report.spec == made.cross_validate(data, check=False).spec


def test_python_and_command_of_a_report_reproduce_it() -> None:
    made = trainer(split=SplitSpec(folds=3), tune=TuneSpec(grid=GRID, folds=2))
    report = made.cross_validate(DATA, check=False)
    program = report.python.replace("load_dataset(...)", "DATA").replace("(data)", "(data, check=False)")
    program = program.replace('store="embeddings/"', "store=None")
    names: dict[str, Any] = {"DATA": DATA}
    exec(program, names)  # noqa: S102
    assert names["report"].predictions.equals(report.predictions)
    assert report.command is not None
    words = re.findall(r"'([^']*)'|(\S+)", report.command)[1:]
    assert words[0] == ("", "data=..."), "the data are of no file"
    assert TrainSpec.compose([quoted or plain for quoted, plain in words]) == made.spec


def test_a_folder_that_cannot_be_written_ends_no_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    report = trainer(store=tmp_path / "free").cross_validate(DATA, check=False)
    assert (tmp_path / "free.tuning").is_dir()
    (tmp_path / "shared.tuning").write_text("a file of that name")
    for runtime in (RUNTIME, RuntimeSpec(workers=2)):
        caplog.clear()
        made = trainer(store=tmp_path / "shared", runtime=runtime)
        again = made.cross_validate(DATA, check=False)
        assert again.predictions.equals(report.predictions)
        assert made.fit(DATA, check=False).spec == trainer().fit(DATA, check=False).spec
        assert [record.levelname for record in caplog.records if "shared.tuning" in record.message] == ["WARNING"]
    assert tuning_folder(Path()) == Path.cwd().with_name(f"{Path.cwd().name}.tuning")


def test_ctrl_c_names_the_folders_that_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    DATA.to_frame().to_csv("in.csv", index=False)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "fit", interrupted)
    words = ["model=descriptors", "extractor.descriptors=[net_charge,length]", "data=in.csv", "data.check=false"]
    words += ["split.folds=2", "tune.grid={classifier.C:[0.01,1]}", "tune.folds=2"]
    kept = "finished results of tuning are in embeddings.tuning; the same command continues from there"
    for more, note in (([], kept), (["store=null"], "no vectors are kept (store=null)")):
        done = CliRunner().invoke(train.app, [*words, *more])
        assert done.exit_code == 130
        assert done.stderr.endswith(f"interrupted; {note}\n")
    assert Path("embeddings.tuning").is_dir()
    assert not Path("embeddings").exists()


@pytest.mark.parametrize("split", [SplitSpec(by="leave_one_out"), SplitSpec(folds=4, repeats=6)])
def test_many_folds_are_counted_by_their_choice(split: SplitSpec) -> None:
    data = NUMBERS.subset(range(24))
    made = trainer(classifier="ridge", split=split, tune=TuneSpec(grid={"classifier.alpha": (0.01, 100.0)}, folds=2))
    report = made.cross_validate(data, check=False)
    text = str(report)
    heading, _, below = text.partition("Choices on the training antibodies of 24 folds\n")
    assert heading != text
    lines = below.partition("\n\n")[0].splitlines()
    found = {tuple(re.split(r" {2,}", line, maxsplit=1)) for line in lines}
    counts = of(report).values("classifier.alpha")
    assert found == {(f"{n} fold{'s' * (n > 1)}", f"classifier.alpha={value}") for value, n in counts.items()}
    assert sum(counts.values()) == 24


STABLE = {
    "stable": (["a"] * 4, "a", "All 4 folds chose pca=1, as do all antibodies together: the choice is stable."),
    "mostly stable": (
        ["a"] * 4 + ["b"],
        "a",
        "4 of 5 have that of all antibodies together: the choice is mostly stable",
    ),
    "not stable": (["a", "b", "b", "a"], "a", r"Choices differ between folds \(pca=1 in 2; pca=2 in 2\)"),
    "other": (["a"] * 4, "b", r"Choices differ between folds \(pca=1 in 4\); 0 of 4 have that of all antibodies"),
}


@pytest.mark.parametrize("name", STABLE)
def test_the_verdict_counts_the_folds_that_agree(name: str) -> None:
    from antibody_esm.evaluation.tuned import Selection
    from antibody_esm.reports.tuning_panel import verdict

    folds, final, words = STABLE[name]
    number = {"a": 0, "b": 1}
    selections = [Selection(number[fold], {0: 0.5, 1: 0.5}, 2) for fold in folds]
    report = trainer().cross_validate(DATA, check=False)
    choices = ((("pca", 1),), (("pca", 2),))
    tuned = Tuned(TuneSpec(grid={"pca": (1, 2)}), choices, selections, Selection(number[final], {0: 0.5}, 2), None)
    text = verdict(replace(report, tuned=tuned))
    assert re.search(words, text)
    assert tuned.stability == ("not stable" if name == "other" else name)
    assert Tuned.from_dict(tuned.spec, json.loads(json.dumps(tuned.to_dict()))).to_dict() == tuned.to_dict()


@pytest.mark.parametrize(
    "split",
    [
        SplitSpec(folds=3),
        SplitSpec(folds=2, repeats=2),
        SplitSpec(by="identity", folds=2),
        SplitSpec(by="group", folds=2),
        SplitSpec(by="family"),
    ],
    ids=repr,
)
def test_every_split_is_tuned(split: SplitSpec) -> None:
    data = replace(DATA, groups=[f"g{row % 4}" for row in range(60)])
    report = trainer(split=split).cross_validate(data, check=False)
    assert len(of(report).selections) == len(report.scores["roc_auc"])
    assert "Choices on the training antibodies" in str(report)


def test_values_are_tuned_one_antibody_at_a_time() -> None:
    data = NUMBERS.subset(range(16))
    options = {"classifier": RidgeSpec(), "split": SplitSpec(by="leave_one_out")}
    report = trainer(**options, tune=TuneSpec(grid={"classifier.alpha": (0.1, 1000.0)}, folds=2)).cross_validate(
        data, check=False
    )
    assert len(of(report).selections) == 16
    assert report.scores["spearman"].shape == (1,)
    assert "untuned pipeline" in str(report)
    assert report.to_dict()["tuned"]["folds"][0]["score"] is None


def test_columns_of_a_table_stand_beside_every_view(deep: ExtractorSpec) -> None:
    data = replace(DATA, columns={"ph": np.linspace(5, 8, 60)})
    made = trainer(extractor=deep, tune=TuneSpec(grid={"extractor.layer": (0, 2), "pca": (2, None)}, folds=2))
    report, predictor = made.cross_validate(data, check=False), made.fit(data, check=False)
    assert [column.name for column in predictor.reading.columns.specs] == ["ph"]
    assert "with column ph" in report.pipeline
    assert len(predictor.predict_proba(data, check=False)) == 60


def test_antibodies_between_the_classes_are_predicted_by_the_choice_of_their_fold() -> None:
    report = trainer(split=SplitSpec(folds=4)).cross_validate(GRADED, check=False)
    assert report.ungraded is not None
    assert report.ungraded.score.shape == (M,)
    assert report.graded
    grid = TuneSpec(grid={"classifier.C": (1.0,)}, folds=2)
    same = trainer(split=SplitSpec(folds=4), tune=grid).cross_validate(GRADED, check=False)
    plain = trainer(split=SplitSpec(folds=4), tune=None).cross_validate(GRADED, check=False)
    assert same.ungraded is not None
    assert plain.ungraded is not None
    assert np.array_equal(same.ungraded.score, plain.ungraded.score)


def test_a_decision_is_tuned_by_a_metric_that_it_changes() -> None:
    label = (np.arange(60) % 4 == 0).astype(float)
    tune = TuneSpec(grid={"decision.threshold": (None, 0.05)}, metric="balanced_accuracy", folds=2)
    report = trainer(split=SplitSpec(folds=3), tune=tune).cross_validate(replace(DATA, label=label), check=False)
    assert of(report).spec.metric == "balanced_accuracy"
    assert "balanced accuracy" in report.to_dict()["tuned"]["sentences"][1]


def test_a_benchmark_keeps_choices_with_its_results(tmp_path: Path) -> None:
    def benchmark() -> Benchmark:
        options: dict[str, Any] = {"split": BY_FOLD, "tune": GRID, "runtime": RUNTIME, "check": False}
        test = FLU.subset(range(0, 60, 2))
        return Benchmark([CHARGES], ["logreg"], DATA, [test], output=tmp_path / "grid", **options)

    first = benchmark()
    grid = first.run()
    folds = [report for report in grid.reports if report.is_cross_validation]
    assert all(report.tuned is not None for report in folds)
    assert all("tuned over" in report.pipeline for report in grid.reports)
    assert "the choice is" in " ".join(str(grid).split())
    assert any("was tuned on its training" in note for report in grid.reports for note in report.notes)
    again = benchmark()
    assert str(again.run()) == str(grid)
    assert again.computed == 0
    assert again.finished() is not None
    alone = trainer(tune=GRID).cross_validate(DATA, check=False)
    assert of(folds[0]).to_dict() == of(alone).to_dict()


def test_tuned_and_untuned_pipelines_are_rows_of_one_grid() -> None:
    specs = [trainer().spec, trainer(tune=None).spec, trainer(tune=None, pca=2).spec]
    grid = Benchmark.from_specs(specs, DATA, runtime=RUNTIME, check=False).run()
    assert len({row.name for row in grid.rows if not row.baseline}) == 3
    assert len(grid.columns) == 1


def test_each_label_of_a_panel_has_its_own_choice(deep: ExtractorSpec, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    targets = {"charge": CHARGED, "noise": generator.normal(size=60).tolist()}
    data = replace(DATA, label=None, measurements=targets, targets=tuple(targets))
    grid = {"extractor.layer": (0, 1, 2), "classifier.alpha": (0.1, 1e5)}
    made = trainer(extractor=deep, classifier=RidgeSpec(), split=SplitSpec(folds=3), tune=TuneSpec(grid=grid, folds=2))
    panel = Panel.fit(made, data, check=False, uncertainty=False)
    assert made.source.computed == len(set(DATA.sequences))
    choices = {label: model.data.tuned["choice"] for label, model in panel.items() if model.data.tuned}
    assert set(choices) == {"charge", "noise"}
    assert choices["charge"] != choices["noise"], "so that the panel has two views"
    loaded = Panel.load(panel.save(tmp_path / "panel"), runtime=RUNTIME)
    rows = DATA.sequences[:4]
    pd.testing.assert_frame_equal(loaded.predict(rows, check=False), panel.predict(rows, check=False))
    grid_report = Panel.cross_validate(made, data, check=False)
    assert len(grid_report.reports) == 2
    assert all(report.tuned is not None for report in grid_report.reports)


def test_a_command_tunes(deep: ExtractorSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    DATA.to_frame().to_csv("table.csv", index=False)
    words = [
        f"extractor.model={deep.model}",
        *("data=table.csv", "data.fragment=null", f"data.chain={DATA.chain}", "data.check=false", "split.folds=3"),
        *("tune.grid={classifier.C:[0.01,100],extractor.layer:[0,2]}", "tune.folds=2", "store=store", "output=out"),
        "runtime.workers=1",
    ]
    done = CliRunner().invoke(train.app, words)
    assert done.exit_code == 0, done.output
    metrics = json.loads(Path("out/metrics.json").read_text())
    assert len(metrics["tuned"]["folds"]) == 3
    unique = len(set(DATA.sequences))
    assert metrics["embeddings"] == {"needed": unique, "computed": unique}
    assert "which fit saves" in " ".join(done.output.split())
    assert json.loads(Path("out/model/manifest.json").read_text())["data"]["tuned"]["choice"]
    assert Path("store.tuning").is_dir()
    second = CliRunner().invoke(train.app, words)
    assert "0 computed" in second.output


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("tune.grid={classifier.c:[1]}", "error: tune.grid: unknown key 'classifier.c' of a grid; did you mean"),
        ("tune.grid={classifier.n_neighbors:[1]}", "error: classifier.n_neighbors is no field of logreg"),
        ("tune.trails=1", "did you mean tune.trials?"),
    ],
)
def test_a_command_refuses_a_wrong_grid_in_a_line(word: str, problem: str) -> None:
    done = CliRunner().invoke(train.app, [word])
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    assert problem in done.stderr


def test_a_grid_can_be_a_plain_mapping() -> None:
    assert trainer(tune=GRID).spec.tune == TuneSpec(grid=GRID)
    assert antibody_esm.TuneSpec is TuneSpec
