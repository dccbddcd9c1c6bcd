"""One model gives the same numbers at every door, whatever its settings: a covering array of them, on real antibodies.

The settings and what keeps two of them apart are in `crossing`. Here a cell becomes a model, which is asked about
antibodies on the cell's route and at other `doors`; its numbers of a data set are the right ones.
"""

import asyncio
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits
from typer import Typer
from typer.testing import CliRunner

from antibody_esm import (
    Benchmark,
    Dataset,
    DatasetError,
    DecisionSpec,
    DescriptorSpec,
    EmbeddingStore,
    EnsembleSpec,
    ExtractorSpec,
    LinearSVMSpec,
    Predictor,
    RandomForestSpec,
    RuntimeSpec,
    SequenceError,
    SplitSpec,
    Trainer,
    XGBoostRegressorSpec,
    XGBoostSpec,
    load_dataset,
    presets,
)
from antibody_esm.cli import app, train
from antibody_esm.evaluation.metrics import METRIC
from antibody_esm.explain import mutational_scan, occlusion, residue_contributions
from antibody_esm.explain.picture import fragment as picture
from antibody_esm.numbering import NANOBODY_SPECIES
from antibody_esm.reports.report import Report
from antibody_esm.scoring import Scores, score_file
from antibody_esm.sequences import BETWEEN
from antibody_esm.specs import EstimatorSpec
from antibody_esm.testing import tiny_checkpoint
from crossing import ROUTES, Cell, array, conflict, meetings, valid_meetings

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported
STRESS = "ANTIBODY_ESM_STRESS" in os.environ
STRENGTH = 3 if STRESS else 2
"""Settings of which all combinations occur."""
CELLS = array(STRENGTH)
TRAINED, ASKED = range(32), range(32, 40)
"""Rows of the forty antibodies: those a model is fitted on, and those that it is asked about."""
ASSAY = "hic"

FRAGMENTS = {
    ("heavy", "loop"): "H-CDR3",
    ("light", "loop"): "L-CDR1",
    ("heavy", "loops"): "H-CDRs",
    ("light", "loops"): "L-CDRs",
    ("heavy", "domain"): "VH",
    ("light", "domain"): "VL",
    ("both", "both loops"): "All-CDRs",
    ("both", "both domains"): "VH+VL",
    ("paired", "both loops"): "All-CDRs",
    ("paired", "both domains"): "VH+VL",
}
LOOPS = ("loop", "loops", "both loops")
"""Kinds of fragments in which no variable domain is recognised."""
CLASSIFIERS: dict[str, EstimatorSpec] = {
    **presets.ESTIMATORS,
    "random_forest": RandomForestSpec(n_estimators=3),
    "linear_svm": LinearSVMSpec(calibration_folds=2),
    "xgboost": XGBoostSpec(n_estimators=3),
    "xgboost_regressor": XGBoostRegressorSpec(n_estimators=3),
}
SPLITS = {
    **{by: SplitSpec(by=by, folds=2) for by in ("antibody", "identity", "group")},
    **{by: SplitSpec(by=by) for by in ("family", "fold")},
}
DECISIONS = {
    "none": DecisionSpec(),
    "sigmoid": DecisionSpec(calibration="sigmoid", folds=2),
    "threshold": DecisionSpec(threshold="balanced_accuracy", folds=2),
}
DESCRIPTORS = DescriptorSpec(descriptors=("net_charge", "isoelectric_point", "composition"))

RUNTIME = RuntimeSpec(workers=1)
CLOSE = {"rtol": 1e-9, "atol": 1e-12}
SINGLE = {"rtol": 1e-6, "atol": 1e-6}
"""Of log-odds, which XGBoost has in float32."""
VOTES = ("random_forest", "knn")
"""Classifiers that are explained by the share of votes."""
COLUMN = {"classes": "probability", "numbers": "prediction"}
"""Column of a table that holds what is compared."""
PRINTED = ("tables", "web", "command")
"""Routes whose whole tables are compared, with what is known of how sure the model is."""
REPORTED = ("train", "reports", "page", "benchmark")
"""Routes on which the pipeline is cross-validated and tested."""

