"""What results are compared with runs on one thread.

This package's own workers do so too. Threads of tiny products wait for one another, the longer the busier the machine
is, and that was most of the time of such a comparison. Only peers are held to it: whether the package holds itself to
it is what tests see.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit numpy's, scipy's and torch's threads for a while."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)
