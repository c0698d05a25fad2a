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
-- The account that pays to bank cards: a book of its own beside the merchant's. Fen positive for 收入.
CREATE TABLE IF NOT EXISTS account_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    booked_at REAL NOT NULL,
    fen INTEGER NOT NULL CHECK (fen <> 0),
    balance_fen INTEGER NOT NULL CHECK (balance_fen >= 0),
    kind TEXT NOT NULL,
    order_id TEXT NOT NULL,
    out_biz_no TEXT NOT NULL,
    other_account TEXT NOT NULL,
    memo TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS transfers (
    out_biz_no TEXT PRIMARY KEY,
    order_id TEXT NOT NULL UNIQUE,
    terms TEXT NOT NULL,
    card TEXT NOT NULL,
    name TEXT NOT NULL,
    fen INTEGER NOT NULL CHECK (fen > 0),
    fee_fen INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('DEALING', 'SUCCESS', 'FAIL', 'REFUND')),
    taken_at REAL NOT NULL,
    due_at REAL NOT NULL,
    error_code TEXT NOT NULL DEFAULT '',
    fail_reason TEXT NOT NULL DEFAULT ''
);
-- Cards with which something is wrong: refused at once, or failing once the payee's bank has looked.
CREATE TABLE IF NOT EXISTS cards (
    card TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('refused', 'failing', 'well'))
);
CREATE TABLE IF NOT EXISTS deposits (
    reference TEXT PRIMARY KEY,
    id INTEGER NOT NULL REFERENCES account_log
);
