"""The worlds of the tests, made through the platform's own services."""

import io
import itertools
import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Group
from django.utils import timezone
from PIL import Image
from stdnum.cn import uscc

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account
from carbonsink.states import move
from payouts.accounts import approve_account, enter_account
from payouts.demo.people import BANK_CODE, BANK_NAME, villager
from payouts.models import BankAccount, Payout
from payouts.runs import run_payouts
from purchases.gateways.base import PaymentReport
from purchases.models import Campaign, Order, Organisation, Payment, Tariff
from purchases.orders import place_order
from purchases.payments import book_capture
from purchases.vintages import open_vintage
from trees import photos, registration, review
from trees.models import ConsentText, Division, Household, Photo, Programme, Species, Tree

PASSWORD = "correct horse battery staple"
VILLAGE, OTHER_VILLAGE, OTHER_COUNTY = "522633102202", "522633101203", "522631111209"
# Who speaks for the organisations.
FIRM_CONTACT = "firm@example.org"
_numbers = itertools.count(1)


def divisions() -> None:
    """A province with two counties and three villages."""
    rows = [
        ("520000000000", "贵州省", "province", None),
        ("522600000000", "黔东南苗族侗族自治州", "prefecture", "520000000000"),
        ("522633000000", "从江县", "county", "522600000000"),
        ("522633102000", "洛香镇", "township", "522633000000"),
        (VILLAGE, "登岜村村民委员会", "village", "522633102000"),
        ("522633101000", "贯洞镇", "township", "522633000000"),
        (OTHER_VILLAGE, "八洛村村民委员会", "village", "522633101000"),
        ("522631000000", "黎平县", "county", "522600000000"),
        ("522631111000", "肇兴镇", "township", "522631000000"),
        (OTHER_COUNTY, "纪堂村村民委员会", "village", "522631111000"),
    ]
    for code, name, level, parent in rows:
        Division.objects.get_or_create(code=code, defaults={"name": name, "level": level, "parent_id": parent})


def user(role: str, area: str = "522633") -> User:
    """A user with a role; officers and reviewers are responsible for 从江县 unless said otherwise."""
    made = User.objects.create_user(f"{role}{next(_numbers)}@example.org", PASSWORD, name=role)
    made.area = area if role in (roles.OFFICER, roles.REVIEWER) else ""
    made.is_staff = role in (roles.FINANCE, roles.ADMINISTRATOR)
    made.save()
    made.groups.add(Group.objects.get_or_create(name=role)[0])
    return made


def programme(**fields: Any) -> Programme:
    """The programme, made once; fields change its rules."""
    made, _ = Programme.objects.get_or_create(name="test")
    for name, value in fields.items():
        setattr(made, name, value)
    made.save()
    return made


def household_data(**changes: Any) -> dict[str, Any]:
    """What an officer enters for a new household."""
    divisions()
    programme()
    ConsentText.objects.get_or_create(version="1", defaults={"body": "…"})
    person = villager(next(_numbers))
    return {
        "client_uuid": uuid.uuid4(),
        "village_code": VILLAGE,
        "head_name": person.name,
        "id_number": person.id_number,
        "phone": person.phone,
        "category": Household.Category.POOR,
        "area_mu": Decimal("1.50"),
        "tenure": Household.Tenure.RETURNED_FARMLAND,
        "tenure_number": "",
        "consent_version": "1",
        "consent_signed": True,
        **changes,
    }


def household(officer: User | None = None, **changes: Any) -> Household:
    """A registered household."""
    data = household_data(**changes)
    officer = officer or user(roles.OFFICER, data["village_code"][:6])
    return registration.register_household(officer=officer, **data)


