import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from antibody_esm import (
    Dataset,
    DatasetError,
    ExtractorSpec,
    LogisticRegressionSpec,
    RuntimeSpec,
    SplitSpec,
    Trainer,
    TrainSpec,
    load_dataset,
)
from antibody_esm.evaluation.metrics import METRICS
from antibody_esm.testing import tiny_checkpoint

DATA = load_dataset("boughter_flu_cdrs").subset(range(150, 220))


@pytest.fixture
def trainer(tiny: ExtractorSpec) -> Trainer:
    return Trainer(tiny, LogisticRegressionSpec(), SplitSpec(folds=3), runtime=RuntimeSpec(workers=1))


def test_cross_validation_gives_a_score_a_fold_and_predictions_with_ids(trainer: Trainer) -> None:
    report = trainer.cross_validate(DATA, check=False)
    assert tuple(report.scores) == METRICS
    assert all(values.shape == (3,) for values in report.scores.values())
    out = report.out_of_fold
    assert list(out) == ["id", "label", "fold", "prediction", "probability"]
    assert list(out["id"]) == list(DATA.ids)
    for number, accuracy in enumerate(report.scores["accuracy"]):
        fold = out[out["fold"] == number]
        assert (fold["label"] == fold["prediction"]).mean() == pytest.approx(accuracy)


def test_nothing_goes_through_the_language_model_twice(trainer: Trainer) -> None:
    trainer.cross_validate(DATA, check=False)
    computed = trainer.extractor.computed
    assert computed == len(set(DATA.sequences))
    trainer.cross_validate(DATA, check=False)
    trainer.fit(DATA, check=False)
    trainer.evaluate(DATA.subset(range(10, 60)))
    assert trainer.extractor.computed == computed


def test_a_store_serves_other_classifiers_folds_and_orders(tiny: ExtractorSpec, tmp_path: Path) -> None:
    Trainer(tiny, "logreg", store=tmp_path).cross_validate(DATA, check=False)
    for classifier, folds in (("knn", 3), ("xgboost", 4), ("logreg", 5)):
        trainer = Trainer(tiny, classifier, SplitSpec(folds=folds), store=tmp_path)
        trainer.cross_validate(DATA.subset(range(len(DATA))[::-1]))
        assert trainer.extractor.computed == 0


@pytest.mark.parametrize("classifier", ["random_forest", "linear_svm"])
def test_two_trainers_of_one_spec_find_the_same(classifier: str, tiny: ExtractorSpec) -> None:
    one, other = (
        Trainer(tiny, classifier, SplitSpec(folds=3), runtime=RuntimeSpec(workers=n)).cross_validate(DATA, check=False)
        for n in (1, 2)
    )
    assert one.out_of_fold.equals(other.out_of_fold)


@pytest.mark.parametrize("label", [None, np.linspace(0, 1, 70), [2] * 70, [1] * 70])
def test_labels_that_are_not_binary_are_refused_before_anything_runs(trainer: Trainer, label: object) -> None:
    data = Dataset(ids=DATA.ids, heavy=DATA.heavy, label=label)  # type: ignore[arg-type]
    for verb in (trainer.cross_validate, trainer.fit):
        with pytest.raises(DatasetError):
            verb(data)
    assert trainer.extractor.computed == 0


def test_evaluating_before_fitting_is_scikit_learns_error(trainer: Trainer) -> None:
    with pytest.raises(NotFittedError):
        trainer.evaluate(DATA)
    predictor = trainer.fit(DATA, check=False)
    assert trainer.predictor_ is predictor
    assert trainer.evaluate(DATA).scores == predictor.evaluate(DATA).scores


def test_presets_specs_and_a_train_spec_make_the_same_trainer() -> None:
    spec = TrainSpec.compose(["model=esm2_8m", "classifier=xgboost", "split.folds=4"])
    assert Trainer("esm2_8m", "xgboost", SplitSpec(folds=4)).spec == Trainer.from_spec(spec).spec == spec
    assert Trainer().spec == TrainSpec.compose()


def test_a_predictor_is_pinned_to_the_model_it_was_trained_on(tmp_path: Path) -> None:
    folder = tiny_checkpoint("esm", tmp_path / "model", seed=0)
    digest = ExtractorSpec(model=str(folder)).resolve().digest
    trainer = Trainer(folder)
    trainer.cross_validate(DATA, check=False)
    tiny_checkpoint("esm", folder, seed=1)
    assert trainer.fit(DATA, check=False).spec.extractor.digest == digest


def test_making_a_trainer_touches_nothing(tmp_path: Path) -> None:
    Trainer(ExtractorSpec(model="not/there"), store=tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_from_the_store_nothing_imports_torch(tiny: ExtractorSpec, tmp_path: Path) -> None:
    str(Trainer(tiny, store=tmp_path).cross_validate(DATA, check=False))  # with the baseline of random weights
    program = f"""
import json, sys
from antibody_esm import *
data = load_dataset("boughter_flu_cdrs").subset(range(150, 220))
report = Trainer({tiny!r}, store={str(tmp_path)!r}).cross_validate(data, check=False)
str(report), report.to_frame(), report._repr_html_()
embed(data.sequences, {tiny!r}, {str(tmp_path)!r})
before = "torch" in sys.modules
embed(["W"], {tiny!r})
print(json.dumps([before, "torch" in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [False, True], "the second shows that the first can fail"


@pytest.mark.parametrize("by", ["identity", "group", "family", "fold"])
def test_what_a_split_keeps_together_is_in_one_fold_of_a_trainer(by: str, tiny: ExtractorSpec) -> None:
    generator = np.random.default_rng(0)
    families = ["".join(generator.choice(list("ACDEFGHIK"), 20)) for _ in range(8)]
    heavy = [family[:-1] + letter for family in families for letter in "ACDEF"]
    data = Dataset(
        ids=[str(i) for i in range(40)],
        heavy=heavy,
        label=[0, 1] * 20,
        groups=[str(i // 5) for i in range(40)],
        measurements={"fold": [i // 10 for i in range(40)]},
    )
    split = SplitSpec(by=by, folds=4) if by in ("identity", "group") else SplitSpec(by=by)  # type: ignore[arg-type]
    report = Trainer(tiny, split=split).cross_validate(data, check=False)
    fold = report.out_of_fold["fold"].to_numpy().reshape(8, 5)
    assert (fold == fold[:, :1]).all()
    assert len(set(fold[:, 0])) == {"identity": 4, "group": 4, "family": 8, "fold": 4}[by]
    assert "stratified" not in str(report)
