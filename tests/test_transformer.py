"""`EmbeddingTransformer`: the numbers of `embed` in scikit-learn, without a language model in any clone."""

import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import estimator_checks

from antibody_esm import (
    ChainSpec,
    Dataset,
    DescriptorSpec,
    EmbeddingStore,
    EmbeddingTransformer,
    EnsembleSpec,
    Extractor,
    ExtractorSpec,
    embed,
)
from antibody_esm.errors import SequenceError
from antibody_esm.testing import tiny_checkpoint
from antibody_esm.transformer import _SOURCES
from chains import HEAVY, LIGHT, mutants

HEAVIES, LIGHTS = mutants(HEAVY, 16, 5), mutants(LIGHT, 16, 6)
PAIRS = list(zip(HEAVIES, LIGHTS, strict=True))
CLASSES = [0, 1] * 8
DESCRIPTORS = DescriptorSpec(descriptors=("length", "net_charge", "hydrophobicity"))

PARAMETER_CHECKS = (
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_mixin_order",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
)
"""Checks of scikit-learn that pass no matrix of numbers."""


@pytest.mark.parametrize("name", PARAMETER_CHECKS)
def test_checks_of_scikit_learn_that_need_no_matrix_pass(name: str) -> None:
    getattr(estimator_checks, name)("EmbeddingTransformer", EmbeddingTransformer(DESCRIPTORS))


@pytest.fixture
def shapes() -> dict[str, Any]:
    frame = pd.DataFrame({"VH": HEAVIES})
    return {
        "list": HEAVIES,
        "tuple": tuple(HEAVIES),
        "series": frame["VH"],
        "frame": frame,
        "array": np.array(HEAVIES),
        "objects": np.array(HEAVIES, object),
        "column": np.array(HEAVIES)[:, None],
        "data set": Dataset([str(row) for row in range(16)], HEAVIES),
    }


def test_every_form_of_sequences_has_the_bits_of_embed(
    shapes: dict[str, Any], tiny: ExtractorSpec, tmp_path: Path
) -> None:
    expected = embed(HEAVIES, tiny)
    transformer = EmbeddingTransformer(tiny, tmp_path / "store")
    for name, X in shapes.items():
        got = transformer.fit(X).transform(X)
        assert got.dtype == np.float32
        assert np.array_equal(got, expected), name
        assert np.array_equal(clone(transformer).fit_transform(X), expected), name
    assert EmbeddingStore(tmp_path / "store").count(tiny) == len(set(HEAVIES))


@pytest.mark.parametrize("names", [("heavy", "light"), ("light", "heavy"), ("VL", "VH"), ("first", "second")])
def test_pairs_of_a_table_are_read_by_the_names_of_the_chains(names: tuple[str, str]) -> None:
    swapped = names[0] in ("light", "VL")
    frame = pd.DataFrame(dict(zip(names, (LIGHTS, HEAVIES) if swapped else (HEAVIES, LIGHTS), strict=True)))
    expected = embed(PAIRS, DESCRIPTORS)
    transformer = EmbeddingTransformer(DESCRIPTORS)
    for X in (frame, PAIRS, np.array(PAIRS), [list(pair) for pair in PAIRS]):
        assert np.array_equal(transformer.fit(X).transform(X), expected)
        assert transformer.n_features_in_ == 2
    with pytest.raises(ValueError, match="X has 1 chains an antibody, but .* was fitted on 2"):
        transformer.transform(HEAVIES)


def test_one_model_a_chain_an_ensemble_and_a_folder_are_extractors_too(
    tiny: ExtractorSpec, checkpoints: dict[str, Path]
) -> None:
    chained = ChainSpec(heavy=tiny, light=ExtractorSpec(model=str(checkpoints["bert"])))
    ensemble = EnsembleSpec(members=(tiny, DESCRIPTORS), combine="concat")
    for spec, X in ((chained, PAIRS), (ensemble, HEAVIES), (Path(tiny.model), HEAVIES), (tiny.model, HEAVIES)):
        assert np.array_equal(EmbeddingTransformer(spec).fit_transform(X), embed(X, spec))


@given(st.permutations(range(16)), st.integers(1, 16))
def test_rows_depend_on_nothing_but_their_antibody(order: list[int], n: int) -> None:
    transformer = EmbeddingTransformer(DESCRIPTORS).fit(HEAVIES)
    before = dict(vars(transformer))
    rows = transformer.transform([HEAVIES[row] for row in order[:n]])
    assert np.array_equal(rows, transformer.transform(HEAVIES)[order[:n]])
    assert vars(transformer) == before
    assert vars(transformer.fit(HEAVIES)) == before, "a second fit changes nothing"


