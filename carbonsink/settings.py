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
from environs import Env, validate

from carbonsink.buckets import storages
from carbonsink.logs import LOGGING as LOGGING
from carbonsink.theme import UNFOLD as UNFOLD

env = Env()
BASE_DIR = Path(__file__).resolve().parent.parent
env.read_env(str(BASE_DIR / ".env"), recurse=False)

DEPLOYMENT = env.str("DEPLOYMENT", "production", validate=validate.OneOf(["production", "demo", "test"]))
IS_PRODUCTION = DEPLOYMENT == "production"
DEBUG = env.bool("DEBUG", False)

# Throw-away values that only DEPLOYMENT=test may fall back to.
TEST_SECRETS = {
    "SECRET_KEY": "test-only-secret-key-that-protects-nothing-at-all",
    "FIELD_ENCRYPTION_KEYS": "dGVzdC1vbmx5LWtleS10aGF0LXByb3RlY3RzLW5vbmU=",
    "FIELD_LOOKUP_KEYS": "t1:" + "00" * 32,
    "DATABASE_URL": "postgres://127.0.0.1:1/unset",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}


def secret(name: str) -> str:
    """A value that must be given, except in tests."""
    value = env.str(name, "")
    if value:
        return value
    if DEPLOYMENT == "test":
        return TEST_SECRETS[name]
    raise ImproperlyConfigured(f"{name} is not set. Set it in the environment; see .env.example.")


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
# The run of payouts: every night, or every so many seconds where people watch.
PAYOUT_RUN_SECONDS = env.float("PAYOUT_RUN_SECONDS", 0.0)
DAILY: dict[str, Any] = {
    "trees.tasks.expire_trees": crontab(hour="0", minute="20"),
    "trees.tasks.draw_second_looks": crontab(hour="1", minute="30"),
    "payouts.tasks.run_payouts": PAYOUT_RUN_SECONDS or crontab(hour="2", minute="15"),
    "trees.tasks.drop_old_uploads": crontab(hour="3", minute="40"),
    "purchases.tasks.book_fees": crontab(hour="10", minute="30"),
    "purchases.tasks.remind_buyers": crontab(hour="9", minute="10"),
    "purchases.tasks.compare_bills": crontab(hour="10", minute="50"),
}
CELERY_BEAT_SCHEDULE |= {
    task: {"task": task, "schedule": at, "options": {"expires": 3600}} for task, at in DAILY.items()
}

# The money that comes in.
PAYMENT_GATEWAYS = env.list("PAYMENT_GATEWAYS", ["wechatpay"])
# Of their products only these, such as wechatpay.native; empty: all of them.
PAYMENT_PRODUCTS: list[str] = env.list("PAYMENT_PRODUCTS", [])
WECHATPAY_BASE_URL = env.str("WECHATPAY_BASE_URL", "https://api.mch.weixin.qq.com").rstrip("/")
WECHATPAY_MCHID = env.str("WECHATPAY_MCHID", "")
WECHATPAY_APPID = env.str("WECHATPAY_APPID", "")
WECHATPAY_MERCHANT_SERIAL = env.str("WECHATPAY_MERCHANT_SERIAL", "")
WECHATPAY_MERCHANT_KEY_FILE = env.str("WECHATPAY_MERCHANT_KEY_FILE", "")
WECHATPAY_APIV3_KEY_FILE = env.str("WECHATPAY_APIV3_KEY_FILE", "")
WECHATPAY_PUBLIC_KEY_ID = env.str("WECHATPAY_PUBLIC_KEY_ID", "")
WECHATPAY_PUBLIC_KEY_FILE = env.str("WECHATPAY_PUBLIC_KEY_FILE", "")
WECHAT_OAUTH_AUTHORIZE_URL = env.str(
    "WECHAT_OAUTH_AUTHORIZE_URL", "https://open.weixin.qq.com/connect/oauth2/authorize"
)
WECHAT_API_BASE_URL = env.str("WECHAT_API_BASE_URL", "https://api.weixin.qq.com").rstrip("/")
WECHAT_APP_SECRET_FILE = env.str("WECHAT_APP_SECRET_FILE", "")
ALIPAY_GATEWAY_URL = env.str("ALIPAY_GATEWAY_URL", "https://openapi.alipay.com/gateway.do")
ALIPAY_APP_ID = env.str("ALIPAY_APP_ID", "")
ALIPAY_SELLER_ID = env.str("ALIPAY_SELLER_ID", "")
ALIPAY_APP_KEY_FILE = env.str("ALIPAY_APP_KEY_FILE", "")
ALIPAY_PUBLIC_KEY_FILE = env.str("ALIPAY_PUBLIC_KEY_FILE", "")


