"""`Extractor` beside other ways to embed: the same weights, the same sequences, in the same run.

A plain transformers loop over padded batches of eight, in the order of arrival (the predecessor's) and sorted by
length; `encode` of sentence-transformers; and batches of up to 4096 tokens of sequences sorted by length, as fair-esm's
extraction script makes them. These run on torch's own threads. All start from strings and end at one mean vector a
sequence. They run in turns, a ratio is the median over the pairs, and no timing can fail the run; that all agree is
asserted. In the end the loop and `Extractor` run beside another process that keeps one core busy.
"""

import csv
import importlib.util
import itertools
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture
from transformers import AutoModel, AutoTokenizer, BertTokenizer
from transformers.utils import logging

from antibody_esm import Extractor, ExtractorSpec, RuntimeSpec, load_dataset
from antibody_esm.plm.checkpoints import locate
from antibody_esm.plm.products import available
from antibody_esm.plm.sapiens import END, PADDING, START
from antibody_esm.testing import tiny_checkpoint

N_SEQUENCES = {"antiberty": 96, "sapiens_vh": 400, "esm2_8m": 200, "esm2_35m": 64, "esm2_150m": 24}
"""As many as keep each line of the table under four minutes on two cores."""

PAIRS = 5
BATCH = 8
TOKENS = 4096
LINKER = "GGGGSGGGGSGGGGS"

ESM2 = {
    "esm2_8m": {"layers": 6, "dim": 320, "heads": 20},
    "esm2_35m": {"layers": 12, "dim": 480, "heads": 20},
    "esm2_150m": {"layers": 30, "dim": 640, "heads": 20},
}
"""Published sizes; the weights are random, which changes no time."""

LARGE = pytest.mark.skipif("ANTIBODY_ESM_LARGE" not in os.environ, reason="ANTIBODY_ESM_LARGE=1 runs it too")

Embed = Callable[[list[str]], NDArray[np.float32]]


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


LOOP, SORTED, SENTENCES, BUDGET, OURS = "loop", "sorted", "s-t", "budget", "ours"


class Row(NamedTuple):
    """One line of the tables."""

    model: str
    lengths: str
    rates: dict[str, float]
    """Sequences per second."""
    ratios: dict[str, list[float]]
    """Their time to ours, of each pair."""
    processor: list[float]
    """Processor time of the loop to ours, of each pair."""
    shares: dict[str, float]
    """Of the peak by the wall clock, padding not counted as work."""
    processor_share: float
    """Of the peak of one core: work of ours per second of processor time."""
    peak: float
    disturbed: dict[str, float]
    """Rate beside a busy process to that without."""
    difference: float

    def speed(self) -> str:
        """Return its line of the first table."""
        rates = "".join(
            f"{self.rates.get(name, float('nan')):>8.1f}" for name in (LOOP, SORTED, SENTENCES, BUDGET, OURS)
        )
        loop = self.ratios[LOOP]
        ratios = "".join(
            f"{statistics.median(self.ratios.get(name, [float('nan')])):>8.2f}" for name in (SORTED, SENTENCES, BUDGET)
        )
        ours = f"{statistics.median(loop):>7.2f} ({min(loop):.2f}-{max(loop):.2f})"
        processor = f"{statistics.median(self.processor):>11.2f}"
        return f"{self.model:<10} {self.lengths:<4}{rates}{ours}{processor}{ratios}"

    def peaks(self) -> str:
        """Return its line of the second table."""
        shares = "".join(f"{self.shares[name]:>7.0%}" for name in (LOOP, OURS)) + f"{self.processor_share:>11.0%}"
        disturbed = "".join(f"{self.disturbed[name]:>10.2f}" for name in (LOOP, OURS))
        return f"{self.model:<10} {self.lengths:<4}{self.peak:>9.0f}{shares}{disturbed}{self.difference:>13.0e}"


SPEED = """
                        sequences per second             ours to loop  processor       ours to
model      of      loop  sorted     s-t  budget    ours         (range)       time  sorted     s-t  budget"""
PEAKS = """
                    peak   of peak         ours,  beside a busy process      largest
model      of   GFLOP/s   loop   ours  processor      loop      ours   difference"""


