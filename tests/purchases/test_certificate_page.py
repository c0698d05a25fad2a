"""The page of a certificate says how it stands, and leads nobody to what is somebody else's."""

import html
from typing import Any

import pytest
from django.test import Client

from carbonsink.states import move
from purchases import holding
from purchases.models import Buyer, Certificate
from tests import factories
from tests.purchases.losing import leave, sweep

pytestmark = pytest.mark.django_db


def certified(quantity: int = 2, more: int = 1) -> Certificate:
    factories.market(quantity + more)
    made = factories.paid_order(quantity, holder="王五", dedication="为了<孩子>").certificate
    assert made is not None
    return made


def page(certificate: Certificate) -> str:
    answer = Client(headers={"accept-language": "en"}).get(f"/c/{certificate.token}/")
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def word(shown: str) -> str:
    """The big word at the top."""
    _before, _mark, rest = shown.partition('<p class="standing-word">')
    return rest.partition("</p>")[0]


def test_a_valid_one_says_so_first_and_shows_where_the_money_is() -> None:
    certificate = certified()
    shown = page(certificate)
    assert "有效" in word(shown)
    assert "Valid" in word(shown)
    assert shown.index("standing-word") < shown.index(certificate.serial + "</p>")
    assert "Where the money of the order is" in shown
    assert "为了<孩子>" in shown
    for kind in ("png", "pdf", "json"):
        assert f'href="/c/{certificate.token}/certificate.{kind}"' in shown
    assert f'property="og:image" content="http://127.0.0.1:8000/c/{certificate.token}/certificate.png"' in shown


def test_a_retired_one_says_for_whom_what_for_and_when() -> None:
    certificate = certified()
    retired = holding.retire(certificate, beneficiary="从江县<林业局>", purpose="2026年会议")
    shown = page(retired)
    assert ("已注销" in word(shown), "Retired" in word(shown)) == (True, True)
    for said in ("从江县<林业局>", "2026年会议", "Retired on"):
        assert said in shown
    assert "从江县<林业局>" not in Client().get(f"/c/{retired.token}/").content.decode()


def test_one_that_was_passed_on_tells_the_new_serial_but_not_its_address() -> None:
    certificate = certified()
    friend = Buyer.objects.create(contact="friend@example.org")
    given = holding.hand_on(certificate, to=friend, holder="李四的秘密", trees=1, reason="gift")
    kept = Certificate.objects.get(state="valid", owner=certificate.owner)
    shown = page(certificate)
    assert ("已转让" in word(shown), "Transferred" in word(shown)) == (True, True)
    assert (given.serial in shown, given.token in shown, "李四的秘密" in shown) == (True, False, False)
    assert f'href="/c/{kept.token}/"' in shown
    # The new owner's page tells nothing of the order that the giver paid.
    new = page(given)
    assert ("有效" in word(new), "李四的秘密" in new) == (True, True)
    for hidden in ("Where the money of the order is", certificate.token, kept.token, certificate.order.token, "王五"):
        assert hidden not in new


def test_a_replaced_one_leads_its_owner_to_the_newer_one() -> None:
    certificate = certified()
    leave(certificate.sinks.earliest("pk").tree)
    sweep()
    new = Certificate.objects.get(parent=certificate)
    shown = page(certificate)
    assert ("已更换" in word(shown), f'href="/c/{new.token}/"' in shown) == (True, True)
    assert "有效" in word(page(new))


def test_one_whose_order_went_back_is_refunded() -> None:
    certificate = certified(1, more=0)
    leave(certificate.sinks.get().tree)
    sweep()
    shown = page(certificate)
    assert ("已退款" in word(shown), "Refunded" in word(shown)) == (True, True)


def test_a_revoked_one_is_revoked() -> None:
    certificate = certified()
    move(certificate, "revoked", reason="test")
    assert "已撤销" in word(page(certificate))


def test_the_files_of_an_unknown_certificate_are_not_there() -> None:
    certificate = certified()
    tree = certificate.sinks.get(pk=certificate.sinks.earliest("pk").pk).tree
    other = factories.approved_tree()
    paths = [f"/c/nobody/{name}" for name in ("", "certificate.png", "certificate.pdf", "certificate.json", "qr.png")]
    paths += [f"/c/nobody/trees/{tree.number}.pdf", f"/c/{certificate.token}/trees/{other.number}.pdf"]
    for path in paths:
        assert Client().get(path).status_code == 404, path
    assert Client().get(f"/c/{certificate.token}/trees/{tree.number}.pdf").status_code == 200


@pytest.mark.parametrize(
    ("name", "kind", "begins"),
    [("certificate.png", "image/png", b"\x89PNG"), ("certificate.pdf", "application/pdf", b"%PDF-")],
)
@pytest.mark.parametrize("language", ["zh-hans", "en", "xx"])
def test_drawings_are_served_in_both_languages(name: str, kind: str, begins: bytes, language: str) -> None:
    certificate = certified()
    answers: list[Any] = [
        Client().get(f"/c/{certificate.token}/{name}", {"language": wanted}) for wanted in (language, "en", "zh-hans")
    ]
    assert {(one.status_code, one["Content-Type"]) for one in answers} == {(200, kind)}
    assert answers[0].content.startswith(begins)
    assert len(answers[1].content) != len(answers[2].content)
