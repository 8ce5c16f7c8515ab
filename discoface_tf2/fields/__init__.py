"""Radiance fields: rays of the renderer's cameras, samples along them, compositing, tri-planes, SIRENs, meshes.

Lengths are decimetres and axes those of `renderer`, so that a field and the mesh of the same coefficients overlay. The
papers' unit is the metre (their camera is 1 from the head, the renderer's 10 decimetres): `METRE` converts.
"""

from discoface_tf2.fields.chunks import in_chunks
from discoface_tf2.fields.compositing import Order, composite, last_back, opacity, ray_weights
from discoface_tf2.fields.depths import importance, ray_jitter, stratified
from discoface_tf2.fields.rays import METRE, Box, Rays, camera_rays, sphere_rotation
from discoface_tf2.fields.rendering import Field, Rendered, evaluate, render
from discoface_tf2.fields.siren import FilmMapping, FilmSiren
from discoface_tf2.fields.triplane import TriplaneDecoder, look_up

__all__ = [
    "METRE",
    "Box",
    "Field",
    "FilmMapping",
    "FilmSiren",
    "Order",
    "Rays",
    "Rendered",
    "TriplaneDecoder",
    "camera_rays",
    "composite",
    "evaluate",
    "importance",
    "in_chunks",
    "last_back",
    "look_up",
    "opacity",
    "ray_jitter",
    "ray_weights",
    "render",
    "sphere_rotation",
    "stratified",
]
