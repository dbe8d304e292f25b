-- Records as documents, beside the columns that they are found by. Times are microseconds since
-- 1970-01-01 UTC. Every index ends in (claimed_at DESC, id): the order in which rows are listed.

CREATE TABLE publication (
    id         TEXT    NOT NULL PRIMARY KEY,
    revision   INTEGER NOT NULL,
    concept_id TEXT,
    checksum   TEXT    NOT NULL,
    tags       TEXT    NOT NULL, -- a JSON array
    state      TEXT    NOT NULL,
    settled    INTEGER NOT NULL,
    claimed_at INTEGER NOT NULL,
    body       BLOB    NOT NULL
) STRICT;

CREATE INDEX publication_by_concept ON publication (concept_id, claimed_at DESC, id) WHERE concept_id IS NOT NULL;
CREATE INDEX publication_by_checksum ON publication (checksum, claimed_at DESC, id);
CREATE INDEX publication_by_state ON publication (state, claimed_at DESC, id);
CREATE INDEX publication_by_time ON publication (claimed_at DESC, id);
CREATE INDEX publication_unsettled ON publication (claimed_at DESC, id) WHERE settled = 0;

-- The index of the tags. The triggers below are its only writers, so it cannot disagree with
-- `publication.tags`, and claiming or advancing a row stays one statement.
CREATE TABLE publication_tag (
    tag        TEXT    NOT NULL,
    claimed_at INTEGER NOT NULL,
    id         TEXT    NOT NULL,
    PRIMARY KEY (tag, claimed_at DESC, id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER publication_tags_inserted AFTER INSERT ON publication
BEGIN
    INSERT OR IGNORE INTO publication_tag (tag, claimed_at, id)
    SELECT value, NEW.claimed_at, NEW.id FROM json_each(NEW.tags);
END;

CREATE TRIGGER publication_tags_updated AFTER UPDATE ON publication
WHEN NEW.tags <> OLD.tags OR NEW.claimed_at <> OLD.claimed_at
BEGIN
    DELETE FROM publication_tag
    WHERE tag IN (SELECT value FROM json_each(OLD.tags)) AND claimed_at = OLD.claimed_at AND id = OLD.id;
    INSERT OR IGNORE INTO publication_tag (tag, claimed_at, id)
    SELECT value, NEW.claimed_at, NEW.id FROM json_each(NEW.tags);
END;

CREATE TRIGGER publication_tags_deleted AFTER DELETE ON publication
BEGIN
    DELETE FROM publication_tag
    WHERE tag IN (SELECT value FROM json_each(OLD.tags)) AND claimed_at = OLD.claimed_at AND id = OLD.id;
END;

-- Which publication a caller's own key names, for good.
CREATE TABLE idempotency_key (
    key TEXT NOT NULL PRIMARY KEY,
    id  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
