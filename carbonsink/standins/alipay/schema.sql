-- A trade is there from the moment its buyer opens the merchant's address.
CREATE TABLE IF NOT EXISTS trades (
    out_trade_no TEXT PRIMARY KEY,
    trade_no TEXT NOT NULL UNIQUE,
    token TEXT NOT NULL UNIQUE,
    terms TEXT NOT NULL,
    fen INTEGER NOT NULL CHECK (fen > 0),
    expires_at REAL,
    closed INTEGER NOT NULL DEFAULT 0,
    last_action TEXT,
    created_at REAL NOT NULL,
    paid_at REAL,
    fee_fen INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS refunds (
    trade_no TEXT NOT NULL REFERENCES trades (trade_no),
    out_request_no TEXT NOT NULL,
    fen INTEGER NOT NULL CHECK (fen > 0),
    reason TEXT NOT NULL,
    refunded_at REAL NOT NULL,
    PRIMARY KEY (trade_no, out_request_no)
);
CREATE TABLE IF NOT EXISTS bills (
    token TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    content BLOB NOT NULL
);
