"""The main job once, from a village to a bank account, through the same doors that everybody uses."""

import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
from django.conf import settings
from django.utils import timezone

from carbonsink.accounts.roles import FINANCE, OFFICER, REVIEWER
from payouts.demo.client import Client, WalkError, outside, wait_for
from payouts.demo.people import BANK_CODE, BANK_NAME, Villager, villager
from payouts.demo.pictures import tree_picture
from payouts.demo.world import PEOPLE, PIN
from payouts.models import Payout, StatementRow
from payouts.tasks import run_payouts
from purchases.models import Certificate, Order
from trees.models import Household, Photo

TREES = 2
VILLAGE = "522633102202"


@dataclass(frozen=True)
class Step:
    """A row of the table: what happened, fen moved, and the reference by which it can be found."""

    what: str
    fen: int | None
    reference: str


class Walk:
    """One tree owner's and one buyer's way. Each method is one step and acts through HTTP or the task queue."""

    def __init__(self, base_url: str, password: str) -> None:
        emails = {role: email for _, role, email, _ in PEOPLE}
        self.base_url = base_url
        self.officer, self.reviewer, self.finance = (
            Client(base_url).sign_in(emails[role], password) for role in (OFFICER, REVIEWER, FINANCE)
        )
        self.buyer = Client(base_url)
        self.seed = random.SystemRandom().randrange(10**6, 10**9)
        self.person: Villager = villager(self.seed)
        self.household: dict[str, Any] = {}
        self.numbers: list[str] = []
        self.order: dict[str, Any] = {}

    def steps(self) -> Iterator[Callable[[], Step]]:
        """The steps in their order."""
        yield from (self.register_household, self.register_trees, self.approve, self.enter_account)
        yield from (self.place_order, self.pay, self.certify, self.settle, self.disburse, self.read_statement)

    def register_household(self) -> Step:
        """The officer registers a household with its consent."""
        self.household = self.officer.call(
            "POST",
            "/households",
            json={
                "client_uuid": str(uuid.uuid4()),
                "village_code": VILLAGE,
                "head_name": self.person.name,
                "id_number": self.person.id_number,
                "phone": self.person.phone,
                "category": Household.Category.POOR,
                "area_mu": "2.00",
                "tenure": Household.Tenure.RETURNED_FARMLAND,
                "consent_version": "2026-01",
                "consent_signed": True,
            },
        )
        return Step("household registered, consent signed", None, self.household["public_id"])

    def register_trees(self) -> Step:
        """The officer registers trees with photos; the worker processes the photos."""
        for ordinal in range(TREES):
            tree = self.officer.call(
                "POST",
                "/trees",
                json={
                    "client_uuid": str(uuid.uuid4()),
                    "household": self.household["public_id"],
                    "species": "Cunninghamia lanceolata",
                    "dbh_cm": "7.5",
                    "lon": f"{108.921 + ordinal / 1000:.6f}",
                    "lat": "25.912000",
                    "accuracy_m": 8,
                    "measured_on": timezone.localdate().isoformat(),
                },
            )
            picture = {"file": ("tree.jpg", tree_picture(self.seed + ordinal), "image/jpeg")}
            self.officer.call("POST", f"/trees/{tree['number']}/photos", files=picture)
            self.numbers.append(tree["number"])
        for number in self.numbers:
            wait_for("The photo's processing", partial(self._photo_is_accepted, number))
        return Step(f"{TREES} trees registered, photos accepted", None, self.numbers[0])

    def _photo_is_accepted(self, number: str) -> bool:
        photos = self.officer.call("GET", f"/trees/{number}")["photos"]
        refused = [photo["refusal"] for photo in photos if photo["state"] == Photo.State.REFUSED]
        if refused:
            raise WalkError(f"The photo was refused: {refused[0]}")
        return all(photo["state"] == Photo.State.ACCEPTED for photo in photos)

    def approve(self) -> Step:
        """The county's reviewer approves the trees; their sinks come on sale at once."""
        for number in self.numbers:
            self.reviewer.call("POST", f"/trees/{number}/approve")
        return Step("approved by the county's reviewer", None, self.numbers[-1])

    def enter_account(self) -> Step:
        """The officer enters the household's bank account, finance approves it."""
        account = self.officer.call(
            "POST",
            "/bank-accounts",
            json={
                "client_uuid": str(uuid.uuid4()),
                "household": self.household["public_id"],
                "holder": self.person.name,
                "bank_name": BANK_NAME,
                "bank_code": BANK_CODE,
                "number": self.person.card,
            },
        )
        self.finance.call("POST", f"/bank-accounts/{account['id']}/approve")
        return Step("bank account entered, approved by finance", None, account["masked_number"])

    def place_order(self) -> Step:
        """A buyer orders this very tree on its page."""
        page = self.buyer.send_form(
            f"/trees/{self.numbers[0]}/", {"quantity": "1", "contact": "buyer@demo.example", "holder": "单株碳汇演示"}
        )
        token = page.url.path.strip("/").rpartition("/")[2]
        self.order = self.buyer.call("GET", f"/orders/{token}")
        return Step("ordered and held for 15 minutes", self.order["total_fen"], self.order["number"])

    def pay(self) -> Step:
        """The buyer scans the code and presses “pay”; the gateway's signed notification books the payment."""
        pay_url = self.buyer.call("POST", f"/orders/{self.order['token']}/payment")["pay_url"]
        outside("POST", pay_url, data={"action": "pay"})

        def paid() -> Any:
            order = self.buyer.call("GET", f"/orders/{self.order['token']}")
            return order if order["state"] == Order.State.PAID else None

        self.order = wait_for("The gateway's notification", paid)
        payment = Order.objects.get(token=self.order["token"]).payments.get()
        return Step("paid, notified with a signature, booked", payment.captured_fen, payment.transaction_id or "")

    def certify(self) -> Step:
        """The certificate can be checked by anyone."""
        page = self.buyer.get(httpx.URL(self.order["certificate"]).path)
        certificate = Certificate.objects.get(order__token=self.order["token"])
        if certificate.serial not in page or certificate.state != Certificate.State.VALID:
            raise WalkError("The certificate's page does not show a valid certificate.")
        return Step("certified and signed", None, certificate.serial)

    def settle(self) -> Step:
        """The gateway settles into the supervised account, less its fee, which the sponsor bears."""
        settlements = outside("POST", f"{settings.WECHATPAY_BASE_URL}/control/settle").json()["settlements"]
        numbers = ", ".join(str(row["settlement_no"]) for row in settlements)
        # The stand-in also settles by itself every few seconds, and may have been quicker.
        fen = sum(row["fen"] for row in settlements) or None
        return Step("settled to the supervised account", fen, numbers or "by the gateway's own schedule")

    def disburse(self) -> Step:
        """A Celery task pays all that the household is owed to its account."""

        def arrived() -> Payout | None:
            payouts = Payout.objects.filter(household__public_id=self.household["public_id"])
            found = payouts.filter(state=Payout.State.SUCCEEDED).first()
            if found is None and not payouts.exists():
                run_payouts.delay()
            return found

        payout = wait_for("The payout's success", arrived)
        if payout.fen != self.order["total_fen"]:
            raise WalkError(f"{payout.fen} fen arrived instead of {self.order['total_fen']}.")
        # The household chose its PIN in front of the officer, and enters it on its own phone.
        name = self.household["public_id"]
        self.officer.send_form(f"/officer/households/{name}/pin/", {"pin": PIN, "again": PIN})
        page = Client(self.base_url).send_form(f"/h/{payout.household.page_key}/", {"pin": PIN}).text
        if self.person.card[-4:] not in page:
            raise WalkError("The household's page does not show the account.")
        return Step("disbursed to the household's account", payout.fen, payout.out_no)

    def read_statement(self) -> Step:
        """The bank's own statement and its own book say the same."""
        row = wait_for(
            "The statement's row",
            lambda: StatementRow.objects.filter(
                payout__household__public_id=self.household["public_id"], kind=StatementRow.Kind.PAYOUT
            ).first(),
        )
        book = outside("GET", f"{settings.STANDIN_BANK_URL}/control/book", params={"account": self.person.card})
        credited = sum(line["fen"] for line in book.json()["movements"] if line["direction"] == "credit")
        if credited != self.order["total_fen"] or row.fen != -credited:
            raise WalkError(f"The bank's book shows {credited} fen, the order {self.order['total_fen']}.")
        text = f"#{row.serial} {timezone.localtime(row.booked_at):%F %T} {row.bank_reference}"
        return Step("bank statement", row.fen, text)
