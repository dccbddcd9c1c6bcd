"""Hypothesis strategies of the package's own types."""

import string
from typing import Any, get_args

from hypothesis import strategies as st

from antibody_esm import (
    AverageRegressorSpec,
    AverageSpec,
    ChainSpec,
    ColumnSpec,
    DecisionSpec,
    ElasticNetSpec,
    EnsembleSpec,
    ExtractorSpec,
    FineTuneSpec,
    GaussianProcessRegressorSpec,
    GaussianProcessSpec,
    KNeighborsSpec,
    LinearSVMSpec,
    LogisticRegressionSpec,
    RandomForestSpec,
    RidgeSpec,
    RuntimeSpec,
    SplitSpec,
    SVRSpec,
    TrainSpec,
    TuneSpec,
    XGBoostRegressorSpec,
    XGBoostSpec,
)
from antibody_esm.sequences import ALPHABET, is_nucleic
from antibody_esm.specs import (
    Descriptor,
    DescriptorSpec,
    PluginClassifierSpec,
    PluginExtractorSpec,
    PluginRegressorSpec,
    ResolvedExtractorSpec,
)
from antibody_esm.specs.ensembles import with_columns

seeds = st.integers(0, 2**32 - 1)
positive_ints = st.integers(1, 10**6)
positive_floats = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
floats_from_0 = st.floats(min_value=0, allow_infinity=False)
shares = st.floats(min_value=0, max_value=1, exclude_min=True)
class_weights = st.sampled_from([None, "balanced"])
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
control_texts = st.sampled_from(["<AA2fold>", "[NLU]", "[HEAVY][HUMAN]", "1", "Ḣ", "é ß"])
names = st.text(string.ascii_letters + string.digits + "_-./", min_size=1, max_size=30)


def sequences(min_size: int = 1, max_size: int = 30) -> st.SearchStrategy[str]:
    return st.text(ALPHABET, min_size=min_size, max_size=max_size).map(protein)


def protein(text: str) -> str:
    """Return residues with another one in front where they could all be nucleotides, and would be taken for DNA."""
    return "D" + text[1:] if is_nucleic(text) else text


