"""Image files of every kind → upright RGB."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

MAX_PIXELS = 180_000_000
_FLOAT_MAX = 255.0


def read_photograph(path: str | Path, max_pixels: int = MAX_PIXELS) -> tuple[Image.Image, float]:
    """The upright RGB photograph, and its pixels per pixel of the file along a side (1, or ½, ¼, ⅛).

    EXIF rotation and colour profiles are applied; grey, palette, CMYK, 16 bits and floats converted; transparency is
    over white; the content decides what kind of file it is, not the name. A JPEG of more than `max_pixels` is decoded
    at a half, a quarter or an eighth of its size.

    Raises FileNotFoundError; ValueError with one line for what is no picture, or a damaged one; TooLargeError, which is
    one; and MemoryError, where this machine has too little for it.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    if not path.stat().st_size:
        raise ValueError(f"{path}: not a readable image (the file is empty)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd tags; what matters raises
            with _open(path) as opened:
                width = opened.width
                _limit_size(opened, max_pixels)
                scale = opened.width / width
                opened.load()
                image = _upright(opened)
            return _to_rgb(image), scale
    except MemoryError:
        raise MemoryError("there is not enough memory for this image") from None
    except TooLargeError as error:
        raise TooLargeError(f"{path}: {error}") from None
    except UnidentifiedImageError:
        raise ValueError(f"{path}: not a readable image (its content is of no known kind)") from None
    except Exception as error:  # damaged bytes make decoders raise anything
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: not a readable image ({reason or type(error).__name__})") from None


class TooLargeError(ValueError):
    """More pixels than are allowed."""


def _open(path: Path) -> Image.Image:
    """Reads the header. Pillow's own limit of size is lifted for it: `_limit_size` is ours."""
    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        return Image.open(path)
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _limit_size(image: Image.Image, max_pixels: int) -> None:
    pixels = image.width * image.height
    if pixels > max_pixels and image.format == "JPEG":
        for factor in (2, 4, 8):
            if pixels / factor**2 <= max_pixels:
                image.draft(None, (image.width // factor, image.height // factor))
                break
    if image.width * image.height > max_pixels:
        raise TooLargeError(
            f"{image.width}×{image.height} pixels; expected {max_pixels / 1e6:g} million at most (--max_megapixels)"
        )


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # the rotation is unreadable, the picture is not
        return image.copy()


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _grey(np.asarray(image).clip(0, 65535) / 257)
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image))
        return _grey(values * (_FLOAT_MAX if values.max(initial=0) <= 1 else 1))
    image = _to_srgb(image)
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _grey(values: np.ndarray) -> Image.Image:
    return Image.fromarray((values + 0.5).clip(0, 255).astype(np.uint8)).convert("RGB")


def _to_srgb(image: Image.Image) -> Image.Image:
    """Applies an embedded colour profile of another space than sRGB; one that is damaged is passed over."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "CMYK"):
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return image
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB") or image
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image
