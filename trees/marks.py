"""What a picture is recognised by: a hash of the whole, marks of its striking points, and matching two pictures.

Points and their descriptors are ORB's (E. Rublee and others, 2011), which stay the same when a picture is turned,
scaled, compressed or brightened. Figures behind the numbers here: docs/decisions/0008.
"""

import random
import zlib
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from PIL import Image

SIDE = 640
POINTS, LEVELS = 500, 8
# Each level of scale gives its strongest points, so that a cut-out still shares some; each point gives one mark for
# each sample of bits. Marks are stored: changing any of this makes all earlier photos unknown.
POINTS_PER_LEVEL = 12
SAMPLES = np.array([random.Random(table).sample(range(256), 32) for table in range(3)])  # noqa: S311 - no secret
# So many different marks, few enough that the index keeps many photos under each of its keys.
MARKS = 2**26
# Matching: the second best must be so much worse, and points lie so near to where the first ones lead.
RATIO, TOLERANCE_PX, CELL_PX = 0.8, 4.0, 8.0
_matcher = cv2.BFMatcher(cv2.NORM_HAMMING)


@dataclass(frozen=True)
class Points:
    """Striking points of a picture: their places in pixels, levels of scale, strengths and descriptors (32 bytes)."""

    places: Any
    levels: list[int]
    strengths: list[float]
    descriptors: Any


def grey(image: Image.Image) -> Any:
    """The picture in grey with at most SIDE pixels, as an array."""
    small = image.convert("L")
    small.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.asarray(small)


def points(pixels: Any) -> Points:
    """The striking points of a grey picture; a sheet of paper has none."""
    orb = cv2.ORB.create(nfeatures=POINTS, scaleFactor=1.2, nlevels=LEVELS, fastThreshold=10)
    found, descriptors = orb.detectAndCompute(np.ascontiguousarray(pixels), None)
    return Points(
        np.array([point.pt for point in found], np.float32).reshape(-1, 2),
        [point.octave for point in found],
        [point.response for point in found],
        descriptors if descriptors is not None else np.zeros((0, 32), np.uint8),
    )


def of(pixels: Any) -> list[int]:
    """The marks of a grey picture: sorted numbers. Two pictures that share several may be one."""
    return of_points(points(pixels))


def of_points(found: Points) -> list[int]:
    """The marks of a picture with these points."""
    by_level: dict[int, list[int]] = defaultdict(list)
    for index in sorted(range(len(found.levels)), key=lambda index: -found.strengths[index]):
        by_level[found.levels[index]].append(index)
    chosen = [index for level in by_level.values() for index in level[:POINTS_PER_LEVEL]]
    bits = np.unpackbits(found.descriptors[chosen], axis=1)
    made = set()
    for table, sample in enumerate(SAMPLES):
        for packed in np.packbits(bits[:, sample], axis=1):
            made.add(zlib.crc32(packed.tobytes(), table) % MARKS)
    return sorted(made)


def matching(first: Points, second: Points) -> int:
    """How many points of one picture lie in the other where one common shift, turn and scale puts them.

    Points that lie within 8 pixels of each other count once: a leaf's edge is found on several levels of scale.
    """
    if len(first.places) < 4 or len(second.places) < 4:
        return 0
    pairs = [
        (best.queryIdx, best.trainIdx)
        for best, next_best in _matcher.knnMatch(first.descriptors, second.descriptors, k=2)
        if best.distance < RATIO * next_best.distance
    ]
    if len(pairs) < 4:
        return 0
    here = first.places[[index for index, _other in pairs]]
    there = second.places[[index for _other, index in pairs]]
    _matrix, fitting = cv2.estimateAffinePartial2D(here, there, ransacReprojThreshold=TOLERANCE_PX)
    if fitting is None:
        return 0
    kept = fitting.ravel() > 0
    return min(len({tuple(cell) for cell in np.floor(side[kept] / CELL_PX)}) for side in (here, there))


def dhash(image: Image.Image) -> int:
    """64-bit difference hash, signed: near-same pictures differ in few bits."""
    small = image.convert("L").resize((9, 8), Image.Resampling.BILINEAR)
    pixels = small.tobytes()
    bits = "".join("1" if pixels[9 * y + x] > pixels[9 * y + x + 1] else "0" for y in range(8) for x in range(8))
    value = int(bits, 2)
    return value - 2**64 if value >= 2**63 else value