any_extractors = st.builds(
    dict,
    model=names,
    revision=st.none() | names,
    digest=st.none() | digests,
    layer=st.none() | st.integers(-40, 40),
    pooling=st.sampled_from(["mean", "max", "std", "cls", "last"]),
    region=st.sampled_from(["all", "cdr1", "cdr2", "cdr3", "cdrs", "frameworks"]),
    special_tokens=st.sampled_from(["exclude", "include"]),
    precision=st.sampled_from(["float32", "bfloat16", "float16", "int8"]),
    storage=st.sampled_from(["float32", "float16", "int8"]),
    max_length=st.none() | positive_ints,
    truncation=st.booleans(),
    pairs=st.sampled_from(["apart", "joined"]),
    species=st.sampled_from([None, ("human",), ("alpaca", "human"), ("rabbit",)]),
    engines=st.sampled_from(["anarcism", "auto", "both"]),
    random_weights=st.none() | seeds,
    prefix=st.none() | control_texts,
    suffix=st.none() | control_texts,
    separator=st.none() | st.just("") | control_texts,
    tokenizer=st.none() | names,
    tokenizer_revision=st.none() | names,
    adapter=st.none() | digests,
)
extractors = any_extractors.map(
    lambda fields: ExtractorSpec(
        **fields
        | ({"pooling": "attention"} if fields["adapter"] and fields["pooling"] == "last" else {})
        | ({"random_weights": None} if fields["adapter"] else {})
        | ({"region": "all"} if fields["pooling"] == "cls" or fields["special_tokens"] == "include" else {})
        | ({"truncation": False} if fields["pairs"] == "joined" else {})
        | ({"tokenizer_revision": None} if fields["tokenizer"] is None else {})
    )
)
of_one_chain = extractors.map(lambda spec: spec.model_copy(update={"pairs": "apart"}))
chains = st.builds(ChainSpec, heavy=of_one_chain, light=of_one_chain)
ensembles = st.builds(
    EnsembleSpec,
    members=st.lists(extractors | chains, min_size=2, max_size=4, unique=True).map(tuple),
    combine=st.sampled_from(["mean", "concat"]),
) | st.builds(
    lambda one, other: EnsembleSpec(members=(one, other), combine="concat"),
    extractors,
    st.deferred(lambda: descriptors),
)
columns = st.builds(ColumnSpec, name=names, values=st.sampled_from(["category", "number"]))
beside_columns = st.builds(
    with_columns,
    extractors | ensembles | chains,
    st.lists(columns, min_size=1, max_size=3, unique_by=lambda column: column.name),
)
resolved_extractors = st.builds(
    ResolvedExtractorSpec,
    digest=digests,
    layer=st.integers(0, 40),
    pooling=st.sampled_from(["mean", "max", "std", "cls", "last", "attention"]),
    region=st.sampled_from(["all", "cdr1", "cdr2", "cdr3", "cdrs", "frameworks"]),
    numbering=st.none() | names,
    special_tokens=st.sampled_from(["exclude", "include"]),
    precision=st.sampled_from(["float32", "bfloat16", "float16", "int8"]),
    storage=st.sampled_from(["float32", "float16", "int8"]),
    truncate_to=st.none() | positive_ints,
    pairs=st.sampled_from(["apart", "joined"]),
    random_weights=st.none() | seeds,
    prefix=st.none() | control_texts,
    suffix=st.none() | control_texts,
    separator=st.none() | st.just("") | control_texts,
    adapter=st.none() | digests,
)
descriptors = st.builds(
    DescriptorSpec,
    descriptors=st.lists(st.sampled_from(get_args(Descriptor)), min_size=1, unique=True).map(tuple),
    pk=st.sampled_from(["bjellqvist", "emboss"]),
    ph=st.floats(0, 14),
    hydrophobicity=st.sampled_from(["kyte_doolittle", "eisenberg", "engelman", "fauchere", "black_mould"]),
    kmer=st.integers(1, 3),
    kmer_values=st.sampled_from(["frequency", "count"]),
)
logistic_regressions = st.builds(
    LogisticRegressionSpec,
    C=positive_floats,
    tol=positive_floats,
    max_iter=positive_ints,
    solver=st.sampled_from(["lbfgs", "newton-cholesky", "liblinear", "saga"]),
    class_weight=class_weights,
    standardize=st.booleans(),
    random_state=seeds,
)
xgboosts = st.builds(
    XGBoostSpec,
    n_estimators=positive_ints,
    max_depth=positive_ints,
    learning_rate=shares,
    min_child_weight=floats_from_0,
    subsample=shares,
    colsample_bytree=shares,
    reg_alpha=floats_from_0,
    reg_lambda=floats_from_0,
    scale_pos_weight=positive_floats,
    random_state=seeds,
)
random_forests = st.builds(
    RandomForestSpec,
    n_estimators=positive_ints,
    max_depth=st.none() | positive_ints,
    max_features=st.sampled_from(["sqrt", "log2"]) | shares,
    min_samples_leaf=positive_ints,
    class_weight=class_weights,
    random_state=seeds,
)
gaussian_processes = st.builds(
    GaussianProcessSpec,
    length_scale=st.none() | positive_floats,
    n_restarts_optimizer=st.integers(0, 100),
    standardize=st.booleans(),
    random_state=seeds,
)
linear_svms = st.builds(
    LinearSVMSpec,
    C=positive_floats,
    max_iter=positive_ints,
    class_weight=class_weights,
    calibration_folds=st.integers(2, 100),
    standardize=st.booleans(),
    random_state=seeds,
)
nearest_neighbours = st.builds(
    KNeighborsSpec,
    n_neighbors=positive_ints,
    weights=st.sampled_from(["uniform", "distance"]),
    metric=st.sampled_from(["euclidean", "cosine", "manhattan"]),
    standardize=st.booleans(),
)
classifiers = st.one_of(
    logistic_regressions, xgboosts, random_forests, gaussian_processes, linear_svms, nearest_neighbours
)
ridges = st.builds(RidgeSpec, alpha=positive_floats, standardize=st.booleans())
elastic_nets = st.builds(
    ElasticNetSpec,
    alpha=positive_floats,
    l1_ratio=shares,
    tol=positive_floats,
    max_iter=positive_ints,
    standardize=st.booleans(),
)
xgboost_regressors = st.builds(
    XGBoostRegressorSpec,
    n_estimators=positive_ints,
    max_depth=positive_ints,
    learning_rate=shares,
    min_child_weight=floats_from_0,
    subsample=shares,
    colsample_bytree=shares,
    reg_alpha=floats_from_0,
    reg_lambda=floats_from_0,
    random_state=seeds,
)
svrs = st.builds(
    SVRSpec,
    C=positive_floats,
    epsilon=floats_from_0,
    kernel=st.sampled_from(["rbf", "linear"]),
    gamma=st.sampled_from(["scale", "auto"]) | positive_floats,
    standardize=st.booleans(),
)
gaussian_process_regressors = st.builds(
    GaussianProcessRegressorSpec,
    length_scale=st.none() | positive_floats,
    n_restarts_optimizer=st.integers(0, 100),
    standardize=st.booleans(),
    random_state=seeds,
)
regressors = st.one_of(ridges, elastic_nets, xgboost_regressors, svrs, gaussian_process_regressors)
drawn_folds = st.builds(dict, folds=st.integers(2, 1000), shuffle=st.booleans(), random_state=seeds) | st.builds(
    dict, folds=st.integers(2, 1000), random_state=seeds, repeats=positive_ints
)
by_identity = st.builds(
    lambda drawn, identity: SplitSpec(**drawn, by="identity", identity=identity), drawn_folds, shares
)
by_row_or_group = st.builds(
    lambda drawn, by: SplitSpec(**drawn, by=by), drawn_folds, st.sampled_from(["antibody", "group"])
)
of_the_data = st.builds(SplitSpec, by=st.sampled_from(["family", "fold"]))
# Half of them by identity, so that two seldom agree in a field.
splits = st.sampled_from([by_identity] * 3 + [by_row_or_group] * 2 + [of_the_data]).flatmap(lambda one: one)
averages = st.builds(
    AverageSpec,
    heads=st.lists(classifiers, min_size=1, max_size=3).map(tuple),
    per_member=st.booleans(),
    widths=st.none() | st.lists(positive_ints, min_size=1, max_size=3).map(tuple),
)
average_regressors = st.builds(
    AverageRegressorSpec,
    heads=st.lists(ridges | svrs, min_size=1, max_size=3).map(tuple),
    per_member=st.booleans(),
    widths=st.none() | st.lists(positive_ints, min_size=1, max_size=3).map(tuple),
)
decisions = st.builds(
    DecisionSpec,
    calibration=st.sampled_from([None, "sigmoid", "isotonic"]),
    threshold=st.none() | st.just("balanced_accuracy") | st.floats(0, 1),
    folds=st.integers(2, 1000),
)
parts_of_layers = st.lists(
    st.sampled_from(["query", "key", "value", "output", "up", "down"]), min_size=1, unique=True
).map(tuple)
fine_tunings = st.builds(
    dict,
    method=st.sampled_from(["lora", "head"]),
    rank=st.integers(1, 256),
    alpha=positive_floats,
    dropout=st.floats(0, 1, exclude_max=True),
    layers=st.none() | positive_ints | st.lists(positive_ints, min_size=1, unique=True).map(tuple),
    modules=parts_of_layers,
    learning_rate=positive_floats,
    weight_decay=floats_from_0,
    epochs=positive_ints,
    patience=positive_ints,
    batch=positive_ints,
    validation=st.floats(0, 1, exclude_min=True, exclude_max=True),
    pooling=st.sampled_from(["mean", "attention"]),
    seed=seeds,
).map(lambda fields: FineTuneSpec(**fields | ({"pooling": "attention"} if fields["method"] == "head" else {})))
use = st.booleans()
GRIDS = {
    "classifier": st.sampled_from(["logreg", "knn"]) | classifiers,
    "classifier.C": positive_floats,
    "classifier.n_neighbors": positive_ints,
    "classifier.standardize": st.booleans(),
    "classifier.max_depth": st.none() | positive_ints,
    "decision.threshold": st.none() | st.floats(0, 1),
    "extractor.layer": st.none() | st.integers(-40, 40),
    "extractor.pooling": st.sampled_from(["mean", "max", "std"]),
    "pca": st.none() | positive_ints,
}
"""Values of some keys of a grid."""


