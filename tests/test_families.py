import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import CONFIG_MAPPING, AutoModelForMaskedLM, AutoTokenizer, PreTrainedTokenizerFast, T5Tokenizer

import strategies
from antibody_esm import CheckpointError, Extractor
from antibody_esm.plm.checkpoints import locate
from antibody_esm.plm.families import family_of, max_length
from antibody_esm.plm.vocabulary import _prove, vocabulary_of
from antibody_esm.sequences import AMINO_ACIDS
from antibody_esm.testing import tiny_checkpoint
from effort import examples


@pytest.fixture
def mine(checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint, tmp_path / "mine"))


@examples(20)
@given(st.data())
def test_the_table_gives_the_tokens_of_the_tokenizer(checkpoint: Path, family: str, data: st.DataObject) -> None:
    found = locate(str(checkpoint))
    vocabulary, tokenizer = vocabulary_of(found), AutoTokenizer.from_pretrained(checkpoint)
    separator = "" if family.startswith("esm") else " "
    length = data.draw(st.integers(1, 40))
    for sequence in data.draw(st.lists(strategies.sequences(length, length), min_size=1, max_size=5)):
        assert vocabulary.encode([sequence])[0].tolist() == tokenizer(separator.join(sequence))["input_ids"]


def test_rows_of_a_batch_are_encoded_each_by_itself(checkpoint: Path) -> None:
    vocabulary = vocabulary_of(locate(str(checkpoint)))
    both = vocabulary.encode(["ACX", "WYV"])
    assert both.tolist() == [*vocabulary.encode(["ACX"]).tolist(), *vocabulary.encode(["WYV"]).tolist()]


def test_x_is_the_unknown_token_of_antiberty_and_is_kept() -> None:
    vocabulary = vocabulary_of(locate("antiberty"))
    assert (vocabulary.prefix, vocabulary.suffix) == ((2,), (3,))
    assert vocabulary.encode(["AXC"])[0].tolist() == [2, 5, 1, 6, 3]


@pytest.mark.parametrize(
    ("family", "residues"), [("esm", 1022), ("esm1v", 1022), ("bert", 510), ("roberta", 510), ("roformer", 254)]
)
def test_the_longest_sequence_runs_and_one_residue_more_is_refused(
    checkpoints: dict[str, Path], family: str, residues: int
) -> None:
    assert max_length(locate(str(checkpoints[family]))) == residues
    extractor = Extractor(checkpoints[family])
    assert extractor.embed(["W" * residues]).shape == (1, 32)
    with pytest.raises(ValueError, match=f"{residues + 1} residues, at most {residues} are allowed"):
        extractor.embed(["W" * (residues + 1)])


def test_a_vocabulary_that_makes_every_residue_unknown_is_refused(mine: Path, family: str) -> None:
    # The trap: transformers embeds such sequences without complaint, all residues alike.
    tokens = (mine / "vocab.txt").read_text().split("\n")
    (mine / "vocab.txt").write_text("\n".join(f"{token}{token}" if token in AMINO_ACIDS else token for token in tokens))
    with pytest.raises(CheckpointError, match="its tokenizer does not read proteins"):
        vocabulary_of(locate(str(mine)))


def test_a_vocabulary_that_confuses_two_residues_is_refused(mine: Path) -> None:
    text = (mine / "vocab.txt").read_text().split("\n")
    text[text.index("W")] = "qq"
    (mine / "vocab.txt").write_text("\n".join(text))
    with pytest.raises(CheckpointError, match="its tokenizer does not read proteins"):
        Extractor(mine).embed(["EVQL"])


@pytest.mark.parametrize("family", ["bert", "roformer"])
def test_a_tokenizer_that_lower_cases_is_refused(mine: Path) -> None:
    configuration = json.loads((mine / "tokenizer_config.json").read_text()) | {"do_lower_case": True}
    (mine / "tokenizer_config.json").write_text(json.dumps(configuration))
    with pytest.raises(CheckpointError, match="its tokenizer does not read proteins"):
        vocabulary_of(locate(str(mine)))


