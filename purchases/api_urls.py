from django.urls import path

from purchases import api

urlpatterns = [
    path("areas/<str:code>", api.AreaDetail.as_view(), name="api-area"),
    path("orders", api.Orders.as_view(), name="api-orders"),
    path("orders/<str:token>", api.OrderDetail.as_view(), name="api-order"),
    path("orders/<str:token>/payment", api.OrderPayment.as_view(), name="api-order-payment"),
]
