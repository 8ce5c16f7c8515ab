from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from datasets.photographs.files import find_photographs, other_face
from datasets.photographs.reading import read_photograph

RAMP = np.linspace(0, 255, 12).astype(np.uint8).reshape(3, 4)
GREY = np.repeat(RAMP[..., None], 3, axis=2)


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG file by hand, for what Pillow does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _tiff_of_16_bits(values: np.ndarray) -> bytes:
    """An uncompressed RGB TIFF of 16 bits a channel, [H, W, 3] uint16."""
    height, width, _ = values.shape
    data = values.astype("<u2").tobytes()
    tags = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, 8), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 14),
            (277, 3, 1, 3), (278, 3, 1, height), (279, 4, 1, len(data))]  # fmt: skip
    head = b"II*\0" + struct.pack("<I", 14 + len(data)) + struct.pack("<HHH", 16, 16, 16) + data
    return head + struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + b"\0" * 4


def test_every_kind_of_picture_is_read_as_upright_rgb(tmp_path: Path) -> None:
    kinds = {
        "grey.png": Image.fromarray(RAMP),
        "palette.png": Image.fromarray(RAMP).convert("P"),
        "sixteen.png": Image.fromarray(RAMP.astype(np.uint16) * 257),
        "float.tif": Image.fromarray(RAMP.astype(np.float32) / 255),
        "alpha.png": Image.fromarray(GREY).convert("RGBA"),
        "grey_alpha.png": Image.fromarray(RAMP).convert("LA"),
        "cmyk.tif": Image.fromarray(GREY).convert("CMYK"),
        "plain.bmp": Image.fromarray(GREY),
        "mislabelled.jpg": Image.fromarray(GREY),  # a PNG
    }
    for name, image in kinds.items():
        image.save(tmp_path / name, format="PNG" if name == "mislabelled.jpg" else None)
    Image.fromarray(GREY).save(tmp_path / "web.webp", lossless=True)
    rows = b"".join(b"\0" + (row.astype(">u2") * 257).tobytes() for row in GREY)
    (tmp_path / "sixteen_rgb.png").write_bytes(png(4, 3, 16, 2, rows))
    (tmp_path / "sixteen_rgb.tif").write_bytes(_tiff_of_16_bits(GREY.astype(np.uint16) * 257))
    for path in sorted(tmp_path.iterdir()):
        image, scale = read_photograph(path)
        assert (image.mode, scale) == ("RGB", 1.0), path.name
        np.testing.assert_allclose(np.asarray(image).astype(int), GREY, atol=1, err_msg=path.name)
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "red.jpg")
    red = np.asarray(read_photograph(tmp_path / "red.jpg")[0]).astype(int)
    assert red[..., 0].min() > 180
    assert red[..., 1:].max() < 80
    Image.new("RGBA", (2, 2), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (np.asarray(read_photograph(tmp_path / "clear.png")[0]) == 255).all()


@pytest.mark.parametrize(("orientation", "turn"), [(3, 2), (6, -1), (8, 1)])
def test_exif_rotation(tmp_path: Path, orientation: int, turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(GREY).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(np.asarray(read_photograph(tmp_path / "turned.png")[0]), np.rot90(GREY, turn))


def test_colour_profiles_are_applied_and_damaged_ones_passed_over(tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 4), (200, 100, 50))
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, profile in {"same.png": lab, "broken.png": b"not a profile"}.items():
        image.save(tmp_path / name, icc_profile=profile)
        assert read_photograph(tmp_path / name)[0].getpixel((1, 1)) == (200, 100, 50)


def test_large_files(tmp_path: Path) -> None:
    """A JPEG is decoded smaller; another file beyond the limit is refused by its header alone."""
    x, _ = np.meshgrid(np.arange(400), np.arange(600))
    Image.fromarray((x / 2).astype(np.uint8)).save(tmp_path / "wide.jpg")
    image, scale = read_photograph(tmp_path / "wide.jpg", max_pixels=100_000)
    assert (image.size, scale) == ((200, 300), 0.5)
    np.testing.assert_allclose(np.asarray(image)[10, :, 0], np.arange(200) + 0.25, atol=2)
    (tmp_path / "huge.png").write_bytes(png(20_000, 20_000, 8, 0, b"\0" * 100))
    with pytest.raises(ValueError, match=r"20000×20000 pixels; expected 180 million at most \(--max_megapixels\)"):
        read_photograph(tmp_path / "huge.png")
    with pytest.raises(ValueError, match=r"400×600 pixels; expected 0\.001 million"):
        read_photograph(tmp_path / "wide.jpg", max_pixels=1000)


def test_damaged_files(tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8))
    for suffix in ("png", "jpg", "webp", "tif", "gif", "bmp"):
        path = tmp_path / f"whole.{suffix}"
        noise.save(path)
        read_photograph(path)
        content = path.read_bytes()
        cut = tmp_path / f"cut.{suffix}"
        for part in (len(content) // 2, 20, 1, 0):
            cut.write_bytes(content[:part])
            with pytest.raises(ValueError, match="not a readable image") as error:
                read_photograph(cut)
            assert "\n" not in str(error.value)
        (tmp_path / f"text.{suffix}").write_text("a text\n" * 50)
        with pytest.raises(ValueError, match="not a readable image"):
            read_photograph(tmp_path / f"text.{suffix}")
    with pytest.raises(FileNotFoundError):
        read_photograph(tmp_path / "nowhere.png")


def _touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def test_names_are_relative_paths_in_any_script(tmp_path: Path) -> None:
    names = (
        "b/face.jpg",
        "a/face.jpg",
        "顔/写真 1.PNG",
        "Фото/лицо.webp",
        "وجه.jpeg",
        "a/.hidden.jpg",
        "a/notes.txt",
        "x",
    )
    _touch(tmp_path, *names, "out/aligned/face.png")
    search = find_photographs(tmp_path, leave_out=tmp_path / "out")
    assert [p.name for p in search.photographs] == sorted(["a/face", "b/face", "顔/写真 1", "Фото/лицо", "وجه"])
    assert search.others == {".txt": 1, "no suffix": 1}


def test_names_that_would_meet_keep_their_suffix(tmp_path: Path) -> None:
    _touch(tmp_path, "face.jpg", "face.png", "Other.jpg", "other.PNG", "crowd@2.jpg", "face.png.jpg")
    names = [p.name for p in find_photographs(tmp_path).photographs]
    assert names == sorted(["face.jpg", "face.png", "Other.jpg", "other.PNG", "crowd@2.jpg", "face.png_"])
    assert [other_face("crowd", k) for k in (1, 2)] == ["crowd", "crowd@2"]


def test_landmarks_are_found_under_the_same_relative_path(tmp_path: Path) -> None:
    _touch(tmp_path / "i", "a/face.jpg", "b/face.jpg", "twin.jpg", "twin.png")
    _touch(tmp_path / "l", "a/face.txt", "twin.png.txt", "twin.txt")
    found = {p.name: p.landmarks for p in find_photographs(tmp_path / "i", tmp_path / "l").photographs}
    assert found == {
        "a/face": tmp_path / "l/a/face.txt",
        "b/face": None,
        "twin.jpg": None,
        "twin.png": tmp_path / "l/twin.png.txt",
    }


def test_circles_of_links_end(tmp_path: Path) -> None:
    _touch(tmp_path, "a/face.jpg")
    (tmp_path / "a" / "again").symlink_to(tmp_path, target_is_directory=True)
    assert [p.name for p in find_photographs(tmp_path).photographs] == ["a/face"]
