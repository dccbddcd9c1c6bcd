"""Proposals: never measured, never with new liabilities, never at protected residues; what the table says is so."""

from collections.abc import Sequence
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
    LogisticRegressionSpec,
    Predictor,
    RidgeSpec,
    Trainer,
    liabilities,
    load_dataset,
    presets,
)
from antibody_esm.design import Proposals, fixes, propose
from antibody_esm.design.assessment import SAME
from antibody_esm.design.selection import by_edits, diverse, utility
from antibody_esm.explain.pareto import pareto
from antibody_esm.sequences import AMINO_ACIDS
from chains import HEAVY, LIGHT, mutants
from effort import examples

DESCRIPTORS = DescriptorSpec(descriptors=("length", "net_charge", "composition"))
HEAVIES, LIGHTS = mutants(HEAVY, 60, 12), mutants(LIGHT, 60, 12, seed=1)
CHARGE = np.array([text.count("K") + text.count("R") - text.count("D") - text.count("E") for text in HEAVIES])
CLASSES = (np.argsort(np.argsort(CHARGE)) >= 30).astype(int)


def heavy_model(extractor: Any = DESCRIPTORS) -> Predictor:
    data = Dataset([f"a{i}" for i in range(60)], HEAVIES, label=CLASSES)
    return Trainer(extractor, LogisticRegressionSpec(standardize=True)).fit(data)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return heavy_model()


@pytest.fixture(scope="module")
def proposals(predictor: Predictor) -> Proposals:
    return propose(predictor, {"wt": HEAVY}, 8, 3, protect="CDR3", candidates=700, language_model="sapiens_vh")


def applied(parent: str, linear: str) -> str:
    residues = list(parent)
    for mutation in linear.split(","):
        place = int(mutation[1:-1]) - 1
        assert residues[place] == mutation[0]
        residues[place] = mutation[-1]
    return "".join(residues)


def counted(sequences: Sequence[str]) -> list[set[tuple[str, str, str]]]:
    table = liabilities(list(sequences))
    table = table[table["severity"].isin(["medium", "high"])]
    return [
        set(map(tuple, part[["chain", "kind", "position"]].to_numpy()))
        for part in (table[table["id"] == str(i)] for i in range(len(sequences)))
    ]


def test_a_proposal_is_its_parent_with_the_mutations_that_it_names(proposals: Proposals) -> None:
    table = proposals.to_frame()
    assert len(table) == 8
    assert table["rank"].tolist() == list(range(1, 9))
    assert [applied(HEAVY, linear) for linear in table["mutations_linear"]] == table["sequence"].tolist()
    assert table["id"].is_unique
    assert (table["parent"] == "wt").all()
    assert (table["substitutions"] == table["mutations"].str.count(",") + 1).all()
    assert table["substitutions"].between(1, 3).all()
    assert table["substitutions"].max() > 1


def test_its_prediction_is_that_of_the_model_for_the_whole_antibody(proposals: Proposals, predictor: Predictor) -> None:
    table = proposals.to_frame()
    scores = predictor.score_table(table["sequence"].tolist())
    np.testing.assert_array_equal(table["probability"], scores["probability"])
    np.testing.assert_array_equal(table["prediction"], scores["calibrated"])
    np.testing.assert_array_equal(table[["low", "high"]], scores[["calibrated_low", "calibrated_high"]])
    assert (table["probability"] < predictor.predict_proba([HEAVY])[0, 1]).all()


def test_it_adds_no_liability_and_keeps_protected_residues(proposals: Proposals) -> None:
    table = proposals.to_frame()
    before, *after = counted([HEAVY, *table["sequence"]])
    assert all(each <= before for each in after)
    assert table["liabilities"].tolist() == [len(each) for each in after]
    assert all("SRWGGDGFYAMDY" in sequence for sequence in table["sequence"])


def test_the_front_holds_what_nothing_else_beats(proposals: Proposals) -> None:
    every = proposals.everything
    gains = np.column_stack([-every["score"], every["plausibility"], -every["liabilities"]])
    for row in range(0, len(gains), 7):
        beaten = ((gains >= gains[row]).all(axis=1) & (gains > gains[row]).any(axis=1)).any()
        assert every["pareto"][row] == (not beaten)
    assert sorted(every.loc[every["rank"] > 0, "rank"]) == list(range(1, 9))
    in_batch = every[every["rank"] > 0].sort_values("rank")
    assert in_batch["mutations"].tolist() == proposals.table["mutations"].tolist()
    assert in_batch["pareto"].tolist() == proposals.table["pareto"].tolist()


