from webapp.models import Project


def test_a_project_has_an_address_that_cannot_be_guessed(project: Project) -> None:
    assert len(project.slug) == 10
