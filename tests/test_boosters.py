"""Boosters are read only if their parts agree: XGBoost itself crashes on many others."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antibody_esm.boosters import check_booster
from antibody_esm.limits import LimitError
from antibody_esm.ubjson import read_ubjson
from effort import examples
from fuzzing import plain, ubjson

ROWS = 30


def trained(kind: str, rows: int = ROWS, features: int = 5, **settings: Any) -> bytes:
    import xgboost

    drawn = np.random.default_rng(rows + features)
    x, y = drawn.normal(size=(rows, features)), np.arange(rows) % 2
    estimator = {"classifier": xgboost.XGBClassifier, "regressor": xgboost.XGBRegressor}[kind]
    booster = estimator(n_jobs=1, **settings).fit(x, y if kind == "classifier" else y + drawn.normal(size=rows))
    return bytes(booster.get_booster().__getstate__()["handle"])


@pytest.fixture(scope="module")
def booster() -> bytes:
    return trained("classifier", n_estimators=4)


@examples(20)
@given(
    kind=st.sampled_from(["classifier", "regressor"]),
    rows=st.integers(4, 60),
    features=st.integers(1, 9),
    n_estimators=st.integers(1, 12),
    max_depth=st.integers(1, 8),
    learning_rate=st.sampled_from([0.01, 0.3, 1.0]),
    subsample=st.sampled_from([0.3, 1.0]),
    reg_lambda=st.sampled_from([0.0, 1.0]),
)
def test_every_booster_that_a_spec_can_train_is_accepted(**drawn: Any) -> None:
    check_booster(trained(**drawn))


def changed(content: bytes, *path: Any, to: Any) -> bytes:
    whole = plain(read_ubjson(content))
    *holders, last = path
    value = whole
    for key in holders:
        value = value[key]
    value[last] = to
    return ubjson(whole)


def test_the_writer_of_these_tests_writes_what_xgboost_wrote(booster: bytes) -> None:
    assert plain(read_ubjson(ubjson(plain(read_ubjson(booster))))) == plain(read_ubjson(booster))
    check_booster(ubjson(plain(read_ubjson(booster))))


LEARNER = ("Model", "learner")
MODEL = (*LEARNER, "gradient_booster", "model")
TREE = (*MODEL, "trees", 0)
CONFIG = ("Config", "learner")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((*TREE, "left_children", "$i", 0), 2**30),
        ((*TREE, "left_children", "$i", 0), 0),  # a circle
        ((*TREE, "left_children", "$i", 0), -2),
        ((*TREE, "right_children", "$i", 0), 1),  # both children are the same node
        ((*TREE, "right_children", "$i", 0), -1),
        ((*TREE, "parents", "$i", 1), 10**9),
        ((*TREE, "split_indices", "$i", 0), 10**6),
        ((*TREE, "split_indices", "$i", 0), -1),
        ((*TREE, "split_indices"), {"$i": []}),
        ((*TREE, "split_conditions", "$f", 0), float("nan")),
        ((*TREE, "split_conditions"), [0.5]),
        ((*TREE, "split_conditions"), {"$d": [0.5] * 3}),
        ((*TREE, "split_type", "$B", 0), 1),
        ((*TREE, "categories"), {"$i": [1]}),
        ((*TREE, "tree_param", "num_nodes"), "2147483647"),
        ((*TREE, "tree_param", "num_nodes"), "٣"),
        ((*TREE, "tree_param", "num_deleted"), "1"),
        ((*TREE, "tree_param", "size_leaf_vector"), "1000000000"),
        ((*TREE, "id"), 7),
        ((*TREE, "more"), 1),
        ((*MODEL, "tree_info", 0), 5),
        ((*MODEL, "iteration_indptr", 1), 10**9),
        ((*MODEL, "gbtree_model_param", "num_trees"), "1000"),
        ((*MODEL, "gbtree_model_param", "num_parallel_tree"), "4"),
        ((*MODEL, "cats", "enc"), [{"a": 1}]),
        ((*MODEL, "trees"), []),
        ((*LEARNER, "learner_model_param", "num_feature"), "2"),
        ((*LEARNER, "learner_model_param", "base_score"), "[nan]"),
        ((*LEARNER, "learner_model_param", "num_class"), "1000000000"),
        ((*LEARNER, "gradient_booster", "name"), "dart"),
        ((*LEARNER, "objective", "name"), "multi:softmax"),
        (("Model", "version"), [0, 0, 0]),
        ((*CONFIG, "learner_model_param", "num_feature"), "2"),
        ((*CONFIG, "generic_param", "nthread"), "1000000"),
        ((*CONFIG, "generic_param", "device"), "cuda"),
        ((*CONFIG, "generic_param", "seed"), {"$f": [1.0]}),
        ((*CONFIG, "gradient_booster", "tree_train_param", "eta"), "\0"),
        (("Config",), None),
    ],
    ids=str,
)
def test_a_booster_whose_parts_disagree_is_refused(booster: bytes, path: tuple[Any, ...], value: Any) -> None:
    mutant = changed(booster, *path, to=value)
    with pytest.raises(LimitError, match="a booster"):
        check_booster(mutant)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"[" * 500_000, "nested"),
        (lambda data: b"{L\0\0\0\0\0\0\0\1a" * 200_000, "nested"),
        (lambda data: data.replace(b"[#L" + bytes(7) + b"\x01", b"[#L\x7f" + b"\xff" * 7, 1), "incomplete"),
        (lambda data: data.replace(b"[$l#L", b"[$l#L\x7f", 1), "incomplete"),
        (lambda data: data[:-100], "incomplete"),
        (lambda data: data + b" ", "behind its end"),
        (lambda data: b"", "incomplete"),
        (lambda data: b"{L\0\0\0\0\0\0\0\1\xffZ}", "damaged"),
        (lambda data: b"{U\1aZU\1aZ}", "two values"),
        (lambda data: b"[$Z#U\xff", "damaged"),
        (lambda data: b"[#i\xff", "incomplete"),
    ],
)
def test_damaged_ubjson_is_refused(booster: bytes, change: Callable[[bytes], bytes], message: str) -> None:
    with pytest.raises(LimitError, match=message):
        check_booster(change(booster))