def test_the_same_seed_gives_the_same_bytes_and_another_one_need_not(predictor: Predictor) -> None:
    first, again, other = (
        propose(predictor, HEAVY, 6, 2, positions="CDR1,CDR2", candidates=350, seed=seed) for seed in (1, 1, 2)
    )
    assert first.to_csv() == again.to_csv()
    assert first.everything.equals(again.everything)
    assert set(first.everything["mutations"]) != set(other.everything["mutations"])


@examples(10)
@given(st.integers(0, 59), st.sampled_from(["CDR1", "CDR2", "27-40", "FR2"]), st.integers(0, 3))
def test_nothing_that_was_measured_is_proposed(row: int, positions: str, seed: int) -> None:
    model = NEARLY_MEASURED[0]
    first = propose(model, HEAVIES[row], 4, 2, positions=positions, candidates=120, seed=seed)
    measured = first.table["sequence"].tolist() if len(first) else []
    again = propose(model, HEAVIES[row], 4, 2, positions=positions, candidates=120, seed=seed, measured=measured)
    assert not set(again.table.get("sequence", ())) & {*measured, *HEAVIES}
    assert set(again.everything["mutations"]) == set(first.everything["mutations"]) - set(first.table["mutations"])


NEARLY_MEASURED = [heavy_model()]


def test_training_antibodies_are_not_proposed_though_they_are_the_best(predictor: Predictor) -> None:
    plain = propose(predictor, HEAVY, 3, 1, positions="CDR1", diversity=0, objectives=("risk",))
    best = plain.table["sequence"][0]
    data = Dataset([f"a{i}" for i in range(61)], [*HEAVIES, best], label=[*CLASSES, 0])
    again = propose(
        Trainer(DESCRIPTORS, LogisticRegressionSpec(standardize=True)).fit(data),
        HEAVY, 30, 1, positions="CDR1", diversity=0, objectives=("risk",),
    )  # fmt: skip
    assert len(again)
    assert best not in set(again.table["sequence"])


def test_pairs_are_mutated_in_the_chains_that_the_model_reads() -> None:
    data = Dataset([f"a{i}" for i in range(60)], HEAVIES, LIGHTS, label=CLASSES, chain="paired")
    model = Trainer(DESCRIPTORS, LogisticRegressionSpec(standardize=True)).fit(data)
    both = propose(model, (HEAVY, LIGHT), 12, 2, positions="H:CDR1,L:CDR2,L:CDR3", candidates=600)
    table = both.to_frame()
    assert {"heavy", "light"} <= set(table)
    for row in table.to_dict("records"):
        chains = {"H": HEAVY, "L": LIGHT}
        for mutation in row["mutations_linear"].split(","):
            letter, change = mutation.split(":")
            chains[letter] = applied(chains[letter], change)
        assert (row["heavy"], row["light"]) == (chains["H"], chains["L"])
    assert both.everything["mutations"].str.contains("L:").any()
    assert both.to_fasta().count(">") == 24
    heavy = propose(heavy_model(), (HEAVY, LIGHT), 4, 1)
    assert (heavy.table["light"] == LIGHT).all()  # the order sheet has both chains, though the model reads one
    assert not heavy.table["mutations"].str.contains("L:").any()


@pytest.mark.parametrize(("judge", "chains"), [("sapiens_vh", {"H"}), ("sapiens_vl", {"L"}), ("sapiens", {"H", "L"})])
def test_a_language_model_judges_the_chains_that_it_was_trained_on(judge: str, chains: set[str]) -> None:
    data = Dataset([f"a{i}" for i in range(60)], HEAVIES, LIGHTS, label=CLASSES, chain="paired")
    model = Trainer(DESCRIPTORS, LogisticRegressionSpec(standardize=True)).fit(data)
    table = fixes(model, (HEAVY, LIGHT), most=1, language_model=judge)
    real = table[table["mutation"] != "none"]
    assert set(real["mutation"].str[0]) == {"H", "L"}
    assert set(real.loc[real["plausibility"].notna(), "mutation"].str[0]) == chains


