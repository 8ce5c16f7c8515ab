"""Prints how far perception networks trained on synthetic images go on photographs of real faces.

    python -m benchmarks.real_faces --photos DIR --face_model builtin ict.npz --out runs/real_faces
    python -m benchmarks.real_faces --photos DIR --perception runs/perception --out runs/real_faces

DIR holds photographs, and DIR/detections (or --lm_path) five landmarks of each, NAME.txt, as preprocess_data.py takes
them. The first command makes `--count` synthetic images of every face model, trains the reconstruction and parsing
networks on each for `--steps` steps, whatever the time, and compares them; run again, it goes on where it stopped.
The second one measures folders of train_perception.py as they are.

Every photograph is measured twice, the second time flipped horizontally, so that no constant guess of a side is right
more often than not. It is aligned by its given landmarks, as preprocess_data.py does without networks: a rigid fit of
the mean face of the folder's face model gives place and size; the photograph is not turned. Then:

- landmark error: the 68 landmarks of the predicted coefficients, in pixels of the aligned image, become five (an eye is
  the middle of its corners 36 and 39, or 42 and 45; nose tip 30; mouth 48 and 54). Their distances to the given ones,
  mapped into the aligned image, are divided by the distance of the given eyes there. The given landmarks have set place
  and size of the face already, so the row of the constant mean face, looking ahead, says what that alone is worth.
- yaw: the truth is the yaw of a rigid fit of the built-in mean face to the given landmarks, for all rows. The sign is
  counted where the truth is 5° or more.
- landmarks on skin: share of the given landmarks where the parsing network says skin.

OUT/NAME.png shows each aligned photograph twice: with the masks (hair pink, skin yellow, background blue), to count
those that are right by eye; and with the predicted 68 landmarks (green) and the given five (red).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m benchmarks.real_faces", "the same command goes on from here")

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from benchmarks.real_faces_sheet import draw_sheet
from datasets.alignment import align, five_landmarks, generator_box, read_landmarks, reconstruction_box
from datasets.photographs.files import find_photographs
from datasets.photographs.placement import FaceLandmarks, Placement, fit_pose
from datasets.photographs.reading import read_photograph
from discoface_tf2.perception.parsing import CLASSES, Parsing
from discoface_tf2.perception.perception import MANIFEST, Perception, load_weights
from discoface_tf2.perception.reconstruction import Reconstruction
from renderer import FaceModel, FaceRenderer, load_face_model
from renderer.camera import Camera
from renderer.files import save_png
from renderer.makehuman.population import is_makehuman

LEAST_YAW = 5.0  # degrees below which the sign is not counted
_SHOWN = 160  # pixels of a photograph on the sheet
_NO_CLOCK = "600"  # minutes that no training takes: its steps decide
_POINTS = {"eyes": (0, 1), "nose": (2,), "mouth": (3, 4)}
Network = Callable[[tf.Tensor], tf.Tensor]


@dataclass(frozen=True, eq=False)
class Photo:
    """A photograph of a face. landmarks: [5, 2] pixels, y down, in the order of `datasets.alignment`."""

    name: str
    image: Image.Image
    landmarks: np.ndarray


@dataclass(frozen=True, eq=False)
class Measured:
    """What networks, or a guess without networks, say about N photographs; pixels are of the aligned image, y down."""

    errors: np.ndarray  # [N, 5] distances to the given landmarks, % of their eye distance
    yaw: np.ndarray  # [N] degrees
    landmarks: np.ndarray  # [N, 68, 2]
    masks: np.ndarray | None = None  # [N, S, S] numbers of CLASSES
    on_skin: np.ndarray | None = None  # [N, 5] bool: the given landmarks


def read_photos(folder: Path, landmarks: Path) -> list[Photo]:
    """The photographs of `folder` that have landmarks. Raises FileNotFoundError or ValueError with one line."""
    photos = []
    for found in find_photographs(folder, landmarks, leave_out=landmarks).photographs:
        if found.landmarks is not None:
            image, scale = read_photograph(found.path)
            photos.append(Photo(found.name, image, read_landmarks(found.landmarks) * scale))
    if not photos:
        raise ValueError(f"{folder}: no photograph has landmarks in {landmarks}; expected NAME.txt with 5 lines 'x y'")
    return photos


def flipped(photo: Photo) -> Photo:
    """The photograph flipped horizontally; what was on the left is on the right."""
    landmarks = photo.landmarks[[1, 0, 2, 4, 3]] * (-1, 1) + (photo.image.width, 0)
    return Photo(photo.name, ImageOps.mirror(photo.image), landmarks)


class Aligner:
    """Photographs → the generator's framing, by their landmarks and the mean face of a face model."""

    def __init__(self, model: FaceModel):
        self._mean = FaceLandmarks(model).five()  # [5, 3]

    def place(self, photo: Photo) -> Placement:
        """Pose and place of the mean face before the reconstruction camera. Raises ValueError when nothing fits."""
        size = Camera.reconstruction().image_size
        seen = reconstruction_box(photo.landmarks, self._mean).to_frame(photo.landmarks, size)
        return fit_pose(seen * (1, -1) + (0, size), self._mean)

    def __call__(self, photo: Photo, size: int) -> tuple[np.ndarray, np.ndarray]:
        """The aligned image [size, size, 3] uint8, and the given landmarks [5, 2] in it."""
        box = generator_box(reconstruction_box(photo.landmarks, self._mean), self.place(photo).translation)
        return align(photo.image, box, size), box.to_frame(photo.landmarks, size)


