"""Fragments of two chains: side by side as a pair, or joined to one text and called so."""

import json
from pathlib import Path

import pandas as pd
import pytest

from antibody_esm import Benchmark, DescriptorSpec, ExtractorSpec, SplitSpec, Trainer, load_dataset
from antibody_esm.data.reading import Reading
from antibody_esm.reports.notes import JOINED
from chains import HEAVY, LIGHT, mutants

SPLIT = SplitSpec(folds=2)
FRAME = pd.DataFrame(
    {
        "id": [f"a{i}" for i in range(16)],
        "heavy": [HEAVY, *mutants(HEAVY, 15, 4)],
        "light": LIGHT,
        "label": [0, 1] * 8,
    }
)


def test_loops_of_both_chains_are_a_pair_or_one_text() -> None:
    pair = load_dataset(FRAME[:2], chain="paired", fragment="All-CDRs")
    text = load_dataset(FRAME[:2], fragment="All-CDRs")
    assert pair.sequences[0] == "GFNIKDTYIYPTNGYTSRWGGDGFYAMDY|QDVNTASASQQHYTTPPT"
    assert text.sequences[0] == pair.sequences[0].replace("|", "")
    assert (str(pair.reading), str(text.reading)) == ("paired All-CDRs", "joined All-CDRs")


@pytest.mark.parametrize(
    ("chain", "fragment", "title"),
    [
        *(("heavy", None, "heavy"), ("heavy", "H-CDRs", "H-CDRs"), ("light", "VL", "VL")),
        *(("both", None, "joined"), ("both", "Full", "joined Full"), ("both", "VH+VL", "joined VH+VL")),
        *(("paired", None, "paired"), ("paired", "All-CDRs", "paired All-CDRs")),
    ],
)
def test_tables_name_joined_and_paired_parts(chain: str, fragment: str | None, title: str) -> None:
    assert Reading(chain, fragment).title == title  # type: ignore[arg-type]


def test_a_report_on_a_language_model_that_reads_joined_chains_has_a_note(tiny: ExtractorSpec, tmp_path: Path) -> None:
    joined = load_dataset(FRAME, fragment="All-CDRs")
    paired = load_dataset(FRAME, chain="paired", fragment="All-CDRs")
    trainer = Trainer(tiny, "logreg", SPLIT, store=tmp_path)
    report = trainer.cross_validate(joined)
    assert JOINED in report.warnings
    assert " ".join(JOINED.split()[:6]) in str(report)
    predictor = trainer.fit(joined)
    assert JOINED in predictor.evaluate(joined).remarks
    predictor.save(tmp_path / "model")
    assert json.loads((tmp_path / "model" / "manifest.json").read_text())["reading"]["part"] == "joined All-CDRs"
    assert JOINED not in trainer.cross_validate(paired).remarks
    assert JOINED not in Trainer(DescriptorSpec(), "logreg", SPLIT).cross_validate(joined).remarks


def test_a_benchmark_names_joined_parts_and_warns(tiny: ExtractorSpec, tmp_path: Path) -> None:
    done = Benchmark([tiny], ["logreg"], load_dataset(FRAME), [], ["H-CDRs", "Full"], split=SPLIT, store=tmp_path).run()
    assert set(done.to_frame()["fragment"]) == {"H-CDRs", "joined Full"}
    assert f"joined Full: {JOINED.split(':')[0]}" in " ".join(str(done).split())
