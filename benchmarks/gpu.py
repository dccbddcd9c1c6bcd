"""Language models on a GPU: correctness, memory, and speed beside other ways to embed; no network, in parts.

    PYTHONPATH=. python benchmarks/gpu.py --output build/gpu

Results are written after each row, as `gpu.json` and as tables in `gpu.md`. ESM-2 has its published sizes and random
weights, which change no time. AntiBERTy and Sapiens have their own weights; what is not installed is named and left
out. ``--device cpu --tiny`` runs every part in seconds, on models of two layers, and shows only that the script works.
"""

import argparse
import importlib.util
import json
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoConfig, AutoModel, AutoTokenizer, BertTokenizer
from transformers.utils import logging

from antibody_esm import EmbeddingStore, Extractor, ExtractorSpec, RuntimeSpec, embed
from antibody_esm.plm import devices, gpu_layers
from antibody_esm.plm.checkpoints import locate
from antibody_esm.testing import tiny_checkpoint

PARTS = ("correctness", "memory", "speed", "host", "kernels", "choices")
ESM2 = {"esm2_650m": (33, 1280, 20), "esm2_150m": (30, 640, 20)}
"""Layers, dimension and heads, as published."""
REAL = ("antiberty", "sapiens_vh")
FAST = (*ESM2, "antiberty")
"""Models whose speed is measured."""
HALF = ("bfloat16", "float16")
BARS = {"peak": 0.45, "loop": 2.0, "s-t": 1.2, "float32": 1e-4}
EIGHT, LARGE = 8, 256
"""Sequences in a batch of the padded loops: that of `benchmark_extractor.py`, and one that fills a card."""
LINKER = "GGGGSGGGGSGGGGS"

Rows = NDArray[np.float32]


@dataclass
class Run:
    """A run of the script: its options, its rows, and the files that hold them."""

    options: argparse.Namespace
    machine: dict[str, str]
    folder: Path
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @property
    def device(self) -> torch.device:
        """The device that is measured."""
        return torch.device(self.options.device)

    @property
    def is_late(self) -> bool:
        """True if no further row may begin."""
        return time.monotonic() - self.began > 60 * self.options.minutes

    def n(self, full: int) -> int:
        """Return a number of sequences."""
        return 12 if self.options.tiny else full

    def add(self, part: str, **row: Any) -> None:
        """Print a row and write all rows."""
        rows = self.rows.setdefault(part, [])
        if not rows:
            print(f"\n{part}")
        rows.append(row)
        text = ", ".join(f"{name} {shown(value)}" for name, value in row.items())
        print(*wrapped(text), sep="\n", flush=True)
        self.write()

    def leave_out(self, what: str) -> None:
        """Name a row that is left out, with the reason."""
        self.left_out.append(what)
        print(*wrapped(f"left out: {what}"), sep="\n", flush=True)
        self.write()

    def write(self) -> None:
        """Write both files."""
        folder = Path(self.options.output)
        folder.mkdir(parents=True, exist_ok=True)
        content = {"machine": self.machine, "rows": self.rows, "left_out": self.left_out}
        texts = {"gpu.json": json.dumps(content, indent=1), "gpu.md": "\n".join(self.markdown())}
        for name, text in texts.items():
            (folder / f"{name}.new").write_text(text + "\n", encoding="utf-8")
            (folder / f"{name}.new").replace(folder / name)

    def markdown(self) -> Iterator[str]:
        """Yield the lines of the tables."""
        yield "; ".join(f"{name} {value}" for name, value in self.machine.items())
        for part, rows in self.rows.items():
            names = list(dict.fromkeys(name for row in rows for name in row))
            yield f"\n## {part}\n"
            yield f"| {' | '.join(names)} |"
            yield "|" + "---|" * len(names)
            for row in rows:
                yield f"| {' | '.join(shown(row.get(name, '')) for name in names)} |"
        if self.left_out:
            yield "\n## left out\n"
            yield from (f"- {what}" for what in self.left_out)


def shown(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.6f}" if 0.95 < value < 1 else f"{value:.3g}"


def wrapped(text: str, width: int = 80) -> Iterator[str]:
    line = " "
    for word in text.split():
        if len(line) + 1 + len(word) > width:
            yield line
            line = "   "
        line += f" {word}"
    yield line


