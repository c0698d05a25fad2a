"""Settings of the money that comes in and goes out; `carbonsink.settings` takes them all in."""

from environs import validate

from carbonsink.environment import IS_PRODUCTION, env

# The money that comes in.
PAYMENT_GATEWAYS = env.list("PAYMENT_GATEWAYS", ["wechatpay"])
# Of their products only these, such as wechatpay.native; empty: all of them.
PAYMENT_PRODUCTS: list[str] = env.list("PAYMENT_PRODUCTS", [])
WECHATPAY_BASE_URL = env.str("WECHATPAY_BASE_URL", "https://api.mch.weixin.qq.com").rstrip("/")
WECHATPAY_MCHID = env.str("WECHATPAY_MCHID", "")
WECHATPAY_APPID = env.str("WECHATPAY_APPID", "")
WECHATPAY_MERCHANT_SERIAL = env.str("WECHATPAY_MERCHANT_SERIAL", "")
WECHATPAY_MERCHANT_KEY_FILE = env.str("WECHATPAY_MERCHANT_KEY_FILE", "")
WECHATPAY_APIV3_KEY_FILE = env.str("WECHATPAY_APIV3_KEY_FILE", "")
WECHATPAY_PUBLIC_KEY_ID = env.str("WECHATPAY_PUBLIC_KEY_ID", "")
WECHATPAY_PUBLIC_KEY_FILE = env.str("WECHATPAY_PUBLIC_KEY_FILE", "")
WECHAT_OAUTH_AUTHORIZE_URL = env.str(
    "WECHAT_OAUTH_AUTHORIZE_URL", "https://open.weixin.qq.com/connect/oauth2/authorize"
)
WECHAT_API_BASE_URL = env.str("WECHAT_API_BASE_URL", "https://api.weixin.qq.com").rstrip("/")
WECHAT_APP_SECRET_FILE = env.str("WECHAT_APP_SECRET_FILE", "")
ALIPAY_GATEWAY_URL = env.str("ALIPAY_GATEWAY_URL", "https://openapi.alipay.com/gateway.do")
ALIPAY_APP_ID = env.str("ALIPAY_APP_ID", "")
ALIPAY_SELLER_ID = env.str("ALIPAY_SELLER_ID", "")
ALIPAY_APP_KEY_FILE = env.str("ALIPAY_APP_KEY_FILE", "")
ALIPAY_PUBLIC_KEY_FILE = env.str("ALIPAY_PUBLIC_KEY_FILE", "")

# The account for bank transfers: what buyers are shown, and by which code its statements are kept.
TRANSFER_BANK_CODE = env.str("TRANSFER_BANK_CODE", "bank")
TRANSFER_BANK_NAME = env.str("TRANSFER_BANK_NAME", "")
TRANSFER_ACCOUNT_HOLDER = env.str("TRANSFER_ACCOUNT_HOLDER", "")
TRANSFER_ACCOUNT_NUMBER = env.str("TRANSFER_ACCOUNT_NUMBER", "")
# How long a buyer may give trees back, and what the paper for the buyer's books is called in this programme.
REFUND_DAYS = env.int("REFUND_DAYS", 7)
RECEIPT_TITLE = env.str("RECEIPT_TITLE", "收款收据")

