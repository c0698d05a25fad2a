"""Alipay to bank card: transfers from the programme's own Alipay account to households' bank accounts.

An app of its own in certificate mode. A number is taken once: the same number with the same content again is the same
transfer. What is asked for goes in the body of a POST and never in an address, which proxies write down.
Source: Alipay open platform, `alipay.fund.trans.uni.transfer` and `alipay.fund.trans.common.query`, product
TRANS_BANKCARD_NO_PWD; fields as in alipay-sdk-java-all (Participant, BankcardExtInfo).
"""

import json
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from django.conf import settings
from django.utils import timezone

from carbonsink import money, outside, pem
from payouts.banks.alipay import account_log, certificates
from payouts.banks.alipay.codes import ACCOUNTS_FAULTS, AGAIN, REFUSALS
from payouts.banks.base import BankError, Instruction, Movement, Page, TransferReport
from purchases.gateways.alipay import signing

TRANSFER, QUERY = "alipay.fund.trans.uni.transfer", "alipay.fund.trans.common.query"
PRODUCT = {"product_code": "TRANS_BANKCARD_NO_PWD", "biz_scene": "DIRECT_TRANSFER"}
# A household is a person, 对私.
PERSONAL_ACCOUNT = "2"
# Rows of the log may be seen a little after the moment they bear: so much of it is read again each time.
OVERLAP = timedelta(minutes=10)
SINCE = timedelta(days=30)
SERVICE_FEE = "收费"


