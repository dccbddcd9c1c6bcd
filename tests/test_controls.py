"""Control tokens around and between chains, beside transformers on the text that a model's authors write."""

import json
import shlex
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer, PreTrainedTokenizerFast, T5EncoderModel
from typer.testing import CliRunner

import strategies
from antibody_esm import (
    CheckpointError,
    Dataset,
    EmbeddingStore,
    EnsembleSpec,
    Extractor,
    ExtractorSpec,
    Predictor,
    RuntimeSpec,
    SequenceError,
    SplitSpec,
    Trainer,
    TrainSpec,
    embed,
    embed_views,
)
from antibody_esm.cli import app
from antibody_esm.explain import residue_contributions
from antibody_esm.numbering import FRAMEWORKS, ImgtRegion, number
from antibody_esm.plm.controls import control_tokens
from antibody_esm.plm.masked import masked_log_probabilities
from antibody_esm.reports.reproduction import command, overrides
from antibody_esm.sequences import AMINO_ACIDS
from antibody_esm.specs import ResolvedExtractorSpec
from antibody_esm.testing import tiny_checkpoint
from chains import HEAVY, LIGHT, NANOBODY
from effort import examples
from peers import one_thread


class Case(NamedTuple):
    """What authors write, by a template in which the chains stand with a blank between residues if there is one."""

    kind: str
    fields: dict[str, str]
    text: Callable[[str], str]
    pair: Callable[[str, str], str]
    start: int
    """Tokens before the first residue."""
    gap: int
    """Tokens between two chains."""


def spaced(chain: str) -> str:
    return " ".join(chain)


CASES = {
    "ProstT5": Case(
        "prostt5",
        {"prefix": "<AA2fold>", "separator": "</s>"},
        lambda chain: f"<AA2fold> {spaced(chain)}",
        lambda heavy, light: f"<AA2fold> {spaced(heavy)} </s> {spaced(light)}",
        1,
        1,
    ),
    "Ankh3": Case(
        "ankh3",
        {"prefix": "[NLU]"},
        lambda chain: f"[NLU]{chain}",
        lambda heavy, light: f"[NLU]{heavy}</s>{light}",
        1,
        1,
    ),
    "p-IgGen": Case(
        "gpt2",
        {"prefix": "1", "suffix": "2", "separator": ""},
        lambda chain: f"1{chain}2",
        lambda heavy, light: f"1{heavy}{light}2",
        1,
        0,
    ),
    "IgLM": Case(
        "gpt2",
        {"prefix": "[HEAVY] [HUMAN]", "suffix": "2", "separator": "2[LIGHT][HUMAN]"},
        lambda chain: f"[HEAVY][HUMAN]{chain}2",
        lambda heavy, light: f"[HEAVY][HUMAN]{heavy}2[LIGHT][HUMAN]{light}2",
        2,
        3,
    ),
    "CurrAb": Case(
        "esm",
        {"suffix": "<cls>", "separator": "<cls>"},
        lambda chain: f"{chain}<cls>",
        lambda heavy, light: f"{heavy}<cls>{light}<cls>",
        1,
        1,
    ),
    "ft-ESM": Case(
        "esm",
        {"separator": "<cls><cls>"},
        lambda chain: chain,
        lambda heavy, light: f"{heavy}<cls><cls>{light}",
        1,
        2,
    ),
    "BALM-paired": Case(
        "roberta",
        {"separator": "</s>"},
        lambda chain: chain,
        lambda heavy, light: f"{heavy}</s>{light}",
        1,
        1,
    ),
    "AntiBERTa2": Case(
        "roformer",
        {"prefix": "[CLS]", "separator": "[SEP][CLS]"},
        lambda chain: f"[CLS] {spaced(chain)}",
        lambda heavy, light: f"[CLS] {spaced(heavy)} [SEP] [CLS] {spaced(light)}",
        2,
        2,
    ),
}
"""Models by name, with a tiny model of their family: RoFormer's vocabulary here has no chain tokens, so [CLS] stands
for them."""
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
RUNTIME = RuntimeSpec(device="cpu")
pairs = st.tuples(strategies.sequences(max_size=20), strategies.sequences(max_size=20))


