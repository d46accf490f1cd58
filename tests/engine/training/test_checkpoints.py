"""A checkpoint is whole or absent."""

import pytest
import torch

from sptar_engine.training.checkpoints import load_checkpoint, save_checkpoint


def test_state_comes_back_as_it_was(tmp_path) -> None:
    save_checkpoint(tmp_path / "c.pt", {"weights": {"a": torch.arange(3.0)}, "losses": [0.5], "step": 4})
    state = load_checkpoint(tmp_path / "c.pt")
    assert state is not None and state["losses"] == [0.5] and state["step"] == 4
    assert torch.equal(state["weights"]["a"], torch.arange(3.0))
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]


def test_no_file_is_no_state(tmp_path) -> None:
    assert load_checkpoint(tmp_path / "c.pt") is None


@pytest.mark.parametrize("keep", [0, 10, 200])
def test_cut_file_is_no_state(tmp_path, keep) -> None:
    save_checkpoint(tmp_path / "c.pt", {"weights": torch.arange(100.0)})
    (tmp_path / "c.pt").write_bytes((tmp_path / "c.pt").read_bytes()[:keep])
    assert load_checkpoint(tmp_path / "c.pt") is None


def test_failed_write_leaves_the_state_before(tmp_path) -> None:
    save_checkpoint(tmp_path / "c.pt", {"step": 1})
    with pytest.raises(AttributeError):
        save_checkpoint(tmp_path / "c.pt", {"step": lambda: 2})
    assert load_checkpoint(tmp_path / "c.pt") == {"step": 1}
