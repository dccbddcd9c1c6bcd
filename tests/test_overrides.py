import json
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from typer.testing import CliRunner

from antibody_esm import ExtractorSpec, LogisticRegressionSpec, SplitSpec, TrainSpec, XGBoostSpec, presets
from antibody_esm.cli.train import app
from antibody_esm.overrides import sweep
from antibody_esm.specs.training import Run
from chains import HEAVY
from effort import examples

models = st.sampled_from([*presets.EXTRACTORS]).map("model={}".format)
classifiers = st.sampled_from([*presets.CLASSIFIERS]).map("classifier={}".format)
values = st.one_of(
    st.integers(2, 50).map("split.folds={}".format),
    st.booleans().map(lambda value: f"split.shuffle={str(value).lower()}"),
    st.sampled_from(["antibody", "identity", "group"]).map("split.by={}".format),
    st.integers(0, 2**32 - 1).map("split.random_state={}".format),
    st.integers(-9, 9).map("extractor.layer={}".format),
    st.sampled_from(["mean", "max", "cls"]).map("extractor.pooling={}".format),
    st.sampled_from(["null", "main", "v1.0", "'08e4846e'"]).map("extractor.revision={}".format),
    st.integers(0, 99).map("classifier.random_state={}".format),
    st.integers(1, 99).map("runtime.workers={}".format),
    st.sampled_from(["null", "store/", "'a b'"]).map("store={}".format),
)
OTHERS = ("model=esm1v_mean", "model=descriptors")  # they have no layer, nor a revision
overrides = st.lists(st.one_of(models, classifiers, values), max_size=6).filter(
    lambda given: (
        not any(one in ("classifier=knn", "classifier=average") for one in given)  # they have no random_state
        and not (any(one in OTHERS for one in given) and any(one.startswith("extractor.") for one in given))
    )
)


@given(overrides)
@examples(40)
def test_compose_gives_exactly_what_the_command_gives(given_overrides: list[str]) -> None:
    run = Run.compose(given_overrides)
    assert TrainSpec.compose(given_overrides) == run.train
    shown = CliRunner().invoke(app, [*given_overrides, "--cfg", "job"])
    assert shown.exit_code == 0, shown.output
    configuration = yaml.safe_load(shown.stdout)
    rest = {name: configuration.pop(name) for name in ("data", "store", "output", "curve", "random_seeds", "runtime")}
    assert TrainSpec.model_validate_json(json.dumps(configuration)).fingerprint == run.train.fingerprint
    assert rest == {name: run.to_dict()[name] for name in rest}


def test_nothing_said_is_the_embedded_default() -> None:
    run = Run.compose()
    assert run.train == TrainSpec(extractor=presets.EXTRACTORS["antiberty"])
    assert run.train.classifier == LogisticRegressionSpec()
    assert (run.data.source, run.store) == ("boughter_flu_cdrs", "embeddings/")


@pytest.mark.parametrize(
    ("given_overrides", "expected"),
    [
        (["model=esm2_650m"], {"extractor": presets.EXTRACTORS["esm2_650m"]}),
        (["classifier=xgboost", "classifier.n_estimators=200"], {"classifier": XGBoostSpec(n_estimators=200)}),
        (["classifier.n_estimators=200", "classifier=xgboost"], {"classifier": XGBoostSpec(n_estimators=200)}),
        (["classifier.C=1e-3"], {"classifier": LogisticRegressionSpec(C=0.001)}),
        (["classifier.class_weight=balanced"], {"classifier": LogisticRegressionSpec(class_weight="balanced")}),
        (["split.folds=5", "split.folds=4"], {"split": SplitSpec(folds=4)}),
        (["++split.folds=5"], {"split": SplitSpec(folds=5)}),
        (
            ["split.by=identity", "split.identity=0.8", "split.repeats=5"],
            {"split": SplitSpec(by="identity", identity=0.8, repeats=5)},
        ),
        (["split.by=family"], {"split": SplitSpec(by="family")}),
        (
            ["extractor.layer=-1", "extractor.pooling=max"],
            {"extractor": ExtractorSpec(model="antiberty", revision="0.1.3", layer=-1, pooling="max")},
        ),
        (
            ["extractor.model=me/mine", "extractor.revision=v1"],
            {"extractor": ExtractorSpec(model="me/mine", revision="v1")},
        ),
        (["extractor.layer=3", "extractor.model=me/mine"], {"extractor": ExtractorSpec(model="me/mine", layer=3)}),
    ],
)
def test_overrides_reach_the_spec(given_overrides: list[str], expected: dict[str, object]) -> None:
    spec = TrainSpec.compose(given_overrides)
    assert {name: getattr(spec, name) for name in expected} == expected


