import numpy as np
import pytest

from antibody_esm.evaluation.metrics import METRICS, score
from antibody_esm.evaluation.predictions import ContinuousPredictions, Predictions

GENERATOR = np.random.default_rng(0)
LABEL = np.arange(40) % 2
PROBABILITY = GENERATOR.random(40)
PREDICTION = (PROBABILITY > 0.5).astype(np.int64)
FOLD = np.repeat([0, 1, 2, 3], 10)


def predictions(**changes: object) -> Predictions:
    columns = {"label": LABEL, "prediction": PREDICTION, "probability": PROBABILITY, "fold": None}
    return Predictions(**columns | changes)  # type: ignore[arg-type]


def test_nobody_leaves_open_how_many_models_there_were() -> None:
    with pytest.raises(TypeError, match="fold"):
        Predictions(label=LABEL, prediction=PREDICTION, probability=PROBABILITY)  # type: ignore[call-arg]


def test_scores_of_one_model_are_those_of_all_rows() -> None:
    assert predictions().scores() == score(LABEL, PREDICTION, PROBABILITY)


def test_scores_of_several_models_are_never_ranked_in_one_list() -> None:
    # Perfect within each fold, at chance when pooled: each model has a scale of its own.
    shifted = np.where(LABEL == 1, 0.2, 0.1) + FOLD / 5
    found = predictions(probability=shifted, fold=FOLD)
    assert found.scores()["roc_auc"] == 1
    assert score(LABEL, PREDICTION, shifted)["roc_auc"] < 0.7
    assert found.folds == 4


def test_scores_of_folds_are_the_mean_over_folds_that_define_them() -> None:
    fold = np.where(np.arange(40) < 4, FOLD, 1 + FOLD)
    label = np.where(np.arange(40) < 4, 0, LABEL)
    found = predictions(label=label, fold=fold)
    by_fold = found.fold_scores()
    for number in range(found.folds):
        rows = fold == number
        expected = score(label[rows], PREDICTION[rows], PROBABILITY[rows])
        for name in METRICS:
            assert by_fold[name][number] == pytest.approx(expected[name], nan_ok=True)
    assert np.isnan(by_fold["roc_auc"]).sum() == 1
    assert found.scores()["roc_auc"] == pytest.approx(np.nanmean(by_fold["roc_auc"]))


def test_clusters_are_named_by_words_or_numbers() -> None:
    one, other = (predictions(clusters=np.array(names)[np.arange(40) % 2]) for names in (["b", "a"], [7, 3]))
    assert one.cluster.tolist() == other.cluster.tolist() == [1, 0] * 20
    assert not one.independent
    assert predictions(clusters=np.arange(40)[::-1]).independent
    assert predictions().cluster.tolist() == list(range(40))


def test_ties_are_those_between_classes_of_one_fold() -> None:
    assert not predictions().tied
    assert predictions(probability=np.full(40, 0.5)).tied
    by_fold = np.where(LABEL == 1, 0.1, 0.2) + (FOLD % 2) / 10
    assert predictions(probability=by_fold).tied
    assert not predictions(probability=by_fold, fold=FOLD).tied


def test_what_is_predicted_is_kept_as_it_was() -> None:
    given = PROBABILITY.copy()
    predictions(probability=given, fold=FOLD).scores()
    assert np.array_equal(given, PROBABILITY)


def test_lists_will_do() -> None:
    found = ContinuousPredictions(target=[1.0, 2.0, 3.0], prediction=[1.0, 2.0, 4.0], fold=None)  # type: ignore[arg-type]
    assert found.scores()["spearman"] == 1
    assert len(found) == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fold": np.zeros(40)}, "one fold is no cross-validation"),
        ({"fold": np.arange(3)}, r"fold has one entry a row \(40\), got shape \(3,\)"),
        ({"clusters": np.arange(3)}, r"clusters has one entry a row \(40\), got shape \(3,\)"),
        ({"probability": PROBABILITY + 1}, "a probability is from 0 to 1"),
        ({"prediction": PREDICTION[1:]}, "lengths differ"),
    ],
)
def test_what_does_not_fit_is_refused_at_once(changes: dict[str, np.ndarray], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        predictions(**changes)


def test_folds_of_one_model_are_none() -> None:
    with pytest.raises(ValueError, match="there are no folds"):
        predictions().fold_scores()
