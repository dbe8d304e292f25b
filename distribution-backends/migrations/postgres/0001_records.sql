-- Records as documents, beside the columns that they are found by. Times are microseconds since
-- 1970-01-01 UTC. Texts that are compared are in byte order, whatever the database's language is. Every
-- index ends in (claimed_at DESC, id): the order in which rows are listed.

CREATE TABLE publication (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    revision   bigint NOT NULL,
    concept_id text COLLATE "C",
    checksum   text COLLATE "C" NOT NULL,
    tags       text[] NOT NULL,
    state      text COLLATE "C" NOT NULL,
    settled    boolean NOT NULL,
    claimed_at bigint NOT NULL,
    -- The record, byte for byte. Not jsonb, which would change it: order and repeats of keys, numbers.
    body       bytea NOT NULL
) WITH (fillfactor = 70);

CREATE INDEX publication_by_concept ON publication (concept_id, claimed_at DESC, id) WHERE concept_id IS NOT NULL;
CREATE INDEX publication_by_checksum ON publication (checksum, claimed_at DESC, id);
CREATE INDEX publication_by_state ON publication (state, claimed_at DESC, id);
CREATE INDEX publication_by_time ON publication (claimed_at DESC, id);
CREATE INDEX publication_unsettled ON publication (claimed_at DESC, id) WHERE NOT settled;

-- The index of the tags. Not GIN, which knows no order: it would sort all rows of a tag for a page of
-- them. The triggers below are its only writers, so it cannot disagree with `publication.tags`.
CREATE TABLE publication_tag (
    tag        text COLLATE "C" NOT NULL,
    claimed_at bigint NOT NULL,
    id         text COLLATE "C" NOT NULL
);

CREATE UNIQUE INDEX publication_by_tag ON publication_tag (tag, claimed_at DESC, id);

CREATE FUNCTION publication_tags_inserted() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO publication_tag (tag, claimed_at, id)
    SELECT DISTINCT t.tag, i.claimed_at, i.id FROM inserted AS i CROSS JOIN LATERAL unnest(i.tags) AS t (tag);
    RETURN NULL;
END
$$;

CREATE FUNCTION publication_tags_changed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM publication_tag AS t USING unnest(OLD.tags) AS o (tag)
    WHERE t.tag = o.tag AND t.claimed_at = OLD.claimed_at AND t.id = OLD.id;
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO publication_tag (tag, claimed_at, id)
        SELECT DISTINCT t.tag, NEW.claimed_at, NEW.id FROM unnest(NEW.tags) AS t (tag);
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER publication_tags_inserted AFTER INSERT ON publication
REFERENCING NEW TABLE AS inserted
FOR EACH STATEMENT EXECUTE FUNCTION publication_tags_inserted();

CREATE TRIGGER publication_tags_updated AFTER UPDATE ON publication
FOR EACH ROW WHEN ((NEW.tags, NEW.claimed_at, NEW.id) IS DISTINCT FROM (OLD.tags, OLD.claimed_at, OLD.id))
EXECUTE FUNCTION publication_tags_changed();

CREATE TRIGGER publication_tags_deleted AFTER DELETE ON publication
FOR EACH ROW EXECUTE FUNCTION publication_tags_changed();

-- Which publication a caller's own key names, for good.
CREATE TABLE idempotency_key (
    key text COLLATE "C" NOT NULL PRIMARY KEY,
    id  text COLLATE "C" NOT NULL
);

-- The body as jsonb; NULL where it is not JSON that jsonb can hold.
CREATE FUNCTION body_as_jsonb(body bytea) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN convert_from(body, 'UTF8')::jsonb;
EXCEPTION
    WHEN data_exception OR program_limit_exceeded THEN RETURN NULL;
END
$$;

-- For people and reports.
CREATE VIEW record AS
SELECT id, revision, concept_id, checksum, tags, state, settled,
       TIMESTAMPTZ '1970-01-01 00:00:00+00' + claimed_at * INTERVAL '1 microsecond' AS claimed_at,
       body_as_jsonb(body) AS record
FROM publication;
