"""Every single mutant, once: what the model says, how plausible it is, and what the germline has there."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from antibody_esm import (
    Dataset,
    DescriptorSpec,
    EnsembleSpec,
    ExtractorSpec,
    Predictor,
    SequenceError,
    Trainer,
    load_dataset,
)
from antibody_esm.explain import Scan, mutational_scan
from antibody_esm.explain.germline import germline_residues
from antibody_esm.explain.scan import ROWS, on_the_front
from antibody_esm.plm.masked import masked_log_probabilities
from antibody_esm.sequences import AMINO_ACIDS
from chains import HEAVY, LIGHT
from explaining import trained

CDR3 = "SRWGGDGFYAMDY"
AT = HEAVY.index(CDR3)
IGHV3_66 = "EVQLVESGGGLVQPGGSLRLSCAASGFTVSSNYMSWVRQAPGKGLEWVSVIYSGGSTYYADSVKGRFTISRDNSKNTLYLQMNSLRAEDTAVYYCAR"
IGHJ4 = "YFDYWGQGTLVTVSS"


@pytest.fixture(scope="module")
def predictor(checkpoints: dict[str, Path]) -> Predictor:
    """ESM-C's tiny checkpoint, which has a head."""
    return trained(ExtractorSpec(model=str(checkpoints["esmc"])), "logreg")


@pytest.fixture(scope="module")
def scan(predictor: Predictor) -> Scan:
    return mutational_scan(predictor, HEAVY, "CDR3", protect="106,107")


def mutant(row: "pd.Series[str]") -> str:
    return HEAVY[: row["index"]] + row["mutant"] + HEAVY[row["index"] + 1 :]


def test_every_mutant_goes_through_the_model_once_and_the_wild_type_never_again(tiny: ExtractorSpec) -> None:
    predictor = trained(tiny, "logreg")
    predictor.predict([HEAVY])
    before = predictor.extractor.computed
    mutational_scan(predictor, HEAVY, "CDR3")
    assert predictor.extractor.computed - before == 19 * len(CDR3)
    mutational_scan(predictor, HEAVY, "105-117")
    mutational_scan(predictor, HEAVY, "107")
    assert predictor.extractor.computed - before == 19 * len(CDR3)


def test_rows_are_the_mutants_of_the_chosen_positions_but_the_protected_ones(scan: Scan) -> None:
    table = scan.to_frame()
    assert len(table) == 19 * (len(CDR3) - 2)
    assert set(table["position"]) == {"105", *map(str, range(108, 118))}
    assert set(table["region"]) == {"CDR3"}
    assert (table["wild_type"] != table["mutant"]).all()
    assert "".join(site.residue for site in scan.sites) == CDR3[0] + CDR3[3:]
    assert not table.duplicated(["index", "mutant"]).any()
    assert {"S105A", "Y117W"} <= set(table["mutation"])


def test_changes_and_probabilities_are_what_the_predictor_says_of_each_mutant(scan: Scan, predictor: Predictor) -> None:
    table = scan.to_frame()
    rows = table.sample(15, random_state=0)
    probability = predictor.predict_proba([mutant(row) for _, row in rows.iterrows()])[:, 1]
    np.testing.assert_allclose(rows["probability"], probability)
    wild = predictor.predict_proba([HEAVY])[0, 1]
    assert scan.prediction == pytest.approx(wild)
    odds = np.log(probability / (1 - probability)) - np.log(wild / (1 - wild))
    np.testing.assert_allclose(rows["change"], odds, atol=1e-6)
    assert table["change"].is_monotonic_increasing


def test_plausibility_is_how_much_more_probable_the_residue_is_behind_the_mask(
    scan: Scan, predictor: Predictor
) -> None:
    for _, row in scan.to_frame().sample(10, random_state=1).iterrows():
        (logs,) = masked_log_probabilities(predictor.extractor, HEAVY, [row["index"]])
        expected = logs[AMINO_ACIDS.index(row["mutant"])] - logs[AMINO_ACIDS.index(row["wild_type"])]
        assert row["plausibility"] == pytest.approx(expected, abs=1e-5)


def test_without_a_head_there_is_no_plausibility_and_that_is_said(tiny: ExtractorSpec) -> None:
    scan = mutational_scan(trained(tiny, "logreg"), HEAVY, "107")
    assert not {"plausibility", "pareto"} & set(scan.to_frame())
    assert "holds no language-model head" in scan.absent["plausibility"]
    assert "no plausibility:" in str(scan)
    with pytest.raises(ValueError, match="no front without plausibility"):
        scan.pareto()


