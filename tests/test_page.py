"""The page of a report, read as text and in a browser."""

import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page

from antibody_esm import Dataset, DescriptorSpec, ExtractorSpec, SplitSpec, TrainSpec
from antibody_esm.data.dataset import Provenance
from antibody_esm.evaluation.intervals import short
from antibody_esm.evaluation.metrics import METRIC
from antibody_esm.reports.grid import GridReport
from antibody_esm.reports.page import page
from antibody_esm.reports.report import Report, evaluation_report
from effort import PATIENCE, STRESS
from reporting import CHARGES, LOGREG, antibodies, cross_validated, held_out

LENGTHS = DescriptorSpec(descriptors=("length",))
OTHER = antibodies(50, seed=1, source="another lab: its table")
FEW = antibodies(90, 7, seed=3)
REPORTS = {
    "cross-validation": lambda: [cross_validated()],
    "few": lambda: [held_out(FEW)],
    "values": lambda: [cross_validated(antibodies(continuous=True), "ridge")],
    "grid": lambda: [cross_validated(), cross_validated(extractor=LENGTHS), held_out(OTHER), held_out(FEW)],
}
FIGURES = {
    "cross-validation": 1 + 2 + 2 + 3 + 2 + 1 + 1,
    "few": 1 + 2 + 2 + 3 + 2 + 1,
    "values": 1 + 2 + 2 + 2 + 1,
    "grid": 1 + 3 * 2 + 4 * 8 + 2,
}
"""Verdict, result, ranking, decisions, families and identity, one measurement, map of a cross-validation."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


def written(name: str, folder: Path) -> Path:
    path = folder / f"{name}.html"
    return path if path.exists() else GridReport(REPORTS[name]()).to_html(path)


every = pytest.mark.parametrize("name", REPORTS)


class Visit:
    """A page in the browser, with all it said and asked for."""

    def __init__(self, browser: Browser, path: Path, width: int = 1280, scheme: str = "light") -> None:
        self.page: Page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
        self.said: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")


@every
def test_a_page_says_nothing_and_asks_for_nothing(name: str, browser: Browser, folder: Path) -> None:
    path = written(name, folder)
    visit = Visit(browser, path)
    visit.page.wait_for_load_state("networkidle")
    assert visit.said == []
    assert visit.requests == [path.as_uri()]


def test_what_a_page_asks_for_is_seen_and_its_policy_forbids_it(browser: Browser, folder: Path) -> None:
    text = written("few", folder).read_text()
    loads = "<img src='picture.png'><script>document.title = 'run'</script>"
    (folder / "forbidden.html").write_text(text.replace("</body>", f"{loads}</body>"))
    forbidden = Visit(browser, folder / "forbidden.html")
    assert len(forbidden.said) == 2
    assert all("Content Security Policy" in one for one in forbidden.said)
    assert forbidden.page.title() != "run"
    without = re.sub(r"<meta http-equiv=.*?>\n", "", text, flags=re.S)
    (folder / "allowed.html").write_text(without.replace("</body>", f"{loads}</body>"))
    allowed = Visit(browser, folder / "allowed.html")
    assert len(allowed.requests) == 2
    assert allowed.page.title() == "run"


@every
def test_every_figure_is_there_with_a_size_a_name_and_no_letter_outside(
    name: str, browser: Browser, folder: Path
) -> None:
    visit = Visit(browser, written(name, folder))
    found = visit.page.evaluate(
        """[...document.querySelectorAll('svg')].map(svg => {
            const box = svg.getBoundingClientRect();
            const outside = [...svg.querySelectorAll('text')].filter(text => {
                const one = text.getBoundingClientRect();
                return one.left < box.left - 2 || one.right > box.right + 2 || one.top < box.top - 2 ||
                    one.bottom > box.bottom + 2;
            }).map(text => text.textContent);
            const drawn = svg.querySelectorAll('path, use').length;
            return {width: box.width, height: box.height, told: svg.getAttribute('aria-label'), outside, drawn};
        })"""
    )
    assert len(found) == FIGURES[name]
    for one in found:
        assert one["width"] > 250, one
        assert one["height"] > 100, one
        assert one["drawn"] > 5, one
        assert one["told"], one
        assert one["outside"] == [], one


@every
@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_need_not_scroll_sideways(name: str, width: int, browser: Browser, folder: Path) -> None:
    visit = Visit(browser, written(name, folder), width)
    assert visit.page.evaluate("document.documentElement.scrollWidth") == width
    smallest = visit.page.evaluate(
        """Math.min(...[...document.querySelectorAll('svg')].map(
            svg => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width))"""
    )
    assert smallest > 0.75, "letters of 9 points stay readable"


def colours(visit: Visit) -> tuple[str, str, str]:
    return tuple(
        visit.page.evaluate(
            """[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color,
                getComputedStyle(document.querySelector('svg text')).fill]"""
        )
    )


def luminance(colour: str) -> float:
    parts = [int(one) / 255 for one in re.findall(r"\d+", colour)[:3]]
    linear = [one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_is_read_in_light_and_in_dark_and_prints_light(scheme: str, browser: Browser, folder: Path) -> None:
    visit = Visit(browser, written("cross-validation", folder), scheme=scheme)
    paper, *inks = map(luminance, colours(visit))
    assert (paper < 0.05) == (scheme == "dark")
    for ink in inks:
        contrast = (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05)
        assert contrast > 7, "WCAG, level AAA"
    visit.page.emulate_media(media="print")
    paper, *inks = map(luminance, colours(visit))
    assert paper > 0.9
    assert max(inks) < 0.05


def test_all_colours_of_figures_are_those_of_the_page(folder: Path) -> None:
    for name in REPORTS:
        drawn = "".join(re.findall(r"<svg.*?</svg>", written(name, folder).read_text(), flags=re.S))
        assert not re.findall(r"(?:fill|stroke): #\w+", drawn), name


def test_it_prints_on_paper(browser: Browser, folder: Path) -> None:
    content = Visit(browser, written("cross-validation", folder)).page.pdf(format="A4")
    assert content.startswith(b"%PDF")
    closed = browser.new_page()
    closed.goto(written("cross-validation", folder).as_uri())
    hidden = "document.querySelector('details pre, details dl').checkVisibility({contentVisibilityAuto: true})"
    assert not closed.evaluate(hidden)
    closed.emulate_media(media="print")
    until = time.monotonic() + PATIENCE
    while not closed.evaluate(hidden):  # what is folded away on a screen is on paper, once it is drawn
        assert time.monotonic() < until
        closed.wait_for_timeout(50)
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 12


@every
def test_headings_are_in_order_and_ids_are_distinct(name: str, folder: Path) -> None:
    text = written(name, folder).read_text()
    levels = [int(one) for one in re.findall(r"<h([1-6])>", text)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', text)) <= set(ids)


@pytest.mark.parametrize("name", ["cross-validation", "few", "values"])
def test_the_numbers_of_the_page_are_those_of_the_report(name: str, browser: Browser, folder: Path) -> None:
    (report,) = REPORTS[name]()
    visit = Visit(browser, written(name, folder))
    rows = visit.page.evaluate(
        "[...document.querySelectorAll('tr')].map(row => [...row.children].map(cell => cell.innerText))"
    )
    table = {row[0].split(" less")[0]: row[1:] for row in rows}
    for metric in report.shown:
        mean, low, high = (report.to_frame().loc[metric].iloc[i] for i in (-4 if name != "few" else -3, -2, -1))
        shown = table[METRIC[metric].title]
        assert shown[0] == short(mean, 3)
        assert shown[-2] == (f"[{short(low)}, {short(high)}]" if np.isfinite(low) else "unknown")
    pipeline = table[report.pipeline]
    assert pipeline[0].split()[0] == short(np.mean(report.scores[report.metric]), 3)
    for title, one in ((report.baseline_title(key), one) for key, one in report.baselines.found.items()):
        assert table[title][0].split()[0] == short(one.intervals[report.metric].estimate, 3)
    said = visit.page.inner_text("body")
    verdict = report.comparisons[0]
    assert verdict.sentence(subject=False, test=False) == visit.page.inner_text(".verdict")
    assert verdict.test[1:] in said
    for one in report.remarks:
        assert one in said


def test_a_page_of_seven_positives_has_no_accuracy_and_says_how_wide_the_interval_is(folder: Path) -> None:
    text = written("few", folder).read_text()
    assert ">accuracy<" not in text
    assert "Only 7 of 90 antibodies are positive" in text
    assert "interval" in re.findall(r"<p class='warn'>(.*?)</p>", text)[0]
    assert ">accuracy<" in written("cross-validation", folder).read_text()


def test_the_page_says_where_the_data_come_from_and_how_to_repeat_it(folder: Path) -> None:
    (report,) = REPORTS["few"]()
    text = written("few", folder).read_text()
    for one in (report.data.digest, report.training.digest, report.spec.fingerprint, "scikit-learn", "antibody-train"):
        assert one in text
    assert "opened once" in text
    assert "sequences of both sets" in text, "overlap of training and test set"
    assert "contradictory labels" in text


def test_the_same_results_give_the_same_bytes_in_any_process(folder: Path) -> None:
    program = (
        "from reporting import *; from antibody_esm.reports.grid import GridReport; "
        f"GridReport([held_out(antibodies(90, 7, seed=3))]).to_html({str(folder / 'again.html')!r})"
    )
    here = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = os.environ | {"PYTHONPATH": here, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    assert (folder / "again.html").read_bytes() == written("few", folder).read_bytes()


class Tags(HTMLParser):
    """What a page consists of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[tuple[str, tuple[str, ...]]] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add((tag, tuple(sorted(name for name, _ in attrs))))

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile(word: str) -> Report:
    """Return a report in which everything that users name has a name of theirs."""
    data = antibodies(20, seed=6)
    known = Provenance(
        word, rule=word, citation=word, licence=word, sha256={word: word}, counts={word: 3}, dropped={"x": word}
    )
    named = Dataset(
        ids=[f"{word}{i}" for i in range(20)],
        heavy=data.heavy,
        label=data.label,
        groups=[word, "b"] * 10,
        measurements={f"{word} ": np.arange(20.0)},
        provenance=known,
        fragment="H-CDRs",
    )
    probability = np.linspace(0, 1, 20)
    spec = TrainSpec(extractor=ExtractorSpec(model=f"m{word}"))
    return evaluation_report(spec, named, (probability > 0.5).astype(int), probability, (word,))


