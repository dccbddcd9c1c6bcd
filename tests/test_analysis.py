"""The numbers of a report: their form, their life and their memory."""

import gc
import inspect
import weakref
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from antibody_esm import Dataset, SplitSpec, Trainer
from antibody_esm.reports.analysis import Analysis
from antibody_esm.reports.grid import GridReport
from antibody_esm.reports.report import Report, evaluation_report
from antibody_esm.serialization import TrainingSet
from antibody_esm.unknown import Unknown
from reporting import CHARGES, antibodies, cross_validated


def fresh(seed: int = 0) -> Dataset:
    """Return antibodies that no other test holds."""
    data = antibodies(40, seed=seed)
    return Dataset(data.ids, data.heavy, label=data.label, fragment="H-CDRs")


def two_folds(data: Dataset) -> Report:
    return Trainer(CHARGES, split=SplitSpec(folds=2)).cross_validate(data)


@pytest.mark.parametrize("kind", [Report, GridReport, Analysis])
def test_a_number_without_an_argument_is_a_property_and_a_method_takes_one_or_converts(kind: type) -> None:
    public = {name: value for name, value in inspect.getmembers_static(kind) if not name.startswith("_")}
    methods = {name: value for name, value in public.items() if inspect.isfunction(value)}
    for name, method in methods.items():
        arguments = list(inspect.signature(method).parameters)[1:]
        assert arguments or name.startswith("to_"), f"{name} takes no argument: make it a property"
    assert len(public) > len(methods)
    assert kind is Analysis or {"to_dict", "to_frame", "to_json", "to_csv", "to_html"} <= methods.keys()


def test_an_analysis_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        cross_validated().openings = 3  # type: ignore[misc]


def test_what_was_a_method_still_works_when_it_is_called_and_warns() -> None:
    report = cross_validated()
    for name in ("intervals", "summary", "ranked_baselines", "clones_note"):
        value = getattr(report, name)
        with pytest.warns(DeprecationWarning, match=f"{name} is a property now"):
            assert value() == value


def test_out_of_fold_of_a_regressor_has_labels_by_the_name_that_a_classifier_has() -> None:
    classes = cross_validated()
    values = cross_validated(antibodies(continuous=True), "ridge")
    assert list(values.out_of_fold) == [name for name in classes.out_of_fold if name != "probability"]
    labels = values.out_of_fold["label"]
    assert np.array_equal(labels, np.asarray(values.data.label))
    with pytest.warns(DeprecationWarning, match="named 'label', no longer 'target'"):
        assert values.out_of_fold["target"].equals(labels)
    with pytest.warns(DeprecationWarning, match="named 'label', no longer 'target'"):
        assert values.predictions.query("fold == 0").target.equals(labels[values.predictions["fold"] == 0])
    with pytest.raises(KeyError):
        values.predictions["nothing"]


def test_a_table_with_its_own_column_target_keeps_it() -> None:
    table = cross_validated(antibodies(continuous=True), "ridge").predictions.assign(target="IL-6")
    assert set(table["target"]) == {"IL-6"}


def test_a_data_set_is_freed_with_its_last_report() -> None:
    data = fresh()
    report = two_folds(data)
    held_out = Trainer(CHARGES).fit(data).evaluate(fresh(1))
    for each in (report, held_out):
        str(each), each._repr_html_(), each.baselines, each.comparisons, each.identity
    GridReport([report, held_out]).to_dict()
    trace, copies = weakref.ref(data), weakref.ref(report.scored)
    del data, report, held_out, each
    gc.collect()
    assert trace() is None
    assert copies() is None


def test_pipelines_on_equal_data_share_baselines(monkeypatch: pytest.MonkeyPatch) -> None:
    from antibody_esm.reports import context

    computed = []
    compute = context.cross_validate_baselines

    def counted(*arguments: object, **options: object) -> object:
        computed.append(arguments)
        return compute(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(context, "cross_validate_baselines", counted)
    first, second = two_folds(fresh(5)).baselines, two_folds(fresh(5)).baselines
    assert len(computed) == 1
    for name, scored in first.found.items():
        np.testing.assert_array_equal(scored.rows.prediction, second.found[name].rows.prediction)
    data = fresh(5)
    assert two_folds(replace(data, label=1 - np.asarray(data.label))).baselines.found
    assert len(computed) == 2, "other labels"
    assert two_folds(replace(data, species=("human",))).baselines.found
    assert len(computed) == 3, "other species of V genes"


def test_baselines_of_a_saved_training_set_do_not_depend_on_the_digest_that_it_claims() -> None:
    training, test = fresh(6), fresh(7)
    predicted = np.arange(40) % 2
    columns = {"ids": training.ids, "heavy": training.heavy, "fragment": "H-CDRs"}
    claimed = {"digest_of_training": training.digest, "label": 1 - np.asarray(training.label)}
    for each in (training, TrainingSet(**columns, **claimed)):  # type: ignore[arg-type]
        report = evaluation_report(cross_validated().spec, test, predicted, predicted * 1.0, training=each)
        scores = report.baselines.found["composition"].scores["roc_auc"]
        assert each.digest == training.digest
        assert (scores[0] > 0.5) == (each is training), "labels of the other set are the other way round"


def test_why_there_is_no_second_cross_validation_is_a_type_of_its_own() -> None:
    data = fresh(8)
    twice = Dataset([str(i) for i in range(80)], [*data.heavy, *data.heavy], label=[*data.label, *data.label])
    report = Trainer(CHARGES, split=SplitSpec(folds=2)).cross_validate(twice, check=False)
    assert replace(report, again=None).second == Unknown(
        "this report was made without vectors; see SplitSpec(by='identity')"
    )
    assert not isinstance(report.second, Unknown | None)
