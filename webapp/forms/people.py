"""Forms of accounts, projects and members."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms

from webapp.models import Project, Role, User

THEMES = (("", "As the system"), ("light", "Light"), ("dark", "Dark"))


class LoginForm(forms.Form):
    """E-mail address and password."""

    email = forms.EmailField(
        label="E-mail address", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "username"})
    )
    password = forms.CharField(
        max_length=1000, strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )


class NewPasswordForm(forms.Form):
    """A new password; the service checks its strength."""

    password = forms.CharField(
        label="New password",
        max_length=1000,
        strip=False,
        help_text="At least 10 characters, not only digits, nothing common. A few unrelated words are good.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class ChangePasswordForm(NewPasswordForm):
    """The old password, when there is one, and a new one."""

    old = forms.CharField(
        label="Present password",
        max_length=1000,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    field_order = ("old", "password")

    def __init__(self, user: User, data: Any = None) -> None:
        super().__init__(data)
        self.user = user
        if not user.has_usable_password():  # they came by a link and never had one
            del self.fields["old"]

    def clean_old(self) -> str:
        """Refuse a wrong password."""
        old = str(self.cleaned_data["old"])
        if not self.user.check_password(old):
            raise forms.ValidationError("This is not your present password.")
        return old


class SignUpForm(NewPasswordForm):
    """A new account. With `email` given (an invitation to an address), the address is fixed."""

    email = forms.EmailField(
        label="E-mail address", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "username"})
    )
    name = forms.CharField(
        label="Your name",
        max_length=100,
        help_text="Shown beside what you do.",
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    field_order = ("email", "name", "password")

    def __init__(self, data: Any = None, *, email: str = "") -> None:
        super().__init__(data, initial={"email": email})
        self.fields["password"].label = "Password"
        if email:
            self.fields["email"].disabled = True


class ProfileForm(forms.ModelForm):
    """What a person chooses about themselves."""

    theme = forms.ChoiceField(label="Colours", choices=THEMES, required=False, widget=forms.RadioSelect)

    class Meta:
        model = User
        fields = ("name", "shortcuts")
        help_texts: ClassVar = {
            "name": "Shown beside what you do.",
            "shortcuts": "One key presses a button, such as N for next. Switch this off if you use speech input.",
        }


class ProjectForm(forms.ModelForm):
    """Name and description."""

    class Meta:
        model = Project
        fields = ("name", "description")
        widgets: ClassVar = {
            "name": forms.TextInput(attrs={"dir": "auto"}),
            "description": forms.Textarea(attrs={"rows": 3, "dir": "auto", "maxlength": 500}),
        }
        help_texts: ClassVar = {
            "name": "For example: Library rules, Turbine manuals.",
            "description": "One or two sentences for the people you invite.",
        }


class RoleForm(forms.Form):
    """One role."""

    role = forms.ChoiceField(choices=Role.choices)

    def clean_role(self) -> Role:
        """The role as such."""
        return Role(self.cleaned_data["role"])


class InvitationForm(RoleForm):
    """Whom to invite, and as what."""

    email = forms.EmailField(
        label="E-mail address",
        max_length=254,
        required=False,
        help_text="With an address only that person can use the link. Nothing is sent: you hand the link over.",
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )
    field_order = ("role", "email")

    def __init__(self, data: Any = None) -> None:
        super().__init__(data, initial={"role": Role.REVIEWER})
        self.fields["role"].choices = [(role.value, f"{role.label}: {role.explained}") for role in Role]


class DeleteProjectForm(forms.Form):
    """The project's name, typed by hand."""

    name = forms.CharField(
        label="Type the project's name",
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "off", "dir": "auto"}),
    )

    def __init__(self, project: Project, data: Any = None) -> None:
        super().__init__(data, auto_id="delete_%s")  # the page has another field `name`
        self.project = project

    def clean_name(self) -> str:
        """Refuse anything but the name."""
        name = str(self.cleaned_data["name"]).strip()
        if name != self.project.name.strip():
            raise forms.ValidationError("This is not the project's name. Nothing was deleted.")
        return name


@dataclass(frozen=True, slots=True)
class LogFilter:
    """What part of the log to show."""

    before: int | None = None
    actor: int | None = None
    verb: str = ""

    @property
    def noun(self) -> str:
        """What the verb is about."""
        return self.verb.partition(".")[0]


class LogFilterForm(forms.Form):
    """The log's query string. What is nonsense is as if it were not there."""

    before = forms.IntegerField(min_value=1, max_value=2**63 - 1, required=False)
    actor = forms.IntegerField(min_value=1, max_value=2**63 - 1, required=False)
    verb = forms.RegexField(r"^[a-z_]{1,30}(\.[a-z_]{0,30})?$", required=False)

    def chosen(self) -> LogFilter:
        """The values that are good."""
        self.is_valid()
        good = self.cleaned_data
        return LogFilter(before=good.get("before"), actor=good.get("actor"), verb=good.get("verb") or "")
