"""The benchmark of a GPU runs whole on a CPU, on tiny models; its figures mean nothing there."""

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
gpu: Any = import_module("gpu")
sys.path.pop(0)

TINY = ("--device", "cpu", "--tiny")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("gpu")
    return gpu.main([*TINY, "--output", str(folder)]), folder


def test_every_part_has_rows_that_are_written(ran: tuple[Any, Path]) -> None:
    run, folder = ran
    assert run.failed == []
    written = json.loads((folder / "gpu.json").read_text())
    assert written["rows"] == run.rows
    assert written["left_out"] == run.left_out
    assert {"torch", "device"} <= written["machine"].keys()
    for part in gpu.PARTS:
        assert any(title.startswith(part) for title in run.rows), part
    assert run.rows["memory"][0]["out_of_memory"] > 0
    assert {row["bar"] for row in run.rows["correctness"] if "bar" in row} == {"reached (at most 0.0001)"}
    speed = next(rows for title, rows in run.rows.items() if title.startswith("speed"))
    assert {(row["model"], row["of"]) for row in speed} == {(name, of) for name in gpu.ESM2 for of in ("VH", "mix")}
    assert all(row["least_cosine"] > 0.999 for row in speed)
    assert [("bar of peak" in row) for row in speed] == [True, False, False, False]


def test_tables_are_markdown(ran: tuple[Any, Path]) -> None:
    lines = (ran[1] / "gpu.md").read_text().splitlines()
    assert lines[0].startswith("device ")
    for number, line in enumerate(lines):
        if line.startswith("|---"):
            assert len({row.count("|") for row in lines[number - 1 : number + 2]}) == 1


def test_lines_fit_into_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gpu.main([*TINY, "--output", str(tmp_path), "--parts", "correctness,kernels"])
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) > 10
    assert max(len(line) for line in printed if "written: " not in line) <= 80


def test_the_script_runs_from_a_checkout_with_few_of_the_dependencies(tmp_path: Path) -> None:
    """Missing there are those that an image for GPUs usually lacks; `benchmarks/README.md` names what is needed."""
    lacking = """
import sys

LACKING = {"aaindex", "anarcism", "Bio", "crepes", "hydra", "immunum", "omegaconf", "openpyxl", "pooch", "rapidfuzz"}
LACKING |= {"rjieba", "skops", "venn_abers", "xgboost"}


class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in LACKING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Finder())
"""
    (tmp_path / "sitecustomize.py").write_text(lacking)
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, str(root / "benchmarks" / "gpu.py"), *TINY, "--output", "out", "--parts", "correctness"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert any(title.startswith("ROC AUC") for title in json.loads((tmp_path / "out" / "gpu.json").read_text())["rows"])


def test_no_row_begins_after_the_time(tmp_path: Path) -> None:
    run = gpu.main([*TINY, "--output", str(tmp_path), "--minutes", "0"])
    assert run.rows == {}
    assert run.left_out == [f"{part}: no time" for part in gpu.PARTS]
    assert json.loads((tmp_path / "gpu.json").read_text())["left_out"] == run.left_out


def test_a_part_that_fails_is_named_and_the_others_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(run: Any) -> None:
        raise ValueError("broken")

    monkeypatch.setattr(gpu, "memory", fail)
    monkeypatch.setattr(gpu, "missing", lambda name: "it is not installed")
    run = gpu.main([*TINY, "--output", str(tmp_path), "--parts", "memory,correctness"])
    assert run.failed == ["memory"]
    assert run.left_out[0] == "memory, by an error: ValueError: broken"
    assert "correctness of sapiens_vh: it is not installed" in run.left_out
    assert run.rows["correctness"]


def test_a_bar_is_reached_or_missed() -> None:
    assert gpu.judged(0.45, 0.45) == "reached (at least 0.45)"
    assert gpu.judged(0.449, 0.45) == "missed (at least 0.45)"
    assert gpu.judged(2e-4, 1e-4, less=True) == "missed (at most 0.0001)"
    assert gpu.judged(float("nan"), 1e-4, less=True).startswith("missed")


@pytest.mark.parametrize("words", [("--parts", "sped"), ("--models", "esm3")])
def test_unknown_words_are_an_error(words: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        gpu.main([*TINY, *words])  # before any file is written
    assert f"unknown: {words[1]}" in capsys.readouterr().err


def test_simulated_chains_have_the_lengths_of_real_ones() -> None:
    domains, mixed = gpu.sequences(200, "VH"), gpu.sequences(200, "mix")
    assert len(set(domains)) == len(set(mixed)) == 200
    assert {len(domain) for domain in domains} <= set(range(105, 145))
    assert len({len(chain) // 100 for chain in mixed}) == 3
