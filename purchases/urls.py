from django.urls import path

from purchases.views import callbacks, certificates, choosing, ordering, wechat

app_name = "purchases"
urlpatterns = [
    path("", choosing.home, name="home"),
    path("areas/<str:code>/", choosing.area, name="area"),
    path("trees/<str:number>/", choosing.tree, name="tree"),
    path("orders/<str:token>/", ordering.order, name="order"),
    path("orders/<str:token>/qr.png", ordering.order_qr, name="order-qr"),
    path("c/<str:token>/", certificates.certificate, name="certificate"),
    path("c/<str:token>/qr.png", certificates.certificate_qr, name="certificate-qr"),
    path("c/<str:token>/certificate.png", certificates.certificate_png, name="certificate-png"),
    path("c/<str:token>/certificate.pdf", certificates.certificate_pdf, name="certificate-pdf"),
    path("c/<str:token>/trees/<str:number>.pdf", certificates.tree_pdf, name="certificate-tree"),
    path("c/<str:token>/certificate.json", certificates.certificate_json, name="certificate-json"),
    path(".well-known/certificate-keys.json", certificates.certificate_keys, name="certificate-keys"),
    path("payments/<str:gateway>/notifications", callbacks.notification, name="notification"),
    path("wechat/openid", wechat.openid, name="wechat-openid"),
    path("wechat/openid/back", wechat.openid_back, name="wechat-openid-back"),
]