def test_each_chain_is_judged_by_its_own_model() -> None:
    from antibody_esm.plm.extractor import Extractor
    from antibody_esm.plm.masked import masked_log_probabilities

    data = Dataset([f"a{i}" for i in range(60)], HEAVIES, LIGHTS, label=CLASSES, chain="paired")
    model = Trainer("sapiens", LogisticRegressionSpec(standardize=True)).fit(data)
    table = fixes(model, (HEAVY, LIGHT), most=1)
    for row in table[table["mutation"] != "none"].to_dict("records"):
        letter, mutation = row["mutation_linear"].split(":")
        chain, name = (HEAVY, "sapiens_vh") if letter == "H" else (LIGHT, "sapiens_vl")
        (logs,) = masked_log_probabilities(Extractor(name), chain, [int(mutation[1:-1]) - 1])
        expected = logs[AMINO_ACIDS.index(mutation[-1])] - logs[AMINO_ACIDS.index(mutation[0])]
        assert row["plausibility"] == pytest.approx(expected, abs=1e-6)


def test_a_model_of_a_loop_proposes_whole_antibodies() -> None:
    data = Dataset([f"a{i}" for i in range(60)], HEAVIES, label=CLASSES).cut("H-CDR2")
    model = Trainer(DESCRIPTORS, LogisticRegressionSpec(standardize=True)).fit(data)
    table = propose(model, HEAVY, 5, 1).to_frame()
    assert table["mutations_linear"].str.extract(r"(\d+)")[0].astype(int).between(51, 58).all()
    assert all(len(sequence) == len(HEAVY) for sequence in table["sequence"])
    np.testing.assert_array_equal(model.predict_proba(table["sequence"].tolist())[:, 1], table["probability"])


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_a_value_rises_if_high_ones_are_better_and_falls_otherwise(*, higher_is_better: bool) -> None:
    data = Dataset([f"a{i}" for i in range(60)], HEAVIES, label=CHARGE + 0.5)
    model = Trainer(DESCRIPTORS, RidgeSpec(alpha=1.0)).fit(data)
    with pytest.raises(ValueError, match="not known whether high values"):
        propose(model, HEAVY)
    table = propose(model, HEAVY, 4, 1, positions="CDR1", higher_is_better=higher_is_better).to_frame()
    frame = pd.DataFrame({"heavy": HEAVIES, "y": CHARGE + 0.5})
    told = Trainer(DESCRIPTORS, RidgeSpec(alpha=1.0)).fit(
        load_dataset(frame, label="y", higher_is_better=higher_is_better)
    )
    assert propose(told, HEAVY, 4, 1, positions="CDR1").to_frame()["sequence"].tolist() == table["sequence"].tolist()
    wild = model.predict([HEAVY])[0]
    assert ((table["prediction"] > wild) if higher_is_better else (table["prediction"] < wild)).all()
    assert (table["low"] < table["prediction"]).all()
    assert (table["prediction"] < table["high"]).all()
    assert "probability" not in table


def test_without_a_language_model_plausibility_is_absent_and_says_why(predictor: Predictor) -> None:
    plain = propose(predictor, HEAVY, 3, 1, positions="CDR1")
    assert "plausibility" not in plain.table
    assert "no language model" in plain.absent["plausibility"]
    assert "no plausibility: the model has no language model; language_model= names one" in str(plain)
    with pytest.raises(ValueError, match="without plausibility"):
        plain.plot()
    with pytest.raises(ValueError, match="no objective is known"):
        propose(predictor, HEAVY, 3, 1, positions="CDR1", objectives=("plausibility",))


def test_several_parents_share_one_batch(predictor: Predictor) -> None:
    other = HEAVIES[int(np.argmax(CHARGE))]
    both = propose(predictor, HEAVY, 12, 1, parents=[other], positions="CDR1,CDR2", objectives=("risk",), diversity=1)
    assert set(both.table["parent"]) == {"parent", "parent2"}
    lines = str(both).splitlines()
    for name, own in both.scores.items():
        assert f"{name}: probability {own:.3f}" in lines
    assert max(map(len, lines)) <= 80
    rows = [line.split() for line in lines if line.split()[:1] and line.split()[0].isdigit() and "[" in line]
    assert [row[1] for row in rows] == both.table["parent"].tolist()
    assert [row[3] for row in rows] == both.table["probability"].map("{:.3f}".format).tolist()
    assert both.parents == {"parent": HEAVY, "parent2": other}


