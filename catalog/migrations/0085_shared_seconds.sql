-- For how long after its last report a worker's share of the rates is kept for it. Workers of older
-- releases use theirs for eight seconds; they don't set this.
ALTER TABLE workers ADD COLUMN shared_seconds real NOT NULL DEFAULT 10;
