"""Predictions of a panel for tables, and their heat map."""

import asyncio
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from antibody_esm import Panel, Predictor
from antibody_esm.cli import app
from antibody_esm.profiles import flagged, profile_columns, profile_file, profile_frame, profile_html
from antibody_esm.reports.profile_page import MOST, STEPS, ProfileColumn
from antibody_esm.score_tables import score_frame
from reporting import antibodies
from test_panel import LABELS, fitted, measured, trainer

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported


def frame(n: int = 8) -> pd.DataFrame:
    """Return antibodies of which two cannot be scored."""
    table = antibodies(n, seed=3).to_frame()[["id", "heavy"]].astype(object)
    table.loc[2, "heavy"], table.loc[4, "heavy"] = "EV*QL", None
    return table


def test_each_block_is_the_table_of_its_model() -> None:
    panel, table = fitted(), frame()
    scores = profile_frame(table, panel, check=False, first=10)
    assert scores.table["row"].tolist() == [10, 11, 13, 15, 16, 17]
    assert scores.rejected["row"].tolist() == [12, 14]
    single = score_frame(table, panel["HIC"], check=False, first=10)
    assert scores.rejected["reason"].tolist() == single.rejected["reason"].tolist()
    for label, model in panel.items():
        single = score_frame(table, model, check=False, first=10)
        block = scores.table[[f"{label} {name}" for name in single.table.columns[2:]]]
        pd.testing.assert_frame_equal(block.set_axis(single.table.columns[2:], axis=1), single.table.iloc[:, 2:])
    assert len(scores.antibodies) == len(scores.table)


def test_an_antibody_that_one_model_refuses_keeps_the_numbers_of_the_others() -> None:
    data = measured().target("Tm2")
    short = data.subset([row for row, text in enumerate(data.sequences) if len(text) < 22])
    panel = Panel({"HIC": fitted()["HIC"], "Tm2": trainer().fit(short, check=False)})
    table = pd.DataFrame({"id": ["a", "b"], "heavy": ["ADEKR" * 4 + "ADEK", short.sequences[0]]})
    scores = profile_frame(table, panel, check=True)
    assert scores.table["HIC prediction"].notna().all()
    assert scores.table["Tm2 prediction"].isna().tolist() == [True, False]
    assert "the training set has" in scores.table["Tm2 warning"][0]
    assert (len(scores.rejected), flagged(scores.table, panel)) == (0, 2)
    assert "<td class='none'>none</td>" in profile_html(scores.table, panel, "t")


def test_a_file_is_scored_in_batches_like_a_table(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "t.csv", index=False)
    (scores,) = profile_file(tmp_path / "t.csv", fitted(), check=False)
    expected = profile_frame(frame(), fitted(), check=False)
    pd.testing.assert_frame_equal(scores.table, expected.table)
    assert flagged(scores.table, fitted()) <= len(scores.table)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=9), st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=9))
def test_positions_are_shares_of_worse_training_antibodies(reference: list[float], values: list[float]) -> None:
    def position(better: bool | None) -> list[float]:
        column = ProfileColumn("x", True, better, np.array(reference), len(reference), "")
        return column.position(np.array([*values, np.nan])).tolist()

    high, low = position(True), position(False)
    assert np.isnan(high[-1])
    for value, up, down in zip(values, high, low, strict=False):
        below = sum(each < value for each in reference) + sum(each == value for each in reference) / 2
        assert up == pytest.approx(below / len(reference))
        assert up + down == pytest.approx(1)
    assert position(None)[:-1] == high[:-1]


def test_the_page_has_every_antibody_value_and_warning_and_loads_nothing() -> None:
    panel, table = fitted(), profile_frame(frame(), fitted(), check=False).table
    text = profile_html(table.assign(id=["<b>", *table["id"][1:]]), panel, "my & table.csv")
    assert "my &amp; table.csv" in text
    assert "&lt;b&gt;" in text
    assert "<b>" not in text
    assert text.count("<th scope='row'>") >= len(table)
    for label in LABELS:
        assert label in text
    assert text.count("low is better") >= 1
    assert text.count("high is better") >= 1
    assert not re.search(r"<script|https?:(?!//www\.w3\.org)|src=|@import", text)
    shown = re.findall(r"<td class='[qn](\d)'>", text)
    assert len(shown) == len(table) * len(LABELS)
    assert all(0 <= int(step) < STEPS for step in shown)
    means = [int(each) for each in re.findall(r"<td class='mean'>(\d+)%", text)]
    assert means == sorted(means, reverse=True)


