"""Language models, descriptors, k-mers and random weights on the public data sets, written into a page of the docs.

    python benchmarks/what_predicts_what.py [section ...]

Sections are the tables of docs/what-predicts-what.md, by the comments around them; all by default. The raw files of the
data sets are fetched once. Vectors are kept in embeddings/, so that a second run embeds nothing.
"""

import datetime
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antibody_esm import (
    Dataset,
    DescriptorSpec,
    EnsembleSpec,
    ExtractorSpec,
    SplitSpec,
    Trainer,
    TuneSpec,
    load_dataset,
)
from antibody_esm.data.identity import cluster
from antibody_esm.evaluation.baselines import fit_baselines
from antibody_esm.evaluation.interval import Interval, short
from antibody_esm.evaluation.paired import compare
from antibody_esm.evaluation.predictions import ContinuousPredictions
from antibody_esm.evaluation.scored_predictions import ScoredPredictions
from antibody_esm.reports.report import Report
from antibody_esm.specs import AnyExtractorSpec

PAGE = Path(__file__).parent.parent / "docs" / "what-predicts-what.md"
ANTIBERTY = ExtractorSpec(model="antiberty", revision="0.1.3")
SAPIENS = ExtractorSpec(model="sapiens_vh", revision="1.0.2")
SEEDS = (0, 1, 2)
FEATURES: dict[str, tuple[AnyExtractorSpec, ...]] = {
    "descriptors": (DescriptorSpec(),),
    "Sapiens": (SAPIENS,),
    "AntiBERTy": (ANTIBERTY,),
    "AntiBERTy and descriptors": (EnsembleSpec(members=(ANTIBERTY, DescriptorSpec()), combine="concat"),),
    "AntiBERTy, random weights": tuple(ANTIBERTY.model_copy(update={"random_weights": seed}) for seed in SEEDS),
}
"""Extractors by name; of several, which differ in their seed, the mean is shown."""
SPLITS = {
    "ten folds": SplitSpec(),
    "clusters at 90 % identity": SplitSpec(by="identity", identity=0.9),
    "one study left out": SplitSpec(by="family"),
}
GRID = TuneSpec(grid={"classifier.C": (0.001, 0.01, 0.1, 1.0), "extractor.layer": (2, 4, 6, 8)})
STORE = "embeddings/"


@cache
def boughter() -> Dataset:
    """Return the heavy chains of Boughter et al. with more than three ligands, or none."""
    return load_dataset("boughter")


def classes(split: SplitSpec, extractor: AnyExtractorSpec, tune: TuneSpec | None = None) -> Report:
    """Return the cross-validation of a logistic regression on Boughter's heavy chains."""
    trainer = Trainer(extractor, "logreg", split, tune=tune, store=STORE, random_seeds=0)
    return trainer.cross_validate(boughter())


def kmers(report: Report) -> ScoredPredictions:
    """Return the baseline of k-mers on the same folds."""
    return dict(report.ranked_baselines)["kmers"]


def cell(every: Sequence[ScoredPredictions], metric: str, base: ScoredPredictions | None = None) -> str:
    """Return the score with its interval, and the difference to k-mers with its interval."""
    intervals = [scored.intervals[metric] for scored in every]
    if len(intervals) > 1:
        estimates = [interval.estimate for interval in intervals]
        return f"{short(float(np.mean(estimates)), 3)} ({short(min(estimates), 3)} to {short(max(estimates), 3)})"
    text = shown(intervals[0])
    if base is None:
        return text
    difference = compare(every[0].rows, base.rows, metric).difference
    return f"{text}; {difference.estimate:+.3f} [{difference.low:+.2f}, {difference.high:+.2f}]"


def shown(interval: Interval) -> str:
    """Return an estimate with the ends of its interval."""
    return f"{short(interval.estimate, 3)} {interval.ends}"


