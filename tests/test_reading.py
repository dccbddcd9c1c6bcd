"""One reading of an antibody at every door: the same part of the same chain by the same numbering, or a refusal."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import (
    Dataset,
    DatasetError,
    DescriptorSpec,
    EnsembleSpec,
    Extractor,
    ExtractorSpec,
    Predictor,
    StoreError,
    Trainer,
    embed,
    load_dataset,
)
from antibody_esm.data.parts import FRAGMENTS
from antibody_esm.data.reading import Reading
from antibody_esm.explain import mutational_scan, occlusion, residue_contributions
from antibody_esm.numbering import NANOBODY_SPECIES, profiles
from antibody_esm.score_tables import score_file, score_frame
from chains import HEAVY, LIGHT, LINKER, LYSOZYME, NANOBODY, mutants

CHARGE = DescriptorSpec(descriptors=("net_charge", "hydrophobicity", "length"))
HEAVIES, LIGHTS = mutants(HEAVY, 24, 6, seed=3), mutants(LIGHT, 24, 6, seed=4)
LABEL = [float(i % 2) for i in range(24)]
WHOLE = Dataset([f"a{i}" for i in range(24)], HEAVIES, LIGHTS, label=LABEL)
LOOPS = WHOLE.cut("H-CDRs")
FIELD = Path(__file__).parent / "field"
RABBITS = [
    "QSVEESGGRLVTPGTPLTLTCTVSGFSLSSYAMSWVRQAPGKGLEWIGIISSSGSTYYASWAKGRFTISKTSTTVDLKITSPTTEDTATYFCARGGYSSGDLWGPGTLVTVSS",
    "QSLEESGGDLVKPGASLTLTCTASGFSFSSSYYMCWVRQAPGKGLEWIACIYAGSSGSTYYASWAKGRFTISKTSSTTVTLQMTSLTAADTATYFCARDLYAGSSYYAGFNLWGPGTLVTVSS",
]


def predicted(predictor: Predictor, antibodies: Any) -> list[float]:
    return predictor.score_table(antibodies)["prediction"].tolist()


def every_door(predictor: Predictor, whole: Dataset, folder: Path) -> dict[str, np.ndarray]:
    """The probability of class 1 of whole chains by each way in."""
    frame = whole.to_frame().drop(columns="label")
    path = folder / "whole.csv"
    frame.to_csv(path, index=False)
    doors = {
        "list": predictor.predict_proba(list(whole.heavy or ()))[:, 1],
        "Series": predictor.predict_proba(pd.Series(whole.heavy))[:, 1],
        "pairs": predictor.predict_proba([chains for chains in whole.chains if None not in chains])[:, 1],
        "DataFrame": predictor.predict_proba(frame)[:, 1],
        "Dataset": predictor.predict_proba(whole)[:, 1],
        "vectors": predictor.classifier.predict_proba(predictor.vectors(list(whole.heavy or ())))[:, 1],
        "score_table": predictor.score_table(list(whole.heavy or ()))["probability"],
        "file": pd.concat([scores.table for scores in score_file(path, predictor)])["probability"],
        "evaluate": predictor.evaluate(whole).predictions["probability"],
        "loaded": Predictor.load(predictor.save(folder / "model"), store=predictor.store).predict_proba(whole)[:, 1],
    }
    return {name: np.asarray(values) for name, values in doors.items()}


@pytest.mark.parametrize(
    ("model", "fragment"),
    [
        ("descriptors", "H-CDRs"),
        ("descriptors", "H-FWRs"),
        ("tiny", "H-CDR3"),
        ("tiny", "VH"),
        ("region", None),
        ("ensemble", "H-CDRs"),
    ],
)
def test_whole_chains_have_the_same_probability_at_every_door(
    model: str, fragment: str | None, tiny: ExtractorSpec, tmp_path: Path
) -> None:
    region = tiny.model_copy(update={"region": "cdr3"})
    extractor = {"descriptors": CHARGE, "tiny": tiny, "region": region}.get(model) or EnsembleSpec(
        members=(tiny, CHARGE), combine="concat"
    )
    data = WHOLE if fragment is None else WHOLE.cut(fragment)
    predictor = Trainer(extractor, "logreg").fit(data, uncertainty=False)
    expected = predictor.predict_proba(data)[:, 1]
    for door, probability in every_door(predictor, WHOLE, tmp_path).items():
        np.testing.assert_array_equal(probability, expected, err_msg=door)
    logit = np.log(expected[0] / (1 - expected[0]))
    assert occlusion(predictor, HEAVIES[0]).score == pytest.approx(logit, abs=1e-6)
    assert residue_contributions(predictor, HEAVIES[0]).score == pytest.approx(logit, abs=1e-6)
    scan = mutational_scan(predictor, HEAVIES[0], [3], plausibility=False)
    assert scan.prediction == pytest.approx(expected[0], abs=1e-9)


def test_explanations_use_the_same_fragment_as_the_table_of_scores() -> None:
    predictor = Trainer(CHARGE, "logreg").fit(LOOPS, uncertainty=False)
    assert occlusion(predictor, HEAVIES[0]).sequence == LOOPS.sequences[0]
    (scores,) = [score_frame(pd.DataFrame({"id": ["a"], "heavy": HEAVIES[:1]}), predictor)]
    assert predictor.reads(scores.antibodies[0][0] or "") == LOOPS.sequences[0]


def test_nanobodies_are_numbered_with_alpaca_in_data_set_model_and_file(published: Path, tmp_path: Path) -> None:
    loops, whole = load_dataset("harvey", fragment="H-CDRs"), load_dataset("harvey")
    assert whole.species == loops.species == NANOBODY_SPECIES
    predictor = Trainer(CHARGE, "ridge").fit(loops, uncertainty=False)
    again = Predictor.load(predictor.save(tmp_path / "model"))
    assert again.reading == predictor.reading
    assert again.reading.species == NANOBODY_SPECIES
    assert again.reads((whole.heavy or ())[whole.ids.index("B07")] or "") == "GFIFHYYVITSDDSTAVDVWYSTDHFSDYDY"
    expected = predictor.predict(loops)
    table = again.score_table(whole.to_frame())
    np.testing.assert_array_equal(table["prediction"], expected)
    assert table["warning"].str.contains("is a training antibody").all()
    np.testing.assert_array_equal(again.predict(list(whole.heavy or ())), expected)


def test_a_region_is_numbered_by_the_species_of_the_data(published: Path, tiny: ExtractorSpec) -> None:
    whole, loops = load_dataset("harvey"), load_dataset("harvey", fragment="H-CDR2")
    row = whole.ids.index("B07")
    assert loops.sequences[row] == "ITSDDST"
    region = tiny.model_copy(update={"region": "cdr2"})
    predictor = Trainer(region, "ridge").fit(whole, uncertainty=False)
    assert predictor.spec.extractor.numbered_by(whole.species) == predictor.spec.extractor
    (states,) = Extractor(tiny).residues([whole.sequences[row]])
    start = whole.sequences[row].index("ITSDDST")
    np.testing.assert_allclose(
        predictor.vectors(whole)[row], states[start : start + 7].astype(float).mean(axis=0), atol=1e-6
    )
    with pytest.raises(ValueError, match="leave extractor.species out"):
        Trainer(region.model_copy(update={"species": ("mouse",)}), "ridge").fit(whole)


def test_rows_of_a_region_are_never_served_to_another_species_or_engine(
    tiny: ExtractorSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: Path
) -> None:
    whole = load_dataset("harvey")
    antibody = whole.sequences[whole.ids.index("B07")]
    usual = tiny.model_copy(update={"region": "cdr2"})
    other = usual.model_copy(update={"species": NANOBODY_SPECIES})
    assert usual.address != other.address
    before = embed([antibody], usual, tmp_path)
    assert not np.array_equal(embed([antibody], other, tmp_path), before)
    np.testing.assert_array_equal(embed([antibody], usual, tmp_path), before)
    monkeypatch.setattr(profiles, "_FORMAT", 99)
    extractor = Extractor(usual)
    embed([antibody], extractor, tmp_path)
    assert extractor.computed == 1, "rows of another engine are not taken for these"


def test_chains_of_another_species_are_read_by_the_species_that_is_named(tmp_path: Path) -> None:
    rabbits = Dataset([f"r{i}" for i in range(8)], RABBITS * 4, label=LABEL[:8], species=("rabbit",))
    data = rabbits.cut("VH")
    assert data.sequences == RABBITS * 4, "a gap at position 2 is the rabbit's own"
    predictor = Trainer(CHARGE, "logreg").fit(data, uncertainty=False)
    again = Predictor.load(predictor.save(tmp_path / "model"))
    np.testing.assert_array_equal(again.predict_proba(RABBITS), predictor.predict_proba(data)[:2])
    path = tmp_path / "rabbits.csv"
    rabbits.to_frame().to_csv(path, index=False)
    named = load_dataset(path, fragment="VH", species=("rabbit",))
    assert named.sequences == data.sequences
    assert named.species == ("rabbit",)


TANDEM = NANOBODY + LINKER + NANOBODY
WRONG = {
    LIGHT: "a light chain, where the heavy chain is read",
    LYSOZYME: "no heavy variable domain",
    TANDEM: "2 heavy variable domains in one sequence",
    HEAVY + LINKER + LIGHT: "a light variable domain beside the heavy one",
}


@pytest.mark.parametrize(("sequence", "reason"), WRONG.items(), ids=["light", "enzyme", "tandem", "scFv"])
def test_another_molecule_is_refused_with_the_reason_at_every_door(sequence: str, reason: str, tmp_path: Path) -> None:
    predictor = Trainer(CHARGE, "logreg").fit(WHOLE)
    for ask in (predictor.predict, predictor.predict_proba, predictor.vectors):
        with pytest.raises(DatasetError, match=reason) as caught:
            ask([HEAVY, sequence])
        assert list(caught.value.reasons) == [1]
    table = predictor.score_table([HEAVY, sequence])
    numbers = ["prediction", "probability", "distance", "identity"]
    assert table.loc[0, numbers].notna().all()
    assert table.loc[1, [*numbers, "calibrated"]].isna().all()
    assert table["conformal_set"].tolist()[1] == ""
    assert reason in table["warning"][1]
    scores = score_frame(pd.DataFrame({"id": ["good", "bad"], "heavy": [HEAVY, sequence]}), predictor)
    assert (scores.table["id"].tolist(), scores.rejected["id"].tolist()) == (["good"], ["bad"])
    assert reason in scores.rejected["reason"][0]
    for explain in (residue_contributions, occlusion, mutational_scan):
        with pytest.raises(DatasetError, match=reason):
            explain(predictor, sequence)
    bad = dataclasses.replace(WHOLE, heavy=[sequence, *HEAVIES[1:]])
    with pytest.raises(DatasetError, match=reason):
        predictor.evaluate(bad)
    for learn in (Trainer(CHARGE, "logreg").fit, Trainer(CHARGE, "logreg").cross_validate):
        with pytest.raises(DatasetError, match=reason):
            learn(bad)
    assert len(predictor.evaluate(bad, drop=True).predictions) == 23


def test_a_light_chain_model_refuses_heavy_chains_and_a_pair_swapped_columns() -> None:
    light = Trainer(CHARGE, "logreg").fit(dataclasses.replace(WHOLE, chain="light"), uncertainty=False)
    with pytest.raises(DatasetError, match="a heavy chain, where the light chain is read"):
        light.predict([HEAVY])
    pairs = Trainer(CHARGE, "logreg").fit(dataclasses.replace(WHOLE, chain="paired"), uncertainty=False)
    with pytest.raises(DatasetError, match="are the columns swapped"):
        pairs.predict([(LIGHT, HEAVY)])
    with pytest.raises(DatasetError, match="no light chain"):
        pairs.predict([HEAVY])


@given(st.lists(st.sampled_from([*HEAVIES[:3], *WRONG, *LOOPS.sequences[:3], "GGG"]), min_size=1, max_size=8))
def test_the_reason_of_a_row_does_not_depend_on_its_neighbours(antibodies: list[str]) -> None:
    for reading in (WHOLE.reading, LOOPS.reading.with_lengths(LOOPS.sequences)):
        texts = reading.read(antibodies)
        for row, antibody in enumerate(antibodies):
            alone = reading.read([antibody])
            assert alone.parts[0] == texts.parts[row]
            assert alone.reasons.get(0) == texts.reasons.get(row)
            assert (texts.parts[row] is None) == (row in texts.reasons)


def test_loops_are_read_as_themselves_if_they_are_as_long_as_in_training() -> None:
    predictor = Trainer(CHARGE, "logreg").fit(LOOPS, uncertainty=False)
    np.testing.assert_array_equal(predictor.predict_proba(LOOPS.sequences), predictor.predict_proba(HEAVIES))
    with pytest.raises(DatasetError, match=r"4 residues are no H-CDRs: the training set has 2\d to 2\d"):
        predictor.predict(["GFNI"])
    assert predictor.predict(["GFNI"], check=False).shape == (1,)


def test_a_data_set_declares_that_its_sequences_are_loops(tmp_path: Path) -> None:
    path = tmp_path / "loops.csv"
    LOOPS.to_frame().to_csv(path, index=False)
    with pytest.raises(DatasetError, match="part='H-CDRs'"):
        Trainer(CHARGE, "logreg").fit(load_dataset(path))
    declared = load_dataset(path, part="H-CDRs")
    assert (declared.fragment, declared.sequences) == ("H-CDRs", LOOPS.sequences)
    predictor = Trainer(CHARGE, "logreg").fit(declared, uncertainty=False)
    np.testing.assert_array_equal(predictor.predict_proba(HEAVIES), predictor.predict_proba(LOOPS))
    WHOLE.to_frame().to_csv(path, index=False)
    with pytest.raises(DatasetError, match="holds a variable domain, though it is declared to be H-CDRs"):
        Trainer(CHARGE, "logreg").fit(load_dataset(path, part="H-CDRs"))
    with pytest.raises(DatasetError, match="pass only one of them"):
        load_dataset(path, part="H-CDRs", fragment="H-CDRs")


def test_the_bundled_loops_are_declared_for_each_chain() -> None:
    parts = {
        chain: load_dataset("boughter_flu_cdrs", chain=chain).reading.fragment for chain in ("heavy", "light", "both")
    }
    assert parts == {"heavy": "H-CDRs", "light": "L-CDRs", "both": "All-CDRs"}


def test_without_a_check_anything_is_read_and_the_report_says_so(tmp_path: Path) -> None:
    toys = Dataset(WHOLE.ids, ["GFNI" + "AY"[i % 2] for i in range(24)], label=LABEL)
    trainer = Trainer(CHARGE, "logreg")
    with pytest.raises(DatasetError, match="no heavy variable domain"):
        trainer.cross_validate(toys)
    report = trainer.cross_validate(toys, check=False)
    assert any("check=False" in note for note in report.notes)
    predictor = Predictor.load(trainer.fit(toys, check=False, uncertainty=False, scores=False).save(tmp_path / "model"))
    assert predictor.predict(["GFNIK"]).shape == (1,), "a model checks as it was trained"
    assert any("check=False" in note for note in predictor.evaluate(toys).notes)
    with pytest.raises(DatasetError):
        predictor.predict(["GFNIK"], check=True)


@pytest.mark.parametrize("name", FRAGMENTS)
def test_a_reading_is_saved_as_it_is(name: str) -> None:
    reading = Reading(FRAGMENTS[name].chain, name, species=("rabbit", "human"), lengths=((3, 9),), check=False)
    assert Reading.from_dict(json.loads(json.dumps(reading.to_dict()))) == reading


@pytest.mark.parametrize("lengths", [[[1, float("inf")]], [[-1, 3]], [["1", 3]], [[1.5, 3]], 7])
def test_a_reading_with_odd_lengths_is_refused(lengths: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Reading.from_dict(Reading().to_dict() | {"lengths": lengths})


def test_parts_are_the_same_by_their_regions_and_not_by_their_names() -> None:
    assert Reading("heavy").same_part(Reading("heavy", "VHH"))
    assert Reading("heavy", "All-CDRs").same_part(Reading("heavy", "H-CDRs"))
    assert not Reading("both", "All-CDRs").same_part(Reading("paired", "All-CDRs"))
    assert not Reading("heavy", "H-CDR3").same_part(Reading("heavy", "H-CDRs"))
    with pytest.raises(DatasetError, match="no region of the light chain"):
        Reading("light", "H-CDR3")


def test_a_pair_of_loops_is_cut_chain_by_chain() -> None:
    data = WHOLE.cut("All-CDRs", chain="paired")
    assert data.sequences[0] == f"{WHOLE.cut('H-CDRs').sequences[0]}|{WHOLE.cut('L-CDRs').sequences[0]}"
    predictor = Trainer(CHARGE, "logreg").fit(data, uncertainty=False)
    expected = predictor.predict_proba(data)
    assert np.array_equal(predictor.predict_proba(list(zip(HEAVIES, LIGHTS, strict=True))), expected)
    assert np.array_equal(predictor.predict_proba(WHOLE.to_frame()), expected)
    assert np.array_equal(predictor.predict_proba(data.sequences), expected)


@pytest.mark.parametrize("edit", [("chain", "light"), ("fragment", "H-CDR3"), ("species", ["mouse"]), ("check", False)])
def test_a_manifest_whose_reading_was_edited_is_refused(edit: tuple[str, Any], tmp_path: Path) -> None:
    folder = Trainer(CHARGE, "logreg").fit(LOOPS, uncertainty=False, scores=False).save(tmp_path / "model")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["reading"][edit[0]] = edit[1]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match="was changed after the model was saved"):
        Predictor.load(folder)


def test_a_manifest_of_the_earlier_format_with_fields_of_the_later_one_is_refused(tmp_path: Path) -> None:
    folder = Trainer(CHARGE, "logreg").fit(LOOPS, uncertainty=False, scores=False).save(tmp_path / "model")
    manifest = json.loads((folder / "manifest.json").read_text()) | {"format": 2}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match="has no 'reading'"):
        Predictor.load(folder)
