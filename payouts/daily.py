"""The daily statement: what came in, what arrived and where the rest is, signed, with a tree over the day's lines.

A day is published once, after it is over. A statement has every entry that was committed when it was written, whose
moment is before the end of its day, and that no statement had before: so one that was committed late is in the next
statement, and no published day ever changes (docs/decisions/0021-daily-statement.md).
"""

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature
from django.conf import settings
from django.core.exceptions import FieldError
from django.db import connection, transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from carbonsink.days import bounds
from carbonsink.errors import DomainError
from carbonsink.ledger.models import Entry
from carbonsink.locks import only_one
from payouts import alerts, figures, leaves, merkle, sealing
from payouts.models import DailyStatement, DailyTree
from purchases.certificates import key_id, public_keys, signing_key
from purchases.models import Order

# Before the signed text, so that no statement can pass for a certificate, nor a certificate for a statement.
CONTEXT = b"carbonsink daily statement\n"
ALERT = "daily_statement"
_SECRET = re.compile("[0-9a-f]{64}")

# All that is committed by now; what is committed later is a later statement's.
_PUBLISH = """
    INSERT INTO payouts_publishedentry (entry_id, statement_id)
    SELECT e.id, %(statement)s FROM ledger_entry e
     WHERE e.at < %(until)s AND NOT EXISTS (SELECT FROM payouts_publishedentry p WHERE p.entry_id = e.id)
     ORDER BY e.id"""
_SUMS = """
    SELECT e.kind, a.kind, CASE a.kind WHEN 'gateway' THEN split_part(a.code, ':', 2) ELSE '' END, sum(l.fen)::bigint
      FROM payouts_publishedentry p
      JOIN ledger_entry e ON e.id = p.entry_id
      JOIN ledger_line l ON l.entry_id = e.id
      JOIN ledger_account a ON a.id = l.account_id
     WHERE p.statement_id = %(statement)s GROUP BY 1, 2, 3"""


class SecretChanged(Exception):
    """The secret that is carried from day to day is none that we have made. Nothing is published."""


def publish_missed() -> int:
    """Publishes yesterday and each day before it that was missed, oldest first; returns how many.

    Two at once: the second does nothing. A day that cannot be published raises an alert, and neither it nor any later
    day is published before somebody has seen to it.
    """
    published = 0
    with only_one("payouts.daily") as mine:
        day = _next_day() if mine else None
        while day is not None and day < timezone.localdate():
            try:
                publish(day)
            except (figures.NotBalanced, SecretChanged) as error:
                alerts.raise_alert(ALERT, str(day), _("Not published: %(why)s") % {"why": error})
                return published
            alerts.close_alerts(ALERT, str(day), reason="published")
            published += 1
            day += timedelta(days=1)
    return published


def _next_day() -> date | None:
    """The day after the last one published, else that of the first entry; None while there is none."""
    last = DailyStatement.objects.order_by("-number").values_list("day", flat=True).first()
    if last is not None:
        return last + timedelta(days=1)
    first = Entry.objects.order_by("at").values_list("at", flat=True).first()
    return timezone.localdate(first) if first else None


@transaction.atomic(durable=True)
def publish(day: date) -> DailyStatement:
    """Writes and signs the statement of a day that is over. Raises figures.NotBalanced and SecretChanged, and then
    nothing is written."""
    key, before = signing_key(), DailyStatement.objects.order_by("-number").defer("secret").first()
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence('payouts_dailystatement', 'id'))")
        (pk,) = cursor.fetchone()
        until = bounds(day)[1]
        cursor.execute(_PUBLISH, {"statement": pk, "until": until})
        cursor.execute(_SUMS, {"statement": pk})
        of_day = figures.figures(cursor.fetchall())
    ever = figures.added(told(before)["ever"] if before else figures.NOTHING, of_day)
    for one in (of_day, ever):
        figures.check(one)
    secret = secret_of(before) if before else secrets.token_hex(32)
    if secret is None:
        raise SecretChanged(_("somebody has changed the secret of the day before."))
    hashes = leaf_hashes(pk, secret)
    statement = DailyStatement(
        pk=pk,
        number=before.number + 1 if before else 1,
        day=day,
        root=merkle.root(merkle.levels(hashes)).hex(),
        lines=len(hashes) // merkle.SIZE,
        secret=secret,
        key_id=key_id(key.public_key()),
        published_at=timezone.now(),
    )
    statement.body = _body(statement, before, of_day, ever)
    statement.signature = base64.b64encode(key.sign(CONTEXT + statement.body.encode())).decode()
    statement.save(force_insert=True)
    seal = sealing.seal(secret, day, hashlib.sha256(hashes).digest(), sealing.digests(pk).get(pk, b""))
    DailyTree.objects.create(statement=statement, hashes=hashes, seal=seal)
    return statement


