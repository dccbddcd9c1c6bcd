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
    ChainSpec,
    Dataset,
    DescriptorSpec,
    EnsembleSpec,
    ExtractorSpec,
    RidgeSpec,
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
BOTH_SAPIENS = ChainSpec(heavy="sapiens_vh", light="sapiens_vl")
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
CHOSEN = ("descriptors", "Sapiens", "AntiBERTy")
"""Features with a row whose penalty, and layer, is chosen; in tests also k-mers and those of both."""
PENALTIES = (0.001, 0.01, 0.1, 1.0)
LAYERS = {"Sapiens": (1, 2, 3, 4), "AntiBERTy": (2, 4, 6, 8)}
"""Layers to choose from, by the name of the features; descriptors and ensembles have none."""
KMERS = DescriptorSpec(descriptors=("kmers",), kmer_values="count")
STORE = "embeddings/"


@cache
def boughter() -> Dataset:
    """Return the heavy chains of Boughter et al. with more than three ligands, or none."""
    return load_dataset("boughter")


def classes(split: SplitSpec, extractor: AnyExtractorSpec, tune: TuneSpec | None = None) -> Report:
    """Return the cross-validation of a logistic regression on Boughter's heavy chains."""
    trainer = Trainer(extractor, "logreg", split, tune=tune, store=STORE, random_seeds=0)
    return trainer.cross_validate(boughter())


def chosen_in_folds(feature: str) -> tuple[str, AnyExtractorSpec, TuneSpec]:
    """Return name, extractor and grid of features whose penalty is chosen, and whose layer if they have layers."""
    extractor = KMERS if feature == "k-mers" else FEATURES[feature][0]
    grid: dict[str, tuple[float, ...]] = {"classifier.C": PENALTIES}
    if feature in LAYERS:
        return (
            f"{feature}; layer and penalty chosen",
            extractor,
            TuneSpec(grid=grid | {"extractor.layer": LAYERS[feature]}),
        )
    return f"{feature}; penalty chosen", extractor, TuneSpec(grid=grid)


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
    near, bias = int((done["difference"].abs() <= 0.04).sum()), float(done["difference"].mean())
    size = "below .001" if abs(bias) < 0.001 else f"{bias:+.3f}"
    return (
        table(["part", *done["classifier"].unique()], rows)
        + f"\n\n{near} of {len(done)} cells are within .04 of the published accuracy; the mean difference is {size}. "
        "Beyond it: "
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
    for feature in CHOSEN:
        title, extractor, tune = chosen_in_folds(feature)
        tuned = [
            cell([classes(split, extractor, tune).scored], "roc_auc", base[name]) for name, split in SPLITS.items()
        ]
        rows.append([title, *tuned])
        print(rows[-1], flush=True)
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
        every = [[tested(extractor, data, None) for extractor in extractors] for data in sets.values()]
        rows.append([feature, *(cell(each, "spearman") for each in every)])
        print(rows[-1], flush=True)
    for feature in ("k-mers", *CHOSEN, "AntiBERTy and descriptors"):
        title, extractor, tune = chosen_in_folds(feature)
        rows.append([title, *(cell([tested(extractor, data, tune)], "spearman") for data in sets.values())])
        print(rows[-1], flush=True)
    return table(["features", *(f"{name} (n = {len(data)})" for name, data in sets.items())], rows)


@cache
def fitted(extractor: AnyExtractorSpec, tune: TuneSpec | None) -> Trainer:
    """Return a trainer that was fitted on Boughter's antibodies."""
    trainer = Trainer(extractor, "logreg", tune=tune, store=STORE)
    trainer.fit(boughter(), uncertainty=False)
    return trainer


def tested(extractor: AnyExtractorSpec, data: Dataset, tune: TuneSpec | None) -> ScoredPredictions:
    """Return the probabilities for the heavy chains of a test set, which are ranked by a measurement."""
    predictor = fitted(extractor, tune).predictor_
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
    pipelines = {
        f"{name}{ending}": [Trainer(each, spec, SplitSpec(), store=STORE, random_seeds=0) for each in extractors]
        for name, extractors in (FEATURES | {"Sapiens": (BOTH_SAPIENS,)}).items()
        for ending, spec in {"": RidgeSpec(alpha="cv"), ", alpha 1": RidgeSpec()}.items()
    }
    layers = TuneSpec(grid={"extractor.layer": LAYERS["AntiBERTy"]})
    pipelines["AntiBERTy, layer chosen too"] = [
        Trainer(ANTIBERTY, "ridge", SplitSpec(), tune=layers, store=STORE, random_seeds=0)
    ]
    scores: dict[str, list[list[ScoredPredictions]]] = {}
    for assay in data.targets:
        for name, trainers in pipelines.items():
            reports = [trainer.cross_validate(data.target(assay)) for trainer in trainers]
            scores.setdefault(name, []).append([report.scored for report in reports])
        scores.setdefault("k-mers (k = 1 to 3)", []).append([kmers(reports[0])])
        print(assay, {name: cell(every[-1], "spearman") for name, every in scores.items()}, flush=True)
    untuned = {name: scores.pop(f"{name}, alpha 1") for name in FEATURES}
    names = ["k-mers (k = 1 to 3)", *FEATURES, "AntiBERTy, layer chosen too"]
    rows = [
        [f"{assay} ({len(data.target(assay))})", *(cell(scores[name][i], "spearman") for name in names)]
        for i, assay in enumerate(data.targets)
    ]
    rows.append(["**mean**", *(mean(scores[name]) for name in names)])
    rows.append(["mean with alpha 1", *(mean(untuned[name]) if name in untuned else "" for name in names)])
    return table(["assay", *names], rows)


def mean(every: Iterable[Sequence[ScoredPredictions]]) -> str:
    """Return the mean Spearman's correlation over assays, and over the seeds of each."""
    return short(float(np.mean([[one.intervals["spearman"].estimate for one in seeds] for seeds in every])), 3)


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
