"""Columns of a table beside the sequences: learnt within the folds, required and checked at every door."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from typer.testing import CliRunner

from antibody_esm import (
    Benchmark,
    ColumnSpec,
    Dataset,
    DatasetError,
    DecisionSpec,
    EmbeddingStore,
    EnsembleSpec,
    ExtractorSpec,
    LogisticRegressionSpec,
    Predictor,
    RidgeSpec,
    RuntimeSpec,
    SplitSpec,
    StoreError,
    Trainer,
    TrainSpec,
    embed,
    load_dataset,
)
from antibody_esm.cli import app, train
from antibody_esm.column_encoder import ColumnEncoder
from antibody_esm.data.column_reading import UNSEEN, ColumnReading, category
from antibody_esm.data.dataset import Provenance
from antibody_esm.evaluation.splits import Division
from antibody_esm.explain import mutational_scan, occlusion, residue_contributions
from antibody_esm.explain.picture import fragment
from antibody_esm.model_files import manifest_digest
from antibody_esm.panel import Panel
from antibody_esm.score_tables import score_file
from chains import HEAVY, mutants
from effort import examples
from reporting import CHARGES

N = 48
COLUMNS = ["isotype", "ph"]
SPLIT = SplitSpec(folds=4)


def table(seed: int = 0) -> pd.DataFrame:
    """Return mutants of trastuzumab's heavy chain whose label follows isotype and pH, but for noise."""
    generator = np.random.default_rng(seed)
    isotype = generator.choice(np.array(["IgG1", "IgG2", "IgG4", None], object), N)
    ph = generator.normal(6.5, 1, N).round(2)
    value = ph + 2 * (isotype == "IgG1") + generator.normal(size=N)
    return pd.DataFrame(
        {
            "id": [f"a{row}" for row in range(N)],
            "heavy": mutants(HEAVY, N, 3, seed),
            "label": (value > np.median(value)).astype(int),
            "value": value,
            "isotype": isotype,
            "ph": ph,
            "groups": [f"study {row % 8}" for row in range(N)],
        }
    )


TABLE = table()
DATA = load_dataset(TABLE, columns=COLUMNS)
NEW = TABLE.head(6).assign(ph=[6, 6.5, 7, 5.5, 6.2, 7.1]).drop(columns=["label", "value"])


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Trainer(CHARGES, "logreg", SPLIT).fit(DATA)


def changed(data: Dataset, name: str, row: int, value: Any) -> Dataset:
    frame = data.to_frame()
    frame[name] = frame[name].astype(object)
    frame.loc[row, name] = value
    return load_dataset(frame, columns=COLUMNS)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(-1e3, 1e3), st.floats(-1, 1)), min_size=2, max_size=12),
    st.lists(st.tuples(st.integers(-1, 6), st.floats(-1e3, 1e3), st.floats(-1, 1)), min_size=1, max_size=6),
)
@example([(0, 0.0, 0.0), (0, 4e-303, 0.0)], [(0, 0.0, 0.0)])
@example([(0, 7.4, 0.0)] * 36, [(0, 7.5, 0.0)])
@examples(60)
def test_the_encoder_is_that_of_scikit_learn(rows: list[tuple[int, ...]], others: list[tuple[int, ...]]) -> None:
    X, new = (np.array([[vector, code, number] for code, number, vector in part], float) for part in (rows, others))
    theirs = ColumnTransformer(
        [
            ("vectors", "passthrough", [0]),
            ("category", OneHotEncoder(handle_unknown="ignore", sparse_output=False), [1]),
            ("number", StandardScaler(), [2]),
        ]
    ).fit(X)
    ours = ColumnEncoder(("category", "number")).fit(X)
    for part in (X, new):
        np.testing.assert_allclose(ours.transform(part), theirs.transform(part), rtol=1e-6, atol=1e-6)


