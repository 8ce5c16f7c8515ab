"""From the variables of a network file to the Keras networks: sizes, names, shapes and scales."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from discoface_tf2.networks.stylegan1.config import NEVER, StyleGAN1Config
from discoface_tf2.networks.stylegan1.discriminator import StyleGAN1Discriminator
from discoface_tf2.networks.stylegan1.network_file import Networks, NetworkState
from discoface_tf2.networks.stylegan1.synthesis import StyleGAN1Synthesis
from discoface_tf2.networks.stylegan2.generator import Generator
from discoface_tf2.networks.stylegan2.layers import GAIN

# Options that change what a network computes, and the one value that is built here. Others are sizes, which the arrays
# tell, or concern training alone.
_REQUIRED: dict[str, tuple[Any, ...]] = {
    "num_channels": (3,),
    "label_size": (0,),
    "use_styles": (True,),
    "const_input_layer": (True,),
    "use_noise": (True,),
    "use_wscale": (True,),
    "use_pixel_norm": (False,),
    "use_instance_norm": (True,),
    "nonlinearity": ("lrelu",),
    "mapping_nonlinearity": ("lrelu",),
    "mbstd_num_features": (1,),
    "dtype": ("float32",),
    "blur_filter": ([1, 2, 1], (1, 2, 1)),
    "fused_scale": ("auto", True, False),
}
_STATE_ONLY = {"lod", "dlatent_avg"}  # the place in the growing schedule, and an average that the method does not use

Take = Callable[[str], np.ndarray]


def config_of(networks: Networks) -> StyleGAN1Config:
    """The sizes of a file's networks. Raises ValueError with one line for a network that is not of this kind."""
    average, judge = networks.average, networks.discriminator
    for state in (average, networks.generator):
        missing = {"mapping", "synthesis"} - set(state.components)
        if missing:
            raise ValueError(
                f"expected a StyleGAN generator with the parts mapping and synthesis. {state.name} has no "
                f"{' and no '.join(sorted(missing))}"
            )
    mapping, synthesis = average.components["mapping"], average.components["synthesis"]
    for state in (average, mapping, synthesis, judge):
        _check_options(state)
        lod = float(np.max(state.variables.get("lod", np.zeros(()))))
        if lod != 0:
            raise ValueError(f"expected a network grown to its full resolution. {state.name} is at lod {lod:g}")
    layers = sum(name.startswith("Dense") and name.endswith("/weight") for name in mapping.variables)
    sizes = sum(name.startswith("ToRGB_lod") and name.endswith("/weight") for name in synthesis.variables)
    if layers < 1 or sizes < 2:
        raise ValueError(
            f"expected a StyleGAN generator. {average.name} has {layers} mapping layers and {sizes} ToRGB heads"
        )
    widths = [_shape(synthesis, f"ToRGB_lod{sizes - 1 - k}/weight", 4)[2] for k in range(sizes)]
    fused = {True: 4, False: NEVER}.get(synthesis.options.get("fused_scale", "auto"), 128)
    return StyleGAN1Config(
        input_size=_shape(mapping, "Dense0/weight", 2)[0],
        widths=tuple(widths),
        mapping_layers=layers,
        mapping_width=_shape(mapping, "Dense0/weight", 2)[1],
        w_dim=_shape(mapping, f"Dense{layers - 1}/weight", 2)[1],
        mapping_lr_multiplier=float(mapping.options.get("mapping_lrmul", 0.01)),
        discriminator_width=_shape(judge, "4x4/Dense0/weight", 2)[1],
        minibatch_std_group=max(int(judge.options.get("mbstd_group_size", 4)), 1),
        turned_from=fused,
    )


def load_generator(generator: Generator, state: NetworkState) -> None:
    """Gives a generator the variables of G or Gs. Raises ValueError naming what is missing, unknown or misshapen."""
    _fill(state.components["mapping"], lambda take: _fill_mapping(generator.mapping, take), set())
    synthesis = generator.synthesis
    assert isinstance(synthesis, StyleGAN1Synthesis)
    _fill(state.components["synthesis"], lambda take: _fill_synthesis(synthesis, take), _STATE_ONLY)
    _fill(state, lambda take: None, _STATE_ONLY)


def load_discriminator(discriminator: StyleGAN1Discriminator, state: NetworkState) -> list[str]:
    """Gives a discriminator the variables of D; raises ValueError as `load_generator`.

    Returns the names left out: the inputs at lower resolutions, which serve the growing alone.
    """
    growing = {f"FromRGB_lod{k}/{part}" for k in range(1, len(discriminator.channels)) for part in ("weight", "bias")}
    _fill(state, lambda take: _fill_discriminator(discriminator, take), _STATE_ONLY | growing)
    return sorted(growing & set(state.variables))


def _check_options(state: NetworkState) -> None:
    for name, allowed in _REQUIRED.items():
        value = state.options.get(name, allowed[0])
        if value not in allowed:
            raise ValueError(
                f"expected {name} = {' or '.join(map(repr, allowed))} in {state.name}. Received: {str(value)[:40]!r}"
            )


