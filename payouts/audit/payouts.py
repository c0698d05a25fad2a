"""Money to households: payouts, their attempts at the bank, and the bank's statement."""

# Of a payout p: neither a row of the statement nor the word of two people accounts for its debit.
_WITHOUT_DEBIT = """NOT EXISTS (
                   SELECT FROM payouts_statementrow r WHERE r.payout_id = p.id AND r.kind = 'payout')
               AND p.id NOT IN (SELECT coalesce(c.follow_up_id, c.payout_id) FROM payouts_clarification c
                                 WHERE c.state = 'agreed' AND c.kind IN ('debit', 'never_left'))"""

# Rows of files that were debited as a whole, with their file.
_FILE_ROWS = """SELECT r.id, r.bank, r.fen, r.payout_id, r.batch_id FROM payouts_statementrow r
                 WHERE r.batch_id IS NOT NULL UNION ALL
                SELECT r.id, r.bank, r.fen, c.payout_id, c.batch_id
                  FROM payouts_clarification c JOIN payouts_statementrow r ON r.id = c.row_id
                 WHERE c.kind = 'file' AND c.state = 'agreed'"""
# Of a payout p: two people have said something of it.
_SAID_OF = """EXISTS (SELECT FROM payouts_clarification c
                       WHERE c.state = 'agreed' AND c.payout_id = p.id AND c.kind = '{}')"""

