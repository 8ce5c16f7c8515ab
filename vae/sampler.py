"""From normal numbers to face coefficients: the decoders of the four factor VAEs side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from renderer.files import atomic_path, require_room
from vae.model import ABBREVIATIONS, FACTORS, LAMBDA_ORDER, FactorConfig, FactorVAE

FORMAT = "discoface_tf2 factor VAE, version 1"
MANIFEST = "factor.json"
WEIGHTS = "factor.weights.h5"
_OVERHEAD = 8192  # bytes of a file for each variable in it, at most
_FACE_MODEL = ("face_model", "face_model_checksum")  # what a factor's manifest notes of its face model
_UNIVERSAL = {"lighting": ("lighting",), "pose": ("angles",)}  # the groups of factors that suit every face model


def save_factor(folder: str | Path, vae: FactorVAE, layout: Mapping[str, int], **facts: Any) -> None:
    """Writes the weights and `factor.json` (sizes, layout, statistics, and whatever `facts` are worth remembering).

    Each file is written atomically, the manifest last: where it stands, the factor is whole.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    require_room(folder, sum(variable.numpy().nbytes + _OVERHEAD for variable in vae.weights))
    with atomic_path(folder / WEIGHTS, ".weights.h5") as other:  # Keras insists on the suffix
        vae.save_weights(other)
    manifest = {"format": FORMAT, "config": vae.config.to_dict(), "layout": dict(layout), **facts}
    with atomic_path(folder / MANIFEST) as other:
        other.write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def read_factor_manifest(folder: str | Path) -> dict[str, Any]:
    """What `save_factor` wrote into `factor.json`. Raises FileNotFoundError or ValueError with one line."""
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; train the factor with `python -m vae.train`")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest.get("format") != FORMAT:
            raise ValueError(f"expected the format {FORMAT!r}. Received: {manifest.get('format')!r}")
        return {**manifest, "config": FactorConfig.from_dict(manifest["config"])}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a factor VAE ({error})") from None


def load_factor_vae(folder: str | Path) -> FactorVAE:
    """The VAE that `save_factor` wrote. Raises FileNotFoundError or ValueError with one line."""
    config = read_factor_manifest(folder)["config"]
    path = Path(folder) / WEIGHTS
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; train the factor with `python -m vae.train`")
    vae = FactorVAE(config)
    try:
        vae.load_weights(path)
    except Exception as error:  # h5py and Keras raise many kinds for a damaged or foreign file
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ValueError(f"{path}: cannot read the weights of the {config.factor} VAE ({reason})") from None
    vae.trainable = False
    return vae


