"""Fine-tuned and frozen language models and baselines on the same folds, written into docs/finetuning.md.

    PYTHONPATH=. python benchmarks/measure_finetuning.py --model sapiens_vh --data boughter --split stratified
    PYTHONPATH=. python benchmarks/measure_finetuning.py --model sapiens_vh --data boughter --split identity --folds 5
    PYTHONPATH=. python benchmarks/measure_finetuning.py --model sapiens_vh --data boughter --split family
    PYTHONPATH=. python benchmarks/measure_finetuning.py --model sapiens_vh --data jain --split stratified --folds 5
    PYTHONPATH=. python benchmarks/measure_finetuning.py --model antiberty --data boughter --split identity --folds 5
    PYTHONPATH=. python benchmarks/measure_finetuning.py --model sapiens_vh --data boughter --split identity --size 100
    PYTHONPATH=. python benchmarks/measure_finetuning.py --table

Each line measures both methods (``--method lora`` or ``--method head`` one of them). It may be stopped at any time: the
same line goes on behind the last fold that was trained, since adapters and vectors are kept beside ``--store``. Each
cell is a file in ``--results``; a cell that is there is not measured again. ``--table`` computes nothing: it writes the
table of the files into the page.

Data: ``boughter``, ``jain`` (all assays), or an assay of Jain et al. such as ``jain:hic``. Split: ``stratified``,
``identity`` (clusters at 90 %), ``family`` (one study left out at a time). ``--alpha 100`` saves five of six trainings
for assays: a penalty that is chosen inside the folds fine-tunes in each of five inner folds too.
"""

import argparse
import datetime
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from antibody_esm import Dataset, SplitSpec, Trainer, load_dataset
from antibody_esm.evaluation.interval import Interval, short
from antibody_esm.evaluation.scored_predictions import ScoredPredictions
from antibody_esm.files import write
from antibody_esm.reports.report import Report
from antibody_esm.specs import FineTuneSpec, RidgeSpec

PAGE = Path(__file__).parent.parent / "docs" / "finetuning.md"
BEGIN, END = "<!-- measured -->", "<!-- end -->"
METHODS = ("head", "lora")
SPLITS = ("stratified", "identity", "family")
_OF_CLASSES = ("boughter",)


def split_of(name: str, folds: int) -> SplitSpec:
    """Return the split of a name."""
    if name == "family":
        return SplitSpec(by="family")
    return SplitSpec(folds=folds) if name == "stratified" else SplitSpec(folds=folds, by="identity", identity=0.9)


def data_sets(name: str, size: int | None) -> Iterator[tuple[str, Dataset]]:
    """Yield the data sets of a name: heavy chains with classes, or with the values of each assay."""
    source, _, assay = name.partition(":")
    if source in _OF_CLASSES:
        yield name, smaller(load_dataset(source), size)
        return
    every = [each for each in load_dataset("jain", labels="psr").measurements if each != "flag_groups"]
    for each in [assay] if assay else every:
        yield f"jain:{each}", smaller(load_dataset("jain", labels=each), size)


def smaller(data: Dataset, size: int | None) -> Dataset:
    """Return as many antibodies, drawn without regard to their labels; all if there is no size."""
    if size is None or size >= len(data):
        return data
    return data.subset(sorted(np.random.default_rng(0).permutation(len(data))[:size].tolist()))


def measured(report: Report, seconds: float) -> dict[str, Any]:
    """Return the scores of a fine-tuned model, of the frozen one and of baselines, with differences to both."""
    found, metric = report.baselines.found, report.metric
    others = [(name, scored) for name, scored in report.ranked_baselines if name != "frozen"]
    best, of_best = others[0]
    return {
        "metric": metric,
        "antibodies": len(report.data),
        "design": report.design,
        "finetuned": interval(report.scored.intervals[metric]),
        "frozen": interval(found["frozen"].intervals[metric]),
        "kmers": interval(found["kmers"].intervals[metric]) if "kmers" in found else None,
        "best": {"name": report.baseline_title(best), **interval(of_best.intervals[metric])},
        "against frozen": difference(report, found["frozen"]),
        "against best": difference(report, of_best),
        "epochs": [facts.epochs for facts in report.finetuned],
        "losses": [facts.losses for facts in report.finetuned],
        "seconds": [round(facts.seconds, 1) for facts in report.finetuned],
        "wall seconds": round(seconds, 1),
        "date": datetime.date.today().isoformat(),
        "spec": json.loads(report.spec.model_dump_json()),
        "data digest": report.data.digest,
    }


def interval(value: Interval) -> dict[str, Any]:
    """Return an estimate with its ends."""
    numbers = {name: float(getattr(value, name)) for name in ("estimate", "low", "high")}
    return {name: number if np.isfinite(number) else None for name, number in numbers.items()}


def difference(report: Report, other: ScoredPredictions) -> dict[str, Any]:
    """Return the paired difference to other predictions for the same folds."""
    compared = report.scored.compare(other, report.metric, ("fine-tuned", "other"))
    p_value = float(compared.p_value)
    return {**interval(compared.difference), "p": p_value if np.isfinite(p_value) else None}


