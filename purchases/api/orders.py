"""Placing orders, watching and paying them."""

from django.conf import settings
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from carbonsink.errors import DomainError
from carbonsink.pages import client_address
from purchases import checkout, orders
from purchases.models import Order
from trees.models import Division, Tree


class OrderIn(serializers.Serializer):
    """What is wanted: one tree by its number, or `quantity` trees of an area by its code."""

    tree = serializers.CharField(max_length=19, required=False)
    area = serializers.CharField(max_length=12, required=False)
    quantity = serializers.IntegerField(min_value=1, max_value=10**9, default=1)
    contact = serializers.CharField(max_length=254)
    holder = serializers.CharField(max_length=80, allow_blank=True, default="")


class OrderOut(serializers.ModelSerializer):
    """An order as its buyer sees it."""

    page = serializers.SerializerMethodField()
    certificate = serializers.SerializerMethodField()

    class Meta:
        model = Order
        fields = [
            "number", "token", "state", "vintage", "quantity", "price_fen", "total_fen", "kg_total",
            "expires_at", "paid_at", "page", "certificate",
        ]  # fmt: skip

    def get_page(self, order: Order) -> str:
        """Where the order is paid and watched."""
        return settings.PUBLIC_BASE_URL + reverse("purchases:order", args=[order.token])

    def get_certificate(self, order: Order) -> str | None:
        """Where the certificate is checked, once there is one."""
        found = order.certificate
        return settings.PUBLIC_BASE_URL + reverse("purchases:certificate", args=[found.token]) if found else None


class Orders(APIView):
    """Placing orders."""

    permission_classes = [AllowAny]

    @extend_schema(
        request=OrderIn,
        responses={201: OrderOut},
        parameters=[OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, required=True)],
    )
    def post(self, request: Request) -> Response:
        key = request.headers.get("Idempotency-Key", "")
        if not 8 <= len(key) <= 200:
            raise DomainError("no_key", _("Send an Idempotency-Key header of 8 to 200 characters with each order."))
        sent = OrderIn(data=request.data)
        sent.is_valid(raise_exception=True)
        data = sent.validated_data
        number, code = data.pop("tree", None), data.pop("area", None)
        order = orders.place_order(
            key=key,
            tree=get_object_or_404(Tree, number=number) if number else None,
            area=get_object_or_404(Division, code=code) if code else None,
            address=client_address(request._request),
            user=request.user if request.user.is_authenticated else None,
            **data,
        )
        return Response(OrderOut(order).data, status.HTTP_201_CREATED)


class OrderDetail(APIView):
    """An order, found by its secret token."""

    permission_classes = [AllowAny]

    @extend_schema(responses=OrderOut)
    def get(self, request: Request, token: str) -> Response:
        return Response(OrderOut(orders.look_at(get_object_or_404(Order, token=token))).data)


class OrderPayment(APIView):
    """Starting to pay an order."""

    permission_classes = [AllowAny]

    @extend_schema(request=None, responses={200: {"type": "object", "properties": {"pay_url": {"type": "string"}}}})
    def post(self, request: Request, token: str) -> Response:
        order = orders.look_at(get_object_or_404(Order, token=token))
        if order.state != Order.State.HELD:
            raise DomainError("not_payable", _("This order cannot be paid any more. Place a new one."), 409)
        return Response({"pay_url": checkout.start_payment(order).pay_url})
