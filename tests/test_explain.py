"""Contributions sum to what the model says; scans try every mutation once and rank them rightly."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from antibody_esm import (
    Dataset,
    DecisionSpec,
    DescriptorSpec,
    EnsembleSpec,
    ExtractorSpec,
    LogisticRegressionSpec,
    Predictor,
    SVRSpec,
    Trainer,
)
from antibody_esm.cli.app import app
from antibody_esm.explain import mutational_scan, occlusion, residue_contributions
from antibody_esm.explain.chain import places, select
from antibody_esm.explain.germline import germline
from antibody_esm.explain.scan import _front
from antibody_esm.plm.extractor import Extractor
from antibody_esm.plm.masked import MaskedLanguageModel
from antibody_esm.sequences import AMINO_ACIDS
from antibody_esm.specs import ClassifierSpec, RegressorSpec
from antibody_esm.store.store import EmbeddingStore
from antibody_esm.testing import tiny_checkpoint
from chains import HEAVY, LIGHT

GENERATOR = np.random.default_rng(6)
CHAINS = ["".join(GENERATOR.choice(list(AMINO_ACIDS), GENERATOR.integers(8, 20))) for _ in range(40)]
LABEL = [0, 1] * 20
DATA = Dataset([str(i) for i in range(40)], CHAINS, label=LABEL)
LINEAR: list[ClassifierSpec | RegressorSpec | str] = [
    "logreg",
    LogisticRegressionSpec(standardize=True),
    "ridge",
    "elastic_net",
    SVRSpec(kernel="linear"),
]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> ExtractorSpec:
    return ExtractorSpec(model=str(tiny_checkpoint("bert", tmp_path_factory.mktemp("other") / "bert", seed=3)))


def fitted(extractor: object, classifier: object = "logreg", data: Dataset = DATA, **options: object) -> Predictor:
    return Trainer(extractor, classifier, **options).fit(data, uncertainty=False)


def check(predictor: Predictor, sequence: str) -> None:
    found = residue_contributions(predictor, sequence, method="exact")
    said = predictor.classifier
    said = getattr(said, "classifier_", said)
    X = predictor.vectors([sequence])
    score = float((said.predict(X) if predictor.spec.is_regression else said.decision_function(X))[0])
    assert abs(found.contributions.sum() + found.intercept - score) < 1e-5
    assert abs(found.score - score) < 1e-5
    # What belongs to no residue is the same for every antibody, but for rounding.
    assert abs(found.intercept - residue_contributions(predictor, CHAINS[0]).intercept) < 1e-4


@pytest.mark.parametrize("classifier", LINEAR, ids=str)
@given(st.text(AMINO_ACIDS, min_size=3, max_size=30))
@settings(max_examples=8, deadline=None)
def test_contributions_sum_to_the_score(tiny: ExtractorSpec, classifier: object, sequence: str) -> None:
    check(_cached(tiny, classifier), sequence)


_MADE: dict[str, Predictor] = {}


def _cached(extractor: object, classifier: object) -> Predictor:
    return _MADE.setdefault(f"{extractor}{classifier}", fitted(extractor, classifier))


@pytest.mark.parametrize("storage", ["float16", "int8"])
def test_rounding_of_stored_vectors_belongs_to_no_residue(tiny: ExtractorSpec, storage: str) -> None:
    predictor = fitted(tiny.model_copy(update={"storage": storage}))
    found = residue_contributions(predictor, CHAINS[1])
    assert found.method == "exact"
    assert abs(found.contributions.sum() + found.intercept - found.score) < 1e-5


@pytest.mark.parametrize("combine", ["mean", "concat"])
def test_contributions_of_several_models(tiny: ExtractorSpec, other: ExtractorSpec, combine: str) -> None:
    second = other if combine == "concat" else tiny.model_copy(update={"layer": 1})
    check(fitted(EnsembleSpec(members=(tiny, second), combine=combine)), CHAINS[2])


def test_contributions_of_a_pair_and_of_a_region(tiny: ExtractorSpec, other: ExtractorSpec) -> None:
    for spec in (tiny, other.model_copy(update={"pairs": "joined"})):
        pairs = Dataset(DATA.ids, CHAINS, CHAINS[::-1], label=LABEL, chain="paired")
        predictor = fitted(spec, data=pairs)
        found = residue_contributions(predictor, (CHAINS[3], CHAINS[4]))
        assert [one.residue for one in found.places] == list(CHAINS[3] + CHAINS[4])
        X = predictor.vectors([(CHAINS[3], CHAINS[4])])
        score = float(predictor.classifier.decision_function(X)[0])
        assert abs(found.contributions.sum() + found.intercept - score) < 1e-5
    mutated = Dataset(DATA.ids, [HEAVY.replace("GGDGF", one[:5]) for one in CHAINS], label=LABEL)
    predictor = fitted(tiny.model_copy(update={"region": "cdr3"}), data=mutated)
    found = residue_contributions(predictor, HEAVY)
    outside = [value for place, value in zip(found.places, found.contributions, strict=True) if place.region != "CDR3"]
    assert not np.any(outside)
    assert abs(found.contributions.sum() + found.intercept - found.score) < 1e-5


def test_of_a_calibrated_classifier_the_score_before_calibration_is_explained(tiny: ExtractorSpec) -> None:
    plain = residue_contributions(fitted(tiny), CHAINS[5])
    calibrated = fitted(tiny, decision=DecisionSpec(calibration="sigmoid"))
    np.testing.assert_allclose(residue_contributions(calibrated, CHAINS[5]).contributions, plain.contributions)


@pytest.mark.parametrize(
    ("extractor", "classifier"), [("tiny", "xgboost"), ("tiny", "knn"), ("numbers", "logreg"), ("max", "logreg")]
)
def test_what_is_not_linear_is_explained_by_hiding_residues(
    tiny: ExtractorSpec, extractor: str, classifier: str
) -> None:
    specs = {"tiny": tiny, "numbers": DescriptorSpec(descriptors=("composition",))}
    predictor = fitted(specs.get(extractor, tiny.model_copy(update={"pooling": "max"})), classifier)
    with pytest.raises(ValueError, match="are not exact: .*; take method='occlusion'"):
        residue_contributions(predictor, CHAINS[6], method="exact")
    found = residue_contributions(predictor, CHAINS[6])
    assert found.method == "occlusion"
    hidden = CHAINS[6][:2] + "X" + CHAINS[6][3:]
    probability = np.clip(predictor.predict_proba([CHAINS[6], hidden])[:, 1], 1e-3, 1 - 1e-3)
    odds = np.log(probability / (1 - probability))
    assert abs(found.contributions[2] - (odds[0] - odds[1])) < 1e-6


def test_hiding_residues_goes_through_the_store(tiny: ExtractorSpec, tmp_path: Path) -> None:
    predictor = fitted(tiny, store=tmp_path)
    occlusion(predictor, CHAINS[7])
    before = predictor.extractor.computed
    occlusion(predictor, CHAINS[7])
    assert predictor.extractor.computed == before


# -- places -----------------------------------------------------------------------------------------------------------


def test_places_are_those_of_imgt() -> None:
    found = places(HEAVY)
    assert "".join(one.residue for one in found if one.region == "CDR3") == "SRWGGDGFYAMDY"
    assert [one.position for one in found if one.region == "CDR1"] == [
        *map(str, range(27, 31)),
        *map(str, range(35, 39)),
    ]
    pair = places(f"{HEAVY}|{LIGHT}")
    assert [f"{HEAVY}|{LIGHT}"[one.index] for one in pair] == [one.residue for one in pair]
    assert {one.chain for one in pair} == {"H", "L"}


@pytest.mark.parametrize(
    ("chosen", "residues"),
    [
        (["H:CDR1"], "GFNIKDTY"),
        (["L:CDR3"], "QQHYTTPPT"),
        (["H:27-29", "H:105"], "GFNS"),
        (["L:CDRs"], "QDVNTASASQQHYTTPPT"),
        (["CDR2"], "IYPTNGYTSAS"),
        (["H:FR4"], "WGQGTLVTVSS"),
    ],
)
def test_residues_are_chosen_by_position_range_and_region(chosen: list[str], residues: str) -> None:
    text = f"{HEAVY}|{LIGHT}"
    assert "".join(text[i] for i in sorted(select(places(text), chosen))) == residues


@pytest.mark.parametrize("wrong", ["H:999", "CDR4", "L:", "", "H:CDR3-4", "x"])
def test_what_is_no_residue_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="is no residue of this antibody"):
        select(places(HEAVY), [wrong])


def test_the_germline_is_found_by_trying() -> None:
    here = [one for one in places(HEAVY) if one.position in ("1", "29", "35", "110")]
    # IGHV3-66 begins with E and has T at 29 and S at 35, where trastuzumab has N and K; CDR3's middle is no gene's.
    found = germline(HEAVY, here)
    assert (found[0], found[1], found[3]) == ("E", "T", "")
    assert found[2] not in ("", "K")


# -- scan -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> tuple:
    folder = tmp_path_factory.mktemp("scan")
    spec = ExtractorSpec(model=str(tiny_checkpoint("bert", folder / "bert", seed=1, head=True)))
    predictor = fitted(spec, store=folder / "store")
    return predictor, mutational_scan(predictor, HEAVY, ["CDR3"], protect=["105", "117"]), folder / "store"


def test_every_mutation_is_there_once_and_has_the_change_that_the_model_gives(scanned: tuple) -> None:
    predictor, found, _ = scanned
    frame = found.to_frame()
    assert len(frame) == 11 * 19
    assert set(frame["position"]).isdisjoint({"105", "117"})
    assert frame["mutation"].is_unique
    assert frame["change"].is_monotonic_increasing
    row = frame.iloc[17]
    mutant = HEAVY[: row["index"]] + row["mutant"] + HEAVY[row["index"] + 1 :]
    wild, changed = predictor.classifier.decision_function(predictor.vectors([HEAVY, mutant]))
    assert row["change"] == pytest.approx(changed - wild)
    assert row["probability"] == pytest.approx(predictor.predict_proba([mutant])[0, 1])
    assert HEAVY[row["index"]] == row["wild_type"]


def test_no_mutant_goes_through_the_language_model_twice(scanned: tuple) -> None:
    predictor, found, store = scanned
    before = predictor.extractor.computed
    again = mutational_scan(predictor, HEAVY, ["CDR3"], protect=["105", "117"])
    assert predictor.extractor.computed == before
    assert again.to_frame().equals(found.to_frame())
    assert (
        EmbeddingStore(store).count(predictor.spec.extractor) == len({*DATA.sequences}) + 1 + 11 * 19
    )  # one vector was asked for


def test_plausibility_is_the_masked_marginal_of_transformers(scanned: tuple) -> None:
    import torch
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    predictor, found, _ = scanned
    folder = predictor.spec.extractor.model
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForMaskedLM.from_pretrained(folder).eval()
    place = found.places[4]
    tokens = tokenizer(" ".join(HEAVY), return_tensors="pt")["input_ids"]
    tokens[0, place.index + 1] = tokenizer.mask_token_id
    with torch.inference_mode():
        logits = model(input_ids=tokens).logits[0, place.index + 1]
    ids = [tokenizer.convert_tokens_to_ids(one) for one in AMINO_ACIDS]
    expected = torch.log_softmax(logits, 0)[ids].numpy()
    expected = expected - expected[AMINO_ACIDS.index(place.residue)]
    np.testing.assert_allclose(found.plausibility[4], expected, atol=1e-4)


def test_a_model_without_a_head_has_no_plausibility_and_says_so(tiny: ExtractorSpec) -> None:
    found = mutational_scan(fitted(tiny), HEAVY, ["106"])
    assert "plausibility" not in found.to_frame()
    assert "no language-model head" in str(found)
    with pytest.raises(ValueError, match="no language-model head"):
        found.pareto()
    with pytest.raises(ValueError, match="no language-model head"):
        MaskedLanguageModel(Extractor(tiny)).log_probabilities(HEAVY, [0])
    numbers = mutational_scan(fitted(DescriptorSpec(descriptors=("net_charge",))), HEAVY, ["106"])
    assert numbers.absent == "descriptors know no language"


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=25))
def test_the_front_is_what_nothing_beats(rows: list[tuple[int, int]]) -> None:
    risk, plausibility = np.array(rows, float).T
    beaten = [
        any(r <= risk[i] and p >= plausibility[i] and (r, p) != (risk[i], plausibility[i]) for r, p in rows)
        for i in range(len(rows))
    ]
    assert _front(risk, plausibility).tolist() == [not one for one in beaten]


def test_protecting_everything_leaves_nothing(tiny: ExtractorSpec) -> None:
    with pytest.raises(ValueError, match="nothing is left to mutate"):
        mutational_scan(fitted(tiny), HEAVY, ["CDR3"], protect=["CDRs"])


# -- pictures and commands --------------------------------------------------------------------------------------------


def test_pictures_draw_the_numbers(scanned: tuple, tiny: ExtractorSpec) -> None:
    from matplotlib import pyplot

    found = residue_contributions(fitted(tiny), HEAVY)
    ax = found.plot()
    assert [bar.get_height() for bar in ax.patches[: len(HEAVY)]] == found.contributions.tolist()
    assert {text.get_text() for text in ax.texts} == {"H-CDR1", "H-CDR2", "H-CDR3"}
    heat = scanned[1].plot()
    np.testing.assert_array_equal(heat.images[0].get_array(), scanned[1].change.T)
    pyplot.close("all")


def test_text_is_80_columns_wide_and_marks_the_loops(tiny: ExtractorSpec) -> None:
    found = residue_contributions(fitted(tiny), HEAVY)
    lines = str(found).splitlines()
    assert max(map(len, lines)) <= 80
    assert "".join(line[6:] for line in lines if re.match(r" {0,4}\d+ [A-Z]{40}", line)) == HEAVY
    assert sum(line.count("3") for line in lines if set(line) <= set(" 123")) == 13
    colored = found.to_text(color=True)
    assert "\x1b[" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored).splitlines()[0] == lines[0]


def test_html_holds_every_residue_and_loads_nothing(tiny: ExtractorSpec) -> None:
    markup = residue_contributions(fitted(tiny), HEAVY)._repr_html_()
    assert "".join(re.findall(r'title="[^"]*">([A-Z])</span>', markup)) == HEAVY
    assert "http" not in markup


def _run(*arguments: object) -> object:
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_the_commands(scanned: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scanned[0].save("model")
    Path("one.fasta").write_text(f">trastuzumab\n{HEAVY}\n")
    explained = _run("explain", HEAVY, "--model", "model", "--html", "e.html", "--plot", "e.png")
    assert explained.exit_code == 0, explained.output
    assert "exact contributions" in explained.stdout
    assert Path("e.html").read_text().startswith("<!doctype html>")
    assert Path("e.png").read_bytes().startswith(b"\x89PNG")
    ran = _run(
        "scan", "one.fasta", "-m", "model", "-p", "106,107", "--protect", "107", "-o", "s.csv", "--plot", "s.png"
    )
    assert ran.exit_code == 0, ran.output
    assert "19 mutations of 1 residues" in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) <= 80
    assert len(pd.read_csv("s.csv")) == 19
    for arguments, message in (
        (["scan", HEAVY, "-m", "model", "-p", "CDR9"], "is no residue of this antibody"),
        (["explain", "EVQ1", "-m", "model"], "cannot be embedded"),
        (["explain", "none.fasta", "-m", "model"], "there is no such file"),
        (["explain", HEAVY, "-m", "none"], "not a saved model"),
    ):
        wrong = _run(*arguments)
        assert wrong.exit_code == 1
        assert message in wrong.stderr
