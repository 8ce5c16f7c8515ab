"""Factor VAEs: from normal numbers to plausible identities, expressions, lightings and poses."""

from vae.model import FACTORS, FactorConfig, FactorVAE
from vae.sampler import FactorSampler

__all__ = ["FACTORS", "FactorConfig", "FactorSampler", "FactorVAE"]