def judged(value: float, bar: float, less: bool = False) -> str:
    reached = value <= bar if less else value >= bar
    return f"{'reached' if reached else 'missed'} ({'at most' if less else 'at least'} {bar:g})"


def machine(device: torch.device) -> dict[str, str]:
    """Return the card's name, and versions."""
    if device.type != "cuda":
        return {"device": platform.processor() or platform.machine(), "torch": torch.__version__}
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        driver = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30).stdout.split()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        driver = "unknown"
    return {
        "card": torch.cuda.get_device_name(device),
        "memory": f"{torch.cuda.get_device_properties(device).total_memory / 2**30:.0f} GiB",
        "driver": driver,
        "CUDA": str(torch.version.cuda),
        "torch": torch.__version__,
        "transformers": version("transformers"),
        "date": time.strftime("%Y-%m-%d"),
    }


@cache
def sequences(n: int, lengths: str) -> tuple[str, ...]:
    """Return distinct simulated sequences: heavy variable domains, or these with third loops and scFvs, in turns.

    A domain has a third loop of 4 to 28 residues, and one residue in ten elsewhere is another.
    """
    numbers = random.Random(0)

    def domain() -> tuple[str, str]:
        loop = "".join(numbers.choices("ADGSYRTPVFWLENI", k=min(28, max(4, round(numbers.gauss(14, 4))))))
        before = (
            "EVQLVESGGGLVQPGGSLRLSCAASGFTFSSYAMSWVRQAPGKGLEWVSAI"
            + numbers.choice(("SGSGGST", "SGSGGSTY", "RSKANSYATA"))
            + "YYADSVKGRFTISRDNSKNTLYLQMNSLRAEDTAVYYC"
        )
        frame = "".join(numbers.choice("ACDEFGHIKLMNPQRSTVWY") if numbers.random() < 0.1 else r for r in before)
        return frame + "AR" + loop + "DYWGQGTLVTVSS", loop

    made: dict[str, None] = {}
    while len(made) < n:
        whole, loop = domain()
        kinds = (whole,) if lengths == "VH" else (whole, loop, whole + LINKER + domain()[0])
        made |= dict.fromkeys(kinds)
    return tuple(made)[:n]


def checkpoint(run: Run, name: str) -> str:
    """Return a preset's name, or the folder of a model of ESM-2's size with random weights, made on the device."""
    if name in REAL:
        return name
    folder = run.folder / name
    if not folder.is_dir():
        tiny_checkpoint("esm", folder)
        layers, dim, heads = (2, 64, 4) if run.options.tiny else ESM2[name]
        size = {"num_hidden_layers": layers, "hidden_size": dim, "num_attention_heads": heads}
        config = AutoConfig.from_pretrained(folder, intermediate_size=4 * dim, **size)
        with torch.device(run.device), torch.random.fork_rng([run.device] if run.device.type == "cuda" else []):
            torch.manual_seed(0)
            AutoModel.from_config(config, add_pooling_layer=False).save_pretrained(folder)
    return str(folder)


def missing(name: str) -> str | None:
    """Return the reason why a model with its own weights cannot run."""
    try:
        locate(name)
    except Exception as error:  # noqa: BLE001  whatever is wrong with it, the other rows are measured
        return str(error).splitlines()[0][:200]
    return None


def extractor(run: Run, name: str, precision: str, device: str | None = None, tokens: int | None = None) -> Extractor:
    workers = 1 if run.device.type == "cpu" else None  # one thread, whose passes and kernels can be timed
    runtime = RuntimeSpec(device=device or run.options.device, progress=False, batch_tokens=tokens, workers=workers)
    return Extractor(ExtractorSpec(model=checkpoint(run, name), precision=precision), runtime)


def wait(run: Run) -> None:
    if run.device.type == "cuda":
        torch.cuda.synchronize(run.device)


def seconds(run: Run, step: Callable[[], object]) -> float:
    wait(run)
    began = time.perf_counter()
    step()
    wait(run)
    return time.perf_counter() - began


