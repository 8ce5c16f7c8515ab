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
_PREPARED = "photographs"  # folder of the aligned faces
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

    from datasets.photographs.journal import Settings
    from datasets.photographs.pasting import paste
    from datasets.photographs.prepared import PreparedFace, find, prepare
    from datasets.photographs.preparing import Preparer
    from discoface_tf2.embedding import Embedder, EmbedOptions, Encoder
    from discoface_tf2.embedding.encoder import WEIGHTS as ENCODER_WEIGHTS
    from discoface_tf2.embedding.pictures import EditFolder, film
    from discoface_tf2.exact import beyond_training
    from discoface_tf2.files import digest, log
    from discoface_tf2.model import BUNDLED, load
    from discoface_tf2.model_io import WEIGHTS
    from discoface_tf2.perception import Perception
    from discoface_tf2.perception.crops import CropReconstruction
    from discoface_tf2.perception.perception import weights_digest
    from renderer.controls import parse_assignments
    from renderer.files import save_png

    model, networks = load(args.model or BUNDLED, face_model=args.face_model), weights_digest(args.perception_dir)
    perception = Perception.load(args.perception_dir)
    perception.require_face_model(model.face_model, args.perception_dir)
    encoder = None
    if args.encoder is not None:
        encoder = Encoder.load_from(args.encoder, model.generator.num_ws, len(model.faces.average_w))
    embedder = Embedder(model, perception, EmbedOptions(steps=args.steps), encoder)
    settings = Settings(image_size=model.resolution, all_faces=args.all_faces, thumbnail=0)
    decides = {"size": model.resolution, "all_faces": args.all_faces, "perception": networks}

    def preparer() -> Preparer:
        reconstruction = CropReconstruction(args.perception_dir, model.face_model)
        return Preparer(model.face_model, args.out / _PREPARED, settings, reconstruction)

    def prepared(paths: Sequence[Path]) -> list[PreparedFace]:
        faces, skipped = prepare(find(paths, args.lm_path), args.out / _PREPARED, settings, decides, preparer)
        for path, reason in skipped.items():
            log(f"skipped {path}: {reason}")
        if not faces:
            raise ValueError(f"{', '.join(map(str, paths))}: no face there that can be used")
        return faces

    layout, borrowed = model.face_model.layout, {}
    if args.reference is not None:
        known = model.people(prepared([args.reference])[0].coefficients(layout)[None])
        borrowed = {name: getattr(known, {"lighting": "light"}.get(name, name))[0] for name in args.borrow or _BORROWED}
    faces = prepared(args.image)
    names, images = [face.name for face in faces], np.stack([face.aligned() for face in faces])
    facts = {
        "generator": digest(model.folder / WEIGHTS),
        "perception": networks,
        "encoder": "" if args.encoder is None else digest(args.encoder / ENCODER_WEIGHTS),
        "options": str(embedder.options),
    }
    folder = EditFolder(args.out, embedder, facts, args.batch_size)
    told = np.stack([face.coefficients(layout) for face in faces])
    embedding = folder.embed(names, [face.status.digest for face in faces], images, told)
    for name, psnr, similarity in zip(names, embedding.psnr, embedding.similarity, strict=True):
        if similarity < _POOR:
            log(f"{name}: the model does not draw this face well: similarity {similarity:.2f} (1 is the same person, "
                f"below {_POOR} another), {psnr:.1f} dB", sys.stderr)  # fmt: skip
    start = model.people(embedding.coefficients, embedding.noise).with_(**borrowed)
    expression = parse_assignments(args.expression or "")
    start = start.with_(yaw=args.yaw, pitch=args.pitch, roll=args.roll, expression=expression, light=args.light)
    edits = {"edit": start}
    if axis is not None:
        edits = {axis.label(value): start.with_(**axis.change(value)) for value in axis.values}
    for line in {line for people in edits.values() for line in beyond_training(people, model)}:
        log(line, sys.stderr)
    drawn = folder.draw(embedding, embedding.coefficients)
    edited = [folder.draw(embedding, people.coefficients) for people in edits.values()]
    pictures = {"aligned": images, "reconstruction": drawn}
    pictures |= {f"edit-{number:02d}": some for number, some in enumerate(edited)}
    strips = folder.write(names, pictures, ["aligned", "reconstruction", *edits])
    if args.paste:
        for k, face in enumerate(faces):
            seen = np.stack([drawn[k], edited[-1][k]]).astype(np.float32) / 127.5 - 1.0
            person = (perception.parsing(seen).numpy().argmax(-1) > 0).any(0)
            save_png(paste(*face.original(), edited[-1][k], person), args.out / face.name / "pasted.png")
    if args.video is not None:
        film(args.video, edited, args.fps or 25)
    print(f"{len(faces)} faces: similarity {np.mean(embedding.similarity):.2f}, {np.mean(embedding.psnr):.1f} dB")
    print(f"strips: {strips}")


if __name__ == "__main__":
    main()
