from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TreesConfig(AppConfig):
    name = "trees"
    verbose_name = _("registry")

    def ready(self) -> None:
        from pillow_heif import register_heif_opener

        register_heif_opener(thumbnails=False)
