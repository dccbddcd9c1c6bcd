"""Jobs of the page on liabilities and variants: their limits, pairs and panels, without a browser."""

import gc
import math
import os
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from antibody_esm import Dataset, DatasetError, DescriptorSpec, Panel, Predictor, Trainer, load_dataset
from antibody_esm.cli.web_design_jobs import (
    BETTER,
    LONGEST_NAMES,
    MOST_CANDIDATES,
    MOST_MUTATIONS,
    MOST_SIZE,
    SHOWN,
    ProposalRequest,
    liabilities_job,
    propose_job,
)
from antibody_esm.cli.web_jobs import LARGEST, LONGEST, MOST
from antibody_esm.cli.web_worker import Worker
from antibody_esm.design import liabilities
from antibody_esm.design.picture import liability_picture
from antibody_esm.processes import runs
from chains import HEAVY, LIGHT, NANOBODY, mutants
from effort import PATIENCE

HEAVIES = mutants(HEAVY, 40, 12)
IDS = [f"a{i}" for i in range(40)]
PLAIN = ProposalRequest(HEAVY, 3, 1, 40, "CDR1", "", "as the model says", None, {})


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    data = Dataset(IDS, HEAVIES, label=[i % 2 for i in range(40)])
    return Trainer(DescriptorSpec(), "logreg").fit(data, uncertainty=False)


@pytest.fixture(scope="module")
def panel() -> Panel:
    frame = pd.DataFrame({"id": IDS, "heavy": HEAVIES, "HIC": range(40), "Tm2": range(40, 0, -1)})
    data = load_dataset(frame, label=["HIC", "Tm2"], higher_is_better={"HIC": False, "Tm2": True})
    return Panel.fit(Trainer(DescriptorSpec(), "ridge"), data, uncertainty=False)


def with_(**changes: Any) -> ProposalRequest:
    return PLAIN._replace(**changes)


@pytest.mark.parametrize("name", ["size", "mutations", "candidates"])
@pytest.mark.parametrize("value", [0, -1, 1.5, 10**30, math.inf, math.nan, True, None, "7", [3], {"a": 1}])
def test_numbers_out_of_their_range_are_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match="must be from 1 to"):
        with_(**{name: value}).checked()


def test_the_largest_numbers_are_accepted() -> None:
    options = with_(size=MOST_SIZE, mutations=float(MOST_MUTATIONS), candidates=MOST_CANDIDATES).checked()
    assert (options["size"], options["mutations"], options["candidates"]) == (96, 5, 2000)
    assert [with_(better=better).checked()["higher_is_better"] for better in BETTER] == [None, False, True]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positions": "1" * (LONGEST_NAMES + 1)}, "at most 1,000 characters"),
        ({"protect": ["CDR3"]}, "positions are a text"),
        ({"better": ["high"]}, "better predictions are"),
        ({"better": "best"}, "better predictions are"),
        ({"parent": ""}, "write the parent first"),
        ({"parent": None}, "write the parent first"),
        ({"parent": "A" * (LONGEST + 1)}, "at most 2,000 residues"),
        ({"parent": "A" * (LARGEST + 1)}, "at most 5,000,000 bytes"),
        ({"parent": f"{HEAVY}\n{HEAVY}"}, "one antibody at a time; these are 2"),
        ({"parent": LIGHT}, "heavy"),
        ({"positions": "CDR9"}, "names no residues"),
        ({"positions": "CDR1", "protect": "CDR1"}, "no position is left"),
    ],
)
def test_a_request_out_of_its_limits_is_refused(changes: dict[str, Any], message: str, predictor: Predictor) -> None:
    with pytest.raises((ValueError, DatasetError), match=message):
        propose_job(predictor, with_(**changes))


def test_a_panel_proposes_by_one_label_and_each_wants_its_own_side(panel: Panel) -> None:
    for label, better in (("HIC", "fall"), ("Tm2", "rise")):
        proposals = propose_job(panel, with_(label=label))
        change = proposals.table["prediction"] - panel[label].predict([HEAVY])[0]
        assert ((change < 0) if better == "fall" else (change > 0)).all()
    for other in (None, "absent", ["HIC"], {"HIC": 1}):
        with pytest.raises(ValueError, match="there is no label"):
            propose_job(panel, with_(label=other))


