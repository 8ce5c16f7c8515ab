from __future__ import annotations

import pytest

from renderer.assets import ASSETS, main


def lines_of(printed: str, name: str) -> list[str]:
    block = next(block for block in printed.split("\n\n") if block.startswith(name))
    return block.splitlines()


def test_everything_missing(tmp_path, capsys):
    main(["--folder", str(tmp_path)])
    printed = capsys.readouterr().out
    for asset in ASSETS:
        block = lines_of(printed, asset.name)
        assert block[0] == f"{asset.name}: missing" and f"  licence  {asset.licence}" in block
        assert any(line.startswith("  from") for line in block) and any(line.startswith("  for") for line in block)
    assert "built-in face model: present" in printed


def test_present_and_incomplete(tmp_path, capsys):
    (tmp_path / "a" / "BFM").mkdir(parents=True)
    (tmp_path / "a" / "01_MorphableModel.mat").touch()
    (tmp_path / "a" / "BFM" / "std_exp.txt").touch()
    main(["--folder", str(tmp_path)])
    printed = capsys.readouterr().out
    basel = lines_of(printed, "Basel Face Model 2009")
    assert basel[:2] == ["Basel Face Model 2009: present", f"  in       {tmp_path / 'a'}"]
    assert not any(line.startswith("  from") for line in basel)
    index = lines_of(printed, "Index files")
    assert "incomplete, without BFM_front_idx.mat" in index[0] and "std_exp" not in index[0]


def test_no_such_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a folder"):
        main(["--folder", str(tmp_path / "nowhere")])
