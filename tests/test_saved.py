"""Models that earlier versions saved load, and predict what they predicted then; none of these is ever made anew."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antibody_esm import Dataset, Predictor
from antibody_esm.evaluation.test_set_log import Ledger

SAVED = sorted(folder.parent for folder in (Path(__file__).parent / "saved").glob("*/expected.json"))


def antibodies(expected: dict[str, Any], predictor: Predictor) -> list[Any]:
    if predictor.data.chain == "paired":
        return list(zip(expected["heavy"], expected["light"], strict=True))
    return expected["heavy"]


@pytest.mark.parametrize("folder", SAVED, ids=lambda folder: folder.name)
@pytest.mark.filterwarnings("ignore:the classifier was saved with:UserWarning")
@pytest.mark.filterwarnings("ignore:.*the model was saved in format 2:UserWarning")
def test_a_model_saved_by_an_earlier_version_loads_and_predicts_the_same(folder: Path, tmp_path: Path) -> None:
    expected = json.loads((folder / "expected.json").read_text())
    predictor = Predictor.load(folder, store=tmp_path)
    data = Dataset(
        [str(i) for i in range(len(expected["heavy"]))],
        expected["heavy"],
        expected["light"],
        chain=predictor.data.chain,
        fragment=predictor.data.fragment,
    )
    table = predictor.score_table(data)
    listed = predictor.score_table(antibodies(expected, predictor))
    for name, column in expected["scores"].items():
        values = list(column.values())
        if isinstance(values[0], str):
            assert table[name].tolist() == values
        else:
            np.testing.assert_allclose(table[name], np.array(values, float), rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(listed[name], table[name], rtol=1e-9)


@pytest.mark.parametrize("folder", SAVED, ids=lambda folder: folder.name)
@pytest.mark.filterwarnings("ignore:the classifier was saved with:UserWarning")
@pytest.mark.filterwarnings("ignore:.*the model was saved in format 2:UserWarning")
def test_a_model_saved_without_labels_is_evaluated_and_names_what_is_unknown(folder: Path, tmp_path: Path) -> None:
    expected = json.loads((folder / "expected.json").read_text())
    predictor = Predictor.load(folder, store=tmp_path)
    predictor.ledger = Ledger()  # nothing is written beside it
    n = len(expected["heavy"])
    data = Dataset(
        [str(i) for i in range(n)],
        expected["heavy"],
        expected["light"],
        label=np.arange(n) / 2 if predictor.spec.is_regression else np.arange(n) % 2,
        chain=predictor.data.chain,
        fragment=predictor.data.fragment,
    )
    report = predictor.evaluate(data)
    assert report.overlap is not None
    assert report.overlap.training == int((predictor.score_table(data)["identity"] == 1).sum())
    assert report.identity is not None
    assert not report.baselines.found
    why = "Without any baseline: saved by an earlier version, without the labels of its training antibodies."
    assert why in report.remarks
    assert report.training is not None
    assert report.training.digest == predictor.data.digest
    report.to_html(tmp_path / "page.html")


def test_there_are_models_of_every_kind() -> None:
    assert {"antiberty", "descriptors", "pair", "regressor"} <= {folder.name for folder in SAVED}
