"""The page for newcomers, keyboards and screen readers: examples, names of classes, tables, and what axe-core finds."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect

from antibody_esm import Dataset, DescriptorSpec, ExtractorSpec, Panel, Predictor, Trainer, load_dataset
from antibody_esm.cli.web_examples import _NANOBODIES, _PAIRS, examples
from antibody_esm.cli.web_rows import SHOWN_ROWS, table_html
from antibody_esm.cli.web_tables import shown
from antibody_esm.cli.web_words import class_names, in_front, legend, with_class_names
from antibody_esm.data.reading import Reading
from antibody_esm.testing import tiny_checkpoint
from antibody_esm.trained_on import TrainedOn
from chains import HEAVY, LIGHT, NANOBODY, mutants
from effort import PATIENCE
from needed import axe, leave
from test_web import HOSTILE, serving

HEAVIES = mutants(HEAVY, 40, 12)
expect.set_options(timeout=1000 * PATIENCE / 5)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("access")
    frame = pd.DataFrame({"id": range(40), "heavy": HEAVIES, "polyreactivity": [i % 2 for i in range(40)]})
    data = load_dataset(frame, label="polyreactivity")
    extractor = ExtractorSpec(model=str(tiny_checkpoint("esm", folder / "esm", layers=1, head=True)))
    return Trainer(extractor, "logreg").fit(data).save(folder / "model")


@pytest.fixture(scope="module")
def port(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with serving(saved, tmp_path_factory.mktemp("server")) as port:
        yield port


def opened(browser: Browser, port: int, width: int, scheme: str) -> Page:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(f"http://127.0.0.1:{port}/")
    expect(page.locator("#score")).to_be_visible()
    return page


OF_GRADIO: dict[str, str] = {}
"""Ids of rules that Gradio's own parts break, with the reason why they cannot be mended here; none today."""


