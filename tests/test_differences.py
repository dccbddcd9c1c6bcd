from pathlib import Path

import pytest
from hypothesis import assume, given

import strategies
from antibody_esm import EmbeddingStore, ExtractorSpec
from antibody_esm.specs import ResolvedExtractorSpec
from antibody_esm.store.inspection import differences
from antibody_esm.testing import tiny_checkpoint

SPEC = ExtractorSpec(model="any", digest="0" * 64, layer=6)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"digest": "1" * 64}, ["model bytes changed"]),
        ({"model": "another"}, []),
        ({"digest": "1" * 64, "model": "another"}, ["model any -> another"]),
        ({"digest": "1" * 64, "revision": "v2"}, ["model any -> any@v2"]),
        ({"pooling": "max"}, ["pooling mean -> max"]),
        ({"layer": 3, "special_tokens": "include"}, ["layer 6 -> 3", "special_tokens exclude -> include"]),
        ({"precision": "float16", "storage": "int8"}, ["precision float32 -> float16", "storage float32 -> int8"]),
        ({"max_length": 9}, []),
        ({"max_length": 9, "truncation": True}, ["truncate_to None -> 9"]),
    ],
)
def test_each_field_that_differs_is_named(changes: dict[str, object], said: list[str]) -> None:
    assert EmbeddingStore("nowhere").explain(SPEC, SPEC.model_copy(update=changes)) == said


@given(strategies.resolved_extractors, strategies.resolved_extractors)
def test_there_is_a_difference_exactly_where_addresses_differ(
    one: ResolvedExtractorSpec, other: ResolvedExtractorSpec
) -> None:
    assert (differences(one, other) == []) == (one.fingerprint == other.fingerprint)
    assume(one != other)
    differing = [name for name in type(one).model_fields if getattr(one, name) != getattr(other, name)]
    if (one.random_weights is None) != (other.random_weights is None):
        differing = [name for name in differing if name != "digest"]  # that of random weights is of other files
    assert len(differences(one, other)) == len(differing)


def test_bytes_that_changed_under_one_name_are_said(tmp_path: Path) -> None:
    folder = tiny_checkpoint("esm", tmp_path / "model", seed=0)
    before = ExtractorSpec(model=str(folder)).pin()
    tiny_checkpoint("esm", folder, seed=1)
    assert differences(before, ExtractorSpec(model=str(folder), pooling="max")) == [
        "model bytes changed",
        "pooling mean -> max",
    ]
