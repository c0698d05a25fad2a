import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "carbonsink.settings")
application = get_wsgi_application()

from carbonsink.checks import refuse_errors  # noqa: E402 - the apps are ready only now

refuse_errors()
