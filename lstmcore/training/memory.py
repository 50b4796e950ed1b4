"""Memory that the process keeps, instead of giving it back to the system and asking again.

XLA allocates the arrays of a program at each call and frees them after it. glibc, the C library of
most Linux systems, returns large or topmost blocks to the system at once, and each page of the next
call is then mapped and zeroed anew: a fifth of the time, or more, of calls that write large arrays,
such as the gates of every step.
"""

from __future__ import annotations

import ctypes

from lstmcore import checks

__all__ = ["retain_memory"]

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def retain_memory(most: int = 2**30) -> bool:
    """Keep freed memory for the next arrays; return whether this C library can.

        lc.retain_memory()
        result = lc.fit(loss, params, data)

    It concerns the whole process, from now on: the arrays of JAX, NumPy and other libraries, but
    not their results. The process then holds what it once needed at most, even if little of it is
    in use: freed memory below an array that is still in use is never given back. The command line
    does it by itself. Where the C library is not glibc (macOS, Windows, Alpine Linux) nothing
    changes. `docs/performance.md` has measurements.

    Args:
      most: bytes that are freed at the end of the heap, above all arrays in use: if there are more,
        they are given back after all.

    Raises:
      ValueError: `most` below 1, or 2 GiB and more.

    Examples:
      >>> import lstmcore as lc
      >>> is_glibc = lc.retain_memory()
    """
    most = checks.check_count("most", most)
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no such function, or no such library
        return False
    # Large blocks come from the heap too, not from mappings of their own, which end with them.
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, most))
