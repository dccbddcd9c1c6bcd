"""Processes that tests start."""

import multiprocessing
import warnings
from collections.abc import Callable


def fork(target: Callable, *arguments: object) -> multiprocessing.Process:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside threads
        process = multiprocessing.get_context("fork").Process(target=target, args=arguments)
        process.start()
    return process