def test_a_grid_search_of_two_processes_computes_every_vector_once(tiny: ExtractorSpec, tmp_path: Path) -> None:
    steps = [("embed", EmbeddingTransformer(tiny, tmp_path / "store")), ("classify", LogisticRegression())]
    grid: dict[str, list[Any]] = {
        "classify__C": [0.1, 1.0],
        "embed__extractor": [tiny, tiny.model_copy(update={"pooling": "max"})],
    }
    # Processes that did something small before: joblib takes a language model for a leak of memory and replaces them.
    get_reusable_executor().shutdown(wait=True)
    assert Parallel(n_jobs=2)(delayed(abs)(number) for number in range(-4, 0)) == [4, 3, 2, 1]
    search = GridSearchCV(Pipeline(steps), grid, n_jobs=2, cv=2).fit(HEAVIES, CLASSES)
    assert not np.isnan(search.cv_results_["mean_test_score"]).any()
    store = EmbeddingStore(tmp_path / "store")
    for spec in grid["embed__extractor"]:
        assert store.count(spec) == len(set(HEAVIES))
    chosen = search.best_params_["embed__extractor"]
    by_hand = LogisticRegression(C=search.best_params_["classify__C"]).fit(embed(HEAVIES, chosen), CLASSES)
    assert np.array_equal(search.predict(HEAVIES), by_hand.predict(embed(HEAVIES, chosen)))


def test_a_search_chooses_among_fields_of_the_extractor(tmp_path: Path) -> None:
    two = ExtractorSpec(model=str(tiny_checkpoint("esm", tmp_path / "two", layers=2)))
    steps = make_pipeline(EmbeddingTransformer(two, tmp_path / "store"), LogisticRegression())
    grid = {
        "embeddingtransformer__extractor__layer": [1, 2],
        "embeddingtransformer__extractor__pooling": ["mean", "max"],
    }
    search = GridSearchCV(steps, grid, cv=2).fit(HEAVIES, CLASSES)
    chosen = two.model_copy(update={name.rpartition("__")[2]: value for name, value in search.best_params_.items()})
    assert search.best_estimator_[0].extractor == chosen
    by_hand = LogisticRegression().fit(embed(HEAVIES, chosen), CLASSES)
    assert np.array_equal(search.predict_proba(HEAVIES), by_hand.predict_proba(embed(HEAVIES, chosen)))
    assert steps[0].extractor is two, "clones do not change the original"


def test_fields_of_an_extractor_are_those_of_its_spec(tiny: ExtractorSpec) -> None:
    named = EmbeddingTransformer("antiberty").set_params(extractor__layer=4)
    assert named.extractor == ExtractorSpec(model="antiberty", revision="0.1.3", layer=4)
    chained = EmbeddingTransformer(ChainSpec(heavy=tiny, light=tiny)).set_params(extractor__pooling="max")
    assert [model.pooling for model in chained.extractor.models] == ["max", "max"]
    both = EmbeddingTransformer().set_params(extractor=tiny, extractor__pooling="std")
    assert both.extractor == tiny.model_copy(update={"pooling": "std"})
    for wrong in ({"extractor__layr": 4}, {"extractor__pooling": "nothing"}, {"extracter": tiny}):
        with pytest.raises(ValueError, match="layr|nothing|extracter"):
            EmbeddingTransformer(tiny).set_params(**wrong)


def test_clones_and_pickles_hold_parameters_alone(tiny: ExtractorSpec, tmp_path: Path) -> None:
    transformer = EmbeddingTransformer(tiny, tmp_path / "store").fit(HEAVIES)
    transformer.transform(HEAVIES)
    assert len(_SOURCES._loaded) > 0, "the process holds the model"
    copy = clone(transformer)
    assert vars(copy).keys() == {"extractor", "store", "runtime"}
    assert copy.extractor is transformer.extractor
    dumped = pickle.dumps(make_pipeline(transformer, LogisticRegression()))
    assert len(dumped) < 4_000
    joblib.dump(transformer, tmp_path / "file")
    unpickled = pickle.loads(dumped)[0]  # noqa: S301  bytes of this test
    for again in (unpickled, joblib.load(tmp_path / "file")):
        assert set(vars(again)) <= {
            *("extractor", "store", "runtime", "n_features_in_", "_n_features_out", "_sklearn_output_config"),
        }
        assert np.array_equal(again.transform(HEAVIES), embed(HEAVIES, tiny))
    EmbeddingTransformer.release()
    assert len(_SOURCES._loaded) == 0
    with pytest.raises(TypeError, match="not a Extractor: clones hold no language model"):
        EmbeddingTransformer(Extractor(tiny)).fit(HEAVIES)  # type: ignore[arg-type]  # a mistake


