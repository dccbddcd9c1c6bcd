"""Lines of README and docs that install: they name what exists, and work in an environment of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT, python_blocks
from effort import STRESS
from test_pages import TEXTS

LINES = sorted(
    {line.strip() for text in TEXTS.values() for line in re.findall(r"^ *\$? ?(make \w+)", text, flags=re.M)}
)
CPU = "--index-url https://download.pytorch.org/whl/cpu"


@pytest.mark.parametrize("line", LINES)
def test_targets_of_make_exist(line: str) -> None:
    assert re.search(rf"^{line.split()[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M)


def test_readme_and_the_page_on_installing_agree() -> None:
    for page in ("README.md", "docs/install.md"):
        assert CPU in TEXTS[page]
        assert "not on PyPI" in TEXTS[page]
        assert "pip install --no-deps sapiens==1.0.2" in TEXTS[page]
        assert re.search(r'pip install "\.\[quickstart\]"', TEXTS[page])
    assert "sapiens==1.0.2" in (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.skipif(not STRESS, reason="installs gigabytes from a package index, in make stress alone")
def test_a_wheel_with_extras_installs_and_runs_the_first_lines_in_an_environment_of_its_own(tmp_path: Path) -> None:
    def run(*command: object) -> str:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [str(part) for part in command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path / "wheels", ROOT)
    (wheel,) = (tmp_path / "wheels").glob("*.whl")
    run(sys.executable, "-m", "venv", "environment")
    python = tmp_path / "environment" / ("Scripts" if os.name == "nt" else "bin") / "python"
    # Versions that were tried: others may be newer than this package.
    pip = (python, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt")
    run(*pip, "torch")
    run(*pip, f"antibody_esm[quickstart,app,tune] @ {wheel.as_uri()}")
    (tmp_path / "first.py").write_text(python_blocks(ROOT / "README.md")[0], encoding="utf-8")
    assert "No better than k-mers" in run(python, "first.py")
    assert "Usage" in run(python.with_name("antibody-esm"), "--help")
    assert "antibody_esm" in run(python, "-c", "import antibody_esm, gradio, optuna; print(antibody_esm.__file__)")


def test_nothing_installs_the_package_by_its_name_alone_which_anybody_could_take() -> None:
    wheel = ("@ file:", "--no-index", "in a checkout of antibody_esm", "@ {wheel")
    paths = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    paths += [path for part in ("antibody_esm", "examples") for path in (ROOT / part).rglob("*") if path.is_file()]
    texts = {path: path.read_text(encoding="utf-8", errors="replace") for path in paths}
    lines = {
        path: re.findall(r"pip (?:install|wheel|download)[^\n]*antibody[_-]esm[^\n]*", texts[path]) for path in texts
    }
    assert sum(map(len, lines.values())) > 5
    assert [line for each in lines.values() for line in each if not any(mark in line for mark in wheel)] == []
