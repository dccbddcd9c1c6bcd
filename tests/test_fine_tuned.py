"""A language model is fine-tuned on training rows, and no scored row has a part in it."""

import hashlib
import re
import runpy
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from antibody_esm import (
    AverageRegressorSpec,
    AverageSpec,
    Benchmark,
    CheckpointError,
    ColumnSpec,
    Dataset,
    DecisionSpec,
    DescriptorSpec,
    EnsembleSpec,
    ExtractorSpec,
    FineTuneSpec,
    LogisticRegressionSpec,
    Panel,
    Predictor,
    Report,
    RidgeSpec,
    RuntimeSpec,
    SplitSpec,
    StoreError,
    Trainer,
    TrainSpec,
    load_dataset,
    residue_contributions,
    retrain,
)
from antibody_esm.errors import PluginError
from antibody_esm.evaluation.cross_validation import fit
from antibody_esm.evaluation.splits import Division
from antibody_esm.fine_tuned import FineTuning
from antibody_esm.finetuning_facts import FineTuningFacts, step_of
from antibody_esm.plm import adapter_folders, search
from antibody_esm.plm.adapters import Adapter
from antibody_esm.plm.training import AdapterTraining
from antibody_esm.specs import PluginClassifierSpec
from antibody_esm.testing import tiny_checkpoint
from conftest import ROOT

RUNTIME = RuntimeSpec(workers=1)
LORA = FineTuneSpec(rank=2, epochs=2, modules=("query",), learning_rate=0.05, validation=0.3)
HEAD = FineTuneSpec(method="head", pooling="attention", epochs=2, learning_rate=0.05, validation=0.3)
BY_FOLD = SplitSpec(by="fold")


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    with threadpool_limits(limits=1):
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_checkpoint("esm", tmp_path_factory.mktemp("models") / "esm", layers=1, dim=16))


@pytest.fixture(scope="module")
def data(published: Path) -> Dataset:
    """Return thirty pairs with classes, of three folds, five groups, and three families."""
    jain = load_dataset("jain", labels="hic", chain="paired").subset(range(60))
    values = np.asarray(jain.label)
    order = np.argsort(values, kind="stable")
    chosen = np.sort(np.concatenate([order[:15], order[-15:]]))
    values, folds = values[chosen], [row % 3 for row in range(30)]
    return Dataset(
        [f"antibody {row}" for row in chosen],
        [jain.heavy[row] for row in chosen] if jain.heavy else None,
        [jain.light[row] for row in chosen] if jain.light else None,
        label=(values > np.median(values)).astype(float),
        groups=[f"study {row % 5}" for row in range(30)],
        measurements={"fold": folds, "hic": values},
        columns={"isotype": ["IgG1" if row % 4 else "IgG4" for row in range(30)]},
    )


def heavy(data: Dataset) -> Dataset:
    return replace(data, light=None, chain="heavy", columns={})


def numbers(data: Dataset) -> Dataset:
    return replace(data, label=data.measurements["hic"])


