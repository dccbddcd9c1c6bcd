"""`Extractor` beside a plain transformers loop: the same weights, the same sequences, in the same run.

The peer is what its documentation shows: batches of eight in the order of arrival, padded, with an attention mask, on
torch's own threads. Both start from strings and end at one mean vector a sequence. They run in turns, the ratio is the
median over the pairs, and no timing can fail the run; that the two agree is asserted.
"""

import csv
import itertools
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture
from transformers import AutoModel, AutoTokenizer, BertTokenizer
from transformers.utils import logging

from antibody_esm import Extractor, RuntimeSpec, load_dataset
from antibody_esm.plm.checkpoints import locate
from antibody_esm.testing import tiny_checkpoint

N_SEQUENCES = {"antiberty": 128, "esm2_8m": 200, "esm2_35m": 80, "esm2_150m": 40}
"""As many as keep the whole run under five minutes on two cores."""

PAIRS = 5
BATCH = 8

ESM2 = {
    "esm2_8m": {"layers": 6, "dim": 320, "heads": 20},
    "esm2_35m": {"layers": 12, "dim": 480, "heads": 20},
    "esm2_150m": {"layers": 30, "dim": 640, "heads": 20},
}
"""Published sizes; the weights are random, which changes no time."""

LARGE = pytest.mark.skipif("ANTIBODY_ESM_LARGE" not in os.environ, reason="ANTIBODY_ESM_LARGE=1 runs it too")


class Work(NamedTuple):
    """What one forward pass over the sequences multiplies."""

    linear: int
    """Weights of the matrices that every token goes through."""
    layers: int
    dim: int

    def flops(self, tokens: list[int]) -> int:
        """Return the floating-point operations for sequences of these lengths, padding not counted."""
        attention = sum(4 * length * length * self.dim for length in tokens)
        return 2 * self.linear * sum(tokens) + self.layers * attention


class Row(NamedTuple):
    """One line of the table."""

    model: str
    sequences: int
    plain: float
    ours: float
    ratio: float
    lowest: float
    highest: float
    plain_share: float
    ours_share: float
    peak: float
    difference: float

    def __str__(self) -> str:
        return (
            f"{self.model:<10} {self.sequences:>9} {self.plain:>11.1f} {self.ours:>10.1f} {self.ratio:>8.2f}"
            f"   {self.lowest:.2f}-{self.highest:.2f} {self.plain_share:>9.0%} {self.ours_share:>9.0%}"
            f" {self.peak:>8.0f} {self.difference:>11.0e}"
        )


HEADER = """
                            seq/s      seq/s                         of peak   of peak     peak     largest
model      sequences   plain loop  Extractor    ratio       range      plain Extractor  GFLOP/s  difference"""


@pytest.fixture(scope="module")
def table() -> Iterator[list[Row]]:
    rows: list[Row] = []
    yield rows
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}"
    print("", f"{PAIRS} pairs; {machine}", HEADER, *rows, sep="\n")


@pytest.fixture(scope="module")
def pool() -> list[str]:
    """Real heavy variable domains, shuffled, where the public data lie on disk; else the bundled heavy CDR loops."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    file = Path(os.environ.get("ANTIBODY_ESM_DATA", beside)) / "boughter" / "predecessor" / "VH_only_boughter.csv"
    if file.is_file():
        with file.open(encoding="utf-8") as lines:
            table = csv.DictReader(line for line in lines if not line.startswith("#"))
            found = sorted({row["sequence"] for row in table})
    else:
        found = sorted(set(load_dataset("boughter_flu_cdrs").sequences))
    return random.Random(0).sample(found, len(found))


def plain_loop(model: str | Path) -> tuple[Callable[[list[str]], NDArray[np.float32]], Work]:
    """Return the peer over a model's weights, loaded by transformers alone, and what it multiplies."""
    if model == "antiberty":
        files = locate("antiberty").files
        vocabulary = {token: i for i, token in enumerate(files["vocab.txt"].read_text().split())}
        tokenizer, folder = BertTokenizer(vocab=vocabulary, do_lower_case=False), files["config.json"].parent
    else:
        tokenizer, folder = AutoTokenizer.from_pretrained(model), Path(model)
    logging.disable_progress_bar()
    logging.set_verbosity_error()  # AntiBERTy's file holds heads that no embedding passes through
    network = AutoModel.from_pretrained(folder, add_pooling_layer=False).eval()
    separator = " " if network.config.model_type == "bert" else ""

    @torch.inference_mode()
    def run(sequences: list[str]) -> NDArray[np.float32]:
        rows = []
        for start in range(0, len(sequences), BATCH):
            texts = [separator.join(sequence) for sequence in sequences[start : start + BATCH]]
            inputs = tokenizer(texts, padding=True, return_tensors="pt")
            states = network(**inputs).last_hidden_state
            residues = inputs["attention_mask"].clone()
            residues[:, 0] = 0
            residues[torch.arange(len(texts)), inputs["attention_mask"].sum(1) - 1] = 0
            rows.append((states * residues[:, :, None]).sum(1) / residues.sum(1, keepdim=True))
        return torch.cat(rows).numpy()

    linear = sum(part.weight.numel() for part in network.encoder.modules() if isinstance(part, torch.nn.Linear))
    return run, Work(linear, network.config.num_hidden_layers, network.config.hidden_size)


