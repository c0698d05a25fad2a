"""Drawn pictures of trees for the demo, so that no photograph of anybody's has to be shipped."""

import io
import random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

SIZE = (1200, 900)


def tree_picture(seed: int) -> bytes:
    """A JPEG of a drawn tree on a slope; each seed gives another one."""
    chance = random.Random(seed)  # noqa: S311 - a picture, no secret
    width, height = SIZE
    image = Image.linear_gradient("L").resize(SIZE)
    sky = Image.merge("RGB", [image.point(lambda v, a=a, b=b: a + (b - a) * v // 255) for a, b in _sky(chance)])
    draw = ImageDraw.Draw(sky)
    for layer in range(3):
        _hills(draw, chance, height * (45 + 12 * layer) // 100, (96 - 18 * layer, 134 - 20 * layer, 96 - 22 * layer))
    foot = (width // 2 + chance.randint(-120, 120), height * 88 // 100)
    _tree(draw, chance, foot, height * chance.randint(58, 74) // 100)
    sky = _weathered(sky, chance)
    buffer = io.BytesIO()
    sky.filter(ImageFilter.GaussianBlur(0.8)).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _weathered(image: Image.Image, chance: random.Random) -> Image.Image:
    """With light and shade of its own: clean shapes alone would be taken for copies of each other."""
    grain = Image.new("L", SIZE, 128)
    for cells in (60, 240):
        size = (cells, cells * SIZE[1] // SIZE[0])
        spots = Image.frombytes("L", size, chance.randbytes(size[0] * size[1])).resize(SIZE, Image.Resampling.BICUBIC)
        grain = Image.blend(grain, spots, 0.4)
    mottled = ImageChops.soft_light(image, Image.merge("RGB", [grain] * 3))
    return Image.composite(
        mottled, image, Image.linear_gradient("L").resize(SIZE).point(lambda v: min(235, v * 3 // 2))
    )


def _sky(chance: random.Random) -> list[tuple[int, int]]:
    warm = chance.randint(0, 30)
    return [(176 + warm, 236), (204, 240), (226 - warm, 228)]


def _hills(draw: ImageDraw.ImageDraw, chance: random.Random, base: int, colour: tuple[int, int, int]) -> None:
    points = [(0, SIZE[1])]
    for x in range(0, SIZE[0] + 150, 150):
        points.append((x, base + chance.randint(-45, 45)))
    draw.polygon([*points, (SIZE[0], SIZE[1])], fill=colour)


def _tree(draw: ImageDraw.ImageDraw, chance: random.Random, foot: tuple[int, int], height: int) -> None:
    x, y = foot
    trunk = max(14, height // 22)
    draw.polygon(
        [(x - trunk, y), (x + trunk, y), (x + trunk // 3, y - height), (x - trunk // 3, y - height)], (88, 62, 44)
    )
    conifer = chance.random() < 0.6
    green = (chance.randint(24, 58), chance.randint(88, 126), chance.randint(44, 66))
    for step in range(9):
        up = y - height * (28 + 8 * step) // 100
        reach = height * (34 - 3 * step) // 100
        shade = tuple(min(255, part + 7 * step) for part in green)
        if conifer:
            draw.polygon([(x - reach, up + 46), (x + reach, up + 46), (x, up - 96)], fill=shade)
        else:
            for _ in range(3):
                dx, dy = chance.randint(-reach // 2, reach // 2), chance.randint(-40, 40)
                r = reach // 2 + 18
                draw.ellipse([x + dx - r, up + dy - r, x + dx + r, up + dy + r], fill=shade)
