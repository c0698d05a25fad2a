"""The demo world: two counties' villages, households with reviewed trees, a vintage on sale. All made up."""

import io
import uuid
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from payouts import access
from payouts.accounts import approve_account, enter_account
from payouts.demo.people import BANK_CODE, BANK_NAME, villager
from payouts.demo.pictures import tree_picture
from payouts.models import HouseholdPin
from purchases import campaigns, organisations
from purchases.models import Campaign, Organisation, Tariff
from purchases.vintages import open_vintage
from trees import photos, registration, review
from trees.models import ConsentText, Division, Household, Programme, Species
from trees.tasks import process_photo

HOUSEHOLDS_PER_VILLAGE = 3
TREES = (6, 9, 4)
AREA = "5226"
CONSENT = """一、我自愿把上述林木登记为碳汇树,林木权属清楚、没有争议。
二、在碳汇有效期内,我负责管护,不砍伐;因灾损失的,及时补植。
三、每棵树每年的碳汇只出售一次,所得全部汇入我本人的银行账户,平台不收取任何费用。
四、我同意为此登记我的姓名、身份证号、电话和银行账户;公开页面只显示隐去部分的姓名和大致位置。
五、我可以随时撤回同意;已售出的碳汇仍管护到当年年底。"""
# Of every household that a visitor looks at.
PIN = "258046"
# A made-up enterprise; its code passes the check and belongs to nobody.
ENTERPRISE, ENTERPRISE_CODE = "黔东南青山科技有限公司", "91522600MADEM00AAQ"
ENTERPRISE_CONTACT = "firm@demo.example"
CAMPAIGN = "class-of-2026"
STORY = """毕业前，我们想给家乡留下一片树林。

每位同学认购一棵单株碳汇，一棵三元，全部直接进入从江农户自己的银行账户。
欢迎校友、老师和家长一起来：选一棵树，写上你想说的话，看着它长大。"""
PEOPLE = [
    ("village officer 村级登记员", roles.OFFICER, "officer@demo.example", "欧阳明"),
    ("county reviewer 县级审核员", roles.REVIEWER, "reviewer@demo.example", "石敏"),
    ("finance 财务", roles.FINANCE, "finance@demo.example", "杨慧"),
    ("administrator 管理员", roles.ADMINISTRATOR, "admin@demo.example", "陆平"),
]


def make_people(password: str) -> dict[str, User]:
    """The demo's officials by role; each signs in with the password."""
    people = {}
    for _title, role, email, name in PEOPLE:
        user = User.objects.filter(email=email).first() or User.objects.create_user(email, password, name=name)
        user.area = AREA if role in (roles.OFFICER, roles.REVIEWER) else ""
        user.is_staff = role in (roles.FINANCE, roles.ADMINISTRATOR)
        user.set_password(password)
        user.save()
        user.groups.set([Group.objects.get(name=role)])
        people[role] = user
    return people


def open_world(password: str, report: Callable[[Iterable[Household]], Iterable[Household]] = iter) -> None:
    """Makes the demo world, or what is missing of it; run again, it only completes."""
    call_command("import_divisions", Path(__file__).with_name("divisions.csv"), stdout=io.StringIO())
    call_command("import_species", stdout=io.StringIO())
    Programme.objects.get_or_create(name="贵州省单株碳汇")
    ConsentText.objects.get_or_create(version="2026-01", defaults={"body": CONSENT})
    people = make_people(password)
    today = timezone.localdate()
    tariff, _made = Tariff.objects.get_or_create(
        vintage=today.year,
        defaults={"opens_at": timezone.now() - timedelta(days=1), "closes_at": timezone.now() + timedelta(days=365)},
    )
    for household in report(_households(people[roles.OFFICER])):
        _equip(household, people)
    open_vintage(tariff)
    _know_enterprise(people[roles.FINANCE])
    _run_campaign(people[roles.ADMINISTRATOR])
    _pay_in()


def _id(kind: str, number: int) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"demo/{kind}/{number}")


