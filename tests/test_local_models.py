"""Models trained from a local folder: no path of it is stored, and its files are found again by their digest."""

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from antibody_esm import (
    Benchmark,
    ChainSpec,
    CheckpointError,
    Dataset,
    DescriptorSpec,
    EmbeddingStore,
    EnsembleSpec,
    Extractor,
    ExtractorSpec,
    Panel,
    Predictor,
    RuntimeSpec,
    SplitSpec,
    Trainer,
    TuneSpec,
    mutational_scan,
    residue_contributions,
)
from antibody_esm.cli import app
from antibody_esm.cli.web_server import _load
from antibody_esm.cli.web_worker import reason
from antibody_esm.model_files import manifest_digest
from antibody_esm.plm import masked, remote, search
from antibody_esm.plm.checkpoints import locate
from antibody_esm.plm.search import VARIABLE
from antibody_esm.specs.local_models import folder_name
from antibody_esm.testing import tiny_checkpoint
from chains import HEAVY, mutants
from parted import parted

MARK = "project-4711-of-acme"
"""Part of a path that no file may hold."""
RUNTIME = RuntimeSpec(workers=1)
NEW = mutants(HEAVY, 44, 12)[40:]
"""Antibodies that no store has."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home") / MARK


@pytest.fixture(scope="module")
def weights(home: Path) -> Path:
    """A checkpoint whose files are in no other folder of the tests."""
    return tiny_checkpoint("esm", home / "models" / "final", layers=1, dim=16, seed=31, head=True)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return Dataset([str(i) for i in range(40)], mutants(HEAVY, 40, 12), label=(np.arange(40) // 4 % 2).astype(float))


@pytest.fixture(scope="module")
def several(data: Dataset) -> Dataset:
    """The same antibodies with two continuous labels."""
    values = {"value": np.arange(40) % 7 + np.arange(40) / 40, "other": np.arange(40) % 5 - np.arange(40) / 50}
    return replace(data, label=None, measurements=values, targets=tuple(values))


@pytest.fixture(scope="module")
def saved(weights: Path, data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[float]]:
    """A saved model in a folder of its own, and its probabilities of new antibodies."""
    predictor = Trainer(weights, "logreg", runtime=RUNTIME).fit(data, check=False)
    folder = tmp_path_factory.mktemp("elsewhere") / "models" / "model"
    predictor.save(folder)
    return folder, predictor.predict_proba(NEW)[:, 1].tolist()


def contents(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield the bytes of every file in a folder, and of the files in archives."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            yield path, content
            if zipfile.is_zipfile(BytesIO(content)):
                with zipfile.ZipFile(BytesIO(content)) as archive:
                    for name in archive.namelist():
                        yield path / name, archive.read(name)


@pytest.fixture(scope="module")
def specs(weights: Path) -> dict[str, Any]:
    other = tiny_checkpoint("esm", weights.parent.parent / "older" / "final", layers=1, dim=16, seed=32)
    model = ExtractorSpec(model=str(weights))
    alone, tokenizer = parted(other, weights.parent.parent / "parted", "final")
    return {
        "model": model,
        "region": model.model_copy(update={"region": "cdr3"}),
        "ensemble": EnsembleSpec(members=(model, ExtractorSpec(model=str(other))), combine="concat"),
        "beside descriptors": EnsembleSpec(members=(model, DescriptorSpec()), combine="concat"),
        "chains": ChainSpec(heavy=model, light=ExtractorSpec(model=str(other))),
        "chains beside": EnsembleSpec(
            members=(ChainSpec(heavy=model, light=ExtractorSpec(model=str(other))), DescriptorSpec()), combine="concat"
        ),
        "random": model.model_copy(update={"random_weights": 3}),
        "tokenizer": ExtractorSpec(model=str(alone), tokenizer=str(tokenizer)),
        "tokenizer for a name": ExtractorSpec(model="antiberty", tokenizer=str(_vocabulary_of_antiberty(tokenizer))),
    }


def _vocabulary_of_antiberty(beside: Path) -> Path:
    """Copy a tokenizer into a folder; the weights stay in their package."""
    folder = beside.with_name("final words")
    folder.mkdir()
    for name, path in locate("antiberty", weights=False).files.items():
        if name != "config.json":
            shutil.copyfile(path, folder / name)
    return folder


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that several tests write and search for paths."""
    return tmp_path_factory.mktemp("shared") / "store"


