"""Licences of weights and data: of every preset, said once, and refused before anything is downloaded."""

import html
import json
import logging
from pathlib import Path

import huggingface_hub
import pytest

from antibody_esm import (
    CheckpointError,
    ColumnSpec,
    DatasetError,
    DescriptorSpec,
    EnsembleSpec,
    ExtractorSpec,
    Trainer,
    licences,
    load_dataset,
    presets,
)
from antibody_esm.data import downloads, public
from antibody_esm.plm.checkpoints import locate
from antibody_esm.plm.resolution import find
from antibody_esm.specs.ensembles import models_of
from antibody_esm.specs.local_models import folder_name
from antibody_esm.testing import tiny_checkpoint
from parted import parted

PRESETS = Path(__file__).parent.parent / "docs" / "language-models.md"
FORBIDDEN = sorted(name for name, licence in licences.WEIGHTS.items() if not licence.commercial)


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Downloads that were begun; each ends as without a network."""
    begun: list[object] = []

    def fetch(*names: object, **_: object) -> str:
        begun.append(names)
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    monkeypatch.setattr(downloads, "_downloaded", fetch)
    monkeypatch.delenv(downloads.VARIABLE, raising=False)
    return begun


def test_every_preset_has_a_licence_which_the_table_of_presets_has_beside_it() -> None:
    rows = [line.split("|") for line in PRESETS.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    for name, spec in presets.EXTRACTORS.items():
        listed = "esm1v" if name in ("esm1v_2", "esm1v_3", "esm1v_4") else name  # "`esm1v_1` to `esm1v_5`"
        (row,) = [cells for cells in rows if f"`{listed}`" in cells[1]]
        for model in models_of(spec):
            licence = licences.WEIGHTS[model]
            assert licence.source.startswith("https://")
            assert licence.name.replace("AntiBERTa2's own", "its own") in row[3]
            assert ("no commercial use" in row[3]) == (not licence.commercial)
    assert {model for spec in presets.EXTRACTORS.values() for model in models_of(spec)} == set(licences.WEIGHTS)


def test_every_public_data_set_has_a_licence() -> None:
    assert set(licences.DATA) == set(public._NAMED)
    assert load_dataset("boughter_flu_cdrs").provenance.licence == licences.DATA["boughter_flu_cdrs"].name


@pytest.mark.parametrize("model", [*FORBIDDEN, "someone/else"])
def test_weights_that_forbid_commercial_use_or_have_no_known_licence_are_refused_before_a_download(
    model: str, fetched: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CheckpointError, match="neither on disk nor can it be downloaded"):
        locate(model)
    assert fetched
    fetched.clear()
    monkeypatch.setenv(licences.VARIABLE, "commercial")
    with pytest.raises(CheckpointError, match=f"ANTIBODY_ESM_LICENCE=commercial refuses '{model}'"):
        Trainer(ExtractorSpec(model=model)).extractor.pinned  # noqa: B018  reads the files
    assert not fetched


def test_weights_that_allow_commercial_use_and_local_folders_are_read(
    tiny: ExtractorSpec, fetched: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(licences.VARIABLE, "commercial")
    assert locate(tiny.model).digest
    assert locate("antiberty").digest
    with pytest.raises(CheckpointError, match="downloaded"):
        locate("facebook/esm2_t6_8M_UR50D")
    assert fetched
    monkeypatch.setenv(licences.VARIABLE, "academic")
    with pytest.raises(CheckpointError, match="the only value is commercial"):
        locate("antiberty")


def test_a_data_set_without_a_licence_is_refused_before_a_download(
    fetched: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(licences.VARIABLE, "commercial")
    assert len(load_dataset("boughter_flu_cdrs"))
    with pytest.raises(DatasetError, match="refuses 'jain': its licence is none stated"):
        load_dataset("jain")
    assert not fetched


def test_a_licence_is_logged_once_and_as_a_warning_if_it_forbids_commercial_use(
    fetched: list[object], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(licences, "_stated", set())
    with caplog.at_level(logging.INFO, "antibody_esm"):
        for _ in range(2):
            locate("antiberty")
            with pytest.raises(CheckpointError):
                locate("alchemab/antiberta2")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "the licence of antiberty is MIT (https://pypi.org/project/antiberty/0.1.3)"),
        (
            "WARNING",
            "the licence of alchemab/antiberta2 is AntiBERTa2's own; not for commercial use, nor for making "
            "therapeutic antibodies (https://huggingface.co/alchemab/antiberta2/blob/main/LICENSE.md)",
        ),
    ]


def test_weights_of_a_folder_have_an_unknown_licence_also_under_a_name_that_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(licences, "_stated", set())
    monkeypatch.setenv(licences.VARIABLE, "commercial")
    folder = tiny_checkpoint("esm", tmp_path / "alchemab" / "antiberta2", seed=47)  # files that nobody has read before
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.INFO, "antibody_esm"):
        pinned = ExtractorSpec(model="alchemab/antiberta2").pin()
    assert [record.getMessage() for record in caplog.records] == [
        "the licence of antiberta2 is not known here; see the page of its authors"
    ]
    assert pinned.model == "antiberta2"
    assert models_of(pinned)[0] not in licences.WEIGHTS
    assert find(pinned).folder == folder
    # A model of the hub keeps its licence, wherever its files lie.
    monkeypatch.chdir("/")
    with pytest.raises(CheckpointError, match="refuses 'alchemab/antiberta2': its licence is AntiBERTa2's own"):
        find(pinned.model_copy(update={"model": "alchemab/antiberta2"}), [str(folder)])


PUBLISHED = ["ElnaggarLab/ankh-base", "elnaggarlab/ANKH-base", "someone/else"]


@pytest.mark.parametrize("model", PUBLISHED)
@pytest.mark.parametrize("field", ["model", "tokenizer"])
def test_a_pinned_spec_gets_past_no_licence_by_the_case_of_a_name_or_by_one_that_is_not_known(
    model: str, field: str, tiny: ExtractorSpec, fetched: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tiny.pin().model_copy(update={"model": tiny.model, field: model})
    monkeypatch.setenv(licences.VARIABLE, "commercial")
    with pytest.raises(CheckpointError, match=f"ANTIBODY_ESM_LICENCE=commercial refuses '{model}'"):
        find(spec, [tiny.model])
    with pytest.raises(CheckpointError, match=f"ANTIBODY_ESM_LICENCE=commercial refuses '{model}'"):
        find(spec.model_copy(update={"digest": None}))
    assert not fetched


def test_the_licence_of_a_tokenizer_from_elsewhere_is_logged_and_recorded(
    checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    model, tokenizer = parted(checkpoints["esm"], tmp_path, "words")
    for spec in (ExtractorSpec(model=str(model), tokenizer=str(tokenizer)),) * 2:
        monkeypatch.setattr(licences, "_stated", set())
        caplog.clear()
        with caplog.at_level(logging.INFO, "antibody_esm"):
            pinned = spec.pin()
            find(pinned, [str(model), str(tokenizer)])
        words = folder_name(str(tokenizer))
        assert f"the licence of {words} is not known here; see the page of its authors" in caplog.messages
        assert models_of(pinned) == tuple(dict.fromkeys((folder_name(str(model)), words)))
    spec = ExtractorSpec(model="Rostlab/prot_bert", tokenizer="alchemab/antiberta2")
    assert models_of(spec) == ("Rostlab/prot_bert", "alchemab/antiberta2")


MODELS = {
    "one": (ExtractorSpec(model="antiberty"), {"antiberty"}),
    "mean": (presets.EXTRACTORS["esm1v_mean"], {f"facebook/esm1v_t33_650M_UR90S_{seed}" for seed in range(1, 6)}),
    "beside descriptors": (
        EnsembleSpec(members=(ExtractorSpec(model="antiberty"), DescriptorSpec()), combine="concat"),
        {"antiberty"},
    ),
    "beside a column": (
        EnsembleSpec(members=(ExtractorSpec(model="antiberty"), ColumnSpec(name="ph")), combine="concat"),
        {"antiberty"},
    ),
    "two views": (
        EnsembleSpec(members=tuple(ExtractorSpec(model="antiberty", layer=layer) for layer in (1, 2))),
        {"antiberty"},
    ),
    "random weights": (ExtractorSpec(model="antiberty", random_weights=0), {"antiberty"}),
    "none": (DescriptorSpec(), set()),
}


@pytest.mark.parametrize("kind", MODELS)
def test_the_language_models_of_every_kind_of_spec_are_named(kind: str) -> None:
    spec, expected = MODELS[kind]
    assert set(models_of(spec)) == expected


def test_a_page_has_the_licences_of_weights_and_data_with_their_sources(tiny: ExtractorSpec, tmp_path: Path) -> None:
    data = load_dataset("boughter_flu_cdrs").subset(range(0, 358, 9))
    members = (ExtractorSpec(model="antiberty", revision="0.1.3"), tiny)
    trainer = Trainer(EnsembleSpec(members=members, combine="concat"), random_seeds=0)
    page = html.unescape(trainer.cross_validate(data).to_html(tmp_path / "report.html").read_text())
    assert "weights of antiberty" in page
    assert str(licences.WEIGHTS["antiberty"]) in page
    assert "weights of esm" in page
    assert licences.of_weights(None) in page
    assert str(licences.DATA["boughter_flu_cdrs"]) in page
    trainer.fit(data, uncertainty=False, scores=False).save(tmp_path / "model")
    manifest = json.loads((tmp_path / "model" / "manifest.json").read_text())
    assert manifest["data"]["licence"] == "MIT"


def test_the_licence_of_data_is_that_of_the_set_and_of_unknown_data_as_it_is_written() -> None:
    shared = licences.DATA["boughter"].name
    assert licences.of_data(shared, "boughter") == str(licences.DATA["boughter"])
    assert licences.of_data(shared) == shared
    assert "not for commercial use" in licences.of_data(licences.DATA["jain"].name)
    assert licences.of_data("mine", "jain") == "mine"
    assert licences.of_data("") == ""


def test_a_saved_model_names_the_licence_of_its_weights(tiny: ExtractorSpec, tmp_path: Path) -> None:
    data = load_dataset("boughter_flu_cdrs").subset(range(0, 358, 9))
    for extractor in (ExtractorSpec(model="antiberty", revision="0.1.3"), tiny):
        Trainer(extractor).fit(data, uncertainty=False, scores=False).save(tmp_path)
        named = json.loads((tmp_path / "manifest.json").read_text())["licences"]
        known = licences.WEIGHTS.get(extractor.model)
        assert named == {folder_name(extractor.model): None if known is None else known.to_dict()}
