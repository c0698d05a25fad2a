"""Staged households: checked by the rules of `registration.register_household`, then stored with consents and
accounts."""

from django.conf import settings
from django.db.backends.utils import CursorWrapper
from django.utils import timezone
from django.utils.translation import gettext as _
from psycopg import sql

from carbonsink.accounts.roles import ADMINISTRATOR
from carbonsink.errors import DomainError
from carbonsink.ledger.services import open_household_accounts
from trees.imports.rules import Rule, cell_is_right, note, note_those_without_a_number, staging_table, uuid_prefix
from trees.models import Household, Import, Programme

# The village among the importer's; the consent text by its version, also without leading zeros where that is clear.
JOINED = """
    LEFT JOIN trees_division d
           ON d.code = s.village_code AND d.level = 'village' AND starts_with(d.code, %(area)s)
    LEFT JOIN named_text t ON t.named = s.consent_version
    LEFT JOIN (SELECT id_number_digest, min(line) AS line FROM {staging} GROUP BY 1) same
           ON same.id_number_digest = s.id_number_digest
    LEFT JOIN trees_household known ON known.id_number_digest = ANY(s.id_number_digests)"""
RULES = (
    Rule("s.village_code IS NOT NULL AND d.code IS NULL", "village_code", "unknown_village", "s.village_code"),
    Rule(
        f"s.tenure = 'certificate' AND s.tenure_number = '' AND {cell_is_right('tenure_number')}",
        "tenure_number",
        "no_tenure",
        "s.tenure_number",
    ),
    Rule("s.consent_version IS NOT NULL AND t.id IS NULL", "consent_version", "no_consent_text", "s.consent_version"),
    Rule("s.consent_signed_on > %(today)s", "consent_signed_on", "in_future", "s.consent_signed_on"),
    Rule("known.id IS NOT NULL", "id_number", "household_exists", "s.id_number_shown"),
    Rule(
        "same.line < s.line", "id_number", "twice_in_file", "s.id_number_shown", "jsonb_build_object('line', same.line)"
    ),
)


def check(batch: Import, cursor: CursorWrapper) -> None:
    """Notes every row that single registration would refuse, with the column and the reason."""
    _newest_programme()
    _look_up(cursor)
    by = batch.imported_by
    area = "" if by.has_role(ADMINISTRATOR) else by.area or "-"
    note(batch, cursor, JOINED, RULES, {"area": area, "today": timezone.localdate()})
    note_those_without_a_number(
        batch,
        cursor,
        owner="d.code",
        counter="d.households_numbered",
        joined="JOIN trees_division d ON d.code = s.village_code",
        problem=("village_code", "s.village_code", "village_full"),
    )


def _newest_programme() -> Programme:
    programme = Programme.objects.order_by("pk").last()
    if programme is None:
        raise DomainError("no_programme", _("There is no programme yet. Ask your county office to enter one."))
    return programme


def _look_up(cursor: CursorWrapper) -> None:
    cursor.execute("DROP TABLE IF EXISTS pg_temp.named_text")
    cursor.execute(
        """
        CREATE TEMP TABLE named_text ON COMMIT DROP AS
        SELECT version AS named, id FROM trees_consenttext
        UNION ALL
        SELECT ltrim(version, '0'), min(id) FROM trees_consenttext
         WHERE ltrim(version, '0') NOT IN (SELECT version FROM trees_consenttext)
         GROUP BY 1 HAVING count(*) = 1"""
    )


def store(batch: Import, cursor: CursorWrapper) -> int:
    """Stores the rows without problems, each with its consent and its account, and gives how many. Each village's row
    is locked while its ordinals are counted on, in primary-key order."""
    _look_up(cursor)
    staging = staging_table(batch)
    cursor.execute(
        sql.SQL(
            """SELECT code FROM trees_division WHERE code IN (SELECT village_code FROM {})
                ORDER BY code FOR NO KEY UPDATE"""
        ).format(staging)
    )
    cursor.execute(
        sql.SQL(
            """
            INSERT INTO trees_household (
                public_id, client_uuid, body_hash, programme_id, village_id, ordinal, head_name, head_name_digest,
                id_number, id_number_digest, phone, phone_digest, category, area_mu, tenure, tenure_number,
                trees_numbered, registered_by_id, registered_at, imported_from_id)
            SELECT s.public_id, (%(uuid)s || lpad(to_hex(s.line), 12, '0'))::uuid, %(sha256)s, %(programme)s,
                   s.village_code,
                   row_number() OVER (PARTITION BY d.code ORDER BY s.line) + d.households_numbered,
                   s.head_name, s.head_name_digest, s.id_number, s.id_number_digest, s.phone, s.phone_digest,
                   s.category, s.area_mu, s.tenure, s.tenure_number, 0, %(by)s, %(now)s, %(batch)s
              FROM {} s JOIN trees_division d ON d.code = s.village_code
             WHERE NOT EXISTS (
                SELECT FROM trees_importproblem p WHERE p.batch_id = %(batch)s AND p.line = s.line)
             ORDER BY s.village_code, s.line"""
        ).format(staging),
        {
            "uuid": uuid_prefix(batch),
            "sha256": batch.sha256,
            "programme": _newest_programme().pk,
            "by": batch.imported_by_id,
            "now": timezone.now(),
            "batch": batch.pk,
        },
    )
    stored: int = cursor.rowcount
    cursor.execute(
        """
        UPDATE trees_division d SET households_numbered = d.households_numbered + n.count
          FROM (SELECT village_id, count(*) AS count FROM trees_household WHERE imported_from_id = %s GROUP BY 1) n
         WHERE n.village_id = d.code""",
        [batch.pk],
    )
    cursor.execute(
        sql.SQL(
            """
            INSERT INTO trees_consent (household_id, text_id, signed_at)
            SELECT h.id, t.id, s.consent_signed_on::timestamp AT TIME ZONE %s
              FROM trees_household h JOIN {} s ON s.public_id = h.public_id
              JOIN named_text t ON t.named = s.consent_version
             WHERE h.imported_from_id = %s ORDER BY h.id"""
        ).format(staging),
        [settings.TIME_ZONE, batch.pk],
    )
    open_household_accounts(
        Household.objects.filter(imported_from=batch).order_by("pk").values_list("pk", flat=True).iterator()
    )
    return stored
