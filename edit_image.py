"""Changes the pose, light or expression of the face in a photograph.

python edit_image.py --image photo.jpg --yaw 20 --light left --expression smile=0.8 --paste --out edited
python edit_image.py --image photos --grid yaw=-30:30:5 --video turn.mp4 --out turned
python edit_image.py --image photo.jpg --reference other.jpg --borrow expression light --out borrowed

Finds and aligns each face, finds what the generator draws it of, and draws that changed. Writes a folder per
photograph: aligned.png, reconstruction.png, edit-00.png …, strip.png, and with --paste pasted.png.
What has been found of a photograph is kept, and used again by the next call with the same --out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from discoface_tf2.exact_options import ANGLES, Axis
from discoface_tf2.face_model_option import add_face_model_option
from renderer.command import begin
from renderer.options import add_dry_run, number, print_options, whole

_PROGRAM = "edit_image.py"
if __name__ == "__main__":
    begin(_PROGRAM, "what has been found is kept, and the same command goes on from here")

_DEGREES = number(-180, 180)
_BORROWED = ("expression", "pose", "lighting")
_POOR = 0.25  # similarity of identities; below, the person is lost


def make_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        prog=_PROGRAM, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--image", type=Path, nargs="+", required=True, help="photographs, or folders of them")
    add("--out", type=Path, required=True, help="folder to write to")
    add("--model", type=Path, help="run, snapshot or .zip; default the model that ships")
    add("--perception_dir", type=Path, default=Path("runs/perception"), help="networks of train_perception.py; default "
        "runs/perception")  # fmt: skip
    add("--encoder", type=Path, help="folder of train_encoder.py, where the optimisation starts")
    for name in ANGLES:
        add(f"--{name}", type=_DEGREES, help=f"degrees ({_DEGREES})")
    add("--expression", metavar="NAME=NUMBER[,…]", help="movements by name, such as smile=0.8,eyeBlinkLeft=1; the "
        "others stay")  # fmt: skip
    add("--light", metavar="LIGHT", help="such as left, or top=0.5@#ffd0a0,ambient=0.3")
    add("--reference", type=Path, help="another photograph, to take --borrow from")
    add("--borrow", nargs="+", choices=_BORROWED, help="what of it; default all")
    add("--grid", metavar="AXIS", help="several edits: yaw=-30:30:5, smile=0,0.5,1, light=left|right")
    add("--video", type=Path, metavar="FILE", help="a film of --grid, the photographs side by side, .mp4 or .gif")
    add("--fps", type=whole(1, 120), help="its frames per second; default 25")
    add("--paste", action="store_true", help="the edit back into the photograph, at its full size")
    add("--all_faces", action="store_true", help="every face of a photograph, not the largest alone")
    add(
        "--lm_path",
        type=Path,
        help="folder of landmarks, NAME.txt each, as for preprocess_data.py; others are detected",
    )
    add("--steps", type=whole(0, 100_000), default=150, help="of the optimisation of each batch; default 150")
    add("--batch_size", type=whole(1, 1024), default=8, help="photographs at a time; default 8")
    add_face_model_option(parser)
    add_dry_run(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Flags to calls."""
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.borrow and args.reference is None:
        parser.error("--borrow has no effect without --reference")
    if args.video is not None and args.grid is None:
        parser.error("--video: expected --grid with what changes, such as --grid yaw=-30:30:50")
    if args.fps is not None and args.video is None:
        parser.error("--fps has no effect without --video")
    try:
        axis = None if args.grid is None else Axis.parse(args.grid)
        if axis is not None and axis.name == "identity":
            raise ValueError("--grid identity: the photograph says who it is; give an angle, a movement or light")
        if axis is not None and getattr(args, axis.name, None) is not None:
            raise ValueError(f"--{axis.name}: it is the axis of --grid as well; leave one out")
    except ValueError as error:
        parser.error(str(error))
    if args.dry_run:
        print_options(args)
        return

    # TensorFlow takes seconds to import, so usage errors come before it.
    import numpy as np

    from datasets.photographs.editing import Editor, find
    from discoface_tf2.embedding import Embedder, EmbedOptions, Encoder
    from discoface_tf2.exact import beyond_training
    from discoface_tf2.files import log
    from discoface_tf2.model import BUNDLED, load
    from discoface_tf2.perception import Perception
    from renderer.controls import parse_assignments

    model = load(args.model or BUNDLED, face_model=args.face_model)
    perception = Perception.load(args.perception_dir)
    perception.require_face_model(model.face_model, args.perception_dir)
    encoder = None
    if args.encoder is not None:
        encoder = Encoder.load_from(args.encoder, model.generator.num_ws, len(model.faces.average_w))
    embedder = Embedder(model, perception, EmbedOptions(steps=args.steps), encoder)
    editor = Editor(args.out, embedder, args.perception_dir, args.encoder, args.all_faces, args.batch_size)
    borrowed = {}
    if args.reference is not None:
        found = editor.prepare(find([args.reference], args.lm_path))
        if not found:
            raise ValueError(f"{args.reference}: no face to borrow from")
        known = model.people(editor.coefficients(found[:1]))
        borrowed = {name: getattr(known, {"lighting": "light"}.get(name, name))[0] for name in args.borrow or _BORROWED}
    faces = editor.prepare(find(args.image, args.lm_path))
    if not faces:
        raise ValueError("no photograph could be used; see the lines above")
    embedding = editor.embed(faces)
    for face, psnr, similarity in zip(faces, embedding.psnr, embedding.similarity, strict=True):
        if similarity < _POOR:
            log(f"{face.name}: the model does not draw this face well: similarity {similarity:.2f} (1 is the same "
                f"person, below {_POOR} another), {psnr:.1f} dB", sys.stderr)  # fmt: skip
    start = model.people(embedding.coefficients, embedding.noise).with_(**borrowed)
    expression = parse_assignments(args.expression or "")
    start = start.with_(yaw=args.yaw, pitch=args.pitch, roll=args.roll, expression=expression, light=args.light)
    edits = [("edit", start)]
    if axis is not None:
        edits = [(axis.label(value), start.with_(**axis.change(value))) for value in axis.values]
    for line in beyond_training(edits[0][1], model) if len(edits) == 1 else ():
        log(line, sys.stderr)
    strips = editor.write(faces, embedding, edits, paste=args.paste)
    if args.video is not None:
        editor.film(args.video, faces, len(edits), args.fps or 25)
    print(f"{len(faces)} faces: similarity {np.mean(embedding.similarity):.2f}, {np.mean(embedding.psnr):.1f} dB")
    print(f"strips: {strips}")


if __name__ == "__main__":
    main()
