"""Training and test sets of a benchmark, cut to one fragment and with one label."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from antibody_esm.data.column_reading import ColumnReading, columns_read
from antibody_esm.data.dataset import Dataset
from antibody_esm.data.parts import FRAGMENTS
from antibody_esm.data.public import PUBLIC, load_dataset
from antibody_esm.data.reading import Texts
from antibody_esm.errors import DatasetError
from antibody_esm.files import digest as file_digest
from antibody_esm.sequences import Chain
from antibody_esm.specs import TrainSpec


class DataSource:
    """Antibodies that are loaded on first use, but identified before."""

    def __init__(self, source: str | Path | Dataset, chain: Chain | None = None) -> None:
        self._source, self._chain = source, chain
        self._load = cache(self._loaded)

    def identity(self) -> dict[str, str]:
        """Return the digest, or name, that identifies the antibodies."""
        if isinstance(self._source, Dataset):
            directions = sorted(self._source.directions.items())
            sides = {"directions": str(directions)} if directions else {}
            name = {"label": self._source.label_name} if self._source.label_name else {}
            between = {"ungraded": text} if (text := ungraded(self._source)) else {}
            return {"digest": self._source.digest} | name | sides | between
        chain = {} if self._chain is None else {"chain": str(self._chain)}
        if self._source in PUBLIC:
            return {"name": str(self._source)} | chain  # its files are checked by digests that are part of the code
        return {"sha256": file_digest(Path(self._source))} | chain

    def load(self, fragment: str | None) -> Dataset:
        """Return the antibodies, cut to a fragment."""
        return self._load(fragment)

    def _loaded(self, fragment: str | None) -> Dataset:
        if isinstance(self._source, Dataset):
            return self._source if fragment is None else self._source.cut(fragment)
        of_both = fragment in FRAGMENTS and FRAGMENTS[fragment].chain == "both"
        chain = self._chain if fragment is None or (of_both and self._chain == "paired") else None
        return load_dataset(self._source, fragment=fragment, chain=chain)


def ungraded(data: Dataset) -> str:
    """Return what identifies the antibodies between the classes, which the digest leaves out; empty without any."""
    return "" if data.ungraded is None else f", {data.grade} of {data.ungraded.digest}"


class Grounds:
    """Training set and test sets, cut to one fragment, with one label."""

    def __init__(
        self,
        data: DataSource,
        tests: Sequence[DataSource],
        fragment: str | None,
        label: str | None,
        check: bool,
        pipelines: Sequence[TrainSpec] = (),
    ) -> None:
        whole, self.label = data.load(fragment), label
        self.data = whole if label is None else whole.target(label)
        self.tests = tuple(self._read(self._labelled(test.load(fragment)), check) for test in tests)
        for test in self.tests:
            for spec in pipelines:
                self._refuse_columns(test, spec)
        self.digests = [data_set.digest + ungraded(data_set) for data_set in (self.data, *self.tests)]
        self.title = (f" on {fragment}" if fragment else "") + (f", {label}" if label else "")

    def _labelled(self, data: Dataset) -> Dataset:
        """Return a test set with the label of the training set."""
        name = self.data.label_name
        if data.targets and name is not None:
            return data.target(name)
        if self.label not in (None, data.label_name):
            raise DatasetError(f"the test set {data.provenance.source} has no label {self.label!r}", column=self.label)
        return data

    def _refuse_columns(self, test: Dataset, spec: TrainSpec) -> None:
        """Raise a DatasetError, before anything is computed, for a test set without columns that a pipeline reads."""
        specs = columns_read(spec, self.data.columns)
        if any(column.name not in self.data.columns for column in specs):
            return  # the pipeline fails in training
        source = test.provenance.source
        absent = [column.name for column in specs if column.name not in test.columns]
        if absent:
            raise DatasetError(
                f"the test set {source} lacks what a pipeline reads beside the sequences: {', '.join(absent)}; name "
                "columns of a table with columns=, or leave them out with use_columns=False",
                test.file,
                column=absent[0],
            )
        read = ColumnReading.of(specs, self.data.columns).read(test.columns, len(test))
        lacking = Texts([()] * len(test), {}).without(read.reasons)
        hint = ". load_dataset(..., drop=True) leaves them out; use_columns=False leaves the columns out"
        test.refuse(lacking, f"of the test set {source} lack what a pipeline reads", hint)

    def opened(self, data: Dataset) -> str:
        """Return the name of a test set in the log: each of several labels is a test set of its own."""
        return data.provenance.source + (f", {self.label}" if self.label else "")

    def sides(self, spec: TrainSpec) -> dict[str, Any]:
        """Return the directions that change a number, for the identity of a result."""
        low = [data.higher_is_better is False for data in (self.data, *self.tests)]
        return {"low is better": low} if spec.is_regression and any(low) else {}

    def _read(self, data: Dataset, check: bool) -> Dataset:
        """Return a test set as read by a model of the training set."""
        reading = replace(self.data.reading, check=check).with_lengths(self.data.sequences)
        texts = data.read_by(reading)
        data.refuse(texts, f"of the test set {data.provenance.source} cannot be read by the models ({reading})")
        return data.as_read(reading, texts)
