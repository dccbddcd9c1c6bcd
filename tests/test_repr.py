"""``repr()`` of every public object is short and computes nothing."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import antibody_esm
from antibody_esm import (
    Antibody,
    AverageRegressorSpec,
    AverageSpec,
    Benchmark,
    ChainSpec,
    ColumnSpec,
    Dataset,
    DescriptorSpec,
    EmbeddingStore,
    EmbeddingTransformer,
    Ensemble,
    EnsembleSpec,
    Extractor,
    ExtractorSpec,
    LogisticRegressionSpec,
    Panel,
    RidgeSpec,
    RuntimeSpec,
    SplitSpec,
    Splitter,
    Trainer,
    TrainSpec,
    TuneSpec,
    XGBoostSpec,
    propose,
)
from antibody_esm.errors import AntibodyESMError
from antibody_esm.evaluation.interval import short
from antibody_esm.reports.grid import GridReport
from antibody_esm.reports.report import Report
from antibody_esm.specs import Spec
from reporting import CHARGES, antibodies

ROOT = Path(antibody_esm.__file__).parent
WORDS = {"reports/names.py", "evaluation/interval.py"}
"""Modules that turn fields into words."""
FIELDS = {"heads_of", "is_cross_validation", "is_regression", "metric", "pipeline", "recalibration", "trained"}
"""Properties and functions of reports and specs that read fields only."""
LIBRARIES = ("sklearn", "xgboost", "torch", "transformers", "scipy", "joblib")

opened: list[str] | None = None


def note_files(event: str, arguments: tuple[Any, ...]) -> None:
    if opened is not None and event in ("open", "os.listdir", "os.scandir", "socket.connect", "subprocess.Popen"):
        opened.append(str(arguments[0]))


sys.addaudithook(note_files)


def calls(show: Callable[[], str]) -> tuple[str, set[str], list[str]]:
    """Return a text, the functions of this package and of large libraries that made it, and the files it opened."""
    global opened
    functions: set[str] = set()

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event != "call":
            return
        file, name = Path(frame.f_code.co_filename), frame.f_code.co_name
        if file.is_relative_to(ROOT):
            functions.add(f"{file.relative_to(ROOT).as_posix()}:{name}")
        elif library := {*file.parts} & {*LIBRARIES}:
            functions.add(f"{library.pop()}:{name}")

    opened = files = []
    sys.setprofile(profile)
    try:
        text = show()
    finally:
        sys.setprofile(None)
        opened = None
    return text, functions, files


def is_allowed(function: str) -> bool:
    module, name = function.split(":")
    return (
        module in WORDS
        or name.startswith("__repr")
        or name in FIELDS
        or name in ("__len__", "<genexpr>", "<listcomp>", "<setcomp>")
        or function == "specs/base.py:__call__"  # a spec is constructed
    )


def report(continuous: bool = False) -> Report:
    data = antibodies(40, seed=77, continuous=continuous)
    return Trainer(CHARGES, "ridge" if continuous else "logreg", SplitSpec(folds=2)).cross_validate(data)


def held_out_report() -> Report:
    return Trainer(CHARGES).fit(antibodies(), uncertainty=False).evaluate(antibodies(50, seed=78))


def trained() -> Trainer:
    trainer = Trainer("antiberty", "xgboost", store="nowhere/")
    trainer.spec.fingerprint  # noqa: B018
    return trainer


FIRST, SECOND = DescriptorSpec(descriptors=("length",)), DescriptorSpec(descriptors=("net_charge",))
MADE: dict[str, Callable[[], object]] = {
    "Report": report,
    "Report of values": lambda: report(continuous=True),
    "Report of a test": held_out_report,
    "GridReport": lambda: GridReport([report()]),
    "Dataset": lambda: antibodies(2_000, seed=3),
    "Trainer": trained,
    "Predictor": lambda: Trainer(CHARGES).fit(antibodies(), uncertainty=False),
    "Panel": lambda: Panel({"HIC": Trainer(CHARGES).fit(antibodies(), uncertainty=False)}),
    "EmbeddingStore": lambda: EmbeddingStore("nowhere/"),
    "EmbeddingTransformer": lambda: EmbeddingTransformer("descriptors", store="nowhere/"),
    "Proposals": lambda: propose(Trainer(CHARGES).fit(antibodies()), antibodies().sequences[0], 1, 1, positions=[0]),
    "LearningCurve": lambda: Trainer(CHARGES, "logreg", SplitSpec(folds=3)).learning_curve(antibodies(), draws=3),
    "Extractor": lambda: Extractor("esm2_8m"),
    "Ensemble": lambda: Ensemble(EnsembleSpec(members=(FIRST, SECOND), combine="concat")),
    "Benchmark": lambda: Benchmark(["descriptors"], ["logreg"], antibodies()),
    "Antibody": lambda: Antibody("EVQLV", "DIQMT"),
    "Splitter": lambda: Splitter(SplitSpec(folds=3)),
    "RuntimeSpec": RuntimeSpec,
    "AverageSpec": lambda: AverageSpec(heads=(LogisticRegressionSpec(), XGBoostSpec())),
    "AverageRegressorSpec": lambda: AverageRegressorSpec(heads=(RidgeSpec(),)),
    "TuneSpec": lambda: TuneSpec(grid={"classifier.C": (0.1, 1.0)}),
    "ColumnSpec": lambda: ColumnSpec(name="a"),
    "ExtractorSpec": lambda: ExtractorSpec(model="m"),
    "ChainSpec": lambda: ChainSpec(heavy="sapiens_vh", light="sapiens_vl"),
    "EnsembleSpec": lambda: EnsembleSpec(members=(FIRST, SECOND), combine="concat"),
    "TrainSpec": lambda: TrainSpec(extractor=FIRST),
}
WITH_DEFAULTS = {
    name: made
    for name in antibody_esm.__all__
    if name not in MADE and isinstance(made := getattr(antibody_esm, name), type) and issubclass(made, Spec)
}


@pytest.mark.parametrize("name", MADE | WITH_DEFAULTS)
def test_repr_is_short_and_computes_nothing(name: str) -> None:
    made = (MADE | WITH_DEFAULTS)[name]()
    before = dict(getattr(made, "__dict__", {}))
    text, functions, files = calls(lambda: repr(made))
    assert not {function for function in functions if not is_allowed(function)}
    assert files == []
    assert getattr(made, "__dict__", {}).keys() == before.keys(), "no cached value was made"
    assert "\n" not in text
    assert len(text) < 500


def test_every_public_class_is_here() -> None:
    public = [getattr(antibody_esm, name) for name in antibody_esm.__all__]
    classes = [each for each in public if isinstance(each, type) and not issubclass(each, AntibodyESMError)]
    interfaces = {each.__name__ for each in classes if getattr(each, "_is_protocol", False)}
    assert interfaces == {"Callback"}
    assert {each.__name__ for each in classes} - interfaces <= (MADE | WITH_DEFAULTS).keys()


def test_the_text_of_a_report_does_compute_and_is_seen_to() -> None:
    fresh = report()
    text, functions, _ = calls(lambda: str(fresh))
    assert "baselines" in vars(fresh)
    assert any(function.startswith("sklearn:") for function in functions)
    assert len(text.splitlines()) > 20


def test_the_files_that_are_opened_are_seen(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    assert calls((tmp_path / "file").read_text)[2] == [str(tmp_path / "file")]


def test_repr_of_a_report_has_task_rows_score_and_the_way_to_more() -> None:
    made = report()
    assert repr(made) == (
        "<Report: cross-validation of descriptors (descriptors=('net_charge', 'length')) + logreg "
        "(standardize=True), classification of 40 antibodies, "
        f"ROC AUC {short(made.scores['roc_auc'].mean(), 3)} (mean of 2 folds); print(report) shows all>"
    )
    assert "regression of 40 antibodies, Spearman " in repr(report(continuous=True))
    assert "<Report: test of" in repr(held_out_report())
    assert repr(GridReport([report(), report()])) == "<GridReport: 2 reports on 1 data set; print(grid) shows all>"


@pytest.mark.parametrize("label", [[0, 1, 1], [0.5, 1, 0], [0, 1, 2], None])
def test_repr_of_a_data_set_counts_positives_of_classes_only(label: list[float] | None) -> None:
    text = repr(Dataset(["a", "b", "c"], ["EV", "QV", "AV"], label=label))
    kind = "" if label is None else ", 2 positive" if sum(label) == 2 else ", numeric labels"
    assert text == f"Dataset(3 antibodies{kind})"
