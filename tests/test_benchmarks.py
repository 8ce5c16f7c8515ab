"""The benchmarks run, on tiny settings, and print what they promise. Nothing here looks at a clock."""

import json

import numpy as np
import pytest

import train
from benchmarks import contrast, fields, framing, generation, original_network, photographs, scale, systems, vae_samples
from datasets.photographs.journal import FaceStatus, Status
from datasets.photographs.report import write_report
from discoface_tf2.systems.disco.config import DiscoConfig
from renderer import load_face_model
from vae.model import ABBREVIATIONS, FactorConfig, FactorVAE
from vae.sampler import save_factor


def test_generation(capsys):
    generation.main(["--batch", "1", "3", "--repeats", "1"])
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["batch", "images/s"]
    assert [int(row.split()[0]) for row in rows] == [1, 3]
    for row in rows:
        rate, wall = (float(number) for number in row.split()[1:3])
        assert rate * wall == pytest.approx(1000, rel=0.05)


def test_fields(capsys):
    """Samples over seconds are their rate, and the matrices of a sample are the decoder's."""
    small = ["--field", "triplane", "--mode", "graph", "--batch", "1", "--image_size", "4", "--samples", "3"]
    fields.main([*small, "--chunk", "8", "--repeats", "1"])
    count, header, *rows = capsys.readouterr().out.splitlines()
    assert count.endswith(": 48 samples") and header.split()[-5:] == ["samples/s", "bound", "of", "it", "memory"]
    assert [row.split()[1] for row in rows] == ["forward", "gradient"]
    for row in rows:
        wall, rate = float(row.split()[3]), float(row.split()[5].replace(",", ""))
        assert rate * wall == pytest.approx(48_000, rel=0.2)
    assert fields.make_case("triplane", 1).flops == 2 * (16 * 64 + 64 * 17)


def test_wrong_flags(capsys):
    with pytest.raises(SystemExit, match="2"):
        generation.main(["--batch", "0"])
    assert "--batch and --repeats should be 1 or more" in capsys.readouterr().err


def test_contrast_measures_what_lies_outside_both_meshes():
    images = np.zeros([3, 4, 4, 3])
    masks = np.zeros([3, 4, 4, 1])
    masks[0, :2], masks[1, 1:3] = 1, 1  # free in both: row 3; of images 1 and 2: rows 0 and 3
    images[1, :3] = 200.0  # under a mask of the first two, but row 0 is not under one of the last two
    images[1, 3] = 10.0
    expected = np.mean([*[10.0] * 4, *[200.0] * 4, *[10.0] * 4])
    assert contrast.outside(images, masks) == pytest.approx(expected)


def test_contrast_asks_for_what_train_has(tmp_path):
    """Every command of stage 2 is one of train.py, and the settings differ in the two weights of the pairs alone."""
    configs = {}
    for setting in contrast.SETTINGS:
        script, *flags = contrast.stage_2(tmp_path, setting, 1, 5)
        args = train.make_parser().parse_args(flags)
        assert script == "train.py" and (args.seed, args.kimg, args.run_id) == (1, 5, str(tmp_path / "stage1"))
        configs[setting] = {name: getattr(args, name) for name in DiscoConfig.WEIGHT_FLAGS}
    assert configs["without"] == {**configs["with"], "w_exp_warp": 0.0, "w_gamma_change": 0.0}
    assert not any(configs["with"].values())  # the preset's


def test_systems_asks_for_what_the_scripts_have(tmp_path):
    plan = systems.commands(tmp_path, "builtin", 100, 1000)
    for script, *flags in (command for part in ("disco", "gif") for command in plan[part]):
        config = train.system_of(flags)
        args = train.make_parser(config).parse_args(flags)
        made = config.make(args.preset, args.stage, kimg=args.kimg)
        assert script == "train.py" and made.resolution == 64 and args.system == config.SYSTEM
    assert [part[-1][-1].rsplit("/")[-1] for part in (plan["disco"], plan["gif"])] == ["disco", "gif"]


