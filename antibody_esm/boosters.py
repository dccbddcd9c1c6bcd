"""Checks of an XGBoost booster before XGBoost reads it.

XGBoost does not check its files: children outside of a tree, features that the model lacks, or lists of different
lengths make it read beyond its memory. Therefore the structure must be the one that XGBoost writes for this package's
trees, which have one target, numeric splits and no pruned nodes.
"""

import math
import re
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from antibody_esm.limits import LimitError
from antibody_esm.ubjson import read_ubjson

_FEATURES = 10**6
_THREADS = 4096
_ROOT = 2**31 - 1
"""Parent of a root."""
_PARAMETER = re.compile(r"[\w\s:.,()\[\]{}'+-]{0,200}", re.ASCII)
"""Values of parameters, which XGBoost writes as text."""


def check_booster(content: bytes) -> None:
    """Raise LimitError for a booster that XGBoost would not write for an estimator of this package.

    Parameters
    ----------
    content
        Parameters and trees of a booster, in UBJSON.

    Raises
    ------
    LimitError
        If the booster is damaged, or its parts contradict each other.
    """
    value = read_ubjson(content)
    try:
        booster = _Booster.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise LimitError(f"a booster with another {place[:120]}: {first['msg'][:120]}") from error
    booster.check()
    _check_parameters(value["Config"], "Config")


def _count(text: str) -> str:
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise ValueError("not a count")
    return text


def _base_score(text: str) -> str:
    if not (len(text) <= 40 and math.isfinite(float(text.removeprefix("[").removesuffix("]")))):
        raise ValueError("not a finite number")
    return text


def _one_dimensional(values: Any) -> NDArray[Any]:
    if not isinstance(values, np.ndarray):
        raise ValueError("not a list of numbers")
    return values


