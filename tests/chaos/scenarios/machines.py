"""The machine's own faults: its clock is wrong, its disk is full."""

import io
import threading
from collections import Counter

from payouts import sending, tasks
from payouts.models import Batch, Payout, StatementRow
from tests import factories
from tests.chaos.crowd import owe
from tests.chaos.gate import Call, Held
from tests.chaos.stage import Stage
from trees.models import Photo

TWO_HOURS = 7200


def clock_two_hours_back(stage: Stage) -> None:
    """Ours alone: the bank refuses what is signed in the past, and we take that for no answer at all."""
    _wrong_clock(stage, -TWO_HOURS)


def clock_two_hours_ahead(stage: Stage) -> None:
    """Ours alone. All requests seem dead long since, and still none is sent again before the bank was heard."""
    _wrong_clock(stage, TWO_HOURS)


def clocks_set_back_after_sending(stage: Stage) -> None:
    """Everybody's: attempts and approvals lie in the future now."""
    payouts = stage.prepare(4)
    stage.gate.rule = _done_and_silent
    for payout in payouts[:2]:
        sending.send_payout(payout.pk)
    stage.gate.close_door()
    sending.send_payout(payouts[2].pk)
    stage.gate.open_door()
    stage.clock.pass_time(-TWO_HOURS)
    tasks.sweep()
    assert len([payout for payout in payouts if stage.gate.transfers.count(payout.out_no) > 1]) == 0
    stage.clock.pass_time(TWO_HOURS)
    stage.settle()


def disk_full_while_a_photo_is_written(stage: Stage) -> None:
    """No half picture is ever taken for a whole one; the same photo goes through once there is room."""
    tree = factories.tree(factories.market(1)[0], photo=False)
    picture = factories.picture((1600, 1200), quality=95) + b"\0" * 400_000
    file = stage.directory / "photo.jpg"
    file.write_bytes(picture)
    code = (
        "import io, resource; from pathlib import Path; from trees import photos; from trees.models import Tree\n"
        f"tree = Tree.objects.get(pk={tree.pk}); content = Path({str(file)!r}).read_bytes()\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({stage.chance.randint(100_000, 390_000)}, -1))\n"
        "try:\n"
        "    photos.take_photo(tree, io.BytesIO(content), officer=tree.registered_by)\n"
        "except OSError as error:\n"
        "    assert error.strerror == 'File too large', error\n"
        "else:\n"
        "    raise AssertionError('the disk was full')\n"
    )
    stage.ended(stage.shell(code))
    assert Photo.objects.filter(tree=tree).count() == 0
    from trees import photos

    taken = photos.take_photo(tree, io.BytesIO(picture), officer=tree.registered_by)
    with taken.original.open("rb") as kept:
        assert kept.read() == picture
    _owe_and_pay(stage)


def disk_full_while_a_file_for_the_bank_is_written(stage: Stage) -> None:
    """The front-end machine never sees a half file; the same file is handed over once there is room."""
    out = stage.pay_by_files()
    stage.prepare(4)
    code = (
        "import resource, signal; from payouts import batches\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from payouts.banks.pain001.schemas import schema; schema('pain.001.001.09')\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({stage.chance.randint(1, 1_500)}, -1))\n"
        "batches.send_approved('pain001')\n"
    )
    for _ in range(stage.chance.randint(1, 3)):
        stage.ended(stage.shell(code))
        assert (list(out.iterdir()), stage.states()) == ([], {"sending": 4})
    (batch,) = Batch.objects.all()
    assert batch.state == Batch.State.WRITTEN
    tasks.sweep()
    assert [file.name for file in out.iterdir()] == [batch.name]
    assert (out / batch.name).read_bytes() == batch.data
    stage.settle()
    stage.agree()
    assert Batch.objects.count() == 1
    rows = {"by transfer": {"payout": 4}, "as a whole": {"file": 1}}[stage.facts["debited"]]
    assert Counter(StatementRow.objects.exclude(kind="settlement").values_list("kind", flat=True)) == rows


def _owe_and_pay(stage: Stage) -> None:
    """The money goes on meanwhile."""
    owe(stage, 2)
    stage.settle()


def _wrong_clock(stage: Stage, seconds: float) -> None:
    payouts = stage.prepare(5)
    # One was taken and we do not know it, one is in the middle of its call, the others are not sent yet.
    stage.gate.rule = _done_and_silent
    sending.send_payout(payouts[0].pk)
    held = stage.gate.rule = Held()
    caller = threading.Thread(target=_send, args=(payouts[1],))
    caller.start()
    stage.wait_until(lambda: held.calls)
    stage.clock.put_off("platform", seconds)
    held.calls[0].forward()
    held.let_go()
    caller.join(60)
    stage.gate.rule = lambda call: call.answer(call.forward())
    asked = len(stage.gate.transfers)
    for _ in range(3):
        tasks.sweep()
    sent_wrongly = stage.gate.transfers[asked:]
    assert payouts[0].out_no not in sent_wrongly
    assert payouts[1].out_no not in sent_wrongly
    assert not set(stage.states()) & {"failed", "cancelled", "returned"}, stage.states()
    assert len(stage.bank.control("GET", "book")["transfers"]) == 2
    stage.facts["sent with a wrong clock, and refused"] = len(sent_wrongly)
    stage.clock.put_off("platform", -seconds)
    stage.settle()


def _done_and_silent(call: Call) -> None:
    if call.is_transfer:
        call.forward()
    call.hang_up()


def _send(payout: Payout) -> None:
    from django.db import connections

    try:
        sending.send_payout(payout.pk)
    finally:
        connections.close_all()
