from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PurchasesConfig(AppConfig):
    name = "purchases"
    verbose_name = _("market")

    def ready(self) -> None:
        from carbonsink.states import on_move
        from purchases import losses, vintages
        from trees.models import Tree

        # The whole list of what the market does when the registry changes.
        on_move(Tree, to=[Tree.State.APPROVED], do=vintages.open_sinks)
        on_move(Tree, to=[Tree.State.SUBMITTED], came_from=[Tree.State.APPROVED], do=vintages.refuse_sold)
        on_move(Tree, to=[Tree.State.SUBMITTED], do=losses.refuse_unsettled)
        on_move(
            Tree,
            to=[
                Tree.State.SUBMITTED,
                Tree.State.SUSPENDED,
                Tree.State.DEAD,
                Tree.State.FELLED,
                Tree.State.WITHDRAWN,
                Tree.State.EXPIRED,
            ],
            do=vintages.close_sinks,
        )
