import pytest

from sptar_engine.errors import Cancelled
from sptar_engine.training.parts import Parts


def test_part_is_made_once(tmp_path) -> None:
    parts = Parts(tmp_path / "parts")
    assert parts.make(3, lambda: [{"a": 1}, {"a": 2}])
    assert not parts.make(3, lambda: pytest.fail("done already"))
    assert list(parts.read(3)) == [{"a": 1}, {"a": 2}]


def test_part_that_was_stopped_leaves_nothing_and_is_made_again(tmp_path) -> None:
    def stopped():
        yield {"a": 1}
        raise Cancelled("stop")

    parts = Parts(tmp_path / "parts")
    with pytest.raises(Cancelled):
        parts.make(0, stopped)
    assert list((tmp_path / "parts").iterdir()) == []
    assert parts.make(0, lambda: [{"a": 2}])
    assert list(parts.read(0)) == [{"a": 2}]
