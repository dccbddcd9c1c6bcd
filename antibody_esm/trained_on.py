"""Description of a model's training data, which is saved with the model."""

import hashlib
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from antibody_esm.data.dataset import Dataset
from antibody_esm.evaluation.recalibration_curve import RecalibrationCurve
from antibody_esm.licences import DATA
from antibody_esm.sequences import Chain
from antibody_esm.specs import FineTuneSpec, TrainSpec
from antibody_esm.unknown import Unknown


@dataclass(frozen=True)
class Recalibration:
    """Description of the antibodies of another assay that a model was recalibrated on; ``str()`` is a clause."""

    source: str
    """Source in the provenance of the data set."""
    digest: str
    """`Dataset.digest`."""
    antibodies: int
    """Number of antibodies."""
    slope: float
    intercept: float
    threshold: float | None = None
    """Smallest probability at which class 1 is predicted; None for continuous labels."""
    positives: int | None = None
    """Number of antibodies of class 1; None for continuous labels."""
    label: str | None = None
    """Name of the label; None if it has none."""
    curve: RecalibrationCurve | Unknown = field(default_factory=lambda: Unknown("not computed"))
    """Errors by the number of antibodies."""
    fixed: Mapping[str, str | float | None] = field(default_factory=dict, hash=False)
    """Values of columns that were fixed for all antibodies, see `Predictor.with_columns`."""
    shared: int | None = None
    """Number of antibodies that are training antibodies of the model; None if that is unknown."""
    sequences: frozenset[str] | None = field(default=None, compare=False, repr=False)
    """`sequence_digest` of each antibody; None in a model that was saved without its training antibodies."""
    origin: str = ""
    """Repository and commit on the hub of the model that was recalibrated; empty for one that was fitted here."""

    @property
    def repeated(self) -> int:
        """Number of antibodies whose sequence another one has; 0 if that is unknown."""
        return 0 if self.sequences is None else self.antibodies - len(self.sequences)

    def tested(self, data: Dataset) -> int | None:
        """Return the number of antibodies of a test set that the model was recalibrated on; None if unknown."""
        if self.sequences is None:
            return None
        return sum(sequence_digest(text) in self.sequences for text in data.sequences)

    @classmethod
    def from_dict(cls, facts: Any) -> "Recalibration":
        """Return the description in a manifest. Raises TypeError, ValueError or KeyError for other content."""
        texts, numbers = (facts["source"], facts["digest"]), (facts["slope"], facts["intercept"])
        threshold, positives, label = facts.get("threshold"), facts.get("positives"), facts.get("label")
        if not (
            all(isinstance(text, str) for text in texts)
            and all(isinstance(number, float) for number in numbers)
            and isinstance(facts["antibodies"], int)
            and isinstance(threshold, float | None)
            and isinstance(positives, int | None)
            and isinstance(label, str | None)
        ):
            raise TypeError("the recalibration has fields of other types")
        fixed, shared, sequences = facts.get("fixed", {}), facts.get("shared"), facts.get("sequences")
        origin = facts.get("origin", "")
        if not (
            isinstance(fixed, dict)
            and all(isinstance(value, str | float | None) for value in fixed.values())
            and isinstance(shared, int | None)
            and isinstance(sequences, list | None)
            and all(isinstance(text, str) for text in (origin, *(sequences or ())))
        ):
            raise TypeError("the recalibration has fields of other types")
        curve = facts["curve"]
        read = Unknown(curve) if isinstance(curve, str) else RecalibrationCurve.from_dict(curve)
        digests = None if sequences is None else frozenset(sequences)
        scaled = cls(*texts, facts["antibodies"], *numbers, threshold, positives, label, read, fixed, shared, digests)
        return replace(scaled, origin=origin)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields of a manifest."""
        facts = {each.name: getattr(self, each.name) for each in fields(self)}
        curve = str(self.curve) if isinstance(self.curve, Unknown) else self.curve.to_dict()
        facts |= {"fixed": dict(self.fixed) or None, "curve": curve, "origin": self.origin or None}
        facts["sequences"] = None if self.sequences is None else sorted(self.sequences)
        return {name: fact for name, fact in facts.items() if fact is not None}

    def __str__(self) -> str:
        positives = "" if self.positives is None else f" ({self.positives} positive)"
        label = f", label {self.label}" if self.label not in (None, "", "label") else ""
        fixed = ", ".join(f"{name}={_fixed(value)}" for name, value in sorted(self.fixed.items()))
        fixed = f", with {fixed} for all" if fixed else ""
        shared = f", {self.shared:,} of them training antibodies of the model" if self.shared else ""
        origin = f" from {self.origin} of the Hugging Face hub" if self.origin else ""
        return f"recalibrated{origin} on {_counted(self.antibodies)}{positives} of {self.source}{label}{fixed}{shared}"


def sequence_digest(sequence: str) -> str:
    """Return the first 16 hexadecimal digits of a sequence's SHA-256."""
    return hashlib.sha256(sequence.encode()).hexdigest()[:16]