def run(options: argparse.Namespace) -> None:
    """Measure the cells that are not there yet."""
    for name, data in data_sets(options.data, options.size):
        for method in METHODS if options.method is None else [options.method]:
            cell = f"{Path(options.model).name}-{name.replace(':', '_')}-{options.split}-{options.folds}-{method}"
            cell += "" if options.alpha is None else f"-alpha-{options.alpha:g}"
            file = options.results / f"{cell}{'' if options.size is None else f'-{options.size}'}.json"
            if file.exists():
                print(f"{file} is there", flush=True)
                continue
            began = time.monotonic()
            values = data.label is not None and len(np.unique(data.label)) > 2
            classifier = RidgeSpec(alpha=options.alpha or "cv") if values else "logreg"
            trainer = Trainer(
                options.model,
                classifier,
                split_of(options.split, options.folds),
                finetune=FineTuneSpec(**{**dict(_preset(method)), **json.loads(options.fields)}),
                store=options.store,
                random_seeds=0,
            )
            report = trainer.cross_validate(data, check=not options.unchecked)
            facts = {"model": Path(options.model).name, "data": name, "split": options.split, "method": method}
            facts |= measured(report, time.monotonic() - began)
            file.parent.mkdir(parents=True, exist_ok=True)
            write(file, json.dumps(facts, indent=2, allow_nan=False).encode())
            print(f"{cell}: {_cell(facts)}, {facts['wall seconds']:.0f} s", flush=True)


def _preset(method: str) -> FineTuneSpec:
    from antibody_esm import presets

    return presets.FINE_TUNINGS[method]


def _score(value: dict[str, Any] | None) -> str:
    if value is None or value["estimate"] is None:
        return ""
    ends = "" if value["low"] is None else f" [{short(value['low'], 2)}, {short(value['high'], 2)}]"
    return f"{short(value['estimate'], 3)}{ends}"


def _cell(facts: dict[str, Any]) -> str:
    """Return the score of a fine-tuned model, and its difference to the frozen one."""
    against = facts["against frozen"]
    ends = "" if against["low"] is None else f" [{_signed(against['low'], 2)}, {_signed(against['high'], 2)}]"
    return f"{_score(facts['finetuned'])}; {_signed(against['estimate'], 3)}{ends}"


def _signed(value: float, digits: int) -> str:
    text = short(value, digits)
    return text if text.startswith("-") else f"+{text}"


def table(results: Path) -> str:
    """Return the measured cells as a table, with the days on which they were measured."""
    every = [json.loads(file.read_text()) for file in sorted(results.glob("*.json"))]
    if not every:
        return "Nothing was measured yet."
    rows: dict[tuple[Any, ...], dict[str, dict[str, Any]]] = {}
    for facts in every:
        key = (facts["data"], facts["antibodies"], facts["design"], facts["model"])
        rows.setdefault(key, {})[facts["method"]] = facts
    heads = [
        "data",
        "n",
        "folds",
        "model",
        "best baseline",
        "frozen",
        "head; less frozen",
        "LoRA; less frozen",
        "epochs",
    ]
    lines = [heads, ["---"] * len(heads)]
    for key, methods in sorted(rows.items(), key=lambda row: tuple(map(str, row[0]))):
        first = next(iter(methods.values()))
        cells = [_cell(methods[method]) if method in methods else "" for method in METHODS]
        epochs = methods["lora"]["epochs"] if "lora" in methods else []
        median = f"{np.median(epochs):g} ({min(epochs)} to {max(epochs)})" if epochs else ""
        best = f"{first['best']['name']} {_score(first['best'])}"
        lines.append([*map(str, key), best, _score(first["frozen"]), *cells, median])
    days = sorted({facts["date"] for facts in every})
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return f"{text}\n\nMeasured {when}. Epochs are those that the folds of LoRA kept: median, least and most."


def main(arguments: list[str] | None = None) -> None:
    """Measure cells, or write their table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="sapiens_vh", help="a preset, or the folder of a model")
    parser.add_argument("--data", default="boughter", help="boughter, jain, or jain:ASSAY")
    parser.add_argument("--split", choices=SPLITS, default="identity")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--method", choices=METHODS, help="both by default")
    parser.add_argument("--alpha", type=float, help="penalty of the ridge; chosen inside the folds by default")
    parser.add_argument("--size", type=int, help="as many antibodies only")
    parser.add_argument("--fields", default="{}", help='fields of FineTuneSpec as JSON, such as {"rank": 4}')
    parser.add_argument("--unchecked", action="store_true", help="leave out the check of molecules by numbering")
    parser.add_argument("--store", default="embeddings/")
    parser.add_argument("--results", type=Path, default=Path("finetuning"))
    parser.add_argument("--table", action="store_true", help="write the table of all results into the page")
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args(arguments)
    if not options.table:
        run(options)
        return
    before, _, rest = options.page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    write(options.page, f"{before}{BEGIN}\n\n{table(options.results)}\n\n{END}{after}".encode())
    print(f"{options.page} has the table of {options.results}")


if __name__ == "__main__":
    main(sys.argv[1:])