def measure(model: FaceModel, coefficients: np.ndarray, given: np.ndarray, size: int) -> Measured:
    """Coefficients [N, layout.size] against given landmarks [N, 5, 2], both of aligned images of `size` pixels."""
    points = FaceRenderer(model, size).landmarks(tf.constant(coefficients, tf.float32)).numpy()  # [N, 68, 2], y up
    points = points * (1, -1) + (0, size)
    eyes = np.linalg.norm(given[:, 1] - given[:, 0], axis=-1)[:, None]  # [N, 1]
    errors = 100 * np.linalg.norm(five_landmarks(points) - given, axis=-1) / eyes
    yaw = np.degrees(model.layout.split(coefficients)["angles"][:, 1].astype(np.float64))
    return Measured(errors, yaw, points)


def measure_networks(
    model: FaceModel, reconstruction: Network, parsing: Network, images: np.ndarray, given: np.ndarray
) -> Measured:
    """As `measure`, for what the networks say about aligned images [N, S, S, 3] uint8."""
    batch, size = tf.constant(images, tf.float32) / 127.5 - 1, images.shape[1]
    found = measure(model, reconstruction(batch).numpy(), given, size)
    masks = np.argmax(parsing(batch).numpy(), -1)  # [N, S, S]
    x, y = np.moveaxis(given.astype(int).clip(0, size - 1), -1, 0)  # [N, 5] each
    on_skin = masks[np.arange(len(masks))[:, None], y, x] == CLASSES.index("skin")
    return Measured(found.errors, found.yaw, found.landmarks, masks, on_skin)


def row(title: str, found: Measured, yaw: np.ndarray) -> str:
    """A line of the table; yaw [N] is the true one, degrees."""
    each = found.errors.mean(1)
    cells = [title, f"{each.mean():.1f}", f"{np.median(each):.1f}"]
    cells += [f"{found.errors[:, list(points)].mean():.1f}" for points in _POINTS.values()]
    turned = np.abs(yaw) >= LEAST_YAW
    if found.yaw.any():
        cells += [f"{(np.sign(found.yaw) == np.sign(yaw))[turned].sum()} of {turned.sum()}"]
        cells += [f"{np.abs(found.yaw - yaw).mean():.1f}°"]
    else:  # a constant has no sign
        cells += ["–", f"{np.abs(yaw).mean():.1f}°"]
    cells += ["–" if found.on_skin is None else f"{found.on_skin.mean():.0%}"]
    return f"| {' | '.join(cells)} |"


def compare(photos: Sequence[Photo], cases: Sequence[tuple[str, Path, str]], out: Path, image_size: int) -> None:
    """Prints the table and writes the sheets of cases (title, perception folder, face model)."""
    reference, shown = Aligner(load_face_model("builtin")), len(photos)
    photos = [*photos, *map(flipped, photos)]
    yaw = np.degrees([reference.place(photo).angles[1] for photo in photos])
    turned = f"{(np.abs(yaw) >= LEAST_YAW).sum()} of {len(photos)}"
    print(f"{shown} photographs and their horizontal flips: {turned} are turned {LEAST_YAW:g}° or more\n")
    print("| | landmark error, % of eye distance: mean | median | eyes | nose tip | mouth corners | yaw's sign right "
          "| yaw, mean difference | landmarks on skin |\n|---|---|---|---|---|---|---|---|---|")  # fmt: skip
    for title, folder, source in cases:
        model = load_face_model(source)
        reconstruction, parsing, size = load_networks(folder, model, image_size)
        aligner = Aligner(model)
        images, given = (np.stack(arrays) for arrays in zip(*(aligner(photo, size) for photo in photos), strict=True))
        found = measure_networks(model, reconstruction, parsing, images, given)
        print(row(title, found, yaw))
        constant = measure(model, np.zeros((len(photos), model.layout.size), np.float32), given, size)
        print(row(f"{title}: its mean face, looking ahead", constant, yaw), flush=True)
        assert found.masks is not None
        errors = found.errors.mean(1)
        names = [f"{photo.name} {error:.0f} %" for photo, error in zip(photos[:shown], errors, strict=False)]
        large = np.stack([aligner(photo, _SHOWN)[0] for photo in photos[:shown]])
        points, truth = (values[:shown] * (_SHOWN / size) for values in (found.landmarks, given))
        sheet = draw_sheet(large, found.masks[:shown], points, truth, names)
        save_png(sheet, out / f"{title.strip('/').replace('/', '-')}.png")
    print(f"\nmasks and landmarks: {out}")


