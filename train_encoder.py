"""Trains the encoder of a generator: from an aligned image to the styles that draw it, where edit_image.py starts.

python train_encoder.py --model runs/gif64 --data runs/data/images --perception_dir runs/perception --out runs/encoder
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from discoface_tf2.face_model_option import add_face_model_option
from renderer.command import begin
from renderer.options import SEED, add_dry_run, print_options, whole

if __name__ == "__main__":
    begin("train_encoder.py")

_IMAGES = 10_000  # of the data, at most: they are kept in memory


def main(argv: Sequence[str] | None = None) -> None:
    """Flags to one call."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="run, snapshot or .zip; default the model that ships")
    parser.add_argument("--data", type=Path, required=True, help="dataset with coefficients, beside generated images")
    parser.add_argument("--perception_dir", type=Path, required=True, help="folder of the perception networks")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--steps", type=whole(1, 10**7), default=3000, help="default 3000")
    parser.add_argument("--batch_size", type=whole(2, 4096), default=16, help="half generated, half real; default 16")
    parser.add_argument("--seed", type=SEED, default=0, help="of weights and samples; default 0")
    add_face_model_option(parser)
    add_dry_run(parser)
    args = parser.parse_args(argv)
    if args.batch_size % 2:
        parser.error(f"--batch_size: expected an even number. Received: {args.batch_size}")
    if args.dry_run:
        print_options(args)
        return

    # TensorFlow takes seconds to import, so usage errors come before it.
    import keras
    import numpy as np
    import tensorflow as tf

    from datasets.records import clear_read_errors, load_dataset
    from discoface_tf2.embedding.encoder import MANIFEST, Encoder
    from discoface_tf2.embedding.objective import EncoderObjective
    from discoface_tf2.model import BUNDLED, load
    from discoface_tf2.perception import Perception
    from discoface_tf2.perception.training.optimise import Budget, fit

    if (args.out / MANIFEST).is_file():
        print(f"{args.out}: trained already, skipped")
        return
    model, perception = load(args.model or BUNDLED, face_model=args.face_model), Perception.load(args.perception_dir)
    perception.require_layout(model.layout, args.perception_dir)
    with clear_read_errors(args.data):
        fields = ("image", "coefficients")
        data = load_dataset(args.data, image_size=model.resolution, batch_size=250, repeat=False, fields=fields,
                            seed=args.seed, drop_remainder=False, cache=False)  # fmt: skip
        batches = list(data.take(_IMAGES // 250).as_numpy_iterator())
    images, coefficients = (np.concatenate([batch[name] for batch in batches]) for name in fields)
    keras.utils.set_random_seed(args.seed)
    encoder = Encoder(model.generator.num_ws, len(model.faces.average_w))
    objective = EncoderObjective(encoder, model, perception, images, coefficients, args.batch_size)
    writer = tf.summary.create_file_writer(str(args.out / "tensorboard"))
    budget = Budget(steps=args.steps, batch_size=args.batch_size, learning_rate=1e-3)
    figures = fit(objective, budget, args.seed, writer, "encoder")
    encoder.save_to(args.out, {"model": str(args.model), "data": str(args.data), "seed": args.seed, **figures})
    print(f"{args.out}: {json.dumps(figures)}")


if __name__ == "__main__":
    main()