def test_scores_are_those_of_a_pipeline_that_is_written_by_hand() -> None:
    report = Trainer(CHARGES, LogisticRegressionSpec(), SPLIT).cross_validate(DATA)
    vectors = embed(DATA.sequences, CHARGES).astype(float)
    X = pd.DataFrame(vectors).assign(isotype=TABLE["isotype"].fillna("absent"), ph=TABLE["ph"])
    X.columns = X.columns.astype(str)
    encoder = ColumnTransformer(
        [
            ("isotype", OneHotEncoder(handle_unknown="ignore"), ["isotype"]),
            ("ph", StandardScaler(), ["ph"]),
        ],
        remainder="passthrough",
    )
    by_hand = make_pipeline(encoder, LogisticRegression(tol=1e-8, max_iter=10_000))
    expected = np.empty(N)
    for training, test in Division(SPLIT).folds(TABLE["label"].to_numpy()):
        by_hand.fit(X.iloc[training], TABLE["label"][training])
        expected[test] = by_hand.predict_proba(X.iloc[test])[:, 1]
    np.testing.assert_allclose(report.predictions["probability"], expected, atol=1e-5)
    assert "columns" in report.baselines.found
    assert "columns alone" in str(report)
    assert "with columns isotype, ph" in report.pipeline
    assert report.command is not None
    assert "data.columns=[isotype,ph]" in report.command
    assert report.baselines.found["columns"].intervals["roc_auc"].estimate > 0.7


@pytest.mark.parametrize("classifier", ["logreg", "knn", "ridge"])
@pytest.mark.parametrize(("name", "value"), [("isotype", "IgM"), ("ph", 1e6)])
def test_nothing_is_learnt_from_the_columns_of_a_test_row(classifier: str, name: str, value: Any) -> None:
    """Else the other rows of its fold would be predicted differently."""
    data = load_dataset(TABLE, columns=COLUMNS, label="value") if classifier == "ridge" else DATA
    trainer = Trainer(CHARGES, RidgeSpec() if classifier == "ridge" else classifier, SPLIT)
    column = "prediction" if classifier == "ridge" else "probability"
    before = trainer.cross_validate(data).predictions
    after = trainer.cross_validate(changed(data, name, 7, value)).predictions
    same_fold = (before["fold"] == before["fold"][7]) & (before.index != 7)
    np.testing.assert_allclose(before[column][same_fold], after[column][same_fold], rtol=1e-12)
    assert not np.allclose(before[column], after[column])  # the other folds learn from it


def test_a_decision_and_the_uncertainty_are_learnt_on_columns_too() -> None:
    by_group = SplitSpec(folds=4, by="group")
    decision = DecisionSpec(calibration="sigmoid", folds=3)
    scores = Trainer(CHARGES, "logreg", by_group, decision=decision).fit(DATA).score_table(NEW)
    assert scores["calibrated"].notna().all()
    without = Trainer(CHARGES, "logreg", by_group, decision=decision, use_columns=False).fit(DATA).score_table(NEW)
    assert not np.allclose(scores["calibrated"], without["calibrated"])


def test_every_door_has_the_same_numbers(predictor: Predictor, tmp_path: Path) -> None:
    NEW.to_csv(tmp_path / "new.csv", index=False)
    loaded = Predictor.load(predictor.save(tmp_path / "model"), store=tmp_path / "store")
    right = predictor.predict_proba(NEW)[:, 1]
    whole = predictor.score_table(NEW)
    options = ["--model", tmp_path / "model", "--store", tmp_path / "store"]
    run(app.app, "predict", tmp_path / "new.csv", *options, "--output", tmp_path / "scores.csv")
    one_by_one = [
        loaded.with_columns(row[COLUMNS].to_dict()).predict_proba([row["heavy"]])[0, 1] for _, row in NEW.iterrows()
    ]
    doors = {
        "data set": predictor.predict_proba(load_dataset(NEW.assign(label=0), columns=COLUMNS))[:, 1],
        "saved": loaded.predict_proba(NEW)[:, 1],
        "file": pd.concat([scores.table for scores in score_file(tmp_path / "new.csv", loaded)])["probability"],
        "command": pd.read_csv(tmp_path / "scores.csv")["probability"],
        "list": one_by_one,
        "table": whole["probability"],
    }
    for door, numbers in doors.items():
        np.testing.assert_allclose(numbers, right, rtol=1e-12, err_msg=door)
    pd.testing.assert_frame_equal(loaded.score_table(NEW), whole)
    assert loaded.reading == predictor.reading
    assert loaded.digest == predictor.digest
    assert loaded.training is not None
    assert loaded.training.columns["isotype"] == DATA.columns["isotype"]
    report, again = predictor.evaluate(DATA), loaded.evaluate(DATA)
    assert (
        report.baselines.found["columns"].intervals["roc_auc"] == again.baselines.found["columns"].intervals["roc_auc"]
    )
    without = Predictor.load(predictor.save(tmp_path / "without", training=False))
    np.testing.assert_allclose(without.predict_proba(NEW)[:, 1], right, rtol=1e-12)


