"""Alipay's bills: a ZIP that says what it should is read strictly, and anything else is no bill."""

import io
import zipfile
from collections.abc import Callable

import pytest

from purchases.gateways.alipay.bills import read_funds, read_trades
from purchases.gateways.base import BillLine, Fee, Funds, GatewayError

# As printed in descriptions of Alipay's bill `trade`; the buyer's words hold a comma and a formula.
TRADES = """#支付宝业务明细查询
#账号：[20880000000001090156]
#起始日期：[2030年01月01日 00:00:00]   终止日期：[2030年01月02日 00:00:00]
#-----------------------------------------业务明细列表----------------------------------------
支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注
2030010122001400A\t,ref1\t,交易\t,goods,2030-01-01 10:00:00,2030-01-01 10:01:00,\t,\t,\t,\t,*修(159***)\t,6.00,6.00,0.96,0.00,0.00,0.00,0.00,"a, b",0.00\t,0.00,\t,-0.04,0.00,
2030010122001400B\t,ref2\t,交易\t,=1+1,2030-01-01 10:00:00,2030-01-01 10:01:00,\t,\t,\t,\t,*修(159***)\t,3.00,3.00,0.00,0.00,0.00,0.00,0.00,,0.00\t,0.00,\t,-0.02,0.00,
2030010122001400A\t,ref1\t,退款\t,goods,2030-01-01 10:00:00,2030-01-01 11:00:00,\t,\t,\t,\t,*修(159***)\t,-1.50,-1.50,0.00,0.00,0.00,0.00,0.00,,0.00\t,0.00,back1\t,0.00,0.00,
#-----------------------------------------业务明细列表结束------------------------------------
#交易合计：2笔，商家实收共9.00元，商家优惠共0.00元
#退款合计：1笔，商家实收退款共-1.50元，商家优惠退款共0.00元
#导出时间：[2030年01月02日 09:00:00]
"""
FLOWS = """#支付宝账务明细查询
#-----------------------------------------账务明细列表----------------------------------------
账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,交易渠道,业务类型,备注
F1\t,A\t,ref1\t,goods,2030-01-01 10:01:00,,6.00,0.00,6.00,支付宝,在线支付,
F2\t,A\t,ref1\t,,2030-01-01 10:01:00,,0.00,-0.04,5.96,支付宝,收费,服务费[A]
F3\t,A\t,ref1\t,,2030-01-01 11:00:00,,0.00,-1.50,4.46,支付宝,交易退款,
F4\t,A\t,ref1\t,,2030-01-01 11:00:00,,0.01,0.00,4.47,支付宝,收费,服务费退回[A]
#-----------------------------------------账务明细列表结束------------------------------------
#支出合计：2笔，共-1.54元
#收入合计：2笔，共6.01元
"""


def archive(text: str, **more: str) -> bytes:
    """The archive with this text as its lines."""
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as bill:
        for name, content in (
            {"2088_20300101_业务明细.csv": text, "2088_20300101_业务明细(汇总).csv": "#"} | more
        ).items():
            bill.writestr(name, content.encode("gbk"))
    return found.getvalue()


def test_a_bill_is_read_as_it_is_written() -> None:
    lines = [
        BillLine("capture", "ref1", "2030010122001400A", 600),
        BillLine("capture", "ref2", "2030010122001400B", 300),
        BillLine("refund", "ref1", "2030010122001400A", 150, "back1"),
    ]
    assert read_trades(archive(TRADES)) == lines
    assert read_trades(archive(TRADES.replace("\n", "\r\n"))) == lines
    assert read_trades(archive(TRADES.replace("（元）", "(元)"))) == lines


def test_fees_are_what_was_kept_and_what_came_back_and_the_last_balance_is_what_is_left() -> None:
    assert read_funds(archive(FLOWS)) == Funds([Fee("F2", 4), Fee("F4", -1)], [], 4, 447)


