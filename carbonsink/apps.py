from django.apps import AppConfig


class CarbonsinkConfig(AppConfig):
    name = "carbonsink"
    label = "carbonsink"

    def ready(self) -> None:
        # Loading them is enough: tasks find the app, Django finds the checks.
        from carbonsink import celery, checks  # noqa: F401