@pytest.mark.parametrize(
    "kind", ["model", "region", "ensemble", "beside descriptors", "random", "tokenizer", "chains", "chains beside"]
)
def test_no_file_of_a_model_or_report_holds_the_path_of_its_language_model(
    kind: str, specs: dict[str, Any], data: Dataset, shared: Path, tmp_path: Path
) -> None:
    trainer = Trainer(specs[kind], "logreg", SplitSpec(folds=2), store=shared, runtime=RUNTIME)
    report = trainer.cross_validate(data)
    predictor = trainer.fit(data)
    predictor.save(tmp_path / "model")
    test = predictor.evaluate(data.subset(range(0, 40, 2)))
    curve = trainer.learning_curve(data, draws=1)
    reports = [report, test, report.with_curve(curve)]
    for number, each in enumerate(reports):
        if kind == "ensemble" and each is not report:  # pages take seconds; that with the curve has all of it
            each.to_html(tmp_path / f"{number}.html")
        each.to_json(tmp_path / f"{number}.json")
        each.to_csv(tmp_path / f"{number}.csv")
    curve.to_json(tmp_path / "curve.json")
    texts = [text for each in reports for text in (str(each), each.python, str(each.command), repr(each))]
    texts += [str(curve), repr(predictor), repr(predictor.spec)]
    (tmp_path / "texts").write_text("\n".join(texts))
    leaks = [str(path) for place in (tmp_path, shared) for path, content in contents(place) if MARK.encode() in content]
    assert not leaks
    names = [line for line in texts if "final" in line]
    assert names, "the last name stays"


def test_no_file_of_a_panel_a_benchmark_or_a_choice_holds_the_path(
    weights: Path, data: Dataset, several: Dataset, shared: Path, tmp_path: Path
) -> None:
    store = EmbeddingStore(shared)
    trainer = Trainer(weights, "ridge", SplitSpec(folds=2), store=store, runtime=RUNTIME, random_seeds=0)
    panel = Panel.fit(trainer, several, uncertainty=False, check=False)
    panel.save(tmp_path / "panel")
    grid = Panel.cross_validate(trainer, several, check=False)
    grid.to_json(tmp_path / "grid.json")
    grid_of_layers = TuneSpec(grid={"extractor.layer": (0, 1)}, folds=2)
    split = SplitSpec(folds=2)
    tuned = Trainer(weights, "logreg", split, tune=grid_of_layers, store=store, runtime=RUNTIME, random_seeds=0)
    tuned.cross_validate(data, check=False).to_json(tmp_path / "tuned.json")
    tuned.fit(data, uncertainty=False, check=False, scores=False).save(tmp_path / "tuned")
    options: dict[str, Any] = {"store": store, "output": tmp_path / "benchmark", "runtime": RUNTIME, "random_seeds": 0}
    Benchmark([weights], ["logreg"], data, [data.subset(range(0, 40, 2))], split=split, **options).run()
    places = (tmp_path, shared)
    assert not [str(path) for place in places for path, content in contents(place) if MARK.encode() in content]


def test_a_report_whose_baseline_lacks_the_folder_names_no_path(
    weights: Path, data: Dataset, tmp_path: Path, stranger: None
) -> None:
    here = Path(shutil.copytree(weights, tmp_path / MARK / "final"))
    store = EmbeddingStore(tmp_path / "store")
    Trainer(here, "logreg", store=store, runtime=RUNTIME).fit(data, uncertainty=False, scores=False).save(
        tmp_path / "model"
    )
    shutil.rmtree(here)
    (tmp_path / MARK / "places").mkdir()
    predictor = Predictor.load(tmp_path / "model", store=store, runtime=RUNTIME, checkpoint=tmp_path / MARK / "places")
    report = predictor.evaluate(data.subset(range(0, 40, 2)))
    why = report.baselines.absent["random_weights"]
    assert "no folder with its files" in why
    written = report.to_html(tmp_path / "report.html").read_text() + json.dumps(report.to_dict())
    assert MARK not in written + why
    with pytest.raises(CheckpointError, match=MARK) as caught:
        predictor.predict(NEW)
    assert MARK not in reason(caught.value), "a page shows no path of its server"