@pytest.fixture(scope="module")
def table() -> Iterator[list[Row]]:
    rows: list[Row] = []
    yield rows
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}"
    print("", f"{PAIRS} pairs; {machine}", SPEED, *(row.speed() for row in rows), sep="\n")
    print(PEAKS, *(row.peaks() for row in rows), sep="\n")
    if importlib.util.find_spec("sentence_transformers") is None:
        print("s-t is empty: sentence-transformers is not installed (it comes with the extra [benchmark])")


@pytest.fixture(scope="module")
def pools() -> dict[str, list[str]]:
    """Real sequences, shuffled: heavy variable domains, and these with CDR3 loops and scFv in equal parts.

    Where the public data do not lie on disk, both are the bundled heavy CDR loops.
    """
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("ANTIBODY_ESM_DATA", beside)) / "boughter" / "predecessor"

    def of(name: str) -> dict[str, str]:
        with (folder / f"{name}_boughter.csv").open(encoding="utf-8") as lines:
            table = csv.DictReader(line for line in lines if not line.startswith("#"))
            return {row["id"]: row["sequence"] for row in table}

    def shuffled(sequences: list[str]) -> list[str]:
        unique = sorted(set(sequences))
        return random.Random(0).sample(unique, len(unique))

    if not folder.is_dir():
        loops = shuffled(load_dataset("boughter_flu_cdrs").sequences)
        return {"VH": loops, "mix": loops}
    heavy, light, loop = of("VH_only"), of("VL_only"), of("H-CDR3")
    single = [heavy[name] + LINKER + light[name] for name in heavy if name in light]
    parts = zip(shuffled(list(heavy.values())), shuffled(list(loop.values())), shuffled(single), strict=False)
    return {"VH": shuffled(list(heavy.values())), "mix": list(itertools.chain.from_iterable(parts))}


def in_eights(lengths: list[int]) -> list[list[int]]:
    """Return batches in the order of arrival."""
    return [list(range(start, min(start + BATCH, len(lengths)))) for start in range(0, len(lengths), BATCH)]


def sorted_in_eights(lengths: list[int]) -> list[list[int]]:
    """Return batches of sequences of about one length."""
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    return [[order[i] for i in batch] for batch in in_eights(lengths)]


def within_budget(lengths: list[int]) -> list[list[int]]:
    """Return batches, shortest first, of no more tokens than the budget, padding counted."""
    made: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if not made or lengths[i] * (len(made[-1]) + 1) > TOKENS:
            made.append([])
        made[-1].append(i)
    return made


class Peer(NamedTuple):
    """A model as transformers alone loads it."""

    network: torch.nn.Module
    tokenizer: object
    separator: str

    @classmethod
    def of(cls, model: str, scratch: Path) -> "Peer":
        """Load a checkpoint; Sapiens is first written in the layout of transformers."""
        logging.disable_progress_bar()
        logging.set_verbosity_error()  # AntiBERTy's file holds heads that no embedding passes through
        if model == "antiberty":
            files = locate("antiberty").files
            vocabulary = {token: i for i, token in enumerate(files["vocab.txt"].read_text().split())}
            tokenizer, folder = BertTokenizer(vocab=vocabulary, do_lower_case=False), files["config.json"].parent
        elif model == "sapiens_vh":
            checkpoint = locate(model)
            assert checkpoint.converter is not None
            checkpoint.converter.write(checkpoint.files, scratch)
            vocabulary = {"[CLS]": START, "[PAD]": PADDING, "[SEP]": END, "[UNK]": 3}
            vocabulary |= checkpoint.converter.numbers(checkpoint.files)
            tokenizer, folder = BertTokenizer(vocab=vocabulary, do_lower_case=False), scratch
        else:
            tokenizer, folder = AutoTokenizer.from_pretrained(model), Path(model)
        network = AutoModel.from_pretrained(folder, add_pooling_layer=False).eval()
        return cls(network, tokenizer, "" if network.config.model_type == "esm" else " ")

    @property
    def work(self) -> Work:
        """What a forward pass multiplies."""
        linear = sum(p.weight.numel() for p in self.network.encoder.modules() if isinstance(p, torch.nn.Linear))
        return Work(linear, self.network.config.num_hidden_layers, self.network.config.hidden_size)

    def loop(self, batching: Callable[[list[int]], list[list[int]]]) -> Embed:
        """Return a loop over padded batches."""

        @torch.inference_mode()
        def run(sequences: list[str]) -> NDArray[np.float32]:
            rows = torch.empty(len(sequences), self.network.config.hidden_size)
            for batch in batching([len(sequence) + 2 for sequence in sequences]):
                texts = [self.separator.join(sequences[i]) for i in batch]
                inputs = self.tokenizer(texts, padding=True, return_tensors="pt")
                states = self.network(**inputs).last_hidden_state
                residues = inputs["attention_mask"].clone()
                residues[:, 0] = 0
                residues[torch.arange(len(texts)), inputs["attention_mask"].sum(1) - 1] = 0
                rows[batch] = (states * residues[:, :, None]).sum(1) / residues.sum(1, keepdim=True)
            return rows.numpy()

        return run

    def sentences(self, folder: Path) -> Embed:
        """Return `SentenceTransformer.encode` of the same weights; its mean runs over start and end as well."""
        from sentence_transformers import SentenceTransformer

        self.network.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"add_pooling_layer": False})
        return lambda sequences: model.encode([self.separator.join(one) for one in sequences], show_progress_bar=False)


