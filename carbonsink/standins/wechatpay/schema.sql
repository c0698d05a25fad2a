CREATE TABLE IF NOT EXISTS orders (
    out_trade_no TEXT PRIMARY KEY,
    token TEXT NOT NULL UNIQUE,
    terms TEXT NOT NULL,
    fen INTEGER NOT NULL CHECK (fen > 0),
    expires_at REAL,
    openid TEXT NOT NULL,
    closed INTEGER NOT NULL DEFAULT 0,
    last_action TEXT,
    created_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS transactions (
    transaction_id TEXT PRIMARY KEY,
    out_trade_no TEXT NOT NULL REFERENCES orders,
    fen INTEGER NOT NULL CHECK (fen > 0),
    fee_fen INTEGER NOT NULL CHECK (fee_fen >= 0),
    paid_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS refunds (
    out_refund_no TEXT PRIMARY KEY,
    refund_id TEXT NOT NULL UNIQUE,
    transaction_id TEXT NOT NULL REFERENCES transactions,
    terms TEXT NOT NULL,
    fen INTEGER NOT NULL CHECK (fen > 0),
    refunded_at REAL NOT NULL
);
-- Codes of the official account's OAuth: each gives its openid once.
CREATE TABLE IF NOT EXISTS codes (
    code TEXT PRIMARY KEY,
    openid TEXT NOT NULL,
    issued_at REAL NOT NULL,
    used INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS bills (
    token TEXT PRIMARY KEY,
    content BLOB NOT NULL
);