Count = Annotated[str, AfterValidator(_count)]
Array = Annotated[Any, AfterValidator(_one_dimensional)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _ModelParam(_Part):
    base_score: Annotated[str, AfterValidator(_base_score)]
    boost_from_average: Literal["0", "1"]
    num_class: Literal["0"]
    num_feature: Count
    num_target: Literal["1"]


class _ForestParam(_Part):
    num_parallel_tree: Literal["1"]
    num_trees: Count


class _Weight(_Part):
    scale_pos_weight: str


class _Objective(_Part):
    name: Literal["binary:logistic", "reg:squarederror"]
    reg_loss_param: _Weight


class _TreeParam(_Part):
    num_deleted: Literal["0"]
    num_feature: Count
    num_nodes: Count
    size_leaf_vector: Literal["0", "1"]


class _Tree(_Part):
    base_weights: Array
    categories: Array
    categories_nodes: Array
    categories_segments: Array
    categories_sizes: Array
    default_left: Array
    id: int
    left_children: Array
    loss_changes: Array
    parents: Array
    right_children: Array
    split_conditions: Array
    split_indices: Array
    split_type: Array
    sum_hessian: Array
    tree_param: _TreeParam

    def check(self, number: int, features: int) -> None:
        """Raise LimitError if children and parents of a tree's nodes do not match."""
        nodes = int(self.tree_param.num_nodes)
        categories = (self.categories, self.categories_nodes, self.categories_segments, self.categories_sizes)
        if self.id != number or int(self.tree_param.num_feature) != features or any(map(len, categories)):
            raise LimitError("a booster with a tree of another model")
        integers = (self.left_children, self.right_children, self.parents, self.split_indices)
        small = (self.default_left, self.split_type)
        floats = (self.base_weights, self.loss_changes, self.split_conditions, self.sum_hessian)
        kinds = ((integers, np.int32), (small, np.uint8), (floats, np.float32))
        fit = (len(each) == nodes and each.dtype == kind for arrays, kind in kinds for each in arrays)
        if nodes < 1 or not all(fit):
            raise LimitError("a booster with a tree whose nodes do not have the same number of values each")
        node = np.arange(nodes)
        inner = self.left_children != -1
        left, right = self.left_children[inner], self.right_children[inner]
        children = np.concatenate([left, right])
        parent = np.concatenate([node[inner], node[inner]])
        if (
            (inner != (self.right_children != -1)).any()
            or not np.array_equal(np.sort(children), node[1:])  # each has one parent
            or (children <= parent).any()
            or self.parents[0] != _ROOT
            or (self.parents[children] != parent).any()
        ):
            raise LimitError("a booster with a tree whose nodes contradict each other")
        if (
            ((self.split_indices < 0) | (self.split_indices >= features)).any()
            or self.split_type.any()
            or (self.default_left > 1).any()
            or not all(np.isfinite(values).all() for values in floats)
        ):
            raise LimitError("a booster with a tree whose splits are impossible")


class _Categories(_Part):
    enc: list[Any]
    feature_segments: Array
    sorted_idx: Array


class _Forest(_Part):
    cats: _Categories | None = None
    gbtree_model_param: _ForestParam
    iteration_indptr: list[int]
    tree_info: list[int]
    trees: list[_Tree]


class _Trees(_Part):
    model: _Forest
    name: Literal["gbtree"]


class _Learner(_Part):
    attributes: dict[str, str]
    feature_names: list[str]
    feature_types: list[str]
    gradient_booster: _Trees
    learner_model_param: _ModelParam
    objective: _Objective


class _Model(_Part):
    learner: _Learner
    version: list[int]


class _Configured(BaseModel):
    """Parameters that must equal those of the model; others are checked as text."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)


class _BoosterConfig(_Configured):
    gbtree_model_param: _ForestParam
    name: Literal["gbtree"]


class _LearnerConfig(_Configured):
    gradient_booster: _BoosterConfig
    learner_model_param: _ModelParam
    objective: _Objective


class _Config(_Part):
    learner: _LearnerConfig
    version: list[int]


class _Booster(_Part):
    Config: _Config
    Model: _Model

    def check(self) -> None:
        """Raise LimitError if parts of a booster contradict each other."""
        learner, config = self.Model.learner, self.Config.learner
        forest, features = learner.gradient_booster.model, int(learner.learner_model_param.num_feature)
        trees = len(forest.trees)
        same = (
            learner.learner_model_param == config.learner_model_param
            and learner.objective == config.objective
            and forest.gbtree_model_param == config.gradient_booster.gbtree_model_param
            and self.Model.version == self.Config.version
            and len(self.Model.version) == 3
        )
        if not same:
            raise LimitError("a booster whose parameters contradict each other")
        if not 1 <= features <= _FEATURES or learner.feature_names or learner.feature_types:
            raise LimitError("a booster with features of another model")
        if (
            int(forest.gbtree_model_param.num_trees) != trees
            or forest.iteration_indptr != list(range(trees + 1))
            or forest.tree_info != [0] * trees
        ):
            raise LimitError("a booster with another number of trees than it declares")
        if forest.cats and (forest.cats.enc or len(forest.cats.feature_segments) or len(forest.cats.sorted_idx)):
            raise LimitError("a booster of categories")
        for number, tree in enumerate(forest.trees):
            tree.check(number, features)


def _check_parameters(value: Any, name: str) -> None:
    """Raise LimitError for parameters that are not text, or set another device or thousands of threads."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_parameters(inner, key)
    elif isinstance(value, list):
        for inner in value:
            _check_parameters(inner, name)
    elif isinstance(value, str):
        if not _PARAMETER.fullmatch(value) or (name == "device" and value != "cpu"):
            raise LimitError(f"a booster with an impossible {name[:80]}")
        if name in ("nthread", "n_jobs") and not (value.lstrip("-").isdecimal() and int(value) <= _THREADS):
            raise LimitError(f"a booster with an impossible {name}")
    elif not isinstance(value, bool | int):
        raise LimitError(f"a booster with an impossible {name[:80]}")
