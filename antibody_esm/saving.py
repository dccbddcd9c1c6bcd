"""A fitted model that is written: to a folder, or to the hub."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from antibody_esm.cards.card import model_card
from antibody_esm.evaluation.test_set_log import Ledger
from antibody_esm.hub_models import HubFiles, OnHub
from antibody_esm.model_files import (
    FittedModel,
    ledger_of,
    load_model,
    save_model,
    saved_model,
)
from antibody_esm.training_rows import may_hold_training

if TYPE_CHECKING:
    from antibody_esm.specs import RuntimeSpec, TrainSpec
    from antibody_esm.store.store import Store


class Saves(OnHub):
    """The part of a fitted model that writes it."""

    spec: "TrainSpec"
    ledger: Ledger

    def fitted(self) -> FittedModel:
        """Return the model in the form in which it is saved."""
        raise NotImplementedError

    @classmethod
    def _of(cls, model: FittedModel, **options: Any) -> Self:
        raise NotImplementedError

    def save(self, folder: str | Path, *, training: bool = True) -> Path:
        """Write the model to a folder, and return the folder.

        The folder holds ``manifest.json`` (spec, fingerprints, versions, digests, metrics), ``classifier.skops``,
        ``training.npz`` (out-of-fold scores of the training antibodies, their sequences, labels and vectors),
        ``adapter.safetensors`` of a fine-tuned model, and ``README.md``, the card. None can run code when it is loaded.
        The same training gives the same bytes. The log of opened test sets is ``openings.jsonl``.

        Scores for manifest and card are computed first if they are not yet, as long as a cross-validation with its
        baselines takes; ``Trainer.fit(scores=False)`` leaves them out.

        An earlier model in the folder is replaced as a whole. The log and foreign files are kept, and so is a README
        that is no card, or an edited one. A printed line states whether the training antibodies were saved.

        Parameters
        ----------
        folder
            Folder of the model; it is created if necessary.
        training
            False leaves out sequences, labels and vectors of the training antibodies. Identity and distance to these,
            baselines of a test and its overlap with the training set are then unknown. `uncertainty` keeps sorted
            scores of each class, or sorted residuals, without their antibodies. Some classifiers consist of training
            vectors and labels (nearest neighbours, support vectors, Gaussian processes), and plugins may do so; the
            printed line states that.

        Examples
        --------
        >>> from tempfile import mkdtemp
        >>> from antibody_esm import Predictor, Trainer, load_dataset
        >>> folder = mkdtemp() + "/model"
        >>> predictor = Trainer("descriptors").fit(load_dataset("boughter_flu_cdrs"), uncertainty=False, scores=False)
        >>> predictor.save(folder).name
        Saved to ..., with its 358 training antibodies (sequences, labels, vectors).
        'model'
        >>> Predictor.load(folder).digest == predictor.digest
        True
        """
        print(f"Saved to {Path(folder)}, {self.write(folder, training=training)}.")  # noqa: T201
        return Path(folder)

    def write(self, folder: str | Path, *, training: bool = True) -> str:
        """Write the model like `save`, and return a description of the saved training data."""
        folder = Path(folder)
        saved = save_model(self.fitted(), folder, training=training, card=model_card)
        self.ledger.move(ledger_of(folder))
        return saved

    def hub_files(self, *, training: bool) -> HubFiles:
        """Return the files as `save` writes them."""
        saved = saved_model(self.fitted(), training=training, card=model_card)
        return HubFiles(saved.files, saved.description, may_hold_training(self.spec))

    @classmethod
    def of_hub(cls, folder: Path, origin: str, store: "str | Path | Store | None", runtime: "RuntimeSpec") -> Self:
        """Return the model in a folder that is removed afterwards."""
        return cls._of(replace(load_model(folder, lasting=False), origin=origin), store=store, runtime=runtime)
