"""What people do while money is on its way: a household changes its account, a buyer gives trees back."""

from subprocess import Popen

from carbonsink.accounts import roles
from payouts import runs, sending, statements
from payouts.models import BankAccount, Payout
from purchases import tasks as market_tasks
from purchases.checkout import ask_gateway, start_payment
from purchases.models import Order, Refund
from tests import factories
from tests.chaos.gate import Call, Held, through
from tests.chaos.stage import Outside, Stage
from trees.models import Household


def account_changed_at_five_moments(stage: Stage) -> None:
    """Before the run, between the run and the call, during a call that never arrives, during one that does, after the
    bank has accepted, and after the money came back."""
    owners = stage.sell(6)
    early, approved, lost, sending_, accepted, returned = owners
    paid_to = {early: _change(early)}
    runs.run_payouts()
    number = {payout.household_id: payout for payout in Payout.objects.all()}
    paid_to[approved] = _change(approved)
    sending.send_payout(number[approved.pk].pk)
    assert Payout.objects.get(pk=number[approved.pk].pk).state == "cancelled"
    stage.gate.close_door()
    sending.send_payout(number[lost.pk].pk)
    stage.gate.open_door()
    paid_to[lost] = _change(lost)
    held = stage.gate.rule = Held(after_the_bank=True)
    sender = stage.shell(f"from payouts.tasks import send_payout; send_payout({number[sending_.pk].pk})")
    stage.wait_until(lambda: held.answers)
    paid_to[sending_] = sending_.bank_accounts.get()
    _change(sending_)
    held.calls[0].answer(held.answers[0])
    stage.gate.rule = through
    held.let_go()
    stage.ended(sender)
    stage.gate.rule = _taken_and_silent
    sending.send_payout(number[accepted.pk].pk)
    paid_to[accepted] = accepted.bank_accounts.get()
    _change(accepted)
    stage.gate.rule = through
    sending.send_payout(number[returned.pk].pk)
    stage.bank.control("POST", "return", {"out_no": number[returned.pk].out_no})
    statements.import_statement()
    assert Payout.objects.get(pk=number[returned.pk].pk).state == "returned"
    paid_to[returned] = _change(returned)
    stage.settle()
    received = _received(stage)
    assert received == {account.number: stage.sold[owner.pk] for owner, account in paid_to.items()}


def refund_against_a_run(stage: Stage) -> None:
    """Buyers give trees back while runs take the same money for the households: each sink goes one way only."""
    wechat = Outside("wechatpay", stage.directory / "standins", stage.environment_of("bank"), "--bank-url",
                     stage.bank.url, "--fee-rate", "0", "--retry-scale", "0.001")  # fmt: skip
    try:
        stage.point_at_wechat(wechat.url)
        orders = _bought(stage, wechat)
        wechat.control("POST", "settle")
        statements.import_statement()
        _race(stage, orders)
        market_tasks.sweep()
        _forget_what_was_given_back(stage)
        stage.settle()
        wechat.control("POST", "settle")
        assert set(Refund.objects.values_list("state", flat=True)) <= {"succeeded"}
        stage.facts["refunds"] = Refund.objects.count()
    finally:
        wechat.stop()


def _change(owner: Household) -> BankAccount:
    """A newer account, approved and usable at once."""
    newer = factories.account(owner)
    newer.refresh_from_db()
    return newer


def _taken_and_silent(call: Call) -> None:
    call.forward()
    call.hang_up()


def _received(stage: Stage) -> dict[str, int]:
    """What each account holds in the end, at the bank."""
    held: dict[str, int] = {}
    for row in stage.bank.control("GET", "book")["movements"]:
        if row["counterparty_name"] == "单株碳汇监管账户":
            sign = 1 if row["direction"] == "credit" else -1
            held[row["account"]] = held.get(row["account"], 0) + sign * row["fen"]
    return {number: fen for number, fen in held.items() if fen}


def _bought(stage: Stage, wechat: Outside) -> list[Order]:
    owners = factories.market(*(stage.chance.randint(1, 3) for _ in range(4)))
    orders = []
    for owner in owners:
        factories.account(owner)
        for tree in owner.trees.all():
            order = factories.order(tree=tree)
            payment = start_payment(order)
            wechat.control("POST", "pay", {"out_trade_no": payment.reference, "action": "pay"})
            ask_gateway(payment)
            order.refresh_from_db()
            assert order.state == Order.State.PAID
            stage.sold[owner.pk] += order.total_fen
            orders.append(order)
    return orders


def _race(stage: Stage, orders: list[Order]) -> None:
    """One process gives back tree after tree, another one runs payouts once it sees the seed's number of refunds."""
    some = stage.chance.sample([order.pk for order in orders], stage.chance.randint(1, len(orders)))
    finance, sees = factories.user(roles.FINANCE), stage.chance.randint(0, len(some) - 1)
    line = stage.database.lock("LOCK TABLE purchases_refund IN ACCESS EXCLUSIVE MODE")
    give_back = (
        "from carbonsink.accounts.models import User; from carbonsink.errors import DomainError\n"
        "from purchases.givebacks import give_back; from purchases.models import Order\n"
        f"for pk in {some}:\n"
        "    try:\n"
        f"        give_back(Order.objects.get(pk=pk), 1, by=User.objects.get(pk={finance.pk}), reason='asked')\n"
        "    except DomainError as error:\n"
        "        assert error.code == 'paid_out', error\n"
    )
    run = (
        "from payouts import runs; from purchases.models import Refund\n"
        f"while Refund.objects.count() < {sees}: pass\n"
        "for _ in range(5): runs.run_payouts()"
    )
    racers: list[Popen[bytes]] = [stage.shell(give_back), stage.shell(run)]
    stage.wait_until(lambda: stage.database.waiting() == 2)
    line.close()
    for racer in racers:
        stage.ended(racer)


def _forget_what_was_given_back(stage: Stage) -> None:
    for refund in Refund.objects.select_related("payment__order"):
        release = refund.releases.select_related("sink").get()
        stage.sold[release.sink.household_id] -= refund.fen
