"""Antibodies of two chains: one by one and side by side, or joined as the model's family expects."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerFast, T5EncoderModel

import strategies
from antibody_esm import (
    Antibody,
    CheckpointError,
    Dataset,
    DatasetError,
    EmbeddingStore,
    Extractor,
    ExtractorSpec,
    Predictor,
    RuntimeSpec,
    SequenceError,
    SplitSpec,
    Trainer,
    embed,
    embed_views,
)
from chains import HEAVY, LIGHT, NANOBODY
from effort import examples

JOINING = ("bert", "esmc", "prott5", "ankh")
ANTIBODIES = [Antibody(HEAVY, LIGHT), Antibody(NANOBODY, LIGHT), Antibody(HEAVY, LIGHT)]
BETWEEN = {"bert": " [SEP] ", "prott5": " </s> ", "ankh": "</s>", "esmc": "|"}

pairs = st.tuples(strategies.sequences(max_size=25), strategies.sequences(max_size=25))


@pytest.fixture(scope="module")
def joining(checkpoints: dict[str, Path]) -> dict[str, Extractor]:
    return {
        kind: Extractor(ExtractorSpec(model=str(checkpoints[kind]), pairs="joined"), RuntimeSpec(device="cpu"))
        for kind in JOINING
    }


def plain(kind: str, folder: Path, heavy: str, light: str) -> NDArray[np.float32]:
    """States of the residues of two chains in one sequence, by transformers alone."""
    if folder not in PLAIN:
        tokenizer = (PreTrainedTokenizerFast if kind == "ankh" else AutoTokenizer).from_pretrained(folder)
        PLAIN[folder] = (
            tokenizer,
            (T5EncoderModel if "t5" in kind or kind == "ankh" else AutoModel).from_pretrained(folder).eval(),
        )
    tokenizer, model = PLAIN[folder]
    space = " " if kind in ("bert", "prott5") else ""
    text = space.join(heavy) + BETWEEN[kind] + space.join(light)
    with torch.no_grad():
        states = model(input_ids=tokenizer(text, return_tensors="pt")["input_ids"]).last_hidden_state[0]
    residues = states[:-1] if kind in ("prott5", "ankh") else states[1:-1]
    assert len(residues) == len(heavy) + 1 + len(light)
    return torch.cat([residues[: len(heavy)], residues[len(heavy) + 1 :]]).numpy()


PLAIN: dict[Path, tuple[object, object]] = {}


@pytest.mark.parametrize("kind", JOINING)
@given(data=st.data())
@examples(8)
def test_a_joined_pair_equals_a_plain_computation_without_the_separator(
    kind: str, data: st.DataObject, joining: dict[str, Extractor], checkpoints: dict[str, Path]
) -> None:
    some = data.draw(st.lists(pairs, min_size=1, max_size=5))
    extractor = joining[kind]
    for rows, states, (heavy, light) in zip(extractor.embed(some), extractor.residues(some), some, strict=True):
        expected = plain(kind, checkpoints[kind], heavy, light)
        np.testing.assert_allclose(states, expected, atol=1e-5, rtol=1e-4)
        np.testing.assert_allclose(rows, expected.mean(axis=0), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", JOINING)
@given(data=st.data())
@examples(8)
def test_a_joined_pair_does_not_depend_on_its_batch(
    kind: str, data: st.DataObject, joining: dict[str, Extractor]
) -> None:
    total = data.draw(st.integers(2, 30))
    of_one_length = st.integers(1, total - 1).flatmap(
        lambda n: st.tuples(strategies.sequences(n, n), strategies.sequences(total - n, total - n))
    )
    some = data.draw(
        st.lists(of_one_length | pairs | strategies.sequences(total + 1, total + 1), min_size=2, max_size=8)
    )
    together = joining[kind].embed(some)
    alone = data.draw(st.integers(0, len(some) - 1))
    assert np.array_equal(joining[kind].embed([some[alone]])[0], together[alone])


def test_a_single_chain_has_the_same_vector_whatever_becomes_of_pairs(
    joining: dict[str, Extractor], checkpoints: dict[str, Path]
) -> None:
    assert np.array_equal(joining["bert"].embed([NANOBODY]), Extractor(checkpoints["bert"]).embed([NANOBODY]))


@pytest.mark.parametrize("kind", ["esm", "esm1v", "roformer"])
def test_a_family_that_reads_one_chain_says_so_instead_of_joining_two(kind: str, checkpoints: dict[str, Path]) -> None:
    spec = ExtractorSpec(model=str(checkpoints[kind]), pairs="joined")
    with pytest.raises(CheckpointError, match="read one chain; embed each chain separately: pairs='apart'"):
        Extractor(spec).embed(ANTIBODIES)


def test_a_tokenizer_without_the_separator_is_an_error(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(checkpoints["bert"], tmp_path / "mine"))
    vocabulary = (folder / "vocab.txt").read_text().replace("[SEP]", "[END]")
    (folder / "vocab.txt").write_text(vocabulary)
    with pytest.raises(CheckpointError, match="it gives token 26, and the model has 26"):
        Extractor(ExtractorSpec(model=str(folder), pairs="joined")).embed(ANTIBODIES)


def test_chains_apart_stand_side_by_side_and_each_is_computed_and_stored_once(
    tiny: ExtractorSpec, tmp_path: Path
) -> None:
    store, extractor = EmbeddingStore(tmp_path), Extractor(tiny)
    rows = embed(ANTIBODIES, extractor, store)
    assert rows.shape == (3, 64)
    assert np.array_equal(
        rows, np.hstack([extractor.embed([a.heavy for a in ANTIBODIES]), extractor.embed([LIGHT] * 3)])
    )
    assert np.array_equal(rows, extractor.embed(ANTIBODIES))
    assert store.count(tiny) == 3
    assert sorted(store.get(tiny, [HEAVY, LIGHT, NANOBODY])) == sorted([HEAVY, LIGHT, NANOBODY])
    before = extractor.computed
    assert np.array_equal(embed([f"{HEAVY}|{LIGHT}", (NANOBODY.lower(), f" {LIGHT} ")], extractor, store), rows[:2])
    assert extractor.computed == before, "text and tuples are the same pairs"


def test_joined_pairs_are_stored_under_their_own_address(
    joining: dict[str, Extractor], checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    store, extractor = EmbeddingStore(tmp_path), joining["bert"]
    rows = embed(ANTIBODIES, extractor, store)
    assert rows.shape == (3, 32)
    assert store.count(extractor.spec) == 2
    assert store.count(ExtractorSpec(model=str(checkpoints["bert"]))) == 0
    assert np.array_equal(store.gather(extractor.spec, ANTIBODIES), rows)
    check = store.verify(extractor)
    assert check.sound
    store.export(tmp_path / "rows.parquet")
    again = EmbeddingStore(tmp_path / "again")
    assert again.import_file(tmp_path / "rows.parquet")[1] == 2
    assert np.array_equal(again.gather(extractor.spec, ANTIBODIES), rows)


@pytest.mark.parametrize("region", ["cdr3", "frameworks"])
def test_regions_of_a_joined_pair_are_those_of_both_chains(region: str, joining: dict[str, Extractor]) -> None:
    extractor = joining["bert"]
    spec = extractor.spec.model_copy(update={"region": region})
    (row,) = Extractor(spec).embed([(HEAVY, LIGHT)])
    (states,) = extractor.residues([(HEAVY, LIGHT)])
    both = HEAVY + LIGHT
    cdr3 = [*range(both.index("SRWGG"), both.index("WGQGTLV")), *range(both.index("QQHYT"), both.index("FGQGTKV"))]
    from antibody_esm.numbering import FRAMEWORKS, number

    places = cdr3
    if region == "frameworks":
        (heavy,), (light,) = number([HEAVY, LIGHT])
        places = [i for part in FRAMEWORKS for i in range(*heavy.span(part))]
        places += [len(HEAVY) + i for part in FRAMEWORKS for i in range(*light.span(part))]
    np.testing.assert_allclose(row, states[sorted(places)].mean(axis=0), atol=1e-5)


def test_a_joined_pair_of_which_one_chain_lacks_the_region_is_refused(joining: dict[str, Extractor]) -> None:
    spec = joining["bert"].spec.model_copy(update={"region": "cdr3"})
    with pytest.raises(SequenceError, match="sequence 2 .index 1.: no cdr3"):
        Extractor(spec).embed([(HEAVY, LIGHT), (HEAVY, "EVQLV")])


def test_views_of_pairs_have_the_bits_of_each_spec_alone(tiny: ExtractorSpec, joining: dict[str, Extractor]) -> None:
    for spec in (tiny, joining["bert"].spec):
        specs = spec.views([1, 2], ["mean", "cls"], ["all", "cdr3"])
        for one, rows in zip(specs, embed_views(ANTIBODIES, specs), strict=True):
            assert np.array_equal(rows, Extractor(one).embed(ANTIBODIES)), one


def test_every_bad_chain_of_every_pair_is_listed_by_its_row(tiny: ExtractorSpec) -> None:
    with pytest.raises(SequenceError) as caught:
        embed([("EVQ", "D-Q"), ("EVQ", "DIQ"), ("", "DIQ"), ("EV1", "D2Q")], tiny)
    assert [(row.index, row.position, row.residue) for row in caught.value.rows] == [
        (0, 1, "-"),
        (2, 0, ""),
        (3, 2, "1"),
        (3, 1, "2"),
    ]
    assert "sequence 1 (index 0), position 2: '-' in the light chain" in str(caught.value)
    limited = tiny.model_copy(update={"max_length": 4})
    with pytest.raises(
        SequenceError, match="sequence 2 .index 1., position 5: 5 residues, at most 4 are allowed in the light chain"
    ):
        embed([("EVQ", "DIQ"), ("EVQ", "DIQMT")], limited)


@pytest.mark.parametrize("mixed", [["EVQ", ("EVQ", "DIQ")], ["EVQ|DIQ", "EVQ"]])
def test_single_chains_among_pairs_are_refused(mixed: list[str], tiny: ExtractorSpec) -> None:
    for run in (lambda: embed(mixed, tiny), lambda: Extractor(tiny).embed(mixed)):
        with pytest.raises(SequenceError, match="a single chain among pairs"):
            run()


@pytest.mark.parametrize("bad", ["EVQ|DIQ|DIQ", "|DIQ", "EVQ|", "|", ("EVQ",), ("EVQ", None), ("EVQ", "DIQ", "DIQ")])
def test_what_is_no_pair_is_refused(bad: object, tiny: ExtractorSpec) -> None:
    with pytest.raises(SequenceError):
        embed([bad], tiny)  # type: ignore[list-item]


def test_no_chain_of_a_data_set_may_be_a_pair() -> None:
    with pytest.raises(SequenceError):
        Dataset(ids=["a"], heavy=["EVQ|DIQ"])


@pytest.mark.parametrize("joined", [False, True])
def test_a_paired_data_set_is_trained_saved_and_predicted_from_both_chains(
    joined: bool, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    generator = np.random.default_rng(0)
    chains = [["".join(generator.choice(list("ACDEFGHIK"), 12)) for _ in range(20)] for _ in range(2)]
    data = Dataset(ids=[str(i) for i in range(20)], heavy=chains[0], light=chains[1], label=[0, 1] * 10, chain="paired")
    spec = ExtractorSpec(model=str(checkpoints["bert"]), pairs="joined" if joined else "apart")
    trainer = Trainer(spec, split=SplitSpec(folds=2), store=tmp_path / "store")
    trainer.cross_validate(data, check=False)
    predictor = trainer.fit(data, check=False)
    assert trainer.extractor.computed == trainer.extractor.needed(data.sequences) == (20 if joined else 40)
    antibodies = list(zip(*chains, strict=True))
    expected = predictor.predict_proba(data)
    assert np.array_equal(predictor.predict_proba(antibodies), expected)
    loaded = Predictor.load(predictor.save(tmp_path / "model"), store=tmp_path / "store")
    assert np.array_equal(loaded.predict_proba(antibodies), expected)
    assert not np.array_equal(loaded.predict_proba([(heavy, chains[1][0]) for heavy in chains[0]]), expected)


def test_a_paired_data_set_needs_both_chains() -> None:
    data = Dataset(ids=["a", "b"], heavy=["EVQ", "EVQ"], light=["DIQ", None], chain="paired")
    with pytest.raises(DatasetError, match="have no light chain"):
        data.sequences  # noqa: B018
