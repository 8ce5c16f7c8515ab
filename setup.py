"""Packaging. `datasets/` and the scripts stay in the checkout: their names are taken, or too general, for a wheel."""

from pathlib import Path

from setuptools import find_packages, setup

MESHES = ["scikit-image", "trimesh"]
MTCNN = "mtcnn==1.0.0"  # datasets/photographs/detection.py knows this version's weights

setup(
    name="discoface_tf2",
    version="0.1.0",
    description="Controllable face-image generation on TensorFlow 2 and Keras 3",
    long_description=(Path(__file__).parent / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["discoface_tf2*", "renderer*", "vae*"]),
    package_data={"renderer": ["data/builtin.npz"], "discoface_tf2": ["data/model.zip"]},
    install_requires=[
        "tensorflow>=2.21,<2.22",
        "keras>=3.15,<4",
        # It asks for tensorflow-addons, which it does not import for us and which ends at Python 3.11. Beyond:
        # `pip install --no-deps tensorflow-graphics==2021.12.3`, with what it does import:
        "tensorflow-graphics==2021.12.3; python_version < '3.12'",
        "absl-py",
        "google-crc32c",  # the checksums of TFRecords; a wheel of Google's with the C library in it
        "six",
        "numpy>=2",
        "scipy",
        "pillow",
        "matplotlib",
        "tensorboard",
        "tqdm",
    ],
    extras_require={
        "beam": ["apache-beam"],  # photographs and data sets on many machines; brings protobuf 6
        "datasets": ["pyarrow"],  # generate_dataset.py
        "meshes": MESHES,  # surfaces of radiance fields as .obj, .ply or .glb
        "photographs": [MTCNN],  # preprocess_data.py without --lm_path; its weights are in the wheel, and checked
        "video": ["av"],  # turntables as .mp4; .gif needs nothing
        "test": [
            "pytest",
            "pytest-xdist",
            "hypothesis",
            "pyarrow",
            "ruff",
            "mypy",
            "av",
            "build",
            "setuptools>=77",  # builds the wheel without fetching anything
            *MESHES,
            MTCNN,
        ],
    },
)
