"""A table of a user from file to panel, report and profile: one command each."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from typer.testing import CliRunner

from antibody_esm.cli import app, train
from chains import HEAVY, LIGHT, mutants

HOLES = {"HIC": 4, "Tm2": 7, "AC-SINS_pH7.4": 49, "PR_CHO": 53, "Titer": 0}


_CHAINS = mutants(HEAVY, 40, 24), mutants(LIGHT, 40, 20, seed=1)


def write_tables(folder: Path, n: int = 246, holes: Mapping[str, int] = HOLES) -> tuple[Path, Path]:
    """Write a table in the layout of published developability sets, and one of new antibodies with other headers."""
    generator = np.random.default_rng(0)
    drawn = generator.permutation(40 * 40)[: n + 6]  # few chains make many pairs, and each is numbered once
    heavy, light = ([chains[i] for i in place] for chains, place in zip(_CHAINS, divmod(drawn, 40), strict=True))
    charge = np.array(
        [sum("KR".count(one) - "DE".count(one) for one in "".join(pair)) for pair in zip(heavy, light, strict=True)]
    )
    table = pd.DataFrame({"antibody_name": [f"mAb {i}" for i in range(n)]})
    table["vh_protein_sequence"], table["vl_protein_sequence"] = heavy[:n], light[:n]
    for number, (name, missing) in enumerate(holes.items()):
        values = (charge[:n] * (-1) ** number + generator.normal(size=n)).round(3)
        values[generator.choice(n, missing, replace=False)] = np.nan
        table[name] = values
    table["hc_subtype"] = generator.choice(["IgG1", "IgG2", "IgG4"], n)
    table["lc_subtype"] = generator.choice(["Kappa", "Lambda"], n)
    table["fold"] = np.arange(n) % 5
    table.to_csv(folder / "developability.csv", index=False)
    new = pd.DataFrame({"Name": list("abcdef"), "VH": heavy[n:], "VL": light[n:]})
    new["hc_subtype"], new["lc_subtype"] = table["hc_subtype"][:6], table["lc_subtype"][:6]
    new.to_csv(folder / "new.csv", index=False)
    return folder / "developability.csv", folder / "new.csv"


def test_a_table_with_five_assays_becomes_a_panel_and_profiles_another_table(tmp_path: Path) -> None:
    table, new = write_tables(tmp_path)
    run = CliRunner().invoke
    columns = ["data.chain=paired", f"data.label=[{','.join(HOLES)}]", "data.columns=[hc_subtype,lc_subtype]"]
    pipeline = ["model=descriptors", "classifier=ridge", "classifier.alpha=1", "split.by=fold", "store=null"]
    result = run(train.app, [f"data={table}", *columns, *pipeline, f"output={tmp_path / 'run'}"])
    assert result.exit_code == 0, result.output
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert {label: each["antibodies"] for label, each in metrics["targets"].items()} == {
        label: 246 - holes for label, holes in HOLES.items()
    }
    assert [row["label"] for row in metrics["verdicts"]] == list(HOLES)
    assert metrics["targets"]["Tm2"]["higher_is_better"] is True
    assert metrics["targets"]["AC-SINS_pH7.4"]["higher_is_better"] is False
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "49 without AC-SINS_pH7.4 left out, 5 predefined folds" in page
    assert "recall of the best tenth" in page
    result = run(
        app.app, ["predict", str(new), "-m", str(tmp_path / "run" / "model"), "-o", str(tmp_path / "profile.csv")]
    )
    assert result.exit_code == 0, result.output
    profile = pd.read_csv(tmp_path / "profile.csv")
    assert profile["id"].tolist() == list("abcdef")
    assert profile[[f"{label} prediction" for label in HOLES]].notna().all(axis=None)
    assert (tmp_path / "profile.html").stat().st_size > 0
