"""Coverage of intervals for few positives and clones and after cross-validation; time of the bootstrap beside scipy's.

No coverage is claimed after cross-validation; it is measured here, so that the worth of "nominal" is known.
"""

import os
import time
from typing import Literal

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from antibody_esm import LogisticRegressionSpec, SplitSpec
from antibody_esm.classifiers import build, one_blas_thread
from antibody_esm.evaluation.intervals import Interval, bootstrap, delong, intervals
from antibody_esm.evaluation.predictions import Predictions
from antibody_esm.evaluation.shares import rates
from antibody_esm.evaluation.splits import Division
from simulated import Design, measure, sizes

RUNS = int(os.environ.get("RUNS", "400"))
FAR = 20_000


def benchmark_two_thousand_resamples_of_a_thousand_antibodies() -> None:
    generator = np.random.default_rng(0)
    label = (generator.random(1000) < 0.4).astype(np.int64)
    probability = stats.norm.cdf(generator.normal(size=1000) + label - 0.5)
    rows = Predictions(label=label, prediction=(probability > 0.5).astype(np.int64), probability=probability, fold=None)
    ours, peer = [], []
    for _ in range(5):
        began = time.perf_counter()
        bootstrap(rows)
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        stats.bootstrap(
            (label, probability), roc_auc_score, paired=True, vectorized=False, n_resamples=2000, method="percentile"
        )
        peer.append(time.perf_counter() - began)
    print(f"\nten metrics, BCa: {np.median(ours):.2f} s; scipy with scikit-learn, ROC AUC: {np.median(peer):.2f} s")
    assert np.median(ours) < np.median(peer)


def of_before(rows: Predictions) -> dict[str, Interval]:
    """Return the intervals before effective sizes: a bootstrap of every metric if rows belong to clusters."""
    found = bootstrap(rows, resamples=500)
    if rows.independent:
        found |= {"roc_auc": delong(rows)} | {
            name: interval for name, interval in rates(rows, 0.95).items() if name not in ("f1", "mcc")
        }
    return found


@pytest.mark.parametrize("clones", ["none", "pair", "shehata"])
@pytest.mark.parametrize("positives", [7, 20, 46])
def benchmark_coverage_of_few_positives_and_clones(positives: int, clones: Literal["none", "pair", "shehata"]) -> None:
    """One model on 400 held-out rows; clones have one score. `ANTIBODY_ESM_DATA` holds Shehata's antibodies."""
    if clones == "shehata" and positives != 7:
        return
    print("\npositives clones  effective  AUC metric             coverage claimed width | before: coverage width")
    for area in (0.8, 0.96):
        design = Design(positives, clones, area)
        now = measure(design, RUNS, lambda rows: intervals(rows, resamples=500))
        before = measure(design, RUNS, of_before)
        effective = sizes(design)[0].effective
        start = f"{positives:9} {clones:7} {effective:9.1f} {area:4.2f}"
        for name, one in now.items():
            old = before[name]
            print(
                f"{start} {name:18} {one.coverage:8.3f} {one.claimed:7.0%} {one.width:5.3f} "
                f"| {old.coverage:16.3f} {old.width:5.3f}"
            )


@pytest.mark.parametrize(("n", "dim", "difference"), [(100, 5, 0.6), (100, 40, 0.3), (400, 40, 0.3)])
def benchmark_coverage_of_cross_validation(n: int, dim: int, difference: float) -> None:
    """Ten folds of logistic regression on two normal classes.

    Two truths: the mean score of the ten models that were trained, on all antibodies, and its mean over data sets.
    """
    generator = np.random.default_rng(0)
    split, names = SplitSpec(folds=10), ("roc_auc", "balanced_accuracy", "accuracy", "brier")
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in names}

    def some(count: int) -> tuple[np.ndarray, np.ndarray]:
        label = np.arange(count) % 2
        return generator.normal(size=(count, dim)) + label[:, None] * difference, label

    far, far_label = some(FAR)
    with one_blas_thread():
        for _ in range(RUNS):
            features, label = some(n)
            probability, fold, true = np.empty(n), np.empty(n, np.int64), []
            for number, (train, test) in enumerate(Division(split).folds(label)):
                model = build(LogisticRegressionSpec(), dim).fit(features[train], label[train])
                probability[test], fold[test] = model.predict_proba(features[test])[:, 1], number
                said = model.predict_proba(far)[:, 1]
                true.append(predictions(far_label, said, None).scores())
            made = intervals(predictions(label, probability, fold))
            for name in names:
                found[name].append((made[name].low, made[name].high, float(np.mean([one[name] for one in true]))))
    print(f"\n{n} antibodies, {dim} features, 10 folds, {RUNS} data sets, nominal 95 %:")
    for name in names:
        low, high, true = np.array(found[name]).T
        of_models = np.mean((low <= true) & (true <= high))
        of_procedure = np.mean((low <= true.mean()) & (true.mean() <= high))
        print(f"  {name:18} hold the models' {of_models:.1%}, hold the procedure's {of_procedure:.1%}")


def predictions(label: np.ndarray, probability: np.ndarray, fold: np.ndarray | None) -> Predictions:
    prediction = (probability > 0.5).astype(np.int64)
    return Predictions(label=label, prediction=prediction, probability=probability, fold=fold)
