"""What Alipay's words about a transfer mean. Whatever is not here may have been done, and is asked about.

Source: the errors that Alipay's open platform lists for `alipay.fund.trans.uni.transfer`. Not among the refusals,
though they are listed: SYSTEM_ERROR ("ask, or send the same again"); PAYMENT_INFO_INCONSISTENCY, by which an earlier
request with this number did arrive; and what only a request with a former order's number can meet.
"""

# The payee's account is not what it should be: the household must give another one.
ACCOUNTS_FAULTS = frozenset(
    {
        "CARD_BIN_ERROR",
        "INVALID_CARDNO",
        "NO_ACCOUNT_RECEIVE_PERMISSION",
        "PAYEE_ACCOUNT_NOT_EXSIT",
        "PAYEE_ACCOUNT_STATUS_ERROR",
        "PAYEE_CARD_INFO_ERROR",
        "PAYEE_NOT_EXIST",
        "PAYEE_USERINFO_STATUS_ERROR",
    }
)

# Nothing was done, for sure, and nothing will be under this number.
REFUSALS = ACCOUNTS_FAULTS | {
    "BALANCE_IS_NOT_ENOUGH",
    "EXCEED_LIMIT_DC_RECEIVED",
    "EXCEED_LIMIT_DM_AMOUNT",
    "EXCEED_LIMIT_DM_MAX_AMOUNT",
    "EXCEED_LIMIT_MM_AMOUNT",
    "EXCEED_LIMIT_PERSONAL_SM_AMOUNT",
    "EXCEED_LIMIT_SM_AMOUNT",
    "EXCEED_LIMIT_UNRN_DM_AMOUNT",
    "INST_PAY_UNABLE",
    "INVALID_PARAMETER",
    "INVALID_PAYER_ACCOUNT",
    "MEMO_REQUIRED_IN_TRANSFER_ERROR",
    "NO_ACCOUNT_PAYMENT_PERMISSION",
    "NO_PERMISSION_ACCOUNT",
    "PAYCARD_UNABLE_PAYMENT",
    "PAYER_BALANCE_NOT_ENOUGH",
    "PAYER_CERTIFY_CHECK_FAIL",
    "PAYER_NOT_EXIST",
    "PAYER_PAYEE_CANNOT_SAME",
    "PAYER_PERMLIMIT_CHECK_FAILURE",
    "PAYER_STATUS_ERROR",
    "PAYER_USER_INFO_ERROR",
    "PERMIT_CHECK_PERM_IDENTITY_THEFT",
    "PERMIT_CHECK_PERM_LIMITED",
    "PERM_AML_NOT_REALNAME_REV",
    "PRODUCT_NOT_SIGN",
    "REMARK_HAS_SENSITIVE_WORD",
    "SECURITY_CHECK_FAILED",
}

# Too many at once: it was not looked at, and goes again under the same number.
AGAIN = frozenset({"RESOURCE_LIMIT_EXCEED"})
