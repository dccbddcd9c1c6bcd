"""Models of every kind that the server answers for, and the numbers of commands and answers as they are written."""

import csv
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from typer.testing import CliRunner

from antibody_esm import Dataset, DescriptorSpec, Panel, Predictor, Trainer
from antibody_esm.cli import app
from antibody_esm.cli.serve_jobs import JSON, answer
from antibody_esm.cli.serve_requests import Answer, Call
from antibody_esm.panel_files import is_panel
from chains import HEAVY, LIGHT, NANOBODY, mutants

VH, VL, VHH = (mutants(chain, 40, 20) for chain in (HEAVY, LIGHT, NANOBODY))
OTHERS = mutants(HEAVY, 20, 20, seed=1)
KINDS = ("heavy", "nanobody", "pair", "regressor", "columns", "recalibrated", "panel")
CHARGES = DescriptorSpec(descriptors=("net_charge", "composition"))


def _labels(chains: list[str]) -> list[int]:
    return [(chain.count("K") + chain.count("R")) % 2 for chain in chains]


def _values(chains: list[str]) -> list[float]:
    generator = np.random.default_rng(3)
    return [chain.count("K") + chain.count("Y") / 2 + generator.normal() for chain in chains]


def _data(chains: list[str], label: Any, **options: Any) -> Dataset:
    return Dataset([f"a{i}" for i in range(len(chains))], chains, label=label, **options)


def fitted(kind: str, trainer: Trainer | None = None) -> Predictor | Panel:
    """Return a model of a kind."""
    trainer = trainer or Trainer(CHARGES, "ridge" if kind in ("regressor", "panel") else "logreg")
    if kind == "panel":
        values = {"HIC": _values(VH), "Tm2": [value * 2 - 70 for value in _values(VL)]}
        return Panel.fit(trainer, _data(VH, None, measurements=values, targets=values))
    if kind == "nanobody":
        return trainer.fit(_data(VHH, _labels(VHH)))
    if kind == "pair":
        return trainer.fit(_data(VH, _labels(VH), light=VL, chain="paired"))
    if kind == "regressor":
        return trainer.fit(_data(VH, _values(VH)))
    if kind == "columns":
        columns = {"isotype": [("IgG1", "IgG4")[i % 2] for i in range(40)], "ph": [5.5 + i % 7 / 4 for i in range(40)]}
        return trainer.fit(_data(VH, _labels(VH), columns=columns))
    predictor = trainer.fit(_data(VH, _labels(VH)))
    return predictor.recalibrate(_data(OTHERS, _labels(OTHERS))) if kind == "recalibrated" else predictor


class Served:
    """A saved model, as the command reads it and as the server has it in memory."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder, self.model = folder, model
        self.loaded: Predictor | Panel = Panel.load(model) if is_panel(model) else Predictor.load(model)

    def predicted(self, file: Path, *options: str) -> dict[str, list[dict[str, str]]]:
        """Return the two tables of the command, cell by cell as they are written."""
        out = self.folder / "out.csv"
        rejected = self.folder / "out.rejected.csv"
        for path in (out, rejected):
            path.unlink(missing_ok=True)
        words = ["predict", file, "-m", self.model, "-o", out, "-s", self.folder / "store", *options]
        done = CliRunner().invoke(app.app, list(map(str, words)), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return {"antibodies": cells(out), "rejected": cells(rejected)}

    def answer(self, endpoint: str, body: Any, media: str = JSON, **query: str) -> Answer:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return answer(self.loaded, Call(endpoint, media, content, query))

    def answered(self, endpoint: str, body: Any, media: str = JSON, **query: str) -> Any:
        """Return the answer, whose numbers are texts as they are written."""
        done = self.answer(endpoint, body, media, **query)
        assert done.status == 200, done.body
        return json.loads(done.body, parse_float=str, parse_int=str)

    def refused(self, endpoint: str, body: Any, media: str = JSON, **query: str) -> tuple[int, str]:
        done = self.answer(endpoint, body, media, **query)
        return done.status, json.loads(done.body)["error"]


@cache
def served(kind: str, folder: Path) -> Served:
    made = folder / kind
    made.mkdir()
    return Served(made, fitted(kind).save(made / "model"))


def cells(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file as text; no file has none."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def as_text(rows: list[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the rows of an answer as the cells of a CSV file."""
    words = {None: "", True: "True", False: "False"}
    return [{name: words[cell] if cell in (None, True, False) else cell for name, cell in row.items()} for row in rows]


def frame_of(kind: str, rows: range = range(6)) -> list[dict[str, Any]]:
    """Return antibodies that a model of a kind reads."""
    chains = VHH if kind == "nanobody" else VH
    extra = {"pair": lambda i: {"light": VL[i]}, "columns": lambda i: {"isotype": "IgG1", "ph": 5.5 + i / 4}}
    return [{"id": f"a{i}", "heavy": chains[i], **extra.get(kind, lambda _: {})(i)} for i in rows]