# The account for bank transfers: what buyers are shown, and by which code its statements are kept.
TRANSFER_BANK_CODE = env.str("TRANSFER_BANK_CODE", "bank")
TRANSFER_BANK_NAME = env.str("TRANSFER_BANK_NAME", "")
TRANSFER_ACCOUNT_HOLDER = env.str("TRANSFER_ACCOUNT_HOLDER", "")
TRANSFER_ACCOUNT_NUMBER = env.str("TRANSFER_ACCOUNT_NUMBER", "")
# How long a buyer may give trees back, and what the paper for the buyer's books is called in this programme.
REFUND_DAYS = env.int("REFUND_DAYS", 7)
RECEIPT_TITLE = env.str("RECEIPT_TITLE", "收款收据")

# The money that goes out.
PAYOUT_BANK = env.str("PAYOUT_BANK", "standin" if not IS_PRODUCTION else "")
STANDIN_BANK_URL = env.str("STANDIN_BANK_URL", "").rstrip("/")
STANDIN_BANK_CLIENT_ID = env.str("STANDIN_BANK_CLIENT_ID", "")
STANDIN_BANK_CLIENT_KEY_FILE = env.str("STANDIN_BANK_CLIENT_KEY_FILE", "")
STANDIN_BANK_PUBLIC_KEY_FILE = env.str("STANDIN_BANK_PUBLIC_KEY_FILE", "")
STANDIN_BANK_ESCROW_ACCOUNT = env.str("STANDIN_BANK_ESCROW_ACCOUNT", "")
OUTSIDE_TIMEOUT_SECONDS = env.float("OUTSIDE_TIMEOUT_SECONDS", 10.0)
PAYOUT_MINIMUM_FEN = env.int("PAYOUT_MINIMUM_FEN", 1)
PAYOUT_APPROVAL_ABOVE_FEN = env.int("PAYOUT_APPROVAL_ABOVE_FEN", 500_000)
ACCOUNT_COOLING_HOURS = env.int("ACCOUNT_COOLING_HOURS", 72)
SPONSOR_NAMES = env.list("SPONSOR_NAMES", [] if IS_PRODUCTION else ["单株碳汇扶持基金会"])
GATEWAY_SETTLEMENT_NAMES: dict[str, str] = dict(
    env.json(
        "GATEWAY_SETTLEMENT_NAMES",
        {
            "财付通支付科技有限公司": "wechatpay",
            "支付宝（中国）网络技术有限公司": "alipay",
            "对公转账归集": "transfer",
        },
    )
)

# The rules of holding sinks until they are paid.
HOLD_MINUTES = env.int("HOLD_MINUTES", 15)
UNPAID_SINKS_PER_BUYER = env.int("UNPAID_SINKS_PER_BUYER", 1_000)
UNPAID_SINKS_PER_ADDRESS = env.int("UNPAID_SINKS_PER_ADDRESS", 5_000)
UNPAID_SINKS_IN_ALL = env.int("UNPAID_SINKS_IN_ALL", 500_000)
UNPAID_SINKS_PER_ORGANISATION = env.int("UNPAID_SINKS_PER_ORGANISATION", 500_000)
TRANSFER_HOLD_DAYS = env.int("TRANSFER_HOLD_DAYS", 5)
ORDER_MAX_TREES = env.int("ORDER_MAX_TREES", 500_000)
# Larger orders are put together in the background.
ORDER_SMALL = env.int("ORDER_SMALL", 1_000)

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
