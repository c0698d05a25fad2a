"""What is looked at again in the transaction that sends: a payout is what the books have, and its account what was
entered, in the name of the head of household."""

from collections.abc import Collection

from django.db import connection
from django.utils.translation import gettext as _

from payouts.models import BankAccount, Payout

KINDS = ["account_tampered", "payout_tampered", "holder_differs"]

# A run's entry has it with this household and sum, its account is this household's, and no entry says that it ended.
_AS_BOOKED = """
    SELECT p.id FROM payouts_payout p
      JOIN payouts_bankaccount b ON b.id = p.account_id AND b.household_id = p.household_id
      JOIN ledger_entry e ON e.reference = 'payout:' || p.out_no
      JOIN ledger_line l ON l.entry_id = e.id AND l.fen = p.fen
      JOIN ledger_account a ON a.id = l.account_id AND a.owner = p.household_id
     WHERE p.id = ANY(%s) AND NOT EXISTS (
           SELECT FROM ledger_entry o WHERE o.reference IN ('arrived:' || p.out_no, 'reversed:' || p.out_no))"""


def troubles(payouts: Collection[Payout]) -> dict[int, tuple[str, str]]:
    """Of payouts that are to be sent: those that must not be, each with the kind of alert and a sentence. One query for
    all; the accounts and their households are loaded with them."""
    if not payouts:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_AS_BOOKED, [[payout.pk for payout in payouts]])
        booked = {pk for (pk,) in cursor.fetchall()}
    found = {}
    for payout in payouts:
        if not payout.account.is_sealed:
            found[payout.pk] = "account_tampered", _("The account does not fit its seal; not sent.")
        elif payout.pk not in booked:
            found[payout.pk] = "payout_tampered", _("The books do not have it with this household, account and sum.")
        elif payout.account.state == BankAccount.State.APPROVED and not payout.account.is_of_head:
            # One that is not in force any more ends the payout all the same.
            found[payout.pk] = "holder_differs", _("The account's holder is not the head of household any more.")
    return found
