"""An edited frame back into the photograph that it was cut from."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from datasets.alignment import FrameBox

_GROW, _BLUR, _RIM = 0.02, 0.015, 0.08  # of the frame's side


def paste(photograph: Image.Image, box: FrameBox, edited: np.ndarray, person: np.ndarray) -> Image.Image:
    """The photograph with the frame `edited` uint8 [R, R, 3] in `box`, where `person` [R, R] bool is, softly.

    `person` is where skin or hair is before the edit or after; it is grown a little and blurred, and fades out toward
    the rim of the frame.
    """
    side = max(2, round(box.side))
    left, top = round(box.left), round(box.top)
    size = len(edited)
    soft = ndimage.binary_dilation(person, iterations=max(1, round(_GROW * size))).astype(np.float32)
    soft = ndimage.gaussian_filter(soft, max(0.7, _BLUR * size))
    from_rim = np.minimum(np.arange(size), np.arange(size)[::-1]) / (_RIM * size)
    soft *= np.clip(np.minimum(from_rim[:, None], from_rim[None]), 0, 1)
    frame = Image.fromarray(edited).resize((side, side), Image.Resampling.BICUBIC)
    mask = Image.fromarray((soft * 255 + 0.5).astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    result = photograph.copy()
    result.paste(frame, (left, top), mask)
    return result
