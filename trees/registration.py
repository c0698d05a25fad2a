"""Registering households and trees. Each arrives with a UUID made on the officer's device: the same UUID with the
same content gives the same record, with other content a 409."""

import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import models, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _
from stdnum.cn import ric

from carbonsink import crypto
from carbonsink.accounts.models import User, mobile_number
from carbonsink.api import body_hash
from carbonsink.errors import DomainError
from carbonsink.idempotency import once
from carbonsink.ledger.services import open_household_account
from carbonsink.states import move_many
from trees import flags, signatures
from trees.eligibility import check_eligible
from trees.models import Consent, ConsentText, Division, Household, Programme, Species, Tree
from trees.numbers import tree_number

FIRST_DAY = datetime(2018, 7, 8, tzinfo=UTC)


def _next_ordinal(owner: models.Model, counter: str, sentence: str) -> int:
    """Counts the owner's counter up by one and returns it: an ordinal that was never given before."""
    changed = (
        type(owner)._base_manager.filter(pk=owner.pk, **{f"{counter}__lt": 999}).update(**{counter: F(counter) + 1})
    )
    if not changed:
        raise DomainError("no_ordinal_left", sentence)
    owner.refresh_from_db(fields=[counter])
    return getattr(owner, counter)


def check_id_number(text: str) -> str:
    """The normalised resident ID number; DomainError when its form, birth date or check digit is wrong.

    Area codes are not looked up: numbers keep the code of a county that has since been renamed or abolished.
    """
    number = crypto.normalise(text)
    ok = len(number) == 18 and number[:17].isascii() and number[:17].isdigit()
    if ok:
        try:
            born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
            ok = born <= timezone.localdate() and ric.calc_check_digit(number) == number[17]
        except ValueError:
            ok = False
    if not ok:
        raise DomainError("bad_id_number", _("The ID number is not right. Compare all 18 characters with the card."))
    return number


def register_household(
    *,
    officer: User,
    client_uuid: uuid.UUID,
    village_code: str,
    head_name: str,
    id_number: str,
    phone: str,
    category: str,
    area_mu: Decimal,
    tenure: str,
    tenure_number: str,
    consent_version: str,
    consent_signed: bool,
    consent_signed_at: datetime | None = None,
    signature: str = "",
) -> Household:
    """Stores a household with its consent and opens its account in the ledger. All or nothing.

    `consent_signed_at` is the device's time; `signature` what was drawn on its screen, as data URL. Raises DomainError:
    unknown village or one outside the officer's area, no consent, an unreadable signature, bad ID number or phone,
    missing certificate number, an ID number that another household has, no programme yet.
    """
    content = {key: str(value) for key, value in locals().items() if key not in ("officer", "client_uuid")}
    if consent_signed_at is None:  # Hashed as what was sent before there were these two.
        del content["consent_signed_at"]
    if not signature:
        del content["signature"]
    village = Division.objects.filter(code=village_code, level=Division.Level.VILLAGE).first()
    if village is None or not officer.area or not village_code.startswith(officer.area):
        raise DomainError("unknown_village", _("This village is not among yours. Choose one from the list."))
    if not consent_signed:
        raise DomainError("no_consent", _("Without the household's signed consent nothing is stored."))
    text = ConsentText.objects.filter(version=consent_version).first()
    if text is None:
        raise DomainError("no_consent", _("This consent text is not known. Load the page again and have it signed."))
    fields = {
        "village": village,
        "programme": _newest_programme(),
        "head_name": head_name.strip(),
        "id_number": check_id_number(id_number),
        "phone": crypto.normalise(phone),
        "category": category,
        "area_mu": area_mu,
        "tenure": tenure,
        "tenure_number": tenure_number.strip(),
        "registered_by": officer,
    }
    _check_household(fields)
    drawn = signatures.keep_signature(signatures.read_signature(signature)) if signature else {}
    consent = {"text": text, "signed_at": signatures.signed_at(consent_signed_at), **drawn}
    digest, *earlier = _hashes(content)
    try:
        return once(
            Household,
            client_uuid,
            digest,
            lambda: _store_household(client_uuid, digest, consent, fields),
            earlier=earlier,
        )
    except DomainError as refusal:
        if refusal.code == "household_exists":  # Refused, but worth a person's look.
            flags.raise_reused_id(id_number, officer=officer, village_code=village_code)
        raise
    finally:
        signatures.drop_unused(drawn)


