"""Old names work for one release, and warn."""

import importlib

import pytest

from antibody_esm.deprecation import still_callable
from antibody_esm.trained_on import TrainedOn

MOVED = [
    ("antibody_esm.evaluation.ledger", "antibody_esm.evaluation.test_set_log", ["Ledger", "Opening"]),
    ("antibody_esm.evaluation.calibration", "antibody_esm.evaluation.thresholds", ["ASSAY_THRESHOLDS"]),
    ("antibody_esm.evaluation.uncertainty", "antibody_esm.evaluation.conformal", ["Uncertainty", "out_of_fold"]),
]


@pytest.mark.parametrize(("old", "new", "names"), MOVED)
def test_a_module_under_its_old_name_has_the_same_objects_and_warns(old: str, new: str, names: list[str]) -> None:
    module = importlib.import_module(old)
    for name in names:
        with pytest.warns(DeprecationWarning, match=f"{new}; import {name} from there"):
            assert getattr(module, name) is getattr(importlib.import_module(new), name)
    with pytest.raises(AttributeError, match="nothing"):
        module.nothing  # noqa: B018


@pytest.mark.parametrize("value", [{"a": 1}, ["a", "b"], ("a", "b"), "ab", ""])
def test_a_property_that_was_a_method_is_the_value_and_can_still_be_called(value: object) -> None:
    called = still_callable(value, "Report.value")
    assert called == value
    assert isinstance(called, type(value))
    with pytest.warns(DeprecationWarning, match="Report.value is a property now"):
        again = called()  # type: ignore[operator]
    assert again == value
    assert type(again) is type(value), "the warning is given once"


def test_facts_of_the_training_data_are_read_as_from_the_earlier_dictionary() -> None:
    facts = TrainedOn("a table", "0" * 64, 90, "heavy", None)
    for name, value in facts.to_dict().items():
        with pytest.warns(DeprecationWarning, match=f"use the attribute .{name} of"):
            assert facts[name] == value
    assert "positives" not in facts.to_dict()
