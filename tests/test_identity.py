import random
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from antibody_esm import load_dataset
from antibody_esm.data.identity import cluster, identity, nearest, similar_pairs
from antibody_esm.sequences import ALPHABET, AMINO_ACIDS
from effort import STRESS, examples

thresholds = st.floats(0.5, 1)


@st.composite
def relatives(draw: st.DrawFn) -> list[str]:
    """Sequences of a few families, each made from its first by substitutions, insertions and deletions."""
    generator = draw(st.randoms(use_true_random=False))
    found = []
    for _ in range(draw(st.integers(1, 4))):
        parent = "".join(generator.choices(ALPHABET, k=generator.randrange(1, 40)))
        for _ in range(draw(st.integers(1, 5))):
            child = list(parent)
            for _ in range(generator.randrange(6)):
                place = generator.randrange(len(child) + 1)
                child[place : place + generator.randrange(2)] = generator.choices(ALPHABET, k=generator.randrange(2))
            found.append("".join(child) or "A")
    generator.shuffle(found)
    return found


def near(one: str, other: str, threshold: float) -> bool:
    """By the definition, in whole numbers."""
    return Levenshtein.distance(one, other) <= int((1 - threshold) * min(len(one), len(other)) + 1e-9)


@given(relatives(), thresholds)
@examples(200)
def test_no_pair_at_the_threshold_is_divided_and_clusters_are_joined_by_such_pairs(
    sequences: list[str], threshold: float
) -> None:
    found = cluster(sequences, threshold)
    joined = list(range(len(sequences)))
    for i, one in enumerate(sequences):
        for j, other in enumerate(sequences[:i]):
            if near(one, other, threshold):
                assert found[i] == found[j]
                joined = [joined[j] if number == joined[i] else number for number in joined]
    assert len(set(found.tolist())) == len(set(joined))
    assert list(dict.fromkeys(found.tolist())) == list(range(len(set(joined)))), "numbered as they first occur"


@given(relatives(), relatives(), thresholds)
@examples(150)
def test_similar_pairs_are_all_pairs_at_the_threshold(one: list[str], other: list[str], threshold: float) -> None:
    found = similar_pairs(one, other, threshold)
    expected = [(i, j) for i, a in enumerate(one) for j, b in enumerate(other) if near(a, b, threshold)]
    assert list(zip(found.query.tolist(), found.target.tolist(), strict=True)) == expected
    assert np.allclose(found.identity, [identity(one[i], other[j]) for i, j in expected])


@given(relatives(), relatives())
@examples(50)
def test_the_nearest_is_the_first_of_the_most_similar(one: list[str], other: list[str]) -> None:
    found = nearest(one, other)
    for i, sequence in enumerate(one):
        values = [identity(sequence, target) for target in other]
        assert found.target[i] == values.index(max(values))
        assert found.identity[i] == pytest.approx(max(values))


def test_identity_is_by_the_shorter_and_symmetric() -> None:
    assert identity("AAAAAAAAAA", "AAAAAAAAAC") == 0.9
    assert identity("AAAAAAAAAA", "AAAAAAAAAAC") == identity("AAAAAAAAAAC", "AAAAAAAAAA") == 0.9
    assert identity("A", "CCCCCC") == 0
    assert identity("A", "A") == 1


def test_blocks_leave_no_pair_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many sequences as go into several blocks, of lengths on both sides of their edges."""
    monkeypatch.setattr("antibody_esm.data.identity._ROWS", 7)
    monkeypatch.setattr("antibody_esm.data.identity._COLUMNS", 11)
    monkeypatch.setattr("antibody_esm.data.identity._ALIGNED_AT_ONCE", 5)
    generator = random.Random(0)
    parents = ["".join(generator.choices(AMINO_ACIDS, k=length)) for length in (20, 21, 22, 30, 31)]
    sequences = [
        parent[:place] + generator.choice(AMINO_ACIDS) + parent[place:] for parent in parents for place in range(12)
    ]
    expected = [[near(a, b, 0.9) for b in sequences] for a in sequences]
    pairs = similar_pairs(sequences, sequences, 0.9)
    assert len(pairs.query) == np.sum(expected)
    assert len(set(cluster(sequences, 0.9).tolist())) == 5
    assert all(expected[i][j] for i, j in zip(pairs.query, pairs.target, strict=True))


@pytest.mark.parametrize("threshold", [0, -1, 1.01, float("nan")])
def test_a_threshold_that_is_none_is_an_error(threshold: float) -> None:
    for call in (lambda: cluster(["A", "C"], threshold), lambda: similar_pairs(["A"], ["C"], threshold)):
        with pytest.raises(ValueError, match="threshold"):
            call()


def test_nothing_has_no_clusters_and_no_pairs() -> None:
    assert cluster([], 0.9).tolist() == []
    assert similar_pairs([], ["A"]).query.tolist() == similar_pairs(["A"], []).query.tolist() == []
    assert nearest([], ["A"]).query.tolist() == []
    with pytest.raises(ValueError, match="no targets to compare with"):
        nearest(["A"], [])


def test_clusters_are_those_of_mmseqs2(mmseqs: str, published: Path, tmp_path: Path) -> None:
    """Connected components over alignments that cover both sequences.

    mmseqs2 divides edits by the length of the alignment, and this package by that of the shorter sequence. Where many
    pairs differ by just so many residues as the one allows and the other does not, clusters differ: at 0.95, of
    sequences of 119 and 120 residues, which differ in six, the adjusted Rand index is 0.87.
    """
    from sklearn.metrics import adjusted_rand_score

    # Neighbours in order are alike, so that clusters stay whole; every pair is aligned.
    sequences = sorted(set(load_dataset("boughter", labels="predecessor").sequences))[: None if STRESS else 250]
    (tmp_path / "in.fasta").write_text("".join(f">{i}\n{sequence}\n" for i, sequence in enumerate(sequences)))
    command = "easy-cluster in.fasta out tmp --cluster-mode 1 --min-seq-id 0.9 --seq-id-mode 0 -c 0.9"
    sensitive = "--alignment-mode 3 --single-step-clustering 1 -s 7.5 --max-seqs 2000 -e 10 --mask 0 --cov-mode 0 -v 1"
    subprocess.run([mmseqs, *command.split(), *sensitive.split()], check=True, capture_output=True, cwd=tmp_path)
    pairs = [line.split("\t") for line in (tmp_path / "out_cluster.tsv").read_text().splitlines()]
    theirs = {member: representative for representative, member in pairs}
    assert adjusted_rand_score([theirs[str(i)] for i in range(len(sequences))], cluster(sequences, 0.9)) >= 0.95