CHECKS = {
    "payouts whose settled lines are not their amount": """
        SELECT p.out_no FROM payouts_payout p
          LEFT JOIN (
               SELECT s.payout_reference, sum(l.fen) AS fen
                 FROM ledger_settlement s JOIN ledger_line l ON l.id = s.line_id GROUP BY 1
               ) taken ON taken.payout_reference = p.out_no
          LEFT JOIN (
               SELECT s.payout_reference, sum(l.fen) AS fen FROM payouts_payout o
                 JOIN ledger_entry e ON e.reference = 'payout:' || o.out_no JOIN ledger_line l ON l.entry_id = e.id
                 JOIN ledger_settlement s ON s.line_id = l.id AND s.payout_reference = o.out_no GROUP BY 1
               ) own ON own.payout_reference = p.out_no
         WHERE coalesce(own.fen, 0) - coalesce(taken.fen, 0) <> p.fen OR coalesce(taken.fen, 1) <> 0""",
    "arrived payouts that are not in the ledger once": """
        SELECT p.out_no FROM payouts_payout p LEFT JOIN ledger_entry e ON e.reference = 'arrived:' || p.out_no
         WHERE (p.state IN ('succeeded', 'returned')) <> (e.id IS NOT NULL)""",
    "ended payouts whose money is not owed again": """
        SELECT p.out_no FROM payouts_payout p LEFT JOIN ledger_entry e ON e.reference = 'reversed:' || p.out_no
         WHERE (p.state IN ('failed', 'returned', 'cancelled')) <> (e.id IS NOT NULL)""",
    "payouts to an account that was not approved, or by whoever entered it": """
        SELECT p.out_no FROM payouts_payout p JOIN payouts_bankaccount b ON b.id = p.account_id
         WHERE b.household_id <> p.household_id OR b.approved_by_id IS NULL OR b.approved_by_id = b.entered_by_id
            OR b.usable_from > p.created_at""",
    # By the numbers of the moves, not by clocks: sending and moves of an account wait for each other. What is sent
    # again has no move of its own: there the account must have been approved at some time since it was found unsent.
    # Nobody sends a follow-up: it notes what had left before.
    "payouts sent while their account was not approved": """
        WITH stands AS (
               SELECT object_id, to_state, id, lead(id) OVER (PARTITION BY object_id ORDER BY id) AS until
                 FROM carbonsink_statechange WHERE thing = 'payouts.bankaccount'
        ), sent AS (
               SELECT object_id AS payout_id, id AS since, id AS until
                 FROM carbonsink_statechange WHERE thing = 'payouts.payout' AND to_state = 'sending'
                UNION ALL
               SELECT again.payout_id, max(c.id), NULL
                 FROM payouts_attempt again
                 JOIN payouts_attempt t ON t.payout_id = again.payout_id AND t.id < again.id
                 JOIN carbonsink_statechange c ON c.object_id = t.id AND c.thing = 'payouts.attempt'
                      AND c.to_state = 'unsent' GROUP BY again.id)
        SELECT p.out_no FROM sent s JOIN payouts_payout p ON p.id = s.payout_id
         WHERE NOT EXISTS (SELECT FROM stands a
                            WHERE a.object_id = p.account_id AND a.to_state = 'approved'
                              AND (s.until IS NULL OR a.id < s.until) AND (a.until IS NULL OR a.until > s.since))
           AND p.id NOT IN (SELECT follow_up_id FROM payouts_clarification WHERE follow_up_id IS NOT NULL)""",
    "payouts sent before their account could be used": """
        SELECT DISTINCT p.out_no FROM payouts_attempt t JOIN payouts_payout p ON p.id = t.payout_id
          JOIN payouts_bankaccount b ON b.id = p.account_id WHERE t.created_at < b.usable_from""",
    "runs that are not the sum of their payouts": """
        SELECT r.id FROM payouts_run r LEFT JOIN payouts_payout p ON p.run_id = r.id
         GROUP BY r.id HAVING count(p.id) <> r.payouts OR coalesce(sum(p.fen), 0) <> r.fen""",
    "payouts that went with fewer approvals than they need": """
        SELECT p.out_no FROM payouts_payout p LEFT JOIN payouts_approval a ON a.payout_id = p.id
         WHERE p.approvals_needed > 0 AND p.state NOT IN ('prepared', 'held', 'cancelled')
         GROUP BY p.id HAVING count(a.id) < p.approvals_needed""",
    # Follow-ups that nobody sends are what two people have said.
    "payouts without approval of money that was owed again by the word of a bank's file": """
        WITH RECURSIVE owed_again (line_id) AS (
            SELECT l.id FROM payouts_payout f JOIN ledger_entry e ON e.reference = 'reversed:' || f.out_no
              JOIN ledger_line l ON l.entry_id = e.id AND l.fen < 0
             WHERE f.state IN ('failed', 'returned') AND f.bank IN (SELECT bank FROM payouts_batch)
             UNION
            SELECT l.id FROM owed_again o JOIN ledger_settlement s ON s.line_id = o.line_id
              JOIN ledger_entry e ON e.reference = 'reversed:' || s.payout_reference
              JOIN ledger_line l ON l.entry_id = e.id AND l.fen < 0)
        SELECT p.out_no FROM owed_again o JOIN ledger_settlement s ON s.line_id = o.line_id
          JOIN payouts_payout p ON p.out_no = s.payout_reference
         WHERE p.approvals_needed = 0
           AND NOT EXISTS (SELECT FROM payouts_clarification c WHERE c.follow_up_id = p.id)""",
    "approvals of a payout by whoever entered its account": """
        SELECT a.id FROM payouts_approval a JOIN payouts_payout p ON p.id = a.payout_id
          JOIN payouts_bankaccount b ON b.id = p.account_id WHERE b.entered_by_id = a.by_id""",
    "numbers sent to the bank with more than one content": """
        SELECT p.out_no FROM payouts_attempt t JOIN payouts_payout p ON p.id = t.payout_id
         GROUP BY p.out_no HAVING count(DISTINCT t.request_sha256) > 1""",
    "bank debits that are not the payout they name": """
        SELECT r.serial FROM payouts_statementrow r JOIN payouts_payout p ON p.id = r.payout_id
         WHERE r.kind = 'payout' AND (r.fen <> -p.fen OR p.state IN ('failed', 'cancelled'))""",
    "statement rows that are not in the ledger": """
        SELECT r.serial FROM payouts_statementrow r
         WHERE r.kind NOT IN ('payout', 'information', 'file') AND r.entry_id IS NULL""",
    "supervised accounts whose balance is not the bank's statement": f"""
        SELECT b.bank FROM (SELECT bank FROM payouts_statementrow UNION SELECT bank FROM payouts_payout) b
         WHERE (SELECT coalesce(sum(l.fen), 0) FROM ledger_line l JOIN ledger_account a ON a.id = l.account_id
                 WHERE a.code = 'escrow:' || b.bank)
            <> (SELECT coalesce(sum(r.fen), 0) FROM payouts_statementrow r WHERE r.bank = b.bank)
             - (SELECT coalesce(sum(w.fen), 0) FROM ({_FILE_ROWS}) w WHERE w.bank = b.bank)
             - (SELECT coalesce(sum(p.fen), 0) FROM payouts_payout p
                 WHERE p.bank = b.bank AND p.state IN ('succeeded', 'returned') AND {_WITHOUT_DEBIT})""",  # noqa: S608
    "payouts that succeeded more than a day ago and are on no statement": f"""
        SELECT p.out_no FROM payouts_payout p
         WHERE p.state IN ('succeeded', 'returned') AND p.completed_at < now() - interval '1 day'
           AND {_WITHOUT_DEBIT}
           AND NOT EXISTS (SELECT FROM payouts_attempt t JOIN ({_FILE_ROWS}) w ON w.batch_id = t.batch_id
                            WHERE t.payout_id = p.id AND t.state = 'succeeded')
           AND NOT EXISTS (SELECT FROM payouts_clarification c
                            WHERE c.follow_up_id = p.id AND c.kind = 'arrived')""",  # noqa: S608
    "files of which more arrived or came back than the bank has debited as a whole": f"""
        SELECT f.number FROM payouts_batch f JOIN ({_FILE_ROWS}) w ON w.batch_id = f.id
         GROUP BY f.id HAVING -sum(w.fen) < f.fen - (
               SELECT coalesce(sum(p.fen), 0) FROM payouts_attempt t JOIN payouts_payout p ON p.id = t.payout_id
                WHERE t.batch_id = f.id
                  AND (t.state = 'failed' OR t.state = 'succeeded' AND {_SAID_OF.format("never_left")})
                  AND NOT {_SAID_OF.format("arrived")})
            OR count(*) FILTER (WHERE w.fen < 0) <> 1 OR bool_or(w.bank <> f.bank)""",  # noqa: S608
    "rows of whole files that are another payout's money, or paid for already": f"""
        SELECT w.id FROM ({_FILE_ROWS}) w LEFT JOIN payouts_payout p ON p.id = w.payout_id
         WHERE p.id IS NOT NULL AND (p.state <> 'failed' OR p.fen <> w.fen)
            OR w.fen < 0 AND EXISTS (
               SELECT FROM payouts_attempt t JOIN payouts_statementrow r ON r.payout_id = t.payout_id
                WHERE t.batch_id = w.batch_id AND t.state = 'succeeded' AND r.kind = 'payout')
            OR w.fen < 0 AND EXISTS (
               SELECT FROM payouts_attempt t JOIN payouts_clarification c ON c.payout_id = t.payout_id
                WHERE t.batch_id = w.batch_id AND c.kind = 'debit' AND c.state = 'agreed'
                  AND c.follow_up_id IS NULL)""",  # noqa: S608
    "rows that people have given to a payout, and are not booked as it or not by two": """
        SELECT c.id FROM payouts_clarification c LEFT JOIN payouts_payout p ON p.id = c.payout_id
          LEFT JOIN payouts_statementrow r ON r.id = c.row_id
          LEFT JOIN payouts_payout f ON f.id = c.follow_up_id
          LEFT JOIN ledger_entry e ON e.reference = 'explained:' || r.bank || ':' || r.serial
          LEFT JOIN ledger_line l ON l.entry_id = e.id AND l.account_id = (
                    SELECT id FROM ledger_account
                     WHERE code = CASE c.kind WHEN 'sponsor' THEN 'sponsor' ELSE 'escrow:' || r.bank END)
         WHERE c.state = 'agreed' AND ((c.kind = 'sponsor') <> (p.id IS NULL) AND c.kind <> 'file'
            OR c.agreed_by_id IS NULL OR c.agreed_by_id = c.proposed_by_id
            OR c.kind <> 'never_left' AND (r.kind <> 'suspense' OR r.bank <> p.bank OR abs(r.fen) <> p.fen
                                           OR l.fen IS DISTINCT FROM -r.fen)
            OR c.kind = 'file' AND p.state <> 'failed'
            OR c.kind = 'debit' AND (coalesce(r.fen, 0) >= 0 OR f.fen <> p.fen OR f.household_id <> p.household_id
                                     OR f.id IS NULL AND p.state NOT IN ('succeeded', 'returned'))
            OR c.kind NOT IN ('debit', 'file', 'arrived') AND p.state <> 'returned'
            OR c.kind = 'arrived' AND (f.id IS NULL OR f.fen <> p.fen OR f.household_id <> p.household_id
                                       OR p.state NOT IN ('failed', 'returned'))
            OR c.kind = 'return' AND coalesce(r.fen, 0) <= 0)""",
    # The watch raises them after 15 minutes; it may itself be a little late.
    "payouts that nobody knows about for 20 minutes, and no alert says so": """
        SELECT p.out_no FROM payouts_payout p
         WHERE p.state IN ('sending', 'unknown') AND EXISTS (
               SELECT FROM carbonsink_statechange c WHERE c.thing = 'payouts.payout' AND c.object_id = p.id
                  AND c.to_state = 'sending' AND c.at < now() - interval '20 minutes')
           AND NOT EXISTS (SELECT FROM payouts_attempt t WHERE t.payout_id = p.id AND t.batch_id IS NOT NULL)
           AND NOT EXISTS (SELECT FROM payouts_alert a
                            WHERE a.kind = 'unanswered' AND a.about = p.out_no AND a.state = 'open')""",
}