def picture(size: tuple[int, int] = (240, 180), form: str = "JPEG", **options: Any) -> bytes:
    """A small picture with something in it."""
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    number = next(_numbers)  # Two pictures must differ by more than a JPEG forgets.
    image.paste((number * 37 % 256, number * 101 % 256, 40), (20, 20, size[0] // 2, size[1] // 2))
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def tree_data(**changes: Any) -> dict[str, Any]:
    """What an officer enters for a new tree."""
    species, _ = Species.objects.get_or_create(
        scientific_name="Cunninghamia lanceolata", defaults={"name_zh": "杉木", "name_en": "Chinese fir"}
    )
    # The first one on this spot, the others 20 m apart from each other, all within a kilometre.
    north, east = divmod(Tree.objects.count() % 1600, 40)
    return {
        "client_uuid": uuid.uuid4(),
        "species": species,
        "dbh_cm": Decimal("7.5"),
        "planted_year": None,
        "lon": Decimal("108.921000") + east * Decimal("0.0002"),
        "lat": Decimal("25.912000") + north * Decimal("0.0002"),
        "accuracy_m": 8,
        "measured_on": timezone.localdate(),
        **changes,
    }


def tree(owner: Household | None = None, *, photo: bool = True, **changes: Any) -> Tree:
    """A submitted tree with an accepted photo."""
    owner = owner or household()
    made = registration.register_tree(officer=owner.registered_by, household=owner, **tree_data(**changes))
    if photo:
        taken = photos.take_photo(made, io.BytesIO(picture()), officer=owner.registered_by)
        if taken.state == Photo.State.RECEIVED:
            photos.process(taken)
    return made


def approved_tree(owner: Household | None = None, reviewer: User | None = None, **changes: Any) -> Tree:
    """A tree in the scheme."""
    made = tree(owner, **changes)
    review.approve_tree(made, reviewer=reviewer or user(roles.REVIEWER))
    return made


def tariff(**fields: Any) -> Tariff:
    """This year's tariff, on sale but not opened."""
    now = timezone.now()
    defaults = {"opens_at": now - timedelta(days=1), "closes_at": now + timedelta(days=100), **fields}
    return Tariff.objects.get_or_create(vintage=timezone.localdate().year, defaults=defaults)[0]


def market(*trees_of_households: int, village: str = VILLAGE) -> list[Household]:
    """Households with so many approved trees each, and the vintage opened."""
    reviewer, made = user(roles.REVIEWER), []
    for count in trees_of_households:
        owner = household(village_code=village)
        for _ in range(count):
            approved_tree(owner, reviewer)
        made.append(owner)
    open_vintage(tariff())
    return made


def area(code: str = "522633000000") -> Division:
    """A division, by default 从江县."""
    return Division.objects.get(code=code)


def order(quantity: int = 1, **choice: Any) -> Order:
    """A held order."""
    if not choice.get("tree"):
        choice.setdefault("area", area())
    contact = FIRM_CONTACT if choice.get("organisation") else f"buyer{next(_numbers)}@example.org"
    values = {"key": uuid.uuid4().hex, "contact": contact, **choice}
    made = place_order(quantity=quantity, **values)
    payment(made)
    return made


def payment(of: Order) -> Payment:
    """The order's payment, as it stands once its buyer has chosen a way of paying."""
    return Payment.objects.get_or_create(order=of, gateway="wechatpay", product="native", fen=of.total_fen)[0]


def capture(payment: Payment, *, fen: int | None = None, transaction_id: str = "") -> None:
    """Books a capture as the gateway would report it."""
    report = PaymentReport(
        reference=payment.reference,
        state="captured",
        transaction_id=transaction_id or f"T{next(_numbers)}",
        fen=fen if fen is not None else payment.fen,
        captured_at=timezone.now(),
    )
    book_capture(payment, report)


def paid_order(quantity: int = 1, **choice: Any) -> Order:
    """An order that is paid."""
    made = order(quantity, **choice)
    capture(made.payments.get())
    made.refresh_from_db()
    return made


def account(owner: Household, *, approved: bool = True, **changes: Any) -> BankAccount:
    """A household's bank account."""
    data = {
        "client_uuid": uuid.uuid4(),
        "holder": owner.head_name,
        "bank_name": BANK_NAME,
        "bank_code": BANK_CODE,
        "number": villager(next(_numbers)).card,
        "is_card": True,
        **changes,
    }
    made = enter_account(officer=owner.registered_by, household=owner, **data)
    if approved:
        approve_account(made, by=user(roles.FINANCE))
    return made


def fast_hashing(settings: Any) -> None:
    """Makes users quickly, for tests that sign nobody in by password: the real hash takes a quarter of a second."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def payout(paid_to: BankAccount) -> Payout:
    """The payout of all that a household is owed, with the escrow settled by the sponsor."""
    owed = -ledger.balance(Account.objects.get(owner=paid_to.household_id))
    amounts = {ledger.account(Account.Kind.ESCROW, "standin"): owed, ledger.account(Account.Kind.SPONSOR): -owed}
    ledger.post(f"test-escrow-{next(_numbers)}", "test", amounts)
    run_payouts("standin")
    return Payout.objects.get(household=paid_to.household_id)


def organisation(*, checked: bool = True, **changes: Any) -> Organisation:
    """An enterprise with a made-up code, checked by somebody of the office unless said otherwise."""
    body = f"9152{next(_numbers):013d}"
    values = {
        "code": body + uscc.calc_check_digit(body),
        "name": "从江杉木制品有限公司",
        "kind": "enterprise",
        "contact": FIRM_CONTACT,
        **changes,
    }
    made = Organisation.objects.create(**values)
    if checked:
        made.checked_by, made.checked_at = user(roles.FINANCE), timezone.now()
        made.save()
    return made


def species(name: str = "Pinus massoniana") -> Species:
    """Another species than the trees have unless said otherwise."""
    return Species.objects.get_or_create(scientific_name=name, defaults={"name_zh": "马尾松", "name_en": "Pine"})[0]


def campaign(**changes: Any) -> Campaign:
    """A campaign that runs today."""
    today = timezone.localdate()
    values = {
        "slug": f"campaign-{next(_numbers)}",
        "title": "一人一棵树",
        "owner": "从江一中",
        "contact": "a@example.org",
        "target_trees": 100,
        "begins_on": today,
        "ends_on": today,
        "state": Campaign.State.APPLIED,
        **changes,
    }
    made = Campaign.objects.create(**values)
    if "state" not in changes:
        move(made, Campaign.State.RUNNING)
    return made