@pytest.fixture(scope="module")
def harmless() -> Tags:
    return Tags(page(GridReport([hostile("plain")])))


@settings(max_examples=60 if STRESS else 2)  # beside the four examples
@given(st.text(min_size=1, max_size=20))
@example("<script>alert(1)</script>")
@example("</style></svg><img src=x onerror=alert(1)>")
@example("\"' onload='x' & $x^2$ \\frac {}")
@example("]]> --> <!-- \x00\x1b\u202e 抗体 \U0001f9ec")
def test_names_of_users_are_text_and_nothing_else(harmless: Tags, word: str) -> None:
    text = page(GridReport([hostile(word)]))
    found = Tags(text)
    assert found.tags <= harmless.tags | {("details", ()), ("summary", ())}
    assert "<script" not in text
    repr_html = Tags(hostile(word)._repr_html_())
    assert {tag for tag, _ in repr_html.tags} <= {"h3", "p", "strong", "table", "thead", "tbody", "tr", "th", "td"}


def test_names_of_users_are_shown_as_they_are(browser: Browser, tmp_path: Path) -> None:
    word = '<b>a & b</b> $x_1$ id="#0072b2"'
    hostile(word).to_html(tmp_path / "page.html")
    visit = Visit(browser, tmp_path / "page.html")
    assert visit.said == []
    assert word in visit.page.inner_text("header")
    assert word in visit.page.locator("svg").evaluate_all("all => all.map(one => one.textContent).join('|')")