def test_a_manifest_without_training_antibodies_holds_the_ends_of_numeric_columns(
    predictor: Predictor, tmp_path: Path
) -> None:
    """The page on security names them as values that leave."""
    predictor.save(tmp_path / "model", training=False)
    manifest = (tmp_path / "model" / "manifest.json").read_text()
    numbers = DATA.columns["ph"]
    held = json.dumps(json.loads(manifest)["reading"]["columns"])
    assert str(float(min(numbers))) in held
    assert str(float(max(numbers))) in held
    page = (Path(__file__).parent.parent / "docs" / "security.md").read_text()
    assert "**exact smallest and largest** value of each numeric column" in page


def test_rows_are_refused_or_flagged_by_their_columns(predictor: Predictor, tmp_path: Path) -> None:
    odd = NEW.assign(isotype=["IgA", "IgG1", None, "IgG1", "IgG1", "IgG1"], ph=["6", "", 6.5, "high", 99, 6.5])
    scores = predictor.score_table(odd)
    assert scores["probability"].isna().tolist() == [False, True, False, True, False, False]
    assert scores["warning"].str.contains("'isotype' IgA was not in training").tolist() == [True] + [False] * 5
    assert scores["warning"][1] == "no 'ph'"
    assert scores["warning"][3] == "'ph' is no number: 'high'"
    assert "'ph' 99 is outside of training, 4." in scores["warning"][4]
    with pytest.raises(DatasetError, match="2 of 6 antibodies are not what the model reads .*no 'ph'") as refused:
        predictor.predict(odd)
    assert sorted(refused.value.reasons) == [1, 3]
    with pytest.warns(UserWarning, match="1 of 1 antibodies: row 1: 'isotype' IgA was not in training"):
        predictor.predict(odd.head(1))
    odd.to_csv(tmp_path / "odd.csv", index=False)
    (batch,) = score_file(tmp_path / "odd.csv", predictor)
    assert batch.rejected["reason"].tolist() == ["no 'ph'", "'ph' is no number: 'high'"]
    np.testing.assert_allclose(batch.table["probability"], scores["probability"].dropna())
    data = load_dataset(odd.assign(label=[0, 1] * 3), columns=["isotype"], drop=True)
    with pytest.raises(DatasetError, match="reads the columns isotype, ph .*; the columns are isotype"):
        predictor.evaluate(data)
    with pytest.raises(DatasetError, match="2 of 6 antibodies") as of_test:
        predictor.evaluate(load_dataset(odd.assign(label=[0, 1] * 3), columns=COLUMNS))
    assert "drop=True (--drop) leaves them out" in str(of_test.value)
    assert "check=False" not in str(refused.value) + str(of_test.value), "no check reads a missing number"
    with pytest.raises(DatasetError, match="check=False reads what numbering does not recognise"):
        predictor.predict(odd.assign(heavy=["MKTAYIAKQR", *odd["heavy"][1:]]))
    report = predictor.evaluate(load_dataset(odd.assign(label=[0, 1] * 3), columns=COLUMNS), drop=True)
    assert len(report.data) == 4
    assert report.counts == "4 antibodies, 1 positive (25%), 2 left out: no 'ph' (1); 'ph' is no number: 'high' (1)"
    assert "2 left out: no 'ph'" in str(report)
    assert any("'isotype' IgA was not in training (1)" in note for note in report.notes)


def test_an_unseen_category_is_none_of_the_categories_as_in_the_folds(predictor: Predictor) -> None:
    with pytest.warns(UserWarning, match="IgA"):
        unseen = predictor.predict_proba(NEW.assign(isotype="IgA"))[:, 1]
    encoder = predictor.classifier.named_steps["columns"]
    X = predictor.vectors(NEW.assign(isotype="IgG1"))
    X[:, -2] = UNSEEN
    assert not encoder.transform(X)[:, 2:-1].any()
    np.testing.assert_allclose(predictor.classifier.predict_proba(X)[:, 1], unseen)


@pytest.mark.parametrize("antibodies", [list(NEW["heavy"]), NEW.drop(columns="ph")], ids=["list", "frame"])
def test_antibodies_without_the_columns_are_refused_with_their_names(antibodies: Any, predictor: Predictor) -> None:
    for verb in (predictor.predict, predictor.predict_proba, predictor.score_table, predictor.vectors, predictor.read):
        with pytest.raises(DatasetError, match=r"reads the columns isotype, ph beside .*with_columns"):
            verb(antibodies)


