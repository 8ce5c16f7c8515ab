"""Photographs in a generator's space, and their edits."""

from discoface_tf2.embedding.embed import Embedder, Embedding, EmbedOptions, edit
from discoface_tf2.embedding.encoder import Encoder

__all__ = ["EmbedOptions", "Embedder", "Embedding", "Encoder", "edit"]
