from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import vae.train
from vae.data import factor_slice, load_factor
from vae.model import FACTORS, FactorConfig, FactorVAE
from vae.plots import compare, draw_samples
from vae.sampler import FactorSampler, load_factor_vae
from vae.train import Trainer, TrainingOptions, main

FAST = ("--epochs", "2", "--batch_size", "190")  # more than what XLA compiles, which takes seconds a factor


def test_slices_are_those_of_the_layout(layout: dict[str, int]) -> None:
    from renderer.layout import CoefficientLayout

    theirs = CoefficientLayout.from_dict(layout)
    for factor in FACTORS:
        assert factor_slice(layout, factor) == theirs.slice(factor)


def test_data_is_the_factors_own_and_split_by_subject(dataset: Path) -> None:
    data = load_factor(dataset, "pose")
    np.testing.assert_allclose(data.train.mean(0), [12, 13, 14], atol=0.1)  # columns are told by their mean
    assert (len(data.train), len(data.held_out)) == (570, 30)
    vectors = np.load(dataset / "coefficients.npz")["coeff"][:, 12:15]
    rows = [int(np.flatnonzero((vectors == row).all(1))[0]) for row in data.held_out]
    assert all(row ^ 1 in rows for row in rows)  # subjects have two rows each, 2k and 2k + 1


def test_training_recovers_a_correlated_gaussian() -> None:
    rng = np.random.default_rng(5)
    values = (rng.standard_normal((4000, 6)) @ rng.standard_normal((6, 6)) * [3, 1, 1, 0.1, 1, 1] + 2).astype("f4")
    from vae.data import FactorData

    data = FactorData(values[200:], values[:200], {})
    model = FactorVAE(FactorConfig.for_data("expression", data.train, latent=8, width=48))
    model.log_gamma.assign(-1.5)  # a random start, without the closed form: training alone has to get there
    trainer = Trainer(model, data, TrainingOptions(epochs=60, batch_size=128, lr=3e-3, halve_every=15))
    first = trainer.run_epoch()
    for _ in range(59):
        last = trainer.run_epoch()
    assert last["held_out/total"] < first["held_out/total"]
    report = compare(values, *draw_samples(model, 4000))
    assert report["std_ratio"] == pytest.approx(1.0, abs=0.08)
    assert report["quantile_error"] < 0.12
    assert report["correlation_error"] < 0.06


def test_report_notices_shrunken_samples() -> None:
    rng = np.random.default_rng(0)
    real = rng.standard_normal((5000, 3))
    report = compare(real, 0.5 * real, real)
    assert report["std_ratio"] == pytest.approx(0.5)
    assert report["std_ratio_with_noise"] == pytest.approx(1.0)
    assert report["correlation_error"] < 1e-6
    assert report["quantile_error"] > 0.3


