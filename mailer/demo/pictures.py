"""Pictures for the sample newsroom, drawn when asked for, so that no image file has to be shipped.

Each is a PNG of 1200 by 600 pixels made of flat shapes. Nothing here knows about articles or HTTP.
"""

import hashlib
import struct
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache

WIDTH, HEIGHT = 1200, 600

Colour = tuple[int, int, int]
Point = tuple[float, float]

INK: Colour = (24, 37, 56)
CREAM: Colour = (250, 243, 228)
RED: Colour = (196, 68, 54)
SEA: Colour = (38, 92, 122)


class Canvas:
    """Rows of pixels on which shapes are painted over each other."""

    def __init__(self, top: Colour, bottom: Colour) -> None:
        self._rows = [
            bytearray(bytes(_between(top, bottom, y / HEIGHT)) * WIDTH) for y in range(HEIGHT)
        ]

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """Fill the outline through `points`, by the even-odd rule."""
        edges = list(zip(points, [*points[1:], points[0]], strict=True))
        top = max(0, int(min(y for _, y in points)))
        bottom = min(HEIGHT, int(max(y for _, y in points)) + 1)
        for row in range(top, bottom):
            middle = row + 0.5
            crossings = sorted(
                x0 + (middle - y0) * (x1 - x0) / (y1 - y0)
                for (x0, y0), (x1, y1) in edges
                if (y0 <= middle) != (y1 <= middle)
            )
            for left, right in zip(crossings[::2], crossings[1::2], strict=True):
                self._span(row, left, right, colour)

    def box(self, left: float, top: float, width: float, height: float, colour: Colour) -> None:
        """Fill an upright rectangle."""
        right, bottom = left + width, top + height
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Fill a circle."""
        for row in range(max(0, int(y - radius)), min(HEIGHT, int(y + radius) + 1)):
            reach = radius**2 - (row + 0.5 - y) ** 2
            if reach > 0:
                self._span(row, x - reach**0.5, x + reach**0.5, colour)

    def png(self) -> bytes:
        """The picture as a PNG file: 8 bits a channel, no transparency."""
        header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
        pixels = zlib.compress(b"".join(b"\0" + row for row in self._rows), 6)
        return (
            b"\x89PNG\r\n\x1a\n"
            + _chunk(b"IHDR", header)
            + _chunk(b"IDAT", pixels)
            + _chunk(b"IEND", b"")
        )

    def _span(self, row: int, left: float, right: float, colour: Colour) -> None:
        start, end = max(0, round(left)), min(WIDTH, round(right))
        if end > start:
            self._rows[row][start * 3 : end * 3] = bytes(colour) * (end - start)


def _between(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _sea(canvas: Canvas, horizon: float, seed: bytes) -> None:
    canvas.box(0, horizon, WIDTH, HEIGHT - horizon, SEA)
    for number in range(26):
        depth = seed[number] / 255
        top = horizon + 14 + depth * (HEIGHT - horizon - 30)
        length = 40 + 130 * depth
        left = (seed[number] * 37 + number * 131) % WIDTH
        canvas.box(left, top, length, 3 + 3 * depth, _between(SEA, CREAM, 0.22))


def _boat(canvas: Canvas, x: float, y: float, size: float, hull: Colour) -> None:
    canvas.box(x - 0.02 * size, y - 1.5 * size, 0.05 * size, 1.5 * size, INK)
    canvas.polygon(
        [
            (x + 0.08 * size, y - 1.4 * size),
            (x + 0.9 * size, y - 0.15 * size),
            (x + 0.08 * size, y - 0.15 * size),
        ],
        CREAM,
    )
    canvas.polygon(
        [
            (x - 0.06 * size, y - 1.1 * size),
            (x - 0.6 * size, y - 0.15 * size),
            (x - 0.06 * size, y - 0.15 * size),
        ],
        _between(CREAM, hull, 0.35),
    )
    canvas.polygon(
        [
            (x - size, y),
            (x + size, y),
            (x + 0.7 * size, y + 0.4 * size),
            (x - 0.7 * size, y + 0.4 * size),
        ],
        hull,
    )


def _houses(canvas: Canvas, ground: float, seed: bytes) -> None:
    walls = ((214, 158, 92), (190, 96, 78), (232, 205, 152), (120, 142, 140), (205, 124, 96))
    left = -20.0
    for number in range(12):
        width, height = 90 + seed[number] % 50, 130 + seed[number + 12] % 130
        wall = walls[seed[number] % 5]
        canvas.box(left, ground - height, width, height, wall)
        canvas.polygon(
            [
                (left - 8, ground - height),
                (left + width / 2, ground - height - 60),
                (left + width + 8, ground - height),
            ],
            _between(wall, INK, 0.55),
        )
        for storey in range(int(height // 65)):
            for window in (0.2, 0.6):
                canvas.box(
                    left + width * window,
                    ground - height + 22 + storey * 62,
                    width * 0.2,
                    30,
                    CREAM,
                )
        left += width + 4


def _hills(canvas: Canvas, seed: bytes) -> None:
    for layer, colour in enumerate(((150, 176, 140), (104, 146, 110), (66, 112, 84))):
        base = 300 + layer * 90
        tops = [(x * 150.0, base + seed[layer * 9 + x] % 80 - 20.0) for x in range(9)]
        canvas.polygon([(0, HEIGHT), *tops, (WIDTH, HEIGHT)], colour)


def _lighthouse(canvas: Canvas, seed: bytes) -> None:
    canvas.polygon([(640, 150), (-100, 20), (-100, 330)], (246, 220, 160))
    _sea(canvas, 430, seed)
    canvas.polygon([(480, 600), (590, 440), (760, 420), (940, 600)], _between(INK, SEA, 0.3))
    canvas.polygon([(618, 440), (632, 190), (688, 190), (702, 440)], CREAM)
    for band in (230, 310, 390):
        canvas.polygon([(626, band), (694, band), (697, band + 36), (623, band + 36)], RED)
    canvas.box(622, 176, 76, 14, INK)
    canvas.box(638, 130, 44, 46, (252, 216, 120))
    canvas.polygon([(628, 130), (692, 130), (660, 96)], RED)


def _boats(canvas: Canvas, seed: bytes) -> None:
    canvas.disc(260 + seed[0], 190, 84, (255, 226, 160))
    _sea(canvas, 330, seed)
    _boat(canvas, 330 + seed[1] % 90, 400, 70, INK)
    _boat(canvas, 820 + seed[2] % 90, 440, 130, RED)


def _ferry(canvas: Canvas, seed: bytes) -> None:
    canvas.polygon([(0, 340), (180, 250), (420, 300), (700, 340)], (104, 146, 110))
    _sea(canvas, 340, seed)
    canvas.polygon([(420, 400), (1080, 400), (1020, 480), (470, 480)], INK)
    canvas.box(490, 330, 500, 70, CREAM)
    canvas.box(560, 270, 300, 60, CREAM)
    canvas.box(780, 200, 60, 70, RED)
    for window in range(9):
        canvas.box(515 + window * 52, 350, 30, 24, SEA)


def _pier(canvas: Canvas, seed: bytes) -> None:
    canvas.disc(880 + seed[0] % 60, 170, 70, (255, 226, 160))
    _sea(canvas, 320, seed)
    wood = (112, 80, 58)
    for post in range(8):
        canvas.box(60 + post * 105, 380, 22, 130 + seed[post] % 30, _between(wood, INK, 0.4))
    canvas.polygon([(0, 365), (840, 352), (860, 376), (0, 400)], wood)
    _boat(canvas, 1010, 430, 80, RED)


def _street(canvas: Canvas, seed: bytes) -> None:
    canvas.disc(980, 130, 60, (255, 236, 190))
    _houses(canvas, 500, seed)
    canvas.box(0, 500, WIDTH, 100, (96, 100, 108))
    canvas.box(0, 500, WIDTH, 14, (190, 184, 170))


def _tram(canvas: Canvas, seed: bytes) -> None:
    _street(canvas, seed)
    canvas.box(330, 350, 560, 170, RED)
    canvas.box(330, 440, 560, 16, CREAM)
    for window in range(6):
        canvas.box(352 + window * 90, 376, 66, 50, (205, 226, 232))
    for wheel in (430, 540, 690, 800):
        canvas.disc(wheel, 524, 22, INK)
    canvas.polygon([(560, 350), (640, 300), (652, 300), (580, 350)], INK)


def _field(canvas: Canvas, seed: bytes) -> None:
    _hills(canvas, seed)
    canvas.box(0, 440, WIDTH, 160, (84, 140, 84))
    for stripe in range(0, WIDTH, 240):
        canvas.polygon(
            [(stripe, 600), (stripe + 60, 440), (stripe + 170, 440), (stripe + 120, 600)],
            (96, 154, 94),
        )
    canvas.box(420, 260, 12, 190, CREAM)
    canvas.box(780, 260, 12, 190, CREAM)
    canvas.box(420, 260, 372, 12, CREAM)
    canvas.disc(560 + seed[0] % 100, 490, 22, CREAM)


def _stage(canvas: Canvas, seed: bytes) -> None:
    canvas.box(0, 470, WIDTH, 130, (96, 66, 52))
    for light in (250, 600, 950):
        canvas.polygon([(light, 0), (light - 130, 470), (light + 130, 470)], (128, 74, 92))
    for singer in range(14):
        x, y = 130 + singer * 72, 420 - seed[singer] % 40
        canvas.polygon(
            [(x - 30, y + 130), (x, y), (x + 30, y + 130)], (RED, SEA, CREAM)[singer % 3]
        )
        canvas.disc(x, y, 21, (226, 180, 148) if seed[singer] % 2 else (140, 96, 74))


def _storm(canvas: Canvas, seed: bytes) -> None:
    for cloud in range(7):
        x, y = 60 + cloud * 180, 90 + seed[cloud] % 70
        for puff in (-60, 0, 64):
            canvas.disc(x + puff, y, 74, (74, 86, 104))
    _sea(canvas, 400, seed)
    canvas.polygon(
        [(690, 160), (610, 290), (664, 290), (620, 400), (740, 252), (684, 252)], (255, 222, 120)
    )
    for drop in range(40):
        x, y = (seed[drop % 32] * 53 + drop * 97) % WIDTH, 200 + (seed[(drop + 7) % 32] * 3) % 190
        canvas.polygon([(x, y), (x + 4, y), (x - 8, y + 34), (x - 12, y + 34)], (150, 176, 192))


def _night(canvas: Canvas, seed: bytes) -> None:
    for star in range(70):
        x = (seed[star % 32] * 71 + star * 193) % WIDTH
        y = (seed[(star + 5) % 32] * 29 + star * 67) % 420
        canvas.disc(x, y, 1.5 + seed[star % 32] % 3, CREAM)
    canvas.disc(900, 140, 46, (250, 232, 190))
    canvas.disc(560, 400, 120, (70, 84, 108))
    canvas.box(440, 400, 240, 160, (52, 64, 88))
    canvas.polygon([(540, 400), (580, 270), (640, 290), (600, 410)], (20, 26, 44))
    canvas.polygon([(0, 600), (0, 500), (420, 430), (800, 450), (1200, 520), (1200, 600)], INK)


_DAY = ((156, 200, 220), (248, 232, 204))
_DUSK = ((92, 104, 150), (248, 176, 120))
_GREY = ((120, 132, 148), (178, 188, 196))
_DARK = ((16, 22, 48), (60, 70, 112))
_HALL = ((60, 34, 56), (104, 56, 72))

_SCENES: dict[str, tuple[tuple[Colour, Colour], Callable[[Canvas, bytes], None]]] = {
    "lighthouse": (_DUSK, _lighthouse),
    "boats": (_DUSK, _boats),
    "ferry": (_DAY, _ferry),
    "pier": (_DAY, _pier),
    "street": (_DAY, _street),
    "tram": (_DAY, _tram),
    "field": (_DAY, _field),
    "hills": (_DAY, _hills),
    "stage": (_HALL, _stage),
    "storm": (_GREY, _storm),
    "night": (_DARK, _night),
}


@lru_cache(maxsize=64)
def draw(scene: str, seed: str) -> bytes:
    """A PNG of `scene`; the same `seed` gives the same picture, another one a variation.

    Raises:
        KeyError: there is no such scene.
    """
    sky, paint = _SCENES[scene]
    canvas = Canvas(*sky)
    paint(canvas, hashlib.sha256(seed.encode()).digest())
    return canvas.png()