def test_what_went_to_the_bank_is_told_in_fen() -> None:
    sent = FLOWS.replace("F4\t,A\t,ref1\t,,2030-01-01 11:00:00,,0.01,0.00,4.47,支付宝,收费,服务费退回[A]",
                         "F4\t,A\t,,,2030-01-01 23:00:00,,0.00,-4.46,0.00,支付宝,提现,")  # fmt: skip
    sent = sent.replace("支出合计：2笔，共-1.54元", "支出合计：3笔，共-6.00元").replace(
        "收入合计：2笔，共6.01元", "收入合计：1笔，共6.00元"
    )
    assert read_funds(archive(sent)) == Funds([Fee("F2", 4)], [446], 4, 0)


@pytest.mark.parametrize(
    "change",
    [
        lambda bill: bill.replace("共9.00元", "共9.01元"),
        lambda bill: bill.replace("交易合计：2笔", "交易合计：3笔"),
        lambda bill: bill.replace("共-1.50元", "共-1.51元"),
        lambda bill: bill.replace("退款合计：1笔", "退款合计：0笔"),
        lambda bill: bill.replace("#交易合计", "#合计"),
        lambda bill: bill.replace("#交易合计", "#交易合计：2笔，商家实收共9.00元\n#交易合计"),
        lambda bill: bill.replace("列表结束", "列表"),
        lambda bill: bill[: len(bill) // 2],
        lambda bill: bill.replace("goods", "goods,more"),
        lambda bill: bill.replace("goods", '"goods'),
        lambda bill: bill.replace("交易\t", "转账\t"),
        lambda bill: bill.replace("ref2\t", "\t"),
        lambda bill: bill.replace("back1", ""),
        lambda bill: bill.replace("\t,3.00,3.00", "\t,-3.00,3.00"),
        lambda bill: bill.replace("\t,3.00,3.00", "\t,0.00,3.00"),
        lambda bill: bill.replace("\t,3.00,3.00", "\t,3.001,3.00"),
        lambda bill: bill.replace("\t,3.00,3.00", "\t,３.00,3.00"),
        lambda bill: bill.replace("\t,3.00,3.00", "\t,3e0,3.00"),
        lambda bill: bill.replace("\t,3.00,3.00", "\t,,3.00"),
        lambda bill: bill.replace("\t,-1.50,", "\t,1.50,"),
        lambda bill: bill.replace("订单金额", "金额"),
        lambda bill: bill.replace("商户订单号", "支付宝交易号"),
        lambda bill: "",
    ],
)
def test_a_bill_that_does_not_fit_is_none(change: Callable[[str], str]) -> None:
    assert change(TRADES) != TRADES
    with pytest.raises(GatewayError, match="BAD_BILL") as broken:
        read_trades(archive(change(TRADES)))
    assert broken.value.outcome == "unknown"


@pytest.mark.parametrize(
    "change",
    [
        lambda bill: bill.replace("共-1.54元", "共-1.50元"),
        lambda bill: bill.replace("收入合计：2笔", "收入合计：1笔"),
        lambda bill: bill.replace("-0.04", "-0.04x"),
        lambda bill: bill.replace("F2", ""),
    ],
)
def test_fees_that_do_not_add_up_are_none(change: Callable[[str], str]) -> None:
    with pytest.raises(GatewayError, match="BAD_BILL"):
        read_funds(archive(change(FLOWS)))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"<html>", archive(TRADES)[:-30], archive(TRADES)[:200] + archive(TRADES)[230:],
        archive(TRADES, **{"other.csv": TRADES}), archive(TRADES)[40:],
    ],
)  # fmt: skip
def test_an_archive_that_does_not_open_is_no_bill(content: bytes) -> None:
    with pytest.raises(GatewayError, match="BAD_BILL"):
        read_trades(content)


def test_an_archive_that_would_fill_the_memory_is_no_bill() -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as bill, bill.open("2088.csv", "w") as file:
        for _ in range(65):
            file.write(b"#" * 1024 * 1024)
    assert len(bomb.getvalue()) < 1024 * 1024
    with pytest.raises(GatewayError, match="BAD_BILL"):
        read_trades(bomb.getvalue())
