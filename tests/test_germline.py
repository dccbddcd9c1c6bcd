"""Germline residues at the positions of an antibody."""

import json
from pathlib import Path

import pytest

from antibody_esm.explain.germline import germline_residues
from antibody_esm.numbering import number
from antibody_esm.numbering.germline import GAP, gene, germline_of
from chains import HEAVY, LIGHT, NANOBODY


def test_germline_genes_are_those_that_anarcism_carries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "benchmarks")
    import copy_germline_genes

    table = json.loads(copy_germline_genes.TABLE.read_text())
    assert table == copy_germline_genes.genes(), "python benchmarks/copy_germline_genes.py makes it anew"


def test_every_gene_has_one_sequence() -> None:
    table = json.loads((Path(__file__).parent.parent / "antibody_esm/numbering/germline_genes.json").read_text())
    for species, genes in table.items():
        names = [name for joined in genes.values() for name in joined.split()]
        assert len(names) == len(set(names)), species
        assert all(len(residues) <= 128 for residues in genes)


@pytest.mark.parametrize("chain", [HEAVY, LIGHT, NANOBODY])
def test_the_share_of_germline_residues_is_the_identity_that_anarcism_gives(chain: str) -> None:
    (domain,) = number([chain])[0]
    begin, _ = domain.span("CDR3")
    germline = germline_of(domain)
    same = [own == residue for own, residue in zip(germline[:begin], domain.residues[:begin], strict=True)]
    assert domain.v_identity == pytest.approx(sum(same) / len(same), abs=0.02)  # which also counts CDR3's beginning


def test_germline_residues_are_those_that_explanations_infer_from_identities() -> None:
    places = [24, 27, 28, 29, 50]
    (domain,) = number([HEAVY])[0]
    germline = germline_of(domain)
    assert {place: germline[place] for place in places} == germline_residues(HEAVY, places)


def test_only_the_ends_of_cdr3_have_a_germline_and_only_as_far_as_they_agree() -> None:
    (domain,) = number([HEAVY])[0]
    begin, end = domain.span("CDR3")
    assert domain.cdr3 == "SRWGGDGFYAMDY"
    own = germline_of(domain)[begin:end]  # IGHV3-66 goes on with AR, IGHJ4 ends in YFDY
    assert [residue or "." for residue in own] == list("..........." + "DY")


def test_insertions_have_a_gap_and_unknown_genes_and_residues_none() -> None:
    (domain,) = number([HEAVY.replace("IYPTNGYT", "IYPTNGSGGSNGYT").replace("SCAAS", "SCXAS")])[0]
    germline = germline_of(domain)
    assert {germline[i] for i, position in enumerate(domain.positions) if not position.isdecimal()} <= {GAP, None}
    assert GAP in germline
    assert germline[domain.residues.index("X")] is None
    assert gene("human", None) is gene("martian", "IGHV1-8*01") is None
    assert gene("human", "IGHJ4*01") is not None
