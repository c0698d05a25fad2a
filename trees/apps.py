from django.apps import AppConfig


class TreesConfig(AppConfig):
    name = "trees"

    def ready(self) -> None:
        from pillow_heif import register_heif_opener

        register_heif_opener(thumbnails=False)