def cosines(one: Rows, other: Rows) -> Rows:
    return (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


def correctness(run: Run) -> None:
    """Compare rows with those of this machine's CPU in float32; of real models, also their ROC AUC."""
    for name in ("esm2_150m", *(REAL[1:] if run.options.tiny else REAL)):
        if name in REAL and (reason := missing(name)):
            run.leave_out(f"correctness of {name}: {reason}")
            continue
        exact = extractor(run, name, "float32", "cpu")
        chains = [chain for chain in sequences(run.n(48), "mix") if len(chain) <= exact.max_length]
        expected = exact.embed(chains)
        for precision in ("float32", *HALF):
            if run.is_late:
                return run.leave_out("correctness: no time")
            rows = extractor(run, name, precision).embed(chains)
            difference, least = float(np.abs(rows - expected).max()), float(cosines(rows, expected).min())
            bar = {"bar": judged(difference, BARS["float32"], less=True)} if precision == "float32" else {}
            run.add(
                "correctness", model=name, precision=precision, largest_difference=difference, least_cosine=least, **bar
            )
        if name in REAL:
            discrimination(run, name)
    return None


def discrimination(run: Run, name: str) -> None:
    """ROC AUC of ten folds of logistic regression on the packaged data set."""
    if importlib.util.find_spec("sklearn") is None:
        return run.leave_out(f"ROC AUC of {name}: scikit-learn is not installed")
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from antibody_esm import load_dataset

    data = load_dataset("boughter_flu_cdrs")
    label = np.asarray(data.label)
    keep = slice(None, None, 6 if run.options.tiny else 1)
    loops, label = data.sequences[keep], label[keep]

    def folds(precision: str, device: str) -> Rows:
        X = extractor(run, name, precision, device).embed(loops)
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        split = StratifiedKFold(10 if len(loops) > 100 else 3, shuffle=True, random_state=0)
        return np.asarray(cross_val_score(model, X, label, cv=split, scoring="roc_auc"))

    exact = folds("float32", "cpu")
    for precision in ("float32", *HALF):
        scores = folds(precision, run.options.device)
        largest = float(np.abs(scores - exact).max())
        run.add(
            "ROC AUC on boughter_flu_cdrs",
            model=name,
            precision=precision,
            auc=round(float(scores.mean()), 4),
            on_the_cpu_in_float32=round(float(exact.mean()), 4),
            largest_difference_of_a_fold=largest,
        )
    return None


def memory(run: Run) -> None:
    """Run batches that do not fit: on a card under a limit of its allocator, on a CPU under a simulated one."""
    name, whole = "esm2_150m", sequences(run.n(2000), "VH")
    chains = [chain[:length] for length in (100, 90) for chain in dict.fromkeys(whole)]
    expected = extractor(run, name, "float32").embed(chains)
    tried = extractor(run, name, "float32", tokens=10**9)
    module, passes, refused = tried.models[0].module, [0], [0]
    forward = module.forward

    def counted(input_ids: torch.Tensor, **further: Any) -> Any:
        passes[0] += 1
        try:
            if run.device.type != "cuda" and input_ids.numel() > 500:
                raise torch.OutOfMemoryError("CUDA out of memory. (simulated)")
            return forward(input_ids=input_ids, **further)
        except torch.OutOfMemoryError:
            refused[0] += 1
            raise

    with patch.object(module, "forward", counted), limited(run, 2**30):
        rows = tried.embed(chains)
    difference = float(np.abs(rows - expected).max())
    run.add(
        "memory",
        model=name,
        kind="real" if run.device.type == "cuda" else "simulated",
        sequences=len(chains),
        passes=passes[0],
        out_of_memory=refused[0],
        largest_difference=difference,
        bar=judged(difference, BARS["float32"], less=True) if refused[0] else "missed (nothing was refused)",
    )


@contextmanager
def limited(run: Run, room: int) -> Iterator[None]:
    """Leave so many bytes beside what is allocated on the card; its allocator raises the errors that it always does."""
    if run.device.type != "cuda":
        yield
        return
    torch.cuda.empty_cache()
    whole = torch.cuda.get_device_properties(run.device).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved(run.device) + room) / whole, run.device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, run.device)