RABBITS = [
    "QSVEESGGRLVTPGTPLTLTCTVSGFSLSSYAMGWVRQAPGKGLEYIGIINTGGSAYYASWAKGRFTISKTSTTVDLKITSPTTEDTATYFC"
    "ARGGYDDYGDYVYFNLWGPGTLVTVSS",
    "QSLEESGGDLVKPGASLTLTCTASGFSFSSSYYMCWVRQAPGKGLEWIACIYAGSSGSTYYASWAKGRFTISKTSSTTVTLQMTSLTAADTATYFC"
    "ARDLGYSGSSYNLWGPGTLVTVSS",
]
"""Whole heavy domains of rabbits, which have no residue at IMGT position 2."""

Numbers = Mapping[str, Any]
"""What a door says, by what it is: see `Bench.right`."""


class Rounded(str):
    """A number as it is printed, with three decimals."""


pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",  # Gaussian processes of so few antibodies
    *(f"ignore::{kind}" for kind in ("DeprecationWarning", "FutureWarning")),  # Gradio's own
)


class Bench:
    """Forty antibodies and the models of cells, each made once, over one store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = EmbeddingStore(folder / "store")
        self.checkpoints = {
            kind: tiny_checkpoint(kind, folder / kind, layers=1, dim=16, head=True) for kind in ("esm", "bert")
        }
        jain = load_dataset("jain", labels=ASSAY).subset(range(len(TRAINED) + len(ASKED)))
        # Constant residues behind the domain, as chains have them that somebody translated.
        self.table = pd.DataFrame(
            {
                "id": jain.ids,
                "heavy": [f"{domain}ASTKGPSVFPLAP" for domain in jain.heavy or ()],
                "light": [f"{domain}RTVAAPSVFIFPP" for domain in jain.light or ()],
                "numbers": np.asarray(jain.label),
                "classes": (np.asarray(jain.label) > np.median(np.asarray(jain.label))).astype(int),
                "groups": [f"study {row % 4}" for row in range(len(jain))],
                "fold": [row % 3 for row in range(len(jain))],
            }
        )
        for name in ("whole", "data", "trainer", "report", "fitted", "saved", "tested", "right"):
            setattr(self, name, cache(getattr(self, name)))

    def whole(self, chain: str, task: str, rows: range) -> Dataset:
        """Return whole antibodies."""
        table = self.table.iloc[list(rows)]
        data = load_dataset(table, label=task, chain=chain)
        return replace(data, measurements={"fold": table["fold"].to_numpy()})

    def data(self, chain: str, fragment: str, task: str, rows: range) -> Dataset:
        """Return what a model is fitted on or asked about."""
        whole = self.whole(chain, task, rows)
        if fragment == "none":
            return whole
        return whole.cut(FRAGMENTS[chain, fragment], **({"chain": chain} if chain == "paired" else {}))

    def trained(self, cell: Cell) -> Dataset:
        return self.data(cell.chain, cell.fragment, cell.task, TRAINED)

    def asked(self, cell: Cell) -> Dataset:
        return self.data(cell.chain, cell.fragment, cell.task, ASKED)

    def extractor(self, cell: Cell) -> ExtractorSpec | DescriptorSpec | EnsembleSpec:
        if cell.extractor == "descriptors":
            return DESCRIPTORS
        model = ExtractorSpec(
            model=str(self.checkpoints["bert" if cell.pairs == "joined" else "esm"]),
            region="cdrs" if cell.extractor == "region" else "all",
            storage=cell.storage,
            pairs=cell.pairs,
        )
        return EnsembleSpec(members=(model, DESCRIPTORS), combine="concat") if cell.extractor == "ensemble" else model

    def trainer(self, cell: Cell) -> Trainer:
        extractor, classifier = self.extractor(cell), CLASSIFIERS[cell.classifier]
        split, decision = SPLITS[cell.split], DECISIONS[cell.decision]
        return Trainer(extractor, classifier, split, decision=decision, store=self.store, runtime=RUNTIME)

    def report(self, cell: Cell) -> Report:
        return self.trainer(cell.model).cross_validate(self.trained(cell))

    def predictor(self, cell: Cell) -> Predictor:
        """Return the fitted model; it knows how sure it is on routes that print that, at the cost of five more fits."""
        return self.fitted(cell.model, cell.route in PRINTED)

    def fitted(self, model: Cell, uncertainty: bool) -> Predictor:
        return self.trainer(model).fit(self.trained(model), uncertainty=uncertainty)

    def tested(self, cell: Cell) -> Report:
        return self.predictor(cell).evaluate(self.asked(cell))

    def saved(self, cell: Cell) -> Path:
        return self.predictor(cell).save(self.folder / "models" / str(cell))

    def antibodies(self, cell: Cell, between: str = "") -> list[Any]:
        """Return the whole chains that are asked about as people write them: chains, or pairs of heavy and light."""
        asked = self.table.iloc[list(ASKED)]
        if cell.chain in ("heavy", "light"):
            return list(asked[cell.chain])
        return [between.join(pair) if between else pair for pair in zip(asked["heavy"], asked["light"], strict=True)]

    def frame(self, cell: Cell) -> pd.DataFrame:
        """Return the table that is asked about; it holds both chains, whatever the model reads, and its label."""
        return self.table.iloc[list(ASKED)][["id", "heavy", "light", cell.task]].reset_index(drop=True)

    def file(self, cell: Cell) -> Path:
        path = self.folder / f"asked {cell.task}.csv"
        self.frame(cell).to_csv(path, index=False)
        return path

    def fasta(self, cell: Cell) -> Path:
        path = self.folder / f"asked {cell.chain}.fasta"
        rows = zip(self.frame(cell)["id"], self.antibodies(cell, BETWEEN), strict=True)
        path.write_text("".join(f">{name}\n{antibody}\n" for name, antibody in rows))
        return path

    def right(self, cell: Cell) -> Numbers:
        """Return what every door has to say, from data sets and arrays alone."""
        predictor, asked = self.predictor(cell), self.asked(cell)
        number = _number(predictor, asked)
        right = {
            "number": number,
            "read": asked.sequences[0],
            "score": _score(predictor, predictor.vectors(asked)[:1]),
            "first": number[0],
            "prediction": predictor.predict(asked),
        }
        if cell.route in PRINTED:
            right["table"] = predictor.score_table(asked)
        if cell.route in REPORTED:
            report, label = self.report(cell), np.asarray(asked.label)
            right["out of fold"] = report.predictions[COLUMN[cell.task]]
            right["folds"] = np.nanmean(report.scores[report.metric])
            ranked = spearmanr(label, number).statistic if cell.task == "numbers" else roc_auc_score(label, number)
            right["test"] = ranked
        return right


def _score(predictor: Predictor, X: Any) -> float:
    """Return what explanations explain: log-odds before calibration, a value, or the share of votes."""
    fitted = getattr(predictor.classifier, "classifier_", predictor.classifier)
    if predictor.spec.is_regression:
        return float(fitted.predict(X)[0])
    if hasattr(fitted, "decision_function"):
        return float(fitted.decision_function(X)[0])
    probability = float(fitted.predict_proba(X)[0, 1])
    return probability if predictor.spec.classifier.kind in VOTES else float(np.log(probability / (1 - probability)))


def of_a_list(bench: Bench, cell: Cell) -> Numbers:
    """Whole chains, or pairs, as people write them; of single chains a Series too."""
    predictor, antibodies = bench.predictor(cell), bench.antibodies(cell)
    if cell.route != "tables":
        return {"number": _number(predictor, antibodies)}
    if cell.chain in ("heavy", "light"):
        assert _number(predictor, pd.Series(antibodies)).tolist() == _number(predictor, antibodies).tolist()
    return _everything(predictor, antibodies)


def of_a_frame(bench: Bench, cell: Cell) -> Numbers:
    predictor, frame = bench.predictor(cell), bench.frame(cell)
    return _everything(predictor, frame) if cell.route == "tables" else {"number": _number(predictor, frame)}


def of_a_file(bench: Bench, cell: Cell) -> Numbers:
    """A CSV file, as `score_file` reads it; and a FASTA file, in which pairs are written heavy|light."""
    predictor = bench.predictor(cell)
    table = _scored(score_file(bench.file(cell), predictor))
    if cell.route == "tables":
        fasta = _scored(score_file(bench.fasta(cell), predictor))
        np.testing.assert_allclose(fasta["number"], table["number"], **CLOSE)
        return table
    return {"number": table["number"]}


def of_a_saved_model(bench: Bench, cell: Cell) -> Numbers:
    predictor = Predictor.load(bench.saved(cell), store=bench.store, runtime=RUNTIME)
    if cell.route != "tables":
        return {"number": _number(predictor, bench.asked(cell))}
    listed, framed = (_number(predictor, antibodies) for antibodies in (bench.antibodies(cell), bench.frame(cell)))
    np.testing.assert_allclose(listed, framed, **CLOSE)
    return _everything(predictor, bench.asked(cell))


def of_contributions(bench: Bench, cell: Cell) -> Numbers:
    explained = residue_contributions(bench.predictor(cell), bench.antibodies(cell)[0])
    if explained.intercept is not None:
        assert explained.intercept + explained.contributions.sum() == pytest.approx(explained.score, abs=1e-4)
    assert len(explained.to_frame()) == len(explained.contributions) == len(explained.sequence.replace(BETWEEN, ""))
    return {"read": explained.sequence, "score": explained.score}


def of_occlusion(bench: Bench, cell: Cell) -> Numbers:
    explained = occlusion(bench.predictor(cell), bench.antibodies(cell)[0])
    return {"read": explained.sequence, "score": explained.score}


def of_a_scan(bench: Bench, cell: Cell) -> Numbers:
    predictor, antibody = bench.predictor(cell), bench.antibodies(cell)[0]
    explained = mutational_scan(predictor, antibody, [3], plausibility=cell.route == "explanations")
    assert len(explained.table) == 19
    if cell.route == "explanations" and cell.extractor != "descriptors":
        assert "plausibility" in explained.table, explained.absent
    return {"read": explained.sequence, "score": explained.score, "first": explained.prediction}


def of_the_page(bench: Bench, cell: Cell) -> Numbers:
    """What the web page does where sequences are pasted, a file is chosen, a row is clicked and mutants are tried."""
    import gradio as gr

    from antibody_esm.cli.web import page

    predictor, first = bench.predictor(cell), bench.antibodies(cell)[0]

    async def made() -> Any:
        return page(predictor, bench.folder)

    blocks = asyncio.run(made())  # outside of a loop, Gradio would make some and leave them open
    score, explain, scan = (function.fn for function in list(blocks.fns.values())[:3])
    pasted = score("\n".join(bench.antibodies(cell, BETWEEN)), None)
    chosen = score("", str(bench.file(cell)))
    assert pasted[5] is not None, pasted[0]
    assert chosen[5] is not None, chosen[0]
    np.testing.assert_allclose(_scored([pasted[5]])["number"], _scored([chosen[5]])["number"], **CLOSE)
    event = gr.SelectData(None, {"index": [0, 0], "value": "0", "row_value": ["0"]})
    why = explain(chosen[5], event)
    assert picture(residue_contributions(predictor, first)) in why[1]
    scanned = scan(why[-1], "" if cell.fragment in LOOPS else "105")
    assert "Mutations tried" in scanned[0]
    return _scored([chosen[5]])


def of_commands(bench: Bench, cell: Cell) -> Numbers:
    """``antibody-esm predict``, ``evaluate``, ``explain`` and ``scan`` with a saved model."""
    model, file, (first, *_) = bench.saved(cell), bench.file(cell), bench.antibodies(cell, BETWEEN)
    folder = bench.folder / "commands" / str(cell)
    folder.mkdir(parents=True)
    options = ["--model", model, "--store", bench.folder / "store", "--workers", 1]
    run(app.app, "predict", file, *options, "--out", folder / "scores.csv")
    assert not (folder / "scores.rejected.csv").exists()
    run(app.app, "evaluate", file, *options, "--label", cell.task, "--out", folder / "rows.csv")
    explained = run(app.app, "explain", first, *options)
    where = [] if cell.fragment in LOOPS else ["--positions", "105"]
    scanned = run(app.app, "scan", first, *options, *where, "--out", folder / "scan.csv", "--no-plausibility")
    assert len(pd.read_csv(folder / "scan.csv")) >= 19
    rows, right = pd.read_csv(folder / "rows.csv"), bench.right(cell)
    np.testing.assert_allclose(rows[COLUMN[cell.task]], right["number"], **CLOSE)
    for shown in (explained, scanned):
        assert f"{right['score']:+.3f}" in shown, shown[:300]
    table = pd.read_csv(folder / "scores.csv", keep_default_na=True, dtype={"id": str, "conformal_set": str})
    return _of_table(table.fillna({"warning": "", "conformal_set": ""}).drop(columns="row"))


def of_training_by_command(bench: Bench, cell: Cell) -> Numbers:
    """``antibody-train``, and the model that it saves."""
    table, output = bench.folder / "antibodies.csv", bench.folder / "trained" / str(cell)
    bench.table.iloc[list(TRAINED)].to_csv(table, index=False)
    reading = [] if cell.fragment == "none" else [f"data.fragment={FRAGMENTS[cell.chain, cell.fragment]}"]
    if cell.fragment == "none" or cell.chain == "paired":
        reading.append(f"data.chain={cell.chain}")
    extractor = bench.extractor(cell)
    specs = {
        "extractor": extractor,
        "classifier": CLASSIFIERS[cell.classifier],
        "split": SPLITS[cell.split],
        "decision": DECISIONS[cell.decision],
    }
    overrides = [
        f"{branch}.{name}={_override(value)}"
        for branch, spec in specs.items()
        for name, value in spec.model_dump(mode="json", exclude_defaults=True, exclude={"kind"}).items()
    ]
    model = ["model=descriptors"] if isinstance(extractor, DescriptorSpec) else []
    data = [f"data={table}", f"data.label={cell.task}", *reading, f"classifier={cell.classifier}"]
    written = [f"store={bench.folder / 'store'}", f"output={output}", "runtime.workers=1"]
    run(train.app, *data, *model, *overrides, *written)
    rows = pd.read_csv(output / "out_of_fold.csv")
    metrics = json.loads((output / "metrics.json").read_text())
    metric = "spearman" if cell.task == "numbers" else "roc_auc"
    assert (output / "report.html").stat().st_size > 0
    predictor = Predictor.load(output / "model", store=bench.store, runtime=RUNTIME)
    return {
        "number": _number(predictor, bench.asked(cell)),
        "prediction": predictor.predict(bench.asked(cell)),
        "out of fold": rows[COLUMN[cell.task]],
        "folds": metrics["scores"][metric]["mean"],
    }


def of_text(bench: Bench, cell: Cell) -> Numbers:
    reports = _reports(bench, cell)
    printed = [str(report) for report in reports]
    assert all(report._repr_html_() for report in reports)
    title = METRIC[bench.report(cell).metric].title
    folds, test = (re.search(rf"^{title} +(-?\d?\.\d{{3}})", text, re.M) for text in printed)
    assert folds, printed[0]
    assert test, printed[1]
    return {"folds": Rounded(folds[1]), "test": Rounded(test[1])}


def of_html(bench: Bench, cell: Cell) -> Numbers:
    """The page of a test; `of_training_by_command` writes that of a cross-validation."""
    page = bench.tested(cell).to_html(bench.folder / "report.html").read_text(encoding="utf-8")
    test = re.search(r"<p class='hero'><strong>(.*?)</strong>", page)
    assert test, page[:500]
    return {"test": Rounded(test[1].replace("\N{MINUS SIGN}", "-"))}


def of_json(bench: Bench, cell: Cell) -> Numbers:
    folds, test = (
        json.loads(report.to_json(bench.folder / "report.json").read_text())["scores"][report.metric]
        for report in _reports(bench, cell)
    )
    return {"folds": folds["mean"], "test": test["score"]}


def of_csv(bench: Bench, cell: Cell) -> Numbers:
    both = bench.report(cell), bench.tested(cell)
    folds, test = (pd.read_csv(report.to_csv(bench.folder / "report.csv")) for report in both)
    column = COLUMN[cell.task]
    return {"out of fold": folds[column], "number": test[column], "prediction": test["prediction"]}


def of_a_benchmark(bench: Bench, cell: Cell) -> Numbers:
    """The grid of one pipeline, which cuts the fragment itself; as text, JSON and CSV too."""
    grid = Benchmark(
        [bench.extractor(cell)],
        [CLASSIFIERS[cell.classifier]],
        bench.whole(cell.chain, cell.task, TRAINED),
        [bench.whole(cell.chain, cell.task, ASKED)],
        [FRAGMENTS.get((cell.chain, cell.fragment))],
        split=SPLITS[cell.split],
        decision=DECISIONS[cell.decision],
        store=bench.store,
        runtime=RUNTIME,
    ).run()
    folds, test = grid.reports
    assert str(grid)
    written = json.loads(grid.to_json(bench.folder / "grid.json").read_text())["reports"]
    assert [report["antibodies"] for report in written] == [len(TRAINED), len(ASKED)]
    assert len(pd.read_csv(grid.to_csv(bench.folder / "grid.csv"))) > len(grid.reports)
    column = COLUMN[cell.task]
    return {
        "out of fold": folds.predictions[column],
        "folds": np.nanmean(folds.scores[folds.metric]),
        "number": test.predictions[column],
        "prediction": test.predictions["prediction"],
        "test": test.scores[test.metric][0],
    }


DOORS: dict[str, Callable[[Bench, Cell], Numbers]] = {
    "list": of_a_list,
    "frame": of_a_frame,
    "file": of_a_file,
    "saved": of_a_saved_model,
    "web": of_the_page,
    "command": of_commands,
    "train": of_training_by_command,
    "text": of_text,
    "page": of_html,
    "json": of_json,
    "csv": of_csv,
    "benchmark": of_a_benchmark,
    "contributions": of_contributions,
    "occlusion": of_occlusion,
    "scan": of_a_scan,
}
"""By the names that `crossing.ROUTES` has for them."""
EVERYWHERE = ("list", "frame", "file")
"""Doors that are tried in each cell, whatever its route."""
IN_TURN = ("saved", "contributions", "scan")
"""Doors of which each cell tries another one too, and the larger array all."""


def doors(cell: Cell) -> tuple[str, ...]:
    """Return the doors that are tried in a cell, each once."""
    turn = CELLS.index(cell) % len(IN_TURN)
    further = IN_TURN if STRESS else IN_TURN[turn : turn + 1]
    if cell.extractor == "region":  # of which every hidden residue would be numbered again
        further = tuple("scan" if door == "contributions" else door for door in further)
    return tuple(dict.fromkeys((*ROUTES[cell.route], *EVERYWHERE, *further)))


def numbers_at(door: str, bench: Bench, cell: Cell) -> Numbers:
    """Return what the model of a cell says at a door."""
    return DOORS[door](bench, cell)


def run(command: Typer, *arguments: object) -> str:
    """Run a command in this process, and return what it printed."""
    done = CliRunner().invoke(command, [str(argument) for argument in arguments], terminal_width=80)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def _number(predictor: Predictor, antibodies: Any) -> Any:
    """Return the probability of class 1, or the value."""
    if predictor.spec.is_regression:
        return predictor.predict(antibodies)
    return predictor.predict_proba(antibodies)[:, 1]


def _everything(predictor: Predictor, antibodies: Any) -> Numbers:
    """Return all that a model says in Python."""
    return {
        "number": _number(predictor, antibodies),
        "prediction": predictor.predict(antibodies),
        "table": predictor.score_table(antibodies),
    }


def _scored(scores: Iterable[Scores]) -> Numbers:
    """Return what stands in the tables of a file; no row may be rejected."""
    every = list(scores)
    for batch in every:
        assert batch.rejected.empty, batch.rejected["reason"].iloc[0]
    table = pd.concat([batch.table for batch in every], ignore_index=True).drop(columns="row")
    return _of_table(table)


def _of_table(table: pd.DataFrame) -> dict[str, Any]:
    number = table["probability"] if "probability" in table else table["prediction"]
    return {"number": number, "prediction": table["prediction"], "table": table, "first": number.iloc[0]}


def _reports(bench: Bench, cell: Cell) -> tuple[Report, Report]:
    """Return both reports of a cell, with every baseline that its antibodies can have."""
    both = bench.report(cell), bench.tested(cell)
    for report in both:  # no germline gene is known of loops
        assert set(report.baselines.absent) <= ({"germline"} if cell.fragment in LOOPS else set())
    return both


def _override(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_override, value))}]"
    return str(value)


def differences(numbers: Numbers, right: Numbers) -> Iterator[str]:
    """Give where numbers, texts and tables are not what they should be."""
    for name, value in numbers.items():
        expected = right[name]
        if not isinstance(value, pd.DataFrame):
            parts = {name: (value, expected)}
        elif list(value) != list(expected):
            yield f"{name}: columns {list(value)} instead of {list(expected)}"
            continue
        else:  # a list has no ids, and its rows are numbered
            parts = {f"{name}, {part}": (value[part], expected[part]) for part in expected if part != "id"}
        for part, (actual, desired) in parts.items():
            if not _alike(actual, desired, SINGLE if part == "score" else CLOSE):
                yield f"{part}: {np.ravel(actual)[:4]} instead of {np.ravel(desired)[:4]}"


def _alike(actual: Any, desired: Any, close: dict[str, float]) -> bool:
    if isinstance(actual, Rounded):
        return abs(float(actual) - desired) <= 0.00051
    first, second = np.asarray(actual), np.asarray(desired)
    if first.shape != second.shape:
        return False
    if second.dtype.kind in "fiub":
        return np.allclose(first.astype(float), second.astype(float), **close, equal_nan=True)
    return bool((first == second).all())


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, published: Path) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Forty antibodies are too few for threads, which would wait for each other most of the time."""
    with threadpool_limits(limits=1):
        yield


