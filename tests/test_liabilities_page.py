"""The page on liabilities runs, and its table is the panel of the package."""

import json
import re
from pathlib import Path

from antibody_esm.design import LiabilityPanel
from conftest import ROOT

PAGE = ROOT / "docs" / "liabilities.md"


def link(source: str) -> str:
    if source.startswith("doi:"):
        return f"[{source}](https://doi.org/{source.removeprefix('doi:')})"
    return f"[{source}](https://pmc.ncbi.nlm.nih.gov/articles/{source})"


def markdown(panel: LiabilityPanel) -> str:
    """Return the rules of a panel as a table of the page."""
    lines = ["| liability | rule | chains | severity | source |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.kind} | `{row.rule}` | {row.chains} | {row.severity} | {link(row.source)} |"
        for row in panel.to_frame().itertuples()
    ]
    return "\n".join(lines)


def test_the_table_of_the_page_is_the_panel_of_the_package() -> None:
    expected = markdown(LiabilityPanel.built_in())
    assert expected in PAGE.read_text(encoding="utf-8"), f"the table is now:\n{expected}"


def test_the_panel_of_the_page_is_one(tmp_path: Path) -> None:
    (text,) = re.findall(r"^```json\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.S | re.M)
    (tmp_path / "mine.json").write_text(text)
    assert LiabilityPanel.read(tmp_path / "mine.json").name == json.loads(text)["name"]
