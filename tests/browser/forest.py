"""A market of thousands of trees, written by SQL and opened by the platform."""

from django.db import connection

from carbonsink.accounts.roles import REVIEWER
from carbonsink.ledger.services import open_household_accounts
from carbonsink.states import move_many
from purchases.vintages import open_vintage
from tests import factories
from tests.trees import crowd
from trees.models import Tree

_ENROLMENTS = """
    INSERT INTO trees_enrolment (tree_id, first_vintage, last_vintage, dbh_cm, measured_on, registered_by_id,
                                 measured_by_id, approved_by_id, approved_at)
    SELECT t.id, date_part('year', now()), date_part('year', now()) + 5, t.dbh_cm, t.measured_on, t.registered_by_id,
           t.measured_by_id, %s, now()
      FROM trees_tree t WHERE t.household_id = ANY(%s)"""
# What the processing of their photos would have written down.
_HISTORY = """
    INSERT INTO carbonsink_statechange (thing, object_id, from_state, to_state, reason, at)
    SELECT 'trees.photo', p.id, 'received', 'accepted', '', now()
      FROM trees_photo p JOIN trees_tree t ON t.id = p.tree_id WHERE t.household_id = ANY(%s)"""


def grow(homes: int, each: int) -> None:
    """So many households with so many approved trees each (999 at most), all on sale."""
    owners = crowd.households([factories.VILLAGE], homes)
    crowd.waiting_trees(owners, each)
    open_household_accounts(owners)
    with connection.cursor() as cursor:
        cursor.execute(_HISTORY, [owners])
        cursor.execute(_ENROLMENTS, [factories.user(REVIEWER).pk, owners])
    move_many(Tree.objects.filter(household__in=owners), Tree.State.APPROVED)
    open_vintage(factories.tariff())
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE purchases_sink, purchases_stock, trees_enrolment")