class AlipayTransfers:
    """The adapter; its app, key and certificates come from the settings ALIPAY_TRANSFER_*."""

    code = "alipay"
    at_once = 1
    least_fen = 10
    # Alipay asks that a number it does not know be sent again as it was, and takes a number once (decision 20). A day
    # is far longer than any request can be under way.
    request_lives: timedelta | None = timedelta(days=1)

    def frozen(self, instruction: Instruction) -> bytes:
        (transfer,) = instruction.transfers
        card = {"account_type": PERSONAL_ACCOUNT, "bank_code": transfer.bank_code, "inst_name": transfer.bank_name}
        terms = {
            **PRODUCT,
            "out_biz_no": transfer.out_no,
            "trans_amount": money.yuan(transfer.fen),
            "order_title": transfer.purpose,
            "remark": transfer.purpose,
            "payee_info": {
                "identity_type": "BANKCARD_ACCOUNT",
                "identity": transfer.account_number,
                "name": transfer.holder,
                "bankcard_ext_info": {name: value for name, value in card.items() if value},
            },
        }
        return json.dumps(terms, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()

    def submit(self, instruction: Instruction) -> list[TransferReport]:
        answer = self._ask(TRANSFER, self.frozen(instruction).decode(), instruction.at)
        code, why = _refusal(answer)
        if code in AGAIN:
            raise BankError("unsent", code, why)
        if code in REFUSALS:
            raise BankError("refused", code, why, account_at_fault=code in ACCOUNTS_FAULTS)
        if code:
            raise BankError("unknown", code, why)
        return [self._report(instruction.transfers[0].out_no, answer)]

    def query(self, out_no: str) -> TransferReport | None:
        answer = self._ask(QUERY, _written({**PRODUCT, "out_biz_no": out_no}))
        code, why = _refusal(answer)
        if code == "ORDER_NOT_EXIST":
            return None
        if code:
            raise BankError("unknown", code, why)
        return self._report(out_no, answer)

    def statement(self, after: str) -> Page:
        """`after` is the moment of the newest row that was read, by Alipay's clock and not by ours."""
        try:
            read_up_to = account_log.moment(after) if after else self._beginning()
        except ValueError as error:
            raise BankError("unknown", "BAD_CURSOR", after) from error
        # The log's clock has no fractions: up to the end of this very second.
        now = max(timezone.now().replace(microsecond=0), read_up_to) + timedelta(seconds=1)
        begin, newest, rows = read_up_to - OVERLAP, read_up_to, list[account_log.Row]()
        while begin < now and newest == read_up_to:
            end = min(begin + account_log.LONGEST, now)
            rows += account_log.read(self._answered, begin, end)
            newest = max((row.booked_at for row in rows), default=read_up_to)
            begin, newest = end, max(newest, read_up_to)
        return Page(tuple(map(self._movement, rows)), account_log.clock(newest))

    def day(self, day: date) -> list[Movement] | None:
        begin = timezone.make_aware(datetime.combine(day, time.min))
        rows = account_log.read(self._answered, begin, begin + timedelta(days=1))
        return [self._movement(row) for row in rows]

    def closing_fen(self, day: date) -> int | None:
        """By the last row of the day, or of the weeks before it."""
        end = timezone.make_aware(datetime.combine(day, time.min)) + timedelta(days=1)
        for back in (timedelta(days=1), account_log.LONGEST):
            rows = account_log.read(self._answered, end - back, end)
            if rows:
                moves = [(row.fen, row.balance_fen) for row in rows if row.balance_fen is not None]
                return money.closing_fen(moves) if len(moves) == len(rows) else None
        return None

    @staticmethod
    def _beginning() -> datetime:
        since = settings.ALIPAY_TRANSFER_SINCE
        begin = date.fromisoformat(since) if since else timezone.localdate() - SINCE
        return timezone.make_aware(datetime.combine(begin, time.min))

    def _report(self, out_no: str, answer: dict[str, Any]) -> TransferReport:
        """What an answer about a transfer says. A signature does not say which question it answers."""
        status, error = answer.get("status"), str(answer.get("error_code") or "")
        if answer.get("out_biz_no") != out_no or not isinstance(answer.get("order_id"), str | None):
            raise BankError("unknown", "BAD_ANSWER", "not about this transfer")
        if status == "FAIL":
            # Where it had left the account before, it comes back as a row of its own: that is a return.
            state = "returned" if self._left(out_no) else "failed"
        else:
            state = {"SUCCESS": "succeeded", "DEALING": "accepted", "REFUND": "returned"}.get(str(status), "")
        if not state:
            raise BankError("unknown", "BAD_ANSWER", f"a transfer with the status {status!s:.20}")
        done, amount = answer.get("pay_date") or answer.get("trans_date"), answer.get("trans_amount")
        try:
            return TransferReport(
                out_no=out_no,
                state=state,  # type: ignore[arg-type]
                bank_reference=account_log.text(answer.get("order_id"))[:140],
                completed_at=account_log.moment(done) if done and state != "accepted" else None,
                reason=account_log.text(f"{error} {answer.get('fail_reason') or ''}")[:200],
                fen=None if amount is None else account_log.yuan_to_fen(amount),
                account_at_fault=error in ACCOUNTS_FAULTS,
            )
        except (TypeError, ValueError) as bad:
            raise BankError("unknown", "BAD_ANSWER", "the content has not the expected form") from bad

    def _left(self, out_no: str) -> bool:
        """Whether a transfer's money had left the account."""
        now = timezone.now().replace(microsecond=0) + timedelta(seconds=1)
        try:
            rows = account_log.read(self._answered, now - account_log.LONGEST, now, out_no)
        except BankError as error:
            # That this question never got there says nothing of the transfer: it must not count as never sent.
            raise BankError("unknown", error.code) from error
        return any(row.fen < 0 and row.out_no == out_no and row.kind != SERVICE_FEE for row in rows)

    def _movement(self, row: account_log.Row) -> Movement:
        fee = row.kind == SERVICE_FEE
        return Movement(
            serial=row.serial,
            booked_at=row.booked_at,
            fen=row.fen,
            counterparty=row.counterparty,
            remittance=f"{row.kind} {row.memo}".strip()[:200],
            out_no="" if fee else row.out_no or self._number_of(row),
            bank_reference=row.order_id[:140],
            is_fee=fee,
        )

    def _number_of(self, row: account_log.Row) -> str:
        """Our number of a transfer that comes back under Alipay's own number alone; empty for any other money."""
        if row.fen <= 0 or not row.order_id:
            return ""
        answer = self._ask(QUERY, _written({**PRODUCT, "order_id": row.order_id}))
        code, why = _refusal(answer)
        if code == "20000" or "SYSTEM_ERROR" in code or code.startswith(("isp.", "aop.")):
            raise BankError("unknown", code, why)  # Any other refusal: no transfer of ours, and a person looks at it.
        same = answer.get("order_id") == row.order_id and answer.get("status") in ("REFUND", "FAIL")
        return account_log.text(answer.get("out_biz_no")) if same and not code else ""

    def _answered(self, method: str, terms: dict[str, Any]) -> dict[str, Any]:
        answer = self._ask(method, _written(terms))
        code, why = _refusal(answer)
        if code:
            raise BankError("unknown", code, why)
        return answer

    def _ask(self, method: str, content: str, at: datetime | None = None) -> dict[str, Any]:
        """Sends one request, signed as of `at`, or now, and returns its verified answer. Raises BankError when there is
        none."""
        parameters = {
            "app_id": settings.ALIPAY_TRANSFER_APP_ID,
            "method": method,
            "format": "JSON",
            "charset": "utf-8",
            "sign_type": "RSA2",
            "timestamp": account_log.clock(at or timezone.now()),
            "version": "1.0",
            "app_cert_sn": certificates.number(settings.ALIPAY_TRANSFER_APP_CERT_FILE),
            "alipay_root_cert_sn": certificates.root_number(settings.ALIPAY_TRANSFER_ROOT_CERT_FILE),
        }
        key = pem.private_key(settings.ALIPAY_TRANSFER_APP_KEY_FILE, RSAPrivateKey)
        parameters["sign"] = signing.sign(parameters | {"biz_content": content}, key)
        body = _post(f"{settings.ALIPAY_GATEWAY_URL}?{urlencode(parameters)}", urlencode({"biz_content": content}))
        certificate = settings.ALIPAY_TRANSFER_ALIPAY_CERT_FILE
        try:
            return signing.read_answer(
                body,
                method.replace(".", "_") + "_response",
                certificates.public_key(certificate),
                certificates.number(certificate),
            )
        except signing.BadSignature as error:
            raise BankError("unknown", "UNVERIFIABLE", str(error)) from error


def _written(terms: dict[str, Any]) -> str:
    return json.dumps(terms, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _refusal(answer: dict[str, Any]) -> tuple[str, str]:
    """The code and the words of a refusal; no code when there is none."""
    code = str(answer.get("code") or "BAD_ANSWER")
    if code == "10000":
        return "", ""
    return str(answer.get("sub_code") or code)[:100], str(answer.get("sub_msg") or "")[:200]


def _post(url: str, content: str) -> bytes:
    headers = {"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"}
    try:
        timeout = settings.OUTSIDE_TIMEOUT_SECONDS
        answer = outside.client().post(url, content=content.encode(), headers=headers, timeout=timeout)
    except httpx.ConnectError as error:
        raise BankError("unsent", "NO_CONNECTION") from error
    except httpx.HTTPError as error:
        raise BankError("unknown", "NO_ANSWER", type(error).__name__) from error
    if answer.status_code != 200:
        raise BankError("unknown", f"HTTP_{answer.status_code}")
    return answer.content
