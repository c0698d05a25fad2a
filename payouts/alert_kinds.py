"""What each kind of alert means and asks for, in plain words, and where its thing is found."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True)
class Kind:
    """Words for people. `by_itself`: it closes once its thing is well again, and no answer can close it before."""

    title: Any
    meaning: Any
    to_do: Any
    by_itself: bool = True
    link: Callable[[str], str] | None = None


def _records(page: str, **where: str) -> Callable[[str], str]:
    """The list of records of a kind, narrowed to what the alert is about unless `where` says how else."""
    return lambda about: f"{reverse(f'admin:{page}_changelist')}?{urlencode(where or {'q': about})}"


def _page(name: str, *, with_about: bool = False) -> Callable[[str], str]:
    return lambda about: reverse(name, args=[about] if with_about else [])


_PAYOUT = _records("payouts_payout")
_ASK = _("Call the bank with the payout's number. Do not pay it any other way: it may have gone.")

KINDS = {
    "unanswered": Kind(
        _("The bank does not say what became of a payout"),
        _("It was handed to the bank, and for more than 15 minutes nobody knows whether it has gone."),
        _ASK,
        link=_PAYOUT,
    ),
    "account_tampered": Kind(
        _("A household's account is not the one that was entered"),
        _("The stored account does not fit its seal: somebody or something changed it outside the platform."),
        _("Find out who changed the database. Cancel the payout, and have the account entered and approved anew."),
        link=_PAYOUT,
    ),
    "payout_tampered": Kind(
        _("A payout is not what a run wrote"),
        _("Household, account and sum are not those of its entry in the ledger, or it had ended: it is not sent."),
        _("Find out who changed the database before anything more is paid, and run the audit."),
        link=_PAYOUT,
    ),
    "holder_differs": Kind(
        _("An account is not in the name of the head of household any more"),
        _("The household's head has another name than the account's holder: nothing is sent there."),
        _("Have an account of the head of household entered and approved; this payout is then owed anew."),
        link=_PAYOUT,
    ),
    "former_account_tampered": Kind(
        _("A household's former account was changed by hand, and another one is being set up"),
        _("Whoever changed the database may have kept the household from being told of the new account."),
        _("Call the household before the new account is in use, and stop it if it is not theirs."),
        by_itself=False,
        link=_page("payouts:finance-accounts"),
    ),
    "content_changed": Kind(
        _("A payout would be sent again with another content"),
        _("What would go to the bank now is not what was sent under this number before, so nothing is sent."),
        _ASK,
        link=_PAYOUT,
    ),
    "bank_forgot": Kind(
        _("The bank does not know a payout that it had accepted"),
        _("It accepted the payout, and now says that it has never heard of the number. Nothing is sent again."),
        _ASK,
        link=_PAYOUT,
    ),
    "bank_stranger": Kind(
        _("The bank tells of a transfer that is not ours"),
        _("Its report names a number that no payout bears."),
        _("Ask the bank what it is, and write down what it said."),
        by_itself=False,
    ),
    "batch_refused": Kind(
        _("A file for a bank did not go, or the bank refused it"),
        _("The text says why. None of its payouts counts as paid."),
        _("Read the reason, put right what it names, and write down what was done. Send no file a second time."),
        by_itself=False,
        link=_page("payouts:finance-files"),
    ),
    "file_changed": Kind(
        _("A file for a bank is not what was written"),
        _("Its content does not fit its hash: somebody or something changed it. It is not handed over."),
        _("Find out who changed the database, before anything more is paid."),
        by_itself=False,
        link=_page("payouts:finance-files"),
    ),
    "file_contradicts": Kind(
        _("The bank contradicts what it had said of a file"),
        _("It had refused the file, or each payout in it, and they are owed again. Now it says that it pays them."),
        _("Ask the bank what it has paid of this file. Approve none of these payouts again before it has said so."),
        by_itself=False,
        link=_page("payouts:finance-files"),
    ),
    "file_unanswered": Kind(
        _("A bank has not answered a file"),
        _("The file was handed over, and not all of its payouts have an answer."),
        _("Ask the bank for its answer. Never hand the file over a second time."),
        link=_page("payouts:finance-files"),
    ),
    "bank_file_unreadable": Kind(
        _("A file from a bank cannot be read"),
        _("It was set aside. What it says is not known here."),
        _("Ask the bank for the file again, and send it in."),
        by_itself=False,
        link=_page("payouts:finance-files"),
    ),
    "payout_does_not_fit": Kind(
        _("A payout does not fit into the bank's file"),
        _("The others have gone without it. Its household waits."),
        _("Have the account entered as the bank's file can hold it, then cancel this payout."),
        by_itself=False,
        link=_PAYOUT,
    ),
    "report_contradicts": Kind(
        _("The bank contradicts what we know of a payout"),
        _("What it says was not booked."),
        _ASK,
        by_itself=False,
        link=_PAYOUT,
    ),
    "daily_statement": Kind(
        _("No statement of the day could be published"),
        _("Its figures are not in balance, or an entry has no place in them. Nothing was published."),
        _("Tell whoever runs the platform. The day is published once its figures are in balance."),
        link=_page("payouts:money"),
    ),
    "books_changed": Kind(
        _("The books no longer fit what was published"),
        _("A published day's entries or its tree were changed in the database, and a buyer could not be given a proof."
          " Until a person has answered, nothing is paid out."),
        _("Have the audit run. Find out who changed the database, and have it put right from a backup."),
        by_itself=False,
        link=_page("payouts:money-day", with_about=True),
    ),
    "statement_unread": Kind(
        _("The bank's statement cannot be read"),
        _("The bank does not answer, or says something that cannot be booked. What it says since is not known here."),
        _("Ask the bank. If it answers as always, tell whoever runs the platform."),
        link=_page("payouts:reconciliation"),
    ),
    "statement_unexplained": Kind(
        _("A row of the statement that nobody can explain"),
        _("Money came or went on the supervised account, and nothing we know fits it. Until it is explained nothing"
          " is paid out."),
        _("Ask the bank or whoever paid. Then say what the row is: a payout's debit or return, or the sponsor's."),
        link=_page("payouts:finance-rows"),
    ),
    "statement_changed": Kind(
        _("The bank tells a row of its statement with another amount"),
        _("It was booked before under the same serial number. What the bank says now is not booked, and nothing is paid"
          " out."),
        _("Ask the bank which amount is right, and write down what it said."),
        by_itself=False,
        link=_page("payouts:reconciliation"),
    ),
    "not_compared": Kind(
        _("A day has not been compared with the bills and the statement"),
        _("It ended more than a day ago, and nobody knows whether its money is where it should be. Until it is compared"
          " nothing is paid out."),
        _("Tell whoever runs the platform that its background work stands still. A day that is long over is compared by"
          " manage.py reconcile --date."),
        link=_page("payouts:reconciliation"),
    ),
    "reconciliation": Kind(
        _("A day's books, bills and statement do not agree"),
        _("Something differs that nothing known explains. Until a person has answered, nothing is paid out."),
        _("Open the day, look at each difference, and write down what you found out."),
        link=_page("payouts:reconciliation-day", with_about=True),
    ),
    "settlement_overdue": Kind(
        _("A payment service has not settled in time"),
        _("Buyers paid, and the money is not on the supervised account although its days are over."),
        _("Ask the payment service for the settlement. It closes by itself once the money has come."),
        link=_page("payouts:reconciliation"),
    ),
    "refund_unanswered": Kind(
        _("Nobody knows whether a refund has arrived"),
        _("It was sent to the payment service, which for more than 15 minutes has not said what became of it."),
        _("Look the number up on the payment service's own pages. It is asked for again and again."),
        link=_page("purchases:finance-returns"),
    ),
    "refund_refused": Kind(
        _("A payment service refuses a refund"),
        _("The buyer still waits for the money. It is tried again every few minutes."),
        _("See whether there is enough on the merchant's account, or take the refund over and send it at the bank."),
        link=_page("purchases:finance-returns"),
    ),
    "capture_without_trees": Kind(
        _("A buyer has paid, and has neither trees nor the money back"),
        _("The payment came after the order had ended, more than 10 minutes ago."),
        _("Tell whoever runs the platform that its background work stands still."),
        link=_records("purchases_payment"),
    ),
    "case": Kind(
        _("A household says that something is wrong"),
        _("It looked at its page and said that money has not arrived or that a tree is not its own."),
        _("Open the case and speak with the household."),
        link=_page("payouts:finance-cases"),
    ),
}  # fmt: skip
OTHER = Kind(
    _("Something must be looked at"),
    _("The text says what."),
    _("Find out what it is about, and write it down."),
    by_itself=False,
)


def kind_of(name: str) -> Kind:
    """What is known of a kind of alert."""
    return KINDS.get(name, OTHER)
