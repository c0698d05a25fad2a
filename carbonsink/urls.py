from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from carbonsink.accounts.views import SignInView, after_sign_in


def healthz(request: HttpRequest) -> HttpResponse:
    """200 when the server runs and reaches its database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse("ok", content_type="text/plain")


admin.site.site_header = admin.site.site_title = "单株碳汇"

urlpatterns = [
    path("healthz", healthz),
    path("sign-in/", SignInView.as_view(), name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("after-sign-in/", after_sign_in, name="after-sign-in"),
    path("i18n/", include("django.conf.urls.i18n")),
    path("admin/", admin.site.urls),
    path("api/v1/", include("trees.api_urls")),
    path("api/v1/", include("purchases.api_urls")),
    path("api/v1/", include("payouts.api_urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("api/", SpectacularSwaggerView.as_view(url_name="api-schema"), name="api"),
    path("", include("trees.urls")),
    path("", include("payouts.urls")),
    path("", include("purchases.urls")),
]
