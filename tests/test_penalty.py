"""The penalty of linear regressors is chosen on folds of the training rows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.preprocessing import StandardScaler

from antibody_esm import Benchmark, Dataset, DescriptorSpec, Predictor, SplitSpec, Trainer, TrainSpec, presets
from antibody_esm.classifiers import build
from antibody_esm.evaluation.cross_validation import cross_validate, fit
from antibody_esm.evaluation.splits import Division
from antibody_esm.penalty import PenaltySearch
from antibody_esm.specs import ElasticNetSpec, LogisticRegressionSpec, RidgeSpec

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(60, 40))
Y = X[:, 0] + 2 * GENERATOR.normal(size=60)
CHOSEN = RidgeSpec(alpha="cv")
linear = pytest.mark.parametrize("spec", [CHOSEN, ElasticNetSpec(alpha="cv")], ids=["ridge", "elastic_net"])


def test_presets_choose_and_specs_do_not() -> None:
    assert presets.REGRESSORS["ridge"] == CHOSEN
    assert presets.REGRESSORS["elastic_net"] == ElasticNetSpec(alpha="cv")
    assert (RidgeSpec().alpha, ElasticNetSpec().alpha) == (1.0, 0.1)
    assert TrainSpec.compose(["classifier=ridge"]).classifier == CHOSEN
    assert TrainSpec.compose(["classifier=ridge", "classifier.alpha=10"]).classifier == RidgeSpec(alpha=10.0)
    with pytest.raises(ValueError, match="alpha"):
        RidgeSpec(alpha="gcv")


@linear
def test_the_choice_has_the_smallest_error_on_inner_folds(spec: RidgeSpec | ElasticNetSpec) -> None:
    division = Division(SplitSpec(by="group"), np.arange(60) // 3)
    search = build(spec, 40)
    assert isinstance(search, PenaltySearch)
    error = {}
    inner = division.again(SplitSpec(folds=5, by="group")).folds(Y, continuous=True)
    for alpha in search.values:
        of_folds = []
        for train, test in inner:
            fitted = build(spec.model_copy(update={"alpha": alpha}), 40).fit(X[train], Y[train])
            of_folds.append(np.mean((fitted.predict(X[test]) - Y[test]) ** 2))
        error[alpha] = np.mean(of_folds)
    assert search.fit(X, Y, division).chosen_ == min(error, key=lambda alpha: error[alpha])
    plain = fit(build(spec, 40), X, Y, division)
    same = build(spec.model_copy(update={"alpha": search.chosen_}), 40).fit(X, Y)
    assert np.array_equal(plain.predict(X), same.predict(X))
    assert not isinstance(plain, PenaltySearch), "what is saved is the pipeline that was chosen"


def test_units_of_the_split_stay_together_within() -> None:
    """Each value occurs four times: rows apart, the weakest penalty looks best; clones together, the strongest does."""
    copies = np.repeat(np.arange(15), 4)
    features, label = GENERATOR.normal(size=(15, 40))[copies], GENERATOR.normal(size=15)[copies]
    apart = build(CHOSEN, 40).fit(features, label)
    together = build(CHOSEN, 40).fit(features, label, Division(SplitSpec(by="group"), copies))
    gcv = RidgeCV(apart.values).fit(StandardScaler().fit_transform(features), label).alpha_
    assert apart.chosen_ <= gcv < 10
    assert together.chosen_ > 30 * gcv


@pytest.mark.parametrize("by", ["family", "fold", "leave_one_out", "group", "identity"])
def test_every_split_gives_a_choice_even_where_one_unit_is_left(by: str) -> None:
    rows = np.arange(30)
    unit = rows if by == "leave_one_out" else rows // 15
    split = SplitSpec(by=by) if by in ("family", "fold", "leave_one_out") else SplitSpec(by=by, folds=2)
    found = cross_validate(build(CHOSEN, 40), X[:30], Y[:30], Division(split, unit))
    assert np.isfinite(found.prediction).all()


def test_labels_that_are_tested_have_no_part_in_the_choice() -> None:
    split = SplitSpec(folds=4)
    whole = cross_validate(build(CHOSEN, 40), X, Y, split)
    for number in range(4):
        rows = np.flatnonzero(whole.fold == number)
        train = np.setdiff1d(np.arange(60), rows)
        alone = fit(build(CHOSEN, 40), X[train], Y[train], Division(split).part(train))
        assert np.array_equal(alone.predict(X[rows]), whole.prediction[rows])


@linear
def test_a_chosen_penalty_is_trained_saved_loaded_and_explained(
    spec: RidgeSpec | ElasticNetSpec, tmp_path: Path
) -> None:
    from antibody_esm.explain import residue_contributions

    sequences = ["".join(GENERATOR.choice(list("ACDEFGHIKLMNPQRSTVWY"), 20)) for _ in range(50)]
    label = [float(one.count("K") - one.count("D")) + GENERATOR.normal() / 5 for one in sequences]
    data = Dataset([f"a{i}" for i in range(50)], sequences, label=label, fragment="H-CDRs")
    trainer = Trainer(DescriptorSpec(descriptors=("composition", "net_charge")), spec, SplitSpec(folds=3))
    report = trainer.cross_validate(data)
    assert "alpha='cv'" in str(report)
    assert report.scores["spearman"].mean() > 0.5
    trainer.fit(data, scores=False).save(tmp_path)
    loaded = Predictor.load(tmp_path)
    assert loaded.spec.classifier == spec
    assert np.array_equal(loaded.predict(data), trainer.predictor_.predict(data))
    assert np.isfinite(residue_contributions(loaded, sequences[0]).contributions).all()
    if isinstance(spec, RidgeSpec):
        (step,) = [step for name, step in loaded.classifier.steps if name == "regress"]
        assert isinstance(step, Ridge)
        assert step.alpha in build(spec, 1).values


def test_reports_and_benchmarks_say_what_each_fold_chose_and_what_did_not_converge(tmp_path: Path) -> None:
    sequences = ["".join(GENERATOR.choice(list("ACDEFGHIKLMNPQRSTVWY"), 20)) for _ in range(50)]
    value = [float(one.count("K") - one.count("D")) + GENERATOR.normal() for one in sequences]
    data = Dataset([f"a{i}" for i in range(50)], sequences, label=value, fragment="H-CDRs")
    spec = DescriptorSpec(descriptors=("composition", "net_charge"))
    report = Trainer(spec, CHOSEN, SplitSpec(folds=3)).cross_validate(data)
    assert len(report.penalties) == 3
    assert set(report.penalties) <= set(build(CHOSEN, 1).values)
    assert "The penalty alpha was chosen on the training antibodies of each fold" in " ".join(str(report).split())
    assert report.to_dict()["penalties"] == list(report.penalties)
    halves = replace(data, label=[float(each > 0) for each in value])
    short = Trainer(spec, LogisticRegressionSpec(max_iter=2), SplitSpec(folds=3))
    with pytest.warns(ConvergenceWarning):
        once = short.cross_validate(halves)
    assert "The solver did not converge in 3 of 3 fits" in " ".join(str(once).split())
    assert once.to_dict()["unconverged"] == 3
    enough = Trainer(spec, LogisticRegressionSpec(), SplitSpec(folds=3)).cross_validate(halves)
    assert enough.unconverged == 0
    assert "did not converge" not in str(enough)
    grid = Benchmark([spec], [CHOSEN], data, split=SplitSpec(folds=3), output=tmp_path).run()
    again = Benchmark([spec], [CHOSEN], data, split=SplitSpec(folds=3), output=tmp_path).run()
    assert grid.reports[0].penalties == again.reports[0].penalties == report.penalties