@st.composite
def drawn_grids(draw: st.DrawFn, keys: tuple[str, ...] = tuple(GRIDS), most: int = 3) -> dict[str, tuple[object, ...]]:
    chosen = draw(st.lists(st.sampled_from(keys), min_size=1, max_size=3, unique=True))
    grid = {}
    for key in chosen:
        values = draw(st.lists(GRIDS[key], min_size=1, max_size=most))
        grid[key] = tuple({repr(value): value for value in values}.values())
    return grid


def tunes(*keys: str) -> st.SearchStrategy[TuneSpec]:
    return st.builds(
        TuneSpec,
        grid=drawn_grids(keys or tuple(GRIDS)),
        trials=st.none() | positive_ints,
        minutes=st.none() | positive_floats,
        metric=st.sampled_from([None, "balanced_accuracy", "mcc"]),
        folds=st.integers(2, 1000),
        random_state=seeds,
    )


def tunable(spec: ExtractorSpec) -> ExtractorSpec:
    """Return an extractor whose language model can be fine-tuned."""
    return spec.model_copy(update={"adapter": None, "random_weights": None, "pooling": "mean"})


# Grids that fit some logistic regression on one language model.
fitting = tunes("classifier.C", "classifier.standardize", "extractor.layer", "pca")
trains = (
    st.builds(
        TrainSpec,
        extractor=extractors | ensembles | chains,
        classifier=classifiers,
        split=splits,
        decision=decisions,
        use_columns=use,
        pca=st.none() | positive_ints,
    )
    | st.builds(TrainSpec, extractor=extractors | chains, classifier=logistic_regressions, split=splits, tune=fitting)
    | st.builds(
        TrainSpec,
        extractor=extractors.map(tunable),
        classifier=logistic_regressions | regressors,
        split=splits,
        finetune=fine_tunings,
    )
    | st.builds(TrainSpec, extractor=extractors | ensembles, classifier=regressors, split=splits, use_columns=use)
    | st.builds(TrainSpec, extractor=beside_columns, classifier=regressors, split=splits)
)

