"""What the triggers make impossible in the ledger, looked for all the same: {sentence: query that finds none}."""

CHECKS = {
    "entries that do not sum to 0 or have fewer than 2 lines": """
        SELECT e.reference FROM ledger_entry e LEFT JOIN ledger_line l ON l.entry_id = e.id
        GROUP BY e.id HAVING count(l.id) < 2 OR sum(l.fen) <> 0""",
    "settled lines of accounts that are not a household's": """
        SELECT l.id FROM ledger_settlement s JOIN ledger_line l ON l.id = s.line_id
        JOIN ledger_account a ON a.id = l.account_id WHERE a.kind <> 'household'""",
    "guards of the ledger that are missing or switched off": """
        SELECT t.wanted FROM (VALUES ('ledger_line_balanced'), ('ledger_entry_has_lines'),
            ('ledger_account_append_only'), ('ledger_account_no_truncate'),
            ('ledger_entry_append_only'), ('ledger_line_append_only'), ('ledger_settlement_append_only'),
            ('ledger_entry_no_truncate'), ('ledger_line_no_truncate'), ('ledger_settlement_no_truncate')) t(wanted)
        WHERE NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgname = t.wanted AND g.tgenabled IN ('O', 'A'))""",
}
# Fen by kind of account, for whoever reads the result.
BALANCES = """
    SELECT a.kind, sum(l.fen) FROM ledger_line l JOIN ledger_account a ON a.id = l.account_id
     GROUP BY a.kind ORDER BY a.kind"""
