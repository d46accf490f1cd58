"""Settings of the web application. Everything that differs between machines comes from the environment or `.env`.

Embedded mode (the default) needs nothing: SQLite and a private Redis on a Unix socket, all in `SPTAR_DATA`.
`DATABASE_URL` and `REDIS_URL` choose servers instead.
"""

from __future__ import annotations

import os
from pathlib import Path

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from environ.fileaware_mapping import FileAwareMapping

from webapp.operations.secret_key import kept_key


class _Environment(environ.FileAwareEnv):
    """NAME_FILE is read where NAME is a secret kept in a file. `.env` is not passed on to child processes."""

    ENVIRON = FileAwareMapping(dict(os.environ))


BASE_DIR = Path(__file__).resolve().parent.parent

env = _Environment()
env.read_env(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", default=False)
DATA_DIR = Path(env.str("SPTAR_DATA", default=str(BASE_DIR / "var" / "app"))).resolve()
"""Database, uploads, results, models and sockets. No command removes it."""

SECRET_KEY = env.str("SECRET_KEY", default="") or kept_key(DATA_DIR, make=env.bool("SPTAR_MAKES_KEY", default=False))
_PUBLIC_KEYS = ("only-for-debugging-", "django-insecure-")
if not SECRET_KEY and DEBUG:
    SECRET_KEY = "only-for-debugging-" + "x" * 40
if not DEBUG and (len(SECRET_KEY) < 50 or len(set(SECRET_KEY)) < 5 or SECRET_KEY.startswith(_PUBLIC_KEYS)):
    raise ImproperlyConfigured(
        "SECRET_KEY is missing, shorter than 50 characters, or one that is not secret; set it, or SECRET_KEY_FILE, or "
        "start with `make up`, which makes one and keeps it in the data folder."
    )

PORT = env.int("PORT", default=8000)
"""Where `manage.py up` lets the web process listen, on 127.0.0.1."""
LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=list(LOCAL_HOSTS))
if any("*" in host for host in ALLOWED_HOSTS):
    raise ImproperlyConfigured("ALLOWED_HOSTS must name the hosts; * would let anybody forge links to this server.")
if DEBUG and not set(ALLOWED_HOSTS) <= set(LOCAL_HOSTS):
    raise ImproperlyConfigured(
        "DEBUG shows settings and code to whoever causes an error: it is for this machine only. Switch it off, or take "
        f"the public hosts out of ALLOWED_HOSTS: {', '.join(sorted(set(ALLOWED_HOSTS) - set(LOCAL_HOSTS)))}."
    )
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# Behind TLS (the default outside embedded mode) cookies are secure and HTTP is redirected. Embedded mode answers on
# 127.0.0.1 over plain HTTP, where browsers would drop secure cookies.
HTTPS = env.bool("HTTPS", default=False)
SECURE_SSL_REDIRECT = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
BEHIND_PROXY = env.bool("BEHIND_PROXY", default=False)
"""Whether a proxy of ours sets X-Forwarded-Proto and X-Forwarded-For. Only then are they believed."""
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 24 * 3600  # seconds
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "webapp.views.errors.csrf_failed"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "csp",
    "django_htmx",
    "django_rq",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "webapp",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "webapp.middleware.extra_headers",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "webapp.middleware.LoginRequired",
    "webapp.middleware.note_session",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "webapp.middleware.own_method_page",
]

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],  # Bootstrap's style sheet draws its marks as data: images
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}

ROOT_URLCONF = "webapp.urls"
WSGI_APPLICATION = "webapp.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "webapp.context.site",
            ],
            "builtins": ["webapp.templatetags.sptar", "django.templatetags.static", "django.templatetags.i18n"],
        },
    }
]

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'sptar.sqlite3'}")}
DATABASES["default"]["ATOMIC_REQUESTS"] = False
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # IMMEDIATE takes the write lock at the start, so that a transaction never fails half-way with "locked".
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        # Labels cannot be recomputed, so every commit reaches the disk (synchronous = FULL).
        "init_command": (
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; "
            "PRAGMA busy_timeout = 30000; PRAGMA cache_size = -32000; PRAGMA mmap_size = 134217728"
        ),
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "webapp.User"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
SIGN_UP = env.bool("SIGN_UP", default=False)
"""Whether strangers may make an account. People are invited otherwise."""
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_ATTEMPTS = 10
"""Wrong passwords for one address, or from one host, before log-in pauses for LOGIN_PAUSE seconds."""
LOGIN_PAUSE = 600

