"""Many households that are owed something, made fast: what is tried is how they are paid, not how they came about."""

import uuid
from datetime import date, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from stdnum.cn import ric

from carbonsink.accounts import roles
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account
from carbonsink.states import move_many
from payouts import statements
from payouts.demo.people import BANK_CODE, BANK_NAME, villager
from payouts.models import BankAccount
from tests import factories
from tests.chaos.stage import Stage
from trees.models import Consent, ConsentText, Household, Programme

VILLAGES = (factories.VILLAGE, factories.OTHER_VILLAGE, factories.OTHER_COUNTY)
AT_ONCE = 1000


def owe(stage: Stage, households: int) -> None:
    """So many households with an approved account are owed something by the sponsor, who has paid it in."""
    with transaction.atomic():
        made = _households(households)
        ledger.open_household_accounts(one.pk for one in made)
        _accounts(made)
        stage.sold.update({one.pk: stage.chance.randint(1, 90_000) for one in made})
        accounts = {account.owner: account for account in Account.objects.filter(kind=Account.Kind.HOUSEHOLD)}
        total = sum(stage.sold.values())
        lines = {accounts[pk]: -fen for pk, fen in stage.sold.items()}
        ledger.post("opening:crowd", "opening", {**lines, ledger.account(Account.Kind.SPONSOR): total})
    stage.credit(total, settings.SPONSOR_NAMES[0])
    statements.import_statement()


def _households(count: int) -> list[Household]:
    factories.household_data()  # Makes divisions, programme and the text.
    officer, text, now = factories.user(roles.OFFICER), ConsentText.objects.get(), timezone.now()
    same = {"programme": Programme.objects.get(), "category": "poor", "area_mu": 1, "tenure": "returned_farmland"}
    rows = []
    for number in range(count):
        person, village = villager(100_000 + number), VILLAGES[number % 3]
        who = {"head_name": person.name, "id_number": _id_number(number), "phone": person.phone}
        where = {"village_id": village, "ordinal": 100 + number // 3, "registered_by": officer}
        rows.append(Household(client_uuid=uuid.uuid4(), **who, **where, **same))
    made = Household.objects.bulk_create(rows, batch_size=AT_ONCE)
    Consent.objects.bulk_create((Consent(household=one, text=text, signed_at=now) for one in made), batch_size=AT_ONCE)
    return made


def _id_number(number: int) -> str:
    """Another one for each; of nobody alive."""
    born = date(1900, 1, 1) + timedelta(days=number % 1400)
    body = f"522633{born:%Y%m%d}{number // 1400:03d}"
    return body + ric.calc_check_digit(body + "0")


def _accounts(households: list[Household]) -> None:
    officer, finance, now = factories.user(roles.OFFICER), factories.user(roles.FINANCE), timezone.now()
    same = {"version": 1, "bank_name": BANK_NAME, "bank_code": BANK_CODE, "entered_by": officer}
    rows = []
    for number, one in enumerate(households):
        card = villager(100_000 + number).card
        rows.append(BankAccount(client_uuid=uuid.uuid4(), household=one, holder=one.head_name, number=card, **same))
    BankAccount.objects.bulk_create(rows, batch_size=AT_ONCE)
    said = {"by": finance, "approved_by": finance, "approved_at": now, "usable_from": now}
    move_many(BankAccount.objects.all(), BankAccount.State.APPROVED, **said)
