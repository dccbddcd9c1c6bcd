"""Learning curve and card of a pipeline that is trained."""

from typing import TYPE_CHECKING

from antibody_esm.callbacks import announces
from antibody_esm.evaluation.learning_curve import DRAWS, MORE
from antibody_esm.notebook import card
from antibody_esm.pipeline_card import pipeline_facts, store_fact
from antibody_esm.reports.learning_curve import LearningCurve, check_numbers, learning_curve_of
from antibody_esm.training_vectors import TrainingVectors

if TYPE_CHECKING:
    from antibody_esm.data.training_data import Labels, Trainable


@announces("learning_curve")
class Curved(TrainingVectors):
    """The part of a `Trainer` that needs only its spec and the vectors of a data set."""

    def _repr_html_(self) -> str:
        note = "fit(data), cross_validate(data), learning_curve(data)"
        return card("Trainer", [*pipeline_facts(self.spec), store_fact(self.store)], note=note)

    def learning_curve(
        self, data: "Trainable", labels: "Labels" = None, *, more: int = MORE, draws: int = DRAWS, check: bool = True
    ) -> LearningCurve:
        """Return the scores by the number of training antibodies, with the expected gain of more of them.

        Training sets are nested subsamples of whole units of the split; a fifth of the antibodies is held out. All
        share one matrix of vectors, which are computed once. A decision is left out, because it reverses no order.

        Parameters
        ----------
        data, labels
            Labelled antibodies: a `Dataset`; a DataFrame, read as by `load_dataset`; or sequences and their labels.
        more
            Further antibodies that the result's sentences and files state the gain of.
        draws
            Fewest draws; there are as many as whole repeats of the split have.
        check
            As for `cross_validate`.

        Raises
        ------
        DatasetError
            As `cross_validate` does; or if there are too few antibodies, or units, for training sets of three sizes.
        ValueError
            If the pipeline is tuned: the choice would have to be made anew in every training set; or if `more` is
            negative, or there is no draw.
        """
        check_numbers(more, draws)
        if self.spec.tune is not None:
            raise ValueError("a tuned pipeline has no learning curve; name its choice, without tune")
        return learning_curve_of(self.same_vectors(data, labels, check=check), more, draws)
