"""A bank that is late, broken, senseless, says things twice, in another order, or takes them back."""

import threading

from django.db import connections

from payouts import sending, tasks
from payouts.models import Payout
from tests.chaos.gate import BROKEN, GARBAGE, Call, Held, Rule, through
from tests.chaos.stage import Stage


def bank_times_out(stage: Stage) -> None:
    """Half of the transfers it has done, half it has never seen; all it says is nothing."""
    over = threading.Event()

    def keep_silent(call: Call) -> None:
        if _one_of_two(stage):
            call.forward()
        over.wait(120)
        call.hang_up()

    _spoilt(stage, keep_silent, payouts=3)
    over.set()


def bank_answers_500(stage: Stage) -> None:
    """Before it did anything, or after."""

    def fail(call: Call) -> None:
        if _one_of_two(stage):
            call.forward()
        call.answer(BROKEN)

    _spoilt(stage, fail)


def bank_answers_garbage(stage: Stage) -> None:
    """With status 200 and no signature."""

    def rave(call: Call) -> None:
        if _one_of_two(stage):
            call.forward()
        call.answer(GARBAGE)

    _spoilt(stage, rave)


def bank_is_asked_and_answers_twice(stage: Stage) -> None:
    """Somebody between us repeats requests; the platform hears the first answer, the second, or both at once."""

    def repeat(call: Call) -> None:
        first, second = call.forward(), call.forward()
        call.answer(stage.chance.choice([first, second]))
        if _one_of_two(stage):
            call.answer(first)

    _spoilt(stage, repeat)


def bank_answers_in_reverse_order(stage: Stage) -> None:
    """All answers wait until the last transfer was asked for; some come the wrong way round, on wrong connections."""
    payouts = stage.prepare(6)
    held = stage.gate.rule = Held(after_the_bank=True)
    senders = [threading.Thread(target=_send, args=(payout,)) for payout in payouts]
    for sender in senders:
        sender.start()
    stage.wait_until(lambda: len(held.answers) == len(payouts))
    swapped = stage.chance.randint(0, 1)
    pairs = list(zip(held.calls, reversed(held.answers) if swapped else held.answers, strict=True))
    stage.facts["answers on wrong connections"] = swapped * len(pairs)
    for call, answer in reversed(pairs):
        call.answer(answer)
    held.let_go()
    for sender in senders:
        sender.join(60)
    states = stage.states()
    # An answer is signed for one request: another's is none.
    assert states == ({"unknown": 6} if swapped else {"succeeded": 6})
    stage.settle()
    assert len(stage.gate.transfers) == len(payouts)


def bank_says_not_found_and_then_pays(stage: Stage) -> None:
    """The request is late, not lost. Whoever sent again on `not found` would pay twice at a bank that does not look."""
    (payout, *_) = stage.prepare(1)
    held = stage.gate.rule = Held()
    _send_aside(payout, stage, held)
    late = held.calls[0]
    stage.gate.rule = through
    for _ in range(3):
        stage.clock.pass_time(60)
        tasks.ask(Payout.objects.get(pk=payout.pk))
        assert stage.states() == {"unknown": 1}
    assert stage.bank.control("GET", "book")["transfers"] == []
    late.forward()
    stage.settle()
    assert stage.gate.transfers == [payout.out_no]


def bank_gets_a_request_when_it_was_sent_again_already(stage: Stage) -> None:
    """Late by more than a request lives: the platform has sent it again, and the first one comes after all."""
    (payout, *_) = stage.prepare(1)
    held = stage.gate.rule = Held()
    _send_aside(payout, stage, held)
    late = held.calls[0]
    stage.gate.rule = through
    stage.clock.pass_time(400)
    tasks.ask(Payout.objects.get(pk=payout.pk))
    assert stage.states() == {"succeeded": 1}
    assert late.forward().status == 401
    stage.settle()
    assert stage.gate.transfers == [payout.out_no] * 2


def bank_out_of_reach(stage: Stage) -> None:
    """Nobody listens at its address: what provably never arrived is sent again under the same number."""
    payouts = stage.prepare(3)
    stage.gate.close_door()
    for payout in payouts:
        tasks.send_payout(payout.pk)
    assert stage.states() == {"sending": 3}
    stage.gate.open_door()
    stage.settle()
    assert [payout.attempts.count() for payout in payouts] == [2, 2, 2]


def _spoilt(stage: Stage, rule: Rule, payouts: int = 6) -> None:
    """Sends everything through the rule, asks through it too, and only then has a good day."""
    made = stage.prepare(payouts)

    def spoil(call: Call) -> None:
        # What is asked about the spoilt ones is answered well or badly as it comes.
        (rule if call.is_transfer or _one_of_two(stage) else through)(call)

    stage.gate.rule = spoil
    for payout in made:
        sending.send_payout(payout.pk)
    assert not set(stage.states()) & {"failed", "cancelled"}
    stage.gate.rule = rule if payouts > 3 else through
    tasks.sweep()
    assert not set(stage.states()) & {"failed", "cancelled"}
    stage.settle()


def _one_of_two(stage: Stage) -> bool:
    return stage.chance.random() < 0.5


def _send(payout: Payout) -> None:
    try:
        sending.send_payout(payout.pk)
    finally:
        connections.close_all()


def _send_aside(payout: Payout, stage: Stage, held: Held) -> None:
    """Sends until the time-out is over; the request stays in our hands."""
    _send(payout)
    assert len(held.calls) == 1
    assert stage.states() == {"unknown": 1}
