"""Each day is published once, signed, to the fen, and never changes."""

import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from carbonsink import crypto
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account
from payouts import daily, figures, leaves, merkle, sending, statements, tasks
from payouts.models import Alert, DailyStatement, DailyTree, Payout, PublishedEntry
from payouts.runs import run_payouts
from purchases import givebacks
from purchases.models import Order
from tests import factories
from tests.payouts import money
from tests.purchases import books
from tests.standins.clients import BankClient

pytestmark = pytest.mark.django_db


def sold(*trees: int) -> Order:
    """A paid order for all trees of households that have an account."""
    for owner in factories.market(*trees):
        factories.account(owner)
    return factories.paid_order(sum(trees))


def published(later: Any, days: int = 1) -> DailyStatement:
    """The last statement, once so many days are over."""
    later(days=days)
    assert daily.publish_missed() == days
    books.all_is_well()
    return DailyStatement.objects.latest("number")


def arrive(bank: BankClient, fen: int) -> None:
    """Pays out what is owed, through the bank."""
    money.fund(bank, fen)
    run_payouts()
    for pk in sending.to_send():
        sending.send_payout(pk)
    statements.import_statement()


def figure(**changes: Any) -> dict[str, Any]:
    return figures.NOTHING | changes


def test_a_day_says_what_came_in_and_where_it_is(later: Any) -> None:
    order = sold(3, 2)
    statement = published(later)
    told = daily.told(statement)
    assert told["of_day"] == told["ever"] == figure(**{"in": {"wechatpay": 1500}}, waiting=1500, at_gateways=1500)
    assert (told["number"], told["day"], told["previous"]) == (1, str(statement.day), "")
    assert (statement.day, statement.lines) == (timezone.localdate() - timedelta(days=1), 2)
    assert timezone.localdate(order.paid_at) == statement.day
    assert daily.is_signed(statement)


def test_the_next_day_says_what_arrived_and_continues_the_first(later: Any, bank: BankClient) -> None:
    sold(3, 2)
    first = published(later)
    arrive(bank, 2000)
    assert Payout.objects.filter(state="succeeded").count() == 2
    second = daily.told(published(later))
    day = figure(arrived=1500, waiting=-1500, paid_in_by_sponsor=2000, in_supervised_account=500)
    ever = {**day, "in": {"wechatpay": 1500}, "waiting": 0, "at_gateways": 1500}
    assert (second["of_day"], second["ever"]) == (day, ever)
    assert (second["number"], second["previous"]) == (2, hashlib.sha256(first.body.encode()).hexdigest())
    # Two lines that a payout took, and two that arrived.
    assert second["lines"] == 4


def test_what_comes_back_and_goes_back_is_told(later: Any, bank: BankClient) -> None:
    order = sold(2)
    buyer = factories.paid_order(1, tree=factories.market(1)[0].trees.get())
    arrive(bank, 600)
    bank.control("POST", "return", {"out_no": Payout.objects.get().out_no})
    statements.import_statement()
    assert Payout.objects.get().state == "returned"
    givebacks.give_back(buyer, buyer.sinks.count(), by=None, reason="asked")
    told = daily.told(published(later))["ever"]
    assert told["arrived"] == told["returned"] == order.total_fen
    assert (told["waiting"], told["owed_back"], told["in"]) == (600, 300, {"wechatpay": 900})


def test_a_day_without_money_is_published_too(later: Any) -> None:
    sold(1)
    published(later)
    quiet = daily.told(published(later))
    assert quiet["of_day"] == figures.NOTHING
    assert (quiet["lines"], quiet["root"]) == (0, merkle.EMPTY.hex())


def test_missed_days_are_made_up_for_and_a_day_is_published_once(later: Any) -> None:
    sold(1)
    later(days=3)
    tasks.publish_daily_statement()
    tasks.publish_daily_statement()
    assert [one.number for one in DailyStatement.objects.order_by("day")] == [1, 2, 3]
    assert DailyStatement.objects.latest("day").day == timezone.localdate() - timedelta(days=1)
    assert PublishedEntry.objects.count() == 1
    books.all_is_well()


def test_today_is_not_over(later: Any) -> None:
    sold(1)
    assert daily.publish_missed() == 0
    later(days=1)
    factories.paid_order(tree=factories.market(1)[0].trees.get())
    assert daily.publish_missed() == 1
    assert daily.told(DailyStatement.objects.get())["of_day"]["in"] == {"wechatpay": 300}


def test_without_any_money_there_is_nothing_to_publish() -> None:
    assert daily.publish_missed() == 0


@pytest.mark.django_db(transaction=True)
def test_what_is_committed_late_is_in_the_next_statement_and_changes_no_published_day(later: Any) -> None:
    from tests.ground.threads import at_once

    (household,) = money.households(1)
    money.owe({household: 100})
    done: list[Any] = []

    def publish_meanwhile() -> None:
        later(days=1)
        done.append(daily.publish_missed())

    with transaction.atomic():
        money.owe({household: 30})  # Its moment is today; its commit is tomorrow, after today was published.
        at_once(publish_meanwhile)
    assert done == [1]
    first = DailyStatement.objects.get()
    body = first.body
    assert (daily.told(first)["ever"]["waiting"], first.lines) == (100, 1)
    second = daily.told(published(later))
    assert (second["of_day"]["waiting"], second["ever"]["waiting"], second["lines"]) == (30, 130, 1)
    first.refresh_from_db()
    assert first.body == body