def test_a_plate_that_was_measured_is_read_as_the_next_training_set(
    proposals: Proposals, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("plate")
    path = proposals.save(folder / "plate.csv")
    table = pd.read_csv(path)
    table["elisa"] = [0, 1] * 4
    table.to_csv(path, index=False)
    data = load_dataset(path, label="elisa")
    assert data.ids == tuple(proposals.table["id"])
    assert list(data.sequences) == proposals.table["sequence"].tolist()
    records = proposals.save(folder / "plate.fasta").read_text().splitlines()
    assert records[1::2] == proposals.table["sequence"].tolist()
    with pytest.raises(ValueError, match=r"\.csv or \.fasta"):
        proposals.save(folder / "plate.pkl")


def test_text_fits_a_terminal_and_the_picture_has_the_batch(proposals: Proposals) -> None:
    lines = str(proposals).splitlines()
    assert max(map(len, lines)) <= 80
    for row in proposals.table.to_dict("records"):  # calibrated ones have ties, and do not order the variants
        assert any(f"{row['probability']:.3f}  " in line and f"{row['prediction']:.3g} [" in line for line in lines)
    [(name, own)] = proposals.scores.items()
    assert f"{name}: probability {own:.3f}" in lines
    predicted = f"8 variants of {proposals.predicted:,} that were predicted"
    assert lines[0] == f"{predicted}; a lower probability of class 1 is wanted"
    ax = proposals.plot()
    assert {text.get_text() for text in ax.texts} == {str(rank) for rank in range(1, 9)}


def test_if_there_is_nothing_to_propose_it_says_why(predictor: Predictor) -> None:
    nothing = propose(
        predictor, HEAVY, 3, 1, positions="1", protect=(), min_plausibility=99, language_model="sapiens_vh"
    )
    assert len(nothing) == 0
    assert "do not lower the risk" in nothing.absent["further variants"]
    assert str(nothing)
    assert nothing.to_csv().startswith("rank,id,")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size must be at least 1"),
        ({"mutations": 0}, "mutations must be at least 1"),
        ({"candidates": 0}, "candidates must be at least 1"),
        ({"diversity": 2}, "diversity is from 0 to 1"),
        ({"objectives": ("beauty",)}, "objectives are some of"),
        ({"positions": "CDR1", "protect": "CDR1"}, "no position is left"),
        ({"positions": "200"}, "no residue 200"),
    ],
)
def test_wrong_arguments_are_refused(predictor: Predictor, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        propose(predictor, HEAVY, **options)


def test_an_antibody_that_the_model_does_not_read_is_refused(predictor: Predictor) -> None:
    with pytest.raises(DatasetError, match="no heavy chain|light chain"):
        propose(predictor, LIGHT)


def test_an_ensemble_of_descriptors_and_a_language_model_works() -> None:
    spec = EnsembleSpec(members=(presets.one_model("sapiens_vh"), DESCRIPTORS), combine="concat")
    table = propose(heavy_model(spec), HEAVY, 3, 2, positions="CDR1", candidates=60).to_frame()
    assert len(table) == 3
    assert (table["plausibility"] > -6).all()


def test_a_plausibility_that_is_known_of_one_chain_only_does_not_rank() -> None:
    data = Dataset([f"a{i}" for i in range(60)], HEAVIES, LIGHTS, label=CLASSES, chain="paired")
    model = Trainer(DESCRIPTORS, LogisticRegressionSpec(standardize=True)).fit(data)
    options: dict[str, Any] = {"positions": "CDR1,CDR2", "candidates": 300, "diversity": 0}
    half = propose(model, (HEAVY, LIGHT), 5, 2, language_model="sapiens_vh", **options)
    assert "no residues of chain L" in half.absent["plausibility"]
    assert "plausibility" not in half.table
    scores = half.table["probability"].to_numpy()
    assert scores[0] <= half.everything["score"].quantile(0.2)
    with pytest.raises(ValueError, match="unknown for a candidate"):
        utility(np.array([[1.0], [np.nan]]))


def test_leaders_and_tags_are_kept_and_their_names_are_no_imgt_positions(predictor: Predictor) -> None:
    tagged = "MGWSC" + HEAVY + "GGGGSHHHHHH"
    proposals = propose(predictor, tagged, 400, 1, candidates=3_000)
    places = proposals.table["mutations_linear"].str.extract(r"(\d+)")[0].astype(int)
    assert places.between(6, 5 + len(HEAVY)).all()
    both = propose(predictor, tagged, 40, 1, positions=[0, 1, len(tagged) - 1])
    assert both.table["mutations"].str.contains(r"\*", regex=True).all()
    assert len(set(proposals.table["mutations"])) == len(proposals)


def test_antibodies_of_a_recalibration_are_not_proposed(predictor: Predictor) -> None:
    best = propose(predictor, HEAVY, 6, 1, positions="CDR1").table["sequence"].tolist()
    data = Dataset([f"r{i}" for i in range(26)], [*best, *HEAVIES[:20]], label=[0, 1] * 13)
    with pytest.warns(UserWarning, match="training antibodies"):
        again = predictor.recalibrate(data)
    assert not set(propose(again, HEAVY, 6, 1, positions="CDR1").table["sequence"]) & set(best)


@pytest.mark.parametrize("kind", ["recalibrated", "not computed", "regressor"])
def test_a_model_without_intervals_has_none_in_table_and_text(kind: str, predictor: Predictor) -> None:
    """The text had the interval ``nan to nan``, beside a probability that it named calibrated."""
    if kind == "recalibrated":
        others = [each.replace("A", "G") + "S" for each in HEAVIES[:20]]
        model = predictor.recalibrate(Dataset([f"r{i}" for i in range(20)], others, label=[0, 1] * 10))
    else:
        label = CHARGE + 0.5 if kind == "regressor" else CLASSES
        head = RidgeSpec(alpha=1.0) if kind == "regressor" else LogisticRegressionSpec(standardize=True)
        data = Dataset([f"a{i}" for i in range(60)], HEAVIES, label=label)
        model = Trainer(DESCRIPTORS, head).fit(data, uncertainty=False)
    better = False if kind == "regressor" else None
    proposals = propose(model, HEAVY, 3, 1, positions="CDR1", higher_is_better=better)
    table, text = proposals.to_frame(), str(proposals)
    assert len(table)
    assert not {"low", "high"} & set(table)
    assert "nan" not in text
    assert "calibrated " not in text.replace("recalibrated", "")
    assert "no interval: " in text
    if kind != "regressor":
        assert table["prediction"].tolist() == table["probability"].tolist()
        expected = model.predict_proba(table["sequence"].tolist())[:, 1]
        np.testing.assert_allclose(table["prediction"], expected, rtol=1e-12)
    assert {"low", "high"} <= set(propose(predictor, HEAVY, 3, 1, positions="CDR1").table)


def test_a_distance_needs_the_training_antibodies(predictor: Predictor, tmp_path: Path) -> None:
    predictor.save(tmp_path / "model", training=False)
    model = Predictor.load(tmp_path / "model")
    proposals = propose(model, HEAVY, 2, 1, positions="CDR1", measured=[HEAVIES[0]])
    assert "distance" not in proposals.table
    assert "without its training antibodies" in proposals.absent["distance"]


def test_names_neither_begin_records_nor_formulas(predictor: Predictor) -> None:
    proposals = propose(predictor, {"=cmd\n>other\nEVQL": HEAVY}, 2, 1, positions="CDR1")
    assert proposals.to_fasta().count(">") == 2
    assert proposals.table["id"].str.startswith("_cmd_").all()


def test_pairs_and_single_chains_are_not_mixed(predictor: Predictor) -> None:
    with pytest.raises(ValueError, match="pairs and single chains"):
        propose(predictor, {"a": HEAVY, "b": (HEAVIES[0], LIGHT)})


def test_a_part_of_the_single_substitutions_is_stated(predictor: Predictor) -> None:
    proposals = propose(predictor, HEAVY, 3, 2, positions="CDR1", candidates=60)
    assert proposals.absent["all single substitutions"] == "30 of 152 were predicted (candidates=60)"
    assert "\nnot all single substitutions: 30 of 152 were predicted (candidates=60)" in str(proposals)


@pytest.fixture(scope="module")
def fixed(predictor: Predictor) -> pd.DataFrame:
    return fixes(predictor, HEAVY, most=3, language_model="sapiens_vh", protect="107")


def test_a_fix_clears_its_liability_adds_none_and_does_not_raise_the_risk(
    fixed: pd.DataFrame, predictor: Predictor
) -> None:
    real = fixed[fixed["mutation"] != "none"]
    assert len(real) >= 6
    before, *after = counted([HEAVY, *(applied(HEAVY, linear) for linear in real["mutation_linear"])])
    for row, left in zip(real.to_dict("records"), after, strict=True):
        assert (row["chain"], row["kind"], row["position"]) in before - left
        assert left <= before
        mutant = applied(HEAVY, row["mutation_linear"])
        assert row["score"] == pytest.approx(predictor.predict_proba([mutant])[0, 1], abs=1e-9)
        assert row["change"] <= SAME
        assert row["plausibility"] >= -3 or row["to_germline"]
    groups = real.groupby(["kind", "position"])["rank"]
    assert all(ranks.tolist() == list(range(1, len(ranks) + 1)) for _, ranks in groups)
    assert real.groupby(["kind", "position"]).size().max() == 3


def test_every_liability_has_a_row_and_one_without_a_fix_says_why(fixed: pd.DataFrame) -> None:
    (before,) = counted([HEAVY])
    assert set(map(tuple, fixed[["chain", "kind", "position"]].to_numpy())) == before
    none = fixed[fixed["mutation"] == "none"]
    assert "W" in set(none["motif"])  # Trp 107, which is protected
    assert set(none.loc[none["motif"] == "W", "reason"]) == {"no single substitution clears it"}
    assert none["rank"].isna().all()


def test_fixes_outside_of_what_the_model_reads_leave_the_score_and_say_so() -> None:
    data = Dataset([f"a{i}" for i in range(60)], HEAVIES, label=CLASSES).cut("H-CDR3")
    model = Trainer(DESCRIPTORS, LogisticRegressionSpec(standardize=True)).fit(data)
    table = fixes(model, HEAVY, most=2)
    loop = table[table["position"] == "62"]  # the NG of CDR2
    assert (loop["change"] == 0).all()
    assert (loop["reason"].str.contains("does not read")).all()


def test_a_loop_alone_has_no_fixes() -> None:
    data = Dataset([f"a{i}" for i in range(60)], HEAVIES, label=CLASSES).cut("H-CDR3")
    model = Trainer(DESCRIPTORS, LogisticRegressionSpec(standardize=True)).fit(data)
    with pytest.raises(ValueError, match="variable domain"):
        fixes(model, "SRWGGDGFYAMDY")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=12))
