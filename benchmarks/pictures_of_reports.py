"""Pictures of reports, explanations and profiles for README and gallery, from real runs.

``python benchmarks/pictures_of_reports.py docs/assets embeddings`` trains on the public data sets, opens what the
package writes in Chromium, and stores parts of it as PNG, within some minutes. The page in the browser has pictures of
its own, by ``pictures_of_the_page.py``.
"""

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import needed
from antibody_esm import Panel, SplitSpec, Trainer, load_dataset, mutational_scan, residue_contributions
from antibody_esm.design import with_liabilities
from antibody_esm.profiles import profile_html
from antibody_esm.reports.grid import GridReport

TRASTUZUMAB = (
    "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
    "SRWGGDGFYAMDYWGQGTLVTVSS"
)
COLOURS = 48
SHARPNESS = 1.5
"""Pixels of a picture for each pixel of a page."""


def main(assets: Path, store: Path) -> None:
    from playwright.sync_api import sync_playwright

    chromium = needed.browser()
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        quickstart(folder, store)
        boughter(folder, store)
        jain(folder, store)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])

        def picture(page: str, selectors: str, target: str, width: int, scheme: str = "light") -> None:
            opened = browser.new_page(
                viewport={"width": width, "height": 900}, device_scale_factor=SHARPNESS, color_scheme=scheme
            )
            opened.goto((folder / page).as_uri())
            stored(opened.screenshot(full_page=True, clip=around(opened, selectors)), assets / target)
            opened.close()

        for scheme in ("light", "dark"):
            picture("quickstart.html", "header", f"report-{scheme}.png", 760, scheme)
        picture("boughter.html", "#s1 .figures", "baselines.png", 1000)
        picture("boughter.html", "#s2-2, #s2-3 .figures", "figures.png", 1000)
        picture("grid.html", "header", "comparison.png", 1000)
        picture("explained.html", "body > *", "contributions.png", 1140)
        picture("panel.html", "header", "panel.png", 1200)
        picture("profile.html", "header, section:nth-of-type(1)", "profile.png", 900)
        browser.close()
        for figure in ("scan", "curve"):
            stored((folder / f"{figure}.png").read_bytes(), assets / f"{figure}.png")


def quickstart(folder: Path, store: Path) -> None:
    """Write the report of the first lines of the README."""
    data = load_dataset("boughter_flu_cdrs")
    Trainer("antiberty", "logreg", store=store).cross_validate(data).to_html(folder / "quickstart.html")


def boughter(folder: Path, store: Path) -> None:
    """Write what is about heavy chains of Boughter et al., with clonal relatives in one fold."""
    data = load_dataset("boughter")
    trainers = [
        Trainer(model, "logreg", SplitSpec(by="identity"), store=store)
        for model in ("sapiens_vh", "descriptors", "antiberty")
    ]
    reports = [trainer.cross_validate(data) for trainer in trainers]
    reports[0].to_html(folder / "boughter.html")
    GridReport(reports).to_html(folder / "grid.html")
    predictor = trainers[0].fit(data)
    with_liabilities(residue_contributions(predictor, TRASTUZUMAB)).to_html(folder / "explained.html")
    scan = with_liabilities(mutational_scan(predictor, TRASTUZUMAB, positions="CDRs"))
    scan.plot().figure.savefig(folder / "scan.png", dpi=110, bbox_inches="tight")
    curve = trainers[1].learning_curve(data)
    curve.plot().figure.savefig(folder / "curve.png", dpi=110, bbox_inches="tight")


def jain(folder: Path, store: Path) -> None:
    """Write the report on four assays of clinical-stage antibodies, and the profile of B cells of Shehata et al."""
    trainer = Trainer("descriptors", "ridge", store=store)
    data = load_dataset("jain", label=["hic", "tm", "psr", "titer"], chain="paired")
    Panel.cross_validate(trainer, data).to_html(folder / "panel.html")
    others = load_dataset("shehata", chain="paired").subset(range(12))
    panel = Panel.fit(trainer, data)
    page = profile_html(panel.predict(others), panel, "12 antibodies of shehata")
    (folder / "profile.html").write_text(page, encoding="utf-8")


def around(page: Any, selectors: str) -> dict[str, float]:
    """Return the part of a page with all elements that match, and a margin."""
    boxes = [box for element in page.locator(selectors).all() if (box := element.bounding_box())]
    left, top = min(box["x"] for box in boxes), min(box["y"] for box in boxes)
    right, bottom = (max(box[a] + box[b] for box in boxes) for a, b in (("x", "width"), ("y", "height")))
    left, top = max(left - 12, 0), max(top - 12, 0)
    return {"x": left, "y": top, "width": right - left + 12, "height": bottom - top + 12}


def stored(png: bytes, path: Path) -> None:
    """Write a picture with few colours."""
    from PIL import Image

    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
