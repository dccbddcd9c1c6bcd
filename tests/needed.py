"""Programs and files that tests need and no Python package holds: a browser, mmseqs2 and the published data files.

``make test`` runs this file first: it installs what is missing. Tests find the same things by the same functions; see
`leave` for a test whose part is missing.
"""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import platformdirs
import pytest

from antibody_esm import DatasetError
from antibody_esm.data.downloads import VARIABLE, download, registry

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "microsoft-edge-stable",
    "msedge",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
"""Names and paths of Chromium and of browsers that are built from it."""
BESIDE = Path(__file__).parent.parent.parent / "shared" / "data"
DOWNLOADS = platformdirs.user_cache_path("antibody_esm") / "data"
"""Folder of downloads, which are there from the first time on; read before tests move the user's cache."""
FURTHER = Path(__file__).parent / "published.txt"
"""List of files that only tests read, in the format of the package's own list."""
MISSING = "not tested: "
"""Begin of the reason of a skipped test whose part is missing; the last lines of a run list these reasons."""
REASONS = {
    "ablang2": "the package ablang2 is absent (pip install -e '.[dev]')",
    "axe": "the package axe-playwright-python is absent (pip install -e '.[dev]')",
    "browser": "no Chromium, Chrome or Edge reads the pages (Debian: apt-get install chromium)",
    "mmseqs": "no mmseqs2 to compare clusters with (Debian: apt-get install mmseqs2)",
    "published": f"the published files of the data sets are absent; {VARIABLE} names their folder",
}


def leave(part: str) -> NoReturn:
    """Skip a test, or fail in continuous integration, where a skipped test proves nothing."""
    (pytest.fail if "CI" in os.environ else pytest.skip)(f"{MISSING}{REASONS[part]}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in the last lines what was not tested because a program or a file is missing."""
    reasons = Counter(
        reason.removeprefix("Skipped: ")
        for report in terminalreporter.getreports("skipped")
        if isinstance(report.longrepr, tuple)
        and (reason := report.longrepr[2]).removeprefix("Skipped: ").startswith(MISSING)
    )
    for reason, tests in reasons.items():
        terminalreporter.write_line(f"{tests} tests skipped, {reason}", yellow=True)


@cache
def browser() -> str | None:
    """Return the path of a browser that starts: of the system, or of playwright."""
    paths = [path for name in BROWSERS if (path := shutil.which(name))]
    return next((path for path in (*paths, *_of_playwright()) if _starts(path)), None)


def mmseqs() -> str | None:
    """Return the path of mmseqs2."""
    return shutil.which("mmseqs")


def ablang2() -> bool:
    """Return whether the package ablang2 is installed."""
    return find_spec("ablang2") is not None


def axe() -> Path | None:
    """Return the script of axe-core, which tests pages for people who use keyboards and screen readers."""
    spec = find_spec("axe_playwright_python")
    folder = None if spec is None or spec.origin is None else Path(spec.origin).parent
    return None if folder is None else folder / "axe.min.js"


def published() -> Path | None:
    """Return the folder of all published files that tests read."""
    named = os.environ.get(VARIABLE)
    for folder in (Path(named),) if named else (BESIDE, DOWNLOADS):
        if all((folder / name).is_file() for name in files()):
            return folder
    return None


def files() -> dict[str, tuple[str, str]]:
    """Return digest and address of each published file that tests read."""
    rows = (line.split() for line in FURTHER.read_text(encoding="ascii").splitlines())
    return registry() | {name: (sha256.removeprefix("sha256:"), url) for name, sha256, url in rows}


def _of_playwright() -> Iterator[str]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    if Path(path).is_file():
        yield path


def _starts(path: str) -> bool:
    """Return whether a program starts; a package's stub and a browser without its libraries do not."""
    if sys.platform == "win32":  # where a browser opens a window instead
        return True
    return subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0


def _run(*command: str) -> None:
    print("+", *command, flush=True)  # noqa: T201
    environment = os.environ | {"PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT": "10000", "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(command, env=environment, check=False)


def _debian(package: str) -> None:
    """Install a package of Debian, if this is Debian and the user is root."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        _run("apt-get", "update", "-qq")
        _run("apt-get", "install", "-y", "-qq", package)


def _download() -> None:
    """Download the published files from their sources, until one is not to be had."""
    os.environ.pop(VARIABLE, None)
    for name, (sha256, url) in files().items():
        try:
            download(name, url, sha256)
        except DatasetError as error:
            print(error)  # noqa: T201
            return


def main() -> None:
    """Install what is missing."""
    if browser() is None:
        _run(sys.executable, "-m", "playwright", "install", "chromium")
        browser.cache_clear()
    if browser() is None:
        _debian("chromium")
        browser.cache_clear()
    if mmseqs() is None:
        _debian("mmseqs2")
    if published() is None and VARIABLE not in os.environ:
        _download()
    for part, there in {
        "ablang2": ablang2() or None,
        "browser": browser(),
        "mmseqs": mmseqs(),
        "published": published(),
    }.items():
        if there is None:
            print(f"{MISSING}{REASONS[part]}")  # noqa: T201


if __name__ == "__main__":
    main()
