"""Labelled photographs in memory, and the several views of each that the networks are trained on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from discoface_tf2.perception.training import augment
from renderer.layout import CoefficientLayout

Draw = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # coefficients [B, size] → image 0-255, mask in {0, 1}


@dataclass(frozen=True, eq=False)
class Samples:
    """N photographs of S x S pixels with their labels, and renders that go with them.

    A *render* shows the photograph's identity under expression, pose and light of another photograph, so that it is a
    second, plain view of the same person. Raises ValueError when arrays do not fit each other.
    """

    layout: CoefficientLayout
    images: np.ndarray  # [N, S, S, 3] uint8
    masks: np.ndarray  # [N, S, S, 1] uint8: 0 background, 1 skin, 2 hair
    coefficients: np.ndarray  # [N, size] float32
    subjects: np.ndarray  # [N] int; photographs of one number show one person
    face_masks: np.ndarray | None = None  # [N, S, S, 1] uint8 in {0, 1}: where the renderer draws the photograph's face
    renders: np.ndarray | None = None  # [N, S, S, 3] uint8
    render_masks: np.ndarray | None = None  # [N, S, S, 1] uint8 in {0, 1}
    render_coefficients: np.ndarray | None = None  # [N, size] float32

    def __post_init__(self) -> None:
        count, size = self.images.shape[0], self.images.shape[1]
        expected = {
            "images": (count, size, size, 3),
            "masks": (count, size, size, 1),
            "coefficients": (count, self.layout.size),
            "subjects": (count,),
            "face_masks": (count, size, size, 1),
            "renders": (count, size, size, 3),
            "render_masks": (count, size, size, 1),
            "render_coefficients": (count, self.layout.size),
        }
        for key, shape in expected.items():
            value = getattr(self, key)
            if value is not None and value.shape != shape:
                raise ValueError(f"perception samples: {key} should have shape {shape}. Received: {value.shape}")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def size(self) -> int:
        """Pixels of a side."""
        return self.images.shape[1]

    def take(self, rows: np.ndarray) -> Samples:
        """The samples of the given rows (numbers or a mask)."""
        arrays = {key: value[rows] for key, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(self, **arrays)

    def split(self, share: float, seed: int) -> tuple[Samples, Samples]:
        """Training and held-out samples; about `share` of the *subjects*, at least two, are held out."""
        people = np.unique(self.subjects)
        if len(people) < 4:
            raise ValueError(f"perception: expected photographs of at least 4 subjects. Received: {len(people)}")
        held_out = np.random.default_rng([seed, 1]).permutation(people)[: max(2, round(share * len(people)))]
        chosen = np.isin(self.subjects, held_out)
        return self.take(~chosen), self.take(chosen)

    def with_renders(self, draw: Draw, seed: int, batch_size: int = 50) -> Samples:
        """The same samples with face masks, and with renders of each identity under another photograph's rest.

        `draw` takes coefficients [B, size] and returns images [B, S, S, 3] in 0-255 and masks [B, S, S, 1].
        """
        identity, count = self.layout.slice("identity"), len(self)
        mixed = self.coefficients[np.random.default_rng([seed, 2]).permutation(count)].copy()
        mixed[:, identity] = self.coefficients[:, identity]
        images = np.zeros_like(self.images)
        masks, face_masks = (np.zeros((count, self.size, self.size, 1), np.uint8) for _ in range(2))

        def work(start: int) -> None:
            # the last batch is filled up, so that `draw` sees one shape
            rows = np.minimum(np.arange(start, start + batch_size), count - 1)
            image, mask = draw(mixed[rows])
            images[rows], masks[rows] = np.clip(np.rint(image), 0, 255), mask
            face_masks[rows] = draw(self.coefficients[rows])[1]

        work(0)  # alone, so that `draw` is compiled once
        with ThreadPoolExecutor() as pool:  # a rasteriser keeps one core busy at a time
            for _ in tqdm(pool.map(work, range(0, count, batch_size)), desc="renders", unit="batch", mininterval=2):
                pass
        return replace(
            self,
            face_masks=face_masks,
            renders=images,
            render_masks=masks,
            render_coefficients=mixed.astype(np.float32),
        )


class Views:
    """Draws training views of samples inside `tf.function`.

    Args:
        samples: with renders.
        mirror: what flipping a picture does to λ [lambda_size, lambda_size] (see `mirror_matrix`); None: no flipping.
    """

    def __init__(self, samples: Samples, mirror: np.ndarray | None = None) -> None:
        if samples.renders is None or samples.render_coefficients is None:
            raise ValueError("perception views: expected samples with renders (Samples.with_renders)")
        self.layout, self.size = samples.layout, samples.size
        as_tensor = tf.constant
        self.images, self.masks = as_tensor(samples.images), as_tensor(samples.masks)
        self.face_masks, self.renders = as_tensor(samples.face_masks), as_tensor(samples.renders)
        self.render_masks = as_tensor(samples.render_masks)
        width = samples.layout.lambda_size
        self.codes = as_tensor(samples.coefficients[:, :width], tf.float32)
        self.render_codes = as_tensor(samples.render_coefficients[:, :width], tf.float32)
        self.mirror = None if mirror is None else as_tensor(mirror, tf.float32)
        # rows sorted by subject: subject k has rows order[start[k] : start[k] + counts[k]]
        _, counts = np.unique(samples.subjects, return_counts=True)
        self.order = as_tensor(np.argsort(samples.subjects, kind="stable"), tf.int32)
        self.counts = as_tensor(counts, tf.int32)
        self.starts = as_tensor(np.cumsum(counts) - counts, tf.int32)

    def rows(self, seed: tf.Tensor, batch: int) -> tf.Tensor:
        """Uniform rows [batch]."""
        return tf.random.stateless_uniform([batch], seed, 0, self.images.shape[0], tf.int32)

    def rows_of_people(self, seed: tf.Tensor, people: int, each: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Rows [people * each] and their subjects' numbers: `each` rows (with replacement) of random subjects."""
        who, which = augment.split_seed(seed, 2)
        subject = tf.random.stateless_uniform([people], who, 0, self.counts.shape[0], tf.int32)
        subject = tf.repeat(subject, each)
        offset = tf.random.stateless_uniform([people * each], which)
        count = tf.gather(self.counts, subject)
        offset = tf.minimum(tf.cast(offset * tf.cast(count, tf.float32), tf.int32), count - 1)
        return tf.gather(self.order, tf.gather(self.starts, subject) + offset), subject

    def faces(
        self, rows: tf.Tensor, seed: tf.Tensor, shares: tuple[float, float, float, float]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Views of the photographs `rows` [B] → images [B, S, S, 3] in [-1, 1] and their λ [B, lambda_size].

        `shares` of (photograph, person on another background, photograph where the renderer draws the face and black
        elsewhere, render), which sum to 1. Renders stand on black or on another background.
        """
        batch = rows.shape[0]
        seeds = augment.split_seed(seed, 3)
        kind = augment.uniform(seeds[0], batch)
        photo, render = to_float(tf.gather(self.images, rows)), to_float(tf.gather(self.renders, rows))
        person = tf.cast(tf.gather(self.masks, rows) > 0, tf.float32)
        face = tf.cast(tf.gather(self.face_masks, rows), tf.float32)
        drawn = tf.cast(tf.gather(self.render_masks, rows), tf.float32)
        other = augment.background(seeds[1], batch, self.size)
        ends = np.cumsum(shares)
        is_render = kind >= ends[2]
        image = tf.where(
            kind < ends[0],
            photo,
            tf.where(
                kind < ends[1],
                over(photo, other, person),
                tf.where(is_render, over(render, other, drawn), over(photo, -1.0, face)),
            ),
        )
        codes = tf.where(is_render[:, 0, 0], tf.gather(self.render_codes, rows), tf.gather(self.codes, rows))
        return self._flip(image, codes, seeds[2])

    def _flip(self, image: tf.Tensor, codes: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if self.mirror is None:
            return image, codes
        flip = augment.uniform(seed, image.shape[0]) < 0.5
        return tf.where(flip, image[:, :, ::-1], image), tf.where(flip[:, 0, 0], tf.matmul(codes, self.mirror), codes)

    def parts(self, rows: tf.Tensor, seed: tf.Tensor, swapped: float = 0.25) -> tuple[tf.Tensor, tf.Tensor]:
        """Photographs [B, S, S, 3] in [-1, 1] and their classes [B, S, S] int32, a share on another background.

        Flipped and moved by up to 4 pixels together with their classes.
        """
        batch = rows.shape[0]
        seeds = augment.split_seed(seed, 4)
        photo, classes = to_float(tf.gather(self.images, rows)), tf.gather(self.masks, rows)
        person = tf.cast(classes > 0, tf.float32)
        other = over(photo, augment.background(seeds[0], batch, self.size), person)
        image = tf.where(augment.uniform(seeds[1], batch) < swapped, other, photo)
        both = tf.concat([image, tf.cast(classes, tf.float32)], -1)
        both = tf.where(augment.uniform(seeds[2], batch) < 0.5, both[:, :, ::-1], both)
        both = augment.shift(both, seeds[3], 4)
        return both[..., :3], tf.cast(both[..., 3], tf.int32)


def to_float(images: tf.Tensor) -> tf.Tensor:
    """uint8 0-255 → float32 [-1, 1]."""
    return tf.cast(images, tf.float32) * (2.0 / 255.0) - 1.0


def over(front: tf.Tensor, back: tf.Tensor | float, mask: tf.Tensor) -> tf.Tensor:
    """`front` where the mask is 1, `back` where it is 0."""
    return back + mask * (front - back)