def _newest_programme() -> Programme:
    programme = Programme.objects.order_by("pk").last()
    if programme is None:
        raise DomainError("no_programme", _("There is no programme yet. Ask your county office to enter one."))
    return programme


def _hashes(content: Mapping[str, str]) -> list[str]:
    """Hashes of what was sent, one for each look-up key. Personal data enters as keyed digests: from a plain hash of a
    known household, somebody could try out all phone numbers."""
    personal = ("head_name", "id_number", "phone")
    per_key = zip(*(crypto.digests(content[name]) for name in personal), strict=True)
    return [body_hash({**content, **dict(zip(personal, digests, strict=True))}) for digests in per_key]


def _check_household(fields: dict[str, Any]) -> None:
    if not fields["head_name"]:
        raise DomainError("invalid", _("Enter the name of the head of household."))
    if not mobile_number.regex.fullmatch(fields["phone"]):  # type: ignore[union-attr]
        raise DomainError("bad_phone", _("Enter the 11 digits of a mobile number, such as 13912345678."))
    if not Decimal("0.01") <= fields["area_mu"] < 10_000:
        raise DomainError("invalid", _("Enter the area in mu, such as 1.5."))
    if fields["tenure"] == Household.Tenure.CERTIFICATE and not fields["tenure_number"]:
        raise DomainError("no_tenure", _("Enter the number of the forest-right certificate."))


def _store_household(client_uuid: uuid.UUID, digest: str, consent: dict[str, Any], fields: dict[str, Any]) -> Household:
    if (
        Household.objects.filter(id_number_digest__in=crypto.digests(fields["id_number"]))
        .exclude(client_uuid=client_uuid)
        .exists()
    ):
        raise DomainError(
            "household_exists",
            _("A household with this ID number is registered already. Look it up instead of adding it again."),
            status=409,
        )
    ordinal = _next_ordinal(
        fields["village"], "households_numbered", _("This village has 999 households: no number is left.")
    )
    household = Household.objects.create(client_uuid=client_uuid, body_hash=digest, ordinal=ordinal, **fields)
    Consent.objects.create(household=household, **consent)
    open_household_account(household.pk)
    flags.look_at_households([household.pk])
    return household


def household_of(officer: User, reference: str) -> Household:
    """A household among those the officer may see, by its public id, or by the UUID its device gave it before it had
    one. DomainError 404 when there is none."""
    try:
        key: dict[str, Any] = {"client_uuid": uuid.UUID(reference)}
    except ValueError:
        key = {"public_id": reference}
    found = Household.objects.visible_to(officer).select_related("programme").filter(**key).first()
    if found is None:
        raise DomainError("unknown_household", _("This household is not among yours. Register it first."), 404)
    return found


def find_tree(user: User, reference: str) -> Tree | None:
    """A tree among those the user may see, by its number or by the UUID of its device."""
    try:
        key: dict[str, Any] = {"client_uuid": uuid.UUID(reference)}
    except ValueError:
        key = {"number": reference}
    return Tree.objects.visible_to(user).filter(**key).first()


def tree_of(officer: User, reference: str) -> Tree:
    """The same, and a DomainError 404 when there is none."""
    found = find_tree(officer, reference)
    if found is None:
        raise DomainError("unknown_tree", _("This tree is not among yours. Register it first."), 404)
    return found