def test_command_line_makes_a_sampler(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "vaes"
    main(["--factor", "all", "--data", str(dataset), "--out", str(out), *FAST, "--preset", "quick"])
    sampler = FactorSampler.load(out)
    assert (sampler.latent_size, sampler.lambda_size) == (179, 42)
    sampled = np.asarray(sampler.sample(np.random.default_rng(0).standard_normal((500, 179))))
    np.testing.assert_allclose(sampled.mean(0), np.arange(42), atol=0.15)
    np.testing.assert_allclose(sampled.std(0), 0.3, atol=0.1)
    events = EventAccumulator(str(out / "rot"))
    events.Reload()
    # `tf.summary.scalar` writes tensors
    tags = set(events.Tags()["tensors"])
    assert {"held_out/kl", "held_out/reconstruction", "train/kl", "gamma", "sampled_vs_real"} <= tags
    assert Image.open(out / "id" / "sampled_vs_real.png").width > 1000
    manifest = json.loads((out / "exp" / "factor.json").read_text())
    assert manifest["config"]["size"] == manifest["layout"]["expression"] == 4
    assert manifest["options"]["epochs"] == 2
    assert not (out / "id" / "training.npz").exists()

    before = (out / "rot" / "factor.weights.h5").stat().st_mtime_ns
    capsys.readouterr()
    again = ["--factor", "rot", "--data", str(dataset), "--out", str(out), *FAST, "--preset", "quick"]
    main(again)
    assert "finished already" in capsys.readouterr().out
    for flags, words in ((["--epochs", "9"], "epochs 2 there, 9 here"), (["--steps", "9"], "steps None there, 9 here")):
        with pytest.raises(ValueError, match=f"is finished, so that other options have no effect .*{words}"):
            main([*(again if flags[0] == "--epochs" else [*again[:6], *again[8:]]), *flags])
    assert (out / "rot" / "factor.weights.h5").stat().st_mtime_ns == before

    size = np.load(dataset / "coefficients.npz")["coeff"].shape[1]
    np.savez(dataset / "coefficients.npz", coeff=np.random.default_rng(9).standard_normal((600, size)))
    with pytest.raises(ValueError, match="holds a VAE of other coefficients"):
        main(again)


def test_interrupted_training_goes_on_to_the_same_weights(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    arguments = ["--factor", "rot", "--data", str(dataset), "--epochs", "4", "--lr", "0.01"]
    main([*arguments, "--out", str(tmp_path / "straight")])

    class Interrupted(Trainer):
        def run_epoch(self) -> dict[str, float]:
            if self.epoch == 1:  # the signal comes during the call, and Python sees it when that returns
                self._run()
                raise KeyboardInterrupt
            return super().run_epoch()

    with monkeypatch.context() as patched:
        patched.setattr(vae.train, "Trainer", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            main([*arguments, "--out", str(tmp_path / "broken")])
    assert not (tmp_path / "broken" / "rot" / "factor.json").exists()
    with pytest.raises(ValueError, match="an unfinished run with other data or options"):
        main([*arguments, "--out", str(tmp_path / "broken"), "--batch_size", "32"])
    main([*arguments, "--out", str(tmp_path / "broken")])
    assert "going on after epoch 2 of 4" in capsys.readouterr().out
    weights = [load_factor_vae(tmp_path / run / "rot").get_weights() for run in ("straight", "broken")]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_minutes_and_steps_set_the_length(dataset: Path, tmp_path: Path) -> None:
    main(["--factor", "rot", "--data", str(dataset), "--out", str(tmp_path / "a"), "--minutes", "0.000001", *FAST[2:]])
    main(["--factor", "rot", "--data", str(dataset), "--out", str(tmp_path / "b"), "--steps", "7", *FAST[2:]])
    epochs = [json.loads((tmp_path / run / "rot" / "factor.json").read_text())["options"]["epochs"] for run in "ab"]
    assert epochs == [1, 3]  # 570 vectors are 3 steps of 190


def test_broken_data_says_what_is_wrong(dataset: Path, tmp_path: Path) -> None:
    def run(folder: Path) -> None:
        main(["--factor", "exp", "--data", str(folder), "--out", str(tmp_path / "out"), *FAST])

    with pytest.raises(FileNotFoundError, match=r"nowhere/dataset.json: no such file"):
        run(tmp_path / "nowhere")
    manifest, archive = dataset / "dataset.json", dataset / "coefficients.npz"
    text, whole = manifest.read_text(), archive.read_bytes()
    archive.write_bytes(whole[:1000])
    with pytest.raises(ValueError, match=r"coefficients.npz: expected an array 'coeff'"):
        run(dataset)
    archive.unlink()
    with pytest.raises(FileNotFoundError, match=r"coefficients.npz: no such file"):
        run(dataset)
    np.savez(archive, coeff=np.zeros((10, 44), np.float32))
    with pytest.raises(ValueError, match=r"should be \[N ≥ 4, 45\]"):
        run(dataset)
    np.savez(archive, coeff=np.full((10, 45), np.nan, np.float32))
    with pytest.raises(ValueError, match="finite"):
        run(dataset)
    manifest.write_text(json.dumps({"layout": None}))
    with pytest.raises(ValueError, match=r"this dataset does not have\. Received: None"):
        run(dataset)
    manifest.write_text(text[:10])
    with pytest.raises(ValueError, match="not a dataset manifest"):
        run(dataset)
    with pytest.raises(SystemExit) as usage:
        main(["--factor", "hair", "--data", str(dataset), "--out", str(tmp_path)])
    assert usage.value.code == 2
    with pytest.raises(ValueError, match=r"lr: expected a number above 0, at most 1. Received: -1"):
        TrainingOptions(epochs=1, batch_size=1, lr=-1.0, halve_every=1)