@pytest.fixture(scope="module")
def extractor(checkpoints: dict[str, Path]) -> Callable[..., Extractor]:
    """Extractors, each made once."""

    @cache
    def of(kind: str, **fields: Any) -> Extractor:
        return Extractor(ExtractorSpec(model=str(checkpoints[kind]), **fields), RUNTIME)

    return of


@cache
def peer(folder: Path, kind: str) -> tuple[Any, Any]:
    """Tokenizer and encoder of transformers."""
    t5 = kind in ("prostt5", "ankh3")
    tokenizer = (PreTrainedTokenizerFast if kind == "ankh3" else AutoTokenizer).from_pretrained(folder)
    return tokenizer, (T5EncoderModel if t5 else AutoModel).from_pretrained(folder).eval()


def by_hand(case: Case, folder: Path, text: str) -> NDArray[np.float32]:
    """States of all tokens of a literal text, by transformers alone."""
    tokenizer, model = peer(folder, case.kind)
    with torch.no_grad(), one_thread():
        states = model(input_ids=torch.tensor([tokenizer(text)["input_ids"]])).last_hidden_state[0]
    return np.asarray(states.numpy(), np.float32)


# --- the literal text -----------------------------------------------------------------------------------------------


@cases
@given(data=st.data())
@examples(6)
def test_vectors_are_those_of_the_text_that_authors_write(
    case: Case, data: st.DataObject, extractor: Callable[..., Extractor], checkpoints: dict[str, Path]
) -> None:
    chains = data.draw(st.lists(strategies.sequences(), min_size=1, max_size=4))
    every = {how: extractor(case.kind, pooling=how, **case.fields) for how in ("mean", "last")}
    included = extractor(case.kind, special_tokens="include", **case.fields)
    rows = [every[how].embed(chains) for how in every]
    for chain, mean, last, whole, states in zip(
        chains, *rows, included.embed(chains), every["mean"].residues(chains), strict=True
    ):
        tokens = by_hand(case, checkpoints[case.kind], case.text(chain))
        expected = tokens[case.start : case.start + len(chain)]
        np.testing.assert_allclose(states, expected, atol=1e-5, rtol=1e-4)
        np.testing.assert_allclose(mean, expected.mean(axis=0), atol=1e-5, rtol=1e-4)
        np.testing.assert_allclose(last, expected[-1], atol=1e-5, rtol=1e-4)
        np.testing.assert_allclose(whole, tokens.mean(axis=0), atol=1e-5, rtol=1e-4)


@cases
@given(data=st.data())
@examples(6)
def test_joined_pairs_are_read_as_authors_write_them(
    case: Case, data: st.DataObject, extractor: Callable[..., Extractor], checkpoints: dict[str, Path]
) -> None:
    drawn = data.draw(st.lists(pairs, min_size=1, max_size=4))
    every = {how: extractor(case.kind, pooling=how, pairs="joined", **case.fields) for how in ("mean", "last")}
    rows = [every[how].embed(drawn) for how in every]
    for (heavy, light), mean, last, states in zip(drawn, *rows, every["mean"].residues(drawn), strict=True):
        tokens = by_hand(case, checkpoints[case.kind], case.pair(heavy, light))
        end = case.start + len(heavy)
        expected = np.concatenate([tokens[case.start : end], tokens[end + case.gap :][: len(light)]])
        np.testing.assert_allclose(states, expected, atol=1e-5, rtol=1e-4)
        np.testing.assert_allclose(mean, expected.mean(axis=0), atol=1e-5, rtol=1e-4)
        np.testing.assert_allclose(last, expected[-1], atol=1e-5, rtol=1e-4)


