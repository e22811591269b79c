"""A filter on an image: its rows are split in blocks, one task each, and put together again.

    python -m scoop_mpi -n 4 examples/image_filter.py

To blur a row, the rows above and below it are needed. So each block gets one more row on either
side (its "halo"), which belongs to its neighbours. numpy arrays travel between ranks as they are,
straight from one array into the other.
"""

from itertools import pairwise

import numpy as np

from scoop_mpi import futures

ROWS, COLUMNS = 1200, 1600
BLOCKS = 16


def make_image():
    """A grey image of rings, with noise."""
    y, x = np.mgrid[-1 : 1 : ROWS * 1j, -1 : 1 : COLUMNS * 1j]
    noise = np.random.default_rng(seed=1).normal(scale=0.3, size=(ROWS, COLUMNS))
    return np.sin(30 * np.hypot(x, y)) + noise


def blur(rows):
    """Replace each pixel by the mean of the nine around it. The border, one pixel wide, is lost."""
    height, width = rows.shape
    total = np.zeros((height - 2, width - 2))
    for down in range(3):
        for right in range(3):
            total += rows[down : down + height - 2, right : right + width - 2]
    return total / 9


def split(image):
    """Cut the image in blocks of rows, each with the halo that it needs."""
    cuts = np.linspace(1, ROWS - 1, BLOCKS + 1, dtype=int)
    return [image[top - 1 : bottom + 1] for top, bottom in pairwise(cuts)]


if __name__ == "__main__":
    image = make_image()
    blurred = np.concatenate(list(futures.map(blur, split(image))))

    print(f"{image.shape} pixels: deviation {image.std():.4f}, blurred {blurred.std():.4f}")
    if not np.array_equal(blurred, blur(image)):
        raise SystemExit("the blocks do not fit together")