def peak(run: Run, dim: int) -> float:
    """Return the operations per second of the best matrix product: a square one, or one of the model's shapes."""
    best, dtype = 0.0, getattr(torch, run.options.precision)
    side, rows = (256, 512) if run.options.tiny else (8192, 16384)
    for m, k, n in ((side, side, side), (rows, dim, 4 * dim), (rows, 4 * dim, dim)):
        left, right = (torch.randn(shape, device=run.device, dtype=dtype) for shape in ((m, k), (n, k)))
        for _ in range(4):  # the first warms the card up
            took = seconds(run, lambda left=left, right=right: [left @ right.T for _ in range(10)])
            best = max(best, 10 * 2 * m * k * n / took)
    return best


def flops(network: Any, tokens: Sequence[int]) -> int:
    """Return the operations of a forward pass; padding does not count."""
    linear = sum(part.weight.numel() for part in network.encoder.modules() if isinstance(part, torch.nn.Linear))
    config = network.config
    attention = 4 * config.hidden_size * config.num_hidden_layers * sum(length * length for length in tokens)
    return 2 * linear * sum(tokens) + attention


class Peer:
    """A model as transformers alone loads it."""

    def __init__(self, run: Run, name: str) -> None:
        self.run, self.name, self.dtype = run, name, getattr(torch, run.options.precision)
        if name == "antiberty":
            files = locate(name).files
            vocabulary = {token: i for i, token in enumerate(files["vocab.txt"].read_text().split())}
            self.tokenizer, folder = BertTokenizer(vocab=vocabulary, do_lower_case=False), files["config.json"].parent
        else:
            folder = Path(checkpoint(run, name))
            self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.separator = " " if name == "antiberty" else ""
        network = AutoModel.from_pretrained(folder, add_pooling_layer=False, dtype=self.dtype)
        self.network = network.to(run.device).eval()

    def loop(self, chains: list[str], size: int, by_length: bool) -> Rows:
        """Embed in padded batches with a mask, in the order of arrival or by length."""
        rows = torch.empty(len(chains), self.network.config.hidden_size)
        order = sorted(range(len(chains)), key=lambda i: len(chains[i])) if by_length else list(range(len(chains)))
        with torch.inference_mode():
            for start in range(0, len(order), size):
                batch = order[start : start + size]
                texts = [self.separator.join(chains[i]) for i in batch]
                inputs = self.tokenizer(texts, padding=True, return_tensors="pt").to(self.run.device)
                states = self.network(**inputs).last_hidden_state.float()
                residues = inputs["attention_mask"].clone()
                residues[:, 0] = 0
                residues[torch.arange(len(texts), device=self.run.device), inputs["attention_mask"].sum(1) - 1] = 0
                rows[batch] = ((states * residues[:, :, None]).sum(1) / residues.sum(1, keepdim=True)).cpu()
        return rows.numpy()

    def sentences(self) -> Any:
        """Return sentence-transformers' model of the same weights."""
        from sentence_transformers import SentenceTransformer

        folder = self.run.folder / f"sentences {self.name}"
        if not folder.is_dir():
            self.network.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
        options = {"add_pooling_layer": False, "dtype": self.dtype}
        return SentenceTransformer(str(folder), device=str(self.run.device), model_kwargs=options)


def speed(run: Run) -> None:
    """Sequences a second beside padded loops and sentence-transformers, and the share of the card's peak."""
    has_peer = importlib.util.find_spec("sentence_transformers") is not None
    if not has_peer:
        run.leave_out("sentence-transformers: it is not installed")
    for name in run.options.models:
        if name in REAL and (reason := missing(name)):
            run.leave_out(f"speed of {name}: {reason}")
            continue
        peer, own = Peer(run, name), extractor(run, name, run.options.precision)
        encode = peer.sentences().encode if has_peer else None
        for lengths in ("VH", "mix"):
            if run.is_late:
                run.leave_out(f"speed of {name}, {lengths}: no time")
            else:
                race(run, peer, own, encode, lengths)