def test_a_process_keeps_two_models_and_sees_a_changed_file(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    for family in ("esm", "bert", "roformer"):
        EmbeddingTransformer(checkpoints[family]).fit_transform(HEAVIES[:2])
    assert len(_SOURCES._loaded) == 2
    from antibody_esm.testing import tiny_checkpoint

    folder = tmp_path / "model"
    tiny_checkpoint("esm", folder, seed=1)
    before = EmbeddingTransformer(folder).fit_transform(HEAVIES[:2])
    other = tiny_checkpoint("esm", tmp_path / "other", seed=2)
    (other / "model.safetensors").replace(folder / "model.safetensors")
    after = EmbeddingTransformer(folder).fit_transform(HEAVIES[:2])
    assert not np.array_equal(before, after)
    assert np.array_equal(after, embed(HEAVIES[:2], folder))


@pytest.mark.parametrize("names", [("a", "b"), ("heavy", "light"), ("light", "heavy")])
def test_columns_are_those_of_fit_in_any_order_and_no_others(names: tuple[str, str]) -> None:
    frame = pd.DataFrame(PAIRS, columns=names)
    transformer = EmbeddingTransformer(DESCRIPTORS).fit(frame)
    assert np.array_equal(transformer.transform(frame), transformer.transform(frame[[*reversed(names)]]))
    with pytest.raises(ValueError, match=f"was fitted on the columns {', '.join(names)}, got {names[0]}, x"):
        transformer.transform(frame.rename(columns={names[1]: "x"}))
    single = EmbeddingTransformer(DESCRIPTORS).fit(frame[[names[0]]])
    with pytest.raises(ValueError, match=f"was fitted on the columns {names[0]}, got {names[1]}"):
        single.transform(frame[[names[1]]])


@pytest.mark.parametrize("light", [None, LIGHTS])
def test_rows_of_a_data_set_are_antibodies(light: list[str] | None) -> None:
    chain: Any = "heavy" if light is None else "paired"
    data = Dataset([str(row) for row in range(16)], HEAVIES, light, CLASSES, chain=chain)
    model = make_pipeline(EmbeddingTransformer(DESCRIPTORS), LogisticRegression())
    plain = HEAVIES if light is None else PAIRS
    scores = cross_val_score(model, data, CLASSES, cv=2)
    assert np.array_equal(scores, cross_val_score(model, plain, CLASSES, cv=2))
    for X in (data, list(data), plain):
        transformer = EmbeddingTransformer(DESCRIPTORS).fit(X)
        assert transformer.n_features_in_ == (1 if light is None else 2)
        for other in (data, list(data), plain):
            assert np.array_equal(transformer.transform(other), embed(plain, DESCRIPTORS))


def test_names_of_features_are_those_of_the_extractor() -> None:
    transformer = EmbeddingTransformer(DESCRIPTORS).fit(HEAVIES)
    transformer.set_params(extractor=DescriptorSpec(descriptors=("length",)))
    with pytest.raises(NotFittedError):
        transformer.get_feature_names_out()
    assert transformer.transform(HEAVIES).shape == (16, 1)
    assert transformer.fit(HEAVIES).get_feature_names_out().tolist() == ["embeddingtransformer0"]
    assert len(transformer.set_params(store=None).get_feature_names_out()) == 1


def test_features_have_names_and_tables_keep_them() -> None:
    frame = pd.DataFrame({"VH": HEAVIES, "pH": np.linspace(5, 8, 16)})
    transformer = EmbeddingTransformer(DESCRIPTORS)
    with pytest.raises(NotFittedError):
        transformer.get_feature_names_out()
    names = transformer.fit(frame[["VH"]]).get_feature_names_out()
    assert names.tolist() == ["embeddingtransformer0", "embeddingtransformer1", "embeddingtransformer2"]
    assert transformer.feature_names_in_.tolist() == ["VH"]
    as_table = transformer.set_output(transform="pandas").transform(frame[["VH"]])
    assert as_table.columns.tolist() == names.tolist()
    both = make_column_transformer((EmbeddingTransformer(DESCRIPTORS), "VH"), ("passthrough", ["pH"]))
    assert both.fit_transform(frame).shape == (16, 4)
    assert both.get_feature_names_out()[-1] == "passthrough__pH"
    assert not np.isnan(cross_val_score(make_pipeline(both, LogisticRegression()), frame, CLASSES, cv=2)).any()


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ([], ValueError, "0 antibodies"),
        ("EVQLV", ValueError, "write \\[sequence\\]"),
        (None, ValueError, "a list of sequences is needed"),
        (np.ones((3, 4)), ValueError, "2 of heavy and light chains are needed, got 4"),
        (np.ones(3), SequenceError, "1.0.? is not a sequence"),
        (["EV-L"], SequenceError, "position 3: '-'"),
        ([None], SequenceError, "no sequence"),
        (pd.DataFrame({"a": ["EVQ"], "b": ["DIQ"], "c": [1]}), ValueError, "got a, b, c"),
    ],
)
def test_what_is_no_antibody_is_refused_in_a_sentence(X: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        EmbeddingTransformer(DESCRIPTORS).fit(X)
