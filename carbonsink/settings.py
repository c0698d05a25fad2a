"""All settings, from the environment; `.env.example` documents each variable.

Safe by default: without DEPLOYMENT=demo or test this is production, where a missing secret stops the start.
"""

from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from celery.schedules import crontab
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from carbonsink.buckets import storages
from carbonsink.environment import BASE_DIR, DEPLOYMENT, IS_PRODUCTION, env, secret
from carbonsink.logs import LOGGING as LOGGING
from carbonsink.money_settings import *  # noqa: F403
from carbonsink.money_settings import OUTSIDE_TIMEOUT_SECONDS
from carbonsink.theme import UNFOLD as UNFOLD

DEBUG = env.bool("DEBUG", False)


def tiles_origin(url: str) -> str:
    """The origin a browser may load map tiles from; {s} stands for any subdomain."""
    parts = urlsplit(url.replace("{s}", "*"))
    if parts.scheme not in ("https", "http") or not parts.netloc:
        raise ImproperlyConfigured("MAP_TILES_URL must look like https://host/{z}/{x}/{y}.png.")
    return f"{parts.scheme}://{parts.netloc}"


SECRET_KEY = secret("SECRET_KEY")
FIELD_ENCRYPTION_KEYS = secret("FIELD_ENCRYPTION_KEYS").split(",")
FIELD_LOOKUP_KEYS = dict(pair.split(":", 1) for pair in secret("FIELD_LOOKUP_KEYS").split(","))

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", ["127.0.0.1", "localhost"] if not IS_PRODUCTION else [])
PUBLIC_BASE_URL = env.str("PUBLIC_BASE_URL", "" if IS_PRODUCTION else "http://127.0.0.1:8000").rstrip("/")
CSRF_TRUSTED_ORIGINS = [PUBLIC_BASE_URL] if PUBLIC_BASE_URL else []

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "csp",
    "axes",
    "carbonsink",
    "carbonsink.accounts",
    "carbonsink.ledger",
    "carbonsink.messages",
    "trees",
    "purchases",
    "payouts",
]

MIDDLEWARE = [
    "carbonsink.logs.RequestIdMiddleware",
    "carbonsink.errors.RequestSizeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "carbonsink.errors.DomainErrorMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "carbonsink.urls"
WSGI_APPLICATION = "carbonsink.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "builtins": ["carbonsink.templatetags.money"],
        },
    },
]

DATABASE_URL = secret("DATABASE_URL")
DATABASES = {"default": env.dj_db_url("DATABASE_URL", DATABASE_URL, conn_max_age=60, conn_health_checks=True)}
if DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
    raise ImproperlyConfigured("DATABASE_URL must name a PostgreSQL server: only PostgreSQL keeps our promises.")
DATABASES["default"].setdefault("OPTIONS", {})["application_name"] = "carbonsink"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = secret("REDIS_URL")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "carbonsink",
    }
}

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "carbonsink.accounts.backends.PhoneOrEmailBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "after-sign-in"
LOGOUT_REDIRECT_URL = "/"
AXES_FAILURE_LIMIT = env.int("SIGN_IN_FAILURE_LIMIT", 8)
AXES_COOLOFF_TIME = timedelta(minutes=15)
# Failures are counted for each account: a whole village may share one address.
AXES_LOCKOUT_PARAMETERS = ["username"]
SILENCED_SYSTEM_CHECKS = ["axes.W006"]
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False
AXES_USERNAME_CALLABLE = "carbonsink.accounts.backends.attempt_key"
AXES_SENSITIVE_PARAMETERS = ["username", "identifier", "phone"]
AXES_DISABLE_ACCESS_LOG = True
AXES_LOCKOUT_TEMPLATE = "accounts/locked.html"