@cases
@given(data=st.data())
@examples(6)
def test_rows_do_not_depend_on_their_batch(
    case: Case, data: st.DataObject, extractor: Callable[..., Extractor]
) -> None:
    """Also where a chain and a pair of as many tokens have other numbers of letters."""
    total = data.draw(st.integers(3, 25))
    of_one_length = st.integers(1, total - 1).flatmap(
        lambda n: st.tuples(strategies.sequences(n, n), strategies.sequences(total - n, total - n))
    )
    drawn = data.draw(st.lists(of_one_length | pairs, min_size=2, max_size=8))
    for fields in ({}, {"pooling": "last"}, {"special_tokens": "include"}):
        model = extractor(case.kind, pairs="joined", **case.fields, **fields)
        together = model.embed(drawn)
        alone = data.draw(st.integers(0, len(drawn) - 1))
        assert np.array_equal(model.embed([drawn[alone]])[0], together[alone])
    singles = [strategies.protein("".join(pair)) for pair in drawn]
    model = extractor(case.kind, **case.fields)
    assert np.array_equal(model.embed([singles[alone]])[0], model.embed(singles)[alone])


def test_pairs_and_chains_of_as_many_tokens_share_a_batch(extractor: Callable[..., Extractor]) -> None:
    model = extractor("esm", pairs="joined", separator="<cls><cls>")
    texts = [f"{'W' * 30}|{'Y' * 30}", "D" * 62, f"{'E' * 20}|{'F' * 40}"]
    assert {model.vocabulary.length(text) for text in texts} == {64}
    rows = dict(zip(texts, np.empty((3, 32)), strict=True))
    for places, part in model.stream(texts):
        rows |= {texts[place]: row for place, row in zip(places, part, strict=True)}
    for text in texts:
        assert np.array_equal(rows[text], Extractor(model.spec, RUNTIME).embed([text])[0])


@pytest.mark.parametrize("region", ["cdr3", "frameworks"])
def test_regions_lie_at_the_same_residues(region: str, extractor: Callable[..., Extractor]) -> None:
    (heavy,), (light,) = number([HEAVY, LIGHT])
    parts: tuple[ImgtRegion, ...] = ("CDR3",) if region == "cdr3" else FRAMEWORKS
    places = [
        start + place
        for start, domain in ((0, heavy), (len(HEAVY), light))
        for part in parts
        for place in range(*domain.span(part))
    ]
    for kind, fields in (
        ("gpt2", {"prefix": "1", "separator": ""}),
        ("esm", {"suffix": "<cls>", "separator": "<cls><cls>"}),
    ):
        model = extractor(kind, pairs="joined", region=region, **fields)
        (states,) = model.residues([(HEAVY, LIGHT)])
        np.testing.assert_allclose(model.embed([(HEAVY, LIGHT)])[0], states[places].mean(axis=0), atol=1e-5)
        last = extractor(kind, pairs="joined", region=region, pooling="last", **fields)
        np.testing.assert_allclose(last.embed([(HEAVY, LIGHT)])[0], states[max(places)], atol=1e-5)


@pytest.mark.parametrize("fields", [{"prefix": "<cls>"}, {"suffix": "<cls><eos>", "separator": "<cls><cls>"}])
def test_masked_marginals_hide_the_residue_of_the_text(fields: dict[str, Any], tmp_path: Path) -> None:
    folder = tiny_checkpoint("esm", tmp_path, head=True)
    joined = "separator" in fields
    model = Extractor(ExtractorSpec(model=str(folder), pairs="joined" if joined else "apart", **fields), RUNTIME)
    tokenizer, whole = AutoTokenizer.from_pretrained(folder), AutoModelForMaskedLM.from_pretrained(folder).eval()
    sequence, places = ("EVQL|DIQ", [3, 5]) if joined else ("EVQLDIQ", [0, 6])
    found = masked_log_probabilities(model, sequence, places)
    for row, place in zip(found, places, strict=True):
        hidden = [*sequence]
        hidden[place] = "<mask>"
        inner = "".join(hidden).replace("|", fields.get("separator", ""))
        text = f"{fields.get('prefix', '')}{inner}{fields.get('suffix', '')}"
        tokens = torch.tensor([tokenizer(text)["input_ids"]])
        with torch.no_grad(), one_thread():
            logits = whole(input_ids=tokens).logits[0, (tokens[0] == tokenizer.mask_token_id).nonzero().item()]
        expected = logits.double().log_softmax(0)[tokenizer.convert_tokens_to_ids(list(AMINO_ACIDS))]
        np.testing.assert_allclose(row, expected.numpy(), atol=1e-4)


