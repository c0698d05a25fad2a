from django.urls import path

from purchases.api import areas, campaigns, catalogue, orders, register

urlpatterns = [
    path("areas/<str:code>", areas.AreaDetail.as_view(), name="api-area"),
    path("species", catalogue.SpeciesList.as_view(), name="api-species"),
    path("trees-for-sale", catalogue.TreesForSale.as_view(), name="api-trees-for-sale"),
    path("campaigns/<slug:slug>", campaigns.CampaignDetail.as_view(), name="api-campaign"),
    path("orders", orders.Orders.as_view(), name="api-orders"),
    path("orders/<str:token>", orders.OrderDetail.as_view(), name="api-order"),
    path("orders/<str:token>/payment", orders.OrderPayment.as_view(), name="api-order-payment"),
    path("register", register.Register.as_view(), name="api-register"),
]