def test_classes_without_a_known_side_and_models_without_training_antibodies_have_a_page(tmp_path: Path) -> None:
    panel = Panel.load(fitted(classes=True).save(tmp_path / "panel", training=False))
    columns = profile_columns(Panel({"odd name (°C)": panel["odd name (°C)"], "HIC": panel["HIC"]}))
    assert [(column.continuous, column.higher_is_better, column.reference) for column in columns] == [
        (False, None, None),
        (False, False, None),
    ]
    assert "if the better side is not known" in profile_html(
        profile_frame(frame(), panel, check=False).table, panel, "t"
    )
    values = Panel.load(fitted().save(tmp_path / "values", training=False))
    page = profile_html(profile_frame(frame(), values, check=False).table, values, "t")
    assert "Training labels of HIC, Tm2" in page


def test_a_page_of_many_antibodies_shows_the_first_and_says_so() -> None:
    panel = fitted()
    table = profile_frame(frame(4).iloc[[0, 1]], panel, check=False).table
    many = pd.concat([table] * (MOST // 2 + 1), ignore_index=True)
    assert f"This page shows the first {MOST}; the table has all." in profile_html(many, panel, "t")


def test_the_command_writes_table_page_and_rejected_rows_of_a_panel(tmp_path: Path) -> None:
    model = fitted().save(tmp_path / "model")
    frame().to_csv(tmp_path / "t.csv", index=False)
    words = ["predict", str(tmp_path / "t.csv"), "-m", str(model), "--store", str(tmp_path / "store"), "--no-check"]
    result = CliRunner().invoke(app.app, [*words, "-o", str(tmp_path / "out.csv")])
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "out.csv")
    expected = profile_frame(frame(), fitted(), check=False).table
    assert list(table) == list(expected)
    np.testing.assert_allclose(table["Tm2 prediction"], expected["Tm2 prediction"], rtol=1e-12)
    assert len(pd.read_csv(tmp_path / "out.rejected.csv")) == 2
    assert "<h2>Profile</h2>" in (tmp_path / "out.html").read_text(encoding="utf-8")
    strict = CliRunner().invoke(app.app, [*words, "-o", str(tmp_path / "strict.csv"), "--strict"])
    assert strict.exit_code != 0
    assert "line 4" in str(strict.output) + str(strict.exception)
    assert not (tmp_path / "strict.csv").exists()
    assert Predictor.load(model / "HIC").data.label == "HIC"


def test_the_web_page_of_a_panel_shows_the_profile_and_explains_a_label(tmp_path: Path) -> None:
    from antibody_esm.cli.web_profile import profile_page

    panel, table = fitted(), frame()

    async def made() -> Any:
        return profile_page(panel, tmp_path)

    score, explain = (function.fn for function in list(asyncio.run(made()).fns.values())[:2])
    table.to_csv(tmp_path / "t.csv", index=False)
    message, profile, download, rejected, _, scores, columns, _ = score("", str(tmp_path / "t.csv"))
    assert "Antibodies scored: 6;" in message
    assert "not scored: 2." in message
    assert profile["value"].count("<th scope='row'>") == 6
    assert len(pd.read_csv(download["value"])) == 6
    assert rejected["value"].count("<tr") == 3
    name = scores.table["id"][1]
    assert name in explain(scores, columns, f" {name} ", "Tm2")
    assert "There is no antibody" in explain(scores, columns, "<nobody>", "Tm2")
    assert "<nobody>" not in explain(scores, columns, "<nobody>", "Tm2")
    assert "There is no label" in explain(scores, columns, name, "x")
    assert "paste sequences" in score("", None)[0]


def test_the_web_page_of_a_panel_explains_the_chosen_row_if_ids_are_equal(tmp_path: Path) -> None:
    """The first antibody with the id was explained."""
    from antibody_esm.cli.web_profile import profile_page

    panel, table = fitted(), frame()

    async def made() -> Any:
        return profile_page(panel, tmp_path)

    score, explain = (function.fn for function in list(asyncio.run(made()).fns.values())[:2])
    table.to_csv(tmp_path / "t.csv", index=False)
    *_, scores, columns, names = score("", str(tmp_path / "t.csv"))
    plain = [explain(scores, columns, name, "Tm2").partition("</h3>")[2] for name in names["choices"]]
    assert len(set(plain)) == len(plain)
    for ids in (" same ", "1: same"):
        table.assign(id=ids).to_csv(tmp_path / "t.csv", index=False)
        *_, scores, columns, names = score("", str(tmp_path / "t.csv"))
        assert len(set(names["choices"])) == len(plain)
        assert names["choices"][1] == f"{scores.table['row'][1] + 1}: {ids.strip()}"
        assert plain == [explain(scores, columns, name, "Tm2").partition("</h3>")[2] for name in names["choices"]]
        assert "choose one of the list" in explain(scores, columns, "same", "Tm2")
