from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import EmbeddingStore, Extractor, ExtractorSpec, RuntimeSpec, SequenceError, embed, numbering
from antibody_esm.numbering import number
from antibody_esm.plm.regions import places
from chains import HEAVY, LIGHT, LINKER, LYSOZYME, NANOBODY
from effort import examples
from test_domain import PG16
from variants import variant

REGIONS = ("cdr1", "cdr2", "cdr3", "cdrs", "frameworks")


@pytest.fixture(scope="module")
def loaded(tiny: ExtractorSpec) -> Extractor:
    return Extractor(tiny)


CHAINS = [HEAVY, LIGHT, NANOBODY, "MGWS" + HEAVY + "ASTKGPSVF", LIGHT + LINKER + HEAVY]


def parts(sequence: str, region: str) -> Iterator[str]:
    several = {"cdrs": ("CDR1", "CDR2", "CDR3"), "frameworks": ("FR1", "FR2", "FR3", "FR4")}
    for domain in number([sequence])[0]:
        yield from (domain.region(name) for name in several.get(region, (region.upper(),)))  # type: ignore[arg-type]


@pytest.mark.parametrize("region", REGIONS)
def test_places_are_those_of_the_region_in_every_domain(region: str) -> None:
    found = places(CHAINS, region)  # type: ignore[arg-type]
    assert found is not None
    for sequence, one in zip(CHAINS, found, strict=True):
        assert "".join(sequence[place] for place in one) == "".join(parts(sequence, region))
    assert places(CHAINS, "all") is None


@pytest.mark.parametrize("pooling", ["mean", "max", "std"])
@pytest.mark.parametrize("region", ["all", *REGIONS])
def test_a_region_is_pooled_from_the_states_of_the_whole_sequence(loaded: Extractor, pooling: str, region: str) -> None:
    spec = loaded.spec.model_copy(update={"pooling": pooling, "region": region})
    rows = variant(loaded, spec).embed(CHAINS)
    chosen = places(CHAINS, region) or [np.arange(len(one)) for one in CHAINS]  # type: ignore[arg-type]
    reduce = {"mean": np.mean, "max": np.max, "std": np.std}[pooling]
    for row, states, one in zip(rows, variant(loaded).residues(CHAINS), chosen, strict=True):
        np.testing.assert_allclose(row, reduce(states[one], axis=0), atol=1e-5, rtol=1e-4)


@given(st.data())
@examples(12)
def test_a_pooled_region_does_not_depend_on_its_batch_its_order_or_the_workers(
    loaded: Extractor, data: st.DataObject
) -> None:
    pooling, region = data.draw(st.sampled_from(["mean", "max", "std"])), data.draw(st.sampled_from(["all", *REGIONS]))
    spec = loaded.spec.model_copy(update={"pooling": pooling, "region": region})
    near = [HEAVY[:60] + residue + HEAVY[61:] for residue in "ACDEF"]
    sequences = data.draw(st.lists(st.sampled_from([*CHAINS, *near]), min_size=1, max_size=8))
    together = variant(loaded, spec, RuntimeSpec(workers=1)).embed(sequences)
    runtime = RuntimeSpec(workers=2, batch_tokens=data.draw(st.integers(1, 2000)))
    assert np.array_equal(variant(loaded, spec, runtime).embed(sequences[::-1])[::-1], together)
    assert np.array_equal(variant(loaded, spec).embed(sequences[:1])[0], together[0])


def test_every_sequence_without_the_region_is_listed_before_any_model_runs(tiny: ExtractorSpec) -> None:
    extractor = Extractor(tiny.model_copy(update={"region": "cdr3"}))
    with pytest.raises(SequenceError, match="sequence 2 .index 1.: no cdr3 by IMGT numbering") as caught:
        extractor.embed([HEAVY, LYSOZYME, LIGHT, "A"])
    assert [row.index for row in caught.value.rows] == [1, 3]
    assert "_model" not in extractor.__dict__


def test_each_region_has_its_own_rows_in_a_store_and_another_numbering_too(
    tiny: ExtractorSpec, loaded: Extractor, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = EmbeddingStore(tmp_path_factory.mktemp("store"))
    specs = [tiny.model_copy(update={"region": region}) for region in ("all", *REGIONS)]
    for spec in specs:
        assert np.array_equal(embed(CHAINS, spec, store), variant(loaded, spec).embed(CHAINS))
    assert len(store.stats().specs) == len(specs)
    assert tiny.resolve().numbering is None
    assert store.explain(tiny, specs[3])[0] == "region all -> cdr3"
    monkeypatch.setattr(numbering, "method", lambda species, engines: "anarcism 99, 1")
    extractor = Extractor(specs[3])
    embed(CHAINS, extractor, store)
    assert extractor.computed == len(CHAINS), "rows of another numbering are not taken for these"
    assert len(store.stats().specs) == len(specs) + 1
    assert store.verify().sound


def test_programs_that_number_a_region_have_rows_of_their_own_and_the_default_keeps_its_address(
    tiny: ExtractorSpec, loaded: Extractor
) -> None:
    before = tiny.model_copy(update={"region": "cdr2"})
    auto = before.model_copy(update={"engines": "auto"})
    assert before.resolve().numbering == numbering.method(engines="anarcism")
    assert before.address != auto.address
    assert before.of_one_pass != auto.of_one_pass, "one pass has one numbering"
    one, other = (variant(loaded, spec).embed([HEAVY, PG16]) for spec in (before, auto))
    assert np.array_equal(one[0], other[0])
    assert not np.array_equal(one[1], other[1]), "ISDDGMR by anarcism alone"