Places = Callable[[Path, Path], dict[str, Any]]


def _beside(weights: Path, model: Path) -> dict[str, Any]:
    shutil.copytree(weights, model.parent / "renamed")
    return {}


def _inside(weights: Path, model: Path) -> dict[str, Any]:
    shutil.copytree(weights, model / "final")
    return {}


def _by_environment(weights: Path, model: Path) -> dict[str, Any]:
    os.environ[VARIABLE] = os.pathsep.join([str(model / "absent"), str(weights.parent)])
    return {}


PLACES: dict[str, Places] = {
    "named": lambda weights, _: {"checkpoint": weights},
    "named as text": lambda weights, _: {"checkpoint": str(weights)},
    "one of several": lambda weights, model: {"checkpoint": [model, weights.parent]},
    "runtime": lambda weights, _: {"runtime": RuntimeSpec(workers=1, checkpoints=(str(weights.parent),))},
    "beside": _beside,
    "inside": _inside,
    "environment": _by_environment,
}


@pytest.mark.usefixtures("stranger")
@pytest.mark.parametrize("place", PLACES)
def test_the_folder_is_found_where_it_is_named_beside_the_model_or_in_the_environment(
    place: str, saved: tuple[Path, list[float]], weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Path(shutil.copytree(saved[0], tmp_path / "theirs" / "model"))
    moved = Path(shutil.copytree(weights, tmp_path / "weights" / "elsewhere"))
    monkeypatch.setenv(VARIABLE, "")
    with pytest.raises(CheckpointError, match="checkpoint 'final': no folder with its files is here"):
        Predictor.load(model).predict(NEW)
    options: dict[str, Any] = {"runtime": RUNTIME} | PLACES[place](moved, model)
    assert Predictor.load(model, **options).predict_proba(NEW)[:, 1].tolist() == saved[1]
    again = Predictor.load(model, **options)
    again.save(tmp_path / "again")
    assert str(tmp_path) not in (tmp_path / "again" / "manifest.json").read_text()
    assert Predictor.load(tmp_path / "again", runtime=RUNTIME).predict_proba(NEW)[:, 1].tolist() == saved[1]


@pytest.fixture(scope="module")
def saved_parted(
    specs: dict[str, Any], data: Dataset, shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[float]]:
    """A saved model whose tokenizer was in another folder than the weights, and its probabilities."""
    trainer = Trainer(specs["tokenizer"], "logreg", store=shared, runtime=RUNTIME)
    predictor = trainer.fit(data, uncertainty=False, check=False)
    folder = tmp_path_factory.mktemp("elsewhere") / "model"
    predictor.save(folder)
    return folder, predictor.predict_proba(NEW)[:, 1].tolist()


def _swapped(tokenizer: Path) -> None:
    lines = (tokenizer / "vocab.txt").read_text().split("\n")
    lines[5], lines[6] = lines[6], lines[5]
    (tokenizer / "vocab.txt").write_text("\n".join(lines))


@pytest.mark.usefixtures("stranger")
@pytest.mark.parametrize("place", ["named", "one of several", "beside", "inside", "environment", "together"])
def test_weights_and_tokenizer_of_two_folders_are_found_and_no_other_tokenizer_is_taken(
    place: str,
    saved_parted: tuple[Path, list[float]],
    specs: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = Path(shutil.copytree(saved_parted[0], tmp_path / "theirs" / "model"))
    home = {"beside": model.parent, "inside": model}.get(place, tmp_path / "weights")
    weights = Path(shutil.copytree(specs["tokenizer"].model, home / "a new name"))
    _swapped(Path(shutil.copytree(specs["tokenizer"].tokenizer, home / "tokenizer")))
    right = Path(shutil.copytree(specs["tokenizer"].tokenizer, tmp_path / "right" / "words"))
    options: dict[str, Any] = {"runtime": RUNTIME}
    if place not in ("beside", "inside"):
        options["checkpoint"] = [home]
    with pytest.raises(
        CheckpointError, match="no folder with its files is here.*[\\s\\S]*its tokenizer is 'tokenizer'"
    ):
        Predictor.load(model, **options).predict(NEW)
    match place:
        case "named":
            options["checkpoint"] = [weights, right]
        case "one of several":
            options["checkpoint"] = [home, right.parent]
        case "together":
            shutil.copytree(right, weights, dirs_exist_ok=True)
        case "environment":
            monkeypatch.setenv(VARIABLE, os.pathsep.join([str(home), str(right.parent)]))
            del options["checkpoint"]
        case _:
            right.rename(home / "words")
    loaded = Predictor.load(model, **options)
    assert loaded.predict_proba(NEW)[:, 1].tolist() == saved_parted[1]
    again = Predictor.load(model, runtime=RUNTIME)
    assert again.predict_proba(NEW)[:, 1].tolist() == saved_parted[1], "remembered"
    loaded.save(tmp_path / "again")
    assert str(tmp_path) not in (tmp_path / "again" / "manifest.json").read_text()


@pytest.mark.usefixtures("stranger")
def test_the_random_twin_and_other_processes_get_both_folders(
    saved_parted: tuple[Path, list[float]], specs: dict[str, Any], data: Dataset, tmp_path: Path
) -> None:
    import joblib

    weights, tokenizer = (
        Path(shutil.copytree(path, tmp_path / name))
        for path, name in ((specs["tokenizer"].model, "one"), (specs["tokenizer"].tokenizer, "other"))
    )
    predictor = Predictor.load(saved_parted[0], runtime=RUNTIME, checkpoint=[weights, tokenizer])
    report = predictor.evaluate(data.subset(range(0, 40, 2)))
    assert "random_weights" in report.baselines.found
    extractor = predictor.extractor
    assert isinstance(extractor, Extractor)
    with joblib.parallel_config(backend="loky", n_jobs=2):
        runner = extractor.runner(NEW, [extractor.resolved])
    assert isinstance(runner, remote.RemoteModel)
    assert (runner.spec.model, runner.spec.tokenizer) == (str(weights), str(tokenizer))
    assert runner.spec.digest == extractor.resolved.digest


@pytest.mark.usefixtures("stranger")
def test_a_tokenizer_of_a_folder_for_a_published_model_is_found_or_is_an_error(
    specs: dict[str, Any], tmp_path: Path
) -> None:
    spec = specs["tokenizer for a name"]
    expected, pinned = Extractor(spec, RUNTIME).embed(NEW[:1]), spec.pin()
    assert (pinned.model, pinned.tokenizer) == ("antiberty", "final words")
    assert MARK not in pinned.model_dump_json() + spec.portable().model_dump_json()
    assert spec.portable().digest == pinned.digest
    search._used.clear()
    shutil.rmtree(tmp_path / "cache of another")
    moved = Path(shutil.copytree(spec.tokenizer, tmp_path / "renamed"))
    own = Extractor(pinned, RUNTIME)
    assert (own.embed(NEW[:1]) == expected).all(), "the package's own tokenizer has the same bytes"
    _swapped(moved)
    other = ExtractorSpec(model="antiberty", tokenizer=str(moved)).pin()
    search._used.clear()
    shutil.rmtree(tmp_path / "cache of another")
    with pytest.raises(CheckpointError, match="no tokenizer 'renamed' is here .*checkpoint='path/to/renamed'"):
        Extractor(other, RUNTIME).embed(NEW[:1])
    found = Extractor(other, RuntimeSpec(workers=1, checkpoints=(str(moved),)))
    assert not (found.embed(NEW[:1]) == expected).all()


@pytest.mark.usefixtures("stranger")
def test_every_command_and_the_page_take_the_folder(
    saved: tuple[Path, list[float]], weights: Path, data: Dataset, tmp_path: Path
) -> None:
    model, expected = saved
    moved = Path(shutil.copytree(weights, tmp_path / "renamed"))
    table = pd.DataFrame({"id": list("abcd"), "heavy": NEW, "label": [0, 1, 0, 1]})
    table.to_csv(tmp_path / "new.csv", index=False)
    out, file = tmp_path / "out", str(tmp_path / "new.csv")
    commands = {
        "predict": [file, "-o", f"{out}.csv", "--no-check"],
        "evaluate": [file, "--no-check", "-o", f"{out}.json"],
        "recalibrate": [file, "-o", str(tmp_path / "adapted"), "--no-check"],
        "explain": [NEW[0], "-o", f"{out}.html"],
        "scan": [NEW[0], "--positions", "105", "-o", f"{out}-scan.csv"],
    }
    for number, (name, words) in enumerate(commands.items()):
        common = ["-m", str(model), "--workers", "1", "--store"]
        without = CliRunner().invoke(app.app, [name, *words, *common, str(tmp_path / "empty")])
        assert isinstance(without.exception, SystemExit)
        assert without.exit_code == 1, without.output
        assert "--checkpoint path/to/final" in without.stderr
        search._used.clear()
        shutil.rmtree(tmp_path / "cache of another", ignore_errors=True)
        store = str(tmp_path / f"store {number}")
        done = CliRunner().invoke(app.app, [name, *words, *common, store, "--checkpoint", str(moved)])
        assert done.exit_code == 0, done.output
        search._used.clear()
        shutil.rmtree(tmp_path / "cache of another")
    assert pd.read_csv(f"{out}.csv")["probability"].tolist() == pytest.approx(expected, abs=1e-12)
    assert "random_weights" in json.loads(Path(f"{out}.json").read_text())["baselines"]
    page = _load(model, tmp_path / "store of the page", 1, "cpu", (moved,))
    assert isinstance(page, Predictor)
    assert page.predict_proba(NEW)[:, 1].tolist() == expected
    search._used.clear()
    shutil.rmtree(tmp_path / "cache of another")
    verify = ["store", "verify", "--store", str(tmp_path / "store of the page"), "--recompute", "2"]
    assert "not computed again" in CliRunner().invoke(app.app, verify).stderr
    again = CliRunner().invoke(app.app, [*verify, "--checkpoint", str(moved)])
    assert again.exit_code == 0
    assert "not computed again" not in again.stderr


@pytest.mark.usefixtures("stranger")
def test_explanations_scans_and_panels_find_it_too(
    saved: tuple[Path, list[float]], weights: Path, several: Dataset, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(weights, tmp_path / "renamed"))
    predictor = Predictor.load(saved[0], runtime=RUNTIME, checkpoint=moved)
    assert residue_contributions(predictor, NEW[0], check=False).sequence == NEW[0]
    assert "plausibility" in mutational_scan(predictor, NEW[0], "105", check=False).to_frame()
    panel = Panel.fit(Trainer(moved, "ridge", runtime=RUNTIME), several, uncertainty=False, check=False)
    expected = panel.predict(NEW, check=False)
    panel.save(tmp_path / "panel")
    search._used.clear()
    shutil.rmtree(tmp_path / "cache of another")
    hidden = moved.rename(tmp_path / "panel" / "weights")  # beside its models
    loaded = Panel.load(tmp_path / "panel", runtime=RUNTIME)
    pd.testing.assert_frame_equal(loaded.predict(NEW, check=False), expected)
    search._used.clear()
    shutil.rmtree(tmp_path / "cache of another", ignore_errors=True)
    one = Predictor.load(tmp_path / "panel" / "value", runtime=RUNTIME, checkpoint=hidden)
    assert one.predict(NEW, check=False).tolist() == expected["value prediction"].tolist()


@pytest.mark.usefixtures("stranger")
def test_two_folders_of_one_name_are_told_apart_by_their_files(weights: Path, data: Dataset, tmp_path: Path) -> None:
    one = Path(shutil.copytree(weights, tmp_path / "one" / "final"))
    two = tiny_checkpoint("esm", tmp_path / "two" / "final", layers=1, dim=16, seed=33)
    for combine in ("mean", "concat"):
        members = (ExtractorSpec(model=str(one)), ExtractorSpec(model=str(two)))
        spec = EnsembleSpec.model_validate({"members": members, "combine": combine})
        trainer = Trainer(spec, "logreg", runtime=RUNTIME)
        report, predictor = trainer.cross_validate(data), trainer.fit(data, uncertainty=False, check=False)
        assert len({member.digest for member in predictor.spec.extractor.members}) == 2  # type: ignore[union-attr]  # an ensemble
        assert report.pipeline.count("final [") == 2
        folder, expected = predictor.save(tmp_path / "model"), predictor.predict_proba(NEW).tolist()
        search._used.clear()
        for places in ([one, two], [two, one], [tmp_path / "two", tmp_path / "one"]):
            loaded = Predictor.load(folder, runtime=RUNTIME, checkpoint=places)
            assert loaded.predict_proba(NEW).tolist() == expected
        test = loaded.evaluate(data.subset(range(0, 40, 2)))
        assert "random_weights" in test.baselines.found
        search._used.clear()
        shutil.rmtree(tmp_path / "cache of another")
        with pytest.raises(CheckpointError, match=f"in {one} its files have digest"):
            Predictor.load(folder, runtime=RUNTIME, checkpoint=one).predict(NEW)
        search._used.clear()
        shutil.rmtree(tmp_path / "cache of another")


def test_two_folders_with_the_same_files_are_no_ensemble(weights: Path, data: Dataset, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(weights, tmp_path / "final"))
    spec = EnsembleSpec(members=(ExtractorSpec(model=str(weights)), ExtractorSpec(model=str(copy))))
    with pytest.raises(CheckpointError, match="two members of the ensemble are the same model"):
        Trainer(spec, runtime=RUNTIME).fit(data, check=False)


@pytest.mark.usefixtures("stranger")
def test_other_files_under_the_folder_that_is_named_are_refused(
    saved: tuple[Path, list[float]], tmp_path: Path
) -> None:
    other = tiny_checkpoint("esm", tmp_path / "final", layers=1, dim=16, seed=34)
    with pytest.raises(CheckpointError, match=f"in {other} its files have digest"):
        Predictor.load(saved[0], checkpoint=other).predict(NEW)
    with pytest.raises(CheckpointError, match="there is no folder of a checkpoint"):
        Predictor.load(saved[0], checkpoint=tmp_path / "absent")


@pytest.mark.usefixtures("stranger")
def test_a_store_answers_without_any_folder(weights: Path, data: Dataset, tmp_path: Path) -> None:
    here = Path(shutil.copytree(weights, tmp_path / "final"))
    predictor = Trainer(here, "logreg", store=tmp_path / "store", runtime=RUNTIME).fit(data, uncertainty=False)
    predictor.save(tmp_path / "model")
    shutil.rmtree(here)
    loaded = Predictor.load(tmp_path / "model", store=tmp_path / "store")
    assert (loaded.predict_proba(data) == predictor.predict_proba(data)).all()


@pytest.mark.usefixtures("stranger")
def test_a_model_that_an_earlier_version_saved_with_a_path_still_reads_it_and_is_saved_without(
    saved: tuple[Path, list[float]], weights: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(saved[0], tmp_path / "model"))
    manifest = json.loads((model / "manifest.json").read_text())
    manifest["spec"]["extractor"]["model"] = str(weights)
    earlier = Predictor.load(saved[0]).spec.model_validate_json(json.dumps(manifest["spec"]))
    manifest["fingerprints"]["train"] = earlier.fingerprint
    manifest["sha256"] = manifest_digest(manifest)
    (model / "manifest.json").write_text(json.dumps(manifest))
    loaded = Predictor.load(model, runtime=RUNTIME)
    assert MARK not in repr(loaded)
    assert loaded.predict_proba(NEW)[:, 1].tolist() == saved[1]
    content = (model / "classifier.skops").read_bytes()
    assert loaded.digest == hashlib.sha256(earlier.fingerprint.encode() + content).hexdigest(), "its log goes on"
    loaded.save(tmp_path / "again")
    assert MARK not in (tmp_path / "again" / "manifest.json").read_text()


def printed_elsewhere(program: str, folder: Path) -> str:
    """Return the output of a program in a process with another working directory and cache."""
    (folder / "elsewhere").mkdir()
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache of a worker"), "PYTHONPATH": str(Path.cwd())}
    words = [sys.executable, "-c", program]
    options: dict[str, Any] = {"cwd": folder / "elsewhere", "env": environment}
    return subprocess.run(words, capture_output=True, text=True, check=True, **options).stdout.strip()


@pytest.mark.usefixtures("stranger")
def test_other_processes_find_it_wherever_they_run(
    saved: tuple[Path, list[float]], weights: Path, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(weights, tmp_path / "renamed"))
    extractor = Predictor.load(saved[0], runtime=RUNTIME, checkpoint=moved).extractor
    assert isinstance(extractor, Extractor)
    import joblib

    with joblib.parallel_config(backend="loky", n_jobs=2):
        runner = extractor.runner(NEW, [extractor.resolved])
    assert isinstance(runner, remote.RemoteModel)
    (tmp_path / "runner").write_bytes(pickle.dumps(runner))
    program = (
        "import pickle, sys; from antibody_esm.batch import Batch\n"
        f"runner = pickle.load(open({str(tmp_path / 'runner')!r}, 'rb'))\n"
        f"print(runner.run(Batch({NEW!r}, (runner.spec.resolve(),)))[0].tobytes().hex())"
    )
    assert printed_elsewhere(program, tmp_path) == extractor.embed(NEW).tobytes().hex()


@pytest.mark.usefixtures("stranger")
def test_masked_marginals_of_other_processes_find_it_wherever_they_run(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = Path(shutil.copytree(weights, tmp_path / "renamed"))
    extractor = Extractor(moved, RUNTIME)
    expected = masked.masked_log_probabilities(extractor, HEAVY[:20], [3])
    sent: list[Any] = []

    def keep(step: Any, todo: Any, workers: int | None) -> list[Any]:
        sent.append((step, list(todo)))
        return []

    monkeypatch.setattr(masked, "each", keep)
    import joblib

    with joblib.parallel_config(backend="loky", n_jobs=2):
        masked.masked_log_probabilities(extractor, HEAVY[:20], [3])
    (tmp_path / "step").write_bytes(pickle.dumps(sent))
    program = (
        "import pickle, sys\n"
        f"((step, (batch,)),) = pickle.load(open({str(tmp_path / 'step')!r}, 'rb'))\n"
        "print(step(batch)[1].tobytes().hex())"
    )
    assert printed_elsewhere(program, tmp_path) == expected.tobytes().hex()


def test_other_processes_read_a_packaged_model_beside_a_folder_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "antiberty").mkdir()
    monkeypatch.chdir(tmp_path)
    spec = ExtractorSpec(model="antiberty").pin()
    assert remote.RemoteModel.of(Extractor, spec, RUNTIME).spec == spec


def test_pasted_lines_of_a_report_find_it(
    weights: Path, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    report = Trainer(weights, "logreg", runtime=RUNTIME).cross_validate(data)
    lines = "\n".join(
        line for line in report.python.splitlines() if "load_dataset" not in line and "assert" not in line
    )
    scope: dict[str, Any] = {"data": data}
    imports = [line.replace(", load_dataset", "") for line in report.python.splitlines() if line.startswith("from ")]
    exec("\n".join([*imports, lines]), scope)  # noqa: S102
    assert scope["report"].predictions.equals(report.predictions)
    assert report.command is not None
    assert "extractor.model=final" in report.command
    assert str(Extractor(weights).pinned.digest) in report.command


@pytest.mark.parametrize("name", ["antiberty", "Sapiens_VH", "ablang2"])
def test_a_folder_with_the_name_of_a_packaged_model_gets_neither_its_licence_nor_its_files(
    name: str, weights: Path, data: Dataset, tmp_path: Path
) -> None:
    here = Path(shutil.copytree(weights, tmp_path / name))
    predictor = Trainer(here, "logreg", runtime=RUNTIME).fit(data, uncertainty=False, check=False)
    assert folder_name(str(here)) == f"local_{name}"
    predictor.save(tmp_path / "model")
    manifest = json.loads((tmp_path / "model" / "manifest.json").read_text())
    assert manifest["licences"] == {f"local_{name}": None}
    loaded = Predictor.load(tmp_path / "model", runtime=RUNTIME)
    assert (loaded.predict_proba(NEW) == predictor.predict_proba(NEW)).all()
