"""What was published of the money: each day once, signed, in balance, and still what the ledger says."""

from collections.abc import Iterator
from itertools import islice

from payouts import daily, sealing
from payouts.audit.running import MOST_NAMED, Look
from payouts.models import DailyStatement, DailyTree

_FIGURES = """payouts_dailystatement d
          CROSS JOIN LATERAL (VALUES (d.body::jsonb -> 'of_day'), (d.body::jsonb -> 'ever')) v(f)
          CROSS JOIN LATERAL (SELECT coalesce(sum(value::bigint), 0) AS came FROM jsonb_each_text(f -> 'in')) i"""

CHECKS = {
    "daily statements in which a fen is missing": f"""
        SELECT d.day FROM {_FIGURES}
         WHERE came + (f ->> 'borne_by_sponsor')::bigint
               <> (f ->> 'arrived')::bigint - (f ->> 'returned')::bigint + (f ->> 'on_the_way')::bigint
                + (f ->> 'waiting')::bigint + (f ->> 'refunded')::bigint + (f ->> 'owed_back')::bigint
                + (f ->> 'to_explain')::bigint
            OR came + (f ->> 'paid_in_by_sponsor')::bigint + (f ->> 'advanced_by_sponsor')::bigint
               - (f ->> 'arrived')::bigint + (f ->> 'returned')::bigint - (f ->> 'refunded')::bigint
               - (f ->> 'fees')::bigint
               <> (f ->> 'at_gateways')::bigint + (f ->> 'in_supervised_account')::bigint""",  # noqa: S608
    "daily statements that do not continue the one before": """
        SELECT d.day FROM (
               SELECT number, day, body, body::jsonb AS told, lag(day) OVER w AS day_before,
                      lag(body) OVER w AS body_before
                 FROM payouts_dailystatement WINDOW w AS (ORDER BY number)) d
          CROSS JOIN LATERAL (
               SELECT count(*) AS odd FROM jsonb_each(d.told -> 'ever') e WHERE e.key <> 'in' AND e.value::bigint
                   <> (d.told -> 'of_day' ->> e.key)::bigint
                    + coalesce((d.body_before::jsonb -> 'ever' ->> e.key)::bigint, 0)) s
         WHERE odd > 0 OR (d.body_before IS NULL) <> (d.number = 1) OR d.day <> d.day_before + 1
            OR d.told ->> 'previous'
               <> coalesce(encode(sha256(convert_to(d.body_before, 'UTF8')), 'hex'), '')""",
    "daily statements that are not what the ledger says": """
        SELECT d.day FROM payouts_dailystatement d LEFT JOIN (
               SELECT p.statement_id,
                      sum(l.fen) FILTER (WHERE a.kind = 'gateway') AS at_gateways,
                      sum(l.fen) FILTER (WHERE a.kind = 'escrow') AS escrow,
                      -sum(l.fen) FILTER (WHERE a.kind = 'household') AS waiting,
                      -sum(l.fen) FILTER (WHERE a.kind = 'transit') AS on_the_way,
                      -sum(l.fen) FILTER (WHERE a.kind = 'escrow' AND e.kind = 'arrived') AS arrived,
                      sum(l.fen) FILTER (WHERE a.kind = 'escrow' AND e.kind = 'reversed') AS returned
                 FROM payouts_publishedentry p
                 JOIN ledger_entry e ON e.id = p.entry_id
                 JOIN ledger_line l ON l.entry_id = e.id
                 JOIN ledger_account a ON a.id = l.account_id
                GROUP BY 1) s ON s.statement_id = d.id
         WHERE (coalesce(at_gateways, 0), coalesce(escrow, 0), coalesce(waiting, 0), coalesce(on_the_way, 0),
                coalesce(arrived, 0), coalesce(returned, 0))
            <> ((d.body::jsonb -> 'of_day' ->> 'at_gateways')::bigint,
                (d.body::jsonb -> 'of_day' ->> 'in_supervised_account')::bigint,
                (d.body::jsonb -> 'of_day' ->> 'waiting')::bigint,
                (d.body::jsonb -> 'of_day' ->> 'on_the_way')::bigint,
                (d.body::jsonb -> 'of_day' ->> 'arrived')::bigint,
                (d.body::jsonb -> 'of_day' ->> 'returned')::bigint)""",
    "published entries without their entry or their statement": """
        SELECT p.entry_id FROM payouts_publishedentry p
          LEFT JOIN ledger_entry e ON e.id = p.entry_id LEFT JOIN payouts_dailystatement d ON d.id = p.statement_id
         WHERE e.id IS NULL OR d.id IS NULL""",
    # One that is committed after its day was published is in the next statement.
    "entries that neither their day's statement nor the next one has": """
        SELECT e.reference FROM ledger_entry e
         WHERE e.at < (SELECT max(day) FROM payouts_dailystatement)::timestamptz - interval '1 day'
           AND NOT EXISTS (SELECT FROM payouts_publishedentry p WHERE p.entry_id = e.id)""",
}