def race(run: Run, peer: Peer, own: Extractor, encode: Callable[..., Rows] | None, lengths: str) -> None:
    """Time all ways to embed in turns."""
    chains = list(sequences(run.n(8192), lengths))
    few = chains[: run.n(1024)]
    texts = [peer.separator.join(chain) for chain in few]
    steps: dict[str, Callable[[], object]] = {
        "ours": lambda: own.embed(chains),
        f"loop_of_{EIGHT}": lambda: peer.loop(few, EIGHT, by_length=False),
        f"sorted_{LARGE}": lambda: peer.loop(few, LARGE, by_length=True),
    }
    if encode is not None:
        for size in (32, LARGE):
            steps[f"s-t_{size}"] = partial(encode, texts, batch_size=size, show_progress_bar=False)
    least = float(cosines(own.embed(few[:64]), peer.loop(few[:64], EIGHT, by_length=False)).min())
    rates: dict[str, list[float]] = {step: [] for step in steps}
    peaks, operations = [], flops(peer.network, [len(chain) + 2 for chain in chains]) / len(chains)
    for turn in range(2 if run.options.tiny else 4):
        for step, work in steps.items():
            took = seconds(run, work)
            if turn:  # the first warms up
                rates[step].append(len(chains if step == "ours" else few) / took)
        if turn:
            peaks.append(peak(run, peer.network.config.hidden_size))
    medians = {step: statistics.median(each) for step, each in rates.items()}
    ours, share = (
        medians["ours"],
        statistics.median(r * operations / p for r, p in zip(rates["ours"], peaks, strict=True)),
    )
    bars = {}
    if peer.name == "esm2_650m" and lengths == "VH" and run.options.precision == "bfloat16":
        bars["bar of peak"] = judged(share, BARS["peak"])
    bars["bar to loop"] = judged(ours / medians[f"loop_of_{EIGHT}"], BARS["loop"])
    if encode is not None:
        bars["bar to s-t"] = judged(ours / max(medians["s-t_32"], medians[f"s-t_{LARGE}"]), BARS["s-t"])
    run.add(
        f"speed, sequences a second ({run.options.precision})",
        model=peer.name,
        of=lengths,
        **medians,
        to_loop=ours / medians[f"loop_of_{EIGHT}"],
        to_sorted=ours / medians[f"sorted_{LARGE}"],
        peak_TFLOPs=statistics.median(peaks) / 1e12,
        of_peak=share,
        least_cosine=least,
        **bars,
    )


def host(run: Run) -> None:
    """Time of the device beside the wall, without a store and with one, and of tokens on the host."""
    for name in run.options.models:
        if run.is_late or (name in REAL and missing(name)):
            run.leave_out(f"host time of {name}")
            continue
        chains, own = list(sequences(run.n(8192), "VH")), extractor(run, name, run.options.precision)
        own.embed(chains)  # warms up
        busy = Busy(run, own.models[0].module)
        wall = seconds(run, lambda own=own, chains=chains: own.embed(chains))
        alone = busy.seconds()
        with tempfile.TemporaryDirectory(dir=run.folder) as folder:
            store = EmbeddingStore(folder)
            stored = seconds(run, lambda own=own, chains=chains, store=store: embed(chains, own, store))
        with_store = busy.seconds()
        busy.remove()
        vocabulary = own.models[0].vocabulary
        batches = own.batches(chains)
        tokens = seconds(run, lambda batches=batches, v=vocabulary: [v.encode(batch) for batch in batches])
        run.add(
            "host beside device",
            model=name,
            batches=len(batches),
            wall_s=wall,
            device_s=alone,
            device_of_wall=alone / wall,
            wall_with_store_s=stored,
            device_of_wall_with_store=with_store / stored,
            tokens_s=tokens,
        )


class Busy:
    """Time from the begin to the end of each forward pass on the device."""

    def __init__(self, run: Run, module: Any) -> None:
        self._run, self._marks = run, []
        self._hooks = [
            module.register_forward_pre_hook(lambda *_: self._mark()),
            module.register_forward_hook(lambda *_: self._mark()),
        ]

    def _mark(self) -> None:
        if self._run.device.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)
            event.record(torch.cuda.current_stream(self._run.device))
            self._marks.append(event)
        else:
            self._marks.append(time.perf_counter())

    def seconds(self) -> float:
        """Return the sum since the last call."""
        wait(self._run)
        pairs = list(zip(self._marks[::2], self._marks[1::2], strict=True))
        self._marks.clear()
        if self._run.device.type == "cuda":
            return sum(begin.elapsed_time(end) for begin, end in pairs) / 1000
        return sum(end - begin for begin, end in pairs)

    def remove(self) -> None:
        """Measure no longer."""
        for hook in self._hooks:
            hook.remove()


