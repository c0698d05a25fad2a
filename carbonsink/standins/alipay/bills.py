"""Daily bills as Alipay makes them: a ZIP with two CSV files in GBK, the lines and their summary by shop. Numbers end
in a tab, remarks begin with #. Unlike the real one, a bill is there for any day up to now.
"""

import csv
import io
import json
import secrets
import sqlite3
import zipfile
from datetime import date, datetime, timedelta

from .. import keys
from ..merchant import yuan
from ..store import CHINA
from .gateway import refusal
from .notifications import clock

TRADE_COLUMNS = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,"
    "商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,"
    "商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"
)
FLOW_COLUMNS = (
    "账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,"
    "交易渠道,业务类型,备注"
)


class GbkName(zipfile.ZipInfo):
    """A file's name in GBK without saying so, as Alipay's own archives have it."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode("gbk"), self.flag_bits


def offer(db: sqlite3.Connection, kind: str, day: date) -> str:
    """Freeze a bill for download: its token. RefusalError for a day without one."""
    rows, totals = _trades(db, day) if kind == "trade" else _flows(db, day)
    if not rows:
        raise refusal("isp.bill_not_exist", "账单不存在")
    title, columns = ("业务明细", TRADE_COLUMNS) if kind == "trade" else ("账务明细", FLOW_COLUMNS)
    start = datetime(day.year, day.month, day.day, tzinfo=CHINA)
    period = [f"{moment:%Y年%m月%d日 %H:%M:%S}" for moment in (start, start + timedelta(days=1))]
    lines = [
        f"#支付宝{title}查询",
        f"#账号：[{keys.ALIPAY_SELLER_ID}0156]",
        f"#起始日期：[{period[0]}]   终止日期：[{period[1]}]",
        f"#{'-' * 41}{title}列表{'-' * 40}",
        columns,
        *(_line(row) for row in rows),
        f"#{'-' * 41}{title}列表结束{'-' * 36}",
        *totals,
        f"#导出时间：[{datetime.now(CHINA):%Y年%m月%d日 %H:%M:%S}]",
    ]
    name = f"{keys.ALIPAY_SELLER_ID}0156_{day:%Y%m%d}_{title}"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bill:
        for file, content in ((f"{name}.csv", lines), (f"{name}(汇总).csv", [f"#支付宝{title}汇总查询"])):
            info = GbkName(file, date_time=(day.year, day.month, day.day, 9, 0, 0))
            bill.writestr(info, "".join(f"{line}\r\n" for line in content).encode("gbk", "replace"))
    token = secrets.token_urlsafe(24)
    db.execute("INSERT INTO bills (token, name, content) VALUES (?, ?, ?)", (token, name, archive.getvalue()))
    return token


def _trades(db: sqlite3.Connection, day: date) -> tuple[list[list[str]], list[str]]:
    begin, end = _bounds(day)
    paid = db.execute("SELECT * FROM trades WHERE paid_at >= ? AND paid_at < ?", (begin, end)).fetchall()
    back = db.execute(
        "SELECT t.*, r.fen AS back_fen, r.out_request_no, r.refunded_at FROM refunds r JOIN trades t USING (trade_no)"
        " WHERE refunded_at >= ? AND refunded_at < ?",
        (begin, end),
    ).fetchall()
    rows = [(one["paid_at"], _trade(one, "交易", one["paid_at"], one["fen"], "", -one["fee_fen"])) for one in paid]
    rows += [
        (one["refunded_at"], _trade(one, "退款", one["refunded_at"], -one["back_fen"], one["out_request_no"], 0))
        for one in back
    ]
    got, given = sum(one["fen"] for one in paid), -sum(one["back_fen"] for one in back)
    totals = [
        f"#交易合计：{len(paid)}笔，商家实收共{yuan(got)}元，商家优惠共0.00元",
        f"#退款合计：{len(back)}笔，商家实收退款共{yuan(given)}元，商家优惠退款共0.00元",
    ]
    return [row for _, row in sorted(rows, key=lambda pair: pair[0])], totals


def _trade(trade: sqlite3.Row, kind: str, moment: float, fen: int, number: str, fee: int) -> list[str]:
    start = [f"{trade['trade_no']}\t", f"{trade['out_trade_no']}\t", kind, json.loads(trade["terms"])["subject"]]
    nothing = yuan(0)
    middle = [clock(trade["created_at"]), clock(moment), "", "", "", "", "*修(159****5620)\t", yuan(fen), yuan(fen)]
    end = [nothing, nothing, nothing, nothing, nothing, "", nothing, nothing, f"{number}\t", yuan(fee), nothing, ""]
    return [*start, *middle, *end]


def _flows(db: sqlite3.Connection, day: date) -> tuple[list[list[str]], list[str]]:
    query = "SELECT * FROM flows WHERE booked_at >= ? AND booked_at < ? ORDER BY id"
    flows = db.execute(query, _bounds(day)).fetchall()
    rows = [
        [
            f"{day:%Y%m%d}{row['id']:012d}\t",
            f"{row['business_no']}\t",
            f"{row['voucher']}\t",
            "",
            clock(row["booked_at"]),
            "",
            yuan(max(row["fen"], 0)),
            yuan(min(row["fen"], 0)),
            yuan(row["balance_fen"]),
            "支付宝",
            row["kind"],
            row["note"],
        ]
        for row in flows
    ]
    out = [row["fen"] for row in flows if row["fen"] < 0]
    into = [row["fen"] for row in flows if row["fen"] > 0]
    return rows, [f"#支出合计：{len(out)}笔，共{yuan(sum(out))}元", f"#收入合计：{len(into)}笔，共{yuan(sum(into))}元"]


def _line(values: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()


def _bounds(day: date) -> tuple[float, float]:
    begin = datetime(day.year, day.month, day.day, tzinfo=CHINA)
    return begin.timestamp(), (begin + timedelta(days=1)).timestamp()