def test_contrast_prints_means_and_spreads():
    lines = contrast.table(
        {"identity": 0.5, "pose": 2.0}, {"without": [{"identity": 0.2, "pose": 1.0}, {"identity": 0.4, "pose": 3.0}]},
        {"pose": 1.0},
    ).splitlines()  # fmt: skip
    assert lines[0] == "| | stage 1 | without | held-out images |"
    assert lines[2:] == ["| identity | 0.500 | 0.300 ± 0.141 |  |", "| pose | 2.00 | 2.00 ± 1.41 | 1.00 |"]


def test_scale(capsys):
    scale.main(["--preset", "demo64", "--efficiency", "demo64"])
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if line.startswith("demo64 "))
    mapping, synthesis, discriminator = (int(number.replace(",", "")) for number in row.split()[2:5])
    assert mapping > 100_000 and synthesis > 100_000 and discriminator > 100_000
    # R1 every 16 steps, no path length; 4 bytes a number
    megabytes = 4e-6 * (mapping + synthesis + discriminator * (1 + 1 / 16))
    total, *sent = row.split(";")[0].split()[-1:] + row.split(";")[1].split()
    assert float(total) == pytest.approx(megabytes, abs=0.06)
    assert [float(number) for number in sent] == pytest.approx([m * megabytes for m in (1, 7 / 4, 15 / 8)], abs=0.06)
    assert out.count(" %") == 18


def test_framing_leaves_the_generators_own_frame_as_it_is(capsys):
    landmarks = framing.mean_landmarks(load_face_model("builtin"))
    frame = framing.ffhq_frame(landmarks)
    assert frame.to_frame(landmarks, 1)[:2, 1] == pytest.approx(0.47, abs=0.01)
    assert frame.side >= 4 * np.linalg.norm(landmarks[0] - landmarks[1]) - 1e-9
    framing.main([])
    assert "FFHQ's square is 1.17 times" in capsys.readouterr().out


def test_an_original_network_is_made_up_and_imported(capsys):
    original_network.main(["--resolution", "32", "--width", "8"])
    out = capsys.readouterr().out
    assert "32 × 32, 254 coefficients and 32 noise" in out and "differs by" in out


def test_two_runs_on_photographs_are_compared(tmp_path, capsys):
    """The second has its landmarks 3 pixels to the right and 4 down, and its frame 10 pixels to the right."""
    points = np.array([(100, 100), (150, 100), (125, 130), (105, 160), (145, 160)], float)
    for name, shift, left in (("a", (0, 0), 0.0), ("b", (3, 4), 10.0)):
        face = FaceStatus("x", "aligned/x.png", 1, "0", tuple((points + shift).ravel()), "given", 1.0, "none", 0.0,
                           (0.0, 0.0, 0.0), (left, 0.0, 512.0), "")  # fmt: skip
        write_report(tmp_path / name, [Status("x", (1, 2), (face,)), Status("y", (1, 2), reason="no face was found")])
    photographs.main([str(tmp_path / "a"), str(tmp_path / "b")])
    out = capsys.readouterr().out
    assert "faces: 1 and 1, 1 of them in both" in out
    assert "landmarks: 10.0 % of the eye distance apart" in out
    assert "frames: 5.0 pixels of 256 apart" in out


def test_samples_are_compared_with_unseen_data_before_and_after_the_map(tmp_path, capsys):
    """A decoder that knows nothing but the mean and half of the spread; the map gives its samples the data's."""
    values = vae_samples.labels("builtin", 400, seed=0)
    layout = load_face_model("builtin").layout
    place = layout.slice("angles")
    vae = FactorVAE(FactorConfig.for_data("pose", values[:, place], latent=3, width=16, depth=1))
    for variable in vae.variables:
        variable.assign(np.random.default_rng(0).normal(size=variable.shape) * 0.5)
    vae.calibrate(values[:, place])
    save_factor(tmp_path / ABBREVIATIONS["pose"], vae, layout.to_dict())
    vae_samples.main(["--vae_dir", str(tmp_path), "--count", "400"])
    rows = {line.split()[1]: float(line.split()[4]) for line in capsys.readouterr().out.splitlines()[1:]}
    assert set(rows) == {"before", "sampled", "data"}
    assert rows["before"] > 0.2 > max(rows["sampled"], rows["data"])
    assert json.loads((tmp_path / "rot" / "factor.json").read_text())["layout"] == layout.to_dict()