def test_explanations_need_columns_and_hold_them_fixed(predictor: Predictor, tiny: ExtractorSpec) -> None:
    antibody = NEW["heavy"][0]
    for explain in (residue_contributions, occlusion, mutational_scan):
        with pytest.raises(DatasetError, match="reads the columns isotype, ph"):
            explain(predictor, antibody)
    for classifier in ("logreg", "ridge", "knn"):
        label = "value" if classifier == "ridge" else "label"
        data = load_dataset(TABLE, columns=COLUMNS, label=label)
        fitted = Trainer(tiny, RidgeSpec() if classifier == "ridge" else classifier).fit(data, uncertainty=False)
        scores = []
        for isotype in ("IgG1", "IgG4"):
            fixed = fitted.with_columns({"isotype": isotype, "ph": 6.0})
            explained = residue_contributions(fixed, antibody)
            if explained.intercept is not None:
                assert explained.intercept + explained.contributions.sum() == pytest.approx(explained.score, abs=1e-4)
            row = NEW.head(1).assign(isotype=isotype, ph=6.0)
            number = fitted.predict(row) if classifier == "ridge" else fitted.predict_proba(row)[:, 1]
            scan = mutational_scan(fixed, antibody, [3], plausibility=False)
            assert scan.prediction == pytest.approx(number[0], rel=1e-9)
            scores.append(explained.score)
        assert (scores[0] == scores[1]) == (classifier == "knn" and scores[0] == scores[1])
    with pytest.raises(DatasetError, match="the model reads no column 'subtype'; it reads isotype, ph"):
        predictor.with_columns({"subtype": "IgG1"})
    with pytest.raises(DatasetError, match="no 'ph'"):
        predictor.with_columns({"ph": None})


def test_columns_never_reach_the_store(tiny: ExtractorSpec, tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path / "store")
    trainer = Trainer(tiny, "logreg", SPLIT, store=store)
    trainer.cross_validate(load_dataset(TABLE))
    computed, kept = trainer.extractor.computed, store.stats()
    again = Trainer(tiny, "logreg", SPLIT, store=store)
    again.cross_validate(DATA)
    again.fit(DATA).predict(NEW)
    assert (computed, again.extractor.computed) == (N, 0)
    assert store.stats() == kept
    both = EnsembleSpec(members=(tiny, ColumnSpec(name="isotype")), combine="concat")
    with pytest.raises(ValueError, match="sequences alone have no columns"):
        embed(DATA.sequences, both, store)


def test_columns_are_left_out_or_chosen() -> None:
    plain = load_dataset(TABLE)
    trainer = Trainer(CHARGES, "logreg", SPLIT, use_columns=False)
    left_out = trainer.cross_validate(DATA)
    assert "columns" not in left_out.baselines.found
    expected = Trainer(CHARGES, "logreg", SPLIT).cross_validate(plain).predictions
    pd.testing.assert_frame_equal(left_out.predictions, expected)
    assert trainer.fit(DATA).predict(list(NEW["heavy"])).shape == (6,)
    assert TrainSpec.compose(["use_columns=false"]).use_columns is False
    one = EnsembleSpec(members=(CHARGES, ColumnSpec(name="ph", values="category")), combine="concat")
    predictor = Trainer(one, "logreg", SPLIT).fit(DATA, uncertainty=False)
    assert predictor.reading.columns.names == ("ph",)
    assert predictor.spec.extractor == one
    with pytest.raises(DatasetError, match="needs the columns ph, and the data set has none"):
        Trainer(one, "logreg", SPLIT).fit(plain)
    holes = load_dataset(TABLE.assign(ph=[None, *TABLE["ph"][1:]]), columns=COLUMNS)
    with pytest.raises(
        DatasetError, match=r"1 of 48 antibodies lack what the model reads: .*id a0.: no 'ph'\. load_dataset"
    ):
        Trainer(CHARGES, "logreg", SPLIT).cross_validate(holes)


