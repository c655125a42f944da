"""Pictures as small tiles, and the tiles of an item as one WebP sprite."""

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raycluster.errors import ConfigError
from raycluster.review.pictures import Unshown

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 96
"""Pixels of a tile's longest side. A face is recognized from about 48; raising it enlarges the report by the square."""
MOST_PIXELS = 50_000_000
"""Pixels of a picture that is decoded, about 150 MB of memory. A small file that unpacks to more is refused undecoded."""
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "MPO")
"""Formats that are decoded. Others call programs, such as PostScript, or are rare."""
QUALITY = 55
"""Quality of WebP, 0..100: 2 kB per face. Raising it enlarges the report."""
GRAY = (128, 128, 128)  # red, green and blue, 0..255: reads on light and on dark pages
INSTALL = "Install what reports need: pip install 'raycluster[report]'."


@dataclass(frozen=True)
class Tile:
    """A picture as a tile: the image, or why there is none."""

    image: "Image | None"
    reason: str | None = None


def imaging() -> Any:
    """Return Pillow. Raises ConfigError with the line that installs it."""
    try:
        from PIL import Image, ImageFile, ImageOps
    except ImportError as error:
        raise ConfigError(f"Pictures need Pillow. {INSTALL}") from error
    assert not ImageFile.LOAD_TRUNCATED_IMAGES, "a truncated picture must fail"
    return Image, ImageOps


def shrunk(data: bytes) -> "Image":
    """Return a picture, upright, with its longest side `SIDE`.

    Raises Unshown for what cannot be decoded safely.
    """
    Image, ImageOps = imaging()
    try:
        with (
            warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning),
            Image.open(io.BytesIO(data), formats=FORMATS) as image,
        ):
            if image.width * image.height > MOST_PIXELS:
                raise Unshown("too many pixels")
            image.draft("RGB", (2 * SIDE, 2 * SIDE))  # JPEG is decoded small at once
            image.thumbnail((4 * SIDE, 4 * SIDE), Image.Resampling.BOX, reducing_gap=None)
            upright = ImageOps.exif_transpose(image).convert("RGBA")
    except Unshown:
        raise
    except Image.DecompressionBombError as error:
        raise Unshown("too many pixels") from error
    except Exception as error:  # decoders of hostile bytes raise anything; none of it may end a report
        raise Unshown("no readable picture") from error
    upright.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    plain = Image.new("RGB", upright.size, GRAY)
    plain.paste(upright, mask=upright.getchannel("A"))
    return plain


def tile(read: Any, picture: bytes | str | None) -> Tile:
    """Return a picture's tile; `read` returns its bytes or raises Unshown."""
    try:
        return Tile(shrunk(read(picture)))
    except Unshown as error:
        return Tile(None, str(error))


def sprite(tiles: Sequence[Tile]) -> bytes:
    """Return tiles side by side as one WebP picture; one without an image is gray."""
    Image, _ = imaging()
    strip = Image.new("RGB", (SIDE * max(len(tiles), 1), SIDE), GRAY)
    for place, one in enumerate(tiles):
        if one.image is not None:
            left, top = ((SIDE - length) // 2 for length in one.image.size)
            strip.paste(one.image, (place * SIDE + left, top))
    buffer = io.BytesIO()
    strip.save(buffer, "WEBP", quality=QUALITY, method=4)
    return buffer.getvalue()
