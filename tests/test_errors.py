import pickle
from pathlib import Path

import pytest

from antibody_esm import errors
from antibody_esm.errors import (
    RECOVERABLE,
    AntibodyESMError,
    BadResidue,
    CheckpointError,
    ClusterError,
    DatasetError,
    SequenceError,
    StoreError,
)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (SequenceError, ValueError),
        (CheckpointError, OSError),
        (ClusterError, ConnectionError),
        (DatasetError, ValueError),
        (StoreError, RuntimeError),
    ],
)
def test_every_error_is_also_the_builtin_a_caller_would_expect(error: type, builtin: type) -> None:
    assert issubclass(error, AntibodyESMError)
    assert issubclass(error, builtin)


def test_the_tree_in_the_docstring_names_every_error() -> None:
    defined = {
        name for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, errors.AntibodyESMError)
    }
    assert errors.__doc__ is not None
    assert all(name in errors.__doc__ for name in defined)


def test_a_sequence_error_gives_every_row_and_its_first_one_apart() -> None:
    error = SequenceError([BadResidue(3, 1, "*"), BadResidue(3, 4, "-")], ["stop", "gap"])
    assert error.rows == ((3, 1, "*"), (3, 4, "-"))
    assert (error.index, error.position, error.residue) == (3, 1, "*")
    assert str(error).startswith("1 sequence cannot be embedded")


def test_a_long_list_of_bad_rows_is_cut_in_the_message_and_whole_in_the_attribute() -> None:
    error = SequenceError([BadResidue(i, 0, "-") for i in range(500)], ["'-'"] * 500)
    assert len(error.rows) == 500
    assert "and 490 more" in str(error)
    assert len(str(error).splitlines()) == 12


@pytest.mark.parametrize(
    "error",
    [
        SequenceError([BadResidue(0, 2, "-")], ["'-'"]),
        SequenceError([BadResidue(0, 2, "-")], ["'-'"], {0: "line 2 (id a)"}),
        CheckpointError("gone", "facebook/esm", "main"),
        DatasetError("no column", Path("a.csv"), 3, "label"),
        StoreError("damaged", Path("store")),
        ClusterError("lost", begun=True),
    ],
)
def test_errors_survive_the_way_back_from_another_process(error: AntibodyESMError) -> None:
    back = pickle.loads(pickle.dumps(error))  # noqa: S301  this is how concurrent.futures and joblib return errors
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)


def test_a_lost_cluster_is_no_note_of_a_baseline_or_a_page_but_ends_the_run() -> None:
    defined = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, AntibodyESMError)]
    others = [one for one in defined if one not in (AntibodyESMError, ClusterError)]
    assert all(issubclass(one, RECOVERABLE) for one in others)
    assert not issubclass(ClusterError, RECOVERABLE)
