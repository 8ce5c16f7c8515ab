"""Readers of published face models, for `python -m renderer.import_model`; each returns a `renderer.FaceModel`."""