def kernels(run: Run) -> None:
    """List the kernels that take most of the time of one batch: flash attention should be among them."""
    from torch.profiler import ProfilerActivity, profile

    is_card = run.device.type == "cuda"
    activity = ProfilerActivity.CUDA if is_card else ProfilerActivity.CPU
    name = run.options.models[0]
    own = extractor(run, name, run.options.precision)
    chains = list(dict.fromkeys(chain[:100] for chain in sequences(run.n(400), "VH")))
    own.embed(chains)
    with profile(activities=[activity]) as profiler:
        own.embed(chains)
    events = profiler.key_averages()
    times = {event.key: event.self_device_time_total if is_card else event.self_cpu_time_total for event in events}
    total = sum(times.values()) or 1
    for kernel, took in sorted(times.items(), key=lambda item: -item[1])[:12]:
        run.add("kernels", model=name, share=took / total, ms=took / 1000, kernel=kernel[:100].replace("|", "/"))


def choices(run: Run) -> None:
    """Compare this package's choices with what they replaced, to see if they pay."""
    variants = {
        "as it is": {},
        "layers of transformers": {"rewrite": False},
        "one batch ahead less": {"ahead": 2},
        "none ahead": {"ahead": 1},
        "16,384 tokens a batch": {"tokens": 16_384},
        "twice the tokens": {"tokens": 2},
    }
    for name in run.options.models:
        if name in REAL and missing(name):
            continue
        chains = sequences(run.n(4096), "VH")
        for variant, change in variants.items():
            if run.is_late:
                return run.leave_out(f"choices of {name}, {variant}: no time")
            tokens = change.get("tokens")
            if tokens == 2:
                default = extractor(run, name, run.options.precision)
                tokens = 2 * default._budget
            without = patch.object(gpu_layers, "rewrite", lambda _: None) if "rewrite" in change else nullcontext()
            with without, patch.object(devices, "AHEAD", change.get("ahead", devices.AHEAD)):
                own = extractor(run, name, run.options.precision, tokens=tokens)
                own.embed(chains)
                times = [seconds(run, lambda own=own, chains=chains: own.embed(chains)) for _ in range(2)]
            run.add("choices", model=name, variant=variant, sequences_a_second=len(chains) / min(times))
            own.unload()
    return None


@contextmanager
def quiet() -> Iterator[None]:
    """Hide transformers' bars and messages."""
    verbosity, has_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if has_bar:
            logging.enable_progress_bar()


def main(arguments: Sequence[str] | None = None) -> Run:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu")
    parser.add_argument("--parts", default=",".join(PARTS), help="parts, by commas (default: all)")
    parser.add_argument("--models", default=",".join(FAST), help="models of the parts on speed (default: all)")
    parser.add_argument("--precision", default="bfloat16", choices=("bfloat16", "float16", "float32"))
    parser.add_argument("--minutes", type=float, default=8, help="no row begins after so many minutes")
    parser.add_argument("--output", default="build/gpu", help="folder of gpu.json and gpu.md")
    parser.add_argument("--tiny", action="store_true", help="models of two layers and few sequences")
    options = parser.parse_args(arguments)
    options.parts, options.models = options.parts.split(","), options.models.split(",")
    if unknown := {*options.parts} - {*PARTS} or {*options.models} - {*FAST}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; parts are {', '.join(PARTS)}")
    if options.tiny:
        options.models = [name for name in options.models if name in ESM2]  # AntiBERTy is not tiny
    if options.device == "cuda":
        options.device = "cuda:0"
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error(f"this torch ({torch.__version__}) sees no CUDA device; --device cpu --tiny tries the script")
    with tempfile.TemporaryDirectory() as folder, quiet():
        run = Run(options, machine(torch.device(options.device)), Path(folder))
        print(*wrapped("; ".join(f"{name} {value}" for name, value in run.machine.items())), sep="\n")
        for part in options.parts:
            if run.is_late:
                run.leave_out(f"{part}: no time")
                continue
            try:
                globals()[part](run)
            except Exception as error:  # noqa: BLE001  the other parts are measured; the run ends with status 1
                run.leave_out(f"{part}, by an error: {type(error).__name__}: {str(error)[:500]}")
                run.failed.append(part)
    print(f"\nwritten: {Path(options.output) / 'gpu.md'} and gpu.json")
    return run


if __name__ == "__main__":
    sys.exit(1 if main().failed else 0)
