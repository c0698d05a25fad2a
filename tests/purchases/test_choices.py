"""What can be chosen in an order, and that exactly this is taken: a household, a species, a campaign, anywhere."""

import itertools
import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.errors import DomainError
from purchases.models import Buyer, Order, Organisation, Sink, Stock
from purchases.orders import cancel_order, place_order
from purchases.unpaid import hold_until
from purchases.vintages import open_vintage
from tests import factories
from tests.purchases import books
from tests.purchases.losing import trees_of
from trees.models import Household, Species

pytestmark = pytest.mark.django_db
_keys = itertools.count()
COUNTY = "522633000000"


def place(quantity: int = 1, **choice: Any) -> Order:
    values = {"key": uuid.uuid4().hex, "contact": f"b{next(_keys)}@example.org", **choice}
    return place_order(quantity=quantity, **values)


def post(**body: Any) -> Any:
    return books.post_order(uuid.uuid4().hex, **{"contact": "a@example.org", **body})


def mixed(*species_of_households: str, village: str = factories.VILLAGE) -> list[Household]:
    """Households with firs (F) and pines (P), in this order, and the vintage opened."""
    reviewer, made = factories.user(roles.REVIEWER), []
    for letters in species_of_households:
        owner = factories.household(village_code=village)
        for letter in letters:
            kinds: dict[str, Any] = {"species": factories.species()} if letter == "P" else {}
            factories.approved_tree(owner, reviewer, **kinds)
        made.append(owner)
    open_vintage(factories.tariff())
    return made


def taken(order: Order) -> list[tuple[int, int]]:
    """Household and rank of what an order took."""
    return list(order.sinks.order_by("household_id", "rank").values_list("household_id", "rank"))


def pines() -> Species:
    return factories.species()


def test_a_household_gives_its_next_sinks() -> None:
    one, other = factories.market(3, 3)
    first, second = place(1, household=one), place(2, household=one)
    assert [taken(first), taken(second)] == [[(one.pk, 1)], [(one.pk, 2), (one.pk, 3)]]
    with pytest.raises(DomainError) as refused:
        place(1, household=one)
    assert (refused.value.code, refused.value.details) == ("sold_out", {"left": 0})
    assert Stock.objects.get(household=other).sold == 0
    books.all_is_well()


def test_a_household_is_ordered_by_the_address_on_its_paper() -> None:
    one, _other = factories.market(2, 2)
    assert post(household=one.public_id, quantity=2).status_code == 201
    answer = post(household=one.public_id)
    assert (answer.status_code, answer.json()["left"]) == (409, 0)
    assert post(household="0" * 20).status_code == 404
    assert set(Sink.objects.exclude(order=None).values_list("household", flat=True)) == {one.pk}


def test_only_trees_of_the_species_are_taken_also_behind_others() -> None:
    one, two = mixed("FFPFP", "PF")
    order = place(3, species=pines())
    assert taken(order) == [(one.pk, 3), (one.pk, 5), (two.pk, 1)]
    assert {tree.species_id for tree in trees_of(order)} == {pines().pk}
    with pytest.raises(DomainError) as refused:
        place(1, species=pines())
    assert (refused.value.code, refused.value.details) == ("sold_out", {"left": 0})
    books.all_is_well()


def test_of_a_species_all_or_nothing() -> None:
    mixed("FFFPP", "P")
    answer = post(species=pines().pk, quantity=4)
    assert (answer.status_code, answer.json()["left"]) == (409, 3)
    assert not Order.objects.exists()
    assert books.stock() == (6, 0)
    assert post(species=pines().pk, quantity=3).status_code == 201


def test_a_species_is_taken_from_the_households_that_have_sold_least() -> None:
    one, two, three = mixed("FFPP", "PPFF", "FFFF")
    place(2, household=two)
    assert taken(place(2, species=pines())) == [(one.pk, 3), (one.pk, 4)]
    # Nobody who sold less has pines.
    with pytest.raises(DomainError):
        place(1, species=pines())
    assert Stock.objects.get(household=three).sold == 0


def test_a_species_of_an_area() -> None:
    mixed("PP")
    (far,) = mixed("FP", village=factories.OTHER_COUNTY)
    answer = post(species=pines().pk, area="522631000000", quantity=2)
    assert (answer.status_code, answer.json()["left"]) == (409, 1)
    order = place(1, species=pines(), area=factories.area("522631000000"))
    assert taken(order) == [(far.pk, 2)]


