from django.urls import path

from purchases import views

app_name = "purchases"
urlpatterns = [
    path("", views.home, name="home"),
    path("areas/<str:code>/", views.area, name="area"),
    path("trees/<str:number>/", views.tree, name="tree"),
    path("orders/<str:token>/", views.order, name="order"),
    path("orders/<str:token>/qr.png", views.order_qr, name="order-qr"),
    path("c/<str:token>/", views.certificate, name="certificate"),
    path("c/<str:token>/qr.png", views.certificate_qr, name="certificate-qr"),
    path("payments/<str:gateway>/notifications", views.notification, name="notification"),
]