def check_position(lon: Decimal | None, lat: Decimal | None) -> tuple[Decimal | None, Decimal | None]:
    """The position as it is kept: to six decimals (0.1 m). DomainError for half a position, and for 0, 0."""
    # Rounded first: 0.0000001, 0.0000001 is 0, 0 too.
    lon, lat = (None if value is None else round(value, 6) for value in (lon, lat))
    if (lon is None) != (lat is None) or (lon == 0 and lat == 0):
        raise DomainError("bad_position", _("The position is not complete. Take it again or leave it empty."))
    return lon, lat


def check_measurement(
    programme: Programme,
    dbh_cm: Decimal | None,
    planted_year: int | None,
    lon: Decimal | None,
    lat: Decimal | None,
    measured_on: date,
) -> tuple[Decimal | None, Decimal | None]:
    """The position as it is kept. DomainError when the day, the position or the size is not right."""
    if measured_on > timezone.localdate():
        raise DomainError("invalid", _("The day of measuring is in the future. Correct the date."))
    lon, lat = check_position(lon, lat)
    check_eligible(programme, dbh_cm, planted_year, measured_on)
    return lon, lat


def device_time(told: datetime | None) -> datetime | None:
    """When the device recorded something, or None when its clock cannot have been right: it is ahead by more than a
    day, or behind the day on which the first scheme began (8 July 2018)."""
    if told is None or not FIRST_DAY <= told <= timezone.now() + timedelta(days=1):
        return None
    return told


def check_consent(household: Household) -> None:
    """DomainError unless a consent of the household is in force."""
    if not household.consents.filter(withdrawn_at__isnull=True).exists():
        raise DomainError("no_consent", _("The household has withdrawn its consent. Have it signed again first."))


def register_tree(
    *,
    officer: User,
    client_uuid: uuid.UUID,
    household: Household,
    species: Species,
    dbh_cm: Decimal | None,
    planted_year: int | None,
    lon: Decimal | None,
    lat: Decimal | None,
    accuracy_m: int | None,
    measured_on: date,
    captured_at: datetime | None = None,
) -> Tree:
    """Stores a tree, gives it its number and hands it to the reviewers (state submitted).

    The caller has looked the household up among those the officer may see. Raises DomainError when the tree is not
    eligible, was measured in the future, has half a position, or the household's consent is withdrawn.
    """
    content = {key: str(value) for key, value in locals().items() if key not in ("officer", "client_uuid")}
    content |= {"household": household.public_id, "species": species.scientific_name}
    lon, lat = check_measurement(household.programme, dbh_cm, planted_year, lon, lat, measured_on)
    digest = body_hash(content)

    def store() -> Tree:
        check_consent(household)
        ordinal = _next_ordinal(household, "trees_numbered", _("This household has 999 trees: no number is left."))
        tree = Tree.objects.create(
            number=tree_number(household.village_id, household.ordinal, ordinal),
            client_uuid=client_uuid,
            body_hash=digest,
            household=household,
            ordinal=ordinal,
            species=species,
            dbh_cm=dbh_cm,
            planted_year=planted_year,
            lon=lon,
            lat=lat,
            accuracy_m=accuracy_m,
            measured_on=measured_on,
            captured_at=device_time(captured_at),
            registered_by=officer,
            measured_by=officer,
        )
        flags.look_at_trees([tree.pk])
        return tree

    return once(Tree, client_uuid, digest, store)


@transaction.atomic
def withdraw_consent(household: Household, *, by: User, reason: str = "consent withdrawn") -> None:
    """Ends the household's consent; its trees leave the scheme in the same transaction. Those that wait for a review
    stay where they are: nobody can approve them without a consent."""
    Household.objects.select_for_update(no_key=True).get(pk=household.pk)
    household.consents.filter(withdrawn_at__isnull=True).update(withdrawn_at=timezone.now())
    move_many(household.trees.all(), Tree.State.WITHDRAWN, by=by, reason=reason)
