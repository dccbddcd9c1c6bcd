"""A grid is the same in any order of its keys, different for any other content, and refused if it cannot be meant."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

import strategies
from antibody_esm import (
    AverageSpec,
    ColumnSpec,
    DecisionSpec,
    EnsembleSpec,
    ExtractorSpec,
    KNeighborsSpec,
    LogisticRegressionSpec,
    RidgeSpec,
    TrainSpec,
    TuneSpec,
    XGBoostSpec,
    presets,
)
from antibody_esm.reports.reproduction import overrides
from antibody_esm.specs import DescriptorSpec
from antibody_esm.specs.tuning import KEYS, described
from effort import examples

MODEL = ExtractorSpec(model="m")


@given(strategies.drawn_grids())
@examples(40)
def test_the_order_of_keys_changes_nothing(grid: dict[str, Any]) -> None:
    specs = [TuneSpec(grid={key: grid[key] for key in keys}) for keys in permutations(grid)]
    assert len(set(specs)) == len({spec.fingerprint for spec in specs}) == len({hash(spec) for spec in specs}) == 1
    assert list(specs[0].grid) == sorted(grid)


@given(strategies.tunes(), strategies.tunes())
@examples(100)
def test_specs_of_different_content_have_different_fingerprints(one: TuneSpec, other: TuneSpec) -> None:
    same = repr(one) == repr(other)
    assert (one.fingerprint == other.fingerprint) == (one == other) == same


@given(strategies.drawn_grids(), st.data())
@examples(60)
def test_every_value_of_a_grid_is_part_of_the_fingerprint(grid: dict[str, Any], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(grid)))
    other = data.draw(strategies.drawn_grids((key,)))[key]
    assume(TuneSpec(grid={key: other}) != TuneSpec(grid={key: grid[key]}))
    assert TuneSpec(grid=grid | {key: other}).fingerprint != TuneSpec(grid=grid).fingerprint
    more = {name: values for name, values in grid.items() if name != key}
    if more:
        assert TuneSpec(grid=more).fingerprint != TuneSpec(grid=grid).fingerprint


def test_numbers_have_the_form_of_their_field() -> None:
    assert TuneSpec(grid={"classifier.C": (1, 10)}) == TuneSpec(grid={"classifier.C": [1.0, 10.0]})
    assert TuneSpec(grid={"classifier.C": (1,)}).fingerprint == TuneSpec(grid={"classifier.C": (1.0,)}).fingerprint
    # True is not 1, nor is the order of values without a meaning: of equals the first is chosen.
    assert TuneSpec(grid={"classifier.C": (1, 10)}) != TuneSpec(grid={"classifier.C": (10, 1)})


@pytest.mark.parametrize(
    ("grid", "problem"),
    [
        ({}, "names values for one key at least"),
        ({"classifier.c": (1,)}, "unknown key 'classifier.c' of a grid; did you mean 'classifier.C'?"),
        ({"C": (1,)}, "did you mean 'classifier.C'?"),
        ({"extractor.storage": ("int8",)}, "unknown key 'extractor.storage'"),
        ({"extractor.model": ("a", "b")}, "unknown key 'extractor.model'"),
        ({"classifier.random_state": (0, 1)}, "unknown key 'classifier.random_state'"),
        ({"classifier.kind": ("knn",)}, "unknown key 'classifier.kind'"),
        ({"split.folds": (3,)}, "unknown key 'split.folds'"),
        ({"classifier.C": 1}, "classifier.C needs a list of values, got 1"),
        ({"classifier.C": ()}, r"classifier.C needs a list of values, got \(\)"),
        ({"extractor.pooling": "mean"}, "needs a list of values"),
        ({"classifier.C": (1, 1.0)}, "classifier.C has the value 1.0 twice"),
        ({"classifier": ("xgboost", "xgboost")}, "twice"),
        ({"classifier.C": (0,)}, "classifier.C=0: Input should be greater than 0"),
        ({"classifier.C": (float("nan"),)}, "classifier.C=nan"),
        ({"classifier.C": (True,)}, "classifier.C=True"),
        ({"classifier.standardize": (1,)}, "classifier.standardize=1"),
        ({"classifier": ("logres",)}, "classifier='logres': did you mean 'logreg'?"),
        ({"classifier": (DecisionSpec(),)}, "classifier=DecisionSpec"),
        ({"extractor.pooling": ("meen",)}, "extractor.pooling='meen': Input should be 'mean'"),
        ({"decision.calibration": ("platt",)}, "decision.calibration='platt'"),
        ({"pca": (0,)}, "pca=0"),
        ({"pca": (True,)}, "pca=True"),
        ({"extractor.layer": tuple(range(101)), "pca": tuple(range(1, 101))}, "at most 10,000 combinations"),
    ],
)
def test_a_grid_that_means_nothing_is_refused_by_key_and_value(grid: Any, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        TuneSpec(grid=grid)


COLUMN = ColumnSpec(name="ph", values="number")


@pytest.mark.parametrize(
    ("fields", "grid", "metric", "problem"),
    [
        ({}, {"classifier.n_neighbors": (3,)}, None, "classifier.n_neighbors is no field of logreg"),
        ({"classifier": RidgeSpec()}, {"classifier.C": (1,)}, None, "classifier.C is no field of ridge"),
        ({}, {"classifier": ("knn",), "classifier.C": (1,)}, None, "classifier.C is no field of knn"),
        ({}, {"classifier": ("ridge",)}, None, "classifier=ridge is a regressor, and the pipeline's own, logreg"),
        ({"classifier": RidgeSpec()}, {"classifier": ("knn",)}, None, "classifier=knn is a classifier"),
        ({"classifier": RidgeSpec()}, {"decision.threshold": (0.5,)}, None, "a regressor has no probabilities"),
        ({"classifier": RidgeSpec()}, {"pca": (2,)}, "roc_auc", "metric=roc_auc is a metric of classes"),
        ({}, {"pca": (2,)}, "spearman", "metric=spearman is a metric of continuous labels"),
        ({}, {"decision.threshold": (0.5,)}, None, "decision.threshold changes no roc_auc"),
        ({}, {"decision.threshold": (0.5,)}, "brier", "decision.threshold changes no brier"),
        ({"extractor": DescriptorSpec()}, {"extractor.layer": (1,)}, None, "needs a pipeline of one language model"),
        (
            {"extractor": EnsembleSpec(members=(MODEL, ExtractorSpec(model="n")))},
            {"extractor.layer": (1,)},
            None,
            "needs a pipeline of one language model",
        ),
        (
            {},
            {"extractor.pooling": ("mean", "cls"), "extractor.region": ("all", "cdr3")},
            None,
            "extractor.pooling=cls, extractor.region=cdr3 is no valid combination: .*a region requires pooling",
        ),
        (
            {"extractor": ExtractorSpec(model="m", region="cdr3")},
            {"extractor.pooling": ("cls",)},
            None,
            "extractor.pooling=cls is no valid combination",
        ),
    ],
)
def test_a_grid_that_does_not_fit_its_pipeline_is_refused_when_the_spec_is_made(
    fields: dict[str, Any], grid: Any, metric: Any, problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        TrainSpec(**{"extractor": MODEL} | fields, tune=TuneSpec(grid=grid, metric=metric))


def test_candidates_are_the_combinations_of_keys_that_apply() -> None:
    grid = {"classifier": ("logreg", "knn"), "classifier.C": (0.1, 1), "pca": (None, 5)}
    spec = TrainSpec(extractor=MODEL, tune=TuneSpec(grid=grid))
    assert [described(choice) for choice in spec.candidates] == [
        "classifier=logreg, classifier.C=0.1, pca=None",
        "classifier=logreg, classifier.C=0.1, pca=5",
        "classifier=logreg, classifier.C=1.0, pca=None",
        "classifier=logreg, classifier.C=1.0, pca=5",
        "classifier=knn, pca=None",
        "classifier=knn, pca=5",
    ]
    made = [*spec.candidates.values()]
    assert made[1] == TrainSpec(extractor=MODEL, classifier=LogisticRegressionSpec(C=0.1), pca=5)
    assert made[4] == TrainSpec(extractor=MODEL, classifier=presets.CLASSIFIERS["knn"])
    assert TrainSpec(extractor=MODEL).candidates == {(): TrainSpec(extractor=MODEL)}
    assert spec.untuned == TrainSpec(extractor=MODEL)


def test_a_name_in_a_grid_means_what_it_means_to_a_trainer() -> None:
    tune = TuneSpec(grid={"classifier": ("logreg", "knn", "xgboost")})
    for extractor in (MODEL, DescriptorSpec()):
        made = TrainSpec(extractor=extractor, tune=tune).candidates.values()
        expected = [presets.classifier(name, extractor) for name in ("logreg", "knn", "xgboost")]
        assert [spec.classifier for spec in made] == expected
    own = TuneSpec(grid={"classifier": ("logreg",), "classifier.standardize": (False,)})
    [spec] = TrainSpec(extractor=DescriptorSpec(), tune=own).candidates.values()
    assert spec.classifier == LogisticRegressionSpec()


def test_other_fields_of_the_pipeline_stay_in_every_candidate() -> None:
    extractor = EnsembleSpec(members=(ExtractorSpec(model="m", pooling="max"), COLUMN), combine="concat")
    classifier = LogisticRegressionSpec(class_weight="balanced")
    spec = TrainSpec(
        extractor=extractor,
        classifier=classifier,
        decision=DecisionSpec(folds=3),
        tune=TuneSpec(grid={"extractor.layer": (1,), "classifier.C": (0.1,), "decision.calibration": ("sigmoid",)}),
    )
    [candidate] = spec.candidates.values()
    members = (ExtractorSpec(model="m", pooling="max", layer=1), COLUMN)
    assert candidate.extractor == EnsembleSpec(members=members, combine="concat")
    assert candidate.classifier == LogisticRegressionSpec(class_weight="balanced", C=0.1)
    assert candidate.decision == DecisionSpec(calibration="sigmoid", folds=3)


def test_specs_without_a_grid_keep_their_fingerprints() -> None:
    assert TrainSpec(extractor=MODEL, tune=None, pca=None).fingerprint == TrainSpec(extractor=MODEL).fingerprint
    assert '"tune"' not in TrainSpec(extractor=MODEL).canonical_json
    assert TrainSpec(extractor=MODEL, pca=3).fingerprint != TrainSpec(extractor=MODEL, pca=4).fingerprint


def test_overrides_make_the_same_spec() -> None:
    words = [
        "tune.grid={classifier.C:[0.01,1],extractor.layer:[6,null],pca:[null,20],classifier:[logreg,linear_svm]}",
        *("tune.trials=20", "tune.metric=mcc", "tune.folds=3", "pca=7", "extractor.model=m"),
    ]
    spec = TrainSpec.compose(words)
    grid = {
        "classifier.C": (0.01, 1.0),
        "extractor.layer": (6, None),
        "pca": (None, 20),
        "classifier": ("logreg", "linear_svm"),
    }
    assert spec == TrainSpec(extractor=MODEL, pca=7, tune=TuneSpec(grid=grid, trials=20, metric="mcc", folds=3))
    assert TrainSpec.compose(["tune=null"]).tune is None


@given(strategies.fitting)
@examples(40)
def test_the_overrides_of_a_spec_make_it_again(tune: TuneSpec) -> None:
    spec = TrainSpec(extractor=MODEL, tune=tune, pca=3)
    words = overrides(spec)
    assert words is not None
    assert TrainSpec.compose(words) == spec


def test_a_classifier_without_a_name_cannot_be_an_override() -> None:
    tune = TuneSpec(grid={"classifier": ("knn", XGBoostSpec(max_depth=2))})
    assert overrides(TrainSpec(extractor=MODEL, tune=tune)) is None
    named = TuneSpec(grid={"classifier": ("knn", "xgboost")})
    assert "tune.grid={classifier:[knn,xgboost]}" in (overrides(TrainSpec(extractor=MODEL, tune=named)) or [])


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("tune.grid={classifier.c:[1]}", "did you mean 'classifier.C'?"),
        ("tune.trails=3", "did you mean tune.trials?"),
        ("tune.trials=3", "names values for one key at least"),
        ("tune.grid={classifier.C:1}", "classifier.C needs a list of values"),
        ("tune.grid=[1]", "a grid names values"),
        ("tunes=3", "unknown key"),
    ],
)
def test_a_wrong_override_is_an_error_that_names_it(word: str, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem.replace("?", r"\?")):
        TrainSpec.compose([word])


def test_the_documented_keys_are_all_keys() -> None:
    assert {key.partition(".")[0] for key in KEYS} == {"classifier", "decision", "extractor", "pca"}
    assert {"extractor.layer", "extractor.pooling", "extractor.region", "classifier", "pca"} <= set(KEYS)


def test_a_grid_that_is_too_long_is_refused_before_its_values_are_compared() -> None:
    with pytest.raises(ValidationError, match="pca has 1,000,000 values"):
        TuneSpec(grid={"pca": range(1, 1_000_001)})


@pytest.mark.parametrize("name", sorted(presets.ESTIMATORS))
def test_every_field_of_a_classifier_is_tuned_or_refused_in_a_sentence(name: str) -> None:
    spec = presets.ESTIMATORS[name]
    for field in type(spec).model_fields:
        key, value = f"classifier.{field}", getattr(spec, field)
        if key in KEYS:
            tune = TuneSpec(grid={key: (value,)})
            assert TuneSpec.model_validate_json(tune.model_dump_json()) == tune
            assert TrainSpec(extractor=MODEL, classifier=spec, tune=tune).candidates
        else:
            with pytest.raises(ValidationError, match="is not tuned alone|unknown key"):
                TuneSpec(grid={key: (value,)})


def test_whole_averages_are_tuned_where_they_fit() -> None:
    heads = (LogisticRegressionSpec(), KNeighborsSpec())
    whole, apart = AverageSpec(heads=heads), AverageSpec(heads=heads, per_member=True)
    two = EnsembleSpec(members=(MODEL, DescriptorSpec()), combine="concat")
    spec = TrainSpec(extractor=two, tune=TuneSpec(grid={"classifier": (whole, apart, "average", "logreg")}))
    assert TrainSpec.model_validate_json(spec.model_dump_json()) == spec
    assert [each.classifier for each in spec.candidates.values()][:2] == [whole, apart]
    assert TuneSpec(grid={"classifier": ({"kind": "average", "heads": heads},)}).grid["classifier"] == (whole,)
    for wrong in ({"kind": "average", "heads": object()}, {"kind": "average", "heads": ()}, object()):
        with pytest.raises(ValidationError, match="classifier="):
            TuneSpec(grid={"classifier": (wrong,)})
    for extractor in (
        MODEL,
        EnsembleSpec(members=(MODEL, ExtractorSpec(model="n"), DescriptorSpec()), combine="concat"),
    ):
        with pytest.raises(
            ValidationError, match="is no valid combination: (per_member=True requires|2 heads do not fit)"
        ):
            TrainSpec(extractor=extractor, tune=TuneSpec(grid={"classifier": ("logreg", apart)}))
