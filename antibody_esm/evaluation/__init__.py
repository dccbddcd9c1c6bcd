"""Evaluation of classifiers and regressors: splits, metrics, intervals, comparisons and baselines."""
