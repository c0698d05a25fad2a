"""A 12 MP photo: our function for all pictures and the hash, beside bare Pillow doing the same."""

import io
import random
import time
from collections.abc import Callable

from PIL import Image, ImageFilter

from bench.measure import Result, Setting, alternate

GOAL = 1.2
SIZE = (4032, 3024)
PHOTOS_AT_ONCE = 8


def photo(setting: Setting) -> Result:
    """As a phone takes it: JPEG, 4032 × 3024, upright."""
    content = make_photo()
    pictures = [_like(picture) for picture in our_pictures(content)[0]]

    def ours() -> float:
        return _seconds(lambda: our_pictures(content))

    def floor() -> float:
        return _seconds(lambda: bare_pillow(content, pictures))

    ours_s, floor_s = alternate(max(setting.rounds, 5), ours, floor, lambda _line: None)
    figures = {"pictures": len(pictures), "photos_per_s": round(1 / ours_s, 1)}
    return Result("photo.12mp", ours_s, floor_s, GOAL, figures)


def our_pictures(content: bytes) -> tuple[list[bytes], int]:
    """Our door: the public pictures, and the hash; as the worker's child process makes them."""
    from trees import pictures

    made = pictures.process_confined(content)
    return list(made.files.values()), made.dhash


def make_photo() -> bytes:
    """Leaves and bark, so to speak: coarse and fine noise, which JPEG packs about as well as a wood."""
    chance = random.Random(3)  # noqa: S311 - made-up data
    coarse = Image.frombytes("RGB", (126, 94), chance.randbytes(126 * 94 * 3)).resize(SIZE, Image.Resampling.BICUBIC)
    fine = Image.effect_noise((1008, 756), 60).resize(SIZE).convert("RGB").filter(ImageFilter.SMOOTH)
    buffer = io.BytesIO()
    Image.blend(coarse, fine, 0.4).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def bare_pillow(content: bytes, pictures: list[tuple[int, str]]) -> int:
    """The same pictures and a difference hash, by the shortest way: decoded at half size, then shrunk."""
    with Image.open(io.BytesIO(content)) as image:
        largest = max(side for side, _form in pictures)
        image.draft("RGB", (largest, largest * image.height // image.width))
        shrunk = image.convert("RGB")
    done = 0
    for side, form in sorted(pictures, reverse=True):
        if side != done:
            shrunk.thumbnail((side, side), Image.Resampling.BICUBIC)
            done = side
        shrunk.save(io.BytesIO(), form, **OPTIONS[form])
    grey = shrunk.convert("L").resize((9, 8), Image.Resampling.BILINEAR).tobytes()
    return int("".join("01"[grey[9 * y + x] > grey[9 * y + x + 1]] for y in range(8) for x in range(8)), 2)


OPTIONS = {"JPEG": {"quality": 82, "progressive": True}, "WEBP": {"quality": 82, "method": 2}}


def _like(content: bytes) -> tuple[int, str]:
    with Image.open(io.BytesIO(content)) as image:
        return max(image.size), str(image.format)


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    for _ in range(PHOTOS_AT_ONCE):
        work()
    return (time.perf_counter() - begun) / PHOTOS_AT_ONCE