def test_variants_that_take_too_long_are_ended_with_their_process(predictor: Predictor, tmp_path: Path) -> None:
    with Worker(partial(Predictor.load, predictor.save(tmp_path / "model")), seconds=PATIENCE) as worker:
        proposals = worker(propose_job, PLAIN)
        pd.testing.assert_frame_equal(proposals.table, propose_job(predictor, PLAIN).table)
        worker._seconds, process = 0.2, worker.process
        with pytest.raises(
            ValueError, match=r"stopped after 0.2 seconds; try fewer antibodies or predictions at a time"
        ):
            worker(propose_job, with_(size=96, mutations=5, candidates=2000, positions=""))
        assert process is not None
        assert not runs(process)


def test_every_chain_is_searched_whatever_the_model_reads(predictor: Predictor, panel: Panel) -> None:
    for loaded in (predictor, panel):
        result = liabilities_job(loaded, f">both\n{HEAVY}|{LIGHT}\n>nano\n{NANOBODY}\n>bad\nEVQ1\n", None)
        expected = liabilities([f"{HEAVY}|{LIGHT}", NANOBODY])
        pd.testing.assert_frame_equal(result.table.drop(columns="id"), expected.drop(columns="id"))
        assert result.rejected["reason"].tolist() == ["position 4: '1'"]
        assert "light chain" in result.picture


def test_only_the_first_antibodies_are_drawn(predictor: Predictor) -> None:
    result = liabilities_job(predictor, "\n".join(HEAVIES[: SHOWN + 2]), None)
    assert result.antibodies == SHOWN + 2
    assert result.picture.count("<h3>") == SHOWN


@pytest.mark.parametrize("column", ["heavy", "light", "sequence", "VH"])
def test_too_long_a_chain_is_refused_in_every_column_that_is_searched(
    column: str, predictor: Predictor, tmp_path: Path
) -> None:
    path = tmp_path / "long.csv"
    other = {"heavy": [HEAVY] * 3} if column == "light" else {}
    cells = [LIGHT if column == "light" else HEAVY] * 2 + ["A" * (LONGEST + 1)]
    pd.DataFrame(other | {column: cells}).to_csv(path, index=False)
    with pytest.raises(DatasetError, match=f"row 3, {column}: a sequence may have at most 2,000 residues"):
        liabilities_job(predictor, "", str(path))


def test_too_many_antibodies_are_refused(predictor: Predictor) -> None:
    with pytest.raises(DatasetError, match="at most 2,000 antibodies"):
        liabilities_job(predictor, "EVQ\n" * (MOST + 1), None)


def test_a_picture_escapes_what_a_panel_of_rules_says() -> None:
    table = liabilities(HEAVY).assign(kind="<img src=x>", source="javascript:alert(1)")
    text = liability_picture(HEAVY, table)
    assert "<img" not in text
    assert "href" not in text


@pytest.fixture
def functions(panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Callable[..., Any]]]:
    monkeypatch.setitem(os.environ, "GRADIO_ANALYTICS_ENABLED", "False")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gradio's own
        from antibody_esm.cli.web_profile import profile_page

        yield {each.fn.__name__: each.fn for each in profile_page(panel, tmp_path).fns.values() if each.fn is not None}
        gc.collect()  # event loops that Gradio leaves open


def test_the_page_of_a_panel_has_liabilities_and_proposals(functions: dict[str, Callable[..., Any]]) -> None:
    message, picture, path, _ = functions["search"](HEAVY, None)
    assert "Antibodies searched: 1;" in message
    assert "liabs-high" in picture["value"]
    assert len(pd.read_csv(path["value"])) == len(liabilities(HEAVY))
    first, last = functions["propose"](HEAVY, 3, 1, 40, "CDR1", "", "as the model says", "Tm2", None)
    assert "At most 40 variants are predicted" in first[0]
    assert "No plausibility: the model has no language model." in last[0]
    assert len(pd.read_csv(last[2]["value"])) == 3
    scores = functions["score"](HEAVY, None)
    marked = functions["explain"](scores[5], scores[6], "0", "HIC", True)
    assert "high liability: NG at H62 (deamidation)" in marked
