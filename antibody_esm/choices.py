"""Names of models, classifiers, poolings, regions and numbering programs, for help texts that load no other module."""

from typing import Literal

MODELS = (
    *("esm1v", "esm1v_1", "esm1v_2", "esm1v_3", "esm1v_4", "esm1v_5"),
    *("esm2_8m", "esm2_35m", "esm2_150m", "esm2_650m", "esm2_3b", "esm1b"),
    *("antiberty", "sapiens_vh", "sapiens_vl", "antiberta2", "antiberta2_cssp", "igbert", "igt5", "protbert", "prott5"),
    *("prostt5", "ankh_base", "ankh_large", "ankh3_large", "ankh3_xl", "p_iggen", "esmc_300m", "esmc_600m"),
    *("vhhbert", "nanobert", "ablang2", "ablang2_vl", "esm1v_mean", "sapiens", "descriptors"),
)
"""Language models: the keys of `presets.EXTRACTORS`."""

CLASSIFIERS = (
    *("logreg", "xgboost", "random_forest", "gaussian_process", "linear_svm", "knn", "average"),
    *("ridge", "elastic_net", "xgboost_regressor", "svr", "gaussian_process_regressor", "average_regressor"),
)
"""Classifiers and regressors: the keys of `presets.ESTIMATORS`."""

DATA_SETS = ("boughter", "boughter_flu_cdrs", "harvey", "jain", "shehata")
"""Public data sets: `data.public.PUBLIC`."""

DEFAULT_EXTRACTOR = "antiberty"
DEFAULT_CLASSIFIER = "logreg"

Pooling = Literal["mean", "max", "std", "cls", "last", "attention"]
Region = Literal["all", "cdr1", "cdr2", "cdr3", "cdrs", "frameworks"]
Precision = Literal["float32", "bfloat16", "float16", "int8"]
Engines = Literal["auto", "both", "anarcism"]
"""Numbering programs. ``auto``: immunum, and anarcism for chains that immunum leaves in doubt. ``both``: the same
domains, which name all differences between the programs. ``anarcism``: anarcism alone, as in models of before."""
OtherScheme = Literal["kabat", "chothia", "martin", "aho"]
Scheme = Literal["imgt", OtherScheme]
"""Numbering schemes."""