plugin_fields: dict[str, Any] = {
    "name": names,
    "package": names,
    "version": st.sampled_from(["1.0", "2.0", "2.0.1rc1"]),
    "options": st.dictionaries(names, st.none() | st.booleans() | st.integers(-9, 9) | shares | names, max_size=3),
}
plugin_extractors = st.builds(PluginExtractorSpec, **plugin_fields)
by_type = {
    "ExtractorSpec": extractors,
    "ChainSpec": chains,
    "EnsembleSpec": ensembles | beside_columns,
    "ColumnSpec": columns,
    "ResolvedExtractorSpec": resolved_extractors,
    "DescriptorSpec": descriptors,
    "LogisticRegressionSpec": logistic_regressions,
    "XGBoostSpec": xgboosts,
    "RandomForestSpec": random_forests,
    "GaussianProcessSpec": gaussian_processes,
    "LinearSVMSpec": linear_svms,
    "KNeighborsSpec": nearest_neighbours,
    "RidgeSpec": ridges,
    "ElasticNetSpec": elastic_nets,
    "XGBoostRegressorSpec": xgboost_regressors,
    "SVRSpec": svrs,
    "GaussianProcessRegressorSpec": gaussian_process_regressors,
    "AverageSpec": averages,
    "AverageRegressorSpec": average_regressors,
    "SplitSpec": splits,
    "DecisionSpec": decisions,
    "TrainSpec": trains,
    "TuneSpec": tunes(),
    "FineTuneSpec": fine_tunings,
    "PluginExtractorSpec": plugin_extractors,
    "PluginClassifierSpec": st.builds(PluginClassifierSpec, **plugin_fields, standardize=st.booleans()),
    "PluginRegressorSpec": st.builds(PluginRegressorSpec, **plugin_fields, standardize=st.booleans()),
}
"""Every type of spec by its name."""

specs = st.one_of(*by_type.values())

runtimes = st.builds(
    RuntimeSpec,
    device=st.sampled_from(["auto", "cpu", "mps", "cuda", "cuda:1"]),
    workers=st.none() | positive_ints,
    batch_tokens=positive_ints,
    progress=st.none() | st.booleans(),
    checkpoints=st.lists(st.text(min_size=1), max_size=2).map(tuple),
    gradient_checkpointing=st.booleans(),
)