def unsigned() -> list[str]:
    """Up to ten statements whose signature does not fit what is stored."""
    return _up_to_ten(one for one in _published() if not daily.is_signed(one))


def changed() -> list[str]:
    """Up to ten statements whose entries or tree are not what they were when it was published.

    Its seal tells; where there is none, or its secret may be another one, the leaves are made anew.
    """
    # In this order: of a day that is published meanwhile nothing is looked at.
    statements, trees = list(_published()), sealing.trees()
    entries = sealing.digests()
    broken, sealed = set(), []
    for one in statements:
        (seal, tree), secret = trees.get(one.pk, ("", b"")), daily.secret_of(one)
        if secret is None or (seal and seal != sealing.seal(secret, one.day, tree, entries.get(one.pk, b""))):
            broken.add(one.pk)
        elif seal:
            sealed.append(one)
    proven = _proven_secrets(sealed)
    well = {one.pk for one in sealed if daily.secret_of(one) in proven}

    def has_changed(one: DailyStatement) -> bool:
        return one.pk in broken or (one.pk not in well and (_has_other_root(one) or _has_other_leaves(one)))

    return _up_to_ten(one for one in statements if has_changed(one))


def _proven_secrets(sealed: list[DailyStatement]) -> set[str | None]:
    """The secrets that were published under. Anybody who can write to the database may put one there that they know,
    and seal days with it; but nobody finds leaves for it that have a root which was signed. One day of each tells."""
    smallest = {daily.secret_of(one): one for one in sorted(sealed, key=lambda one: -one.lines) if one.lines}
    return {secret for secret, one in smallest.items() if not (_has_other_root(one) or _has_other_leaves(one))}


def other_roots() -> list[str]:
    """Up to ten statements whose tree is not there, or does not have the root that was signed."""
    return _up_to_ten(one for one in _published() if _has_other_root(one))


def other_leaves() -> list[str]:
    """Up to ten statements of which any leaf is not what the ledger says now."""
    return _up_to_ten(one for one in _published() if _has_other_leaves(one))


# {sentence: what names the days}, of what no query can tell.
LOOKS: dict[str, Look] = {
    "published days whose entries or tree have changed": changed,
    "daily statements whose signature does not fit": unsigned,
}
# Minutes for a year's sales. Without the platform's keys nobody can do what these alone would see.
WHOLE: dict[str, Look] = {
    "published days whose tree does not have the signed root": other_roots,
    "published days whose leaves are not what the ledger says": other_leaves,
}


def _has_other_root(one: DailyStatement) -> bool:
    return daily.tree(one) is None


def _has_other_leaves(one: DailyStatement) -> bool:
    secret, tree = daily.secret_of(one), DailyTree.objects.filter(pk=one.pk).first()
    return secret is None or tree is None or daily.leaf_hashes(one.pk, secret) != bytes(tree.hashes)


def _published() -> Iterator[DailyStatement]:
    """All statements; the secret of one that was tampered with cannot be read, so each is fetched by itself."""
    return DailyStatement.objects.order_by("number").defer("secret").iterator()


def _up_to_ten(found: Iterator[DailyStatement]) -> list[str]:
    return [str(one.day) for one in islice(found, MOST_NAMED)]
