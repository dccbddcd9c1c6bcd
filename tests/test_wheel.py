import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_package_its_data_types_and_licences(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in (
        "py.typed",
        "trainer.py",
        "data/boughter_flu_cdrs/flu_mono.csv",
        "data/boughter_flu_cdrs/LICENSE",
        "data/registry.txt",
    ):
        assert f"antibody_esm/{name}" in names
    licences = {name for name in names if ".dist-info/licenses/" in name}
    assert len(licences) == 2
    assert not {name for name in names if not name.startswith(("antibody_esm/", "antibody_esm-"))}


def test_the_wheel_installs_and_works_outside_of_the_clone(wheel: Path, tmp_path: Path) -> None:
    # Into a folder of its own, ahead of the clone on the path; the dependencies are those of this environment.
    target = tmp_path / "installed"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            "--target",
            str(target),
            str(wheel),
        ],
        check=True,
        capture_output=True,
    )
    program = (
        "import antibody_esm; from antibody_esm.testing import tiny_checkpoint\n"
        "data = antibody_esm.load_dataset('boughter_flu_cdrs').subset(range(170, 200))\n"
        "folder = tiny_checkpoint('esm', 'model')\n"
        "trainer = antibody_esm.Trainer(folder, split=antibody_esm.SplitSpec(folds=2))\n"
        "print(antibody_esm.__file__, len(trainer.cross_validate(data).out_of_fold))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(target), "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    file, rows = done.stdout.split()
    assert Path(file).is_relative_to(target)
    assert rows == "30"
