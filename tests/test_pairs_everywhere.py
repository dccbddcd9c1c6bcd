"""Antibodies of two chains at every door: reports, tests, benchmarks, commands and the web page; classes and values."""

import csv
import gc
import json
import os
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot
from sklearn.neighbors import KNeighborsClassifier
from typer.testing import CliRunner, Result

from antibody_esm import (
    Antibody,
    Benchmark,
    Dataset,
    DescriptorSpec,
    ExtractorSpec,
    Predictor,
    SequenceError,
    SplitSpec,
    Trainer,
    load_dataset,
)
from antibody_esm.cli import benchmark as benchmark_command
from antibody_esm.cli import train as train_command
from antibody_esm.cli.app import app
from antibody_esm.data.dataset import Provenance
from antibody_esm.data.identity import identities, identity
from antibody_esm.descriptors import UNKNOWN, describe, germline_genes
from antibody_esm.evaluation.baselines import BASELINES, baseline, cross_validate_baselines
from antibody_esm.evaluation.conformal import out_of_fold
from antibody_esm.evaluation.splits import Division, IdentityKFold
from antibody_esm.explain import mutational_scan, occlusion, residue_contributions
from antibody_esm.reports import page as page_of_reports
from antibody_esm.reports import plots
from antibody_esm.reports.report import Report
from chains import HEAVY, LIGHT, NANOBODY, mutants
from effort import examples

N = 24
VH, VL = mutants(HEAVY, N + 8, 12), mutants(LIGHT, N + 8, 10, seed=1)
CHARGE = np.array([sum((one + other).count(letter) for letter in "KR") for one, other in zip(VH, VL, strict=True)])
DESCRIPTORS = DescriptorSpec(descriptors=("net_charge", "composition"))
SPLIT = SplitSpec(folds=3)


def pairs(rows: range, *, continuous: bool, chain: str = "paired", name: str = "ours") -> Dataset:
    value = CHARGE + np.linspace(0, 0.5, len(CHARGE))
    label = value if continuous else value > np.median(value)
    ids, heavy, light = zip(*((f"{name}{i}", VH[i], VL[i]) for i in rows), strict=True)
    return Dataset(ids, heavy, light, label=label[list(rows)], chain=chain, provenance=Provenance(name))


class Case(NamedTuple):
    """A pipeline that reads pairs, with its reports and the folder of its saved model."""

    extractor: ExtractorSpec | DescriptorSpec
    classifier: str
    data: Dataset
    test: Dataset
    predictor: Predictor
    reports: dict[str, Report]
    folder: Path

    @property
    def continuous(self) -> bool:
        return self.classifier == "ridge"


@pytest.fixture(scope="module")
def cases(tiny: ExtractorSpec, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Case]:
    """Return the case of features and a classifier or regressor, made once."""

    @cache
    def made(features: str, classifier: str) -> Case:
        extractor = DESCRIPTORS if features == "descriptors" else tiny
        data, test = (
            pairs(rows, continuous=classifier == "ridge", name=name)
            for rows, name in ((range(N), "ours"), (range(N, N + 8), "theirs"))
        )
        folder = tmp_path_factory.mktemp("pairs")
        trainer = Trainer(extractor, classifier, SPLIT, store=folder / "embeddings")
        validated = trainer.cross_validate(data)
        predictor = trainer.fit(data)
        reports = {"cross-validation": validated, "test": predictor.evaluate(test)}
        predictor.save(folder / "model")
        data.to_frame().to_csv(folder / "ours.csv", index=False)
        test.to_frame().to_csv(folder / "theirs.csv", index=False)
        test.subset([0, 1]).to_frame().to_csv(folder / "two.csv", index=False)
        (folder / "two.fasta").write_text("".join(f">{i}\n{VH[i]}|{VL[i]}\n" for i in range(N, N + 2)))
        return Case(extractor, classifier, data, test, predictor, reports, folder)

    return made