# --- keys -----------------------------------------------------------------------------------------------------------


@given(strategies.resolved_extractors, st.sampled_from(["prefix", "suffix", "separator"]), strategies.control_texts)
def test_no_row_is_found_under_other_control_tokens(spec: ResolvedExtractorSpec, field: str, text: str) -> None:
    other = spec.model_copy(update={field: text})
    assert (other.fingerprint == spec.fingerprint) == (getattr(spec, field) == text)
    swapped = spec.model_copy(update={"prefix": spec.suffix, "suffix": spec.prefix})
    assert (swapped.fingerprint == spec.fingerprint) == (spec.prefix == spec.suffix)


@given(strategies.extractors, strategies.digests)
def test_a_separator_is_part_of_the_address_of_joined_pairs_only(spec: ExtractorSpec, digest: str) -> None:
    pinned = spec.model_copy(update={"digest": digest, "layer": 1, "max_length": 100, "region": "all"})
    other = pinned.model_copy(update={"separator": "other"})
    assert (pinned.address == other.address) == (pinned.pairs == "apart")
    assert pinned.resolve().prefix == spec.prefix
    assert pinned.resolve().suffix == spec.suffix


def test_rows_with_and_without_a_prefix_lie_apart_in_a_store(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path / "store")
    bare = ExtractorSpec(model=str(checkpoints["ankh3"]))
    specs = [bare, *(bare.model_copy(update={"prefix": text}) for text in ("[NLU]", "[S2S]"))]
    rows = [embed([HEAVY, LIGHT], spec, store) for spec in specs]
    assert all(store.count(spec) == 2 for spec in specs)
    assert not np.isclose(rows[0], rows[1]).all()
    assert not np.isclose(rows[1], rows[2]).all()
    again = EmbeddingStore(tmp_path / "again")
    for spec, expected in zip(specs, rows, strict=True):
        store.export(tmp_path / "rows.parquet", spec)
        again.import_file(tmp_path / "rows.parquet")
        assert np.array_equal(again.gather(spec, [HEAVY, LIGHT]), expected)
    assert any("prefix" in line for line in store.explain(specs[1], specs[2]))


@pytest.mark.parametrize("text", ["", "  "])
def test_empty_text_is_none_around_a_sequence_and_nothing_between_chains(text: str) -> None:
    assert ExtractorSpec(model="m", prefix=text, suffix=text) == ExtractorSpec(model="m")
    assert ExtractorSpec(model="m", separator=text).separator == ""
    assert (
        ExtractorSpec(model="m", prefix=" H\N{COMBINING DOT ABOVE} ").prefix
        == "\N{LATIN CAPITAL LETTER H WITH DOT ABOVE}"
    )


@pytest.mark.parametrize(
    "text", ["a\0b", "a\nb", "\x1b[31m", "a\N{ZERO WIDTH SPACE}b", "x" * 65, "x" * 10**6, 1, ["NLU"]]
)
def test_crafted_text_is_refused(text: object) -> None:
    for field in ("prefix", "suffix", "separator"):
        with pytest.raises(ValidationError, match="printable|at most 64|a text is required"):
            ExtractorSpec.model_validate({"model": "m", field: text})
        with pytest.raises(ValidationError):
            ResolvedExtractorSpec.model_validate({"digest": "0" * 64, "layer": 1, field: text})


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[NLX]", r"has no token '\[NLX\]'"),
        ("[NLU", r"has no token '\[NLU'"),
        ("[NLU][NL]", r"has no token '\[NL\]'"),
        ("NLU", "reads 'N' there as a residue"),
        ("[NLU]X", "reads 'X' there as a residue"),
        ("BUZ", "reads 'B' there as a residue"),
        ("<pad>", "has '<pad>' as a token for padding"),
        ("<unk>", "has '<unk>' as a token for padding"),
        ("[nlu]", r"has no token '\[nlu\]'"),
    ],
)
@pytest.mark.parametrize("field", ["prefix", "suffix", "separator"])
def test_what_is_no_control_token_is_an_error_that_says_so(
    text: str, reason: str, field: str, checkpoints: dict[str, Path]
) -> None:
    fields: dict[str, Any] = {"pairs": "joined", field: text}
    spec = ExtractorSpec(model=str(checkpoints["ankh3"]), **fields)
    with pytest.raises(CheckpointError, match=f"{field} '.*' is not read: its vocabulary {reason}"):
        Extractor(spec, RUNTIME).embed([("EVQ", "DIQ")])


