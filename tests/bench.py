"""Forty real antibodies, and a fitted model for each cell of a covering array."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from antibody_esm import (
    AverageRegressorSpec,
    AverageSpec,
    ChainSpec,
    Dataset,
    DecisionSpec,
    DescriptorSpec,
    EmbeddingStore,
    EnsembleSpec,
    ExtractorSpec,
    FineTuneSpec,
    KNeighborsSpec,
    LinearSVMSpec,
    LogisticRegressionSpec,
    Predictor,
    RandomForestSpec,
    RidgeSpec,
    RuntimeSpec,
    SplitSpec,
    SVRSpec,
    Trainer,
    TuneSpec,
    XGBoostRegressorSpec,
    XGBoostSpec,
    load_dataset,
    presets,
)
from antibody_esm.reports.report import Report
from antibody_esm.sequences import BETWEEN
from antibody_esm.specs import EstimatorSpec
from antibody_esm.testing import tiny_checkpoint
from crossing import REPORTED, Cell

TRAINED, ASKED = range(32), range(32, 40)
"""Rows of the forty antibodies: those a model is fitted on, and those that it is asked about."""
ASSAY = "hic"
COLUMNS = ["isotype", "ph"]
"""Columns beside the sequences: categories, of which one is missing, and numbers."""

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
    "knn": KNeighborsSpec(n_neighbors=3),
    "random_forest": RandomForestSpec(n_estimators=3),
    "linear_svm": LinearSVMSpec(calibration_folds=2),
    "xgboost": XGBoostSpec(n_estimators=3),
    "average": AverageSpec(heads=(LogisticRegressionSpec(), XGBoostSpec(n_estimators=3))),
    "average_regressor": AverageRegressorSpec(heads=(RidgeSpec(alpha="cv"), SVRSpec())),
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
FINE_TUNINGS = {
    "none": None,
    "lora": FineTuneSpec(rank=1, epochs=1, layers=1, modules=("value",), learning_rate=0.05, validation=0.25),
    "head": FineTuneSpec(method="head", pooling="attention", epochs=2, learning_rate=0.05, validation=0.25),
}
COMPONENTS = 2
"""Principal components, if a model reads these."""
DESCRIPTORS = DescriptorSpec(descriptors=("net_charge", "isoelectric_point", "composition"))

RUNTIME = RuntimeSpec(workers=1)
CLOSE = {"rtol": 1e-9, "atol": 1e-12}
SINGLE = {"rtol": 1e-6, "atol": 1e-6}
"""Of log-odds, which XGBoost has in float32."""
VIEWED = ("model", "region", "controlled", "chains")
"""Extractors of one language model, or of one for each chain, which have views."""
VOTES = ("random_forest", "knn")
"""Classifiers that are explained by the share of votes."""
COLUMN = {"classes": "probability", "numbers": "prediction"}
"""Column of a table that holds what is compared."""
PRINTED = ("tables", "web", "command")
"""Routes whose whole tables are compared, with what is known of how sure the model is."""

Numbers = Mapping[str, Any]
"""What a door says, by what it is: see `Bench.right`."""


class Rounded(str):
    """A number as it is printed, with three decimals."""


class Bench:
    """Forty antibodies and the models of cells, each made once, over one store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = EmbeddingStore(folder / "store")
        self.checkpoints = {
            kind: tiny_checkpoint(kind, folder / kind, layers=1, dim=16, head=kind != "gpt2")
            for kind in ("esm", "bert", "gpt2")
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
                "isotype": [("IgG1", "IgG4", None)[row % 3] for row in range(len(jain))],
                "ph": [5.5 + row % 7 / 4 for row in range(len(jain))],
            }
        )
        for name in ("whole", "data", "trainer", "report", "fitted", "saved", "tested", "right"):
            setattr(self, name, cache(getattr(self, name)))

    def whole(self, chain: str, task: str, rows: range, columns: str = "without") -> Dataset:
        """Return whole antibodies."""
        table = self.table.iloc[list(rows)]
        data = load_dataset(table, label=task, chain=chain, columns=COLUMNS if columns == "with" else ())
        return replace(data, measurements={"fold": table["fold"].to_numpy()})

    def data(self, chain: str, fragment: str, task: str, rows: range, columns: str) -> Dataset:
        """Return what a model is fitted on or asked about."""
        whole = self.whole(chain, task, rows, columns)
        if fragment == "none":
            return whole
        return whole.cut(FRAGMENTS[chain, fragment], **({"chain": chain} if chain == "paired" else {}))

    def trained(self, cell: Cell) -> Dataset:
        return self.data(cell.chain, cell.fragment, cell.task, TRAINED, cell.columns)

    def asked(self, cell: Cell) -> Dataset:
        return self.data(cell.chain, cell.fragment, cell.task, ASKED, cell.columns)

    def extractor(self, cell: Cell) -> ExtractorSpec | ChainSpec | DescriptorSpec | EnsembleSpec:
        if cell.extractor == "descriptors":
            return DESCRIPTORS
        if cell.extractor == "chains":
            heavy, light = (
                ExtractorSpec(model=str(self.checkpoints[kind]), storage=cell.storage) for kind in ("esm", "bert")
            )
            return ChainSpec(heavy=heavy, light=light)
        controlled = cell.extractor == "controlled"
        around = {"prefix": "[HEAVY][HUMAN]", "suffix": "2", "separator": "", "pooling": "last"} if controlled else {}
        model = ExtractorSpec(
            model=str(self.checkpoints["gpt2" if controlled else "bert" if cell.pairs == "joined" else "esm"]),
            **around,
            region="cdrs" if cell.extractor == "region" else "all",
            storage=cell.storage,
            pairs=cell.pairs,
        )
        return EnsembleSpec(members=(model, DESCRIPTORS), combine="concat") if cell.extractor == "ensemble" else model

    def trainer(self, cell: Cell) -> Trainer:
        extractor, classifier = self.extractor(cell), CLASSIFIERS[cell.classifier]
        options: dict[str, Any] = {
            "decision": DECISIONS[cell.decision],
            "pca": COMPONENTS if cell.tune == "pca" else None,
        }
        options |= {"finetune": FINE_TUNINGS[cell.finetune], "tune": self.tune(cell)}
        options |= {"store": self.store, "runtime": RUNTIME}
        return Trainer(extractor, classifier, SPLITS[cell.split], **options)

    def tune(self, cell: Cell) -> TuneSpec | None:
        """Return what is tuned: the layer of a language model, or the number of components of other vectors."""
        if cell.tune != "grid":
            return None
        grid: dict[str, Any] = {"extractor.layer": (0, 1)} if cell.extractor in VIEWED else {"pca": (COMPONENTS, None)}
        return TuneSpec(grid=grid, folds=2)

    def report(self, cell: Cell) -> Report:
        return self.trainer(cell.model).cross_validate(self.trained(cell))

    def predictor(self, cell: Cell) -> Predictor:
        """Return the fitted model; it knows how sure it is on routes that print that, at the cost of five more fits."""
        return self.fitted(cell.model, cell.route in PRINTED)

    def fitted(self, model: Cell, uncertainty: bool) -> Predictor:
        return self.trainer(model).fit(self.trained(model), uncertainty=uncertainty, scores=False)

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
        columns = COLUMNS if cell.columns == "with" else []
        return self.table.iloc[list(ASKED)][["id", "heavy", "light", cell.task, *columns]].reset_index(drop=True)

    def columns(self, cell: Cell) -> list[dict[str, Any]]:
        """Return the columns of each antibody that is asked about."""
        columns = COLUMNS if cell.columns == "with" else []
        return [row[columns].to_dict() for _, row in self.table.iloc[list(ASKED)].iterrows()]

    def of_first(self, cell: Cell) -> Predictor:
        """Return the fitted model with the columns of the first antibody."""
        return self.predictor(cell).with_columns(self.columns(cell)[0])

    def file(self, cell: Cell) -> Path:
        """Return the file that is asked about; for every second cell, it is written as another lab would."""
        if len(str(cell)) % 2:
            path = self.folder / f"asked {cell.task} {cell.columns}.csv"
            self.frame(cell).to_csv(path, index=False)
        else:
            path = self.folder / f"asked {cell.task} {cell.columns} of another lab.csv"
            names = {"id": "Antibody Name", "heavy": "VH", "light": "light_sequence"}
            self.frame(cell).rename(columns=names).to_csv(path, index=False, sep=";", decimal=",")
        return path

    def fasta(self, cell: Cell) -> Path:
        path = self.folder / f"asked {cell.chain}.fasta"
        rows = zip(self.frame(cell)["id"], self.antibodies(cell, BETWEEN), strict=True)
        path.write_text("".join(f">{name}\n{antibody}\n" for name, antibody in rows))
        return path

    def right(self, cell: Cell) -> Numbers:
        """Return what every door has to say, from data sets and arrays alone."""
        predictor, asked = self.predictor(cell), self.asked(cell)
        number = number_of(predictor, asked)
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
    """Return what explanations explain: the log-odds of the prediction, a value, or the share of votes.

    Log-odds are those before an isotonic calibration, which is no function of them that can be undone.
    """
    if predictor.spec.is_regression:
        return float(predictor.classifier.predict(X)[0])
    isotonic = predictor.spec.decision.calibration == "isotonic"
    fitted = predictor.classifier.classifier_ if isotonic else predictor.classifier
    if isotonic and hasattr(fitted, "decision_function"):
        return float(fitted.decision_function(X)[0])
    if predictor.spec.classifier.kind in VOTES:
        return float(predictor.classifier.predict_proba(X)[0, 1])
    probability = float(fitted.predict_proba(X)[0, 1])
    return float(np.log(probability / (1 - probability)))


def numbers_of_list(bench: Bench, cell: Cell, predictor: Predictor) -> Any:
    """Return the probability of class 1, or the value, of antibodies without a table."""
    antibodies, columns = bench.antibodies(cell), bench.columns(cell)
    if cell.columns == "without":
        return number_of(predictor, antibodies)
    rows = zip(antibodies, columns, strict=True)
    return np.concatenate([number_of(predictor.with_columns(fixed), [antibody]) for antibody, fixed in rows])


def number_of(predictor: Predictor, antibodies: Any) -> Any:
    """Return the probability of class 1, or the value."""
    if predictor.spec.is_regression:
        return predictor.predict(antibodies)
    return predictor.predict_proba(antibodies)[:, 1]