def test_anywhere_is_a_choice() -> None:
    (near,) = factories.market(2)
    (far,) = factories.market(2, village=factories.OTHER_COUNTY)
    assert post(quantity=4).status_code == 201
    assert {household for household, _rank in taken(Order.objects.get())} == {near.pk, far.pk}


def test_a_campaign_chooses_for_its_buyers() -> None:
    mixed("FP")
    (far,) = mixed("FP", village=factories.OTHER_COUNTY)
    drive = factories.campaign(area=factories.area("522631000000"), species=pines())
    assert post(campaign=drive.slug).status_code == 201
    order = Order.objects.get()
    assert (order.campaign, taken(order)) == (drive, [(far.pk, 2)])
    assert post(campaign=drive.slug).json()["code"] == "sold_out"
    assert post(campaign="there-is-none").status_code == 404


@pytest.mark.parametrize(
    ("begins", "ends", "state"), [(1, 2, "running"), (-2, -1, "running"), (0, 0, "applied"), (0, 0, "ended")]
)
def test_a_campaign_sells_on_its_days_only(begins: int, ends: int, state: str) -> None:
    factories.market(1)
    today = timezone.localdate()
    dates = {"begins_on": today + timedelta(begins), "ends_on": today + timedelta(ends)}
    drive = factories.campaign(state=state, **dates)
    answer = post(campaign=drive.slug)
    assert (answer.status_code, answer.json()["code"]) == (409, "campaign_over")
    assert not Order.objects.exists()


def test_an_order_repeated_after_the_campaign_is_the_same_order() -> None:
    factories.market(1)
    drive = factories.campaign()
    first = books.post_order("the-first-key", contact="a@example.org", campaign=drive.slug)
    type(drive).objects.update(state="ended")
    again = books.post_order("the-first-key", contact="a@example.org", campaign=drive.slug)
    assert (first.status_code, again.json()) == (201, first.json())


@pytest.mark.parametrize("other", ["area", "species", "household", "campaign"])
def test_one_tree_is_a_choice_of_its_own(other: str) -> None:
    (owner,) = factories.market(1)
    names = {
        "area": COUNTY, "species": owner.trees.get().species_id, "household": owner.public_id,
        "campaign": factories.campaign().slug,
    }  # fmt: skip
    answer = post(tree=owner.trees.get().number, **{other: names[other]})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    if other != "household":
        assert post(household=owner.public_id, **{other: names[other]}).status_code == 400
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {"species": "x"}, {"species": 0}, {"species": 2**63}, {"campaign": ["a"]}, {"household": "0" * 21},
        {"dedication": "滚" * 121}, {"dedication": "\x00"}, {"contact_person": "x" * 81}, {"pays_by": "cash"},
        {"organisation": "x"}, {"organisation": {"code": "1" * 18, "name": "x", "kind": "enterprise"}},
        {"organisation": {"code": "91520000000000001X", "name": "", "kind": "enterprise"}},
    ],
)  # fmt: skip
def test_the_api_refuses_what_cannot_be_a_wish(body: dict[str, Any]) -> None:
    factories.market(1)
    answer = post(**body)
    assert answer.status_code == 400 and answer.json()["code"] in ("invalid", "bad_code"), answer.content
    assert not Order.objects.exists()
    assert not Organisation.objects.exists()


def test_the_dedication_has_nothing_unseen_and_stands_on_the_certificate() -> None:
    factories.market(1)
    assert post(dedication=" 给\u202e奶奶 \x07").status_code == 201
    order = Order.objects.get()
    factories.capture(factories.payment(order))
    assert (order.dedication, order.certificate.dedication) == ("给 奶奶", "给 奶奶")  # type: ignore[union-attr]


def test_an_organisation_is_noted_unchecked_and_may_not_pay_by_transfer() -> None:
    factories.market(2)
    known = factories.organisation(checked=False)
    firm = {"code": known.code, "name": known.name, "kind": known.kind}
    answer = post(organisation=firm, pays_by="transfer")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_checked")
    assert not Order.objects.exists()
    assert post(pays_by="transfer").json()["code"] == "not_checked"
    assert post(organisation=firm, contact_person="吴老师").status_code == 201
    buyer = Buyer.objects.get()
    assert (buyer.organisation, buyer.kind, buyer.contact_person) == (known, "enterprise", "吴老师")
    checked = factories.organisation(checked=True)
    firm = {"code": checked.code, "name": "Other Ltd", "kind": checked.kind}
    assert post(organisation=firm).json()["code"] == "another_name"
    assert Organisation.objects.count() == 2


