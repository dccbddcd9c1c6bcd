"""Facts of the training data that are saved with a model."""

import json
from pathlib import Path
from typing import Any

import pytest

from antibody_esm import Predictor, Trainer
from antibody_esm.trained_on import TrainedOn
from reporting import CHARGES, antibodies

FACTS = {"source": "a table", "digest": "0" * 64, "antibodies": 90, "positives": 30, "chain": "heavy", "fragment": None}


def test_facts_in_a_manifest_are_the_same_after_they_were_read() -> None:
    values = {name: value for name, value in FACTS.items() if name != "positives"}
    for facts in (FACTS, values):
        assert json.dumps(TrainedOn.from_dict(facts).to_dict()) == json.dumps(facts)


@pytest.mark.parametrize("continuous", [False, True])
def test_a_model_has_the_facts_of_its_training_data_before_and_after_it_is_saved(
    continuous: bool, tmp_path: Path
) -> None:
    data = antibodies(40, continuous=continuous)
    predictor = Trainer(CHARGES, "ridge" if continuous else "logreg").fit(data, uncertainty=False)
    expected = TrainedOn(data.provenance.source, data.digest, 40, "heavy", "H-CDRs", None if continuous else 20)
    assert predictor.data == expected
    assert Predictor.load(predictor.save(tmp_path / "model")).data == expected


@pytest.mark.parametrize(
    "changed",
    [{"source": 1}, {"digest": None}, {"antibodies": "90"}, {"antibodies": None}, {"positives": 0.5}, {"chain": ...}],
)
def test_facts_of_other_types_are_refused(changed: dict[str, Any]) -> None:
    facts = {name: value for name, value in (FACTS | changed).items() if value is not ...}
    with pytest.raises(TypeError):
        TrainedOn.from_dict(facts)


@pytest.mark.parametrize("digest", ["", "0" * 63, "0" * 64 + "\n", 'x"\nimport os\n#'])
def test_a_digest_that_could_be_code_in_a_line_of_python_is_refused(digest: str) -> None:
    facts = TrainedOn("table", "0" * 64, 10, "heavy", None).to_dict()
    assert TrainedOn.from_dict(facts)
    with pytest.raises(TypeError, match="64 hexadecimal digits"):
        TrainedOn.from_dict(facts | {"digest": digest})
