import numpy as np

from sptar_engine.retrieval.progress import Progress


def test_last_arrays_are_read_back(tmp_path) -> None:
    progress = Progress(tmp_path / "scratch", "a" * 64)
    assert progress.load() is None
    progress.save(done=np.array(1), scores=np.zeros((2, 2), np.float32))
    progress.save(done=np.array(2), scores=np.ones((2, 2), np.float32))
    state = Progress(tmp_path / "scratch", "a" * 64).load()
    assert state is not None
    assert int(state["done"]) == 2
    assert state["scores"].tolist() == [[1, 1], [1, 1]]
    assert Progress(tmp_path / "scratch", "b" * 64).load() is None


def test_damaged_file_is_as_good_as_none(tmp_path) -> None:
    progress = Progress(tmp_path, "a" * 64)
    progress.save(done=np.array(1))
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:40])
    assert progress.load() is None


def test_nothing_is_kept_without_a_folder() -> None:
    progress = Progress(None, "a" * 64)
    progress.save(done=np.array(1))
    assert progress.load() is None
