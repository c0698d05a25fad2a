-- Every movement on both sides, numbered over the whole bank; serials never go back.
CREATE TABLE IF NOT EXISTS movements (
    serial INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    booked_at REAL NOT NULL,
    direction TEXT NOT NULL CHECK (direction IN ('credit', 'debit')),
    fen INTEGER NOT NULL CHECK (fen > 0),
    balance_fen INTEGER NOT NULL,
    counterparty_name TEXT NOT NULL,
    counterparty_account TEXT NOT NULL,
    remittance TEXT NOT NULL,
    out_no TEXT,
    bank_reference TEXT NOT NULL,
    -- The file that was debited as a whole, or of which something was given back.
    file TEXT
);
CREATE INDEX IF NOT EXISTS movements_account ON movements (account, serial);
CREATE TABLE IF NOT EXISTS transfers (
    out_no TEXT PRIMARY KEY,
    body_sha256 TEXT NOT NULL,
    answer TEXT NOT NULL,
    fen INTEGER NOT NULL CHECK (fen > 0),
    to_account TEXT NOT NULL,
    to_name TEXT NOT NULL,
    to_bank_code TEXT NOT NULL,
    purpose TEXT NOT NULL,
    bank_reference TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL CHECK (status IN ('accepted', 'succeeded', 'failed', 'returned')),
    reason TEXT NOT NULL DEFAULT '',
    due_at REAL NOT NULL,
    -- The file that was debited for it.
    file TEXT,
    completed_at REAL,
    returned_at REAL
);
CREATE INDEX IF NOT EXISTS transfers_due ON transfers (due_at) WHERE status = 'accepted';
CREATE TABLE IF NOT EXISTS credits (
    reference TEXT PRIMARY KEY,
    terms TEXT NOT NULL,
    serial INTEGER NOT NULL REFERENCES movements
);
CREATE TABLE IF NOT EXISTS accounts (
    account TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('open', 'closed', 'unknown')),
    name TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS nonces (
    nonce TEXT PRIMARY KEY,
    seen_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS nonces_seen ON nonces (seen_at);
-- Files of the exchange: each taken once, with the transfers in it and what was last told of them.
CREATE TABLE IF NOT EXISTS exchanged (
    message TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('pain.001', 'daifa')),
    content TEXT NOT NULL,
    refusals TEXT NOT NULL DEFAULT '{}',
    -- How what could not be paid of a file that was debited as a whole comes back: each, together; empty: no such file.
    whole TEXT NOT NULL DEFAULT '',
    told TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS exchange_answers (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    last_serial INTEGER NOT NULL DEFAULT 0
);