def test_descriptors_and_those_who_do_not_ask_have_no_plausibility(predictor: Predictor) -> None:
    described = trained(DescriptorSpec(descriptors=("net_charge", "length")), "logreg")
    assert "no language model" in mutational_scan(described, HEAVY, "107").absent["plausibility"]
    assert "not computed" in mutational_scan(predictor, HEAVY, "107", plausibility=False).absent["plausibility"]


def test_plausibility_of_several_models_is_their_mean(checkpoints: dict[str, Path], predictor: Predictor) -> None:
    one = ExtractorSpec(model=str(checkpoints["esmc"]))
    several = EnsembleSpec(members=(one, one.model_copy(update={"layer": 1})), combine="concat")
    both = mutational_scan(trained(several, "logreg"), HEAVY, "109").to_frame().sort_values("mutation")
    alone = mutational_scan(predictor, HEAVY, "109").to_frame().sort_values("mutation")
    np.testing.assert_allclose(both["plausibility"], alone["plausibility"], atol=1e-5)


def test_the_front_is_in_the_table_and_nothing_beats_it(scan: Scan) -> None:
    front = scan.pareto()
    assert list(front["mutation"]) == list(scan.to_frame().query("pareto")["mutation"])


@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), max_size=12))
def test_nobody_on_the_front_is_beaten_and_all_others_are(points: list[tuple[int, int]]) -> None:
    risk, plausibility = np.array(points, float).reshape(-1, 2).T
    front = on_the_front(risk, plausibility)
    every = [*points, (0, 0)]
    for (r, p), on_it in zip(points, front, strict=True):
        beaten = any(a <= r and b >= p and (a, b) != (r, p) for a, b in every)
        assert bool(on_it) is not beaten


def test_germline_residues_are_those_of_the_published_gene() -> None:
    found = germline_residues(HEAVY, range(len(HEAVY)))
    shown = "".join(found.get(place, "-") for place in range(len(HEAVY)))
    assert shown == IGHV3_66[:54] + "-" + IGHV3_66[54:] + "--------" + IGHJ4[1:]
    assert germline_residues("ACDEFGHIKLMNPQRSTVWY", [0]) is None


def test_germline_mutants_are_marked(predictor: Predictor) -> None:
    table = mutational_scan(predictor, HEAVY, "29,30,35", plausibility=False).to_frame()
    assert set(table["mutation"][table["germline"]]) == {"N29T", "I30V", "K35S"}


@pytest.mark.parametrize("fragment", ["H-CDRs", "H-CDR1"])
def test_a_model_of_loops_has_the_germline_of_the_whole_chain(fragment: str) -> None:
    flu = load_dataset("boughter_flu_cdrs").subset(range(0, 358, 6))
    texts = [text[:8] for text in flu.sequences] if fragment == "H-CDR1" else flu.sequences
    data = Dataset(flu.ids, texts, label=flu.label, fragment=fragment)
    model = Trainer("descriptors", "logreg").fit(data, uncertainty=False, scores=False)
    scan = mutational_scan(model, HEAVY, "29,30", plausibility=False)
    table = scan.to_frame()
    assert set(table["mutation"][table["germline"]]) == {"N29T", "I30V"}
    assert "germline" not in scan.absent
    loops = mutational_scan(model, scan.sequence, plausibility=False)
    assert loops.absent["germline"] == "no germline gene was recognised"  # loops of an unknown chain


def test_a_sequence_without_a_domain_is_scanned_by_number_and_says_what_is_not_known(predictor: Predictor) -> None:
    scan = mutational_scan(predictor, "ACDEF", [1, 2], plausibility=False)
    table = scan.to_frame()
    assert len(table) == 38
    assert set(table["mutation"].str[:-1]) == {"C2", "D3"}
    assert "germline" not in table
    assert "germline gene" in scan.absent["germline"]


