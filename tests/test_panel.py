"""Models of several labels on one language model."""

import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from antibody_esm import (
    Benchmark,
    Dataset,
    DatasetError,
    DecisionSpec,
    ExtractorSpec,
    Panel,
    Predictor,
    RidgeSpec,
    SplitSpec,
    StoreError,
    Trainer,
)
from antibody_esm.cli import app, train
from antibody_esm.cli.option_names import in_options
from antibody_esm.cli.run_folder import files_of_run
from antibody_esm.model_files import manifest_digest
from antibody_esm.panel import CARDS, _of_one_model
from antibody_esm.panel_files import folder_names, save_panel
from antibody_esm.reports.records import number
from antibody_esm.source_views import SourceViews
from antibody_esm.specs.training import Run
from parted import parted
from reporting import CHARGES, antibodies

RIDGE = RidgeSpec()
"""Of one penalty: a choice of several takes time."""
LABELS = ("HIC", "Tm2", "odd name (°C)")
THREE = SplitSpec(folds=3)


@cache
def measured(n: int = 40, *, classes: bool = False) -> Dataset:
    """Return loops with three labels: one with four holes, one with half of them, one whole."""
    data = antibodies(n, continuous=True)
    value, noise = np.asarray(data.label), np.random.default_rng(1).normal(size=(2, n))
    columns = {"HIC": value.copy(), "Tm2": -value + noise[0], "odd name (°C)": noise[1]}
    if classes:
        columns = {name: (column > np.median(column)).astype(float) for name, column in columns.items()}
    columns["HIC"][[3, 5, 8, 13]] = np.nan
    columns["Tm2"][: n // 2] = np.nan
    return Dataset(data.ids, data.heavy, measurements=columns, targets=LABELS, fragment="H-CDRs")


def trainer(**options: Any) -> Trainer:
    return Trainer(CHARGES, **{"classifier": RIDGE, "split": THREE} | options)


@cache
def fitted(*, classes: bool = False) -> Panel:
    return Panel.fit(trainer(classifier="logreg" if classes else RIDGE), measured(classes=classes), check=False)


@pytest.mark.parametrize("classes", [False, True])
def test_every_number_is_that_of_a_run_of_one_label(classes: bool) -> None:
    data, asked = measured(classes=classes), antibodies(12, seed=3)
    shared = trainer(classifier="logreg" if classes else RIDGE)
    grid = Panel.cross_validate(shared, data, check=False)
    panel = Panel.fit(shared, data, check=False)
    table = panel.predict(asked, check=False)
    assert [report.data.label_name for report in grid.reports] == list(panel) == list(LABELS)
    for label, report in zip(LABELS, grid.reports, strict=True):
        alone = trainer(classifier="logreg" if classes else RIDGE)
        single = alone.cross_validate(data.target(label), check=False)
        assert close(report.to_dict(), single.to_dict())
        predictor = alone.fit(data.target(label), check=False)
        assert panel[label].metrics is not None
        assert close(panel[label].metrics, predictor.metrics)
        pd.testing.assert_frame_equal(
            table[[f"{label} {name}" for name in predictor.score_table(asked).columns[1:]]].set_axis(
                predictor.score_table(asked, check=False).columns[1:], axis=1
            ),
            predictor.score_table(asked, check=False).iloc[:, 1:],
            rtol=0,
            atol=1e-12,
        )


def close(one: Any, other: Any) -> bool:
    """Return True if nested values are equal, numbers to 1e-12."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(close, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= 1e-12
    return bool(one == other)


def test_one_correction_is_for_the_comparisons_of_all_labels() -> None:
    grid = Panel.cross_validate(trainer(), measured(), check=False)
    compared = sum(len(column.compared) for column in grid.columns)
    assert {each.comparison.family for each in grid.verdicts if each.comparison} == {compared}
    assert compared > len(LABELS) * 5
    text = str(grid)
    for label, report in zip(LABELS, grid.reports, strict=True):
        assert any(line.startswith(label) and f" {len(report.data)} " in line for line in text.splitlines())
    assert f"Holm's correction for all {compared}" in text
    assert "4 without HIC left out" in text
    written = grid.to_dict()["verdicts"]
    assert [row["label"] for row in written] == list(LABELS)
    for row, each in zip(written, grid.verdicts, strict=True):
        assert row["interval"]["estimate"] == number(each.scored.intervals["spearman"].estimate)
        assert each.baseline is not None
        assert row["baseline"] == each.baseline.name


def test_labels_that_do_not_fit_are_all_named_before_any_computation() -> None:
    data = measured()
    with pytest.raises(DatasetError, match=r"3 of 3 labels do not fit logreg: HIC: .*Tm2: .*odd name"):
        Panel.fit(trainer(classifier="logreg"), data)
    with pytest.raises(DatasetError, match="a panel needs several labels"):
        Panel.fit(trainer(), data.target("HIC"))
    with pytest.raises(DatasetError, match="several labels .* `Panel` for all"):
        trainer().cross_validate(data)


def test_an_error_of_one_label_names_the_label() -> None:
    rare = np.asarray([1.0, *[0.0] * 39])
    classes = {**measured(classes=True).measurements, "Tm2": rare}
    data = replace(measured(classes=True), measurements=classes)
    with pytest.raises(DatasetError, match="^HIC: .*group"):
        Panel.cross_validate(trainer(classifier="logreg", split=SplitSpec(by="group", folds=3)), data, check=False)
    with pytest.raises(DatasetError, match="^Tm2: .*folds"):
        Panel.cross_validate(trainer(classifier="logreg"), data, check=False)
    with pytest.raises(DatasetError, match="^Tm2: "):
        Panel.fit(trainer(classifier="logreg", decision=DecisionSpec(calibration="sigmoid")), data, check=False)
    constant = replace(measured(), measurements={**measured().measurements, "Tm2": np.ones(40)})
    with pytest.raises(DatasetError, match="Tm2: a regressor needs labels that differ"):
        fitted().evaluate(constant, check=False)


def test_a_path_where_a_data_set_is_needed_is_said() -> None:
    for verb in (fitted().evaluate, fitted()["HIC"].evaluate, trainer().cross_validate, trainer().fit):
        with pytest.raises(DatasetError, match=r"a Dataset .* is needed, got 'ev\.csv'; load_dataset reads"):
            verb("ev.csv")  # type: ignore[operator]
    with pytest.raises(DatasetError, match="a Dataset .* is needed, got a DataFrame"):
        Panel.fit(trainer(), pd.DataFrame())  # type: ignore[arg-type]


def test_vectors_of_all_labels_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    shared = trainer()
    vectors = SourceViews.vectors

    def counted(self: SourceViews, data: Dataset, store: Any) -> Any:
        asked.append(len(data))
        return vectors(self, data, store)

    monkeypatch.setattr(SourceViews, "vectors", counted)
    Panel.fit(shared, measured(), check=False)
    assert asked == [40, 36, 20, 40]  # all of them first, so that no label computes more


def test_a_saved_panel_predicts_the_same_and_each_label_is_a_saved_model(tmp_path: Path) -> None:
    panel, asked = fitted(), antibodies(12, seed=3)
    folder = panel.save(tmp_path / "panel")
    loaded = Panel.load(folder)
    pd.testing.assert_frame_equal(loaded.predict(asked, check=False), panel.predict(asked, check=False))
    assert len({id(model.extractor) for model in loaded.values()}) == 1
    assert len({id(model.store) for model in loaded.values()}) == 1
    one = Predictor.load(folder / "odd_name_C")
    assert one.predict(asked).tolist() == panel["odd name (°C)"].predict(asked).tolist()
    with pytest.raises(StoreError, match=r"a panel of models, .* Panel\.load"):
        Predictor.load(folder)
    with pytest.raises(StoreError, match=r"a model of one label; .* Predictor\.load"):
        Panel.load(folder / "HIC")


def test_a_panel_replaces_a_panel_and_a_model_and_a_model_replaces_a_panel(tmp_path: Path) -> None:
    panel, folder = fitted(), tmp_path / "model"
    panel["HIC"].save(folder)
    panel.save(folder)
    assert not (folder / "manifest.json").exists()
    Panel({"Tm2": panel["Tm2"]}).save(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "Tm2", "panel.json"]
    panel["HIC"].save(folder)
    assert not (folder / "panel.json").exists()
    assert Predictor.load(folder).data.label == "HIC"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folder": "../HIC"}, "is not the name of a folder"),
        ({"folder": "/etc"}, "is not the name of a folder"),
        ({"folder": "."}, "is not the name of a folder"),
        ({"folder": "nothing"}, "is missing"),
        ({"folder": "link"}, "is missing"),
        ({"folder": "tm2"}, "share a label or a folder"),
        ({"label": "Tm2"}, "share a label or a folder"),
        ({"label": "psr"}, "was trained on 'HIC'"),
        ({"folder": 3}, "must be texts"),
        ({"sha256": "0" * 64}, "not the model of 'HIC' that the panel was saved with"),
        ({"more": "x"}, "has a label, a folder and a digest"),
        (None, "has 1 to 1,000 models"),
        ([1], "has a label, a folder and a digest"),
        ("format", "not a panel of format 1"),
        ("sha256", "the manifest was changed"),
    ],
)
def test_crafted_panels_are_refused(tmp_path: Path, changes: Any, message: str) -> None:
    folder = fitted().save(tmp_path / "panel")
    shutil.copytree(folder / "HIC", tmp_path / "HIC")
    (folder / "link").symlink_to(tmp_path / "HIC")
    manifest = json.loads((folder / "panel.json").read_text())
    if isinstance(changes, dict):
        manifest["models"][0] |= changes
    elif isinstance(changes, str):
        manifest[changes] = "2"
    else:
        manifest["models"] = changes
    if changes != "sha256":
        manifest["sha256"] = manifest_digest(manifest)
    (folder / "panel.json").write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match=message):
        Panel.load(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"[" * 100_000, b"\xff", b'{"format": 1}'])
def test_what_is_no_manifest_of_a_panel_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "panel.json").write_bytes(content)
    with pytest.raises(StoreError, match="manifest of a panel"):
        Panel.load(tmp_path)
    with pytest.raises(StoreError, match="not a saved panel"):
        Panel.load(tmp_path / "nothing")


@pytest.mark.filterwarnings("ignore:the classifier was saved with:UserWarning")
@pytest.mark.filterwarnings("ignore:the training antibodies were numbered by:UserWarning")
def test_a_panel_saved_by_an_earlier_version_loads_and_predicts_the_same() -> None:
    """The folder is never made anew."""
    folder = Path(__file__).parent / "saved_panel"
    expected, panel = json.loads((folder / "expected.json").read_text()), Panel.load(folder)
    table = panel.predict(Dataset([*map(str, range(6))], expected["heavy"], fragment="H-CDRs"), check=False)
    for name, column in expected["scores"].items():
        if isinstance(column[0], str):
            assert table[name].tolist() == column
        else:
            np.testing.assert_allclose(table[name], column, rtol=1e-5, atol=1e-6)


def test_names_of_folders_are_plain_and_distinct() -> None:
    labels = ["a", "A", "a!", "../..", "con/..", "°", "x" * 300, "x" * 301]
    names = list(folder_names(labels).values())
    assert len({name.lower() for name in names}) == len(labels)
    assert all(name.replace("_", "").replace("-", "").isalnum() and name.isascii() for name in names)


def test_models_of_a_panel_have_one_language_model_and_read_one_part(tmp_path: Path) -> None:
    panel = fitted()
    other = Trainer("descriptors", "ridge").fit(measured().target("HIC"), check=False)
    with pytest.raises(ValueError, match="another language model"):
        Panel({**panel, "other": other})
    numbered = fitted()["HIC"].fitted()
    numbered = replace(numbered, reading=replace(numbered.reading, species=("mouse",)))
    of_mice = "is numbered by mouse, that of 'HIC' by "
    for model, said in ((other.fitted(), "another language model"), (numbered, of_mice)):
        model = replace(model, data=replace(model.data, label=None))
        save_panel({"HIC": panel["HIC"].fitted(), "other": model}, tmp_path, training=True, cards=CARDS)
        with pytest.raises(StoreError, match=said):
            Panel.load(tmp_path)
    with pytest.raises(ValueError, match="one model at least"):
        Panel({})
    mixed = Panel({**panel, "flag": fitted(classes=True)["HIC"]})
    assert {"HIC low", "flag probability"} <= set(mixed.predict(antibodies(2, seed=3), check=False))


def test_a_panel_is_tested_on_data_with_the_same_labels(tmp_path: Path) -> None:
    panel, test = fitted(), measured(60).subset(range(40, 60))
    with pytest.raises(DatasetError, match="no label HIC, Tm2"):
        panel.evaluate(antibodies(12, continuous=True))
    grid = panel.evaluate(test, check=False)
    assert [len(report.data) for report in grid.reports] == [20, 20, 20]
    single = panel["HIC"].evaluate(test.target("HIC"), check=False)
    assert grid.reports[0].scores["spearman"] == single.scores["spearman"]
    folder, table, rows = panel.save(tmp_path / "panel"), tmp_path / "test.csv", tmp_path / "rows.csv"
    test.to_frame().to_csv(table, index=False)
    words = ["evaluate", str(table), "-m", str(folder), "--no-check", "--store", str(tmp_path / "store")]
    result = CliRunner().invoke(app.app, [*words, "-o", str(rows)])
    assert result.exit_code == 0, result.output
    assert "odd name (°C)" in result.output
    assert pd.read_csv(rows).groupby("target").size().tolist() == [20, 20, 20]
    assert (folder / "HIC" / "openings.jsonl").exists()
    result = CliRunner().invoke(app.app, [*words, "--label", "HIC"])
    assert "a panel is tested on all of its labels" in result.output


def test_the_command_trains_all_labels_and_its_metrics_are_those_of_single_runs(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    measured().to_frame().to_csv(table, index=False)
    common = [
        f"data={table}",
        "data.part=H-CDRs",
        "data.check=false",
        "model=descriptors",
        "classifier=ridge",
        "classifier.alpha=1",
    ]
    common += ["split.folds=3", "store=null"]

    def run(*words: str) -> dict[str, Any]:
        result = CliRunner().invoke(train.app, [*common, *words])
        assert result.exit_code == 0, result.output
        return dict(
            json.loads((tmp_path / words[-1].partition("=")[2].rpartition("/")[2] / "metrics.json").read_text())
        )

    single = run("data.label=HIC", f"output={tmp_path / 'run'}")
    several = run("data.label=[HIC,Tm2]", f"output={tmp_path / 'run'}")
    assert list(several["targets"]) == ["HIC", "Tm2"]
    calls = [metrics.pop("reproduce")["python"] for metrics in (several["targets"]["HIC"], single)]
    assert ['.target("HIC")' in call for call in calls] == [True, False], "each run has its own call"
    assert several["targets"]["HIC"]["verdict"] == single["verdict"]
    assert several["verdict"].split(" is ")[0] == "None of 2 results"
    assert close(several["targets"]["HIC"], single)
    rows = pd.read_csv(tmp_path / "run" / "out_of_fold.csv")
    assert rows.groupby("target").size().to_dict() == {"HIC": 36, "Tm2": 20}
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "on 2 labels" in page
    assert list(Panel.load(tmp_path / "run" / "model")) == ["HIC", "Tm2"]
    next_run = Run.compose([*common, "data.label=HIC"])
    assert {f"model/{name}/manifest.json" for name in ("HIC", "Tm2")} <= {*files_of_run(next_run, tmp_path / "run")}
    assert "model/panel.json" in files_of_run(next_run, tmp_path / "run")


def test_a_benchmark_runs_every_pipeline_on_every_label() -> None:
    data, test = measured().subset(range(40)), measured(60).subset(range(40, 60))

    def benchmark(data: Dataset, test: Dataset) -> Benchmark:
        return Benchmark(["descriptors"], [RIDGE], data, [test], split=THREE, check=False)

    several = benchmark(data, test)
    grid = several.run()
    assert (several.computed, len(grid.reports), len(grid.columns)) == (3, 6, 6)
    for label in LABELS[:2]:
        single = Benchmark(["descriptors"], [RIDGE], data.target(label), [test.target(label)], split=THREE, check=False)
        alone = {report.is_cross_validation: report for report in single.run().reports}
        mine = {report.is_cross_validation: report for report in grid.reports if report.data.label_name == label}
        for kind, report in mine.items():
            assert close(report.to_dict()["scores"], alone[kind].to_dict()["scores"])
        assert mine[False].openings == 1
    assert "HIC, test" in str(grid)
    with pytest.raises(DatasetError, match="3 of 3 labels do not fit logreg"):
        Benchmark(["descriptors"], ["ridge", "logreg"], data).run()
    with pytest.raises(DatasetError, match="has no label 'HIC'"):
        benchmark(data, antibodies(20, continuous=True)).run()
    with pytest.raises(DatasetError, match="no label 'Tm2'"):
        benchmark(data, replace(test, targets=("HIC",))).run()


def test_a_result_of_a_benchmark_depends_on_the_better_side(tmp_path: Path) -> None:
    data = measured().target("HIC")
    options: dict[str, Any] = {"split": THREE, "check": False, "output": tmp_path / "benchmark"}
    first = Benchmark(["descriptors"], [RIDGE], data, **options)
    grid = first.run()
    assert first.finished() == str(grid)
    other = Benchmark(["descriptors"], [RIDGE], replace(data, directions={"HIC": True}), **options)
    assert other.finished() is None
    other.output = None  # pages take time
    assert other.run().reports[0].scores["top_k_recall"].tolist() != grid.reports[0].scores["top_k_recall"].tolist()


def test_views_of_one_model_are_one_panel_wherever_their_tokenizer_lies(
    checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    weights, tokenizer = parted(checkpoints["esm"], tmp_path)
    apart = ExtractorSpec(model=str(weights), tokenizer=str(tokenizer), pooling="max")
    whole = ExtractorSpec(model=str(checkpoints["esm"]))
    assert _of_one_model(apart, whole)
    assert not _of_one_model(apart, ExtractorSpec(model=str(checkpoints["bert"])))


def test_saving_a_frozen_model_keeps_an_adapter_of_no_saved_model(tmp_path: Path) -> None:
    """It was removed without a word."""
    panel = fitted()
    for name, each in (("model", panel.first), ("panel", panel)):
        for place in (tmp_path / name, tmp_path / name / "Tm2"):
            place.mkdir(parents=True)
            (place / "adapter.safetensors").write_bytes(b"mine")
        for _ in range(2):
            each.save(tmp_path / name)
            assert {path.read_bytes() for path in (tmp_path / name).rglob("adapter.safetensors")} == {b"mine"}
            assert len(list((tmp_path / name).rglob("adapter.safetensors"))) == 2
        type(each).load(tmp_path / name)


def test_the_command_names_labels_without_a_side_and_its_advice_works(tmp_path: Path) -> None:
    table, renamed = tmp_path / "t.csv", {"HIC": "HIC RT (min)", "Tm2": "K°D (nM)"}
    measured().to_frame().rename(columns=renamed).to_csv(table, index=False)
    words = [f"data={table}", "data.part=H-CDRs", "data.check=false", "model=descriptors", "classifier=ridge"]
    words += ["classifier.alpha=1", "split.folds=3", "store=null", f"output={tmp_path / 'run'}"]
    words += ['data.label=["HIC RT (min)","K°D (nM)"]']
    advice = """'data.higher_is_better={"K°D (nM)":true}'"""
    result = CliRunner().invoke(train.app, words)
    assert result.exit_code == 0, result.output
    assert "is not known for 'K°D (nM)'" in result.output
    assert advice in result.output
    result = CliRunner().invoke(train.app, [*words, advice.strip("'")])
    assert result.exit_code == 0, result.output
    assert "is not known for" not in result.output


def test_the_card_of_descriptors_names_no_language_model(tmp_path: Path) -> None:
    fitted().save(tmp_path / "panel")
    card = (tmp_path / "panel" / "README.md").read_text(encoding="utf-8")
    assert "One model for each label, on the same features." in card
    assert "language model" not in card


def test_a_label_that_a_panel_lacks_is_named_with_those_that_there_are() -> None:
    panel = fitted()
    with pytest.raises(KeyError, match=r"no label 'PSR'; the labels are HIC, Tm2, odd name"):
        panel["PSR"]
    assert panel.get("PSR") is None
    assert "PSR" not in panel


def test_a_folder_of_a_panel_or_run_names_the_folders_of_models(tmp_path: Path) -> None:
    folder = fitted().save(tmp_path / "run" / "model")
    with pytest.raises(StoreError, match="name the folder of one label") as caught:
        Predictor.load(folder)
    assert str(folder / "HIC") in str(caught.value)
    shell = in_options(str(caught.value), ("--model", "--checkpoint"))
    assert shell.endswith("antibody-esm predict and evaluate read all")
    with pytest.raises(StoreError, match=r"not a saved model.*; did you mean .*run/model\?"):
        Predictor.load(tmp_path / "run")
    (folder / "panel.json").unlink()
    with pytest.raises(StoreError, match=r"did you mean .*HIC"):
        Predictor.load(folder)