def test_every_two_settings_that_can_meet_do() -> None:
    met = set().union(*(meetings(cell._asdict(), STRENGTH) for cell in CELLS))
    assert met == valid_meetings(STRENGTH)
    assert not any(conflict(cell._asdict()) for cell in CELLS)
    assert {door for way in ROUTES.values() for door in way} == set(DOORS)


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_model_gives_the_same_numbers_at_every_door(bench: Bench, cell: Cell) -> None:
    wrong = []
    for door in doors(cell):
        try:
            numbers = numbers_at(door, bench, cell)
            wrong += [f"{door}: {difference}" for difference in differences(numbers, bench.right(cell))]
        except Exception as error:  # noqa: BLE001  so that the other doors are tried too
            wrong.append(f"{door}: {type(error).__name__}: {error}")
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


REFUSED: dict[str, tuple[dict[str, str], type[Exception], str]] = {
    "no region of loops": ({"extractor": "region", "fragment": "loops"}, SequenceError, "no cdrs by IMGT numbering"),
    "no classes in numbers": ({"classifier": "logreg", "task": "numbers"}, DatasetError, "needs the labels 0 and 1"),
    "no decision of numbers": (
        {"classifier": "ridge", "task": "numbers", "decision": "sigmoid"},
        ValidationError,
        "no probabilities to calibrate",
    ),
}
"""Settings that `conflict` keeps apart and people can combine all the same, and the error in which they end."""