def found(page: Page) -> list[str]:
    """Return the serious and critical findings of axe-core that stay, but for those of Gradio's own parts.

    Gradio dims a part while its function runs, and lets it fade in, so that findings are looked for again.
    """
    script = axe()
    if script is None:
        leave("axe")
    page.evaluate(script.read_text(encoding="utf-8"))
    findings: list[str] = []
    for _ in range(20):
        result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert len(result["passes"]) > 10, "it has run"
        findings = [
            f"{each['id']}: {[node['html'][:120] for node in each['nodes']]}"
            for each in result["violations"]
            if each["impact"] in ("serious", "critical") and each["id"] not in OF_GRADIO
        ]
        if not findings:
            return []
        page.wait_for_timeout(250)
    return findings


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "light"), (1280, "dark")])
def test_axe_has_no_serious_finding_and_nothing_is_wider_than_the_window(
    width: int, scheme: str, browser: Browser, port: int
) -> None:
    page = opened(browser, port, width, scheme)
    assert found(page) == []
    page.locator("#example").click()
    expect(page.locator("#text textarea")).to_have_value(re.compile(">trastuzumab\nEVQL"))
    page.locator("#score").click()
    expect(page.locator("#message")).to_contain_text("Antibodies scored: 3;")
    page.locator("#scores button", has_text="Scan").first.click()
    expect(page.locator("#heat img")).to_be_visible()
    expect(page.locator("#mutations")).to_contain_text("mutation")
    page.locator("#scores summary").click()
    assert found(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for tab, button, result in (("Liabilities", "#search", "#liabilities table"), ("Proposals", "", "#propose")):
        page.get_by_role("tab", name=tab).click()
        if button:
            page.locator(button).click()
        expect(page.locator(result).first).to_be_visible()
        assert found(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_the_test_of_findings_can_fail(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content("<html lang=en><title>t</title><main><img src=x><button></button><p>text</p></main>" * 1)
    if axe() is None:
        leave("axe")
    page.evaluate(axe().read_text(encoding="utf-8"))  # type: ignore[union-attr]
    result = page.evaluate("axe.run(document)")
    assert {"image-alt", "button-name"} <= {each["id"] for each in result["violations"]}
    page.close()


def test_an_antibody_is_explained_and_scanned_by_the_keyboard_alone(browser: Browser, port: int) -> None:
    page = opened(browser, port, 1280, "light")
    page.locator("#text textarea").fill(f">{HOSTILE}\n{HEAVIES[0]}\n>second\n{HEAVIES[1]}\n")
    page.locator("#score").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#scores button")).to_have_count(4)
    assert page.locator("#scores img").count() == 0
    button = page.get_by_role("button", name="Explain second", exact=True)
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#picture h3")).to_have_text("second")
    expect(page.locator("#heat")).to_have_count(0)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#heat img")).to_be_visible()
    heads = page.locator("#scores th")
    assert heads.all_inner_texts()[:4] == ["row", "id", "class", "calibrated probability"]
    assert heads.nth(3).get_attribute("title")
    region = page.get_by_role("region", name="Scores")
    assert region.get_attribute("tabindex") == "0"
    classes = set(page.locator("#scores [data-col='2']").all_inner_texts())
    assert classes <= {"specific", "polyreactive"}
    expect(page.locator("#legend")).to_contain_text("polyreactive is class 1")
    page.close()


# --- examples --------------------------------------------------------------------------------------------------------

KINDS = {
    "VH": Reading("heavy", "VH"),
    "light": Reading("light", "VL"),
    "pair": Reading("paired", "VH+VL"),
    "CDRs": Reading("heavy", "H-CDRs", lengths=((25, 60),)),
    "nanobody": Reading("heavy", "VHH", species=("human", "mouse", "alpaca")),
}


@pytest.mark.parametrize("kind", KINDS)
def test_examples_are_of_the_kind_that_the_model_reads(kind: str) -> None:
    reading = KINDS[kind]
    text = examples(reading)
    rows = [row.split("\n")[:2] for row in text.split(">")[1:]]
    assert [name for name, _ in rows] == list(_NANOBODIES if kind == "nanobody" else _PAIRS)
    assert reading.verify([sequence for _, sequence in rows]).reasons == {}
    assert all(("|" in sequence) == (kind == "pair") for _, sequence in rows)


def test_a_training_antibody_is_no_example() -> None:
    def names(text: str) -> list[str]:
        return [line[1:] for line in text.splitlines() if line.startswith(">")]

    heavy, light = _PAIRS["trastuzumab"]
    assert names(examples(KINDS["VH"], [str(heavy)])) == ["adalimumab", "bococizumab"]
    assert names(examples(KINDS["pair"], [f"{heavy}|{light}"])) == ["adalimumab", "bococizumab"]
    loops = KINDS["CDRs"].read([(heavy, None)]).accepted
    assert names(examples(KINDS["CDRs"], loops)) == ["adalimumab", "bococizumab"]


def test_the_sequences_of_the_examples_are_the_published_ones() -> None:
    assert _PAIRS["trastuzumab"] == (HEAVY, LIGHT)
    assert all(len(Reading("paired", "VH+VL").read([pair]).accepted) == 1 for pair in _PAIRS.values())


# --- words and tables ------------------------------------------------------------------------------------------------


def facts(label: str | None) -> TrainedOn:
    return TrainedOn("a table", "0" * 64, 90, "heavy", None, 30, label)


@pytest.mark.parametrize(
    ("label", "names"),
    [
        ("polyreactivity", ("specific", "polyreactive")),
        ("Polyspecificity score", ("specific", "polyspecific")),
        ("non_specific", ("specific", "non-specific")),
        ("elisa", ("elisa negative", "elisa positive")),
        (None, ("class 0", "class 1")),
    ],
)
def test_classes_have_the_names_of_the_label(label: str | None, names: tuple[str, str]) -> None:
    assert class_names(facts(label)) == names


def test_one_probability_is_in_front_and_all_numbers_are_there_on_demand(saved: Path) -> None:
    predictor = Predictor.load(saved)
    table = predictor.score_table([HEAVIES[0], NANOBODY]).assign(row=[0, 1], id=["a", "b"])
    names = class_names(predictor.data)
    front: Any = shown(in_front(table, names))
    every = shown(with_class_names(table, names))
    assert [name for name in front if "probability" in name] == ["calibrated probability"]
    assert {"raw probability", "calibrated", "class"} <= set(every.columns)
    assert set(front["class"]) <= {"specific", "polyreactive"}
    assert "0" not in list(front["not ruled out"])
    assert legend(predictor).index("specific") < legend(predictor).index("polyreactive")


def test_without_calibration_the_only_probability_is_in_front() -> None:
    data = Dataset([f"a{i}" for i in range(40)], HEAVIES, label=[i % 2 for i in range(40)])
    predictor = Trainer(DescriptorSpec(), "logreg").fit(data, uncertainty=False)
    table = predictor.score_table(HEAVIES[:2]).assign(row=[0, 1], id=["a", "b"])
    assert in_front(table, ("no", "yes"))["probability"].tolist() == [f"{each:.2f}" for each in table["probability"]]


@pytest.mark.parametrize("text", [HOSTILE, "${alert(1)}", "{{constructor}}", "`x`", "'onmouseover=alert(1)", '"x'])
def test_texts_of_a_table_are_neither_tags_nor_templates(text: str) -> None:
    table = table_html(pd.DataFrame({"row": ["0"], "id": [text], "class": [text]}), "Scores", actions=("explain",))
    cells = re.sub(r"&#?\w+;", "", table)
    assert text not in table
    assert not {"$", "{", "}", "`"} & set(cells)
    assert "<img" not in cells
    assert len(re.findall("<td", cells)) == 4
    assert "'onmouseover" not in table


def test_a_long_table_is_cut_and_says_so() -> None:
    table = table_html(pd.DataFrame({"row": range(SHOWN_ROWS + 1)}), "Scores")
    assert table.count("<tr>") == SHOWN_ROWS + 1, "with its head"
    assert f"The first {SHOWN_ROWS} rows are shown; the download has all." in table


def test_the_page_of_a_panel_has_examples_and_names_to_choose(
    tmp_path: Path, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    frame = pd.DataFrame({"id": range(40), "heavy": HEAVIES, "HIC": range(40), "Tm2": range(40, 0, -1)})
    data = load_dataset(frame, label=["HIC", "Tm2"], higher_is_better={"HIC": False, "Tm2": True})
    Panel.fit(Trainer(DescriptorSpec(), "ridge"), data, uncertainty=False).save(tmp_path / "panel")
    with serving(tmp_path / "panel", tmp_path_factory.mktemp("server")) as port:
        page = opened(browser, port, 1280, "light")
        page.locator("#example").click()
        expect(page.locator("#text textarea")).to_have_value(re.compile(">trastuzumab"))
        page.locator("#score").click()
        expect(page.locator("#profile")).to_contain_text("bococizumab")
        expect(page.locator("#name input")).to_have_value("trastuzumab")
        page.locator("#explain").click()
        expect(page.locator("#picture h3")).to_have_text("trastuzumab, HIC")
        assert found(page) == []
        page.close()


# --- the browser -----------------------------------------------------------------------------------------------------


def ended(process: "subprocess.Popen[Any]") -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE)


@pytest.mark.parametrize("options", [(), ("--no-browser",)])
def test_the_page_opens_in_the_browser_of_a_terminal_unless_it_must_not(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    data = Dataset([f"a{i}" for i in range(40)], HEAVIES, label=[i % 2 for i in range(40)])
    Trainer(DescriptorSpec(), "logreg").fit(data, uncertainty=False).save(tmp_path / "model")
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    mine, theirs = pty.openpty()
    command = [sys.executable, "-m", "antibody_esm.cli.app", "app", "-m", "model", "--port", "0", *options]
    environment = os.environ | {"BROWSER": f"{browser} %s"}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=theirs, stderr=subprocess.DEVNULL)
    os.close(theirs)
    try:
        text, until = b"", time.monotonic() + PATIENCE
        while b"Ctrl-C" not in text:
            assert select.select([mine], [], [], PATIENCE)[0]
            text += os.read(mine, 1000)
        while not (tmp_path / "opened").exists() and not options:
            assert time.monotonic() < until
            time.sleep(0.05)
    finally:
        ended(process)
        os.close(mine)
    address = re.search(rb"(http://127.0.0.1:[1-9]\d+) \(Ctrl-C ends it\)", text)
    assert address is not None
    if options:
        assert not (tmp_path / "opened").exists()
    else:
        assert (tmp_path / "opened").read_text() == f"{address[1].decode()}\n"