def table(heads: list[str], rows: Iterable[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def published() -> str:
    """Reproduce the table of Sakhnini et al."""
    import runpy

    main = runpy.run_path(str(PAGE.parent.parent / "examples" / "reproduce_published_table.py"))["main"]
    done = main()
    rows = []
    for part, of_part in done.groupby("part", sort=False):
        cells = [f"{row.here:.3f} ({row.published:.3f})" for row in of_part.itertuples()]
        rows.append([str(part), *cells])
    near = int((done["difference"].abs() <= 0.04).sum())
    return (
        table(["part", *done["classifier"].unique()], rows)
        + f"\n\n{near} of {len(done)} cells are within .04 of the published accuracy; the mean difference is "
        f"{done['difference'].mean():+.3f}. Beyond it: "
        + ", ".join(f"{row.part} with {row.classifier}" for row in done[done["difference"].abs() > 0.04].itertuples())
        + "."
    )


def splits() -> str:
    """Compare features on three splits of Boughter's antibodies."""
    base = {name: kmers(classes(split, DescriptorSpec())) for name, split in SPLITS.items()}
    rows = [["k-mers (k = 1 to 3)", *(cell([scored], "roc_auc") for scored in base.values())]]
    for feature, extractors in FEATURES.items():
        cells = []
        for name, split in SPLITS.items():
            every = [classes(split, each).scored for each in extractors]
            cells.append(cell(every, "roc_auc", base[name]))
        rows.append([feature, *cells])
        print(rows[-1], flush=True)
    tuned = [cell([classes(split, ANTIBERTY, GRID).scored], "roc_auc", base[name]) for name, split in SPLITS.items()]
    rows.append(["AntiBERTy, layer and penalty chosen in the folds", *tuned])
    return table(["features", *SPLITS], rows)


def tests() -> str:
    """Test models of Boughter's antibodies on other sets."""
    sets = {
        "Jain, PSR": load_dataset("jain", labels="psr"),
        "Jain, ELISA": load_dataset("jain", labels="elisa"),
        "Shehata, PSR": load_dataset("shehata", labels="psr"),
        "Harvey, PSR (nanobodies)": load_dataset("harvey"),
    }
    sequences = fit_baselines(boughter(), ["kmers"]).fitted["kmers"]
    of_kmers = [
        ranked(sequences.classifier.predict_proba(sequences.features(data.sequences))[:, 1], data)
        for data in sets.values()
    ]
    rows = [["k-mers (k = 1 to 3)", *(cell([scored], "spearman") for scored in of_kmers)]]
    for feature, extractors in FEATURES.items():
        every = [[tested(extractor, data) for extractor in extractors] for data in sets.values()]
        rows.append([feature, *(cell(each, "spearman") for each in every)])
        print(rows[-1], flush=True)
    return table(["features", *(f"{name} (n = {len(data)})" for name, data in sets.items())], rows)


@cache
def fitted(extractor: AnyExtractorSpec) -> Trainer:
    """Return a trainer that was fitted on Boughter's antibodies."""
    trainer = Trainer(extractor, "logreg", store=STORE)
    trainer.fit(boughter(), uncertainty=False)
    return trainer


def tested(extractor: AnyExtractorSpec, data: Dataset) -> ScoredPredictions:
    """Return the probabilities for the heavy chains of a test set, which are ranked by a measurement."""
    predictor = fitted(extractor).predictor_
    return ranked(predictor.predict_proba([str(chain) for chain in data.heavy or ()])[:, 1], data)


def ranked(probability: NDArray[np.float64], data: Dataset) -> ScoredPredictions:
    """Return probabilities beside a measurement; intervals count clusters at 90 % identity."""
    clusters = cluster(data.identity_sequences, 0.9)
    rows = ContinuousPredictions(target=data.continuous_labels(), prediction=probability, fold=None, clusters=clusters)
    return ScoredPredictions(rows, {name: np.array([value]) for name, value in rows.scores().items()})


def assays() -> str:
    """Compare features on the twelve assays of Jain et al., both chains."""
    names = [name for name in load_dataset("jain", labels="psr").measurements if name != "flag_groups"]
    data = load_dataset("jain", chain="paired", label=names)
    features = {name: value for name, value in FEATURES.items() if name != "Sapiens"}
    rows, means = [], []
    for assay in data.targets:
        target, cells = data.target(assay), []
        for extractors in features.values():
            trainers = [Trainer(each, "ridge", SplitSpec(), store=STORE, random_seeds=0) for each in extractors]
            reports = [trainer.cross_validate(target) for trainer in trainers]
            cells.append([report.scored for report in reports])
        cells.insert(0, [kmers(reports[0])])
        rows.append([f"{assay} ({len(target)})", *(cell(every, "spearman") for every in cells)])
        estimates = [np.mean([scored.intervals["spearman"].estimate for scored in every]) for every in cells]
        means.append(estimates)
        print(rows[-1], flush=True)
    rows.append(["**mean**", *(short(float(value), 3) for value in np.mean(means, axis=0))])
    return table(["assay", "k-mers (k = 1 to 3)", *features], rows)


SECTIONS: dict[str, Callable[[], str]] = {
    "published": published,
    "splits": splits,
    "tests": tests,
    "assays": assays,
}


def main(names: Iterable[str]) -> None:
    """Compute tables, and write each between its two comments of the page, with the date."""
    for name in names or SECTIONS:
        text = f"Computed on {datetime.date.today().isoformat()}.\n\n{SECTIONS[name]()}"
        page = PAGE.read_text(encoding="utf-8")
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, _, rest = page.partition(begin)
        _, closing, after = rest.partition(end)
        if not closing:
            raise ValueError(f"{PAGE} has no place for {name}")
        PAGE.write_text(f"{before}{begin}{text}\n{end}{after}", encoding="utf-8")
        print(text, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(sys.argv[1:])
