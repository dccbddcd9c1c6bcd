"""No score is optimistic in silence: training antibodies in tests and clones in other folds come first."""

import html
import json
import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import Benchmark, Dataset, DescriptorSpec, LogisticRegressionSpec, Predictor, SplitSpec, Trainer
from antibody_esm.data.identity import has_similar, identities, similar_pairs
from antibody_esm.evaluation import overlap as overlaps
from antibody_esm.evaluation.overlap import Overlap, clones, overlap
from antibody_esm.evaluation.splits import Division
from antibody_esm.reports.grid import GridReport
from antibody_esm.reports.report import Report
from chains import HEAVY, LIGHT
from reporting import CHARGES, LOGREG, antibodies, cross_validated

RESIDUES = "ADEFGHIKLNPQRSTVY"
KMERS = DescriptorSpec(descriptors=("kmers",))


def unlike(n: int, seed: int, length: int = 60) -> list[str]:
    generator = np.random.default_rng(seed)
    return ["".join(generator.choice(list(RESIDUES), length)) for _ in range(n)]


def changed(sequence: str, places: int, seed: int) -> str:
    """A relative with so many other residues."""
    generator, residues = np.random.default_rng(seed), list(sequence)
    for place in generator.choice(len(sequence), places, replace=False).tolist():
        residues[place] = "W" if residues[place] != "W" else "M"
    return "".join(residues)


