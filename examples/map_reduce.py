"""Word count, the classic of map and reduce, over the source files of Python's own library.

    python -m scoop_mpi -n 4 examples/map_reduce.py [directory]

mapReduce(mapFunc, reductionFunc, items) applies mapFunc to each item, and then joins the results
two by two, in order. Both happen on all ranks.
"""

import re
import sys
import sysconfig
from collections import Counter
from functools import reduce
from operator import add
from pathlib import Path

from scoop_mpi import futures


def count_words(path):
    """Count the words in one file."""
    return Counter(
        re.findall(r"[a-z]+", path.read_text(encoding="utf-8", errors="replace").lower())
    )


if __name__ == "__main__":
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else sysconfig.get_path("stdlib"))
    files = sorted(directory.glob("*.py"))
    # `add` is the operator +, which adds up two Counters word by word.
    words = futures.mapReduce(count_words, add, files)

    print(f"{words.total()} words in {len(files)} files")
    for word, count in words.most_common(5):
        print(f"{count:8} {word}")
    if words != reduce(add, map(count_words, files)):
        raise SystemExit("mapReduce does not agree with reduce and map")