def test_repeats_and_a_report_without_baselines_have_a_page() -> None:
    report = cross_validated(split=SplitSpec(folds=3, repeats=2))
    assert "3 stratified folds, 2 times" in page(GridReport([report]))
    alone = replace(held_out(FEW), training=None)
    text = page(GridReport([alone]))
    assert "Without any baseline" in text
    assert "by identity" not in text


def test_two_fragments_are_named_in_the_tables() -> None:
    data = antibodies()
    parts = [replace(data, heavy=[one[:12] for one in data.heavy], fragment="H-CDR1"), replace(data, fragment="H-CDR3")]
    text = page(GridReport([cross_validated(one, LOGREG, SplitSpec(folds=4), CHARGES) for one in parts]))
    assert "<td>H-CDR1</td>" in text
    assert "<td>H-CDR3</td>" in text


@every
def test_a_page_opens_with_the_verdict_then_the_split_then_contents_that_a_keyboard_reaches(
    name: str, browser: Browser, folder: Path
) -> None:
    visit = Visit(browser, written(name, folder))
    said = visit.page.inner_text("body")
    grid = GridReport(REPORTS[name]())
    verdict = visit.page.inner_text(".verdict")
    places = [said.index(part) for part in (verdict, grid.columns[0].first.counts, "CONTENTS")]
    assert places == sorted(places)
    top = "document.querySelector('%s').getBoundingClientRect().top"
    assert visit.page.evaluate(top % "svg") < visit.page.evaluate(top % "nav")
    links = visit.page.locator("nav a")
    assert links.count() >= 5
    for number in range(links.count()):
        links.nth(number).focus()
        visit.page.keyboard.press("Enter")
        heading = visit.page.locator(":target").locator(":is(h2, h3)").first
        assert heading.inner_text() == links.nth(number).inner_text()
    assert visit.said == []
