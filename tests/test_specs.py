import json
import os
import subprocess
import sys

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

import antibody_esm.specs
import strategies
from antibody_esm import (
    AverageRegressorSpec,
    AverageSpec,
    ChainSpec,
    ColumnSpec,
    DecisionSpec,
    ElasticNetSpec,
    EnsembleSpec,
    ExtractorSpec,
    FineTuneSpec,
    GaussianProcessRegressorSpec,
    GaussianProcessSpec,
    KNeighborsSpec,
    LinearSVMSpec,
    LogisticRegressionSpec,
    RandomForestSpec,
    RidgeSpec,
    RuntimeSpec,
    SplitSpec,
    SVRSpec,
    TrainSpec,
    TuneSpec,
    XGBoostRegressorSpec,
    XGBoostSpec,
)
from antibody_esm.specs import (
    DescriptorSpec,
    EstimatorSpec,
    PluginClassifierSpec,
    PluginExtractorSpec,
    PluginRegressorSpec,
    ResolvedExtractorSpec,
    Spec,
)
from effort import examples


def test_the_strategies_cover_every_spec_and_every_field() -> None:
    defined = {
        name for name, one in vars(antibody_esm.specs).items() if isinstance(one, type) and issubclass(one, Spec)
    } - {"Spec"}
    assert strategies.by_type.keys() == defined


@pytest.mark.parametrize("name", strategies.by_type)
@given(data=st.data())
@examples(60)
def test_every_field_changes_the_fingerprint(name: str, data: st.DataObject) -> None:
    one = data.draw(strategies.by_type[name])
    # Many at once: of two, a field with two values is alike too often.
    others = data.draw(st.lists(strategies.by_type[name], min_size=12, max_size=12))
    for field in sorted(type(one).model_fields.keys() - {"format", "kind"}):
        other = next((other for other in others if getattr(other, field) != getattr(one, field)), None)
        assume(other is not None)
        changed = one.model_copy(update={field: getattr(other, field)})
        assert changed.fingerprint != one.fingerprint, field


@given(strategies.specs, strategies.specs)
def test_specs_have_one_fingerprint_exactly_if_they_are_equal(one: Spec, other: Spec) -> None:
    assert (one.fingerprint == other.fingerprint) == (one == other)


def test_a_thousand_specs_have_a_thousand_fingerprints() -> None:
    specs = {
        XGBoostSpec(n_estimators=n, max_depth=depth, random_state=seed)
        for n in range(1, 11)
        for depth in range(1, 11)
        for seed in range(10)
    }
    assert len({spec.fingerprint for spec in specs}) == len(specs) == 1000


@given(strategies.specs)
def test_a_spec_can_be_written_down(spec: Spec) -> None:
    written = eval(repr(spec), vars(antibody_esm.specs).copy())  # noqa: S307
    assert written == spec
    assert written.fingerprint == spec.fingerprint
    assert str(spec) == repr(spec)


@given(strategies.specs)
def test_a_spec_survives_json(spec: Spec) -> None:
    assert type(spec).model_validate_json(spec.model_dump_json()).fingerprint == spec.fingerprint


@given(strategies.specs)
def test_canonical_json_is_ascii_sorted_and_dense(spec: Spec) -> None:
    text = spec.canonical_json
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    assert text.isascii()


@given(strategies.runtimes)
def test_runtime_has_no_fingerprint_and_no_spec_has_a_field_for_it(runtime: RuntimeSpec) -> None:
    assert not hasattr(runtime, "fingerprint")
    assert not isinstance(runtime, Spec)
    for spec in {type(spec) for spec, _ in GOLDEN_FINGERPRINTS}:
        assert RuntimeSpec not in {field.annotation for field in spec.model_fields.values()}


def test_the_fingerprint_is_the_same_in_a_fresh_process_with_another_hash_seed() -> None:
    spec = TrainSpec(extractor=ExtractorSpec(model="é/ß", layer=-1), classifier=LogisticRegressionSpec(C=1e-17))
    program = f"from antibody_esm.specs import *; print({spec!r}.fingerprint)"
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == spec.fingerprint


