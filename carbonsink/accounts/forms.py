from django.contrib.auth.forms import AuthenticationForm
from django.forms import CharField, TextInput
from django.utils.translation import gettext_lazy as _


class SignInForm(AuthenticationForm):
    """Phone or e-mail, and password."""

    username = CharField(
        label=_("Mobile number or e-mail"),
        max_length=254,
        widget=TextInput(attrs={"autofocus": True, "autocomplete": "username", "inputmode": "email"}),
    )
    error_messages = {
        "invalid_login": _("This number or e-mail and password do not belong together. Check both and try again."),
        "inactive": _("This account is closed. Ask your county office."),
    }