def _shape(state: NetworkState, name: str, rank: int) -> tuple[int, ...]:
    if name not in state.variables or state.variables[name].ndim != rank:
        raise ValueError(f"expected the variable {name} of {rank} dimensions in {state.name}")
    return state.variables[name].shape


def _fill(state: NetworkState, fill: Callable[[Take], None], spare: set[str]) -> None:
    """Runs `fill` with a function that hands out the variables, and checks that none but `spare` is left over."""
    left = dict(state.variables)

    def take(name: str) -> np.ndarray:
        if name not in left:
            raise ValueError(f"{state.name}: the variable {name} is missing, or was asked for twice")
        return left.pop(name)

    fill(take)
    unknown = sorted(set(left) - spare)
    if unknown:
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        raise ValueError(f"{state.name}: unknown variables {', '.join(unknown[:3])}{more}")


def _assign(variable: keras.Variable, name: str, value: np.ndarray) -> None:
    if tuple(variable.shape) != value.shape:
        raise ValueError(f"{name}: expected the shape {tuple(variable.shape)}. Received: {value.shape}")
    variable.assign(value)


def _assign_activated(layer: Any, name: str, take: Take) -> None:
    """A layer of `networks.layers` with activation: it multiplies its bias by √2 too, which the original does not."""
    _assign(layer.kernel, f"{name}/weight", take(f"{name}/weight"))
    _assign(layer.bias, f"{name}/bias", take(f"{name}/bias") / GAIN)


def _assign_plain(layer: Any, name: str, take: Take) -> None:
    _assign(layer.kernel, f"{name}/weight", take(f"{name}/weight"))
    _assign(layer.bias, f"{name}/bias", take(f"{name}/bias"))


def _fill_mapping(mapping: Any, take: Take) -> None:
    for k, layer in enumerate(mapping.dense):
        _assign_activated(layer, f"Dense{k}", take)


def _fill_synthesis(synthesis: StyleGAN1Synthesis, take: Take) -> None:
    constant = take("4x4/Const/const")  # [1, C, 4, 4]
    _assign(synthesis.constant, "4x4/Const/const", constant.squeeze(0).transpose(1, 2, 0))
    for k, layer in enumerate(synthesis.styled):
        part = ("Const", "Conv") if layer.size == 4 else ("Conv0_up", "Conv1")
        name = f"{layer.size}x{layer.size}/{part[k % 2]}"
        if layer.kind != "const":
            _assign(layer.kernel, f"{name}/weight", take(f"{name}/weight"))
        _assign(layer.bias, f"{name}/bias", take(f"{name}/bias"))
        _assign(layer.noise_strength, f"{name}/Noise/weight", take(f"{name}/Noise/weight"))
        _assign(layer.noise_map, f"noise{k}", take(f"noise{k}").transpose(0, 2, 3, 1))
        _assign_plain(layer.style, f"{name}/StyleMod", take)
    for lod, to_rgb in enumerate(reversed(synthesis.to_rgbs)):
        _assign_plain(to_rgb, f"ToRGB_lod{lod}", take)


def _fill_discriminator(discriminator: StyleGAN1Discriminator, take: Take) -> None:
    _assign_activated(discriminator.from_rgb, "FromRGB_lod0", take)
    sizes = [size for size in sorted(discriminator.channels, reverse=True) if size > 4]
    for size, conv, down in zip(sizes, discriminator.convs, discriminator.downs, strict=True):
        _assign_activated(conv, f"{size}x{size}/Conv0", take)
        _assign_plain(down, f"{size}x{size}/Conv1_down", take)
    _assign_activated(discriminator.last_conv, "4x4/Conv", take)
    weight = take("4x4/Dense0/weight")  # its rows are pixels of a map with channels first; here channels are last
    channels, units = discriminator.channels[4], weight.shape[-1]
    if weight.shape[0] != 16 * channels:
        raise ValueError(f"4x4/Dense0/weight: expected {16 * channels} rows. Received: shape {weight.shape}")
    weight = weight.reshape(channels, 16, units).transpose(1, 0, 2).reshape(-1, units)
    _assign(discriminator.dense.kernel, "4x4/Dense0/weight", weight)
    _assign(discriminator.dense.bias, "4x4/Dense0/bias", take("4x4/Dense0/bias") / GAIN)
    _assign_plain(discriminator.logits, "4x4/Dense1", take)


def array_sizes(state: NetworkState) -> int:
    """Numbers in all variables of a network and its parts."""
    own = sum(array.size for array in state.variables.values())
    return own + sum(array_sizes(part) for part in state.components.values())


def components(networks: Networks) -> Mapping[str, Mapping[str, np.ndarray]]:
    """The variables that `reference` takes: of Gs' mapping and synthesis, and of D."""
    parts = networks.average.components
    return {
        "mapping": parts["mapping"].variables,
        "synthesis": parts["synthesis"].variables,
        "discriminator": networks.discriminator.variables,
    }
