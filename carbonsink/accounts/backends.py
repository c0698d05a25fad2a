from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from carbonsink.accounts.models import User
from carbonsink.crypto import digest


class PhoneOrEmailBackend(ModelBackend):
    """Signs in by mobile number or e-mail and password."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        if not username or password is None:
            return None
        user = User.objects.by_identifier(username)
        if user is None:
            User().set_password(password)  # As slow as a wrong password, so that nobody learns who has an account.
            return None
        return user if user.check_password(password) and self.user_can_authenticate(user) else None


def attempt_key(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """The name under which failed sign-ins are counted: a digest, since the identifier may be a phone number."""
    name = (credentials or {}).get("username") or request.POST.get("username", "")
    # Letter by letter: the normalised form of a phone number would make one account of a.b@ and ab@.
    return digest(name.strip().lower().encode().hex() if "@" in name else name) if name else ""
