"""Pictures as tiles: upright, small, and gray with a reason where they are hostile."""

import io
import struct
import zlib

import pytest
from PIL import Image, ImageDraw

from raycluster.review import thumbnails
from raycluster.review.pictures import Unshown
from raycluster.review.thumbnails import SIDE, Tile, shrunk, sprite, tile


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(width, height, data=b""):
    """A PNG that promises a size, whatever it holds."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize(("size", "small"), [((400, 200), (96, 48)), ((1000, 2000), (48, 96)), ((30, 20), (30, 20))])
def test_the_longest_side_is_bounded(kind, size, small):
    assert shrunk(encoded(Image.new("RGB", size, "red"), kind)).size == small


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16"])
def test_every_mode_becomes_color(mode):
    kind = "TIFF" if mode == "CMYK" else "PNG"
    assert shrunk(encoded(Image.new(mode, (50, 40)), kind)).mode == "RGB"


def test_pictures_are_turned_upright():
    image = Image.new("RGB", (200, 100), "blue")
    ImageDraw.Draw(image).rectangle([0, 0, 99, 99], fill="red")
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the left side is the top
    upright = shrunk(encoded(image, "JPEG", exif=exif, quality=95))
    assert upright.size == (48, 96)
    assert upright.getpixel((24, 10))[0] > 200
    assert upright.getpixel((24, 85))[2] > 200


def test_the_transparent_is_gray():
    assert shrunk(encoded(Image.new("RGBA", (10, 10), (255, 0, 0, 0)))).getpixel((5, 5)) == thumbnails.GRAY


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<svg onload=alert(1)></svg>", "no readable picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nquit\n", "no readable picture"),
        (encoded(Image.new("RGB", (300, 300)), "JPEG")[:-400], "no readable picture"),
        (png(100, 100, b"\0" * 10), "no readable picture"),
        (png(20_000, 20_000), "too many pixels"),
        (png(8_000, 8_000), "too many pixels"),
        (bytes(range(256)) * 20, "no readable picture"),
    ],
)
def test_hostile_and_broken_pictures_have_a_reason(data, reason):
    assert tile(lambda picture: picture, data) == Tile(None, reason)


def test_a_decompression_bomb_is_refused_before_it_is_decoded():
    bomb = png(60_000, 60_000, b"\0" * 50_000_000)
    assert len(bomb) < 100_000
    with pytest.raises(Unshown, match="too many pixels"):
        shrunk(bomb)


def test_a_sprite_holds_tiles_side_by_side():
    tiles = [Tile(Image.new("RGB", (96, 40), "red")), Tile(None, "gone"), Tile(Image.new("RGB", (10, 96), "lime"))]
    strip = Image.open(io.BytesIO(sprite(tiles)))
    assert (strip.format, strip.size) == ("WEBP", (3 * SIDE, SIDE))
    colors = [strip.convert("RGB").getpixel((place * SIDE + SIDE // 2, SIDE // 2)) for place in range(3)]
    assert colors[0][0] > 200
    assert max(abs(value - 128) for value in colors[1]) < 10
    assert colors[2][1] > 200


def test_without_pillow_one_sentence_installs_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(Exception, match=r"pip install 'raycluster\[report\]'"):
        thumbnails.imaging()