def leaf_hashes(statement_id: int, secret: str) -> bytes:
    """The hashes of all leaves of a statement in a row, from what the ledger says now."""
    key = bytes.fromhex(secret)
    return b"".join(merkle.leaf_hash(leaf.text(key)) for leaf in leaves.of_statement(statement_id))


def _body(
    statement: DailyStatement, before: DailyStatement | None, of_day: Mapping[str, Any], ever: Mapping[str, Any]
) -> str:
    text = {
        "number": statement.number,
        "day": str(statement.day),
        "previous": hashlib.sha256(before.body.encode()).hexdigest() if before else "",
        "of_day": of_day,
        "ever": ever,
        "lines": statement.lines,
        "root": statement.root,
        "published_at": timezone.localtime(statement.published_at).isoformat(timespec="seconds"),
        "key_id": statement.key_id,
    }
    return json.dumps(text, sort_keys=True, separators=(",", ":"))


def told(statement: DailyStatement) -> dict[str, Any]:
    """What the signed text says."""
    fields: dict[str, Any] = json.loads(statement.body)
    return fields


def signed(statement: DailyStatement) -> dict[str, str]:
    """The statement as it is downloaded: see `clients/verify_money.py`."""
    return {"body": statement.body, "signature": statement.signature, "key_id": statement.key_id}


def is_signed(statement: DailyStatement) -> bool:
    """Whether the signature fits the text, and the text what is stored beside it."""
    key = public_keys().get(statement.key_id)
    try:
        if key is None:
            return False
        key.verify(base64.b64decode(statement.signature), CONTEXT + statement.body.encode())
    except (InvalidSignature, ValueError):
        return False
    fields = told(statement)
    beside = (statement.number, str(statement.day), statement.root, statement.lines, statement.key_id)
    return tuple(fields.get(name) for name in ("number", "day", "root", "lines", "key_id")) == beside


def tree(statement: DailyStatement) -> list[bytes] | None:
    """The levels of a statement's tree, made of the stored hashes; None when their root is not the one it tells."""
    hashes = DailyTree.objects.filter(pk=statement.pk).values_list("hashes", flat=True).first()
    if hashes is None:
        return None
    levels = merkle.levels(bytes(hashes))
    fits = len(hashes) == statement.lines * merkle.SIZE and merkle.root(levels).hex() == statement.root
    return levels if fits else None


def secret_of(statement: DailyStatement) -> str | None:
    """The secret of a statement that was read without it; None when it is none that this platform has made.

    Whatever the platform has encrypted decrypts here: whether a secret is the one that was published under is told by a
    signed root alone, as the audit asks.
    """
    try:
        secret: str = statement.secret
    except FieldError:
        return None
    return secret if _SECRET.fullmatch(secret) else None


def statements_of(order: Order) -> list[tuple[DailyStatement, list[leaves.Leaf]]]:
    """The statements in which something of an order is, oldest first, with what it is."""
    found = leaves.of_order(order.pk, order.number)
    statements = DailyStatement.objects.filter(pk__in=found).order_by("number").defer("secret")
    return [(statement, found[statement.pk]) for statement in statements]


def proof(statement: DailyStatement, order: Order) -> dict[str, Any] | None:
    """The proof that the lines of an order are in a statement, with the statement; None when there are none in it.

    Raises DomainError("books_changed") when the ledger or the tree is not what was published; then an alert stops all
    runs until a person has found out why.
    """
    mine = leaves.of_order(order.pk, order.number).get(statement.pk)
    if not mine:
        return None
    levels, secret = tree(statement), secret_of(statement)
    if not levels or secret is None:
        raise _books_changed(statement)
    places = {levels[0][at : at + merkle.SIZE]: at // merkle.SIZE for at in range(0, len(levels[0]), merkle.SIZE)}
    texts = [leaf.text(bytes.fromhex(secret)) for leaf in mine]
    try:
        proven = sorted((places[merkle.leaf_hash(text)], text.decode()) for text in texts)
    except KeyError as error:
        raise _books_changed(statement) from error
    nodes = merkle.prove(levels, (at for at, _text in proven))
    return {
        "statement": signed(statement),
        "order": order.number,
        "leaves": [[at, text] for at, text in proven],
        "nodes": [node.hex() for node in nodes],
    }


def _books_changed(statement: DailyStatement) -> DomainError:
    """What a buyer is told; and an alert, for whoever runs the platform, in their language and not the buyer's."""
    with translation.override(settings.LANGUAGE_CODE):
        why = _("There is no proof for an order any more: the ledger or the tree of this day was changed.")
    alerts.raise_alert("books_changed", str(statement.day), why, stops=True)
    sentence = _(
        "Our books no longer fit what we published for this day, so we cannot give you a proof. The people who run this"
        " site have been told. Keep what you have downloaded: it stays valid."
    )
    return DomainError("books_changed", sentence, status=409)