@pytest.mark.parametrize("name", REFUSED)
def test_settings_that_cannot_meet_are_refused_with_the_reason(bench: Bench, name: str) -> None:
    settings, error, reason = REFUSED[name]
    cell = Cell(
        **{"chain": "heavy", "fragment": "none", "task": "classes", "extractor": "model", "classifier": "logreg"}
        | {"split": "antibody", "decision": "none", "storage": "float32", "pairs": "apart", "route": "tables"}
        | settings
    )
    assert conflict(cell._asdict())
    for verb in (bench.report, bench.predictor):
        with pytest.raises(error, match=reason):
            verb(cell)


COMMANDED = {
    "folds of a table": (["split.by=fold"], "needs the measurement 'fold'"),
    "storage of descriptors": (["model=descriptors", "extractor.storage=int8"], "unknown key"),
    "pairs of descriptors": (["model=descriptors", "extractor.pairs=joined"], "unknown key"),
    "members of a model": (["model=descriptors", "extractor.members=[descriptors]"], "unknown key"),
    "another chain's fragment": (["data.chain=heavy", "data.fragment=L-CDR1"], "chain"),
}
"""Overrides that cannot be combined, and what the command says of them."""


@pytest.mark.parametrize("name", COMMANDED)
def test_a_command_says_in_a_line_which_settings_cannot_meet(bench: Bench, name: str) -> None:
    overrides, reason = COMMANDED[name]
    table = bench.folder / "antibodies.csv"
    bench.table.iloc[list(TRAINED)].to_csv(table, index=False)
    model = [] if "model=descriptors" in overrides else [f"extractor.model={bench.checkpoints['esm']}"]
    arguments = [f"data={table}", "data.label=classes", *model, *overrides, f"output={bench.folder / 'refused'}"]
    done = CliRunner().invoke(train.app, arguments)
    assert isinstance(done.exception, SystemExit)
    assert done.exit_code in (1, 2)
    assert done.stderr.startswith("error: ")
    assert reason in done.stderr
    assert "Traceback" not in done.output