def test_a_fen_too_many_is_an_alert_and_nothing_is_published(later: Any) -> None:
    sold(1)
    escrow, suspense = ledger.account(Account.Kind.ESCROW, "standin"), ledger.account(Account.Kind.SUSPENSE)
    # A row that says it only moves money, and yet nobody knows whose it is.
    ledger.post("statement:x", "settlement", {escrow: 1, suspense: -1})
    later(days=1)
    assert daily.publish_missed() == 0
    assert daily.publish_missed() == 0
    alert = Alert.objects.get()
    day = timezone.localdate() - timedelta(days=1)
    assert (alert.kind, alert.about, alert.state) == ("daily_statement", str(day), "open")
    assert "300" in alert.text and "301" in alert.text
    assert (DailyStatement.objects.count(), PublishedEntry.objects.count(), DailyTree.objects.count()) == (0, 0, 0)


def test_money_of_a_kind_that_nobody_has_explained_is_not_published(later: Any) -> None:
    sold(1)
    escrow, suspense = ledger.account(Account.Kind.ESCROW, "standin"), ledger.account(Account.Kind.SUSPENSE)
    ledger.post("odd", "odd", {escrow: 1, suspense: -1})
    later(days=1)
    assert daily.publish_missed() == 0
    assert "odd" in Alert.objects.get().text


def test_nothing_is_published_under_a_secret_that_is_not_ours(later: Any) -> None:
    sold(1)
    after = published(later).day + timedelta(days=1)
    with connection.cursor() as cursor:
        for secret in ("x", crypto.fernet().encrypt("伍阿婆".encode()).decode()):
            cursor.execute("UPDATE payouts_dailystatement SET secret = %s", [secret])
            later(days=1)
            assert daily.publish_missed() == 0
    alert = Alert.objects.get()
    assert (alert.kind, alert.about, alert.state) == ("daily_statement", str(after), "open")


def test_the_alert_closes_once_the_day_is_published(later: Any) -> None:
    sold(1)
    later(days=1)
    from payouts import alerts

    alerts.raise_alert("daily_statement", str(timezone.localdate() - timedelta(days=1)), "Not published")
    assert daily.publish_missed() == 1
    assert Alert.objects.get().state == "closed"


def test_what_is_published_never_changes(later: Any) -> None:
    sold(1)
    pk = published(later).pk
    entry = ledger.post(
        "more", "opening", {ledger.account(Account.Kind.SPONSOR): 1, ledger.account(Account.Kind.SUSPENSE): -1}
    )
    for sql in (
        "UPDATE payouts_dailystatement SET body = body || ' '",
        "UPDATE payouts_dailystatement SET signature = ''",
        "UPDATE payouts_dailystatement SET day = day + 1",
        "DELETE FROM payouts_dailystatement",
        "UPDATE payouts_dailytree SET hashes = ''",
        "DELETE FROM payouts_dailytree",
        "DELETE FROM payouts_publishedentry",
        "UPDATE payouts_publishedentry SET statement_id = statement_id + 1",
        f"INSERT INTO payouts_publishedentry (entry_id, statement_id) VALUES ({entry.pk}, {pk})",
    ):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)


def test_a_proof_holds_every_line_of_the_order_and_nobody_elses(later: Any) -> None:
    order = sold(3, 2)
    other = factories.paid_order(tree=factories.market(1)[0].trees.get())
    statement = published(later)
    proof = daily.proof(statement, order)
    assert proof is not None
    told = [json.loads(text) for _at, text in proof["leaves"]]
    assert sorted(line["fen"] for line in told) == [600, 900]
    assert {(line["order"], line["entry"], line["day"]) for line in told} == {
        (order.number, "capture", str(statement.day))
    }
    hashes = {at: merkle.leaf_hash(text.encode()) for at, text in proof["leaves"]}
    nodes = [bytes.fromhex(node) for node in proof["nodes"]]
    assert merkle.reckon(hashes, statement.lines, nodes).hex() == statement.root
    assert other.number not in json.dumps(proof)
    assert daily.proof(statement, factories.order(tree=factories.market(1)[0].trees.get())) is None


def test_a_proof_does_not_tell_who_the_household_is(later: Any) -> None:
    """The same household has another name in each line, and none can be reckoned from what is known of it."""
    (owner,) = factories.market(2)
    orders = [factories.paid_order(tree=tree) for tree in owner.trees.order_by("pk")]
    statement = published(later)
    lines = []
    for order in orders:
        proof = daily.proof(statement, order)
        assert proof is not None
        text = proof["leaves"][0][1]
        for secret in (owner.public_id, owner.head_name, owner.phone, owner.id_number, statement.secret):
            assert secret not in json.dumps(proof, ensure_ascii=False)
        lines.append(json.loads(text))
    assert lines[0]["household"] != lines[1]["household"]
    assert lines[0]["line"] != lines[1]["line"]
    guesses = {hashlib.sha256(guess.encode()).hexdigest() for guess in (owner.public_id, f":{owner.public_id}")}
    assert not guesses & {line["household"] for line in lines}
    assert len(bytes.fromhex(statement.secret)) == 32
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM payouts_dailystatement")
        assert statement.secret not in cursor.fetchone()[0]