# Pages are served over HTTPS in production; the demo is plain HTTP on loopback.
BEHIND_PROXY = env.bool("BEHIND_PROXY", False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
SECURE_SSL_REDIRECT = IS_PRODUCTION
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
SECURE_HSTS_SECONDS = 31536000 if IS_PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = IS_PRODUCTION
SECURE_HSTS_PRELOAD = IS_PRODUCTION
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_PRODUCTION
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
# The desk's map shows points on plain paper, or on the tiles of a server: https://host/{z}/{x}/{y}.png
MAP_TILES_URL = env.str("MAP_TILES_URL", "")
MAP_TILES_ATTRIBUTION = env.str("MAP_TILES_ATTRIBUTION", "")
CONTENT_SECURITY_POLICY = {
    "EXCLUDE_URL_PREFIXES": ["/admin/"],
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:", "blob:", *([tiles_origin(MAP_TILES_URL)] if MAP_TILES_URL else [])],
        "connect-src": [SELF],
        "worker-src": [SELF],
        "manifest-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    },
}

LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", "简体中文"), ("en", "English")]
# A chosen language outlives the browser, as phones close it all the time.
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "Asia/Shanghai"
USE_THOUSAND_SEPARATOR = True
FORMAT_MODULE_PATH = "carbonsink.formats"

STATIC_URL = "static/"
# Of django-leaflet only the files: as an app it wants GDAL, which nothing here needs.
LEAFLET = Path(str(find_spec("leaflet").origin)).parent / "static" / "leaflet"  # type: ignore[union-attr]
STATICFILES_DIRS = [BASE_DIR / "static", ("leaflet", LEAFLET)]
STATIC_ROOT = Path(env.str("STATIC_ROOT", str(BASE_DIR / "staticfiles")))
MEDIA_ROOT = Path(env.str("MEDIA_ROOT", str(BASE_DIR / "media")))
MEDIA_URL = "media/"
STATIC_STORAGE = {
    "production": "whitenoise.storage.CompressedManifestStaticFilesStorage",
    # Compressing takes half a minute, which a demo on loopback does not win back.
    "demo": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage",
    "test": "django.contrib.staticfiles.storage.StaticFilesStorage",
}
STORAGES = storages(env, MEDIA_ROOT, STATIC_STORAGE[DEPLOYMENT])
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
# A photo with its form; a longer request is refused before it is read.
REQUEST_MAX_BYTES = 16 * 1024 * 1024
PHOTO_MAX_BYTES = 15 * 1024 * 1024
PHOTO_MAX_PIXELS = 70_000_000

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [
        "rest_framework.parsers.JSONParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "carbonsink.api.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Single-tree carbon sinks",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# A task is acknowledged after it ran and comes back when its worker dies; none may outlive the broker's patience,
# or Redis hands it to a second worker (visibility_timeout).
CELERY_BROKER_URL = REDIS_URL
# Photos are decoded by workers of their own (`-Q photos`), so that none of them keeps money waiting.
CELERY_TASK_ROUTES = {"trees.tasks.process_photo": {"queue": "photos"}}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_POOL = "carbonsink.workers:TaskPool"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_TIME_LIMIT = 600
CELERY_TASK_SOFT_TIME_LIMIT = 540
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 6 * 3600}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = TIME_ZONE
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_WORKER_MAX_MEMORY_PER_CHILD = 500_000
SWEEP_SECONDS = env.float("SWEEP_SECONDS", 15.0 if IS_PRODUCTION else 2.0)
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    task: {"task": task, "schedule": SWEEP_SECONDS, "options": {"expires": SWEEP_SECONDS}}
    for task in (
        "trees.tasks.sweep_photos",
        "trees.tasks.look_at_imports",
        "purchases.tasks.sweep",
        "payouts.tasks.sweep",
        "carbonsink.messages.tasks.send_messages",
    )
}
# How often every sink is looked at for the counts by species that the pages show.
CELERY_BEAT_SCHEDULE["purchases.tasks.take_survey"] = {
    "task": "purchases.tasks.take_survey",
    "schedule": 600.0,
    "options": {"expires": 600.0},
}
# How often is looked for what takes too long, and people are told of what must be looked at.
CELERY_BEAT_SCHEDULE["payouts.tasks.watch"] = {
    "task": "payouts.tasks.watch",
    "schedule": 60.0,
    "options": {"expires": 60.0},
}
# The run of payouts: every night, or every so many seconds where people watch.
PAYOUT_RUN_SECONDS = env.float("PAYOUT_RUN_SECONDS", 0.0)
DAILY: dict[str, Any] = {
    "trees.tasks.expire_trees": crontab(hour="0", minute="20"),
    "trees.tasks.draw_second_looks": crontab(hour="1", minute="30"),
    "payouts.tasks.run_payouts": PAYOUT_RUN_SECONDS or crontab(hour="2", minute="15"),
    "trees.tasks.drop_old_uploads": crontab(hour="3", minute="40"),
    "payouts.tasks.publish_daily_statement": crontab(hour="6", minute="30"),
    "purchases.tasks.book_fees": crontab(hour="10", minute="30"),
    "purchases.tasks.remind_buyers": crontab(hour="9", minute="10"),
    "purchases.tasks.compare_bills": crontab(hour="10", minute="50"),
    "payouts.tasks.reconcile_days": crontab(hour="11,15,19", minute="20"),
}
CELERY_BEAT_SCHEDULE |= {
    task: {"task": task, "schedule": at, "options": {"expires": 3600}} for task, at in DAILY.items()
}

# Messages to buyers: e-mail by a server, SMS by a provider. The demo lays both into a folder, where visitors find them.
MESSAGES_FOLDER = env.str("MESSAGES_FOLDER", "")
MAIL = env.dj_email_url("EMAIL_URL", "smtp://localhost:25" if IS_PRODUCTION else "console://")
EMAIL_BACKEND = MAIL["EMAIL_BACKEND"]
EMAIL_HOST, EMAIL_PORT = MAIL["EMAIL_HOST"], MAIL["EMAIL_PORT"]
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = MAIL["EMAIL_HOST_USER"], MAIL["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS, EMAIL_USE_SSL = MAIL["EMAIL_USE_TLS"], MAIL["EMAIL_USE_SSL"]
if MESSAGES_FOLDER:
    EMAIL_BACKEND, EMAIL_FILE_PATH = "django.core.mail.backends.filebased.EmailBackend", MESSAGES_FOLDER
DEFAULT_FROM_EMAIL = env.str("MAIL_FROM", "noreply@localhost")
EMAIL_TIMEOUT = OUTSIDE_TIMEOUT_SECONDS
SMS_PROVIDER = env.str("SMS_PROVIDER", "folder" if MESSAGES_FOLDER else "console")
# Buyers who asked for it are reminded so many days before their certificate's year ends.
REMIND_DAYS = env.int("REMIND_DAYS", 30)

CERTIFICATE_KEY_FILE = env.str("CERTIFICATE_KEY_FILE", "")
CERTIFICATE_FORMER_KEYS: list[str] = env.list("CERTIFICATE_FORMER_KEYS", [])
