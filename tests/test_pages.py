"""The site and its pages: navigation, search from a folder, and facts that stand on several pages."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from conftest import ROOT, once

if TYPE_CHECKING:
    from playwright.sync_api import Browser

DOCS = ROOT / "docs"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TEXTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *DOCS.rglob("*.md"))
}
"""Pages by their path."""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, which was built with warnings as errors."""

    def build(folder: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder / "site")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            env=os.environ | {"NO_MKDOCS_2_WARNING": "true"},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "WARNING" not in done.stderr

    return once("site", tmp_path_factory, build) / "site"


def test_the_site_builds_without_warnings_and_loads_nothing_from_elsewhere(site: Path) -> None:
    assert (site / "index.html").exists()
    configuration = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "font: false" in configuration
    for page in site.rglob("*.html"):
        loaded = re.findall(r'<(?:script|img|iframe)[^>]* src="([^"]+)"', page.read_text(encoding="utf-8"))
        loaded += re.findall(r'<link[^>]* rel="stylesheet"[^>]* href="([^"]+)"', page.read_text(encoding="utf-8"))
        assert not [url for url in loaded if re.match(r"(https?:)?//", url)], page.name


def test_the_search_works_in_a_site_that_is_opened_from_a_folder(site: Path, browser: "Browser") -> None:
    page = browser.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    for start in ("index.html", "data/index.html"):
        page.goto((site / start).as_uri())
        page.locator("input.md-search__input").click()
        page.locator("input.md-search__input").press_sequentially("nanobodies")
        page.locator(".md-search-result__link").first.wait_for()
        links = [link.get_attribute("href") or "" for link in page.locator(".md-search-result__link").all()]
        assert (site / "nanobodies.html").as_uri() in links
    page.close()
    assert [url for url in requests if not url.startswith("file:")] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_a_phone(site: Path, browser: "Browser", scheme: Any) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    for name in ("index", "gallery", "own-table", "choosing", "faq"):
        page.goto((site / f"{name}.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        broken = "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
        assert page.evaluate(broken) == []
    page.close()


def test_the_prompt_of_a_shell_is_not_copied(site: Path, browser: "Browser") -> None:
    page = browser.new_page()
    page.goto((site / "index.html").as_uri())
    block = page.locator(".highlight code").first
    block.evaluate("element => element.setAttribute('data-md-copying', '')")  # as the theme does while it copies
    assert block.evaluate("element => element.innerText").strip() == 'pip install ".[quickstart]"'
    page.close()


def test_pictures_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (DOCS / "assets").iterdir()}
    assert {name: size for name, size in sizes.items() if size > 150_000} == {}
    assert sum(sizes.values()) < 1_500_000


def groups(entries: list[Any]) -> list[list[Any]]:
    """Return all groups of a navigation."""
    below = [value for entry in entries if isinstance(entry, dict) for value in entry.values()]
    return [entries, *(group for value in below if isinstance(value, list) for group in groups(value))]


def test_the_navigation_has_groups_of_at_most_seven() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    entries = yaml.safe_load(text[text.index("nav:") : text.index("# The index of decisions")])["nav"]
    assert [group for group in groups(entries) if len(group) > 7] == []


def slug(heading: str) -> str:
    """Return the anchor of a heading, as Python-Markdown makes it."""
    text = re.sub(r"\[([^]]+)\]\([^)]*\)|`", r"\1", heading).lower()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", text).strip())


def test_every_link_of_the_readme_leads_to_a_file_and_a_heading() -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS["README.md"]):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not anchor or anchor in {slug(line) for line in re.findall(r"^#+ (.*)$", text, flags=re.M)}, target


def test_the_citation_is_of_this_version_and_licence_and_makes_up_no_doi() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "authors", "title"} <= set(citation)
    assert (citation["title"], citation["version"]) == (PROJECT["name"], PROJECT["version"])
    assert citation["license"] == PROJECT["license"]
    assert not {"doi", "identifiers", "preferred-citation"} & set(citation)
    page = TEXTS["docs/cite.md"]
    assert f"version = {{{PROJECT['version']}}}" in page
    assert citation["authors"][0]["name"] in page.replace("\\_", "_")