class FactorSampler(tf.Module):
    """z, normal numbers → λ, face coefficients.

    z holds the latents of identity, expression, lighting and pose, in this order (128 + 32 + 16 + 3 = 179 in the
    specified sizes); λ holds [identity, expression, angles, lighting]. Works eagerly and in tf.function; the decoders
    are constants of whoever uses it, so no gradient passes unless asked for.

    Attributes:
        latent_size, lambda_size: lengths of z and λ.
        latent_slices, lambda_slices: by factor, where its numbers lie in z and in λ.
        layout: sizes of the coefficient groups, by name, as the training data had them.
        face_model: `face_model` and `face_model_checksum` of the model that identity and expression are of, where the
            training data said so; else empty.
    """

    def __init__(
        self, vaes: Mapping[str, FactorVAE], layout: Mapping[str, int], face_model: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(name="factor_sampler")
        self.face_model = dict(face_model or {})
        if set(vaes) != set(FACTORS):
            raise ValueError(f"factor sampler: expected the factors {FACTORS}. Received: {sorted(vaes)}")
        self.layout = dict(layout)
        self.latent_slices = _slices({factor: vaes[factor].config.latent for factor in FACTORS})
        self.lambda_slices = _slices({factor: vaes[factor].config.size for factor in LAMBDA_ORDER})
        self.latent_size = sum(vae.config.latent for vae in vaes.values())
        self.lambda_size = sum(vae.config.size for vae in vaes.values())
        if self.lambda_size != sum(self.layout.values()) - self.layout["translation"]:
            raise ValueError(
                f"factor sampler: the layout {self.layout} does not fit the VAEs, which give "
                f"{ {factor: vaes[factor].config.size for factor in LAMBDA_ORDER} }"
            )
        self._vaes = dict(vaes)

    @classmethod
    def load(cls, folder: str | Path) -> FactorSampler:
        """The sampler of `folder`, which holds id/, exp/, gamma/ and rot/ as `python -m vae.train` writes them.

        Identity and expression belong to one face model, and their layout is the sampler's. Lighting and pose mean the
        same for every model, so these may come from another, such as the ones that `vae.import_published` brings.

        Raises FileNotFoundError or ValueError with one line: a factor is missing, damaged or of another layout.
        """
        folders = {factor: Path(folder) / ABBREVIATIONS[factor] for factor in FACTORS}
        manifests = {factor: read_factor_manifest(path) for factor, path in folders.items()}
        layouts = {factor: manifest["layout"] for factor, manifest in manifests.items()}
        for factor, manifest in manifests.items():
            if manifest["config"].factor != factor:
                raise ValueError(f"{folders[factor]}: expected the {factor} VAE. Received: {manifest['config'].factor}")
            groups = _UNIVERSAL.get(factor, layouts[FACTORS[0]])  # whose sizes must agree
            if any(layouts[factor].get(group) != layouts[FACTORS[0]].get(group) for group in groups):
                raise ValueError(
                    f"{folders[factor]}: trained on another layout than {folders[FACTORS[0]]}. "
                    f"Received: {layouts[factor]} and {layouts[FACTORS[0]]}"
                )
        noted = {
            factor: {key: str(manifests[factor][key]) for key in _FACE_MODEL}
            for factor in FACTORS
            if factor not in _UNIVERSAL and manifests[factor].get(_FACE_MODEL[1])
        }
        first, *others = noted or [FACTORS[0]]
        for factor in others:
            if noted[factor][_FACE_MODEL[1]] != noted[first][_FACE_MODEL[1]]:
                raise ValueError(
                    f"{folders[factor]}: trained for another face model than {folders[first]}. Received: "
                    f"{' and '.join(', checksum '.join(noted[one].values()) for one in (factor, first))}"
                )
        vaes = {factor: load_factor_vae(path) for factor, path in folders.items()}
        return cls(vaes, layouts[FACTORS[0]], noted.get(first))

    def decode(self, factor: str, z: tf.Tensor, *, stop_gradient: bool = True) -> tf.Tensor:
        """One factor: its latents [B, latent] → its coefficients [B, size], in their own units."""
        if factor not in self._vaes:
            raise ValueError(f"factor sampler: factor should be one of {FACTORS}. Received: {factor!r}")
        coefficients = self._vaes[factor].decode(tf.convert_to_tensor(z, tf.float32))
        return tf.stop_gradient(coefficients) if stop_gradient else coefficients

    def sample(self, z: tf.Tensor, *, stop_gradient: bool = True) -> tf.Tensor:
        """All factors: z [B, latent_size], N(0, 1) → λ [B, lambda_size]."""
        z = tf.convert_to_tensor(z, tf.float32)
        if z.shape[-1] != self.latent_size:
            raise ValueError(f"factor sampler: z should be [B, {self.latent_size}]. Received: shape {tuple(z.shape)}")
        factors = [
            self.decode(factor, z[:, self.latent_slices[factor]], stop_gradient=stop_gradient)
            for factor in LAMBDA_ORDER
        ]
        return tf.concat(factors, axis=-1)  # [B, lambda_size]


def _slices(sizes: dict[str, int]) -> dict[str, slice]:
    """Consecutive ranges, in the order given."""
    slices, start = {}, 0
    for name, size in sizes.items():
        slices[name] = slice(start, start + size)
        start += size
    return slices