def _households(officer: User) -> list[Household]:
    """Three households in each village, registered once."""
    households = []
    villages = Division.objects.filter(level=Division.Level.VILLAGE, code__startswith=AREA).order_by("code")
    for number in range(len(villages) * HOUSEHOLDS_PER_VILLAGE):
        person, village = villager(number), villages[number // HOUSEHOLDS_PER_VILLAGE]
        households.append(
            Household.objects.filter(client_uuid=_id("household", number)).first()
            or registration.register_household(
                officer=officer,
                client_uuid=_id("household", number),
                village_code=village.code,
                head_name=person.name,
                id_number=person.id_number,
                phone=person.phone,
                category=Household.Category.values[number % 3],
                area_mu=Decimal("1.5"),
                tenure=Household.Tenure.CERTIFICATE,
                tenure_number=f"黔林证字(2009)第{10000 + number}号",
                consent_version="2026-01",
                consent_signed=True,
            )
        )
    return households


@transaction.atomic
def _equip(household: Household, people: dict[str, User]) -> None:
    """Gives a household its approved account and its approved trees, unless it has them."""
    if household.trees.exists():
        return
    account = enter_account(
        officer=people[roles.OFFICER],
        client_uuid=_id("account", household.pk),
        household=household,
        holder=household.head_name,
        bank_name=BANK_NAME,
        bank_code=BANK_CODE,
        number=villager(household.pk).card,
        is_card=True,
    )
    approve_account(account, by=people[roles.FINANCE])
    species = list(Species.objects.order_by("pk"))
    for number in range(TREES[household.pk % len(TREES)]):
        seed = household.pk * 1000 + number
        # A few kilometres from village to village, so that they stand apart on the map.
        east, north = divmod(int(household.village_id[-2:]), 4)
        tree = registration.register_tree(
            officer=people[roles.OFFICER],
            client_uuid=_id("tree", seed),
            household=household,
            species=species[seed % len(species)],
            dbh_cm=Decimal(50 + seed % 90) / 10,
            planted_year=2012 + seed % 8,
            lon=Decimal("108.9") + Decimal(east) / 16 + Decimal(seed % 97) / 5000,
            lat=Decimal("25.79") + Decimal(north) / 16 + Decimal(seed % 89) / 5000,
            accuracy_m=6,
            measured_on=date(timezone.localdate().year, 1, 5),
        )
        photo = photos.take_photo(tree, io.BytesIO(tree_picture(seed)), officer=people[roles.OFFICER])
        process_photo(photo.pk)  # At once, so that the walk's own photos need not wait behind these.
        review.approve_tree(tree, reviewer=people[roles.REVIEWER])


def show_household() -> Household:
    """The first household, whose page visitors open with the PIN."""
    household = Household.objects.order_by("pk")[0]
    if not HouseholdPin.objects.filter(household=household).exists():
        access.set_pin(household, PIN, by=household.registered_by, reason="the demo's")
    return household


def _know_enterprise(finance: User) -> None:
    """An enterprise that finance has checked: with this contact it may order by bank transfer."""
    kind = Organisation.Kind.ENTERPRISE
    enterprise = organisations.find_or_note(ENTERPRISE_CODE, ENTERPRISE, kind, ENTERPRISE_CONTACT)
    if not enterprise.is_checked:
        organisations.confirm_organisation(enterprise, by=finance)


def _run_campaign(administrator: User) -> None:
    """A school's campaign that the office lets run, unless it was there before."""
    if Campaign.objects.filter(slug=CAMPAIGN).exists():
        return
    today = timezone.localdate()
    campaign = campaigns.apply_for_campaign(
        slug=CAMPAIGN,
        title="给家乡种一片林",
        story=STORY,
        owner="从江县杉林中学2026届毕业班",
        contact="class2026@demo.example",
        target_trees=60,
        begins_on=today,
        ends_on=today + timedelta(days=90),
        area=Division.objects.get(code="522633000000"),
    )
    campaigns.approve(campaign, by=administrator)


def _pay_in() -> None:
    """The sponsor pays into the supervised account what covers the channels' fees."""
    answer = httpx.post(
        f"{settings.STANDIN_BANK_URL}/control/credits",
        json={
            "fen": 1_000_00,
            "counterparty_name": settings.SPONSOR_NAMES[0],
            "remittance": "补足通道手续费",
            "reference": "demo-sponsor-1",
        },
        trust_env=False,
    )
    answer.raise_for_status()
