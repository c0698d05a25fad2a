from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PayoutsConfig(AppConfig):
    name = "payouts"
    verbose_name = _("payouts")

    def ready(self) -> None:
        from carbonsink.states import on_move
        from payouts import reconciliation
        from payouts.models import Clarification
        from purchases.models import Difference

        ended = [Difference.State.AGREED, Difference.State.ANSWERED]
        on_move(Difference, to=ended, do=reconciliation.conclude_days_of)
        on_move(Clarification, to=[Clarification.State.AGREED], do=reconciliation.end_clarified)