def test_a_checked_organisation_pays_by_transfer_within_five_working_days(settings: Any) -> None:
    factories.market(4)
    settings.UNPAID_SINKS_PER_BUYER = settings.UNPAID_SINKS_PER_ADDRESS = settings.UNPAID_SINKS_IN_ALL = 1
    settings.UNPAID_SINKS_PER_ORGANISATION = 3
    firm = factories.organisation()
    mine = {"organisation": firm, "contact": firm.contact}
    order = place(2, **mine, pays_by="transfer", address="192.0.2.1")
    assert abs(order.expires_at - hold_until("transfer", order.created_at)) < timedelta(seconds=30)
    assert order.expires_at - timezone.now() > timedelta(days=4, hours=23)
    # What it holds is not held against anybody else, and the other way round.
    assert place(1, address="192.0.2.1", contact="a@example.org").state == "held"
    with pytest.raises(DomainError) as refused:
        place(2, **mine)
    assert (refused.value.code, refused.value.status) == ("too_many_unpaid", 429)
    assert place(1, **mine).state == "held"
    assert books.stock() == (4, 4)
    books.all_is_well()


def test_whoever_knows_a_firm_s_code_and_name_is_not_yet_the_firm(settings: Any) -> None:
    factories.market(4)
    settings.UNPAID_SINKS_PER_BUYER = 1
    firm = factories.organisation()
    with pytest.raises(DomainError) as refused:
        place(1, organisation=firm, pays_by="transfer", contact="stranger@example.org")
    assert refused.value.code == "not_checked"
    with pytest.raises(DomainError) as refused:
        place(2, organisation=firm, contact="stranger@example.org")
    assert refused.value.code == "too_many_unpaid"
    # What a stranger holds in its name is not held against the firm.
    place(1, organisation=firm, contact="stranger@example.org")
    settings.UNPAID_SINKS_PER_ORGANISATION = 2
    assert place(2, organisation=firm, contact=firm.contact, pays_by="transfer").state == "held"
    books.all_is_well()


def test_an_unchecked_organisation_has_the_caps_of_everybody(settings: Any) -> None:
    factories.market(3)
    settings.UNPAID_SINKS_PER_BUYER = 1
    firm = factories.organisation(checked=False)
    with pytest.raises(DomainError, match="At most 1 trees can be ordered at once"):
        place(2, organisation=firm)
    place(1, organisation=firm, contact="a@example.org")
    with pytest.raises(DomainError, match="waiting for payment"):
        place(1, organisation=firm, contact="a@example.org")


@pytest.mark.parametrize(
    ("placed", "until"),
    [(date(2026, 11, 23), date(2026, 11, 30)), (date(2026, 11, 27), date(2026, 12, 4)),
     (date(2026, 11, 28), date(2026, 12, 4)), (date(2026, 11, 29), date(2026, 12, 4))],
)  # fmt: skip
def test_working_days_are_monday_to_friday(placed: date, until: date) -> None:
    at = datetime(placed.year, placed.month, placed.day, 10, tzinfo=UTC)
    assert hold_until("transfer", at).date() == until
    assert hold_until("online", at) == at + timedelta(minutes=15)


def test_a_buyer_gives_up_an_order_and_others_can_buy_at_once() -> None:
    factories.market(1)
    order = place(1)
    assert cancel_order(order).state == "cancelled"
    assert books.stock() == (1, 0)
    assert place(1).state == "held"
    with pytest.raises(DomainError) as refused:
        cancel_order(order)
    assert refused.value.code == "wrong_state"
    assert books.stock() == (1, 1)
    books.all_is_well()


def test_what_is_paid_after_it_was_given_up_goes_back() -> None:
    factories.market(1)
    order = place(1)
    payment = factories.payment(order)
    cancel_order(order)
    factories.capture(payment)
    refund = payment.refunds.get()
    assert (refund.fen, refund.reason, Order.objects.get().state) == (300, "late", "cancelled")
    assert books.stock() == (1, 0)
    books.all_is_well()
