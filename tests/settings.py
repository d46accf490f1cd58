"""Settings of the tests: production settings with a throw-away data folder and quick passwords."""

import os
import tempfile

os.environ.setdefault("SECRET_KEY", "only-for-tests-" + "t" * 40)
if "SPTAR_DATA" not in os.environ:
    os.environ["SPTAR_DATA"] = tempfile.mkdtemp(prefix="sptar-tests-")

from webapp.settings import *  # noqa: F403  the environment must be set before

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"  # noqa: F405
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # noqa: F405  whitenoise warns of a folder that is not there
API_REQUESTS_A_MINUTE = API_STARTS_A_MINUTE = 1_000_000  # tests make more requests in a minute than people do
