"""Each chain of an antibody is read by the language model of its kind, and never by the other one."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from antibody_esm import (
    Benchmark,
    ChainSpec,
    CheckpointError,
    Dataset,
    DatasetError,
    DescriptorSpec,
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
    embed_stream,
    embed_views,
    load_dataset,
    mutational_scan,
    residue_contributions,
)
from antibody_esm.cli import app
from antibody_esm.features.chains import ChainExtractor
from antibody_esm.licences import WEIGHTS
from antibody_esm.plm.masked import masked_log_probabilities
from antibody_esm.reports.reproduction import overrides, python
from antibody_esm.sequences import AMINO_ACIDS
from antibody_esm.specs.ensembles import language_models, models_of
from antibody_esm.specs.language_models import LANGUAGE_MODELS, OF_ONE_CHAIN
from antibody_esm.store.inspection import stored
from antibody_esm.testing import tiny_checkpoint
from antibody_esm.untrained import untrained
from chains import HEAVY, LIGHT, NANOBODY, mutants

SAPIENS = ChainSpec(heavy="sapiens_vh", light="sapiens_vl")
RABBIT = (
    "QSVEESGGRLVTPGTPLTLTCTVSGFSLSSYAMGWVRQAPGKGLEYIGIINTGGSAYYASWAKGRFTISKTSTTVDLKITSPTTEDTATYFC"
    "ARGGYDDYGDYVYFNLWGPGTLVTVSS"
)
FOLDS = SplitSpec(folds=3)
RUNTIME = RuntimeSpec(workers=1)


@pytest.fixture(scope="module")
def rows() -> dict[str, np.ndarray]:
    """The vector of each chain by its own model."""
    named = {HEAVY: "sapiens_vh", NANOBODY: "sapiens_vh", LIGHT: "sapiens_vl"}
    return {chain: embed([chain], name)[0] for chain, name in named.items()}


@pytest.fixture
def wide(tmp_path: Path) -> ExtractorSpec:
    """A model whose vectors have another length than those of Sapiens."""
    return ExtractorSpec(model=str(tiny_checkpoint("esm", tmp_path / "wide", layers=1, dim=16)))


HEAVIES, LIGHTS = mutants(HEAVY, 40, 3), mutants(LIGHT, 40, 4)


def antibodies(n: int = 24) -> Dataset:
    heavy, light = HEAVIES[:n], LIGHTS[:n]
    label = [int(sequence.count("R") > HEAVY.count("R")) for sequence in heavy]
    assert 3 < sum(label) < n - 3
    return Dataset([f"a{i}" for i in range(n)], heavy, light, np.array(label), chain="paired")


def of_chain(data: Dataset, chain: str) -> Dataset:
    light = data.light if chain == "light" else None
    return Dataset(data.ids, data.heavy if chain == "heavy" else None, light, data.label, chain=chain)  # type: ignore[arg-type]


# --- which model reads ----------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from([HEAVY, LIGHT, NANOBODY]), max_size=6))
def test_each_chain_of_a_list_has_the_vector_of_its_own_model(rows: dict[str, np.ndarray], chains: list[str]) -> None:
    vectors = embed(chains, "sapiens")
    assert np.array_equal(vectors, np.array([rows[chain] for chain in chains], np.float32).reshape(-1, 128))


def test_pairs_have_the_vectors_of_both_models_side_by_side_heavy_first(rows: dict[str, np.ndarray]) -> None:
    both = np.hstack([rows[HEAVY], rows[LIGHT]])
    assert np.array_equal(embed([(HEAVY, LIGHT), f"{HEAVY}|{LIGHT}"], SAPIENS), [both, both])
    assert np.array_equal(ChainExtractor("sapiens", RUNTIME).embed([(HEAVY, LIGHT)]), [both])
    assert np.array_equal(ChainExtractor("sapiens", RUNTIME).embed([LIGHT, HEAVY]), [rows[LIGHT], rows[HEAVY]])


def test_a_rabbit_whom_human_profiles_may_not_know_is_read_by_the_heavy_model() -> None:
    assert np.array_equal(embed([RABBIT], SAPIENS), embed([RABBIT], "sapiens_vh"))


REFUSED: dict[str, tuple[object, list[int], str]] = {
    "an scFv": ([HEAVY, HEAVY + "GGGGS" * 3 + LIGHT], [1], "a heavy and a light variable domain in one sequence"),
    "joined loops": (["GFTFSSYAISGSGGSTAKDRGGYYFDY", LIGHT], [0], "no antibody variable domain is recognised"),
    "an enzyme": ([LIGHT, HEAVY, "MKTAYIAKQRQISFVKSHFSRQ" * 4], [2], "no antibody variable domain is recognised"),
    "swapped pairs": ([(HEAVY, LIGHT), (LIGHT, HEAVY)], [1, 1], "chain is read; a pair is"),
    "a single chain among pairs": ([(HEAVY, LIGHT), LIGHT], [1], "a single chain among pairs"),
    "too long, in both": ([(HEAVY + "S" * 40, LIGHT), (HEAVY, LIGHT + "S" * 40)], [0, 1], "at most 142 are allowed"),
    "too long, alone": ([LIGHT, LIGHT + "S" * 40, HEAVY + "S" * 40], [1, 2], "at most 126 are allowed"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_model_reads_is_refused_by_row_before_any_model_runs(name: str, tmp_path: Path) -> None:
    sequences, indices, reason = REFUSED[name]
    assert isinstance(sequences, list)
    with pytest.raises(SequenceError, match=reason) as error:
        embed(sequences, SAPIENS, tmp_path)
    assert [row.index for row in error.value.rows] == indices
    assert not list(tmp_path.iterdir()), "nothing was computed"
    with pytest.raises(SequenceError, match=reason) as error:
        list(embed_stream(iter(sequences), SAPIENS, tmp_path, at_once=1))
    assert error.value.index == indices[0]


def test_a_list_of_both_chains_needs_vectors_of_one_length(wide: ExtractorSpec, tmp_path: Path) -> None:
    spec = ChainSpec(heavy=wide, light="sapiens_vl")
    assert embed([(HEAVY, LIGHT)], spec, tmp_path).shape == (1, 144)
    assert (embed([HEAVY], spec, tmp_path).shape, embed([LIGHT], spec, tmp_path).shape) == ((1, 16), (1, 128))
    for sequences in ([HEAVY, LIGHT], [LIGHT, NANOBODY]):
        with pytest.raises(CheckpointError, match="vectors of one length; these have 16 and 128"):
            embed(sequences, spec, tmp_path)
    with pytest.raises(CheckpointError, match="vectors of one length"):
        list(embed_stream(iter([HEAVY, LIGHT]), spec, tmp_path, at_once=1))


def test_names_of_models_are_presets_and_others_are_an_error_that_lists_them() -> None:
    assert ChainSpec(heavy="antiberty", light=ExtractorSpec(model="m")).heavy.model == "antiberty"
    for name in ("sapiens", "descriptors", "sapiens_v"):
        with pytest.raises(ValueError, match=rf"unknown language model '{name}'; choose one of esm1v, .*sapiens_vl"):
            ChainSpec(heavy=name, light="sapiens_vl")


def test_names_of_ablang2_read_chains_apart_and_an_explicit_joined_spec_is_refused() -> None:
    spec = ChainSpec(heavy="ablang2", light="ablang2_vl")
    assert [model.pairs for model in spec.models] == ["apart", "apart"]
    assert [model.model for model in spec.models] == ["ablang2", "ablang2_vl"]
    assert TrainSpec.compose(overrides(TrainSpec(extractor=spec)) or ["none"]).extractor == spec
    with pytest.raises(ValueError, match="pairs='joined' reads both chains with one language model"):
        ChainSpec(heavy=LANGUAGE_MODELS["ablang2"], light="ablang2_vl")


@pytest.mark.parametrize("chain", ["heavy", "light", "paired"])
def test_a_report_on_a_model_of_the_other_chain_says_so(chain: str, tmp_path: Path) -> None:
    data = antibodies() if chain == "paired" else of_chain(antibodies(), chain)
    specs = {
        "sapiens_vh": {"heavy": "", "light": "sapiens_vh", "paired": "sapiens_vh"},
        "sapiens_vl": {"heavy": "sapiens_vl", "light": "", "paired": "sapiens_vl"},
        "sapiens": {},
        "antiberty": {},
    }
    for name, noted in specs.items():
        report = Trainer(name, "logreg", FOLDS, store=tmp_path, runtime=RUNTIME).cross_validate(data, check=False)
        notes = [note for note in report.warnings if "reads a single chain as a" in note]
        model = noted.get(chain, "")
        assert [note.split()[0] for note in notes] == [model] * bool(model)
        assert all(note in " ".join(str(report).split()) for note in notes)
    crossed = ChainSpec(heavy="sapiens_vl", light="sapiens_vh")
    report = Trainer(crossed, "logreg", FOLDS, store=tmp_path, runtime=RUNTIME).cross_validate(data, check=False)
    [note] = [note for note in report.warnings if "reads a single chain as a" in note]
    assert ("sapiens_vl reads a single chain as a light chain, and reads heavy" in note) == (chain != "light")
    assert ("sapiens_vh reads a single chain as a heavy chain, and reads light" in note) == (chain != "heavy")


def test_models_of_one_chain_are_named_models() -> None:
    assert set(OF_ONE_CHAIN) <= {spec.model for spec in LANGUAGE_MODELS.values()}


# --- the store ------------------------------------------------------------------------------------------------------


def test_rows_are_those_of_the_single_models_and_computed_once(tmp_path: Path) -> None:
    embed([HEAVY], "sapiens_vh", tmp_path)
    embed([LIGHT], "sapiens_vl", tmp_path)
    both = ChainExtractor(SAPIENS, RUNTIME)
    embed([(HEAVY, LIGHT)], both, tmp_path)
    embed([LIGHT, HEAVY], both, tmp_path)
    assert both.computed == 0
    embed([(NANOBODY, LIGHT)], both, tmp_path)
    assert both.computed == 1
    alone = Extractor("sapiens_vh", RUNTIME)
    embed([NANOBODY], alone, tmp_path)
    assert alone.computed == 0
    assert both.needed([(HEAVY, LIGHT), (NANOBODY, LIGHT)]) == 3
    assert len(stored(tmp_path)) == 2


def test_views_of_both_models_come_from_one_pass_of_each(tmp_path: Path) -> None:
    views = SAPIENS.views([2, 4], ["mean", "max"])
    every = embed_views([(HEAVY, LIGHT)], views, tmp_path, RUNTIME)
    for view, found in zip(views, every, strict=True):
        heavy, light = (embed([chain], model) for chain, model in zip((HEAVY, LIGHT), view.models, strict=True))
        assert np.array_equal(found, np.hstack([heavy, light]))
    ensemble = EnsembleSpec(members=(*views[:2], DescriptorSpec()), combine="concat")
    assert embed([(HEAVY, LIGHT)], ensemble, tmp_path).shape[1] > 512


# --- pipelines ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chain", ["heavy", "light"])
def test_a_training_set_of_single_chains_is_read_by_the_model_of_its_chain(chain: str, tmp_path: Path) -> None:
    data = of_chain(antibodies(), chain)
    one = Trainer(f"sapiens_v{chain[0]}", "logreg", FOLDS, store=tmp_path / "store", runtime=RUNTIME)
    both = Trainer("sapiens", "logreg", FOLDS, store=tmp_path / "store", runtime=RUNTIME)
    expected, report = one.cross_validate(data, check=False), both.cross_validate(data, check=False)
    assert report.to_dict()["fingerprints"] == expected.to_dict()["fingerprints"]
    assert report.title == expected.title
    assert both.source.computed == 0
    predictor = both.fit(data, check=False)
    assert predictor.digest == one.fit(data, check=False).digest
    loaded = Predictor.load(predictor.save(tmp_path / "model"), store=tmp_path / "store")
    assert np.array_equal(loaded.predict_proba(data), predictor.predict_proba(data))
    manifest = json.loads((tmp_path / "model" / "manifest.json").read_text())
    assert manifest["licences"].keys() == {f"sapiens_v{chain[0]}"}


def test_loops_of_light_chains_are_read_by_the_light_model_in_every_list(tmp_path: Path) -> None:
    jain = load_dataset("jain", chain="light", fragment="L-CDRs").subset(range(40))
    predictor = Trainer("sapiens", "ridge", FOLDS, store=tmp_path, runtime=RUNTIME).fit(jain, uncertainty=False)
    assert predictor.spec.extractor.model == "sapiens_vl"  # type: ignore[union-attr]
    whole = load_dataset("jain", chain="light").subset(range(4))
    expected = predictor.predict(jain)[:4]
    assert np.array_equal(predictor.predict(jain.sequences[:4]), expected)
    assert np.array_equal(predictor.predict(whole.sequences), expected)
    with pytest.raises(DatasetError, match="a heavy chain, where the light chain is read"):
        predictor.predict([HEAVY])


def test_joined_chains_are_refused_with_the_reason() -> None:
    data = antibodies(12)
    joined = Dataset(data.ids, data.heavy, data.light, data.label, chain="both")
    for verb in (Trainer("sapiens").fit, Trainer("sapiens").cross_validate):
        with pytest.raises(DatasetError, match=r"does not read joined chains .*use chain='paired'"):
            verb(joined)


def test_a_model_of_pairs_explains_each_chain_by_its_own_model(tmp_path: Path) -> None:
    data = antibodies()
    trainer = Trainer(SAPIENS, "logreg", FOLDS, store=tmp_path, runtime=RUNTIME)
    report = trainer.cross_validate(data, check=False)
    assert "random_weights" in report.baselines.found
    predictor = Predictor.load(trainer.fit(data, check=False, scores=False).save(tmp_path / "model"), store=tmp_path)
    pair = (HEAVIES[0], LIGHTS[0])
    exact = residue_contributions(predictor, pair, method="exact")
    assert exact.intercept is not None
    assert exact.intercept + exact.contributions.sum() == pytest.approx(exact.score, abs=1e-6)
    scan = mutational_scan(predictor, pair, "H:3,L:5")
    logs = {
        chain: masked_log_probabilities(Extractor(f"sapiens_v{chain.lower()}"), sequence, [place])[0]
        for chain, sequence, place in (("H", pair[0], 2), ("L", pair[1], 4))
    }
    for row in scan.table.to_dict("records"):
        expected = logs[row["chain"]][AMINO_ACIDS.index(row["mutant"])]
        expected -= logs[row["chain"]][AMINO_ACIDS.index(row["wild_type"])]
        assert row["plausibility"] == pytest.approx(expected, abs=1e-9)
    again = predictor.evaluate(data)
    assert "random_weights" in again.baselines.found, "a loaded model has the baseline too"


def test_random_weights_of_both_chains_have_seeds_of_their_own() -> None:
    twin = untrained(SAPIENS)
    assert isinstance(twin, ChainSpec)
    assert [model.random_weights for model in twin.models] == [0, 3]
    same = untrained(ChainSpec(heavy="antiberty", light="antiberty"), 1)
    assert isinstance(same, ChainSpec)
    assert [model.random_weights for model in same.models] == [1, 1], "one model is one random model"


def test_the_layer_of_both_models_is_tuned_together(tmp_path: Path) -> None:
    data = antibodies(30)
    for set_ in (data, of_chain(data, "light")):
        trainer = Trainer(SAPIENS, split=FOLDS, tune={"extractor.layer": (1, 4)}, store=tmp_path, runtime=RUNTIME)
        predictor = trainer.fit(set_, check=False, uncertainty=False)
        layers = {model.layer for model in language_models(predictor.spec.extractor)}
        assert len(layers) == 1
        assert layers <= {1, 4}


def test_an_ensemble_with_two_equal_members_for_a_chain_is_refused_for_that_chain_alone(tmp_path: Path) -> None:
    spec = EnsembleSpec(members=(SAPIENS, ExtractorSpec(model="sapiens_vh", revision="1.0.2")), combine="concat")
    data = antibodies(12)
    assert Trainer(spec, store=tmp_path).embed(data, check=False).shape == (12, 512)
    with pytest.raises(DatasetError, match="two members of the ensemble are the same model for heavy chains"):
        Trainer(spec, store=tmp_path).embed(of_chain(data, "heavy"), check=False)


def test_a_mean_of_two_pairs_of_models_needs_equal_lengths(wide: ExtractorSpec, tmp_path: Path) -> None:
    other = ChainSpec(heavy="sapiens_vl", light="sapiens_vh")
    mean = embed([(HEAVY, LIGHT)], EnsembleSpec(members=(SAPIENS, other)), tmp_path)
    each = [embed([(HEAVY, LIGHT)], spec, tmp_path) for spec in (SAPIENS, other)]
    np.testing.assert_allclose(mean, np.mean(each, axis=0), atol=1e-6)
    uneven = EnsembleSpec(members=(SAPIENS, ChainSpec(heavy=wide, light="sapiens_vl")))
    with pytest.raises(CheckpointError, match="vectors of one length"):
        embed([(HEAVY, LIGHT)], uneven, tmp_path)


def test_a_benchmark_runs_a_pipeline_once_that_two_names_stand_for(tmp_path: Path) -> None:
    data = of_chain(antibodies(), "heavy")
    grid = Benchmark(["sapiens", "sapiens_vh"], ["logreg"], data, split=FOLDS, store=tmp_path, check=False)
    grid.random_seeds = 0
    assert [report.title for report in grid.run().reports] == ["Cross-validation of sapiens_vh + logreg"]


# --- commands, reproduction and licences ----------------------------------------------------------------------------

COMPOSED = {
    "model=sapiens": SAPIENS,
    "extractor=sapiens": SAPIENS,
    "model=sapiens extractor.heavy.layer=2": SAPIENS.model_copy(
        update={"heavy": SAPIENS.heavy.model_copy(update={"layer": 2})}
    ),
    "model=sapiens extractor.light=antiberty extractor.light.layer=3": ChainSpec(
        heavy="sapiens_vh", light=ExtractorSpec(model="antiberty", revision="0.1.3", layer=3)
    ),
    "model=sapiens extractor.light.model=a/b extractor.light.pooling=max": ChainSpec(
        heavy="sapiens_vh", light=ExtractorSpec(model="a/b", pooling="max")
    ),
}


@pytest.mark.parametrize("words", COMPOSED)
def test_overrides_name_the_model_of_a_chain_and_its_fields(words: str) -> None:
    spec = TrainSpec.compose(words.split())
    assert spec.extractor == COMPOSED[words]
    again = overrides(spec)
    assert again is not None
    assert TrainSpec.compose(again) == spec


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("extractor.layer=2", "choose one of extractor.heavy, extractor.light; did you mean extractor"),
        ("extractor.heavy.layr=2", "did you mean extractor.heavy.layer"),
        ("extractor.heavy=nobody", "unknown language model 'nobody'"),
        ("extractor.heavy.pairs=joined", "a ChainSpec has one for each"),
    ],
)
def test_overrides_of_a_chain_that_are_not_understood_name_the_choices(words: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainSpec.compose(["model=sapiens", words])


def test_licences_and_lines_that_reproduce_name_both_models(tmp_path: Path) -> None:
    assert models_of(SAPIENS) == ("sapiens_vh", "sapiens_vl")
    assert set(models_of(EnsembleSpec(members=(SAPIENS, DescriptorSpec()), combine="concat"))) <= WEIGHTS.keys()
    report = Trainer(SAPIENS, split=FOLDS, store=tmp_path, runtime=RUNTIME, random_seeds=0).cross_validate(
        antibodies(), check=False
    )
    assert report.title == "Cross-validation of sapiens_vh (heavy), sapiens_vl (light) + logreg"
    assert "from antibody_esm import ChainSpec, ExtractorSpec, SplitSpec" in python(report)


def test_the_command_embeds_a_table_of_both_chains_by_their_models(rows: dict[str, np.ndarray], tmp_path: Path) -> None:
    pd.DataFrame({"id": ["l", "h"], "sequence": [LIGHT, HEAVY]}).to_csv(tmp_path / "a.csv", index=False)
    done = CliRunner().invoke(
        app.app,
        [
            "embed",
            str(tmp_path / "a.csv"),
            "--language-model",
            "sapiens",
            "-o",
            str(tmp_path / "a.npz"),
            "-s",
            str(tmp_path),
        ],
    )
    assert done.exit_code == 0, done.output
    with np.load(tmp_path / "a.npz") as arrays:
        assert np.array_equal(arrays["last_mean"], [rows[LIGHT], rows[HEAVY]])
    pd.DataFrame({"id": ["x", "h"], "sequence": ["GFTFSSYAISGSG", HEAVY]}).to_csv(tmp_path / "b.csv", index=False)
    done = CliRunner().invoke(
        app.app,
        [
            "embed",
            str(tmp_path / "b.csv"),
            "--language-model",
            "sapiens",
            "-o",
            str(tmp_path / "b.npz"),
            "-s",
            str(tmp_path),
        ],
    )
    assert done.exit_code == 1
    assert "line 2" in done.stderr
    assert not (tmp_path / "b.npz").exists()


def test_a_file_of_pairs_is_measured_by_chains(tmp_path: Path) -> None:
    fasta = tmp_path / "pairs.fasta"
    fasta.write_text(f">a\n{HEAVY}|{LIGHT}\n")
    for model, dim in (("sapiens", 256), ("sapiens_vl", 256)):
        (block,) = embed_stream(fasta, model, tmp_path / "store")
        assert block.vectors.shape == (1, dim)
    fasta.write_text(f">a\n{HEAVY}|{LIGHT}\n>b\n{HEAVY}{'S' * 30}|{LIGHT}{'S' * 30}\n")
    for model in ("sapiens", "sapiens_vl"):
        with pytest.raises(SequenceError, match=r"residues, at most 126 are allowed in the light chain") as error:
            embed_stream(fasta, model, tmp_path / "store")
        assert [row.index for row in error.value.rows] == [1, 1]