def load_networks(folder: Path, model: FaceModel, image_size: int) -> tuple[Network, Network, int]:
    """Reconstruction, parsing and the pixels of the former's input.

    A folder of which the identity network is not trained serves too, with networks of `image_size` pixels.
    Raises FileNotFoundError or ValueError with one line.
    """
    if (folder / MANIFEST).is_file():
        perception = Perception.load(folder)
        perception.require_layout(model.layout, folder)
        return perception.reconstruction, perception.parsing, perception.reconstruction.image_size
    networks = Reconstruction(model.layout, image_size), Parsing(image_size)
    for network in networks:
        load_weights(network, folder)
    return *networks, image_size


def train(face_model: str, folder: Path, args: argparse.Namespace) -> Path:
    """Makes the images of a face model and trains the networks on them, as far as they are not there yet."""
    images, perception = folder / "images", folder / "perception"
    make = ["-m", "datasets.make_synthetic", "--count", str(args.count), "--image_size", str(args.image_size)]
    learn = ["train_perception.py", "--data", str(images), "--preset", "quick", "--steps", str(args.steps)]
    learn += ["--minutes", _NO_CLOCK, "--networks", "reconstruction,parsing"]
    if args.assets and is_makehuman(load_face_model(face_model)):
        make += ["--assets", str(args.assets)]
    for command, out in ((make, images), (learn, perception)):
        more = ["--out", str(out), "--seed", str(args.seed), "--face_model", face_model]
        subprocess.run([sys.executable, *command, *more], check=True)
    return perception


def main(argv: Sequence[str] | None = None) -> None:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.real_faces",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--photos", required=True, type=Path, help="folder of photographs")
    parser.add_argument("--lm_path", type=Path, help="folder of their landmarks (default: detections in --photos)")
    parser.add_argument("--out", required=True, type=Path, help="folder for sheets, and for what is trained")
    parser.add_argument(
        "--face_model", "--face-model", nargs="+", default=["builtin"],
        help="'builtin' or a .npz, one for each --perception or one for all (default: builtin)",
    )  # fmt: skip
    parser.add_argument("--perception", nargs="+", type=Path, help="trained folders; without, they are trained")
    parser.add_argument("--assets", type=Path, help="MakeHuman's parts, for its face models (see make_synthetic)")
    parser.add_argument("--count", type=int, default=10_000, help="synthetic images to train on (default: 10000)")
    parser.add_argument("--image_size", type=int, default=64, help="pixels of images and networks (default: 64)")
    parser.add_argument("--steps", type=int, default=3000, help="training steps of each network (default: 3000)")
    parser.add_argument("--seed", type=int, default=0, help="of images and training (default: 0)")
    args = parser.parse_args(argv)
    models = args.face_model
    if args.perception and len(models) == 1:
        models = models * len(args.perception)
    if args.perception and len(models) != len(args.perception):
        parser.error(f"--face_model: expected one, or one for each --perception. Received: {len(models)}")
    if min(args.count, args.steps) < 1 or args.image_size < 16:
        parser.error("--count and --steps should be 1 or more, --image_size 16 or more")
    photos = read_photos(args.photos, args.lm_path or args.photos / "detections")
    if args.perception:
        cases = [(str(folder), folder, model) for folder, model in zip(args.perception, models, strict=True)]
    else:
        for model in models:
            load_face_model(model)  # a wrong name ends it before anything is made
        titles = [Path(model).stem for model in models]
        if len(set(titles)) != len(titles):
            parser.error(f"--face_model: expected files of different names. Received: {' '.join(models)}")
        cases = [
            (title, train(model, args.out / title, args), model) for title, model in zip(titles, models, strict=True)
        ]
    compare(photos, cases, args.out, args.image_size)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:  # it has said why itself
        sys.exit(f"benchmarks.real_faces: error: a step failed: {' '.join(map(str, error.cmd[1:]))}")