def test_the_front_is_what_brute_force_says(rows: list[tuple[int, int, int]]) -> None:
    gains = np.array(rows, float)
    expected = [not ((gains >= row).all(axis=1) & (gains > row).any(axis=1)).any() for row in gains]
    assert pareto(gains).tolist() == expected


@given(
    st.lists(st.text(AMINO_ACIDS, min_size=1, max_size=6), min_size=1, max_size=12, unique=True),
    st.data(),
    st.floats(0, 1),
)
def test_a_batch_begins_with_the_best_and_has_no_row_twice(texts: list[str], data: st.DataObject, share: float) -> None:
    value = data.draw(st.lists(st.floats(0, 1), min_size=len(texts), max_size=len(texts)))
    size = data.draw(st.integers(0, 15))
    chosen = diverse(np.array(value), by_edits(texts), size, share)
    assert len(chosen) == len(set(chosen)) == min(size, len(texts))
    if chosen:
        assert chosen[0] == int(np.argmax(value))
    assert (
        diverse(np.array(value), by_edits(texts), size, 0.0)
        == np.argsort(-np.array(value), kind="stable")[:size].tolist()
    )


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=2, max_size=9))
def test_a_candidate_that_is_better_in_everything_has_more_utility(rows: list[tuple[float, float]]) -> None:
    gains = np.array(rows)
    value = utility(gains)
    assert ((value >= 0) & (value <= 1)).all()
    for i, first in enumerate(gains):
        for j, second in enumerate(gains):
            if (first > second).all():
                assert value[i] > value[j]