def test_chain_tokens_of_antiberta2_are_read_with_their_dots(tmp_path: Path) -> None:
    folder = tiny_checkpoint("roformer", tmp_path)
    with (folder / "vocab.txt").open("a", encoding="utf-8") as vocabulary:
        vocabulary.write("\nḢ\nḶ")
    config = json.loads((folder / "config.json").read_text()) | {"vocab_size": 27}
    (folder / "config.json").write_text(json.dumps(config))
    spec = ExtractorSpec(model=str(folder), prefix="Ḣ", separator="[SEP]Ḷ", pairs="joined")
    assert Extractor(spec).vocabulary.encode(["AC|D"]).tolist() == [[2, 25, 5, 6, 3, 26, 7, 3]]
    with pytest.raises(CheckpointError, match="reads 'H' there as a residue"):
        embed(["EVQ"], spec.model_copy(update={"prefix": "H"}))


def test_a_mask_is_no_control_token(checkpoints: dict[str, Path]) -> None:
    for kind, token in (("esm", "<mask>"), ("bert", "[MASK]")):
        with pytest.raises(CheckpointError, match="hidden or unknown residues"):
            embed(["EVQ"], ExtractorSpec(model=str(checkpoints[kind]), prefix=token))


@given(st.text(max_size=64))
def test_any_text_is_whole_tokens_or_an_error(text: str) -> None:
    numbers = {"1": 1, "[A]": 2, "[A][A]": 3, "E": 4, "<pad>": 0}
    try:
        tokens = control_tokens(text, numbers, {4}, {0})
    except ValueError:
        return
    names = {number: token for token, number in numbers.items()}
    assert "".join(names[token] for token in tokens) == "".join(text.split())
    assert not {0, 4} & set(tokens)


# --- room -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields", "residues"),
    [
        ("bert", {"prefix": "[CLS]"}, 509),
        ("roberta", {"prefix": "<s><s>", "suffix": "</s>"}, 507),
        ("roformer", {"prefix": "[CLS]"}, 253),
        ("gpt2", {"prefix": "[HEAVY][HUMAN]", "suffix": "2"}, 507),
    ],
)
def test_control_tokens_take_room_from_the_longest_sequence(
    kind: str, fields: dict[str, str], residues: int, extractor: Callable[..., Extractor]
) -> None:
    model = extractor(kind, **fields)
    assert (model.max_length, model.longest) == (residues, residues)
    assert model.embed(["W" * residues]).shape == (1, 32)
    with pytest.raises(SequenceError, match=f"{residues + 1} residues, at most {residues} are allowed"):
        model.embed(["W" * (residues + 1)])
    cut = extractor(kind, truncation=True, **fields)
    assert cut.resolved.truncate_to == residues
    assert np.array_equal(cut.embed(["W" * 600]), model.embed(["W" * residues]))
    assert extractor(kind, truncation=True, max_length=20, **fields).resolved.truncate_to == 20


def test_a_separator_of_several_tokens_takes_room_of_pairs(extractor: Callable[..., Extractor]) -> None:
    model = extractor("roformer", pairs="joined", separator="[SEP] [CLS] [SEP]")
    assert model.max_length == 252
    assert model.embed([("W" * 125, "W" * 126)]).shape == (1, 32)
    with pytest.raises(SequenceError):
        model.embed([("W" * 126, "W" * 126)])


