"""The triggers, constraints and unique indexes that make the wrong thing impossible."""

from collections.abc import Iterator

from django.apps import apps

from payouts.audit import running

# Whose rows are money, or say who gets it.
_APPS = {"ledger", "trees", "purchases", "payouts"}
_MISSING = """
    SELECT w.wanted FROM unnest(%s::text[]) w(wanted)
     WHERE NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conname = w.wanted AND c.convalidated)
       AND NOT EXISTS (SELECT FROM pg_class i JOIN pg_index x ON x.indexrelid = i.oid
                        WHERE i.relname = w.wanted AND x.indisunique AND x.indisvalid)"""

CHECKS = {
    "guards that are missing or switched off": """
        SELECT t.wanted FROM (VALUES ('purchases_sink_sold_once'), ('purchases_sink_released'),
            ('purchases_sink_fixed'), ('purchases_sink_stays'),
            ('purchases_sink_stays_closed'), ('purchases_sink_closed_is_not_sold'), ('purchases_replacement_fits'),
            ('purchases_replacement_append_only'), ('purchases_refund_within_capture'), ('purchases_refund_fixed'),
            ('purchases_tariff_fixed'), ('purchases_notification_append_only'), ('purchases_sinkrelease_append_only'),
            ('purchases_certificate_fixed'), ('purchases_retirement_append_only'), ('purchases_transfer_fixed'),
            ('purchases_voucher_append_only'), ('purchases_sink_succession'), ('purchases_certificate_stays_ended'),
            ('purchases_retirement_of_retired'), ('purchases_certificate_retired_says_why'),
            ('purchases_byhand_fixed'), ('purchases_stray_fixed'), ('purchases_stray_stays'),
            ('payouts_payout_fixed'), ('payouts_payout_begins'), ('payouts_attempt_fixed'),
            ('payouts_attempt_same_content'), ('payouts_bankaccount_fixed'), ('payouts_bankaccount_number_fixed'),
            ('payouts_bankaccount_begins'), ('payouts_bankaccount_approved_once'), ('payouts_statementrow_fixed'),
            ('payouts_payout_approved_by_enough'), ('payouts_approval_by_another'), ('payouts_approval_append_only'),
            ('payouts_run_append_only'), ('payouts_batch_fixed'), ('payouts_bankreport_fixed'),
            ('payouts_statementbalance_append_only'),
            ('payouts_download_append_only'), ('payouts_case_fixed'),
            ('payouts_clarification_fixed'), ('payouts_clarification_final'),
            ('payouts_dailystatement_fixed'), ('payouts_dailytree_append_only'),
            ('payouts_publishedentry_append_only'), ('payouts_publishedentry_before_its_day'),
            ('carbonsink_statechange_append_only')) t(wanted)
         WHERE NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgname = t.wanted AND g.tgenabled IN ('O', 'A'))""",
}


def of_models() -> running.Statements:
    """What the models want to be unique or so, the database holds: one live attempt for each payout, one settlement for
    each line, and all others."""
    return {"constraints and unique indexes that are missing": [(_MISSING, [sorted(_wanted())])]}


def _wanted() -> Iterator[str]:
    for model in apps.get_models():
        if model._meta.app_label in _APPS:
            yield from (constraint.name for constraint in model._meta.constraints)
            unique = (field for field in model._meta.local_fields if field.unique and not field.primary_key)
            # As PostgreSQL names them.
            yield from (f"{model._meta.db_table}_{field.column}_key" for field in unique)