def peak(dim: int, tokens: int, seconds: float = 0.5) -> float:
    """Return the operations per second of this machine's best float32 matrix product at the shapes of a model.

    Shapes are those of the feed-forward and the attention projections, with as many rows as a batch of either side has
    tokens; one Python thread a core multiplies, each with one torch thread.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def rate(shape: tuple[int, int, int]) -> float:
        rows, inner, outer = shape
        torch.set_num_threads(1)
        left, right, product = torch.rand(rows, inner), torch.rand(outer, inner), torch.empty(rows, outer)
        torch.mm(left, right.T, out=product)
        best, until = 0.0, time.perf_counter() + seconds
        repeats = max(1, 2 * 10**9 // (2 * rows * inner * outer))
        while time.perf_counter() < until:
            start = time.perf_counter()
            for _ in range(repeats):
                torch.mm(left, right.T, out=product)
            best = max(best, repeats * 2 * rows * inner * outer / (time.perf_counter() - start))
        return best

    threads = torch.get_num_threads()
    shapes = [
        (rows, inner, outer)
        for rows in (tokens, RuntimeSpec().batch_tokens)
        for inner, outer in ((dim, dim), (dim, 4 * dim), (4 * dim, dim))
    ]
    try:
        with ThreadPoolExecutor(cores) as workers:
            return max(sum(workers.map(rate, itertools.repeat(shape, cores))) for shape in shapes)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("model", ["antiberty", "esm2_8m", "esm2_35m", pytest.param("esm2_150m", marks=LARGE)])
def benchmark_extractor(
    model: str, benchmark: BenchmarkFixture, pool: list[str], table: list[Row], tmp_path: Path
) -> None:
    sequences = pool[: N_SEQUENCES[model]]
    name = model if model == "antiberty" else tiny_checkpoint("esm", tmp_path / model, **ESM2[model])
    extractor = Extractor(name, RuntimeSpec(device="cpu", progress=False))
    plain, work = plain_loop(name)
    threads = torch.get_num_threads()

    # The first pass of each is its warm-up, and the one that is compared.
    difference = float(np.abs(extractor.embed(sequences) - plain(sequences)).max())
    assert difference < 1e-4, f"the two computations differ by {difference}"

    tokens = [len(sequence) + 2 for sequence in sequences]
    peaks, plain_times, our_times = [peak(work.dim, BATCH * max(tokens))], [], []

    def turn_of_the_peer() -> None:
        assert torch.get_num_threads() == threads  # the extractor left torch as it found it
        start = time.perf_counter()
        plain(sequences)
        plain_times.append(time.perf_counter() - start)

    def turn_of_the_extractor() -> None:
        start = time.perf_counter()
        extractor.embed(sequences)
        our_times.append(time.perf_counter() - start)

    benchmark.pedantic(turn_of_the_extractor, setup=turn_of_the_peer, rounds=PAIRS, iterations=1)
    peaks.append(peak(work.dim, BATCH * max(tokens)))

    ratios = [theirs / mine for theirs, mine in zip(plain_times, our_times, strict=True)]
    plain_time, our_time, best = statistics.median(plain_times), statistics.median(our_times), max(peaks)
    row = Row(
        model=model,
        sequences=len(sequences),
        plain=len(sequences) / plain_time,
        ours=len(sequences) / our_time,
        ratio=statistics.median(ratios),
        lowest=min(ratios),
        highest=max(ratios),
        plain_share=work.flops(tokens) / plain_time / best,
        ours_share=work.flops(tokens) / our_time / best,
        peak=best / 1e9,
        difference=difference,
    )
    table.append(row)
    benchmark.extra_info.update(row._asdict())
