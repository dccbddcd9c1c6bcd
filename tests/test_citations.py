"""Citations of this package are links, and no text of a user is."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm import load_dataset
from antibody_esm.evaluation.intervals import CROSS_VALIDATION, SIMULATED
from antibody_esm.evaluation.thresholds import ASSAY_THRESHOLDS
from antibody_esm.reports.citations import DOIS, linked
from antibody_esm.reports.elements import sentence
from reporting import cross_validated

LINK = re.compile(
    r'<a href="(?:https://doi\.org/([^"]+)|https://jmlr\.org/papers/v5/grandvalet04a\.html)" rel="noreferrer">'
)


@pytest.mark.parametrize("name", ["boughter_flu_cdrs", "jain", "shehata", "harvey"])
def test_the_citation_of_a_public_set_is_a_link(name: str, request: pytest.FixtureRequest) -> None:
    if name != "boughter_flu_cdrs":
        request.getfixturevalue("published")
    citation = load_dataset(name).provenance.citation
    (doi,) = re.findall(r"doi:(\S+)", citation)
    assert f'<a href="https://doi.org/{doi}" rel="noreferrer">doi:{doi}</a>' in linked(citation)


def test_works_that_notes_cite_are_links() -> None:
    for text in (CROSS_VALIDATION, SIMULATED):
        assert len(LINK.findall(linked(text))) == len(re.findall(r"https?://|doi:", text))
    for assay in ASSAY_THRESHOLDS.values():
        assert not assay.tuned_on or assay.tuned_on in DOIS


@given(
    st.one_of(
        st.text(),
        st.sampled_from(sorted(DOIS)).map("doi:{}".format),
        st.text().map("doi:10.1234/{}".format),
        st.sampled_from(sorted(DOIS)).flatmap(lambda doi: st.text().map(lambda text: f"{text}doi:{doi}{text}")),
        st.just('https://jmlr.org/papers/v5/grandvalet04a.html"onclick="x'),
        st.just("javascript:alert(1) https://example.org doi:10.7554/eLife.61393/../evil"),
    )
)
def test_whatever_a_text_is_only_links_to_cited_works_come_of_it(text: str) -> None:
    for written in (linked(text), sentence(text)):
        rest = LINK.sub("", written).replace("</a>", "").replace("<span class='nobr'>", "").replace("</span>", "")
        assert "<" not in rest
        assert ">" not in rest
        assert '"' not in rest
        assert {doi for doi in LINK.findall(written) if doi} <= DOIS


def test_a_page_links_and_does_not_load(tmp_path: Path) -> None:
    text = cross_validated().to_html(tmp_path / "page.html").read_text()
    assert LINK.search(text)
    assert "default-src 'none'" in text
    assert not re.search(r"<(script|img|link|iframe|object|embed|form|base)\b", text)