# The money that goes out.
PAYOUT_BANK = env.str("PAYOUT_BANK", "standin" if not IS_PRODUCTION else "")
STANDIN_BANK_URL = env.str("STANDIN_BANK_URL", "").rstrip("/")
STANDIN_BANK_CLIENT_ID = env.str("STANDIN_BANK_CLIENT_ID", "")
STANDIN_BANK_CLIENT_KEY_FILE = env.str("STANDIN_BANK_CLIENT_KEY_FILE", "")
STANDIN_BANK_PUBLIC_KEY_FILE = env.str("STANDIN_BANK_PUBLIC_KEY_FILE", "")
STANDIN_BANK_ESCROW_ACCOUNT = env.str("STANDIN_BANK_ESCROW_ACCOUNT", "")
# Alipay to bank card: an app of its own in certificate mode, at ALIPAY_GATEWAY_URL.
ALIPAY_TRANSFER_APP_ID = env.str("ALIPAY_TRANSFER_APP_ID", "")
ALIPAY_TRANSFER_APP_KEY_FILE = env.str("ALIPAY_TRANSFER_APP_KEY_FILE", "")
ALIPAY_TRANSFER_APP_CERT_FILE = env.str("ALIPAY_TRANSFER_APP_CERT_FILE", "")
ALIPAY_TRANSFER_ALIPAY_CERT_FILE = env.str("ALIPAY_TRANSFER_ALIPAY_CERT_FILE", "")
ALIPAY_TRANSFER_ROOT_CERT_FILE = env.str("ALIPAY_TRANSFER_ROOT_CERT_FILE", "")
ALIPAY_TRANSFER_SINCE = env.str("ALIPAY_TRANSFER_SINCE", "")
OUTSIDE_TIMEOUT_SECONDS = env.float("OUTSIDE_TIMEOUT_SECONDS", 10.0)
PAYOUT_MINIMUM_FEN = env.int("PAYOUT_MINIMUM_FEN", 1)
PAYOUT_APPROVAL_ABOVE_FEN = env.int("PAYOUT_APPROVAL_ABOVE_FEN", 500_000)
# A run of more than this in all waits for two people, whole; 0: never.
PAYOUT_RUN_APPROVAL_ABOVE_FEN = env.int("PAYOUT_RUN_APPROVAL_ABOVE_FEN", 20_000_000)
# The day, month first, on which the run by schedule pays however little is owed.
PAYOUT_YEAR_END = env.str("PAYOUT_YEAR_END", "12-31", validate=validate.Regexp(r"^(0[1-9]|1[0-2])-[0-3]\d$"))
ACCOUNT_COOLING_HOURS = env.int("ACCOUNT_COOLING_HOURS", 72)
# Who gets an e-mail of what must be looked at, and the working days within which payment services settle.
ALERT_MAIL_TO: list[str] = env.list("ALERT_MAIL_TO", [])
SETTLEMENT_DAYS = env.int("SETTLEMENT_DAYS", 3)
# What a bank says it charged goes to the sponsor's expenses up to this much a row; a person looks at more.
BANK_FEE_LIMIT_FEN = env.int("BANK_FEE_LIMIT_FEN", 10_000)
SPONSOR_NAMES = env.list("SPONSOR_NAMES", [] if IS_PRODUCTION else ["单株碳汇扶持基金会"])
GATEWAY_SETTLEMENT_NAMES: dict[str, str] = dict(
    env.json(
        "GATEWAY_SETTLEMENT_NAMES",
        {
            "财付通支付科技有限公司": "wechatpay",
            "支付宝（中国）网络技术有限公司": "alipay",
            "对公转账归集": "transfer",
        },
    )
)

