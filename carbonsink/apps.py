from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CarbonsinkConfig(AppConfig):
    name = "carbonsink"
    label = "carbonsink"
    verbose_name = _("ground floor")

    def ready(self) -> None:
        # Loading them is enough: tasks find the app, Django finds the checks.
        from carbonsink import celery, checks  # noqa: F401