NANOBODIES = {
    ("H-CDRs", "model", "numbers"): "ridge",
    ("H-CDRs", "descriptors", "classes"): "logreg",
    ("H-CDR2", "ensemble", "numbers"): "svr",
    ("VHH", "region", "classes"): "linear_svm",
    ("H-FWRs", "model", "classes"): "gaussian_process",
    (None, "region", "numbers"): "elastic_net",
}
"""Fragment, extractor and task of models of nanobodies, whose numbering takes alpaca's profiles too."""


@pytest.mark.parametrize("settings", NANOBODIES, ids=lambda settings: "-".join(map(str, settings)))
def test_nanobodies_have_the_numbers_of_their_training_rows_at_every_door(
    bench: Bench, settings: tuple[str | None, str, str], tmp_path: Path
) -> None:
    fragment, extractor, task = settings
    cell = Cell("heavy", "none", task, extractor, NANOBODIES[settings], *("antibody", "none", "float32", "apart", ""))
    labels = "psr" if task == "numbers" else "moderate"
    whole, data = load_dataset("harvey", labels=labels), load_dataset("harvey", labels=labels, fragment=fragment)
    trainer = bench.trainer(cell)
    predictor, right = trainer.fit(data, uncertainty=False), {}
    right["number"] = _number(predictor, data)
    right["out of fold"] = trainer.cross_validate(data).predictions[COLUMN[task]]
    assert whole.heavy is not None
    frame = pd.DataFrame({"id": whole.ids, "heavy": whole.heavy, "label": whole.label})
    frame.to_csv(file := tmp_path / "nanobodies.csv", index=False)
    loaded = Predictor.load(predictor.save(tmp_path / "model"), store=bench.store, runtime=RUNTIME)
    b07 = data.ids.index("B07")

    def of_command() -> Any:
        options = ["--model", tmp_path / "model", "--store", bench.folder / "store", "--out", tmp_path / "scores.csv"]
        run(app.app, "predict", file, *options)
        return _of_table(pd.read_csv(tmp_path / "scores.csv"))["number"]

    def of_evaluation() -> Any:
        options = ["--model", tmp_path / "model", "--store", bench.folder / "store", "--out", tmp_path / "rows.csv"]
        run(app.app, "evaluate", file, *options)
        return pd.read_csv(tmp_path / "rows.csv")[COLUMN[task]]

    def of_grid() -> Any:
        spec = trainer.spec
        grid = Benchmark(
            [spec.extractor], [spec.classifier], whole, [], [fragment], split=spec.split, store=bench.store
        )
        return grid.run().reports[0].predictions[COLUMN[task]]

    doors: dict[str, Callable[[], Numbers]] = {
        "list": lambda: {"number": _number(predictor, list(whole.heavy or ()))},
        "frame": lambda: {"number": _number(predictor, frame)},
        "file": lambda: {"number": _scored(score_file(file, predictor))["number"]},
        "saved": lambda: {"number": _number(loaded, frame)},
        "command": lambda: {"number": of_command()},
        "evaluate": lambda: {"number": of_evaluation()},
        "benchmark": lambda: {"out of fold": of_grid()},
        "scan": lambda: {"first": mutational_scan(predictor, frame["heavy"][b07], [3], plausibility=False).prediction},
        "contributions": lambda: {"read": residue_contributions(predictor, frame["heavy"][b07]).sequence},
    }
    right |= {"first": right["number"][b07], "read": data.sequences[b07]}
    wrong = []
    for door, numbers in doors.items():
        try:
            wrong += [f"{door}: {difference}" for difference in differences(numbers(), right)]
        except Exception as error:  # noqa: BLE001  so that the other doors are tried too
            wrong.append(f"{door}: {type(error).__name__}: {error}")
    recognised = predictor.score_table(frame)["warning"].str.contains("is a training antibody")
    wrong += [f"{name} is not recognised as a training antibody" for name in frame["id"][~recognised]]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("loop", ["CDR1", "CDR2", "CDR3"])