@pytest.mark.parametrize("family", ["bert"])
def test_a_vocabulary_without_configuration_is_read_with_its_case(mine: Path) -> None:
    (mine / "tokenizer_config.json").unlink()
    assert len(set(vocabulary_of(locate(str(mine))).encode(list(AMINO_ACIDS))[:, 1])) == 20


@pytest.mark.parametrize("family", ["bert"])
def test_an_unknown_family_is_tried_with_and_without_spaces(mine: Path) -> None:
    known = vocabulary_of(locate(str(mine)))
    config = json.loads((mine / "config.json").read_text()) | {"model_type": "megatron-bert"}
    (mine / "config.json").write_text(json.dumps(config))
    other = locate(str(mine))
    assert family_of(other).separator is None
    assert (vocabulary_of(other).ids == known.ids).all()


def test_a_checkpoint_without_a_tokenizer_is_an_error(mine: Path) -> None:
    (mine / "vocab.txt").unlink()
    with pytest.raises(CheckpointError, match="it has no tokenizer; expected one of .*vocab.txt"):
        vocabulary_of(locate(str(mine)))


def test_what_a_tokenizer_adds_must_be_special(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    """With transformers 5 the T5 class puts an unknown token before the residues of a table that has no spaces."""
    vocabulary = vocabulary_of(locate(str(checkpoints["ankh"])))
    assert (vocabulary.prefix, vocabulary.suffix) == ((), (1,))
    rebuilt = T5Tokenizer.from_pretrained(checkpoints["ankh"])
    with pytest.raises(ValueError, match="are not special tokens"):
        _prove(rebuilt, "")


def test_prott5_wants_spaces_and_ankh_none(checkpoints: dict[str, Path]) -> None:
    for kind, tokenizer, separator in (
        ("prott5", AutoTokenizer.from_pretrained(checkpoints["prott5"]), " "),
        ("ankh", PreTrainedTokenizerFast.from_pretrained(checkpoints["ankh"]), ""),
    ):
        vocabulary = vocabulary_of(locate(str(checkpoints[kind])))
        assert vocabulary.encode(["EVXQL"])[0].tolist() == tokenizer(separator.join("EVXQL"))["input_ids"]


def test_a_model_that_this_transformers_does_not_know_is_named(mine: Path) -> None:
    config = json.loads((mine / "config.json").read_text())
    for further, message in (
        ({}, "has no model of type 'ablang2'$"),
        ({"auto_map": {}}, "of its own, which is never run"),
    ):
        (mine / "config.json").write_text(json.dumps(config | {"model_type": "ablang2"} | further))
        with pytest.raises(CheckpointError, match=message):
            Extractor(mine).embed(["EVQL"])


def test_ablang2_says_what_is_missing() -> None:
    with pytest.raises(
        CheckpointError, match="'AbLang2' cannot be loaded: its weights are published for its own package"
    ):
        locate("AbLang2")


def test_a_t5_without_start_token_has_all_positions(checkpoints: dict[str, Path]) -> None:
    assert Extractor(checkpoints["prott5"]).embed(["W" * 1500]).shape == (1, 32)


ROBERTA = ("roberta", "camembert", "xlm-roberta")
"""Model types whose layers, weights and positions are RoBERTa's."""


def reconfigured(source: Path, folder: Path, **changes: object) -> Path:
    """A copy of a checkpoint with other values in its config.json."""
    shutil.copytree(source, folder)
    config = json.loads((folder / "config.json").read_text())
    config = {name: value for name, value in (config | changes).items() if value is not MISSING}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


MISSING = object()


@pytest.mark.parametrize("kind", ROBERTA)
@pytest.mark.parametrize("head", [False, True], ids=["encoder", "head"])
def test_roberta_under_all_its_names_is_embedded_with_and_without_its_head(
    checkpoints: dict[str, Path], tmp_path: Path, kind: str, head: bool
) -> None:
    """Files saved with a language-model head hold no pooler, which no embedding passes."""
    source = tiny_checkpoint("roberta", tmp_path / "head", head=True) if head else checkpoints["roberta"]
    renamed = reconfigured(source, tmp_path / kind, model_type=kind)
    sequences = ["EVQLVXSGG", "W" * 510]
    assert np.array_equal(Extractor(renamed).embed(sequences), Extractor(source).embed(sequences))
    with pytest.raises(ValueError, match="511 residues, at most 510 are allowed"):
        Extractor(renamed).embed(["W" * 511])


BEHIND_PADDING = (
    *(*ROBERTA, "data2vec-text", "roberta-prelayernorm", "xlm-roberta-xl"),
    *("ibert", "longformer", "luke", "mpnet", "xmod"),
)
"""Model types whose positions start behind the padding token's number."""


@pytest.mark.parametrize("kind", [*BEHIND_PADDING, *("albert", "bert", "ernie", "megatron-bert", "rembert")])
def test_the_limit_is_the_longest_sequence_that_runs_and_no_pooler_is_needed(tmp_path: Path, kind: str) -> None:
    """Both were wrong for RoBERTa: a false refusal, and a raw error at the first long sequence."""
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    tokenizer = AutoTokenizer.from_pretrained(tiny_checkpoint("roberta", tmp_path))
    tokenizer.save_pretrained(tmp_path)
    further = {"vocab_size": len(tokenizer), "max_position_embeddings": 40, "pad_token_id": 1}
    special: dict[str, dict[str, object]] = {
        "albert": {"embedding_size": 32},
        "ibert": {"quant_mode": False},
        "longformer": {"attention_window": 8},
        "luke": {"entity_emb_size": 32, "entity_vocab_size": 4},
        "rembert": {"input_embedding_size": 32, "output_embedding_size": 32},
        "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
    }
    config = CONFIG_MAPPING[kind](**size, **further, **special.get(kind, {}))
    model = AutoModelForMaskedLM.from_config(config).eval()
    for file in ("config.json", "model.safetensors"):
        (tmp_path / file).unlink()
    model.save_pretrained(tmp_path)
    extractor = Extractor(tmp_path)
    longest = 36 if kind in BEHIND_PADDING else 38
    assert extractor.max_length == longest
    (row,) = extractor.embed(["W" * longest])
    (tokens,) = vocabulary_of(locate(str(tmp_path))).encode(["W" * longest])
    with torch.inference_mode():
        states = model.base_model(input_ids=torch.from_numpy(tokens)[None]).last_hidden_state[0]
    np.testing.assert_allclose(row, states[1:-1].mean(0).numpy(), atol=1e-5, rtol=1e-4)
    with pytest.raises(Exception, match="index|expanded size|must match"):  # transformers has no row more
        model.base_model(input_ids=torch.full((1, longest + 3), 5))


@pytest.mark.parametrize(("padding", "residues"), [(MISSING, 510), (0, 511), (3, 508)])
def test_positions_are_counted_from_the_padding_token_of_the_configuration(
    checkpoints: dict[str, Path], tmp_path: Path, padding: object, residues: int
) -> None:
    folder = reconfigured(checkpoints["roberta"], tmp_path / "mine", pad_token_id=padding)
    assert max_length(locate(str(folder))) == residues
    assert Extractor(folder).embed(["W" * residues]).shape == (1, 32)


@pytest.mark.parametrize("kind", ["roberta", "esm"])
@pytest.mark.parametrize("padding", ["1", -1, None, 1.0, True, [1]], ids=repr)
def test_positions_counted_from_no_token_are_an_error(
    checkpoints: dict[str, Path], tmp_path: Path, kind: str, padding: object
) -> None:
    folder = reconfigured(checkpoints[kind], tmp_path / "mine", pad_token_id=padding)
    with pytest.raises(CheckpointError, match="has pad_token_id .*, behind which its positions start"):
        Extractor(folder).embed(["EVQL"])
