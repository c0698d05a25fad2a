"""Why a household's money waits, as one says it to the household: on its page, and on paper, which is in Chinese."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from payouts.waiting import Reason

_ACCOUNT = (
    _("Bring a card or passbook of your own to your village officer: there is no account that money can go to."),
    "请带本人的卡或存折去找村登记员。",
)
_TWO_PEOPLE = (_("Two people look at it before it goes. You need not do anything."), "要两个人核对后再付，请等几天。")
_SOON = (_("It is paid in the next days. You need not do anything."), "这几天就付，不用办什么。")
_WORDS: dict[Reason, tuple[Promise | str, str]] = {
    Reason.BOUNCED: _ACCOUNT,
    Reason.STOPPED: _ACCOUNT,
    Reason.NO_ACCOUNT: _ACCOUNT,
    Reason.REJECTED: _ACCOUNT,
    Reason.ENTERED: (_("Your account is being checked. You need not do anything."), "账户正在核对，请等几天。"),
    Reason.FLAGGED: _TWO_PEOPLE,
    Reason.AFTER_FILE: _TWO_PEOPLE,
    Reason.OVER_LIMIT: _TWO_PEOPLE,
    Reason.LARGE_RUN: _TWO_PEOPLE,
    Reason.ESCROW: (
        _("The buyers' money is on its way to us. You need not do anything."),
        "买家的钱正在转过来，请等几天。",
    ),
    Reason.COOLING: (
        _("Your account was changed: for your safety nothing goes there for some days."),
        "账户刚换过，为了安全要等几天。",
    ),
    Reason.MINIMUM: (
        _("It is little: it is paid when more has come, or at the year's end."),
        "钱数小，凑多了或年底一起付。",
    ),
    Reason.LEAST: (
        _("It is too little for the bank to transfer: it is paid when more has come."),
        "钱数太小，银行转不了，凑多了一起付。",
    ),
    Reason.NEXT_RUN: _SOON,
}


def on_page(reason: Reason | None) -> str:
    """The sentence on the household's page, in the visitor's language; "" where nothing waits."""
    return str(_WORDS[reason][0]) if reason else ""


def on_paper(reason: Reason | None) -> str:
    """The line of the statement; "" where nothing waits."""
    return _WORDS[reason][1] if reason else ""
