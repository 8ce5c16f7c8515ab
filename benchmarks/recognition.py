"""Are generated people of use to train face recognition? A small ArcFace recogniser per training set, tested on pairs.

    python generate_images.py --model runs/stage2 --subject 500 --variation 4 --truncation 1 --out runs/people
    python -m benchmarks.recognition --train runs/people runs/photographs --test runs/heldout

Training sets: a folder of generate_images.py, a dataset with subjects (TFRecords), or a folder with a folder of images
per person. The images that the generator was trained on are the upper bound of what it can teach. Of each set as many
people and images per person are taken as the smallest has, so that only the images differ. Test sets: a dataset with
subjects (pairs are sampled from --seed), a folder with a pairs.txt as LFW has, or a .bin of insightface. Prints, per
test set and training set, the accuracy as LFW defines it: the threshold is the best on nine tenths of the pairs, the
accuracy that on the other tenth, mean ± standard deviation over the ten. Run it with -m, from a checkout.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m benchmarks.recognition")

import io

import numpy as np
import tensorflow as tf
from PIL import Image

from datasets.reader import load_dataset
from datasets.schema import MANIFEST
from discoface_tf2.metrics.control import roc_auc
from discoface_tf2.perception.identity import Identity
from discoface_tf2.perception.training import augment
from discoface_tf2.perception.training.optimise import Budget, fit
from renderer.options import SEED
from renderer.unpickling import Array, RefusedError, load_pickle, numpy_names

FOLDS = 10
SUFFIXES = (".png", ".jpg", ".jpeg")
People = dict[str, list[np.ndarray]]  # by subject: images [S, S, 3] uint8


class Pairs(NamedTuple):
    """Two images each, and whether they show one person."""

    first: np.ndarray  # [N, S, S, 3] uint8
    second: np.ndarray
    same: np.ndarray  # [N] bool


def read_image(source: Path | bytes, size: int) -> np.ndarray:
    """[size, size, 3] uint8, resized by area. Raises ValueError with one line for what is no image."""
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            rgb = image.convert("RGB")
            return np.asarray(rgb.resize((size, size), Image.Resampling.BOX if rgb.width > size else None))
    except OSError as error:
        name = "an image" if isinstance(source, bytes) else str(source)
        raise ValueError(f"{name}: not an image that can be read ({' '.join(str(error).split())})") from None


def people_of(path: Path, size: int) -> People:
    """The images of a training or test set by subject. Raises FileNotFoundError or ValueError with one line."""
    found: People = defaultdict(list)
    if (path / "coefficients.jsonl").is_file():  # of generate_images.py
        for line in (path / "coefficients.jsonl").read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            found[str(record["subject"])].append(read_image(path / record["file"], size))
    elif (path / MANIFEST).is_file() or not path.is_dir():
        dataset = load_dataset(path, image_size=size, batch_size=100, shuffle=False, repeat=False,
                               drop_remainder=False, fields=("image", "subject"))  # fmt: skip
        for batch in dataset.as_numpy_iterator():
            for image, subject in zip(batch["image"], batch["subject"], strict=True):
                if subject >= 0:  # -1: nobody knows who it is
                    found[str(subject)].append(image)
    else:
        for folder in sorted(child for child in path.iterdir() if child.is_dir()):
            for file in sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES):
                found[folder.name].append(read_image(file, size))
    people = {name: images for name, images in found.items() if len(images) > 1}
    if len(people) < 2:
        raise ValueError(f"{path}: expected several people with several images each. Received: {len(people)}")
    return people


def sample_pairs(people: People, count: int, seed: int) -> Pairs:
    """Pairs of one person and of two, in turn: `count` in all, none between an image and itself."""
    rng, names = np.random.default_rng(seed), sorted(people)
    first, second = [], []
    for k in range(count):
        a, b = (people[names[n]] for n in rng.permutation(len(names))[:2])
        i, j = rng.permutation(len(a))[:2]
        first.append(a[i])
        second.append(b[rng.integers(len(b))] if k % 2 else a[j])
    return Pairs(np.stack(first), np.stack(second), np.arange(count) % 2 == 0)


def pairs_of(path: Path, size: int, count: int, seed: int) -> Pairs:
    """The pairs of a test set; see the module. Raises FileNotFoundError or ValueError with one line."""
    if path.suffix == ".bin":
        return _insightface(path, size)
    if (path / "pairs.txt").is_file():
        return _lfw(path, size)
    return sample_pairs(people_of(path, size), count, seed)


def _lfw(path: Path, size: int) -> Pairs:
    """`name i j` for one person, `name i name j` for two, after a line with the number of pairs."""

    def image(name: str, number: str) -> np.ndarray:
        files = (path / name / f"{name}_{int(number):04d}{suffix}" for suffix in SUFFIXES)
        found = next((file for file in files if file.is_file()), None)
        if found is None:
            raise FileNotFoundError(f"{path / name}: expected the image {name}_{int(number):04d}, as pairs.txt says")
        return read_image(found, size)

    rows = [line.split() for line in (path / "pairs.txt").read_text(encoding="utf-8").splitlines() if line.strip()]
    rows = [row for row in rows if len(row) > 2]
    if not rows or any(len(row) > 4 for row in rows):
        raise ValueError(f"{path / 'pairs.txt'}: expected lines of 'name i j' or 'name i name j', as LFW has")
    first = [image(row[0], row[1]) for row in rows]
    second = [image(row[-2] if len(row) == 4 else row[0], row[-1]) for row in rows]
    return Pairs(np.stack(first), np.stack(second), np.array([len(row) == 3 for row in rows]))


def _insightface(path: Path, size: int) -> Pairs:
    """A pickle of ([2 N image files], [N bools]), read without running anything that it names."""
    # as latin1, Python 2's strings keep their bytes
    content = load_pickle(path, numpy_names(path.stat().st_size), encoding="latin1")
    if not isinstance(content, (tuple, list)) or len(content) != 2 or len(content[0]) != 2 * len(content[1]):
        raise RefusedError(f"{path}: expected two lists, of 2 N image files and of N bools")

    def encoded(item: object) -> bytes:
        if isinstance(item, Array) and item.value is not None:
            return item.value.tobytes()
        return item.encode("latin1") if isinstance(item, str) else bytes(item) if isinstance(item, bytes) else b""

    try:
        images = np.stack([read_image(encoded(item), size) for item in content[0]])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    same = np.array([bool(item.value if isinstance(item, Array) else item) for item in content[1]])
    return Pairs(images[::2], images[1::2], same)


class ArcFaceObjective:
    """ArcFace (Deng et al., 2019): cross-entropy of s · cos(θ + m) for the own class, s · cos θ for the others.

    Images [N, S, S, 3] uint8 of classes [N]; they are flipped, moved by a pixel, recoloured and degraded.
    """

    def __init__(self, images: np.ndarray, classes: np.ndarray, margin: float, scale: float, batch_size: int) -> None:
        self.images, self.classes = tf.constant(images), tf.constant(classes, tf.int32)
        self.margin, self.scale, self.batch_size = margin, scale, batch_size
        self.network = Identity(images.shape[1])
        size = [self.network.embedding, int(classes.max()) + 1]
        self.centres = tf.keras.Variable(tf.keras.initializers.GlorotUniform()(size), name="centres")
        self.variables = [*self.network.trainable_variables, self.centres]

    def __call__(self, seed: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """The loss of one batch, and its term `arcface`."""
        seeds = augment.split_seed(seed, 5)
        rows = tf.random.stateless_uniform([self.batch_size], seeds[0], 0, len(self.images), tf.int32)
        images = tf.cast(tf.gather(self.images, rows), tf.float32) / 127.5 - 1.0
        images = tf.where(augment.uniform(seeds[1], self.batch_size) < 0.5, images[:, :, ::-1], images)
        images = augment.jitter_colours(augment.shift(images, seeds[2], 1), seeds[3])
        embedding = self.network(augment.degrade(images, seeds[4]))
        loss = arcface(embedding, self.centres.value, tf.gather(self.classes, rows), self.margin, self.scale)
        return loss, {"arcface": loss}


def arcface(embedding: tf.Tensor, centres: tf.Tensor, classes: tf.Tensor, margin: float, scale: float) -> tf.Tensor:
    """The loss of unit vectors [B, D] of classes [B]; centres [D, C] of any length."""
    cosine = tf.matmul(embedding, tf.math.l2_normalize(centres, axis=0))
    angle = tf.acos(tf.clip_by_value(cosine, -1 + 1e-6, 1 - 1e-6))
    own = tf.one_hot(classes, centres.shape[1])
    # beyond π the cosine would rise again
    logits = scale * tf.cos(tf.minimum(angle + margin * own, np.pi))
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(own, logits))


def accuracy(cosine: np.ndarray, same: np.ndarray) -> np.ndarray:
    """Accuracy [10] on each tenth of the pairs, in their order, by the threshold that is best on the others."""
    found = []
    for fold in np.array_split(np.arange(len(same)), FOLDS):
        others = np.setdiff1d(np.arange(len(same)), fold)
        values = np.unique(cosine[others])
        candidates = np.append((values[1:] + values[:-1]) / 2, values[:1])
        right = [np.mean((cosine[others] >= threshold) == same[others]) for threshold in candidates]
        found.append(np.mean((cosine[fold] >= candidates[np.argmax(right)]) == same[fold]))
    return np.array(found)


def cosines(network: Identity, pairs: Pairs) -> np.ndarray:
    """Of the two embeddings of each pair, [N]; an embedding is the mean of the image's and its mirror image's."""
    look = tf.function(lambda x: network(x) + network(x[:, :, ::-1]), reduce_retracing=True)

    def embed(images: np.ndarray) -> np.ndarray:
        starts = range(0, len(images), 100)
        found = np.concatenate([look(tf.constant(images[k : k + 100] / 127.5 - 1.0, tf.float32)) for k in starts])
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    return np.sum(embed(pairs.first) * embed(pairs.second), 1)


def equal_sets(sets: Iterable[People]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Images and classes of each set, of as many people with as many images each as all of them have."""
    sets = list(sets)
    each = min(int(np.median([len(images) for images in people.values()])) for people in sets)
    enough = [[images[:each] for images in people.values() if len(images) >= each] for people in sets]
    count = min(map(len, enough))
    return [(np.concatenate(people[:count]), np.repeat(np.arange(count), each)) for people in enough]


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, nargs="+", required=True, help="training sets; a recogniser of each")
    parser.add_argument("--test", type=Path, nargs="+", required=True, help="test sets")
    parser.add_argument("--image_size", type=int, default=64, help="pixels; default 64")
    parser.add_argument("--steps", type=int, default=2000, help="of training; default 2000")
    parser.add_argument("--batch_size", type=int, default=64, help="default 64")
    parser.add_argument("--margin", type=float, default=0.5, help="m, radians; default 0.5, the paper's")
    parser.add_argument("--scale", type=float, default=64.0, help="s; default 64, the paper's")
    parser.add_argument("--pairs", type=int, default=2000, help="of a test set without pairs of its own; default 2000")
    parser.add_argument("--seed", type=SEED, default=0, help="default 0")
    args = parser.parse_args(argv)
    if args.image_size < 16 or args.image_size % 8 or min(args.steps, args.batch_size) < 1 or args.pairs < 2 * FOLDS:
        parser.error(f"--image_size should be a multiple of 8 from 16, --pairs {2 * FOLDS} or more, the rest positive")
    tests = {path: pairs_of(path, args.image_size, args.pairs, args.seed) for path in args.test}
    sets = equal_sets(people_of(path, args.image_size) for path in args.train)
    people, each = len(np.unique(sets[0][1])), int(np.sum(sets[0][1] == 0))
    print(f"{people} people × {each} images, {args.steps} steps of {args.batch_size}, seed {args.seed}", flush=True)
    for path, (images, classes) in zip(args.train, sets, strict=True):
        tf.keras.utils.set_random_seed(args.seed)
        objective = ArcFaceObjective(images, classes, args.margin, args.scale, args.batch_size)
        fit(objective, Budget(args.steps, args.batch_size), args.seed, name=path.name)
        for test, pairs in tests.items():
            cosine = cosines(objective.network, pairs)
            folds, auc = accuracy(cosine, pairs.same), roc_auc(cosine[pairs.same], cosine[~pairs.same])
            figures = f"accuracy {100 * folds.mean():.1f} ± {100 * folds.std():.1f} %, ROC AUC {auc:.3f}"
            print(f"trained on {path}, tested on {test}: {figures}, {len(cosine)} pairs", flush=True)


if __name__ == "__main__":
    main()
