"""Callbacks get each finished result once, and none of them can lose one."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from antibody_esm import (
    Benchmark,
    Dataset,
    DescriptorSpec,
    LearningCurve,
    Panel,
    Predictor,
    Report,
    SplitSpec,
    Trainer,
    tracking,
)
from antibody_esm.reports.grid import GridReport
from chains import HEAVY, mutants
from effort import PATIENCE
from test_examples import EXAMPLES

VH = mutants(HEAVY, 60, 20)
DATA = Dataset([f"a{i}" for i in range(60)], VH, label=[(chain.count("K") + chain.count("R")) % 2 for chain in VH])
TRAINED, TESTED = DATA.subset(range(40)), DATA.subset(range(40, 60))


def trainer() -> Trainer:
    return Trainer(DescriptorSpec(descriptors=("net_charge",)), "logreg", SplitSpec(folds=2))


class Results(list[Any]):
    def finished(self, result: Any) -> None:
        self.append(result)


def test_each_result_of_a_trainer_and_its_predictor_is_passed_on_once_when_it_is_finished(tmp_path: Path) -> None:
    results, after = Results(), Results()
    before = trainer().cross_validate(TRAINED)
    with tracking(results):
        mine = trainer()
        expected = [mine.cross_validate(TRAINED), mine.fit(TRAINED), mine.evaluate(TESTED)]
        folder = mine.predictor_.save(tmp_path / "model")
        with tracking(after):
            expected.append(Predictor.load(folder).evaluate(TESTED))
    trainer().fit(TRAINED)
    assert [type(result) for result in results] == [Report, Predictor, Report, Report]
    assert all(result is other for result, other in zip(results, expected, strict=True))
    assert after == [expected[-1]]
    assert dict(results[0].summary) == dict(before.summary), "no number changes"


def test_panels_benchmarks_and_learning_curves_pass_on_theirs() -> None:
    results = Results()
    values = {"A": [float(chain.count("K")) for chain in VH[:40]], "B": [float(chain.count("Y")) for chain in VH[:40]]}
    data = Dataset(TRAINED.ids, VH[:40], measurements=values, targets=values)
    with tracking(results):
        panel = Panel.fit(Trainer(DescriptorSpec(), "ridge"), data, uncertainty=False)
        panel.evaluate(data)
        Benchmark.from_specs([trainer().spec], TRAINED).run()
        trainer().learning_curve(DATA, draws=2)
    kinds = [type(result) for result in results]
    assert kinds[:2] == [Predictor, Predictor]
    assert kinds[2:5] == [Report, Report, GridReport]
    assert kinds[-2:] == [GridReport, LearningCurve]


def test_a_benchmark_passes_on_the_same_whether_its_results_are_new_or_from_its_folder(tmp_path: Path) -> None:
    for _ in range(2):
        results = Results()
        with tracking(results):
            Benchmark.from_specs([trainer().spec], TRAINED, output=tmp_path / "out").run()
        assert [type(result) for result in results] == [GridReport]


def test_a_callback_that_fails_loses_no_result_and_a_result_that_fails_is_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken:
        def finished(self, result: Any) -> None:
            raise OSError("the tracking server does not answer")

    results = Results()
    with caplog.at_level(logging.WARNING, "antibody_esm"), tracking(Broken(), results):
        report = trainer().cross_validate(TRAINED)
        with pytest.raises(ValueError, match="label"):
            trainer().fit(Dataset(["a"], [HEAVY]))
    assert list(results) == [report]
    assert caplog.messages == [
        "Broken.finished raised OSError: the tracking server does not answer; the result is complete"
    ]
    trainer().cross_validate(TRAINED)
    assert len(caplog.messages) == 1


def test_methods_keep_their_names_and_signatures() -> None:
    assert Trainer.fit.__name__ == "fit"
    assert "Fit on all of the data" in (Trainer.fit.__doc__ or "")
    with pytest.raises(TypeError, match="unexpected keyword argument 'chekc'"):
        trainer().fit(TRAINED, chekc=True)  # type: ignore[call-arg]


def test_the_example_tracks_with_mlflow_in_a_folder_and_gives_no_sequence_away(second_run: Path) -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / "track_with_mlflow.py"],
        cwd=second_run,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(" ")[0] for line in lines if line.startswith(("Report", "Predictor"))] == [
        *("Report", "Predictor", "Report")
    ]
    assert "'roc_auc': 0." in lines[-1]
    artifacts = {path.name: path for path in (second_run / "tracked").rglob("artifacts/**/*") if path.is_file()}
    assert {"report.html", "manifest.json", "classifier.skops"} <= set(artifacts)
    assert Predictor.load(artifacts["manifest.json"].parent).training is None