# Banks that take files: the folders of their front-end machine (empty: a person carries them), how many transfers a
# file has, and the supervised account. A file that is not answered for so many hours is an alert.
FILE_SILENT_HOURS = env.int("FILE_SILENT_HOURS", 24)
PAIN001_OUT_DIR = env.str("PAIN001_OUT_DIR", "")
PAIN001_IN_DIR = env.str("PAIN001_IN_DIR", "")
PAIN001_AT_ONCE = env.int("PAIN001_AT_ONCE", 5_000, validate=validate.Range(min=2))
PAIN001_DEBTOR_NAME = env.str("PAIN001_DEBTOR_NAME", "")
PAIN001_DEBTOR_ACCOUNT = env.str("PAIN001_DEBTOR_ACCOUNT", "")
PAIN001_DEBTOR_BANK_CODE = env.str("PAIN001_DEBTOR_BANK_CODE", "")
DAIFA_OUT_DIR = env.str("DAIFA_OUT_DIR", "")
DAIFA_IN_DIR = env.str("DAIFA_IN_DIR", "")
DAIFA_AT_ONCE = env.int("DAIFA_AT_ONCE", 1_000, validate=validate.Range(min=2))
DAIFA_ACCOUNT = env.str("DAIFA_ACCOUNT", "")
DAIFA_ENCODING = env.str("DAIFA_ENCODING", "gb18030", validate=validate.OneOf(["gbk", "gb18030", "utf-8", "utf-8-sig"]))
# Columns in their order, ours → how the bank heads them; of what it gives back too. And its words for the outcome.
DAIFA_COLUMNS: dict[str, str] = dict(
    env.json(
        "DAIFA_COLUMNS",
        {
            "ordinal": "序号",
            "holder": "收款人姓名",
            "account_number": "收款账号",
            "bank_code": "开户行联行号",
            "yuan": "金额",
            "purpose": "用途",
            "out_no": "备注",
        },
    )
)
DAIFA_RESULT_COLUMNS: dict[str, str] = dict(
    env.json(
        "DAIFA_RESULT_COLUMNS",
        {"out_no": "备注", "yuan": "金额", "state": "处理状态", "reason": "失败原因", "reference": "银行流水号"},
    )
)
DAIFA_SUCCESS_WORDS = env.list("DAIFA_SUCCESS_WORDS", ["成功", "交易成功", "处理成功", "已入账"])
DAIFA_FAILURE_WORDS = env.list("DAIFA_FAILURE_WORDS", ["失败", "交易失败", "处理失败", "退回"])
# A reason with one of these words in it lies with the payee's account: the household must give another one.
DAIFA_ACCOUNT_WORDS = env.list(
    "DAIFA_ACCOUNT_WORDS",
    [
        *("销户", "冻结", "挂失", "户名不符", "户名有误", "姓名不符", "账号不存在", "账户不存在", "卡号不存在"),
        *("账号有误", "卡号有误"),
    ],
)
# A failed row with one of these words in its state or reason says that the bank had it before: no answer to that.
DAIFA_DUPLICATE_WORDS = env.list("DAIFA_DUPLICATE_WORDS", ["重复", "已存在", "已处理", "已提交", "已受理"])
DAIFA_PENDING_WORDS = env.list("DAIFA_PENDING_WORDS", ["处理中", "待处理", "已受理"])

# The rules of holding sinks until they are paid.
HOLD_MINUTES = env.int("HOLD_MINUTES", 15)
UNPAID_SINKS_PER_BUYER = env.int("UNPAID_SINKS_PER_BUYER", 1_000)
UNPAID_SINKS_PER_ADDRESS = env.int("UNPAID_SINKS_PER_ADDRESS", 5_000)
UNPAID_SINKS_IN_ALL = env.int("UNPAID_SINKS_IN_ALL", 500_000)
UNPAID_SINKS_PER_ORGANISATION = env.int("UNPAID_SINKS_PER_ORGANISATION", 500_000)
TRANSFER_HOLD_DAYS = env.int("TRANSFER_HOLD_DAYS", 5)
ORDER_MAX_TREES = env.int("ORDER_MAX_TREES", 500_000)
# Larger orders are put together in the background.
ORDER_SMALL = env.int("ORDER_SMALL", 1_000)

# Papers for households: whom they may call, and whether the notice board shows what each household got.
HELP_PHONE = env.str("HELP_PHONE", "")
NOTICE_SHOWS_AMOUNTS = env.bool("NOTICE_SHOWS_AMOUNTS", False)
# Where it does not: of how many households at least a sum is told.
NOTICE_LEAST_HOUSEHOLDS = env.int("NOTICE_LEAST_HOUSEHOLDS", 3, validate=validate.Range(min=3))