def test_a_region_of_a_nanobody_is_its_fragment(bench: Bench, loop: str) -> None:
    whole = load_dataset("harvey", labels="moderate")
    extractor = ExtractorSpec(model=str(bench.checkpoints["esm"]), region=loop.lower())
    predictor = Trainer(extractor, "logreg", store=bench.store, runtime=RUNTIME).fit(whole, uncertainty=False)
    rows = [whole.ids.index(name) for name in ("B07", "A12'")]
    for nanobody in whole.subset(rows).heavy or ():
        exact = residue_contributions(predictor, nanobody, method="exact")
        region = "".join(residue for residue, share in zip(exact.sequence, exact.contributions, strict=True) if share)
        (cut,) = Dataset(["a"], [nanobody]).cut(f"H-{loop}", species=NANOBODY_SPECIES).sequences
        assert region == cut


def test_a_model_of_rabbits_scores_its_own_training_chains(bench: Bench, tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": ["r1", "r2"], "heavy": RABBITS, "label": [0.0, 1.0]})
    data = load_dataset(frame).cut("VH", species=("rabbit",))
    predictor = Trainer(DESCRIPTORS, "ridge", store=bench.store).fit(data, uncertainty=False)
    frame.to_csv(tmp_path / "rabbits.csv", index=False)
    right = {"number": _number(predictor, data)}
    loaded = Predictor.load(predictor.save(tmp_path / "model"))
    for antibodies in (RABBITS, frame):
        assert not list(differences({"number": _number(predictor, antibodies)}, right))
        assert not list(differences({"number": _number(loaded, antibodies)}, right))
    assert not list(differences({"number": _scored(score_file(tmp_path / "rabbits.csv", loaded))["number"]}, right))