@pytest.fixture(params=["descriptors-logreg", "descriptors-ridge", "model-logreg", "model-ridge"])
def case(request: pytest.FixtureRequest, cases: Callable[[str, str], Case]) -> Case:
    return cases(*request.param.split("-"))


some = pytest.mark.parametrize("case", ["descriptors-logreg", "model-ridge"], indirect=True)
others = pytest.mark.parametrize("case", ["descriptors-ridge", "model-logreg"], indirect=True)
"""Each of both has either source of features and either task; all four are in `case`."""


@pytest.fixture
def here(case: Case, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(case.folder)
    pyplot.switch_backend("agg")
    return case.folder


def run(command: Any, *arguments: object) -> Result:
    done = CliRunner().invoke(command, [*map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


# Reports


@pytest.mark.parametrize("kind", ["cross-validation", "test"])
def test_a_report_of_pairs_has_text_page_json_table_baselines_families_and_identities(
    kind: str, case: Case, tmp_path: Path
) -> None:
    report = case.reports[kind]
    assert report.baselines.absent == {}
    random = set() if case.extractor is DESCRIPTORS else {"random_weights"}
    assert set(report.baselines.found) == set(BASELINES) | random
    text = str(report)
    assert max(map(len, text.splitlines())) <= 80
    for title in ("net charge of each chain", "V genes of both chains", "nearest pair"):
        assert title in text
        assert title in report._repr_html_()
    assert sum(part.antibodies for part in report.by_family.values()) == len(report.data)
    assert all(name.startswith("human IGHV") for name in report.by_family)
    assert sum(part.antibodies for part in report.by_identity.values()) == len(report.data)
    html = report.to_html(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "could not be drawn" not in html
    drawn = any(part.shown for part in report.by_identity.values())
    assert drawn or kind == "test", "a test of eight antibodies has no group of ten"
    assert ("Identity of heavy chains to the nearest antibody" in html) == drawn
    found = json.loads(report.to_json(tmp_path / "report.json").read_text(encoding="utf-8"))
    assert set(found["baselines"]) == set(BASELINES) | random
    table = pd.read_csv(report.to_csv(tmp_path / "rows.csv"))
    assert table["id"].tolist() == list(report.data.ids)
    assert table["family"].str.startswith("human IGHV").all()
    heavy = report.data.heavy if kind == "cross-validation" else case.data.heavy
    fold = table["fold"].tolist() if kind == "cross-validation" else [-1] * len(table)
    others = [
        [
            chain
            for chain, at in zip(heavy, fold if kind == "cross-validation" else [0] * N, strict=True)
            if at != fold[i]
        ]
        for i in range(len(table))
    ]
    nearest = [
        max(identity(chain, other) for other in rest) for chain, rest in zip(report.data.heavy, others, strict=True)
    ]
    np.testing.assert_allclose(table["identity"], nearest)


def dense(values: Any) -> np.ndarray:
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values)


def test_baselines_of_pairs_are_the_features_of_both_chains_side_by_side() -> None:
    data = pairs(range(6), continuous=False)
    for name in ("length", "isoelectric_point", "net_charge", "hydrophobicity", "composition", "kmers", "biophysical"):
        features = baseline(name).features
        both, *alone = map(dense, map(features, (data.sequences, list(data.heavy), list(data.light))))
        assert np.array_equal(both, np.hstack(alone)), name
    names = describe(data.sequences, DescriptorSpec(descriptors=("length", "net_charge"))).names
    assert names == ("heavy_length", "heavy_net_charge", "light_length", "light_net_charge")


def test_v_genes_of_pairs_are_those_of_the_heavy_and_of_the_light_chain() -> None:
    genes = germline_genes([f"{HEAVY}|{LIGHT}", f"{NANOBODY}|{LIGHT}", f"{HEAVY}|QVQ", f"{LIGHT}|{HEAVY}"])
    heavy, light = germline_genes([HEAVY])[0, 0], germline_genes([LIGHT])[0, 1]
    assert genes[0].tolist() == [heavy, light]
    assert genes[1, 1] == light
    assert genes[2].tolist() == [heavy, UNKNOWN]
    assert genes[3].tolist() == [UNKNOWN, UNKNOWN], "swapped columns have no heavy gene in the heavy chain"


letters = st.text("ACDE", min_size=1, max_size=9)


@given(st.lists(st.tuples(letters, letters), min_size=1, max_size=4), st.tuples(letters, letters))
@examples(40)
def test_the_nearest_pair_is_that_with_fewest_edits_in_both_chains(
    training: list[tuple[str, str]], query: tuple[str, str]
) -> None:
    from rapidfuzz.distance import Levenshtein

    ((_, same),) = identities(["|".join(query)], ["|".join(pair) for pair in training])
    for value, other in zip(same[0], training, strict=True):
        edits = sum(Levenshtein.distance(*chains) for chains in zip(query, other, strict=True))
        shorter = sum(min(map(len, chains)) for chains in zip(query, other, strict=True))
        assert value == pytest.approx(max(0, 1 - edits / shorter))
    with pytest.raises(SequenceError, match="a single chain among pairs"):
        list(identities(["AC|DE"], ["ACDE"]))


# The heavy chain decides which antibodies are related

_light = st.text("ACDEFGHIKL", min_size=8, max_size=12)


@given(data=st.data(), chain=st.sampled_from(["paired", "both"]), seed=st.integers(0, 99))
@examples(40)
def test_pairs_that_share_a_heavy_chain_never_cross_the_folds_of_a_split_by_identity(
    data: st.DataObject, chain: str, seed: int
) -> None:
    distinct = data.draw(
        st.lists(st.text("MNPQRSTVWY", min_size=10, max_size=14), min_size=8, max_size=10, unique=True)
    )
    heavy = distinct + data.draw(st.lists(st.sampled_from(distinct), max_size=10))
    light = [data.draw(_light) for _ in heavy]
    antibodies = Dataset(list(map(str, range(len(heavy)))), heavy, light, chain=chain)
    unit = Division.of(SplitSpec(by="identity"), antibodies).unit
    assert unit is not None
    for row, other in ((i, j) for i in range(len(heavy)) for j in range(i)):
        if identity(heavy[row], heavy[other]) >= 0.9:
            assert unit[row] == unit[other]
    label = np.arange(len(heavy)) % 2
    _, first = np.unique(unit, return_index=True)
    if min(len(set(unit[label == value])) for value in (0, 1)) < 2 or len(first) < 4:
        return
    for train, test in Division(SplitSpec(by="identity", folds=2, random_state=seed), unit).folds(label):
        assert not {heavy[i] for i in train} & {heavy[i] for i in test}
    splitter = IdentityKFold(2, random_state=seed)
    for antibody in (tuple, lambda chains: str(Antibody(*chains))):
        groups = [antibody(chains) for chains in zip(heavy, light, strict=True)]
        for train, test in splitter.split(np.zeros((len(heavy), 1)), label, groups):
            assert not {heavy[i] for i in train} & {heavy[i] for i in test}


def clones(chain: str, *, of_each: int = 3) -> Dataset:
    """Return heavy chains that are each paired with several light chains; the label is that of the heavy chain."""
    heavy = [chain for chain in VH[:10] for _ in range(of_each)]
    light = [VL[i % len(VL)] for i in range(len(heavy))]
    label = [i // of_each % 2 for i in range(len(heavy))]
    return Dataset([str(i) for i in range(len(heavy))], heavy, light, label=label, chain=chain)


@pytest.mark.parametrize("chain", ["paired", "both"])
def test_scores_out_of_fold_have_not_seen_the_heavy_chain_with_another_light_chain(chain: str) -> None:
    data = clones(chain)
    heavy_alone = np.eye(10)[[i // 3 for i in range(30)]]
    classifier = KNeighborsClassifier(1)
    found = out_of_fold(classifier, heavy_alone, data.binary_labels(), data, SplitSpec())
    assert not isinstance(found, str)
    assert found.by == "identity"
    assert np.mean(found.score == found.label) < 0.9, "a heavy chain that is seen in training is always right"


@pytest.mark.parametrize("chain", ["paired", "both"])
def test_tested_pairs_of_one_heavy_chain_are_one_observation(chain: str) -> None:
    predictor = Trainer(DESCRIPTORS).fit(pairs(range(10, 30), continuous=False, chain=chain))
    report = predictor.evaluate(clones(chain))
    assert int(report.scored.rows.cluster.max()) + 1 == 10
    assert "The 30 antibodies are 10 clusters at 90% identity of heavy chains" in " ".join(str(report).split())


def test_no_tested_pair_has_a_relative_in_the_training_of_a_split_by_identity() -> None:
    report = Trainer(DESCRIPTORS, split=SplitSpec(by="identity", folds=3)).cross_validate(clones("paired"))
    assert report.identity is not None
    assert (report.identity < 0.9).all()
    assert "folds of clusters at 90% identity of heavy chains" in report.counts


@pytest.mark.parametrize("chain", ["paired", "both"])
def test_the_audit_counts_pairs_of_one_heavy_chain_as_near_duplicates(chain: str) -> None:
    data = clones(chain)
    audit = data.audit(identities=(0.9,), numbering=False)
    assert audit["exact duplicates"].count == 0
    assert audit["near-duplicates at 90%"].count == 30
    assert "10 clusters by heavy chain" in audit["near-duplicates at 90%"].detail
    assert audit["unusual lengths"].detail.startswith("median 227 residues"), "the bar between chains is no residue"
    other = Dataset(["a"], [VH[0]], [VL[20]], chain=chain)
    shared = data.audit(other, identities=(0.9,), numbering=False)
    assert shared["sequences of both sets"].count == 0
    assert shared["pairs of both at 90%"].count == 3


def test_a_pair_with_the_heavy_chain_of_a_training_pair_is_said_and_is_no_training_antibody() -> None:
    predictor = Trainer(DESCRIPTORS).fit(pairs(range(N), continuous=False), uncertainty=False)
    table = predictor.score_table([(VH[0], VL[0]), (VH[0], VL[25]), (VH[26], VL[0])])
    assert table["identity"].tolist()[:2] == [1.0, 1.0]
    assert table["identity"][2] < 0.9
    assert table["warning"][0] == "is a training antibody"
    assert table["warning"][1].startswith("has the heavy chain of a training antibody")
    assert "training antibody" not in table["warning"][2]


# What fails costs a note


def test_a_baseline_that_fails_is_a_remark_and_the_others_are_there(tiny: ExtractorSpec, tmp_path: Path) -> None:
    whole = pairs(range(N), continuous=False)
    data = Dataset(whole.ids, whole.heavy, ["XXXXXXXX", *whole.light[1:]], label=whole.label, chain="paired")
    report = Trainer(tiny, split=SPLIT).cross_validate(data, check=False)
    assert {"majority", "germline", "nearest_neighbour"} <= set(report.baselines.found)
    assert "net_charge" in report.baselines.absent
    said = " ".join(str(report).split())
    assert "all residues are unknown (X) in the light chain" in said
    assert "net charge of each chain" in said
    html = report.to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "all residues are unknown (X) in the light chain" in html


def test_what_is_wrong_for_every_baseline_is_an_error() -> None:
    with pytest.raises(ValueError, match="20 folds need at least 20 antibodies of each class"):
        cross_validate_baselines(pairs(range(N), continuous=False), SplitSpec(folds=20))
    with pytest.raises(ValueError, match="choose one of majority"):
        cross_validate_baselines(pairs(range(N), continuous=False), SPLIT, ["weight"])  # type: ignore[list-item]


def failing(*_: object, **__: object) -> None:
    raise ValueError("singular matrix")


def test_a_figure_that_fails_is_a_note_on_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    report = Trainer(DESCRIPTORS, split=SPLIT).cross_validate(pairs(range(N), continuous=False))
    monkeypatch.setattr(plots, "calibration", failing)
    monkeypatch.setattr(Report, "by_family", property(failing))
    html = report.to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    assert html.count("This figure could not be drawn: singular matrix") == 2
    assert html.count("<svg") > 4


@pytest.fixture
def without_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(page_of_reports, "page", failing)
    pairs(range(N), continuous=False).to_frame().to_csv("ours.csv", index=False)
    return tmp_path


def test_a_run_whose_page_fails_keeps_metrics_predictions_and_model(without_page: Path) -> None:
    overrides = ("data=ours.csv", "data.chain=paired", "model=descriptors", "split.folds=3", "output=out")
    done = run(train_command.app, *overrides)
    assert done.stderr == "warning: out/report.html is missing: singular matrix\n"
    assert "report.html is missing" in Path("out/train.log").read_text()
    assert not Path("out/report.html").exists()
    assert set(json.loads(Path("out/metrics.json").read_text())["baselines"]) == set(BASELINES)
    assert len(pd.read_csv("out/out_of_fold.csv")) == N
    assert Predictor.load("out/model").predict([(VH[0], VL[0])]).shape == (1,)


def test_a_run_whose_comparisons_fail_keeps_scores_predictions_and_model(
    without_page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Report, "comparisons", property(failing))
    done = run(
        train_command.app, "data=ours.csv", "data.chain=paired", "model=descriptors", "split.folds=3", "output=out"
    )
    assert "warning: metrics.json holds only scores: singular matrix\n" in done.stderr
    assert len(json.loads(Path("out/metrics.json").read_text())["scores"]["roc_auc"]["folds"]) == 3
    assert Predictor.load("out/model").predict([(VH[0], VL[0])]).shape == (1,)


def test_a_benchmark_whose_page_fails_keeps_its_tables_and_writes_the_page_the_next_time(
    without_page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = ("data=ours.csv", "data.chain=paired", "model=descriptors", "split.folds=3", "output=grid")
    done = run(benchmark_command.app, *overrides)
    assert "warning: grid/report.html is missing: singular matrix\n" in done.stderr
    assert {"scores.csv", "results.json", "summary.txt"} <= {path.name for path in Path("grid").iterdir()}
    monkeypatch.undo()
    monkeypatch.chdir(without_page)
    again = run(benchmark_command.app, *overrides)
    assert "nothing was computed" in again.stdout
    assert Path("grid/report.html").is_file()


# Benchmarks and commands


@pytest.mark.parametrize(
    ("case", "given_as"),
    [("descriptors-logreg", "path"), ("model-ridge", "path"), ("descriptors-ridge", "data"), ("model-logreg", "data")],
    indirect=["case"],
)
def test_a_benchmark_of_pairs_runs_on_data_and_on_tables(given_as: str, case: Case, here: Path, tmp_path: Path) -> None:
    sources = {"data": (case.data, [case.test]), "path": ("ours.csv", [here / "theirs.csv"])}[given_as]
    grid = Benchmark(
        [case.extractor], [case.classifier], *sources,
        chain=None if given_as == "data" else "paired", split=SPLIT, store="embeddings", output=tmp_path / "grid",
    )  # fmt: skip
    report = grid.run()
    assert not grid.failed
    assert not grid.missing
    validated, tested = report.reports
    metric = validated.metric
    np.testing.assert_allclose(validated.scores[metric], case.reports["cross-validation"].scores[metric])
    np.testing.assert_allclose(tested.scores[metric], case.reports["test"].scores[metric])
    assert "net charge of each chain" in str(report)
    rows = list(csv.DictReader((tmp_path / "grid" / "scores.csv").read_text().splitlines()))
    assert {row["fragment"] for row in rows} == {"paired"}
    assert grid.finished() == str(report)


def test_a_benchmark_of_pairs_runs_on_a_data_set_that_is_named(tmp_path: Path) -> None:
    charges = DescriptorSpec(descriptors=("net_charge",))
    options = {"split": SplitSpec(folds=2), "output": tmp_path}
    grid = Benchmark([charges], ["logreg"], "boughter_flu_cdrs", chain="paired", **options)
    (report,) = grid.run().reports
    assert report.data.digest == load_dataset("boughter_flu_cdrs", chain="paired").digest
    assert grid.finished() is not None
    assert Benchmark([charges], ["logreg"], "boughter_flu_cdrs", **options).finished() is None, "other chains"


def test_the_train_command_says_the_chain_and_gives_the_numbers_of_python(case: Case, here: Path) -> None:
    model = "model=descriptors" if case.extractor is DESCRIPTORS else f"extractor.model={case.extractor.model}"
    fields = ["extractor.descriptors=[net_charge,composition]"] if case.extractor is DESCRIPTORS else []
    overrides = [model, *fields, f"classifier={case.classifier}", "data=ours.csv", "data.chain=paired", "split.folds=3"]
    done = run(train_command.app, *overrides, "output=out")
    assert done.stderr == ""
    metrics = json.loads(Path("out/metrics.json").read_text())
    expected = case.reports["cross-validation"]
    assert metrics["scores"] == json.loads(json.dumps(expected.summary["scores"]))
    assert set(metrics["baselines"]) - {"random_weights"} == set(BASELINES)
    assert "nearest pair" in Path("out/report.html").read_text(encoding="utf-8")
    found = Predictor.load("out/model", store="embeddings").predict(case.test)
    np.testing.assert_allclose(found, case.predictor.predict(case.test))


@others
def test_the_benchmark_command_says_the_chain(case: Case, here: Path) -> None:
    model = "model=descriptors" if case.extractor is DESCRIPTORS else f"extractor.model={case.extractor.model}"
    chosen = [model, f"classifier={case.classifier}", "data=ours.csv", "test=theirs.csv", "data.chain=paired"]
    done = run(benchmark_command.app, *chosen, "split.folds=3", "output=grid")
    assert "nearest pair" in done.stdout
    assert Path("grid/report.html").is_file()


@some
def test_evaluate_predict_explain_and_scan_read_pairs_from_the_shell(case: Case, here: Path) -> None:
    done = run(app, "evaluate", "theirs.csv", "--model", "model", "-o", "page.html", "-o", "rows.csv", "-o", "all.json")
    report = Predictor.load("model", store="embeddings").evaluate(case.test)
    assert str(report) in done.stdout
    assert all(Path(name).is_file() for name in ("page.html", "rows.csv", "all.json"))

    expected = case.predictor.score_table(case.test)
    for table, rows in (("theirs.csv", len(case.test)), ("two.fasta", 2)):
        run(app, "predict", table, "--model", "model", "-o", "scores.csv")
        found = pd.read_csv("scores.csv", keep_default_na=False, na_values=[""])
        np.testing.assert_allclose(found["prediction"], expected["prediction"][:rows])
        np.testing.assert_allclose(found["identity"], expected["identity"][:rows])

    for antibody in ("two.csv", "two.fasta", f"{VH[N]}|{VL[N]}"):
        text = run(app, "explain", antibody, "--model", "model", "--method", "occlusion").stdout
        assert "light chain" in text
        whole = run(app, "scan", antibody, "--model", "model", "--positions", "L:107", "-o", "scan.csv").stdout
        assert "mutants written to scan.csv" in whole
        table = pd.read_csv("scan.csv", keep_default_na=False)
        first = table[table["id"] == table["id"][0]].reset_index(drop=True)
        expected_scan = mutational_scan(case.predictor, (VH[N], VL[N]), "L:107").to_frame()
        assert first["mutation"].tolist() == expected_scan["mutation"].tolist()
        np.testing.assert_allclose(first["change"], expected_scan["change"], atol=1e-9)


@some
def test_an_antibody_without_a_light_chain_is_refused_by_the_shell_with_its_row(case: Case, here: Path) -> None:
    Path("alone.fasta").write_text(f">one\n{VH[0]}|{VL[0]}\n>two\n{VH[1]}\n")
    done = CliRunner().invoke(app, ["explain", "alone.fasta", "--model", "model"])
    assert done.exit_code == 1
    assert "line 3 (id two): empty in the light chain" in done.stderr
    run(app, "predict", "alone.fasta", "--model", "model", "-o", "scores.csv")
    assert pd.read_csv("scores.rejected.csv")["reason"].tolist() == ["has no light chain"]


def test_pairs_have_the_same_scores_however_they_are_given(case: Case) -> None:
    expected = case.predictor.score_table(case.test)
    chains = list(zip(case.test.heavy, case.test.light, strict=True))
    texts = ["|".join(pair) for pair in chains]
    for antibodies in (
        chains,
        texts,
        [Antibody(*pair) for pair in chains],
        pd.Series(texts),
        case.test.to_frame(),
        pd.DataFrame({"id": case.test.ids, "sequence": texts}),
    ):
        pd.testing.assert_frame_equal(
            case.predictor.score_table(antibodies).drop(columns="id"), expected.drop(columns="id")
        )


def test_contributions_occlusion_and_scan_of_pairs_have_the_score_of_the_model(case: Case) -> None:
    pair = (VH[N], VL[N])
    found = residue_contributions(case.predictor, pair)
    assert found.method == ("occlusion" if case.extractor is DESCRIPTORS else "exact")
    assert found.contributions.shape == (len(VH[N]) + len(VL[N]),)
    hidden = occlusion(case.predictor, pair)
    assert hidden.score == pytest.approx(found.score)
    assert [site.chain for site in hidden.sites] == ["H"] * len(VH[N]) + ["L"] * len(VL[N])
    scan = mutational_scan(case.predictor, pair, "H:107, L:107", plausibility=False)
    assert scan.score == pytest.approx(found.score, abs=1e-5)
    for letter, before in (("H", ""), ("L", VH[N] + "|")):
        row = scan.table[scan.table["chain"] == letter].iloc[0]
        text = f"{VH[N]}|{VL[N]}"
        mutant = text[: row["place"]] + row["mutant"] + text[row["place"] + 1 :]
        assert mutant.startswith(before)
        if case.continuous:
            assert row["value"] == pytest.approx(case.predictor.predict([mutant])[0])
        else:
            assert row["probability"] == pytest.approx(case.predictor.predict_proba([mutant])[0, 1])


# The web page, its functions called in process


@pytest.fixture
def functions(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Callable[..., Any]]]:
    monkeypatch.setitem(os.environ, "GRADIO_ANALYTICS_ENABLED", "False")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gradio's own
        from antibody_esm.cli.web import page

        yield {one.fn.__name__: one.fn for one in page(case.predictor, tmp_path).fns.values() if one.fn is not None}
        gc.collect()  # event loops that Gradio leaves open


@others
def test_the_page_scores_explains_and_scans_pairs(functions: dict[str, Callable[..., Any]], case: Case) -> None:
    import gradio as gr

    expected = case.predictor.score_table(case.test.subset([0, 1]))
    fasta = "".join(f">a{i}\n{VH[N + i]}|{VL[N + i]}\n" for i in range(2)) + f">alone\n{VH[0]}\n"
    for text, file in (
        (fasta, None),
        (f"{VH[N]}|{VL[N]}\n{VH[N + 1]}|{VL[N + 1]}\n{VH[0]}\n", None),
        ("", str(case.folder / "theirs.csv")),
        ("", str(case.folder / "two.fasta")),
    ):
        message, *_, scores, _, columns = functions["score"](text, file)
        assert "Antibodies scored" in message
        np.testing.assert_allclose(scores.table["prediction"][:2], expected["prediction"])
        np.testing.assert_allclose(scores.table["identity"][:2], expected["identity"])
        assert scores.rejected["reason"].tolist() == ([] if file else ["has no light chain"])
    event = gr.EventData(None, {"row": str(scores.table["row"].iloc[0]), "scan": False})
    (explained,) = functions["act"](scores, columns, False, "", event)
    assert "light chain" in explained[1]
    assert 'role="alert"' not in explained[1]
    message, figure, _ = functions["scan"](explained[5], "L:107")
    assert "Mutations tried: 19." in message
    assert figure["visible"]
