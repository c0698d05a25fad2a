from django.urls import path

from purchases.api import areas, orders, register

urlpatterns = [
    path("areas/<str:code>", areas.AreaDetail.as_view(), name="api-area"),
    path("orders", orders.Orders.as_view(), name="api-orders"),
    path("orders/<str:token>", orders.OrderDetail.as_view(), name="api-order"),
    path("orders/<str:token>/payment", orders.OrderPayment.as_view(), name="api-order-payment"),
    path("register", register.Register.as_view(), name="api-register"),
]