def test_a_grid_compares_with_and_without_columns(tmp_path: Path) -> None:
    specs = [TrainSpec(extractor=CHARGES, split=SPLIT, use_columns=use) for use in (False, True)]
    grid = Benchmark.from_specs(specs, DATA, [load_dataset(table(1), columns=COLUMNS)], output=tmp_path).run()
    assert len(grid.reports) == 4
    assert "columns alone" in str(grid)
    assert "with columns isotype, ph" in " ".join(str(grid).split())
    assert any("is outside of training" in note for note in grid.reports[3].notes)
    again = Benchmark.from_specs(specs, DATA, [load_dataset(table(1), columns=COLUMNS)], output=tmp_path)
    assert again.run().reports[2].predictions.equals(grid.reports[2].predictions)
    assert again.computed == 0


@pytest.mark.parametrize(
    ("test", "said"),
    [
        (load_dataset(TABLE), "lacks what a pipeline reads beside the sequences: isotype, ph"),
        (changed(DATA, "ph", 3, None), r"1 of 48 antibodies of the test set .* lack what a pipeline reads: .*no 'ph'"),
    ],
)
def test_a_test_set_without_the_columns_is_refused_before_any_computation(
    test: Dataset, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = replace(test, provenance=Provenance("their table"))
    monkeypatch.setattr(Trainer, "embed", lambda *_, **__: pytest.fail("computed"))
    with pytest.raises(DatasetError, match=said) as refused:
        Benchmark([CHARGES], ["logreg"], DATA, [named], split=SPLIT).run()
    assert "the test set their table" in str(refused.value)


def test_equal_sequences_with_other_columns_are_no_contradiction() -> None:
    twice = pd.concat([TABLE.head(12), TABLE.head(12).assign(ph=9, id=[f"b{row}" for row in range(12)])])
    twice["label"] = [0, 1] * 6 + [1, 0] * 6
    data = load_dataset(twice.reset_index(drop=True), columns=COLUMNS)
    for use, number in ((True, 0), (False, 12)):
        report = Trainer(CHARGES, "logreg", SplitSpec(folds=3), use_columns=use).cross_validate(data)
        expected = f"12 exact duplicates of 12 sequences that occur more than once, {number} with contradictory labels"
        assert any(note.startswith(expected) for note in report.notes)
        assert report.audit["contradictory labels"].count == number
    assert data.audit(numbering=False)["contradictory labels"].count == 0
    assert replace(data, columns={"ph": data.columns["ph"] * 0}).audit()["contradictory labels"].count == 12


def test_a_panel_reads_columns(tmp_path: Path) -> None:
    measured = TABLE.drop(columns="label").assign(tm=TABLE["ph"] * 2 + 60, hic=[None, *TABLE["value"][1:]])
    measured.to_csv(tmp_path / "assays.csv", index=False)
    NEW.to_csv(tmp_path / "new.csv", index=False)
    words = [f"data={tmp_path / 'assays.csv'}", "data.label=[tm,hic]", "data.columns=[isotype,ph]", "model=descriptors"]
    folders = [f"output={tmp_path / 'run'}", f"store={tmp_path / 'store'}"]
    run(train.app, *words, "classifier=ridge", "classifier.alpha=1.0", "split.folds=3", "split.repeats=1", *folders)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert all("columns" in target["baselines"] for target in metrics["targets"].values())
    panel = Panel.load(tmp_path / "run" / "model")
    assert panel["tm"].reading.columns.names == ("isotype", "ph")
    table = panel.predict(NEW)
    options = ["--model", tmp_path / "run" / "model", "--store", tmp_path / "store"]
    run(app.app, "predict", tmp_path / "new.csv", *options, "--output", tmp_path / "scores.csv")
    scores = pd.read_csv(tmp_path / "scores.csv")
    np.testing.assert_allclose(scores["tm prediction"], table["tm prediction"])
    fixed = panel.with_columns({"isotype": "IgG1", "ph": 6}).predict(list(NEW["heavy"]))
    np.testing.assert_allclose(
        fixed["hic prediction"], panel.predict(NEW.assign(isotype="IgG1", ph=6))["hic prediction"]
    )
    with pytest.raises(DatasetError, match="reads the columns isotype, ph"):
        panel.predict(list(NEW["heavy"]))
    from antibody_esm.cli.web_profile import _explain, _profile

    shown, columns, _ = _profile(panel, "", str(tmp_path / "new.csv"))
    np.testing.assert_allclose(shown.table["tm prediction"], table["tm prediction"])
    first = panel["tm"].with_columns(NEW.iloc[0][COLUMNS].to_dict())
    assert _explain(panel, "tm", NEW["heavy"][0], columns[0]) == fragment(residue_contributions(first, NEW["heavy"][0]))


def test_commands_take_columns(predictor: Predictor, tmp_path: Path) -> None:
    NEW.head(2).to_csv(tmp_path / "two.csv", index=False)
    (tmp_path / "one.fasta").write_text(f">a\n{NEW['heavy'][0]}\n")
    model = predictor.save(tmp_path / "model")
    options = ["--model", model, "--store", tmp_path / "store"]
    explained = run(app.app, "explain", tmp_path / "two.csv", *options)
    for _, row in NEW.head(2).iterrows():
        score = residue_contributions(predictor.with_columns(row[COLUMNS].to_dict()), row["heavy"]).score
        assert f"{score:+.3f}" in explained
    fixed = ["--column", "isotype=IgG1", "--column", "ph=6"]
    run(app.app, "predict", tmp_path / "one.fasta", *options, *fixed, "--output", tmp_path / "one.csv")
    expected = predictor.with_columns({"isotype": "IgG1", "ph": 6}).predict_proba([NEW["heavy"][0]])[0, 1]
    assert pd.read_csv(tmp_path / "one.csv")["probability"][0] == pytest.approx(expected)
    for arguments, reason in (
        (["predict", tmp_path / "one.fasta", "--output", tmp_path / "no.csv"], "reads the columns isotype, ph"),
        (["explain", NEW["heavy"][0]], "--column NAME=VALUE"),
        (["scan", NEW["heavy"][0], "--column", "isotype"], "write NAME=VALUE"),
        (["scan", NEW["heavy"][0], "--column", "subtype=IgG1"], "reads no column 'subtype'"),
        (["evaluate", "boughter_flu_cdrs"], "reads the columns isotype, ph"),
    ):
        done = CliRunner().invoke(app.app, [str(word) for word in (*arguments, *options)])
        assert done.exit_code != 0
        assert reason in " ".join(done.stderr.split())


def run(command: Any, *arguments: object) -> str:
    done = CliRunner().invoke(command, [str(argument) for argument in arguments], terminal_width=80)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_manifest_with_other_columns_is_refused(predictor: Predictor, tmp_path: Path) -> None:
    predictor.save(tmp_path)
    path = tmp_path / "manifest.json"
    good = json.loads(path.read_text())
    assert good["reading"]["columns"][0]["categories"] == ["IgG1", "IgG2", "IgG4", None]
    for columns in (
        [],
        good["reading"]["columns"][:1],
        good["reading"]["columns"][::-1],
        [{"name": "isotype", "values": "category", "categories": ["IgG1"]}, good["reading"]["columns"][1]],
        "isotype",
        [{"name": "isotype"}],
        [{**good["reading"]["columns"][0], "categories": [1]}, good["reading"]["columns"][1]],
        [good["reading"]["columns"][0], {**good["reading"]["columns"][1], "limits": [1]}],
    ):
        bad = {**good, "reading": {**good["reading"], "columns": columns}}
        bad["sha256"] = manifest_digest(bad)
        path.write_text(json.dumps(bad))
        with pytest.raises(StoreError):
            Predictor.load(tmp_path)


def test_columns_have_part_in_the_runs_of_a_language_model(tiny: ExtractorSpec) -> None:
    """A mean of models stands before the columns too."""
    models = (tiny, tiny.model_copy(update={"layer": 1}))
    both = EnsembleSpec(members=(*models, ColumnSpec(name="isotype")), combine="mean")
    predictor = Trainer(both, "logreg", SPLIT, runtime=RuntimeSpec(workers=1)).fit(DATA, uncertainty=False)
    mean = EnsembleSpec(members=models, combine="mean")
    np.testing.assert_allclose(predictor.vectors(NEW)[:, :-1], embed(NEW["heavy"], mean), rtol=1e-6)


@given(st.none() | st.text(max_size=5) | st.floats() | st.integers(-9, 9))
@examples(60)
def test_a_category_has_one_spelling(value: Any) -> None:
    text = category(value)
    assert category(text) == text
    reading = ColumnReading.of([ColumnSpec(name="a")], {"a": (value,)})
    assert reading.read({"a": [value, text]}, 2).codes.tolist() == [[0], [0]]
    assert ColumnReading.from_list(json.loads(json.dumps(reading.to_list()))) == reading
