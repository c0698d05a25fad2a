from django.urls import path

from purchases.views import callbacks, certificates, choosing, finance, ordering, receipts, wechat

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
    path("orders/<str:token>/receipt/", receipts.receipt, name="receipt"),
    path("orders/<str:token>/receipt.pdf", receipts.receipt_pdf, name="receipt-pdf"),
    path("finance/transfers/", finance.transfers, name="finance-transfers"),
    path("finance/transfers/<int:pk>/", finance.transfer, name="finance-transfer"),
    path("finance/transfers/<int:pk>/answer", finance.answer_transfer, name="finance-answer-transfer"),
    path("finance/transfers/<int:pk>/return", finance.return_transfer, name="finance-return-transfer"),
    path("finance/returns/", finance.returns, name="finance-returns"),
    path("finance/returns/<str:kind>/<int:pk>/note", finance.note_return, name="finance-note-return"),
    path("finance/returns/<int:pk>/confirm", finance.confirm_return, name="finance-confirm-return"),
    path("finance/differences/", finance.differences, name="finance-differences"),
    path("finance/differences/<int:pk>/answer", finance.answer_difference, name="finance-answer-difference"),
    path("payments/<str:gateway>/notifications", callbacks.notification, name="notification"),
    path("wechat/openid", wechat.openid, name="wechat-openid"),
    path("wechat/openid/back", wechat.openid_back, name="wechat-openid-back"),
]
