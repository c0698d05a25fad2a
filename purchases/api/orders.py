"""Placing orders, watching and paying them."""

from typing import Any

from django.conf import settings
from django.db.models import Model
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
from purchases import allocation, checkout, orders, organisations
from purchases.models import Campaign, Order, Organisation
from purchases.wishes import check_contact
from trees.models import Division, Household, Species, Tree

# {what is chosen: (its model, the field that names it)}
CHOICES: dict[str, tuple[type[Model], str]] = {
    "tree": (Tree, "number"),
    "household": (Household, "public_id"),
    "area": (Division, "code"),
    "species": (Species, "pk"),
    "campaign": (Campaign, "slug"),
}


class OrganisationIn(serializers.Serializer):
    """An organisation that buys, by its unified social credit code."""

    code = serializers.CharField(max_length=18)
    name = serializers.CharField(max_length=80)
    kind = serializers.ChoiceField(Organisation.Kind.choices)


class OrderIn(serializers.Serializer):
    """What is wanted: one tree by its number; or `quantity` trees of a household by the address on its paper, of an
    area by its code, of a species by its id, of both, of a campaign by its address, or of none of these: anywhere."""

    tree = serializers.CharField(max_length=19, required=False)
    household = serializers.CharField(max_length=20, required=False)
    area = serializers.CharField(max_length=12, required=False)
    species = serializers.IntegerField(min_value=1, max_value=2**63 - 1, required=False)
    campaign = serializers.CharField(max_length=40, required=False)
    quantity = serializers.IntegerField(min_value=1, max_value=10**9, default=1)
    contact = serializers.CharField(max_length=254)
    holder = serializers.CharField(max_length=80, allow_blank=True, default="")
    dedication = serializers.CharField(max_length=120, allow_blank=True, default="")
    organisation = OrganisationIn(required=False)
    contact_person = serializers.CharField(max_length=80, allow_blank=True, default="")
    pays_by = serializers.ChoiceField(Order.PaysBy.choices, default=Order.PaysBy.ONLINE)


class OrderOut(serializers.ModelSerializer):
    """An order as its buyer sees it. While it is `allocating`, `allocated` of `quantity` trees are found; when it is
    `short`, `left` says how many could be bought instead."""

    left = serializers.SerializerMethodField()
    page = serializers.SerializerMethodField()
    certificate = serializers.SerializerMethodField()

    class Meta:
        model = Order
        fields = [
            "number", "token", "state", "vintage", "quantity", "allocated", "left", "price_fen", "total_fen",
            "kg_total", "pays_by", "expires_at", "paid_at", "page", "certificate",
        ]  # fmt: skip

    def get_left(self, order: Order) -> int | None:
        """How many trees of the choice of an order that fell short can be bought now."""
        return allocation.unsold_of(order) if order.state == Order.State.SHORT else None

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
        chosen: dict[str, Any] = {
            name: get_object_or_404(model, **{field: data.pop(name)})
            for name, (model, field) in CHOICES.items()
            if name in data
        }
        firm = data.pop("organisation", None)
        order = orders.place_order(
            key=key,
            **chosen,
            organisation=organisations.find_or_note(**firm, contact=check_contact(data["contact"])) if firm else None,
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
        if order.state == Order.State.ALLOCATING:
            raise DomainError("not_ready", _("The trees of this order are still being found. Try again shortly."), 409)
        if order.state != Order.State.HELD:
            raise DomainError("not_payable", _("This order cannot be paid any more. Place a new one."), 409)
        if order.pays_by == Order.PaysBy.TRANSFER:
            raise DomainError("not_offered", _("This order is paid by bank transfer."), 409)
        return Response({"pay_url": checkout.start_payment(order).pay_url})
