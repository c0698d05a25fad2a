"""Files loaded in the admin: seen before they are stored, by administrators only."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from tests import factories
from tests.trees.bulk import HOUSEHOLD_HEADING, TREE_HEADING, code, fir, household_row, tree_row, write_csv, write_xlsx
from tests.trees.conftest import signed_in
from trees.imports import uploads
from trees.models import Household, Import, Tree
from trees.tasks import load_upload

pytestmark = pytest.mark.django_db
ADD = "/admin/trees/import/add/"


@pytest.fixture
def administrator(db: None) -> User:
    return factories.user(roles.ADMINISTRATOR)


@pytest.fixture
def admin(administrator: User) -> Client:
    return signed_in(administrator)


def upload(client: Client, file: Path, kind: str = "trees") -> Any:
    return client.post(ADD, {"kind": kind, "file": SimpleUploadedFile(file.name, file.read_bytes())})


def page(client: Client, batch: Import) -> str:
    text: str = client.get(reverse("admin:trees_import_change", args=[batch.pk])).content.decode()
    return re.sub(r"\s+", " ", text)


def do(client: Client, batch: Import, wish: str, **chosen: str) -> Any:
    return client.post(reverse("admin:trees_import_change", args=[batch.pk]), {"do": wish, **chosen}, follow=True)


def kept() -> list[str]:
    store = storages["evidence"]
    return store.listdir("imports")[1] if store.exists("imports") else []


def test_a_file_is_seen_checked_and_stored_step_by_step(admin: Client, administrator: User, tmp_path: Path) -> None:
    household = factories.household()
    fir()
    heading = ["哪家", "树种", "胸径(cm)", "测量日期", "备注"]
    rows = [[code(household), "杉木", f"{n}", "2026/3/5", "x"] for n in (8, 9, 10)]
    assert upload(admin, write_csv(tmp_path / "trees.csv", heading, *rows, encoding="gbk")).status_code == 302
    batch = Import.objects.get()
    assert (batch.state, batch.imported_by, Tree.objects.count()) == ("staging", administrator, 0)
    seen = page(admin, batch)
    assert '<option value="树种" selected>' in seen
    assert f"{code(household)[:3]}**********{code(household)[-2:]}" in seen  # What it is, is not known yet.
    refused = do(admin, batch, "check", species="树种", dbh_cm="胸径(cm)", measured_on="测量日期")
    assert "lacks the column(s) household" in refused.content.decode()
    do(admin, batch, "check", household="哪家", species="树种", dbh_cm="胸径(cm)", measured_on="测量日期")
    assert "3 rows are fine" in page(admin, batch)
    assert Tree.objects.count() == 0
    do(admin, batch, "store")
    assert list(Tree.objects.order_by("ordinal").values_list("dbh_cm", "registered_by", "state")) == [
        (n, administrator.pk, "submitted") for n in (8, 9, 10)
    ]
    assert "3 of 3 rows are stored" in page(admin, batch)
    assert kept() == []
    again = upload(admin, write_csv(tmp_path / "trees.csv", heading, *rows, encoding="gbk"))
    assert "This file was loaded before. Nothing was stored again." in again.content.decode()
    assert (Tree.objects.count(), Import.objects.count()) == (3, 1)


def test_problems_are_shown_and_only_the_good_rows_stored_by_wish(admin: Client, tmp_path: Path) -> None:
    household = factories.household()
    upload(admin, write_csv(tmp_path / "trees.csv", TREE_HEADING, tree_row(household), tree_row(household, dbh_cm="0")))
    batch = Import.objects.get()
    do(admin, batch, "check", **{name: name for name in TREE_HEADING})
    seen = page(admin, batch)
    assert "The DBH must be more than 0 and less than 500 cm. Measure it again." in seen
    assert 'value="store"' not in seen
    assert "2 rows read, 1 row is fine; refused: 1." in seen
    csv = admin.get(reverse("admin:trees_import_report", args=[batch.pk])).content.decode("utf-8-sig")
    assert csv.splitlines()[1] == "3,dbh_cm,0.0,The DBH must be more than 0 and less than 500 cm. Measure it again."
    refused = do(admin, batch, "store").content.decode()
    assert "1 of 2 rows are refused; nothing was stored." in refused
    assert Tree.objects.count() == 0
    do(admin, batch, "store-partial")
    assert Tree.objects.count() == 1


def test_a_kept_file_is_unreadable_and_masked_on_the_page(admin: Client, tmp_path: Path) -> None:
    row = household_row(500)
    upload(admin, write_xlsx(tmp_path / "h.xlsx", HOUSEHOLD_HEADING, row), "households")
    batch = Import.objects.get()
    with storages["evidence"].open(f"imports/{batch.pk}") as file:
        content = file.read()
    assert row[2].encode() not in content
    assert not content.startswith(b"PK")
    seen = page(admin, batch)
    assert f"{row[2][:6]}**********{row[2][-2:]}" in seen
    assert row[1] not in seen
    assert row[2] not in seen
    assert row[3] not in seen
    do(admin, batch, "check", village_code="村代码", head_name="户主姓名", id_number="身份证号", phone="联系电话",
       category="农户类别", area_mu="林地面积(亩)", tenure="权属", consent_version="同意书版本", consent_signed_on="签署日期")  # fmt: skip
    do(admin, batch, "store")
    assert Household.objects.get().id_number == row[2]


def test_a_large_file_is_loaded_by_a_worker(admin: Client, tmp_path: Path, monkeypatch: Any) -> None:
    household = factories.household()
    upload(admin, write_csv(tmp_path / "trees.csv", TREE_HEADING, *[tree_row(household) for _ in range(5)]))
    batch = Import.objects.get()
    monkeypatch.setattr(uploads, "AT_ONCE_BYTES", 10)
    rung: list[Any] = []
    monkeypatch.setattr(load_upload, "delay", lambda *args: rung.append(args))
    do(admin, batch, "check", **{name: name for name in TREE_HEADING})
    seen = page(admin, batch)
    assert '<meta http-equiv="refresh" content="2">' in seen
    assert "A worker is at it" in seen
    assert 'value="check"' not in seen
    assert (rung, Tree.objects.count()) == ([(batch.pk, None)], 0)
    load_upload(*rung.pop())
    assert "5 rows are fine" in page(admin, batch)
    assert "refresh" not in page(admin, batch)
    do(admin, batch, "store")
    load_upload(*rung[0])
    load_upload(*rung[0])  # The broker may bring it twice.
    assert Tree.objects.count() == 5


def test_what_goes_wrong_in_the_worker_is_told_on_the_page(admin: Client, tmp_path: Path) -> None:
    household = factories.household()
    upload(admin, write_csv(tmp_path / "trees.csv", TREE_HEADING, tree_row(household, dbh_cm="0")))
    batch = Import.objects.get()
    do(admin, batch, "check", **{name: name for name in TREE_HEADING})
    load_upload(batch.pk, False)
    assert "1 of 1 rows are refused; nothing was stored." in page(admin, batch)
    assert Tree.objects.count() == 0


def test_a_cancelled_import_leaves_nothing_and_the_file_may_come_again(admin: Client, tmp_path: Path) -> None:
    household = factories.household()
    file = write_csv(tmp_path / "trees.csv", TREE_HEADING, tree_row(household))
    upload(admin, file)
    do(admin, Import.objects.get(), "cancel")
    assert (Import.objects.get().state, kept()) == ("cancelled", [])
    assert "The file is not here any more." in do(admin, Import.objects.get(), "store").content.decode()
    assert Tree.objects.count() == 0
    upload(admin, file)
    assert sorted(Import.objects.values_list("state", flat=True)) == ["cancelled", "staging"]


def test_a_bad_file_is_refused_in_a_sentence(admin: Client, tmp_path: Path) -> None:
    path = tmp_path / "a.xls"
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 100)
    said = upload(admin, path).content.decode()
    assert "is an old Excel file (.xls)" in said
    assert Import.objects.count() == 0


@pytest.mark.parametrize("role", [roles.OFFICER, roles.REVIEWER, roles.FINANCE, roles.BUYER])
def test_nobody_else_gets_at_imports(role: str, admin: Client, tmp_path: Path) -> None:
    household = factories.household()
    file = write_csv(tmp_path / "trees.csv", TREE_HEADING, tree_row(household))
    upload(admin, file)
    batch = Import.objects.get()
    do(admin, batch, "check", **{name: name for name in TREE_HEADING})
    user = factories.user(role)
    user.is_staff = True
    user.save()
    other = signed_in(user)
    addresses = [
        reverse("admin:trees_import_change", args=[batch.pk]),
        reverse("admin:trees_import_report", args=[batch.pk]),
        ADD,
    ]
    assert {other.get(address).status_code for address in [*addresses, "/admin/trees/import/"]} == {403}
    assert other.post(addresses[0], {"do": "store"}).status_code == 403
    assert upload(other, file).status_code == 403
    batch.refresh_from_db()
    assert (batch.state, Tree.objects.count()) == ("checked", 0)


def test_another_administrator_does_not_take_an_import_over(admin: Client, tmp_path: Path) -> None:
    household = factories.household()
    file = write_csv(tmp_path / "trees.csv", TREE_HEADING, tree_row(household))
    upload(admin, file)
    second = signed_in(factories.user(roles.ADMINISTRATOR))
    assert "is loading this file. Ask them to finish or to cancel it." in upload(second, file).content.decode()
    assert Import.objects.count() == 1
