"""What the scene renderer is given: the meshes that all images share, and the scenes of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

HEAD, EYE, EYE_PART, HAIR, GLASSES, BODY = range(6)  # kinds of solid surfaces
HAIR_SHEET, BROW_SHEET, LASH_SHEET = range(3)  # kinds of sheets


@dataclass(frozen=True, eq=False)
class Sheets:
    """Textured sheets with alpha. Triangles do not share vertices, so those of other hair take the same places."""

    counts: tuple[int, int, int]  # triangles of hair, brows and lashes; who has fewer has some without area
    pictures: np.ndarray  # [M, H, W, 2] float32: brightness (1 on average) and alpha (0-1)

    @property
    def vertices(self) -> int:
        """Number of vertices, three per triangle."""
        return 3 * sum(self.counts)


@dataclass(frozen=True, eq=False)
class EyePart:
    """Eyeballs with a picture of the iris, in place of the face model's own."""

    triangles: np.ndarray  # [F, 3] int32
    uv: np.ndarray  # [N, 2] float32


class Lit(NamedTuple):
    """Lamps of a batch; see `lamps.Lamps`."""

    ambient: np.ndarray  # [B, 3]
    slope: np.ndarray  # [B]
    directions: np.ndarray  # [B, MAXIMUM, 3]
    colours: np.ndarray  # [B, MAXIMUM, 3]


class Scene(NamedTuple):
    """A batch of B scenes of V head, N hair, G glasses, M body, K stand-in, E eye and T sheet vertices."""

    coefficients: np.ndarray  # [B, size]
    shape: np.ndarray  # [B, V, 3] unposed head
    light: Lit
    detail: np.ndarray  # [B, V, 3] factors of the albedo
    beard: np.ndarray  # [B, V] 0-1
    roots: np.ndarray  # [B, V] 0-1: skin hidden by the roots of the hair
    atlas: np.ndarray  # [B, A, A, 3] uint8 albedo over uv, RGB 0-255; A = 1 where the model has colours at vertices
    hair: np.ndarray  # [B, N, 3] unposed
    hair_normals: np.ndarray  # [B, N, 3] unposed
    hair_tangents: np.ndarray  # [B, N, 3] unposed
    hair_occlusion: np.ndarray  # [B, N]
    colours: np.ndarray  # [B, 2, 3] of hair and beard, RGB 0-255
    look: np.ndarray  # [B, 5] strand contrast, gloss, curliness 0-1, and where in the strand texture (2)
    glasses: np.ndarray  # [B, G, 3] unposed
    glasses_colour: np.ndarray  # [B, 3] RGB 0-255
    body: np.ndarray  # [B, M, 3] posed
    body_normals: np.ndarray  # [B, M, 3] posed
    body_colours: np.ndarray  # [B, M, 3] RGB 0-255
    body_skin: np.ndarray  # [B, M] 0-1
    background: np.ndarray  # [B, S, S, 3] RGB 0-255
    stand_in: np.ndarray  # [B, K, 3] unposed: skull and neck of a model that is a bare face
    stand_in_colours: np.ndarray  # [B, K, 3] RGB 0-255
    stand_in_roots: np.ndarray  # [B, K] 0-1, as roots
    eyes: np.ndarray  # [B, E, 3] unposed
    eye_normals: np.ndarray  # [B, E, 3] unposed
    iris: np.ndarray  # [B, H, W, 3] RGB 0-255
    sheets: np.ndarray  # [B, T, 3] unposed
    sheet_values: np.ndarray  # [B, T, SHEET_VALUES], see there
    pictures: np.ndarray  # [B, 3] int32: which of the sheets' pictures hair, brows and lashes have
    sheet_colours: np.ndarray  # [B, 3, 2, 3] of each kind at roots and tips, RGB 0-255
    sheet_look: (
        np.ndarray
    )  # [B, 5] raggedness of cut edges (decimetres), gloss, contrast of strands, opacity of brows and lashes


# Unposed normal (3) and tangent (3), uv (2), how far inside a cut (decimetres, negative outside), occlusion 0-1, and
# 0 at the roots … 1 at the tips.
SHEET_VALUES = 11
