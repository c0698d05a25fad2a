"""The books as tests compare them."""

from typing import Any

from django.db.models import Sum
from django.test import Client

from carbonsink.ledger.models import Line
from payouts import audit
from purchases.models import Sink, Stock


def balances() -> dict[str, int]:
    """Fen by kind of account, without those that are 0."""
    rows = Line.objects.values_list("account__kind").annotate(fen=Sum("fen"))
    return {kind: fen for kind, fen in rows if fen}


def lines() -> list[tuple[Any, ...]]:
    """Every line of the ledger, to be compared before and after."""
    return list(
        Line.objects.order_by("pk").values_list("pk", "entry__reference", "entry__kind", "account__code", "fen")
    )


def found() -> dict[str, list[str]]:
    """What the audit finds, each leaf of each published day included."""
    return {finding.sentence: finding.offenders for finding in audit.findings(whole=True)}


def all_is_well() -> None:
    """The audit finds nothing."""
    assert found() == {}, found()


def stock() -> tuple[int, int]:
    """Total and sold, summed over the stock; compared with the sinks themselves."""
    found = Stock.objects.aggregate(total=Sum("total", default=0), sold=Sum("sold", default=0))
    assert found["sold"] == Sink.objects.filter(order__isnull=False).count()
    return found["total"], found["sold"]


UNEXPLAINED = {"money that nobody has explained": ["suspense"]}


def post_order(key: str, address: str = "127.0.0.1", **body: Any) -> Any:
    """An order through the API, in English, from a network address."""
    headers = {"accept-language": "en"} | ({"idempotency-key": key} if key else {})
    client = Client(headers=headers, REMOTE_ADDR=address)
    return client.post("/api/v1/orders", body, content_type="application/json")
