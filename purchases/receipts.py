"""Receipts: what a buyer's books need of a paid order, as a page and on paper.

What the paper is called in a programme is a setting; a sale and a public-welfare gift differ, and so does whether an
invoice or a donation document 捐赠票据 follows. Finance attaches its number as a voucher.
"""

import io
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from carbonsink import fonts
from carbonsink.errors import DomainError
from carbonsink.money import in_words
from carbonsink.templatetags.money import yuan
from purchases.models import Order, Payment, Refund, Voucher
from purchases.replacements import paid_by

# On paper, which is in Chinese whoever prints it.
WAYS = {"wechatpay": "微信支付", "alipay": "支付宝", "transfer": "银行转账"}


@dataclass(frozen=True)
class Receipt:
    """What a receipt says."""

    order: Order
    payment: Payment
    title: str
    payer: str
    code: str
    refunds: list[Refund]
    vouchers: list[Voucher]

    @property
    def words(self) -> str:
        """The amount in financial capitals."""
        return in_words(self.order.total_fen)

    @property
    def way(self) -> str:
        """How it was paid."""
        ways = {"wechatpay": _("WeChat Pay"), "alipay": _("Alipay"), "transfer": _("Bank transfer")}
        return ways.get(self.payment.gateway, self.payment.gateway)

    @property
    def transaction_tail(self) -> str:
        """The last characters of the transaction: enough to find it, too few to use it."""
        return (self.payment.transaction_id or "").rstrip("+")[-8:]

    @property
    def paid_on(self) -> datetime:
        """When the money came."""
        assert self.payment.captured_at is not None
        return timezone.localtime(self.payment.captured_at)

    @property
    def refunded_fen(self) -> int:
        """What went back of it so far, or is on its way back."""
        return sum(refund.fen for refund in self.refunds)


def receipt(order: Order) -> Receipt:
    """The receipt of a paid order. DomainError("not_paid") for any other."""
    if order.paid_at is None:
        raise DomainError("not_paid", _("There is a receipt once the order is paid."), status=404)
    payment, organisation = paid_by(order), order.buyer.organisation
    return Receipt(
        order=order,
        payment=payment,
        title=settings.RECEIPT_TITLE,
        payer=organisation.name if organisation else order.holder,
        code=organisation.code if organisation else "",
        refunds=list(payment.refunds.order_by("pk")),
        vouchers=list(order.vouchers.order_by("pk")),
    )


def receipt_pdf(order: Order) -> bytes:
    """The receipt on one A4 page, in Chinese: it is for Chinese books. DomainError("not_paid")."""
    with override("zh-hans"):
        found = receipt(order)
        buffer = io.BytesIO()
        canvas = Canvas(buffer, pagesize=A4)
        canvas.setTitle(f"{found.title} {order.number}")
        _draw(fonts.Writer(canvas), found)
        canvas.showPage()
        canvas.save()
    return buffer.getvalue()


def _lines(found: Receipt) -> list[tuple[str, str]]:
    order = found.order
    lines = [
        ("订单编号", order.number),
        ("付款方", found.payer or "匿名"),
        *([("统一社会信用代码", found.code)] if found.code else []),
        ("项目", f"单株碳汇 {order.vintage} 年度"),
        ("数量及单价", f"{order.quantity:,} 棵 × {yuan(order.price_fen)}"),
        ("金额（小写）", yuan(order.total_fen)),
        ("金额（大写）", f"人民币{found.words}"),
        ("付款方式", WAYS.get(found.payment.gateway, found.payment.gateway)),
        ("交易号（末八位）", found.transaction_tail),
        ("到账日期", f"{found.paid_on:%Y年%m月%d日}"),
    ]
    for refund in found.refunds:
        done = "已退" if refund.state == Refund.State.SUCCEEDED else "退款中"
        lines.append(("退款", f"{yuan(refund.fen)}（{done}）"))
    for voucher in found.vouchers:
        kind = "捐赠票据" if voucher.kind == Voucher.Kind.DONATION else "发票"
        lines.append((kind, f"{voucher.number}（{voucher.issued_on:%Y年%m月%d日}）"))
    return lines


def _draw(writer: fonts.Writer, found: Receipt) -> None:
    left, right, top = 25 * mm, A4[0] - 25 * mm, A4[1] - 40 * mm
    wide = fonts.width_pt(found.title, 24, "Bold")
    writer.line((A4[0] - wide) / 2, top, found.title, 24, "Bold")
    writer.canvas.setLineWidth(0.5)
    y = top - 18 * mm
    for label, text in _lines(found):
        writer.canvas.setStrokeGray(0.8)
        writer.canvas.line(left, y - 4 * mm, right, y - 4 * mm)
        writer.line(left, y, label, 10.5)
        writer.fitting(left + 45 * mm, y, text, right - left - 45 * mm, 11.5, "Medium")
        y -= 11 * mm
    if settings.TRANSFER_ACCOUNT_HOLDER:
        writer.fitting(left, y - 6 * mm, f"收款单位：{settings.TRANSFER_ACCOUNT_HOLDER}", right - left, 10.5)
    today = timezone.localdate()
    writer.line(left, y - 14 * mm, f"开具日期：{today:%Y年%m月%d日}", 10.5)
    note = "全部金额支付给农户；支付与转账手续费由主办方承担。二氧化碳千克数为每棵每年的核定值，不是实测值。"
    writer.fitting(left, 22 * mm, note, right - left, 8.5)
