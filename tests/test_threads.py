"""Threads end in order: none runs when its caller goes on, and no process dies by SIGABRT after its result."""

import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from antibody_esm import SplitSpec
from antibody_esm.evaluation.cross_validation import cross_validate
from antibody_esm.threads import Finishing, in_threads
from effort import PATIENCE, STRESS

SHORT = """
import sys, time
import numpy as np
from antibody_esm.threads import in_threads

many = np.arange(200_000) % 1000

def run(number):
    if number == 0:
        time.sleep(0.02)
        raise ValueError("this fold cannot be divided")
    for _ in range(30):
        np.unique(many)  # C++ that takes the GIL again at its end

try:
    in_threads(run, [(i,) for i in range(40)], workers=4)
except ValueError as error:
    print(error)
sys.exit(3)
"""
"""One fold fails while others are in NumPy's C++: the case of a report that ended with 134."""


def test_a_short_process_whose_fold_failed_ends_with_its_own_status(tmp_path: Path) -> None:
    """Without `Finishing`, 8 of 8 died by SIGABRT, `terminate called without an active exception`."""
    (tmp_path / "short.py").write_text(SHORT)
    for _ in range(100 if STRESS else 3):
        done = subprocess.run(
            [sys.executable, "short.py"], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE
        )
        assert (done.returncode, done.stdout, done.stderr) == (3, "this fold cannot be divided\n", "")


class Slow(ClassifierMixin, BaseEstimator):
    """A classifier that fails at once on the first fold, and computes for a while on the others."""

    running = 0

    def fit(self, X: np.ndarray, y: np.ndarray) -> "Slow":
        if 0 not in X[:, 0]:
            raise ValueError("no first row")
        Slow.running += 1
        time.sleep(0.3)
        Slow.running -= 1
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.zeros(len(X), int)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return np.full((len(X), 2), 0.5)


def test_no_fold_is_computed_any_more_when_cross_validation_has_failed() -> None:
    features, label = np.arange(40.0)[:, None], np.arange(40) % 2
    with pytest.raises(ValueError, match="no first row"):
        cross_validate(Slow(), features, label, SplitSpec(folds=5), workers=4)
    assert Slow.running == 0


def test_ctrl_c_waits_for_the_calls_that_run_and_begins_no_others() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what a script runs in the background
    began, ended = [], []

    def run(number: int) -> None:
        began.append(number)
        time.sleep(0.3)
        ended.append(number)

    timer = threading.Timer(0.1, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        in_threads(run, [(i,) for i in range(50)], workers=2)
    timer.join()
    time.sleep(0.2)
    assert sorted(began) == sorted(ended)
    assert len(began) < 10


@pytest.mark.parametrize("backend", ["threading", "sequential", "loky"])
def test_results_are_in_the_order_of_the_calls_on_every_backend(backend: str) -> None:
    with joblib.parallel_config(backend, n_jobs=2):
        assert in_threads(pow, [(i, 2) for i in range(6)], workers=2) == [0, 1, 4, 9, 16, 25]


def test_a_call_after_the_end_is_refused() -> None:
    with Finishing() as finishing:
        run = finishing(int)
        assert run("3") == 3
    with pytest.raises(RuntimeError, match="the caller has ended"):
        run("3")


def test_calls_that_filter_warnings_for_a_while_leave_the_filters_of_the_caller() -> None:
    second_has_entered, first_has_left = threading.Event(), threading.Event()

    def first() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            two_are_inside.wait(PATIENCE)
            assert second_has_entered.wait(PATIENCE)
        first_has_left.set()

    def second() -> None:
        two_are_inside.wait(PATIENCE)
        with warnings.catch_warnings():  # its filters of before are those of the first call
            second_has_entered.set()
            assert first_has_left.wait(PATIENCE)

    two_are_inside = threading.Barrier(2)
    before = [(action, category) for action, _, category, *_ in warnings.filters]
    in_threads(lambda call: call(), [(first,), (second,)], workers=2)
    assert [(action, category) for action, _, category, *_ in warnings.filters] == before