def test_arrivals_are_proven_under_the_name_of_their_line(later: Any, bank: BankClient) -> None:
    order = sold(2)
    first = published(later)
    arrive(bank, 600)
    bank.control("POST", "return", {"out_no": Payout.objects.get().out_no})
    statements.import_statement()
    second = published(later)
    factories.account(Payout.objects.get().household)  # A new account, since the first one did not work.
    later(days=4)
    daily.publish_missed()
    arrive(bank, 1)
    last = published(later)
    assert Payout.objects.count() == 2

    def lines(statement: DailyStatement) -> list[tuple[str, int, str]]:
        proof = daily.proof(statement, order)
        assert proof is not None
        told = [json.loads(text) for _at, text in proof["leaves"]]
        return [(line["entry"], line["fen"], line["line"]) for line in told]

    ((entry, fen, name),) = lines(first)
    assert (entry, fen) == ("capture", 600)
    assert lines(second) == [("arrived", 600, name), ("returned", 600, name)]
    assert lines(last) == [("arrived", 600, name)]
    assert [statement for statement, _lines in daily.statements_of(order)] == [first, second, last]


def test_every_leaf_of_every_day_is_found_from_the_order_it_is_for(later: Any, bank: BankClient) -> None:
    orders = [sold(3, 2), factories.paid_order(tree=factories.market(1)[0].trees.get())]
    givebacks.give_back(orders[0], 1, by=None, reason="asked")
    arrive(bank, 3000)
    statement = published(later)
    every = [leaf for leaf in leaves.of_statement(statement.pk) if leaf.entry not in ("payout", "reversed")]
    own = [leaf for order in orders for leaf in leaves.of_order(order.pk, order.number)[statement.pk]]
    assert sorted(map(repr, every)) == sorted(map(repr, own))
    assert {leaf.entry for leaf in own} == {"capture", "giveback", "arrived"}
    arrived = sum(leaf.fen for leaf in own if leaf.entry == "arrived")
    assert arrived == daily.told(statement)["ever"]["arrived"] == 1200


def test_keys_may_change_between_two_days(later: Any, settings: Any, tmp_path: Any) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    from purchases import certificates

    order = sold(1)
    first = published(later)
    settings.CERTIFICATE_FORMER_KEYS = [certificates.public_key_text()]
    key = tmp_path / "new.pem"
    key.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    settings.CERTIFICATE_KEY_FILE = str(key)
    second = published(later)
    assert first.key_id != second.key_id
    assert first.secret == second.secret
    assert daily.proof(first, order) is not None


def test_the_audit_finds_what_was_done_to_a_statement(later: Any) -> None:
    sold(1)
    statement = published(later)
    published(later)
    forged = statement.body.replace('"waiting":300', '"waiting":299')
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE payouts_dailystatement DISABLE TRIGGER payouts_dailystatement_fixed")
        cursor.execute("UPDATE payouts_dailystatement SET body = %s WHERE number = 1", [forged])
        cursor.execute("ALTER TABLE payouts_dailystatement ENABLE TRIGGER payouts_dailystatement_fixed")
    day, next_day = str(statement.day), str(statement.day + timedelta(days=1))
    assert books.found() == {
        "daily statements in which a fen is missing": [day, day],
        "daily statements that do not continue the one before": [next_day],
        "daily statements that are not what the ledger says": [day],
        "daily statements whose signature does not fit": [day],
    }


def test_the_audit_finds_entries_that_no_statement_has(later: Any) -> None:
    sold(1)
    published(later)
    published(later, 2)
    with connection.cursor() as cursor:
        for table in ("publishedentry", "dailystatement"):
            cursor.execute(f"ALTER TABLE payouts_{table} DISABLE TRIGGER USER")
        cursor.execute("DELETE FROM payouts_publishedentry")
        cursor.execute("INSERT INTO payouts_publishedentry (entry_id, statement_id) VALUES (-1, -1)")
        for table in ("publishedentry", "dailystatement"):
            cursor.execute(f"ALTER TABLE payouts_{table} ENABLE TRIGGER USER")
    found = books.found()
    assert found["published entries without their entry or their statement"] == ["-1"]
    assert len(found["entries that neither their day's statement nor the next one has"]) == 1


def test_a_statement_cannot_pass_for_a_certificate(later: Any) -> None:
    from cryptography.exceptions import InvalidSignature

    from purchases.certificates import public_keys

    sold(1)
    statement = published(later)
    with pytest.raises(InvalidSignature):
        public_keys()[statement.key_id].verify(base64.b64decode(statement.signature), statement.body.encode())
