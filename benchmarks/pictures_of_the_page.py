"""Pictures of the page in the browser for the documentation, from a real model of the bundled antibodies.

``python benchmarks/pictures_of_the_page.py docs/assets embeddings`` trains AntiBERTy and logistic regression on
``boughter_flu_cdrs``, opens the page in Chromium, and writes ``page-scores.png``,
``page-liabilities.png`` and ``page-proposals.png``.
"""

import io
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import needed

TRASTUZUMAB = (
    "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYC"
    "SRWGGDGFYAMDYWGQGTLVTVSS|"
    "DIQMTQSPSSLSASVGDRVTITCRASQDVNTAVAWYQQKPGKAPKLLIYSASFLYSGVPSRFSGSRSGTDFTLTISSLQPEDFATYYCQQHYTTPPTFGQGTKVEIK"
)
PORT = 7861
WIDTH = 1280
PATIENCE = 300


def main(assets: Path, store: Path) -> None:
    from playwright.sync_api import sync_playwright

    from antibody_esm import Trainer, load_dataset

    chromium = needed.browser()
    with tempfile.TemporaryDirectory() as name:
        model = Trainer("antiberty", "logreg", store=store).fit(load_dataset("boughter_flu_cdrs")).save(Path(name))
        command = [sys.executable, "-m", "antibody_esm.cli.app", "app", "-m", str(model), "--port", str(PORT)]
        server = subprocess.Popen([*command, "-s", str(store.resolve())], stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            assert "Ctrl-C" in server.stdout.readline()  # its address
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                page = browser.new_page(viewport={"width": WIDTH, "height": 1600})
                page.set_default_timeout(1000 * PATIENCE)
                page.goto(f"http://127.0.0.1:{PORT}/")
                scores(page, assets)
                liabilities(page, assets)
                proposals(page, assets)
                browser.close()
        finally:
            server.terminate()
            server.wait(PATIENCE)


def scores(page: Any, assets: Path) -> None:
    page.locator("#example").click()
    page.locator("#text textarea").filter(has_text="").wait_for()
    page.wait_for_function("document.querySelector('#text textarea').value.startsWith('>')")
    page.locator("#score").click()
    page.locator("#scores button").first.click()
    page.locator("#picture h3").wait_for()
    written(page, "#score", "#picture", assets / "page-scores.png")


def liabilities(page: Any, assets: Path) -> None:
    page.locator("#text textarea").fill(f">trastuzumab\n{TRASTUZUMAB}")
    page.get_by_role("tab", name="Liabilities").click()
    page.locator("#search").click()
    page.locator("#liabilities table").first.wait_for()
    written(page, "[role=tablist]", "#liabilities", assets / "page-liabilities.png")


def proposals(page: Any, assets: Path) -> None:
    page.get_by_role("tab", name="Proposals").click()
    page.locator("#parent textarea").fill(TRASTUZUMAB)
    page.locator("#size input").fill("6")
    page.locator("#candidates input").fill("100")
    page.locator("#propose").click()
    page.locator("#variants").wait_for()
    page.locator("#download-fasta").wait_for()
    written(page, "[role=tablist]", "#download-fasta", assets / "page-proposals.png")


def written(page: Any, first: str, last: str, path: Path) -> None:
    """Write the part of the page from one element to another, with 64 colours."""
    from PIL import Image

    time.sleep(1)  # the table is laid out twice
    top = page.locator(first).first.bounding_box()["y"]
    box = page.locator(last).bounding_box()
    clip = {"x": 0, "y": top, "width": WIDTH, "height": box["y"] + box["height"] - top + 10}
    picture = Image.open(io.BytesIO(page.screenshot(full_page=True, clip=clip)))
    picture.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