def test_control_tokens_without_room_for_a_residue_are_an_error(tmp_path: Path) -> None:
    folder = tiny_checkpoint("gpt2", tmp_path)
    config = json.loads((folder / "config.json").read_text()) | {"n_positions": 40}
    (folder / "config.json").write_text(json.dumps(config))
    spec = ExtractorSpec(model=str(folder), prefix="1" * 60, truncation=True)
    for run in (spec.resolve, lambda: Extractor(spec, RUNTIME).embed(["EVQ"])):
        with pytest.raises(CheckpointError, match="leave no room for residues"):
            run()


# --- beside every other setting -------------------------------------------------------------------------------------

SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "bfloat16": ("ankh3", {"prefix": "[NLU]", "precision": "bfloat16"}),
    "int8": ("bert", {"prefix": "[CLS]", "precision": "int8"}),
    "float16 storage": ("prostt5", {"prefix": "<AA2fold>", "storage": "float16"}),
    "random weights": ("gpt2", {"prefix": "1", "suffix": "2", "random_weights": 0}),
    "layer": ("roformer", {"prefix": "[CLS]", "layer": 1}),
    "last": ("gpt2", {"prefix": "1", "suffix": "2", "pooling": "last"}),
    "joined": ("gpt2", {"prefix": "1", "suffix": "2", "pairs": "joined", "separator": ""}),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_model_with_control_tokens_is_trained_explained_saved_and_reproduced(
    name: str, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    kind, fields = SETTINGS[name]
    spec = ExtractorSpec(model=str(checkpoints[kind]), **fields)
    generator = np.random.default_rng(0)
    chains = [["".join(generator.choice(list("ACDEFGHIK"), 12 + row % 3)) for row in range(12)] for _ in range(2)]
    joined: dict[str, Any] = {"light": chains[1], "chain": "paired"} if spec.pairs == "joined" else {}
    data = Dataset(ids=[str(i) for i in range(12)], heavy=chains[0], label=[0, 1] * 6, **joined)
    trainer = Trainer(spec, split=SplitSpec(folds=2), store=tmp_path / "store", runtime=RUNTIME)
    predictor = trainer.fit(data, check=False, uncertainty=False)
    expected = predictor.predict_proba(data)
    bare = Trainer(
        spec.model_copy(update={"prefix": None, "suffix": None}), split=SplitSpec(folds=2), runtime=RUNTIME
    ).fit(data, check=False, uncertainty=False)
    assert not np.array_equal(bare.predict_proba(data), expected), "a prefix changes numbers"
    loaded = Predictor.load(predictor.save(tmp_path / "model"), store=EmbeddingStore(tmp_path / "new"))
    assert np.array_equal(loaded.predict_proba(data), expected)
    extractor = loaded.spec.extractor
    assert isinstance(extractor, ExtractorSpec)
    assert extractor.prefix == spec.prefix
    one = (chains[0][0], chains[1][0]) if joined else chains[0][0]
    explained = residue_contributions(predictor, one, check=False)
    assert len(explained.contributions) == len("".join(one))
    if spec.pooling == "mean":
        assert explained.method == "exact"
        assert explained.intercept is not None
        assert explained.intercept + explained.contributions.sum() == pytest.approx(explained.score, abs=1e-4)
    else:
        assert explained.method == "occlusion"
    words = overrides(trainer.spec)
    assert words is not None
    assert TrainSpec.compose(words) == trainer.spec
    assert eval(repr(trainer.spec)) == trainer.spec  # noqa: S307


def test_the_command_of_a_report_quotes_control_tokens_for_the_shell() -> None:
    spec = TrainSpec(extractor=ExtractorSpec(model="a/b", prefix="<AA2fold>", suffix="2", separator="", pairs="joined"))
    line = command(spec)
    assert line is not None
    assert """'extractor.prefix="<AA2fold>"' 'extractor.suffix="2"' 'extractor.separator=""'""" in line
    words = [word for word in shlex.split(line)[1:] if not word.startswith("data=")]
    assert TrainSpec.compose(words) == spec
    assert overrides(TrainSpec(extractor=ExtractorSpec(model="a/b", prefix="Ḣ"))) is not None


@pytest.mark.parametrize("text", ["<AA2fold>", "[NLU]", "[HEAVY][HUMAN]", "1", "Ḣ", "null", ""])
def test_an_override_with_quotes_of_its_own_is_the_text(text: str) -> None:
    for quote in "\"'":
        spec = TrainSpec.compose(["extractor.model=m", f"extractor.prefix={quote}{text}{quote}"])
        assert spec.extractor == ExtractorSpec(model="m", prefix=text)


@pytest.mark.parametrize("text", ["<AA2fold>", "[NLU]", "[HEAVY][HUMAN]", "1"])
def test_an_override_without_quotes_says_how_to_quote(text: str) -> None:
    with pytest.raises(ValidationError, match="quote"):
        TrainSpec.compose(["extractor.model=m", f"extractor.prefix={text}"])


def test_the_command_embeds_with_control_tokens(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "in.fasta").write_text(f">a\n{HEAVY}\n>b\n{LIGHT}\n")
    model = str(checkpoints["gpt2"])

    def run(*arguments: str) -> Any:
        where = [str(tmp_path / "in.fasta"), "-o", str(tmp_path / "out.npz"), "--store", str(tmp_path / "store")]
        return CliRunner().invoke(app.app, ["embed", *where, "--language-model", model, *arguments])

    done = run("--prefix", "[HEAVY][HUMAN]", "--suffix", "2", "--pooling", "last")
    assert done.exit_code == 0, done.output
    spec = ExtractorSpec(model=model, prefix="[HEAVY][HUMAN]", suffix="2", pooling="last")
    with np.load(tmp_path / "out.npz") as arrays:
        assert any(np.array_equal(arrays[name], embed([HEAVY, LIGHT], spec)) for name in arrays)
    for text, reason in (("HEAVY", "reads 'H' there as a residue"), ("a\nb", "printable characters")):
        done = run("--prefix", text)
        assert done.exit_code != 0
        assert reason in done.output
        assert "Traceback" not in done.output


def test_a_prefix_is_part_of_a_pass_and_views_of_it_have_the_bits_of_each_spec(checkpoints: dict[str, Path]) -> None:
    spec = ExtractorSpec(model=str(checkpoints["gpt2"]), prefix="1", suffix="2", separator="", pairs="joined")
    views = spec.views([1, 2], ["mean", "std", "last"], ["all", "cdr3"])
    antibodies = [(HEAVY, LIGHT), (NANOBODY, LIGHT)]
    for view, rows in zip(views, embed_views(antibodies, views, runtime=RUNTIME), strict=True):
        assert np.array_equal(rows, Extractor(view, RUNTIME).embed(antibodies)), view
    other = spec.model_copy(update={"prefix": "[HEAVY]"})
    with pytest.raises(ValueError, match="may differ only in"):
        embed_views(antibodies, [spec, other])
    both = EnsembleSpec(members=(spec, other), combine="concat")
    apart = [embed(antibodies, each) for each in (spec, other)]
    assert np.array_equal(embed(antibodies, both), np.hstack(apart))


@pytest.mark.parametrize("piece", ["EV", "VLT"])
def test_a_piece_of_several_residues_is_no_control_token(
    checkpoints: dict[str, Path], tmp_path: Path, piece: str
) -> None:
    folder = Path(shutil.copytree(checkpoints["bert"], tmp_path / "pieces"))
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join([*vocabulary.read_text().split(), piece]))
    assert piece in AutoTokenizer.from_pretrained(folder).get_vocab()
    with pytest.raises(CheckpointError, match=f"reads '{piece}' there as residues"):
        Extractor(ExtractorSpec(model=str(folder), prefix=piece)).embed([HEAVY])
    numbers = {piece: 30, "E": 4}
    assert control_tokens(piece, numbers, {4}, (), {piece}) == (30,), "a token that was added is whole"