class Seen(list[tuple[tuple[str, ...], tuple[Any, ...], tuple[Any, ...] | None, str]]):
    """Texts, labels, units and digest of each adapter that a pipeline wanted."""

    @property
    def texts(self) -> list[set[str]]:
        return [set(texts) for texts, *_ in self]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    every, adapter_of = Seen(), FineTuning.adapter

    def adapter(
        self: FineTuning, texts: list[str], label: NDArray[Any], units: NDArray[Any] | None, *, continuous: bool
    ) -> Adapter:
        done = adapter_of(self, texts, label, units, continuous=continuous)
        every.append((tuple(texts), tuple(label), None if units is None else tuple(units), done.digest))
        return done

    monkeypatch.setattr(FineTuning, "adapter", adapter)
    return every


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the numbers of rows of the trainings that ran, and were not kept from an earlier run."""
    rows: list[int] = []
    run = AdapterTraining.run

    def counted(self: Any) -> Adapter:
        done = run(self)
        rows.append(len(self.rows))
        return done

    monkeypatch.setattr(AdapterTraining, "run", counted)
    return rows


def validated(trainer: Trainer, data: Dataset) -> Report:
    return trainer.cross_validate(data, check=False)


def poisoned(data: Dataset, rows: list[int]) -> Dataset:
    """Return the data with other labels and other residues in some rows."""
    label = np.array(data.label)
    label[rows] = 1 - label[rows]
    chains: dict[str, Any] = {
        name: [text[::-1] if row in rows else text for row, text in enumerate(chain)]
        for name in ("heavy", "light")
        if (chain := getattr(data, name)) is not None
    }
    return replace(data, label=label, **chains)


@pytest.mark.parametrize("decision", [DecisionSpec(), DecisionSpec(calibration="sigmoid", folds=2)])
@pytest.mark.parametrize("spec", [LORA, HEAD], ids=lambda spec: spec.method)
def test_no_byte_of_an_adapter_and_no_prediction_depends_on_other_scored_rows(
    model: str, data: Dataset, spec: FineTuneSpec, decision: DecisionSpec, seen: Seen
) -> None:
    data = heavy(data)
    trainer = Trainer(model, "logreg", BY_FOLD, decision=decision, finetune=spec, runtime=RUNTIME)
    honest = validated(trainer, data)
    wrong = [row for row in range(30) if row % 3 == 0][:5]
    other = validated(trainer, poisoned(data, wrong))
    half = len(seen) // 2
    of_fold = half // 3  # the first trainings are those of the first fold, in which all wrong rows are scored
    assert [digest for *_, digest in seen[:of_fold]] == [digest for *_, digest in seen[half : half + of_fold]]
    for first, second in zip(honest.finetuned[1:], other.finetuned[1:], strict=True):
        assert first.adapter != second.adapter, "those that were trained on wrong rows notice it"
    before, after = (report.predictions["probability"].to_numpy() for report in (honest, other))
    unchanged = [row for row in range(30) if row % 3 == 0 and row not in wrong]
    assert before[unchanged].tobytes() == after[unchanged].tobytes()
    tested = [{data.sequences[row] for row in range(30) if row % 3 == fold} for fold in range(3)]
    for number, texts in enumerate(seen.texts[:half]):
        assert not texts & tested[number // of_fold]


def test_folds_of_a_calibration_are_scored_by_adapters_without_them(model: str, data: Dataset, seen: Seen) -> None:
    data = heavy(data)
    decision = DecisionSpec(calibration="sigmoid", threshold="balanced_accuracy", folds=3)
    trainer = Trainer(model, "logreg", BY_FOLD, decision=decision, finetune=LORA, runtime=RUNTIME)
    trainer.fit(data, uncertainty=False, check=False)
    whole, *parts = seen.texts
    assert whole == set(data.sequences)
    held_out = [whole - part for part in parts]
    assert len(parts) == 3
    assert set().union(*held_out) == whole
    assert sum(map(len, held_out)) == len(whole)
    assert len({digest for *_, digest in seen}) == 4


def test_a_penalty_is_chosen_on_rows_that_their_adapter_has_not_seen(model: str, data: Dataset, seen: Seen) -> None:
    data = numbers(heavy(data))
    trainer = Trainer(model, RidgeSpec(alpha="cv"), BY_FOLD, finetune=LORA, runtime=RUNTIME)
    predictor = trainer.fit(data, uncertainty=False, check=False)
    *parts, whole = seen.texts
    held_out = [whole - part for part in parts]
    assert [sorted(part) for part in held_out] == [sorted(data.sequences[fold::3]) for fold in range(3)]
    assert predictor.spec.extractor == step_of_extractor(seen[-1][-1], predictor)


def step_of_extractor(digest: str, predictor: Predictor) -> ExtractorSpec:
    extractor = predictor.spec.extractor
    assert isinstance(extractor, ExtractorSpec)
    assert extractor.adapter == digest
    return extractor


@pytest.mark.parametrize("by", ["antibody", "identity", "group", "family", "fold"])
def test_an_epoch_is_chosen_on_whole_units_of_the_split(model: str, data: Dataset, by: Any, seen: Seen) -> None:
    data = heavy(data)
    split = SplitSpec(by=by) if by in ("family", "fold") else SplitSpec(by=by, folds=2)
    trainer = Trainer(model, "logreg", split, finetune=LORA, runtime=RUNTIME)
    trainer.fit(data, check=False)  # with the folds of the uncertainty
    division = Division.of(split, data)
    unit = None if division.unit is None else dict(zip(data.sequences, division.unit.tolist(), strict=True))
    assert len(seen) >= 3
    for texts, _, units, _ in seen:
        own = None if unit is None else [unit[text] for text in texts]
        if own is None:
            assert units is None
        else:
            assert units is not None
            assert len(set(zip(own, units, strict=True))) == len(set(own)) == len(set(units))


def test_a_report_has_a_note_if_units_do_not_allow_early_stopping(model: str, data: Dataset) -> None:
    label = np.asarray(data.label)
    split, groups = SplitSpec(by="group", folds=2), [f"{value:g}{row % 2}" for row, value in enumerate(label)]
    data = replace(heavy(data), groups=groups)
    report = validated(Trainer(model, "logreg", split, finetune=LORA, runtime=RUNTIME), data)
    assert {facts.divided for facts in report.finetuned} == {"rows"}
    assert "In 2 of 2 single antibodies were held out, not whole units of the split" in " ".join(str(report).split())
    assert [FineTuningFacts.from_plain(facts.plain()).divided for facts in report.finetuned] == ["rows"] * 2


def test_a_command_prints_the_expected_duration_before_the_work(
    model: str, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from antibody_esm.cli.progress_lines import progress_lines

    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)  # other tests run notebooks, which show a bar instead
    printed: list[str] = []
    runtime = RuntimeSpec(workers=1)
    with progress_lines(printed.append):
        Trainer(model, "logreg", BY_FOLD, finetune=HEAD, runtime=runtime).fit(heavy(data), uncertainty=False)
    [line] = [line for line in printed if line.startswith("Fine-tuning: 1 training of at most 2 epochs")]
    assert re.search(r"; about \d+ s an epoch and \d+:\d\d:\d\d in all are expected", line)
    assert line.count("at most") == 1, "a forecast is no bound"
    printed.clear()
    with progress_lines(printed.append):
        quiet = runtime.model_copy(update={"progress": False})
        Trainer(model, "logreg", BY_FOLD, finetune=HEAD, runtime=quiet).fit(heavy(data), uncertainty=False)
    assert not any(line.startswith("Fine-tuning: ") for line in printed)


def test_a_plugin_with_folds_of_its_own_is_refused(model: str, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
    from sklearn.neural_network import MLPClassifier

    from antibody_esm.classifiers import refuse_inner_folds

    plugin = PluginClassifierSpec(name="own", package="other", version="1.0")
    made: list[Any] = [None]
    monkeypatch.setattr(PluginClassifierSpec, "make", lambda self: made[0])
    calibrated = CalibratedClassifierCV(LogisticRegression())
    for made[0] in (calibrated, LogisticRegressionCV(), make_pipeline(calibrated), MLPClassifier(early_stopping=True)):
        with pytest.raises(PluginError, match="'own' divides its training rows again"):
            refuse_inner_folds(plugin)
    made[0] = calibrated
    with pytest.raises(PluginError, match="'own' divides its training rows again"):
        Trainer(model, plugin, BY_FOLD, finetune=LORA, runtime=RUNTIME).fit(heavy(data), uncertainty=False)
    made[0] = LogisticRegression()
    refuse_inner_folds(plugin)


def test_folders_of_adapters_have_the_permissions_of_the_store(model: str, data: Dataset, tmp_path: Path) -> None:
    for mode in (0o700, 0o770):
        root = tmp_path / f"store{mode}"
        root.mkdir()
        root.chmod(mode)
        trainer = Trainer(model, "logreg", BY_FOLD, finetune=HEAD, store=root, runtime=RUNTIME)
        trainer.fit(heavy(data), uncertainty=False)
        assert (tmp_path / f"store{mode}.adapters").stat().st_mode & 0o777 == mode


def test_a_loaded_model_works_after_its_folder_has_another(model: str, data: Dataset, tmp_path: Path) -> None:
    data = heavy(data)
    options: dict[str, Any] = {"split": BY_FOLD, "runtime": RUNTIME}
    Trainer(model, "logreg", finetune=LORA, **options).fit(data, uncertainty=False).save(tmp_path / "m")
    adapter_folders._here.clear()
    loaded = Predictor.load(tmp_path / "m", runtime=RUNTIME, checkpoint=model)
    Trainer(model, "logreg", **options).fit(data, uncertainty=False).save(tmp_path / "m")
    assert len(loaded.score_table(data)) == len(data)
    again = Predictor.load(loaded.save(tmp_path / "x"), runtime=RUNTIME, checkpoint=model)
    assert again.digest == loaded.digest


def test_an_adapter_may_be_larger_than_other_files(
    model: str, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Trainer(model, "logreg", BY_FOLD, finetune=LORA, runtime=RUNTIME).fit(heavy(data), uncertainty=False)
    folder = predictor.save(tmp_path / "m")
    size = (folder / "adapter.safetensors").stat().st_size
    others = max(file.stat().st_size for file in folder.iterdir() if file.name != "adapter.safetensors")
    monkeypatch.setattr("antibody_esm.model_files.LARGEST", size)
    assert Predictor.load(folder, runtime=RUNTIME, checkpoint=model).digest == predictor.digest
    monkeypatch.setattr("antibody_esm.model_files.unpacked_limit", lambda *_: max(size, others))
    monkeypatch.setattr("antibody_esm.model_files.LARGEST", size - 1)
    with pytest.raises(StoreError, match="more than"):
        Predictor.load(folder, runtime=RUNTIME, checkpoint=model)


def test_folds_share_no_row_of_the_store_and_those_of_the_frozen_model_stay(
    model: str, data: Dataset, tmp_path: Path
) -> None:
    data = heavy(data)
    trainer = Trainer(model, "logreg", BY_FOLD, finetune=LORA, store=tmp_path / "store", runtime=RUNTIME)
    frozen = trainer.embed(data, check=False)
    before = files(tmp_path / "store")
    report = validated(trainer, data)
    after = files(tmp_path / "store")
    assert before.items() <= after.items()
    folders = {name.split("/")[0] for name in after} - {name.split("/")[0] for name in before}
    assert len(folders) == len(report.finetuned) == len({facts.adapter for facts in report.finetuned}) == 3
    assert trainer.embed(data, check=False).tobytes() == frozen.tobytes()
    assert any(facts.epochs for facts in report.finetuned), "an adapter that changes nothing would share them too"
    folds, own = report.baselines.found["frozen"].rows.fold, report.scored.rows.fold
    assert folds is not None
    assert own is not None
    assert folds.tolist() == own.tolist()


def files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and "index" not in path.name
    }


def test_a_run_that_was_stopped_goes_on_and_a_damaged_adapter_is_trained_again(
    model: str, data: Dataset, tmp_path: Path, trained: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = heavy(data)

    def run() -> Report:
        options: dict[str, Any] = {"finetune": HEAD, "store": tmp_path / "store", "runtime": RUNTIME}
        return validated(Trainer(model, "logreg", BY_FOLD, **options), data)

    keep = adapter_folders.AdapterFolder.keep

    def stopped(self: Any, key: str, adapter: Adapter) -> None:
        keep(self, key, adapter)
        if len(trained) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(adapter_folders.AdapterFolder, "keep", stopped)
        with pytest.raises(KeyboardInterrupt):
            run()
    assert len(trained) == 2
    whole = run()
    assert len(trained) == 3
    again = run()
    assert len(trained) == 3
    assert again.predictions.equals(whole.predictions)
    (first, *_) = sorted((tmp_path / "store.adapters").glob("*.safetensors"))
    content = bytearray(first.read_bytes())
    content[-1] ^= 1
    first.write_bytes(bytes(content))
    mended = run()
    assert len(trained) == 4
    assert mended.predictions.equals(whole.predictions)
    assert [facts.adapter for facts in mended.finetuned] == [facts.adapter for facts in whole.finetuned]


PIPELINES: dict[str, dict[str, Any]] = {
    "classes": {},
    "attention": {"finetune": HEAD},
    "threshold": {"decision": DecisionSpec(threshold="balanced_accuracy", folds=2)},
    "calibrated average": {
        "classifier": AverageSpec(heads=(LogisticRegressionSpec(), LogisticRegressionSpec(C=0.1, standardize=True))),
        "decision": DecisionSpec(calibration="sigmoid", folds=2),
        "finetune": HEAD,
    },
    "components": {"pca": 3, "finetune": HEAD},
    "numbers": {"classifier": RidgeSpec(alpha="cv"), "finetune": HEAD},
    "average of numbers": {
        "classifier": AverageRegressorSpec(heads=(RidgeSpec(alpha="cv"), RidgeSpec(standardize=True))),
        "finetune": HEAD,
    },
}


PAIRED = ("classes", "attention", "threshold")


@pytest.mark.parametrize(
    ("name", "chain"),
    [*((name, "heavy") for name in PIPELINES), *((name, pair) for name in PAIRED for pair in ("apart", "joined"))],
)
def test_a_predictor_equals_the_pipeline_that_was_fitted(
    model: str, data: Dataset, name: str, chain: str, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"classifier": "logreg", "finetune": LORA} | PIPELINES[name]
    regression = not isinstance(options["classifier"], str) and options["classifier"].is_regressor
    data = heavy(data) if chain == "heavy" else data
    data = numbers(data) if regression else data
    joined: dict[str, Any] = {"pairs": "joined", "separator": ""} if chain == "joined" else {}
    extractor = ExtractorSpec(model=model, **joined)
    trainer = Trainer(extractor, split=BY_FOLD, **options, store=tmp_path / "store", runtime=RUNTIME)
    training, test = data.subset(range(20)), data.subset(range(20, 30))
    predictor = trainer.fit(training, uncertainty=False, check=False)
    of_training = trainer.same_vectors(training, check=False)
    whole = fit(
        of_training.classifier(BY_FOLD), of_training.features, of_training.label, Division.of(BY_FOLD, training)
    )
    codes = trainer.same_vectors(test, check=False).features
    method = "predict" if regression else "predict_proba"
    right = getattr(whole, method)(codes)
    assert getattr(predictor, method)(test).tobytes() == right.tobytes()
    assert "FineTuned" not in repr(predictor.classifier)
    step = step_of(whole)
    assert predictor.data.finetuned == step.facts_.record(options["finetune"])
    saved = predictor.save(tmp_path / "model")
    loaded = Predictor.load(saved, runtime=RUNTIME, checkpoint=model)
    assert getattr(loaded, method)(test).tobytes() == right.tobytes()
    assert loaded.data == predictor.data
    assert loaded.digest == predictor.digest


@pytest.fixture(scope="module")
def saved(model: str, data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Predictor]:
    folder = tmp_path_factory.mktemp("saved")
    trainer = Trainer(model, "logreg", BY_FOLD, finetune=LORA, store=folder / "store", runtime=RUNTIME)
    validated(trainer, heavy(data))
    predictor = trainer.fit(heavy(data), check=False)
    predictor.save(folder / "model")
    return folder / "model", predictor


def forgotten(monkeypatch: pytest.MonkeyPatch, nowhere: Path) -> None:
    """Take away what this process and this user know of folders."""
    monkeypatch.setattr(search, "_used", {})
    monkeypatch.setattr(adapter_folders, "_here", {})
    monkeypatch.setattr(search, "_note", lambda digest: nowhere / digest)


def test_a_model_on_another_machine_gives_the_same_bytes_and_takes_no_other_base(
    model: str, data: Dataset, saved: tuple[Path, Predictor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, predictor = saved
    right = predictor.predict_proba(heavy(data))
    shutil.copytree(folder, tmp_path / "moved")
    shutil.copytree(model, tmp_path / "base")
    forgotten(monkeypatch, tmp_path / "one")
    loaded = Predictor.load(tmp_path / "moved", runtime=RUNTIME, checkpoint=tmp_path / "base")
    assert loaded.predict_proba(heavy(data)).tobytes() == right.tobytes()
    forgotten(monkeypatch, tmp_path / "two")
    other = tiny_checkpoint("esm", tmp_path / "other" / "esm", layers=1, dim=16, seed=1)
    with pytest.raises(CheckpointError):
        Predictor.load(folder, runtime=RUNTIME, checkpoint=other).predict_proba(heavy(data))
    adapter = step_of_extractor(predictor.data.finetuned["adapter"], predictor).adapter  # type: ignore[index]  # it has
    with pytest.raises(CheckpointError, match="adapter"):
        Trainer(
            ExtractorSpec(model=str(other), adapter=adapter),
            store=None,
            runtime=RuntimeSpec(workers=1, checkpoints=(str(folder),)),
        ).embed(heavy(data), check=False)


def test_a_fine_tuned_model_takes_no_place_of_an_adapter_that_is_of_no_saved_model(
    data: Dataset, saved: tuple[Path, Predictor], tmp_path: Path
) -> None:
    (tmp_path / "adapter.safetensors").write_bytes(b"mine")
    with pytest.raises(StoreError, match="a file of no saved model"):
        saved[1].save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["adapter.safetensors"]
    saved[1].save(tmp_path / "model")
    saved[1].save(tmp_path / "model")
    frozen = Trainer(DescriptorSpec(), "logreg", store=None).fit(
        heavy(data), uncertainty=False, scores=False, check=False
    )
    frozen.save(tmp_path / "model")
    assert not (tmp_path / "model" / "adapter.safetensors").exists(), "that of the earlier model"


@pytest.mark.parametrize("damage", ["flipped", "missing", "another", "named"])
def test_a_saved_model_with_another_adapter_is_refused(
    saved: tuple[Path, Predictor], tmp_path: Path, damage: str
) -> None:
    shutil.copytree(saved[0], folder := tmp_path / "model")
    adapter = folder / "adapter.safetensors"
    content = bytearray(adapter.read_bytes())
    match damage:
        case "flipped":
            content[-1] ^= 1
            adapter.write_bytes(bytes(content))
        case "missing":
            adapter.unlink()
        case "another":
            others = sorted((saved[0].parent / "store.adapters").glob("*.safetensors"))
            adapter.write_bytes(next(file for file in others if file.read_bytes() != bytes(content)).read_bytes())
        case "named":
            manifest = folder / "manifest.json"
            manifest.write_text(manifest.read_text().replace("adapter_sha256", "adapter_sha255"))
    with pytest.raises(StoreError):
        Predictor.load(folder)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "descriptors": ({"extractor": DescriptorSpec()}, "needs one language model, and descriptors have none"),
    "a model for each chain": ({"extractor": "sapiens"}, "needs one language model, and this extractor has 2"),
    "several models": ({"extractor": "esm1v_mean"}, "needs one language model, and this extractor has 5"),
    "a model beside descriptors": (
        {"extractor": EnsembleSpec(members=(ExtractorSpec(model="m"), DescriptorSpec()), combine="concat")},
        "needs one language model, and this extractor has other parts",
    ),
    "random weights": ({"extractor": ExtractorSpec(model="m", random_weights=0)}, "leave random_weights out"),
    "an adapter": ({"extractor": ExtractorSpec(model="m", adapter="0" * 64)}, "has an adapter already"),
    "another pooling": ({"extractor": ExtractorSpec(model="m", pooling="max")}, "leave extractor.pooling out"),
    "another network": ({"extractor": "ablang2"}, "AbLang-2 has a network of its own"),
    "a choice": ({"tune": {"classifier.C": (0.1, 1.0)}}, "finetune and tune exclude each other"),
    "a linear SVM": ({"classifier": "linear_svm"}, "linear_svm divides its training rows"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_pipelines_that_cannot_be_fine_tuned_are_refused_before_any_work(name: str) -> None:
    options, reason = REFUSED[name]
    with pytest.raises((ValueError, ValidationError), match=reason):
        Trainer(**{"extractor": "antiberty", "finetune": "lora"} | options)


def test_a_report_has_the_frozen_model_the_epochs_and_its_reproduction(
    model: str, data: Dataset, saved: tuple[Path, Predictor], tmp_path: Path
) -> None:
    store = saved[0].parent / "store"
    trainer = Trainer(model, "logreg", BY_FOLD, finetune=LORA, store=store, runtime=RUNTIME, random_seeds=0)
    report = validated(trainer, heavy(data))
    plain = Trainer(model, "logreg", BY_FOLD, store=store, runtime=RUNTIME, random_seeds=0)
    frozen = validated(plain, heavy(data))
    facts = report.to_dict()
    assert report.baselines.found["frozen"].scores["roc_auc"].tolist() == frozen.scores["roc_auc"].tolist()
    assert facts["baselines"]["frozen"]["roc_auc"]["estimate"] == pytest.approx(frozen.scores["roc_auc"].mean())
    assert [fold["epochs"] for fold in facts["finetuned"]["folds"]] == [each.epochs for each in report.finetuned]
    assert any(each["other"] == "frozen language model" for each in facts["comparisons"])
    assert "frozen language model" in str(report)
    assert "Fine-tuning on the training antibodies of each fold" in str(report)
    assert "Against the frozen language model" in report._repr_html_()
    page = report.to_html(tmp_path / "report.html").read_text()
    assert "Against the frozen language model" in page
    assert "finetuned" not in frozen.to_dict()
    assert "frozen" not in frozen.baselines.found
    assert "finetune=lora finetune.rank=2" in str(facts["reproduce"]["command"])
    overrides = str(facts["reproduce"]["command"]).split()[2:]
    assert TrainSpec.compose([text.strip("'") for text in overrides]).finetune == LORA
    test = saved[1].evaluate(heavy(data).subset(range(12)), check=False)
    assert "frozen" in test.baselines.found
    assert f"finetune={LORA!r}" in test.python
    assert any("fine-tuned on 30 antibodies" in note for note in test.notes)


def test_columns_stand_beside_the_vectors_of_a_fine_tuned_model(model: str, data: Dataset) -> None:
    trainer = Trainer(model, "logreg", BY_FOLD, finetune=LORA, runtime=RUNTIME)
    report = validated(trainer, data)
    predictor = trainer.fit(data, uncertainty=False, check=False)
    assert isinstance(predictor.spec.extractor, EnsembleSpec)
    assert predictor.spec.extractor.columns == (ColumnSpec(name="isotype", values="category"),)
    assert predictor.predict_proba(data).shape == (30, 2)
    assert len(report.finetuned) == 3


def test_rows_are_left_out_one_by_one_and_folds_repeated(model: str, data: Dataset) -> None:
    few = numbers(heavy(data)).subset(range(8))
    alone = Trainer(model, "ridge", SplitSpec(by="leave_one_out"), finetune=HEAD, runtime=RUNTIME)
    assert len(validated(alone, few).finetuned) == 8
    repeated = Trainer(model, "ridge", SplitSpec(folds=2, repeats=2), finetune=HEAD, runtime=RUNTIME)
    report = validated(repeated, numbers(heavy(data)))
    assert len({facts.adapter for facts in report.finetuned}) == 4
    assert [fold["fold"] for fold in report.to_dict()["finetuned"]["folds"]][2] == "repeat 2, fold 0"


def test_a_learning_curve_fine_tunes_on_each_of_its_training_sets(model: str, data: Dataset, seen: Seen) -> None:
    trainer = Trainer(model, "logreg", BY_FOLD, finetune=replaced(HEAD, epochs=1), runtime=RUNTIME)
    both = [text for chain in (data.heavy, data.light) for text in chain or ()]
    sixty = Dataset([str(row) for row in range(60)], both, label=np.tile(np.asarray(data.label), 2), chain="heavy")
    curve = trainer.learning_curve(
        replace(sixty, measurements={"fold": [row % 3 for row in range(60)]}), draws=1, check=False
    )
    assert {len(texts) for texts, *_ in seen} >= set(curve.sizes.tolist())


def replaced(spec: FineTuneSpec, **fields: Any) -> FineTuneSpec:
    return spec.model_copy(update=fields)


def test_a_round_fine_tunes_again_on_all_antibodies(model: str, data: Dataset, trained: list[int]) -> None:
    data = heavy(data)
    trainer = Trainer(model, "logreg", SplitSpec(folds=2), finetune=HEAD, runtime=RUNTIME)
    predictor = trainer.fit(data.subset(range(20)), check=False)
    fitted = retrain(predictor, [data.subset(range(20, 30))]).predictor
    assert 30 in trained
    assert fitted.data.finetuned is not None
    assert predictor.data.finetuned is not None
    assert fitted.data.finetuned["spec"] == predictor.data.finetuned["spec"]
    assert fitted.data.finetuned["adapter"] != predictor.data.finetuned["adapter"]


def test_a_benchmark_and_a_panel_fine_tune_each_pipeline_and_label(
    model: str, data: Dataset, tmp_path: Path, trained: list[int]
) -> None:
    data = heavy(data)
    options: dict[str, Any] = {"split": SplitSpec(folds=2), "store": tmp_path / "store", "check": False}
    options |= {"output": tmp_path / "grid", "random_seeds": 0, "finetune": HEAD, "runtime": RUNTIME}
    training, test = data.subset(range(20)), data.subset(range(20, 30))
    grid = Benchmark([model], ["logreg"], training, [test], **options).run()
    assert len(trained) == 3
    assert all("frozen" in report.baselines.found for report in grid.reports)
    assert "epochs" in str(grid)
    again = Benchmark([model], ["logreg"], training, [test], **options)
    assert str(again.run()) == str(grid)
    assert len(trained) == 3
    hic = np.asarray(data.measurements["hic"])
    several = replace(data, label=None, measurements={"one": hic, "two": hic[::-1]}, targets=("one", "two"))
    trainer = Trainer(model, RidgeSpec(alpha=1), SplitSpec(folds=2), finetune=HEAD, runtime=RUNTIME)
    panel = Panel.fit(trainer, several, uncertainty=False, check=False)
    table = panel.predict(several)
    loaded = Panel.load(panel.save(tmp_path / "panel"), runtime=RUNTIME, checkpoint=model)
    assert loaded.predict(several).equals(table)
    adapters = {model.data.finetuned["adapter"] for model in panel.values() if model.data.finetuned}
    assert len(adapters) == 2


def test_contributions_to_a_mean_of_updated_states_are_exact_and_those_to_attention_are_occlusions(
    model: str, data: Dataset, saved: tuple[Path, Predictor]
) -> None:
    antibody = heavy(data).sequences[0]
    exact = residue_contributions(saved[1], antibody, check=False)
    assert exact.intercept is not None
    assert exact.intercept + exact.contributions.sum() == pytest.approx(exact.score, abs=1e-4)
    trainer = Trainer(model, "logreg", BY_FOLD, finetune=HEAD, runtime=RUNTIME)
    weighted = residue_contributions(trainer.fit(heavy(data), uncertainty=False, check=False), antibody, check=False)
    assert weighted.intercept is None
    assert len(weighted.contributions) == len(antibody)


def test_the_measurement_goes_on_where_it_was_stopped_and_writes_its_table(
    model: str, tmp_path: Path, trained: list[int], published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    main = runpy.run_path(str(ROOT / "benchmarks" / "measure_finetuning.py"))["main"]
    words = ["--model", model, "--data", "jain:hic", "--split", "stratified", "--folds", "2", "--size", "24"]
    words += ["--method", "head", "--fields", '{"epochs": 1}', "--alpha", "10", "--unchecked"]
    main(words)
    assert len(trained) == 2
    main(words)
    (tmp_path / "finetuning" / "esm-jain_hic-stratified-2-head-alpha-10-24.json").rename(tmp_path / "first.json")
    main(words)
    assert len(trained) == 2
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- measured -->\nold\n<!-- end -->\nafter\n")
    main(["--table", "--page", str(page)])
    text = page.read_text()
    assert text.startswith("before\n<!-- measured -->\n\n| data | n |")
    assert "| jain:hic | 24 | 2 folds stratified by the median | esm |" in text
    assert text.endswith("<!-- end -->\nafter\n")