@contextmanager
def one_core_busy() -> Iterator[None]:
    """Run another process meanwhile, which does nothing but count."""
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.2)
        yield
    finally:
        other.kill()
        other.wait()


class Time(NamedTuple):
    """Duration of a call."""

    wall: float
    processor: float
    """Of all threads of this process."""


def time_of(embed: Embed, sequences: list[str]) -> Time:
    wall, processor = time.perf_counter(), time.process_time()
    embed(sequences)
    return Time(time.perf_counter() - wall, time.process_time() - processor)


class Peak(NamedTuple):
    """Operations per second of this machine's best float32 matrix product at the shapes of a model."""

    machine: float
    """Of all cores together, by the wall clock."""
    core: float
    """Of one core, per second of processor time."""

    @classmethod
    def measured(cls, dim: int, tokens: int, seconds: float = 0.1) -> "Peak":
        """Return the best rate of torch's own library and of oneDNN with packed weights.

        Shapes are those of the feed-forward and the attention projections, with as many rows as a batch of either
        side has tokens; one Python thread a core multiplies, each with one torch thread.
        """
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

        @torch.inference_mode()
        def rate(shape: tuple[int, int, int], packed: bool) -> tuple[float, float]:
            rows, inner, outer = shape
            torch.set_num_threads(1)
            left, right, product = torch.rand(rows, inner), torch.rand(outer, inner), torch.empty(rows, outer)
            multiply: Callable[[], object] = lambda: torch.mm(left, right.T, out=product)  # noqa: E731  one of two
            if packed:
                weight = torch.ops.mkldnn._reorder_linear_weight(right, rows)
                multiply = lambda: torch.ops.mkldnn._linear_pointwise(left, weight, None, "none", [], "")  # noqa: E731
            wall = processor = 0.0
            until = time.perf_counter() + seconds
            work = 2 * rows * inner * outer
            repeats = max(1, 10**9 // work)
            while time.perf_counter() < until:
                start, used = time.perf_counter(), time.thread_time()
                for _ in range(repeats):
                    multiply()
                wall = max(wall, repeats * work / (time.perf_counter() - start))
                processor = max(processor, repeats * work / (time.thread_time() - used))
            return wall, processor

        threads = torch.get_num_threads()
        shapes = [
            (rows, inner, outer)
            for rows in (tokens, 1024)
            for inner, outer in ((dim, dim), (dim, 4 * dim), (4 * dim, dim))
        ]
        rates: list[tuple[float, float]] = []
        try:
            with ThreadPoolExecutor(cores) as workers:
                for shape, packed in itertools.product(shapes, (False, True) if available() else (False,)):
                    walls, processors = zip(*workers.map(rate, [shape] * cores, [packed] * cores), strict=True)
                    rates.append((sum(walls), statistics.mean(processors)))
        finally:
            torch.set_num_threads(threads)
        return cls(*map(max, zip(*rates, strict=True)))


@pytest.mark.parametrize("lengths", ["VH", "mix"])
@pytest.mark.parametrize(
    "model", ["antiberty", "sapiens_vh", "esm2_8m", "esm2_35m", pytest.param("esm2_150m", marks=LARGE)]
)
def benchmark_extractor(
    model: str,
    lengths: str,
    benchmark: BenchmarkFixture,
    pools: dict[str, list[str]],
    table: list[Row],
    tmp_path: Path,
) -> None:
    sequences = pools[lengths][: N_SEQUENCES[model]]
    if model == "sapiens_vh":
        sequences = [sequence for sequence in pools[lengths] if len(sequence) <= 142][: N_SEQUENCES[model]]
    name = model if model not in ESM2 else str(tiny_checkpoint("esm", tmp_path / model, **ESM2[model]))
    runtime = RuntimeSpec(device="cpu", progress=False)
    extractor, peer = Extractor(name, runtime), Peer.of(name, tmp_path)
    plain = peer.loop(in_eights)
    peers = {LOOP: plain, SORTED: peer.loop(sorted_in_eights), BUDGET: peer.loop(within_budget)}
    threads = torch.get_num_threads()

    # The first pass of each is its warm-up, and the one that is compared.
    ours = extractor.embed(sequences)
    difference = max(float(np.abs(ours - embed(sequences)).max()) for embed in peers.values())
    if importlib.util.find_spec("sentence_transformers") is not None:
        peers[SENTENCES] = peer.sentences(tmp_path / "sentences")
        spec = ExtractorSpec(model=name, special_tokens="include")
        with_ends = Extractor(spec, runtime).embed(sequences)
        difference = max(difference, float(np.abs(with_ends - peers[SENTENCES](sequences)).max()))
    assert difference < 1e-4, f"two computations differ by {difference}"
    shuffled = random.Random(1).sample(range(len(sequences)), len(sequences))
    again = Extractor(name, RuntimeSpec(device="cpu", progress=False, workers=1, batch_tokens=400))
    assert np.array_equal(again.embed([sequences[i] for i in shuffled]), ours[shuffled]), "bit for bit"

    work, tokens = peer.work, [len(sequence) + 2 for sequence in sequences]
    peaks: list[Peak] = []
    times: dict[str, list[Time]] = {name: [] for name in (*peers, OURS)}

    def turns_of_the_peers() -> None:
        assert torch.get_num_threads() == threads  # the extractor left torch as it found it
        for name, embed in peers.items():
            times[name].append(time_of(embed, sequences))
        peaks.append(Peak.measured(work.dim, BATCH * max(tokens)))

    def turn_of_the_extractor() -> None:
        times[OURS].append(time_of(extractor.embed, sequences))

    benchmark.pedantic(turn_of_the_extractor, setup=turns_of_the_peers, rounds=PAIRS, iterations=1)
    medians = {name: statistics.median(time.wall for time in each) for name, each in times.items()}

    with one_core_busy():
        pairs = [(time_of(plain, sequences).wall, time_of(extractor.embed, sequences).wall) for _ in range(3)]
    disturbed = dict(zip((LOOP, OURS), map(statistics.median, zip(*pairs, strict=True)), strict=True))

    def share(name: str) -> float:
        return statistics.median(
            work.flops(tokens) / time.wall / peak.machine for time, peak in zip(times[name], peaks, strict=True)
        )

    row = Row(
        model=model,
        lengths=lengths,
        rates={name: len(sequences) / each for name, each in medians.items()},
        ratios={name: [a.wall / b.wall for a, b in zip(times[name], times[OURS], strict=True)] for name in peers},
        processor=[a.processor / b.processor for a, b in zip(times[LOOP], times[OURS], strict=True)],
        shares={name: share(name) for name in (LOOP, OURS)},
        processor_share=statistics.median(
            work.flops(tokens) / time.processor / peak.core for time, peak in zip(times[OURS], peaks, strict=True)
        ),
        peak=statistics.median(peak.machine for peak in peaks) / 1e9,
        disturbed={name: medians[name] / disturbed[name] for name in (LOOP, OURS)},
        difference=difference,
    )
    table.append(row)
    benchmark.extra_info.update(row._asdict())