def _counted(antibodies: int) -> str:
    return f"{antibodies:,} antibod{'y' if antibodies == 1 else 'ies'}"


def _fixed(value: str | float | None) -> str:
    return "missing" if value is None else f"{value:g}" if isinstance(value, float) else value


@dataclass(frozen=True)
class TrainedOn:
    """Description of the data set that a model was fitted on.

    Examples
    --------
    >>> facts = TrainedOn("my table", "0" * 64, antibodies=90, chain="heavy", fragment=None, positives=30)
    >>> facts.antibodies
    90
    >>> TrainedOn.from_dict(facts.to_dict()) == facts
    True
    """

    source: str
    """Source in the provenance of the data set."""
    digest: str
    """`Dataset.digest`."""
    antibodies: int
    """Number of antibodies."""
    chain: Chain
    """Chain that is read, see `Dataset`."""
    fragment: str | None
    """Part of the chains; None for whole chains."""
    positives: int | None = None
    """Number of antibodies of class 1; None for continuous labels."""
    label: str | None = None
    """Name of the label, see `Dataset`; None if it has none."""
    higher_is_better: bool | None = None
    """True if high labels are better, False if low ones are; None if that is not known."""
    tuned: Mapping[str, Any] | None = field(default=None, hash=False)
    """Choice of a tuned pipeline: ``spec`` (`TuneSpec`), ``choice`` by key, ``scores`` of the candidates that were
    tried on ``folds`` folds of the training antibodies. A retrained model has the choice of the model before, and
    ``antibodies``, the number that it was made on. None if nothing was tuned."""
    recalibration: Recalibration | None = None
    """Antibodies of another assay that the model was recalibrated on; None if it is as it was trained."""
    licence: str = ""
    """Licence of the data in their provenance; empty if it is not known."""
    finetuned: Mapping[str, Any] | None = field(default=None, hash=False)
    """Fine-tuning of the language model: ``spec`` (`FineTuneSpec`), digest of the ``adapter``, numbers of ``rows``, of
    those ``held_out`` and of ``epochs``, and validation ``losses``. None if it is frozen."""
    rule: str = ""
    """Definition of the labels in the provenance; empty if it is not known."""
    citation: str = ""
    """Publication of the data in their provenance; empty if there is none."""
    public: str | None = None
    """Name of the public data set; None for other data."""

    @classmethod
    def of(
        cls,
        data: Dataset,
        counts: Mapping[str, int],
        tuned: Mapping[str, Any] | None = None,
        finetuned: Mapping[str, Any] | None = None,
    ) -> "TrainedOn":
        """Return the description of a data set; `counts` has the number of positives, if labels are classes."""
        return cls(
            data.provenance.source,
            data.digest,
            len(data),
            data.chain,
            data.fragment,
            counts.get("positives"),
            data.label_name,
            data.higher_is_better,
            tuned,
            licence=data.provenance.licence,
            finetuned=finetuned,
            rule=data.provenance.rule,
            citation=data.provenance.citation,
            public=_public(data),
        )

    def pipeline(self, spec: TrainSpec) -> TrainSpec:
        """Return the spec by which a model was trained: with the fine-tuning in place of the adapter, if it has one."""
        if self.finetuned is None:
            return spec
        finetune = FineTuneSpec.model_validate_json(json.dumps(self.finetuned["spec"]))
        return spec.frozen.model_copy(update={"finetune": finetune})

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes of reports on a choice and on a fine-tuning that the training antibodies decided."""
        notes = []
        if self.tuned is not None:
            names = ", ".join(f"{key}={_worded(value)}" for key, value in self.tuned.get("choice", {}).items())
            notes.append(self._choice(names))
        if self.finetuned is not None:
            epochs, rows = self.finetuned["epochs"], self.finetuned["rows"]
            how = FineTuneSpec.model_validate_json(json.dumps(self.finetuned["spec"])).words
            kept = f"the weights are those of epoch {epochs}" if epochs else "no epoch was better than the frozen model"
            notes.append(f"The language model was fine-tuned on {_counted(rows)} by {how}; {kept}.")
        return tuple(notes)

    def _choice(self, names: str) -> str:
        """Return the note on a choice: it was made on the training antibodies, or on those before a retraining."""
        before = (self.tuned or {}).get("antibodies")
        if before is None:
            return f"The pipeline was tuned on its training antibodies, on which the choice is {names}."
        return (
            f"The pipeline was tuned before it was retrained: the choice {names} was made on the {_counted(before)} of "
            f"the model before, and kept for these {self.antibodies:,}. Their cross-validation is optimistic, as the "
            "choice knows some of them."
        )

    @property
    def kept_choice(self) -> Mapping[str, Any] | None:
        """The record of the choice for a model that is retrained with it; None if nothing was tuned."""
        return None if self.tuned is None else {"antibodies": self.antibodies, **self.tuned}

    @classmethod
    def from_dict(cls, facts: Any) -> "TrainedOn":
        """Return the description in a manifest.

        Raises
        ------
        TypeError
            If fields are missing or have other types than `to_dict` returns.
        """
        if not isinstance(facts, dict) or not {"source", "digest", "chain", "fragment"} <= facts.keys():
            raise TypeError("data must have source, digest, chain and fragment")
        if not (isinstance(facts["source"], str) and isinstance(facts["digest"], str)):
            raise TypeError("source and digest of the data must be text")
        if not re.fullmatch("[0-9a-f]{64}", facts["digest"]):  # it stands in lines of Python that users paste
            raise TypeError("the digest of the data must have 64 hexadecimal digits")
        numbers = facts.get("antibodies"), facts.get("positives", 0)
        if not all(isinstance(number, int) for number in numbers):
            raise TypeError("numbers of antibodies and of positives must be integers")
        label, better, tuned = facts.get("label"), facts.get("higher_is_better"), facts.get("tuned")
        if not isinstance(label, str | None) or not isinstance(better, bool | None):
            raise TypeError("the label must be a text, and higher_is_better true or false")
        if not isinstance(tuned, dict | None) or not isinstance((tuned or {}).get("choice", {}), dict):
            raise TypeError("the choice of a tuned pipeline must be an object")
        if not isinstance((tuned or {}).get("antibodies", 0), int):
            raise TypeError("the number of antibodies that a choice was made on must be an integer")
        finetuned = facts.get("finetuned")
        if finetuned is not None:
            _check_finetuned(finetuned)
        again = facts.get("recalibration")
        texts = {name: facts.get(name, "") for name in ("licence", "rule", "citation")}
        public = facts.get("public")
        if not all(isinstance(text, str) for text in texts.values()) or not isinstance(public, str | None):
            raise TypeError("licence, rule, citation and name of the data must be texts")
        return cls(
            facts["source"],
            facts["digest"],
            facts["antibodies"],
            facts["chain"],
            facts["fragment"],
            facts.get("positives"),
            label,
            better,
            tuned,
            None if again is None else Recalibration.from_dict(again),
            finetuned=finetuned,
            **texts,
            public=public,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields of a manifest, without positives of a regressor and unknown facts of the label."""
        positives = {} if self.positives is None else {"positives": self.positives}
        facts = {"label": self.label, "higher_is_better": self.higher_is_better, "tuned": self.tuned}
        return {
            "source": self.source,
            "digest": self.digest,
            "antibodies": self.antibodies,
            **positives,
            "chain": self.chain,
            "fragment": self.fragment,
            **{name: fact for name, fact in facts.items() if fact is not None},
            **({} if self.recalibration is None else {"recalibration": self.recalibration.to_dict()}),
            **({} if self.finetuned is None else {"finetuned": dict(self.finetuned)}),
            **{name: text for name in ("licence", "rule", "citation", "public") if (text := getattr(self, name))},
        }

    def anonymous(self) -> "TrainedOn":
        """Return the description without digests of sequences."""
        if self.recalibration is None:
            return self
        return replace(self, recalibration=replace(self.recalibration, sequences=None))

    def __getitem__(self, name: str) -> Any:
        """Return a field by its name, like the earlier dictionary, with a DeprecationWarning."""
        warnings.warn(f"use the attribute .{name} of the training data", DeprecationWarning, stacklevel=2)
        return self.to_dict()[name]


def _check_finetuned(facts: Any) -> None:
    """Raise TypeError or ValueError for other facts than `FineTuningFacts.record` returns."""
    if not isinstance(facts, dict) or not all(isinstance(facts.get(name), int) for name in ("rows", "epochs")):
        raise TypeError("the fine-tuning must have numbers of rows and epochs")
    FineTuneSpec.model_validate_json(json.dumps(facts.get("spec")))


def _public(data: Dataset) -> str | None:
    """Return the name of the public data set that was loaded; None for other data."""
    source = None if data.recipe is None else data.recipe.options.get("source")
    return source if isinstance(source, str) and source in DATA else None


def _worded(value: Any) -> str:
    """Return a value in words; of a classifier its name, whose other fields are in the spec of the model."""
    return str(value.get("kind", "")) if isinstance(value, dict) else str(value)
