from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "carbonsink.accounts"
    label = "accounts"
    verbose_name = _("people")

    def ready(self) -> None:
        from carbonsink.accounts import roles

        # Django makes permissions only after all migrations: the groups get theirs then.
        post_migrate.connect(roles.grant_permissions, dispatch_uid="accounts.grant_permissions")
