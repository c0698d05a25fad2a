"""A stop is not lost because something harmless was said of the same thing before."""

from typing import Any

import pytest

from carbonsink.accounts import roles
from payouts import alerts, batches
from payouts.models import Alert, Attempt, Batch
from payouts.runs import why_stopped
from tests import factories
from tests.payouts import filing, money
from tests.payouts.filing import FileBank, states

pytestmark = pytest.mark.django_db(transaction=True)


def hand_in(content: bytes) -> None:
    batches.read_file("pain001", "bank.xml", content, by=factories.user(roles.FINANCE))


def test_what_stops_payouts_stops_them_though_an_alert_of_the_same_thing_is_open(settings: Any) -> None:
    alerts.raise_alert("report_contradicts", "a", "Accepted.")
    Alert.objects.update(told_at="2026-01-01T00:00:00Z")
    alerts.raise_alert("report_contradicts", "a", "Arrived.", stops=True)
    alerts.raise_alert("report_contradicts", "a", "Accepted again.")
    (alert,) = alerts.open_alerts()
    assert (alert.stops, alert.text, alert.told_at) == (True, "Arrived.", None)
    assert why_stopped() == "Arrived."


def test_a_failure_said_to_be_accepted_and_then_to_have_arrived_stops_runs(file_bank: FileBank) -> None:
    (payout,) = file_bank.approved(300)
    batches.send_approved("pain001")
    batch = Batch.objects.get()
    for status in ("RJCT:FF01", "ACSP", "ACSC"):
        hand_in(filing.report(batch, (payout.out_no, status)))
    assert states() == ["failed"]
    assert why_stopped()


@pytest.mark.parametrize("group", ["", "RJCT:FF01"])
def test_what_was_never_handed_over_cannot_have_failed(file_bank: FileBank, settings: Any, group: str) -> None:
    """It would be owed again, and go twice once its file is handed over."""
    (payout,) = file_bank.approved(300)
    settings.PAIN001_OUT_DIR = "/nowhere"
    batches.send_approved("pain001")
    batch = Batch.objects.get()
    rows = [] if group else [(payout.out_no, "RJCT:FF01")]
    hand_in(filing.report(batch, *rows, group=group))
    batch.refresh_from_db()
    assert (states(), money.owed_fen(payout.household), batch.state) == (["sending"], 0, "written")
    assert Alert.objects.filter(state="open").count() == 1
    settings.PAIN001_OUT_DIR = str(file_bank.out)
    batches.send_approved("pain001")
    assert Attempt.objects.get().batch == batch
    assert file_bank.files() == [batch.name]