def test_both_chains_of_a_pair_are_scanned_with_the_other_as_it_is(checkpoints: dict[str, Path]) -> None:
    predictor = trained(ExtractorSpec(model=str(checkpoints["esmc"])), "logreg", paired=True)
    before = predictor.extractor.computed
    scan = mutational_scan(predictor, (HEAVY, LIGHT), "H:107,L-CDR3")
    assert predictor.extractor.computed - before == 19 * (1 + 9) + 2
    table = scan.to_frame()
    assert {"H:W107A", "L:Q105A"} <= set(table["mutation"])
    row = table.set_index("mutation").loc["L:Q105A"]
    light = LIGHT[: row["index"]] + "A" + LIGHT[row["index"] + 1 :]
    assert row["probability"] == pytest.approx(predictor.predict_proba([(HEAVY, light)])[0, 1])
    (logs,) = masked_log_probabilities(predictor.extractor, LIGHT, [row["index"]])
    assert row["plausibility"] == pytest.approx(logs[AMINO_ACIDS.index("A")] - logs[AMINO_ACIDS.index("Q")], abs=1e-5)


def test_joined_pairs_are_scanned_in_one_sequence(checkpoints: dict[str, Path]) -> None:
    predictor = trained(ExtractorSpec(model=str(checkpoints["esmc"]), pairs="joined"), "logreg", paired=True)
    scan = mutational_scan(predictor, (HEAVY, LIGHT), "L:105")
    row = scan.to_frame().set_index("mutation").loc["L:Q105A"]
    place = len(HEAVY) + 1 + row["index"]
    (logs,) = masked_log_probabilities(predictor.extractor, f"{HEAVY}|{LIGHT}", [place])
    assert row["plausibility"] == pytest.approx(logs[AMINO_ACIDS.index("A")] - logs[AMINO_ACIDS.index("Q")], abs=1e-5)


def test_a_regressor_has_values_and_votes_are_probabilities(tiny: ExtractorSpec) -> None:
    values = mutational_scan(trained(tiny, "ridge"), HEAVY, "107").to_frame()
    assert "value" in values
    assert "probability" not in values
    scan = mutational_scan(trained(tiny, "knn"), HEAVY, "107")
    assert scan.unit == "probability"
    np.testing.assert_allclose(scan.to_frame()["change"], scan.to_frame()["probability"] - scan.prediction)


def test_unknown_residues_are_left_out_and_nothing_left_is_an_error(predictor: Predictor) -> None:
    table = mutational_scan(predictor, "ACXEF", plausibility=False).to_frame()
    assert set(table["index"]) == {0, 1, 3, 4}
    with pytest.raises(ValueError, match="no position is left"):
        mutational_scan(predictor, HEAVY, "CDR3", protect="105-117")


def test_what_the_model_does_not_read_is_not_scanned(checkpoints: dict[str, Path]) -> None:
    cut = trained(ExtractorSpec(model=str(checkpoints["esm"]), max_length=30, truncation=True), "logreg")
    with pytest.raises(SequenceError, match="30 are allowed"):
        mutational_scan(cut, HEAVY, "107")


def test_the_heat_map_shows_each_change_in_its_place(scan: Scan) -> None:
    ax = Figure(figsize=(5, 4)).subplots()
    assert scan.plot(ax) is ax
    (image,) = ax.images
    shown = np.ma.filled(image.get_array(), np.nan)
    assert shown.shape == (20, len(CDR3) - 2)
    labels = [label.get_text() for label in ax.get_xticklabels()]
    for _, row in scan.to_frame().sample(20, random_state=2).iterrows():
        column = labels.index(f"{row['wild_type']} {row['position']}")
        assert shown[ROWS.index(row["mutant"]), column] == row["change"]
    assert np.isnan(shown).sum() == len(CDR3) - 2
    assert image.norm.vmin == -image.norm.vmax
    wild = ax.lines[0]
    assert [ROWS[int(y)] for y in wild.get_ydata()] == list(CDR3[0] + CDR3[3:])
    germline = ax.lines[1]
    marked = {(int(x), ROWS[int(y)]) for x, y in zip(germline.get_xdata(), germline.get_ydata(), strict=True)}
    table = scan.to_frame().query("germline")
    assert marked == {(labels.index(f"{row.wild_type} {row.position}"), row.mutant) for row in table.itertuples()}
    assert "CDR3" in {one.get_text() for one in ax.texts}


def test_the_table_fits_in_80_columns_and_begins_with_the_largest_fall(scan: Scan) -> None:
    text = scan.to_text(rows=5)
    assert max(map(len, text.splitlines())) <= 80
    best = scan.to_frame().iloc[0]
    assert text.index(best["mutation"]) < text.index(scan.to_frame().iloc[4]["mutation"])
    assert scan.to_frame().iloc[5]["mutation"] not in text
