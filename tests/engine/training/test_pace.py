from torch import nn

from sptar_engine.training.pace import parameter_groups, set_pace


def test_groups_hold_what_is_trained_by_pace() -> None:
    module = nn.Sequential(nn.Linear(1, 2), nn.Linear(2, 3), nn.Linear(3, 1))
    set_pace(module[2].parameters(), 50.0)
    module[0].weight.requires_grad = False
    groups = parameter_groups(module)
    assert [(group["pace"], len(group["params"])) for group in groups] == [(1.0, 3), (50.0, 2)]
    assert groups[1]["params"] == list(module[2].parameters())