def families(n: int = 60, size: int = 3, seed: int = 3, **options: object) -> Dataset:
    """Families of clones that share a random label: it can be remembered and not learnt."""
    label = (np.random.default_rng(seed).permutation(n) < n // 2).astype(int)
    rows = [(changed(one, 2, 100 * i + j), label[i]) for i, one in enumerate(unlike(n, seed)) for j in range(size)]
    ids, heavy, chosen = [f"a{i}" for i in range(len(rows))], [row[0] for row in rows], [row[1] for row in rows]
    return Dataset(ids, heavy, label=chosen, fragment="H-CDRs", **options)


TRAINING = Dataset([f"t{i}" for i in range(60)], unlike(60, 0), label=[0, 1] * 30, fragment="H-CDRs")
TESTED = Dataset(
    [f"x{i}" for i in range(40)],
    [
        *TRAINING.sequences[:12],
        *(changed(sequence, 6, i) for i, sequence in enumerate(TRAINING.sequences[20:25])),
        *(changed(sequence, 7, i) for i, sequence in enumerate(TRAINING.sequences[30:33])),
        *unlike(20, 1),
    ],
    label=[0, 1] * 20,
    fragment="H-CDRs",
)
SENTENCE = (
    "12 of 40 test antibodies are training antibodies, 5 more are clonally related (90 % identity): "
    "scores are optimistic."
)


def fitted(data: Dataset = TRAINING, **options: object) -> Predictor:
    return Trainer(CHARGES, LOGREG, **options).fit(data)


def shown(report: object) -> str:
    return " ".join(str(report).split())


def plain(page: str) -> str:
    """The text of a page."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", page)).split())


@pytest.mark.parametrize("loaded", [False, True])
def test_training_antibodies_and_their_relatives_among_the_tested_ones_are_the_first_note(
    loaded: bool, tmp_path: Path
) -> None:
    predictor = fitted()
    if loaded:
        predictor = Predictor.load(predictor.save(tmp_path / "model"))
    report = predictor.evaluate(TESTED)
    assert report.overlap == Overlap(40, 12, 5)
    assert report.remarks[0] == report.summary["notes"][0] == report.to_dict()["notes"][0] == SENTENCE
    assert report.to_dict()["overlap"] == {"tested": 40, "training": 12, "related": 5}
    text = shown(report)
    assert text.count(SENTENCE) == 1
    assert text.index(SENTENCE) < text.index("PR AUC")  # behind the verdict, before the numbers
    assert report._repr_html_().index(SENTENCE) < report._repr_html_().index("<table>")
    if not loaded:
        return
    page = report.to_html(tmp_path / "page.html").read_text()
    assert page.count(f"<p class='warn'>{SENTENCE}</p>") == 1
    assert page.index(SENTENCE) < page.index("<h2>")


def test_a_test_on_the_training_set_itself_says_so_first() -> None:
    assert fitted().evaluate(TRAINING).remarks[0] == (
        "60 of 60 test antibodies are training antibodies: scores are optimistic."
    )


def test_a_test_on_other_antibodies_has_no_such_note() -> None:
    report = fitted().evaluate(
        Dataset([str(i) for i in range(20)], unlike(20, 5), label=[0, 1] * 10, fragment="H-CDRs")
    )
    assert report.overlap == Overlap(20, 0, 0)
    assert report.warnings == (report.few,)
    assert "training antibod" not in shown(report)


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ((3, 1, 0), "1 of 3 test antibodies is a training antibody: scores are optimistic."),
        ((3, 2, 1), "2 of 3 test antibodies are training antibodies, 1 more is clonally related (90 % identity): "),
        ((3, 0, 1), "1 of 3 test antibodies is clonally related (90 % identity) to training antibodies: "),
        ((3_000, 0, 0), ""),
    ],
)
def test_counts_are_put_in_words(counts: tuple[int, int, int], sentence: str) -> None:
    assert str(Overlap(*counts)).startswith(sentence)


def test_pairs_are_related_by_their_heavy_chains_and_the_same_by_both() -> None:
    other_light = changed(LIGHT, 40, 0)
    training = Dataset(["a"], [HEAVY], [LIGHT], chain="paired")
    tested = Dataset(
        list("abcd"),
        [HEAVY, HEAVY, changed(HEAVY, 5, 1), changed(HEAVY, 40, 2)],
        [LIGHT, other_light] * 2,
        chain="paired",
    )
    assert overlap(tested, training) == Overlap(4, 1, 2)
    assert overlap(replace(tested, chain="both"), replace(training, chain="both")) == Overlap(4, 1, 2)


def test_every_test_of_a_benchmark_counts_them_too() -> None:
    grid = Benchmark([CHARGES], [LOGREG], TRAINING, [TESTED]).run()
    assert grid.reports[1].remarks[0] == SENTENCE
    assert shown(grid).index(SENTENCE) < shown(grid).index("baselines")


@given(
    st.lists(st.text("ACD", min_size=1, max_size=12), max_size=12),
    st.lists(st.text("ACD", min_size=1, max_size=12), max_size=12),
)
def test_has_similar_is_what_all_pairs_say(queries: list[str], targets: list[str]) -> None:
    pairs = similar_pairs(queries, targets, 0.8)
    assert np.flatnonzero(has_similar(queries, targets, 0.8)).tolist() == sorted(set(pairs.query.tolist()))
    part = np.arange(len(queries)) % 2
    if queries:
        same = np.concatenate([found for _, found in identities(queries, queries)])
        expected = ((same >= 0.8 - 1e-9) & (part[:, None] != part)).any(axis=1)
        assert has_similar(queries, queries, 0.8, parts=(part, part)).tolist() == expected.tolist()


# Clones in other folds


def test_clones_in_other_folds_are_in_the_first_lines_with_the_score_by_identity_beside(tmp_path: Path) -> None:
    data = families(40, 6)
    report = Trainer(KMERS, "knn").cross_validate(data)
    assert report.scores["roc_auc"].mean() > 0.95
    assert report.clones is not None
    assert report.clones.share > 0.95
    by_identity = Trainer(KMERS, "knn", SplitSpec(by="identity")).cross_validate(data)
    expected = by_identity.scores["roc_auc"]
    assert expected.mean() < 0.65
    text = shown(report)
    sentence = report.clones_note
    assert sentence.startswith(f"{report.clones.related} of 240 antibodies (")
    assert "have a clonal relative (90 % identity) in another fold: scores are optimistic." in sentence
    assert (
        f"With clonal relatives in one fold (10 folds of clusters at 90% identity), ROC AUC is "
        f"{by_identity.intervals['roc_auc']} instead of {report.intervals['roc_auc']}." in sentence
    )
    assert text.count(sentence) == 1
    assert text.index(sentence) < text.index("sd 95 % interval")
    found = json.loads(report.to_json(tmp_path / "report.json").read_text())
    assert found["notes"][0] == sentence
    assert found["clones"]["related"] == report.clones.related
    assert found["clones"]["second"]["roc_auc"]["estimate"] == pytest.approx(expected.mean())
    page = report.to_html(tmp_path / "page.html").read_text()
    assert page.index("have a clonal relative") < page.index("<h2>")
    assert report._repr_html_().index("have a clonal relative") < report._repr_html_().index("<table>")
    assert report.summary["notes"][0] == str(report.clones), "it is saved with a model that is fitted next"


def test_values_and_calibrated_classes_have_a_second_cross_validation_too() -> None:
    from antibody_esm import DecisionSpec

    data = families(40, 2)
    values = replace(data, label=np.asarray(data.label) + np.random.default_rng(0).normal(size=80) / 10)
    report = Trainer(KMERS, "ridge", SplitSpec(folds=4)).cross_validate(values)
    expected = Trainer(KMERS, "ridge", SplitSpec(folds=4, by="identity")).cross_validate(values)
    assert f"Spearman is {expected.intervals['spearman']}" in shown(report)
    decision = DecisionSpec(calibration="sigmoid", folds=3)
    report = Trainer(CHARGES, LOGREG, SplitSpec(folds=4), decision=decision).cross_validate(data)
    expected = Trainer(CHARGES, LOGREG, SplitSpec(folds=4, by="identity"), decision=decision).cross_validate(data)
    assert f"ROC AUC is {expected.intervals['roc_auc']} instead of" in shown(report)


def test_a_twentieth_is_not_yet_many_and_folds_by_identity_never_are() -> None:
    alone = unlike(60, 7)
    some = Dataset(
        [str(i) for i in range(60)], [*alone[:-1], changed(alone[0], 1, 0)], label=[0, 1] * 30, fragment="H-CDRs"
    )
    fold = np.arange(60) % 4
    counted = clones(some, fold)
    assert (counted.related, counted.many) == (2, False)
    assert not counted._replace(related=3).many
    assert counted._replace(related=4).many
    assert Trainer(CHARGES, LOGREG, SplitSpec(folds=4)).cross_validate(some).warnings == ()
    grouped = Trainer(CHARGES, LOGREG, SplitSpec(folds=4, by="identity")).cross_validate(families())
    assert grouped.clones is not None
    assert grouped.clones.related == 0
    assert grouped.warnings == ()


def test_too_few_clusters_leave_the_warning_and_the_reason() -> None:
    few = families(6, 10)
    text = shown(Trainer(CHARGES, LOGREG, SplitSpec(folds=5)).cross_validate(few))
    assert "60 of 60 antibodies (100 %) have a clonal relative (90 % identity) in another fold" in text
    assert "was not computed: 5 folds need at least 5 identity clusters with antibodies of each class" in text


def test_a_report_without_vectors_warns_and_says_why_there_is_no_score() -> None:
    report = replace(Trainer(CHARGES, LOGREG).cross_validate(families()), again=None)
    assert "was not computed: this report was made without vectors; see SplitSpec(by='identity')." in shown(report)


def test_the_second_cross_validation_is_computed_when_it_is_shown_and_once_for_data_and_spec(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from antibody_esm import same_vectors

    splits: list[str] = []
    validate = same_vectors.cross_validate

    def counted(*given: object, **options: object) -> object:
        (division,) = [each for each in given if isinstance(each, Division)]
        splits.append(division.spec.by)
        return validate(*given, **options)

    monkeypatch.setattr(same_vectors, "cross_validate", counted)
    first = Trainer(CHARGES, LOGREG, SplitSpec(folds=6)).cross_validate(families(seed=11))
    assert splits == ["antibody"]
    assert first.summary
    assert splits == ["antibody"]
    str(first), first._repr_html_(), first.to_json(tmp_path / "report.json")
    assert splits == ["antibody", "identity"]
    again = Trainer(CHARGES, LOGREG, SplitSpec(folds=6)).cross_validate(families(seed=11))
    assert again.clones_note == first.clones_note
    assert splits == ["antibody", "identity", "antibody"], "another object of the same data and spec"
    assert Trainer(CHARGES, LOGREG, SplitSpec(folds=5)).cross_validate(families(seed=11)).clones_note
    assert splits[3:] == ["antibody", "identity"]


def test_nothing_keeps_a_data_set_alive_after_its_report() -> None:
    import gc
    import weakref

    data = families(seed=12)
    report = Trainer(CHARGES, LOGREG, SplitSpec(folds=6)).cross_validate(data)
    assert report.clones_note
    gone = weakref.ref(data)
    del data, report
    gc.collect()
    assert gone() is None


def test_a_report_with_vectors_can_be_pickled() -> None:
    report = Trainer(CHARGES, LOGREG).cross_validate(families())
    assert pickle.loads(pickle.dumps(report)).clones_note == report.clones_note != ""  # noqa: S301


def test_of_very_many_antibodies_clones_are_estimated_from_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    data = families()
    fold = np.arange(180) % 10
    exact = clones(data, fold)
    monkeypatch.setattr(overlaps, "_MANY", 100)
    monkeypatch.setattr(overlaps, "_SAMPLE", 90)
    sample = clones(data, fold)
    assert (sample.antibodies, sample.looked_at) == (180, 90)
    assert abs(sample.share - exact.share) < 0.1
    assert str(sample).startswith(
        f"About {100 * sample.share:.0f} % of antibodies ({sample.related} of 90 drawn at random"
    )


def test_a_grid_warns_above_its_table_and_gives_the_second_score_of_every_pipeline(tmp_path: Path) -> None:
    data = families()
    pipelines = [LOGREG, LogisticRegressionSpec(C=0.01)]
    grid = GridReport([Trainer(CHARGES, one, SplitSpec(folds=4)).cross_validate(data) for one in pipelines])
    expected = [Trainer(CHARGES, one, SplitSpec(folds=4, by="identity")).cross_validate(data) for one in pipelines]
    page = plain(grid.to_html(tmp_path / "grid.html").read_text())
    for text in (shown(grid), page):
        assert text.count("have a clonal relative (90 % identity) in another fold: scores are optimistic.") == 1
        for one in expected:
            assert f"{one.pipeline}: {one.intervals['roc_auc']}" in text
    assert shown(grid).index("have a clonal relative") < shown(grid).index("baselines")
    assert page.index("have a clonal relative") < page.index("Scores with 95 % intervals")


def test_a_benchmark_has_the_second_score_also_of_results_that_were_there(tmp_path: Path) -> None:
    data = families()
    run = lambda: Benchmark([CHARGES], [LOGREG], data, split=SplitSpec(folds=4), output=tmp_path, store=tmp_path)  # noqa: E731
    first = run().run()
    sentence = first.reports[0].clones_note
    expected = Trainer(CHARGES, LOGREG, SplitSpec(folds=4, by="identity")).cross_validate(data)
    assert f"ROC AUC is {expected.intervals['roc_auc']} instead of" in sentence
    again = run()
    assert again.run().reports[0].clones_note == sentence
    assert again.computed == 0
    assert sentence.partition(": ")[0] in (tmp_path / "summary.txt").read_text().replace("\n", " ")


# Order


def test_overlap_comes_before_few_positives_and_both_before_the_rest(tmp_path: Path) -> None:
    data = antibodies(90, 7, seed=3)
    tested = Dataset(data.ids, [*antibodies().heavy[:3], *data.heavy[3:]], label=data.label, fragment="H-CDRs")
    report = Trainer(CHARGES).fit(antibodies()).evaluate(tested, threshold=0.4)
    remarks = report.remarks
    assert remarks[0].startswith("3 of 90 test antibodies are training antibodies")
    assert remarks[1] == report.few
    assert "opened once" in remarks[2]
    assert report.to_dict()["notes"] == list(remarks)
    _in_order(report, tmp_path, remarks)


def test_clones_come_before_few_positives_and_both_before_the_rest(tmp_path: Path) -> None:
    data = families()
    label = np.zeros(180)
    label[::18] = 1
    report = Trainer(CHARGES, LOGREG, SplitSpec(folds=4)).cross_validate(replace(data, label=label))
    assert report.remarks[:2] == (report.clones_note, report.few)
    _in_order(report, tmp_path, report.remarks)


def _in_order(report: Report, folder: Path, remarks: tuple[str, ...]) -> None:
    page = report.to_html(folder / "page.html").read_text()
    for text in (shown(report), plain(report._repr_html_()), plain(page)):
        places = [text.index(remark) for remark in remarks[:3]]
        assert places == sorted(places)


def test_a_cross_validation_without_clones_has_no_warning() -> None:
    assert cross_validated().warnings == ()