def test_settings_of_the_run_stay_outside_of_the_spec() -> None:
    run = Run.compose(["data=mine.csv", "data.heavy=vh", "store=null", "runtime.workers=1", "output=out"])
    assert (run.data.source, run.data.heavy, run.store, run.runtime.workers, run.output) == (
        "mine.csv",
        "vh",
        None,
        1,
        "out",
    )
    assert run.train == TrainSpec.compose()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model=esm3", "choose one of esm1v, .*, protbert"),
        ("model=3", "choose one of esm1v"),
        ("model=./mine", "or extractor.model=<name or folder>"),
        ("store=", "at least 1 character"),
        ("data=~/mine.csv", "quote a value with special characters"),
        ("data.label=[HIC RT (min),PSR score,Tm (°C)]", r"quote each name of the list: 'key=\[\"HIC RT"),
        ("data.higher_is_better={Tm (°C):true}", r"quote each name, as JSON: 'key={\"Tm \(°C\)\":true}'"),
        ('data.higher_is_better={"Tm (°C)":yes}', "quote each name, as JSON"),
        ("classifier=svm", "choose one of logreg, xgboost, random_forest"),
        ("modell=antiberty", r"unknown key; choose one of model, classifier, finetune, extractor\.\*, .*, store"),
        ("classifier.penalty=l1", r"unknown key; choose one of classifier\.C, classifier\.tol"),
        ("classifier.n_estimators=5", r"unknown key; choose one of classifier\.C"),
        ("extractor.pool=mean", r"unknown key; choose one of extractor\.model, .*extractor\.pooling"),
        ("split=5", r"unknown key; choose one of split\.folds"),
        ("store.root=x", "unknown key; choose store"),
        ("runtime.fast=1", r"unknown key; choose one of runtime\.device"),
        ("data.column=x", r"unknown key; choose one of data\.source"),
        ("classifier.kind=knn", "unknown key"),
        ("classifier.format=2", "unknown key"),
        ("+classifier.C=2", "only key=value is allowed"),
        ("~classifier", "only key=value is allowed"),
        ("model@other=antiberty", "only key=value is allowed"),
        ("model=antiberty,esm2_8m", "several values need --multirun"),
        ("a=b=c", "not key=value"),
        ("antiberty", "'antiberty' is not key=value; write model=antiberty"),
        ("ridge", "'ridge' is not key=value; write classifier=ridge"),
        ("lab.csv", "'lab.csv' is not key=value; write data=lab.csv"),
        ("", "not key=value"),
        ("classifier.C=high", "valid number"),
        ("classifier.C=-1", "greater than 0"),
        ("classifier.C=inf", "finite"),
        ("split.folds=2.5", "valid integer"),
        ("split.shuffle=3", "valid boolean"),
        ("split.by=clone", "'antibody', 'identity', 'group', 'family', 'fold' or 'leave_one_out'"),
        ("split.identity=0.8", "requires by='identity'"),
        ("extractor.pooling=sum", "'mean', 'max', 'std', 'cls', 'last' or 'attention'"),
        ("extractor.model=3", "valid string"),
        ("extractor={a:1}", "unknown key"),
        ("chain=light", "unknown key"),
        ("tune.grid={classifier.C:range(1,5)}", "only plain values are allowed"),
        (f"tune.grid={{classifier.C:{'[' * 3000}1{']' * 3000}}}", "not key=value"),
        (f"tune.grid={{classifier.C:[{'9' * 5000}]}}", "not key=value"),
    ],
)
def test_what_is_not_understood_is_an_error_that_names_the_choices(override: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainSpec.compose([override])
    shown = CliRunner().invoke(app, [override, "--cfg", "job"])
    assert shown.exit_code == 2
    assert shown.stderr.startswith("error: ")
    assert not shown.stdout


def test_a_sweep_is_the_product_of_its_values() -> None:
    assert sweep(["model=esm2_8m,antiberty", "split.folds=5", "classifier=logreg,xgboost"]) == [
        ["model=esm2_8m", "split.folds=5", "classifier=logreg"],
        ["model=esm2_8m", "split.folds=5", "classifier=xgboost"],
        ["model=antiberty", "split.folds=5", "classifier=logreg"],
        ["model=antiberty", "split.folds=5", "classifier=xgboost"],
    ]
    assert sweep(["split.random_state=range(3)"]) == [[f"split.random_state={seed}"] for seed in range(3)]
    assert sweep([]) == [[]]


@pytest.mark.parametrize("override", ["classifier.C=interval(0,1)", "model=glob(esm*)"])
def test_a_sweep_without_a_list_of_values_is_an_error(override: str) -> None:
    with pytest.raises(ValidationError):
        sweep([override])


def test_composing_leaves_no_state_behind() -> None:
    before = set(sys.modules)
    Run.compose(["model=esm2_8m"])
    assert Run.compose() == Run.compose([])
    assert not {name for name in set(sys.modules) - before if "torch" in name or "sklearn" in name}
    from hydra.core.global_hydra import GlobalHydra

    assert not GlobalHydra.instance().is_initialized()


@pytest.mark.parametrize(
    "name", ["Tm (°C)", "HIC RT [min]", 'K"D', "5' UTR", "a=b", "a,b", "log10 {x}", "Titer: mg/L", "\\"]
)
def test_labels_of_any_name_have_a_form_in_the_shell(name: str) -> None:
    names = json.dumps([name, "HIC"], ensure_ascii=False)
    sides = json.dumps({name: True, "HIC": False}, ensure_ascii=False)
    run = Run.compose([f"data.higher_is_better={sides}", f"data.label={names}"])
    assert run.data.higher_is_better == {name: True, "HIC": False}
    assert run.data.label == (name, "HIC")
    assert sweep([f"data.higher_is_better={sides}", "split.folds=3,4"]) == [
        [f"data.higher_is_better={sides}", f"split.folds={folds}"] for folds in (3, 4)
    ]


def test_rows_that_cannot_be_read_are_left_out_in_the_shell_as_in_python(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    rows = [f"a{i},{HEAVY},{i % 2}" for i in range(24)] + ["none,,1"]
    table.write_text("\n".join(["id,heavy,label", *rows]))
    words = [f"data={table}", "model=descriptors", "split.folds=2", "random_seeds=0", "store=null"]
    words += [f"output={tmp_path / 'run'}"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code != 0
    result = CliRunner().invoke(app, [*words, "data.drop=true"])
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["antibodies"] == 24
