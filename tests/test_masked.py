"""Masked marginals are those of the checkpoint's own head, or there are none."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from antibody_esm import CheckpointError, Extractor, ExtractorSpec
from antibody_esm.plm.masked import NoHead, masked_log_probabilities
from antibody_esm.sequences import AMINO_ACIDS
from chains import HEAVY

CLASSES = {
    "esm": "EsmForMaskedLM",
    "bert": "BertForMaskedLM",
    "roberta": "RobertaForMaskedLM",
    "roformer": "RoFormerForMaskedLM",
}


def with_head(kind: str, encoder: Path, folder: Path) -> Path:
    """A checkpoint of the same size whose files hold a head as well."""
    shutil.copytree(encoder, folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = getattr(transformers, CLASSES[kind])(transformers.AutoConfig.from_pretrained(encoder))
        for parameter in model.parameters():
            parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", CLASSES)
def test_masked_marginals_are_those_of_transformers(checkpoints: dict[str, Path], tmp_path: Path, kind: str) -> None:
    folder = with_head(kind, checkpoints[kind], tmp_path / kind)
    found = masked_log_probabilities(Extractor(ExtractorSpec(model=str(folder))), HEAVY[:40], [0, 7, 39])
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    letters = [tokenizer.convert_tokens_to_ids(residue) for residue in AMINO_ACIDS]
    for row, place in zip(found, [0, 7, 39], strict=True):
        residues = list(HEAVY[:40])
        residues[place] = tokenizer.mask_token
        given = tokenizer(("" if kind in ("esm", "roberta") else " ").join(residues), return_tensors="pt")
        at = int((given["input_ids"][0] == tokenizer.mask_token_id).nonzero())
        with torch.inference_mode():
            expected = model(**given).logits[0, at].log_softmax(0)[letters]
        np.testing.assert_allclose(row, expected.numpy(), atol=1e-5)


def test_a_family_whose_checkpoints_hold_their_head_answers_as_they_are(checkpoints: dict[str, Path]) -> None:
    found = masked_log_probabilities(Extractor(ExtractorSpec(model=str(checkpoints["esmc"]))), "EVQLV", range(5))
    assert found.shape == (5, 20)
    assert (np.exp(found).sum(axis=1) < 1).all()


@pytest.mark.parametrize("kind", CLASSES)
def test_a_checkpoint_without_a_head_has_none_made_up(checkpoints: dict[str, Path], kind: str) -> None:
    with pytest.raises(NoHead, match="holds no language-model head") as refused:
        masked_log_probabilities(Extractor(ExtractorSpec(model=str(checkpoints[kind]))), "EVQLV", [0])
    assert str(refused.value).startswith(f"{checkpoints[kind].name} holds"), "notes have no path"


@pytest.mark.parametrize("kind", ["prott5", "ankh"])
def test_a_family_without_masks_has_no_head(checkpoints: dict[str, Path], kind: str) -> None:
    with pytest.raises(NoHead, match="are no masked language models"):
        masked_log_probabilities(Extractor(ExtractorSpec(model=str(checkpoints[kind]))), "EVQLV", [0])


def test_a_head_of_other_files_than_the_pinned_ones_is_refused(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    folder = with_head("esm", checkpoints["esm"], tmp_path / "esm")
    pinned = ExtractorSpec(model=str(folder), digest="0" * 64)  # which no folder has
    with pytest.raises(CheckpointError, match="pinned to"):
        masked_log_probabilities(Extractor(pinned), "EVQLV", [0])


def test_antiberty_finds_the_conserved_cysteine_and_tryptophan() -> None:
    places = [HEAVY.index("CAAS"), HEAVY.index("WVRQ"), HEAVY.index("CSRW")]
    found = masked_log_probabilities(Extractor("antiberty"), HEAVY, places)
    assert [AMINO_ACIDS[i] for i in found.argmax(axis=1)] == ["C", "W", "C"]
