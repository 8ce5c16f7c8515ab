"""What a file's networks compute, from their definitions in plain numpy: slow, in float64, image by image.

It reads the file's own variables, in their own names and shapes (channels first), and shares nothing with the Keras
networks, so that an import can be checked without the framework that made the file.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Variables = Mapping[str, np.ndarray]
_SQRT_2 = np.sqrt(2.0)


def mapping(variables: Variables, inputs: np.ndarray, *, layers: int, lr_multiplier: float) -> np.ndarray:
    """λ and noise [B, I] → w [B, w_dim]."""
    x = inputs.astype(np.float64)
    for k in range(layers):
        weight, bias = variables[f"Dense{k}/weight"], variables[f"Dense{k}/bias"]
        x = _leaky(x @ _scaled(weight, _SQRT_2 * lr_multiplier) + bias * lr_multiplier)
    return x


def synthesis(variables: Variables, ws: np.ndarray, *, resolution: int, turned_from: int) -> np.ndarray:
    """Styles [B, num_ws, w_dim] → images [B, 3, R, R], with the stored noise."""
    x = np.repeat(variables["4x4/Const/const"].astype(np.float64), len(ws), axis=0)
    x = _finish(variables, "4x4/Const", x, ws[:, 0], 0)
    x = _conv(x, _scaled(variables["4x4/Conv/weight"], _SQRT_2))
    x = _finish(variables, "4x4/Conv", x, ws[:, 1], 1)
    size, layer = 8, 2
    while size <= resolution:
        name = f"{size}x{size}"
        weight = _scaled(variables[f"{name}/Conv0_up/weight"], _SQRT_2)
        x = _scatter_up(x, weight) if size >= turned_from else _conv(x.repeat(2, axis=2).repeat(2, axis=3), weight)
        x = _finish(variables, f"{name}/Conv0_up", _blur(x), ws[:, layer], layer)
        x = _conv(x, _scaled(variables[f"{name}/Conv1/weight"], _SQRT_2))
        x = _finish(variables, f"{name}/Conv1", x, ws[:, layer + 1], layer + 1)
        size, layer = 2 * size, layer + 2
    return _conv(x, _scaled(variables["ToRGB_lod0/weight"], 1.0)) + _channels(variables["ToRGB_lod0/bias"])


def discriminator(variables: Variables, images: np.ndarray, *, minibatch_std_group: int) -> np.ndarray:
    """Images [B, 3, R, R] → logits [B, 1]."""

    def layer(x: np.ndarray, name: str) -> np.ndarray:
        return _conv(x, _scaled(variables[f"{name}/weight"], _SQRT_2))

    def finish(x: np.ndarray, name: str) -> np.ndarray:
        return _leaky(x + _channels(variables[f"{name}/bias"]))

    x = finish(layer(images.astype(np.float64), "FromRGB_lod0"), "FromRGB_lod0")
    while (size := x.shape[2]) > 4:
        x = finish(layer(x, f"{size}x{size}/Conv0"), f"{size}x{size}/Conv0")
        x = layer(_blur(x), f"{size}x{size}/Conv1_down")
        x = x.reshape(*x.shape[:2], size // 2, 2, size // 2, 2).mean((3, 5))
        x = finish(x, f"{size}x{size}/Conv1_down")
    if minibatch_std_group > 1:
        group = min(minibatch_std_group, len(x))
        y = x.reshape(group, -1, *x.shape[1:])  # image i is in group i % M, of M groups
        deviation = np.sqrt(y.var(0) + 1e-8).mean((1, 2, 3))  # [M]
        feature = np.tile(deviation, group)[:, None, None, None] * np.ones([1, 1, 4, 4])
        x = np.concatenate([x, feature], 1)
    x = finish(layer(x, "4x4/Conv"), "4x4/Conv").reshape(len(x), -1)
    x = _leaky(x @ _scaled(variables["4x4/Dense0/weight"], _SQRT_2) + variables["4x4/Dense0/bias"])
    return x @ _scaled(variables["4x4/Dense1/weight"], 1.0) + variables["4x4/Dense1/bias"]


def _scaled(weight: np.ndarray, gain: float) -> np.ndarray:
    """A stored weight at its working scale, gain / √fan-in (equalised learning rate)."""
    return weight.astype(np.float64) * (gain / np.sqrt(np.prod(weight.shape[:-1])))


def _leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x < 0, 0.2 * x, x)


def _channels(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float64)[None, :, None, None]


def _conv(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """x [B, I, H, W] with weight [k, k, I, O], k odd, zeros around → [B, O, H, W]."""
    k, (_, _, height, width) = len(weight), x.shape
    padded = np.pad(x, [(0, 0), (0, 0), (k // 2, k // 2), (k // 2, k // 2)])
    total = np.zeros([len(x), weight.shape[3], height, width])
    for i in range(k):
        for j in range(k):
            window = padded[:, :, i : i + height, j : j + width]
            total += np.tensordot(window, weight[i, j], (1, 0)).transpose(0, 3, 1, 2)
    return total


def _scatter_up(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Each pixel of x [B, I, H, W] adds itself, times the weight [3, 3, I, O], around each pixel of its 2 × 2 block."""
    batch, _, height, width = x.shape
    total = np.zeros([batch, weight.shape[3], 2 * height + 2, 2 * width + 2])  # with a border of one pixel
    for i in range(3):
        for j in range(3):
            part = np.tensordot(x, weight[i, j], (1, 0)).transpose(0, 3, 1, 2)
            for down in range(2):
                for right in range(2):
                    total[:, :, i + down : i + down + 2 * height : 2, j + right : j + right + 2 * width : 2] += part
    return total[:, :, 1:-1, 1:-1]


def _blur(x: np.ndarray) -> np.ndarray:
    """[1, 2, 1] / 4 along both axes, zeros around."""
    padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (0, 0)])
    x = (padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]) / 4
    padded = np.pad(x, [(0, 0), (0, 0), (0, 0), (1, 1)])
    return (padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]) / 4


def _finish(variables: Variables, name: str, x: np.ndarray, w: np.ndarray, layer: int) -> np.ndarray:
    """Noise, bias, leaky ReLU, instance norm, style."""
    x = x + variables[f"noise{layer}"] * _channels(variables[f"{name}/Noise/weight"])
    x = _leaky(x + _channels(variables[f"{name}/bias"]))
    x = x - x.mean((2, 3), keepdims=True)
    x = x / np.sqrt(np.square(x).mean((2, 3), keepdims=True) + 1e-8)
    style = w @ _scaled(variables[f"{name}/StyleMod/weight"], 1.0) + variables[f"{name}/StyleMod/bias"]
    scale, shift = np.split(style[:, :, None, None], 2, axis=1)
    return x * (scale + 1) + shift