def test_minus_zero_and_integers_are_the_numbers_they_equal() -> None:
    assert XGBoostSpec(reg_alpha=-0.0).fingerprint == XGBoostSpec(reg_alpha=0).fingerprint
    assert LogisticRegressionSpec(C=2).fingerprint == LogisticRegressionSpec(C=2.0).fingerprint


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        (LogisticRegressionSpec, {"penalty": "l1"}),
        (LogisticRegressionSpec, {"C": 0}),
        (LogisticRegressionSpec, {"C": float("inf")}),
        (LogisticRegressionSpec, {"C": float("nan")}),
        (LogisticRegressionSpec, {"C": True}),
        (LogisticRegressionSpec, {"C": "1"}),
        (LogisticRegressionSpec, {"random_state": -1}),
        (LogisticRegressionSpec, {"format": 2}),
        (XGBoostSpec, {"n_estimators": 10.0}),
        (XGBoostSpec, {"subsample": 1.5}),
        (SplitSpec, {"folds": 1}),
        (SplitSpec, {"repeats": 0}),
        (SplitSpec, {"by": "clone"}),
        (SplitSpec, {"by": "identity", "identity": 1.5}),
        (DescriptorSpec, {"descriptors": ()}),
        (DescriptorSpec, {"descriptors": ("length", "length")}),
        (DescriptorSpec, {"descriptors": ("weight",)}),
        (DescriptorSpec, {"ph": 15}),
        (DescriptorSpec, {"kmer": 4}),
        (ExtractorSpec, {"model": ""}),
        (ExtractorSpec, {"model": "m", "pooling": "sum"}),
        (ExtractorSpec, {"model": "m", "digest": "abc"}),
        (ExtractorSpec, {"model": "m", "batch_size": 8}),
        (ExtractorSpec, {"model": "m", "pairs": "joined", "truncation": True}),
        (EnsembleSpec, {"members": (ExtractorSpec(model="m"),)}),
        (ChainSpec, {"heavy": "sapiens_vh"}),
        (ChainSpec, {"heavy": "sapiens_vh", "light": "sapiens"}),
        (ChainSpec, {"heavy": "sapiens_vh", "light": DescriptorSpec()}),
        (ChainSpec, {"heavy": "sapiens_vh", "light": ExtractorSpec(model="m", pairs="joined")}),
        (EnsembleSpec, {"members": (ExtractorSpec(model="m"), ExtractorSpec(model="m"))}),
        (EnsembleSpec, {"members": (ColumnSpec(name="a"), ColumnSpec(name="b"))}),
        (EnsembleSpec, {"members": (ColumnSpec(name="a"), ExtractorSpec(model="m"))}),
        (
            EnsembleSpec,
            {"members": (ExtractorSpec(model="m"), ColumnSpec(name="a"), ColumnSpec(name="a", values="number"))},
        ),
        (ColumnSpec, {"name": ""}),
        (ColumnSpec, {"name": "a", "values": "date"}),
        (TrainSpec, {"extractor": ColumnSpec(name="a")}),
        (
            TrainSpec,
            {
                "extractor": EnsembleSpec(members=(ExtractorSpec(model="m"), ColumnSpec(name="a"))),
                "use_columns": False,
            },
        ),
        (TrainSpec, {"extractor": LogisticRegressionSpec()}),
        (RuntimeSpec, {"device": "tpu"}),
        (RuntimeSpec, {"workers": 0}),
    ],
)
def test_unknown_fields_and_bad_values_are_refused(spec: type, fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        spec(**fields)


@given(strategies.specs)
def test_specs_are_frozen_and_hashable(spec: Spec) -> None:
    assert len({spec, spec.model_copy()}) == 1
    with pytest.raises(ValidationError):
        spec.format = 1


def test_a_classifier_is_chosen_by_its_kind() -> None:
    adapter = TypeAdapter(EstimatorSpec)
    assert adapter.validate_python({"kind": "knn", "n_neighbors": 3}) == KNeighborsSpec(n_neighbors=3)
    with pytest.raises(ValidationError, match="does not match any of the expected tags"):
        adapter.validate_python({"kind": "perceptron"})


def test_defaults_are_the_fields() -> None:
    assert LogisticRegressionSpec().model_dump(exclude={"format", "kind"}) == {
        "C": 1.0,
        "tol": 1e-8,
        "max_iter": 10_000,
        "solver": "lbfgs",
        "class_weight": None,
        "standardize": False,
        "random_state": 0,
    }
    assert (SplitSpec().folds, SplitSpec().shuffle) == (10, True)
    assert (ExtractorSpec(model="m").pooling, ExtractorSpec(model="m").truncation) == ("mean", False)


def test_every_classifier_that_draws_numbers_has_a_seed() -> None:
    for spec in (LogisticRegressionSpec, XGBoostSpec, RandomForestSpec, GaussianProcessSpec, LinearSVMSpec, SplitSpec):
        assert "random_state" in spec.model_fields


GOLDEN_FINGERPRINTS = [
    (
        ExtractorSpec(model="facebook/esm2_t33_650M_UR50D"),
        "3c5ae0d73135bd98fcc0d8fba8981bea17a50b08ab94012cd292d91fcd1341a4",
    ),
    (
        EnsembleSpec(members=(ExtractorSpec(model="a"), ExtractorSpec(model="b"))),
        "5196dd61d1488e432e5a4aa0c1831bbc78ec1576372d91e48406f5164575edd2",
    ),
    (
        ChainSpec(heavy="sapiens_vh", light="sapiens_vl"),
        "d153fd246fb85b93c9b2358d836572308ec2fb0ecbabdbc00dd301a9c9f6f4aa",
    ),
    (
        ResolvedExtractorSpec(digest="0" * 64, layer=33),
        "8a4f34e5c53c254dc441b76962d79d15c4558c1e65946a510c9e8dab1445736d",
    ),
    (
        ExtractorSpec(model="a", prefix="<AA2fold>", suffix="2", separator="", tokenizer="b", tokenizer_revision="c"),
        "a7f4bcd68a1b51c0732c378725974d5bbd1dc64b6e8db91f35a8cdc0c6199bd4",
    ),
    (
        ResolvedExtractorSpec(digest="0" * 64, layer=1, pooling="last", prefix="1", suffix="2", separator="<cls>"),
        "f98014f3b2813c173a4e249c0fd3dd7b7dbbddda82a3ac9ed8d137a080cccf6d",
    ),
    (DescriptorSpec(), "47d4d0372098bd246231dd83f85e746cd191c7ee01ef7928ccd0760003f326bf"),
    (LogisticRegressionSpec(), "bf90c35eea9da2273ba87587740d70de36fb9f16f274f7fb1c3683502e27300f"),
    (XGBoostSpec(), "87059033a881dae446d52e88c91c69ae44a5f571d7a39dd0501672e893fcdf53"),
    (RandomForestSpec(), "c3606afe6a0198c2a22bab57425cb641edbec355be30531188a9a618e72425d6"),
    (GaussianProcessSpec(), "8a94a555509811d503f4b449640cb925343e3e647962c327da003d65838a01c0"),
    (LinearSVMSpec(), "264e7ad0beb03256defa3bcb7576100e569d182e00ec29479584fd5ff5e06255"),
    (KNeighborsSpec(), "34b3e423479746d86ed019400f1de8ad8cbc8498aca81b1928a5b73dde06f9a1"),
    (RidgeSpec(), "36a35975f61ae1ab86a1b0fdc9af525d83bf2b0027ec63320f12241079dcd08a"),
    (ElasticNetSpec(), "90b9b5ef0caac5af4997603cccb72579051050402227e769b65037d08d3f0e7d"),
    (XGBoostRegressorSpec(), "272a7f9db94318e0d32e6ba2f73d090d1263e0e793391c72f9f4195e3f99f145"),
    (SVRSpec(), "a798171dd5b8ec7d13e63cb3de13a0ff29c73344f454f6b76a9309dad3d24964"),
    (GaussianProcessRegressorSpec(), "3cf224c7bd6f8287969ed7dc0c805cdb04eb76b28c7e4b25791155210b8ab2a3"),
    (
        AverageSpec(heads=(LogisticRegressionSpec(), XGBoostSpec())),
        "107838ce20544ecdbc3accb0720f3e703680e6ee4ab153731381e462a3c08682",
    ),
    (
        AverageRegressorSpec(heads=(RidgeSpec(), SVRSpec())),
        "1d6f78d64873acc8c6fd5ae23c0a7dddf8395dfd9d5e088f46fc06a2253633ed",
    ),
    (SplitSpec(), "46344382cbc98035ca93473cf4c79cf571a0757687cbfbc377126fbdc5408980"),
    (
        TuneSpec(grid={"extractor.layer": (6, 8), "classifier.C": (0.01, 1)}),
        "cb186ea2dd476d3cfc1191b812640261c1a1e12875456452978f06d9d41d5ffd",
    ),
    (
        TrainSpec(
            extractor=ExtractorSpec(model="antiberty", revision="0.1.3"),
            pca=20,
            tune=TuneSpec(grid={"extractor.layer": (6, 8), "classifier.C": (0.01, 1)}),
        ),
        "fc963029260d100873ed91f95679afe25c58561887c823c3e6d1bb2746ef7b30",
    ),
    (DecisionSpec(), "8dae880f9ef5a517fb9bd9adbb9869d73f381a8152161b41bdcf547c0a1331f6"),
    (
        TrainSpec(extractor=ExtractorSpec(model="antiberty", revision="0.1.3")),
        "4fede64af7ad47317831f5c20a906cf87c6226bd11be3be77edf072e32340d1a",
    ),
    (ColumnSpec(name="isotype"), "ef94ce32b94817a4fb0122d27a1761ccc19d3f1f169f584aea5e6733dbad509c"),
    (
        EnsembleSpec(
            members=(
                ExtractorSpec(model="a"),
                ColumnSpec(name="isotype"),
                ColumnSpec(name="ph", values="number"),
            ),
            combine="concat",
        ),
        "35ef78ae49f7b7a076e04c793ba3610dbba421d6125dbd7521cab55507c937a6",
    ),
    (
        TrainSpec(extractor=ExtractorSpec(model="antiberty", revision="0.1.3"), use_columns=False),
        "76ef1f67c8ff4a08141ef634dd52a9cdb627d129e8d272fb631747ce349bea49",
    ),
    (
        ExtractorSpec(model="antiberty", adapter="1" * 64),
        "5c57ad935cc7d8e3a348db93c09a142761256c8e0e31347b36b144be18707a05",
    ),
    (
        ResolvedExtractorSpec(digest="0" * 64, layer=6, adapter="1" * 64),
        "cc87075d8dcf9febaa51b8ca2414b717e50c83c45faf620bd287f3c21787cdba",
    ),
    (FineTuneSpec(), "dc6dc4693a407db80bdb3e661065d0fb00f308179a0ebf92978cf3b7e0cca70d"),
    (
        PluginExtractorSpec(name="a", package="p", version="1.0", options=(("b", "x"), ("k", 1))),
        "a3b73e1ce7315003d99ff6b9c65e6d14e885349659a04745b5450149427eccfd",
    ),
    (
        PluginClassifierSpec(name="a", package="p", version="1.0"),
        "2d0a6c1b5f0fd6e673d1a9640388558d62620a6bad9af468f76643378f96bea4",
    ),
    (
        PluginRegressorSpec(name="a", package="p", version="1.0"),
        "d203040185be0f5dde6105e17dc1aefc575e576acdd871f23e862c00d6a627e2",
    ),
]


@pytest.mark.parametrize(("spec", "fingerprint"), GOLDEN_FINGERPRINTS, ids=lambda one: type(one).__name__)
def test_fingerprints_stay_what_they_are(spec: Spec, fingerprint: str) -> None:
    # If this fails, a default or a field has changed: stores and saved models out there are no longer found.
    assert spec.fingerprint == fingerprint


def test_a_fingerprint_is_pinned_for_every_type_of_spec() -> None:
    assert {type(spec).__name__ for spec, _ in GOLDEN_FINGERPRINTS} == strategies.by_type.keys()


@pytest.mark.parametrize("region", ["cdr1", "cdr2", "cdr3", "cdrs", "frameworks"])
def test_a_region_consists_of_residues(region: str) -> None:
    for fields in ({"pooling": "cls"}, {"special_tokens": "include"}):
        with pytest.raises(ValidationError, match="a region requires pooling"):
            ExtractorSpec(model="m", region=region, **fields)