REDIS_SOCKET = DATA_DIR / "redis" / "redis.sock"
REDIS_URL = env.str("REDIS_URL", default=f"unix://{REDIS_SOCKET}?db=0")
# Seconds: a Redis that hangs holds no page for long. A worker waits longer for its next job; rq raises the limit for
# that. They stand in the URL, since django_rq hands no other settings on; what REDIS_URL itself says comes first.
REDIS_LIMITS = "socket_connect_timeout=2&socket_timeout=3&health_check_interval=30"
_QUEUE = {
    "URL": f"{REDIS_URL}{'&' if '?' in REDIS_URL else '?'}{REDIS_LIMITS}",
    "DEFAULT_TIMEOUT": 48 * 3600,  # seconds; the jobs keep their own time limits (webapp.jobs)
    "SERIALIZER": "rq.serializers.JSONSerializer",
}
RQ_QUEUES = {name: dict(_QUEUE) for name in ("gpu", "cpu", "short")}
RQ = {"JOB_CLASS": "webapp.jobs.job_class.SptarJob", "SHOW_ADMIN_LINK": False, "COMMIT_MODE": "auto"}

SEARCH_SOCKET = DATA_DIR / "search" / "search.sock"
SEARCH_BASE = env.str("SEARCH_BASE", default="all-minilm-l6-v2")
"""The untrained encoder whose hits stand beside BM25's and whose vectors give the topics; a name of the catalogue."""
LEASE_SECONDS = env.int("LEASE_SECONDS", default=60)
HEARTBEAT_SECONDS = env.int("HEARTBEAT_SECONDS", default=10)
STAGE_TIMEOUT = env.int("STAGE_TIMEOUT", default=24 * 3600)  # seconds of one attempt
ERRAND_TIMEOUT = env.int("ERRAND_TIMEOUT", default=3600)  # seconds

UPLOAD_LIMIT_MB = env.int("UPLOAD_LIMIT_MB", default=2048)
UNPACKED_LIMIT_MB = env.int("UNPACKED_LIMIT_MB", default=8192)
FILE_UPLOAD_HANDLERS = ["webapp.uploads.LimitedUploadHandler"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 << 20  # bytes of a form without its files
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "webapp_cache",
    }
}

API_REQUESTS_A_MINUTE = env.int("API_REQUESTS_A_MINUTE", default=1200)
"""Requests that one person may make through the API (webapp.api.throttling)."""
API_STARTS_A_MINUTE = env.int("API_STARTS_A_MINUTE", default=60)
"""Of these, how many may start work: uploads, experiments, archives."""
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["webapp.api.authentication.Bearer", "webapp.api.authentication.Session"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": ["webapp.api.throttling.PersonLimit"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["webapp.api.parsing.Json"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "webapp.api.problems.answer",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "SPTAR",
    "DESCRIPTION": "What the pages do, for programs: documents, examples, experiments, review, comparison, downloads.",
    "VERSION": "1",
    "LICENSE": {"name": "Apache-2.0"},
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [],  # choices stand where they belong; shared names for them would collide
    "SORT_OPERATIONS": False,
}

LANGUAGE_CODE = "en"
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_TZ = True
USE_I18N = True
USE_THOUSAND_SEPARATOR = False

STATIC_URL = "/static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(DATA_DIR / "static")))
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "django.contrib.staticfiles.storage.StaticFilesStorage"
            if DEBUG
            else "whitenoise.storage.CompressedManifestStaticFilesStorage"
        )
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
}
