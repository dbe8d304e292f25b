"""Verifies audit chains, checkpoints and receipts without a line of this library.

  audit_verify.py FILE [--key PUBLIC.pem] [--checkpoint FILE]...   says what is wrong with a chain in JSON Lines
  audit_verify.py --receipt FILE --key PUBLIC.pem                  checks a receipt
  audit_verify.py --corpus DIRECTORY                               compares its verdicts with the library's

Chains need the standard library alone; signatures need `cryptography`.
"""
import argparse
import base64
import functools
import hashlib
import json
import math
import pathlib
import re
import sys

START = re.compile(rb'\{"chainhash":"([0-9a-f]{64})",(?:"chainsignature":"([A-Za-z0-9_-]{86})",)?')

# What the library calls a finding by checkpoints, and the words for it here.
NOTED = {"contradictory_checkpoints": "in two ways", "foreign_checkpoints": "of another chain"}


def canonical(value):
    """RFC 8785."""
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(canonical(key) + ":" + canonical(member) for key, member in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53:
        value = float(value)
    if isinstance(value, float):
        return number(value)
    return json.dumps(value, ensure_ascii=False)


def number(value):
    """As ECMAScript writes a double (ECMA-262, Number::toString)."""
    if not math.isfinite(value):
        raise ValueError("no number of JSON")
    if value == 0:
        return "0"
    sign, (mantissa, _, exponent) = "-" if value < 0 else "", repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits, point = whole + fraction, len(whole) + int(exponent or 0)
    point -= len(digits) - len(digits.lstrip("0"))
    digits = digits.lstrip("0").rstrip("0")
    if 0 < point <= 21:
        padded = digits.ljust(point, "0")
        return sign + padded[:point] + ("." + padded[point:] if padded[point:] else "")
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    rest = "." + digits[1:] if digits[1:] else ""
    return f"{sign}{digits[0]}{rest}e{'+' if point > 0 else '-'}{abs(point - 1)}"


def load(data):
    def unique(pairs):
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a name twice")
        return dict(pairs)

    return json.loads(data.decode("utf-8"), object_pairs_hook=unique)


class Key:
    """An Ed25519 public key in PEM."""

    def __init__(self, pem):
        from cryptography.hazmat.primitives import serialization

        self.key = serialization.load_pem_public_key(pem)
        raw = self.key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.id = hashlib.sha256(raw).hexdigest()[:16]

    @functools.lru_cache(maxsize=100_000)
    def signed(self, purpose, digest, signature):
        from cryptography.exceptions import InvalidSignature

        try:
            raw = base64.b64decode(signature + "=" * (-len(signature) % 4), altchars="-_", validate=True)
            # Bits that say nothing must be zero: one signature has one text.
            if base64.urlsafe_b64encode(raw).decode().rstrip("=") != signature:
                return False
            self.key.verify(raw, f"{purpose}:{digest}".encode())
            return True
        except (ValueError, InvalidSignature):
            return False


@functools.lru_cache(maxsize=100_000)
def event(line):
    """The CloudEvent in a line, or None if it is not as it was written."""
    start = START.match(line)
    if not start or hashlib.sha256(b"{" + line[start.end():]).hexdigest() != start[1].decode():
        return None
    try:
        read = load(line)
        entry = load(read["data"].encode()) if isinstance(read["data"], str) else read["data"]
        refused = "refusals/" if entry["trail"] == "refusals" else ""
        name = f"{entry['audit_log_id']}/{refused}{entry['sequence']}"
        sound = canonical(read).encode() == line and read["specversion"] == "1.0" and read["id"] == name
        return (read, entry) if sound and read["subject"] == entry["audit_log_id"] else None
    except (ValueError, KeyError, TypeError):
        return None


def chain(data, key=None, checkpoints=()):
    """What is wrong with a chain: (line counted from 1, what)."""
    lines, wrong = data.split(b"\n"), []
    if lines.pop():
        wrong.append((len(lines) + 1, "is unfinished"))
    previous, source, names, counts, hashes = "0" * 64, None, set(), {}, {}
    for position, line in enumerate(lines):
        found = event(line)
        if found is None:
            wrong.append((position + 1, "is not as it was written"))
            continue
        read, entry = found
        source = source or read["source"]
        if (read["position"], read["previous"], read["source"]) != (str(position), previous, source):
            wrong.append((position + 1, f"does not belong here: position {read['position']} of {read['source']}"))
        if read["id"] in names:
            wrong.append((position + 1, f"is there twice: {read['id']}"))
        if key and not (read.get("signedby") == key.id and key.signed(
                "distribution.audit.entry", read["chainhash"], read.get("chainsignature", ""))):
            wrong.append((position + 1, "has no good signature"))
        names.add(read["id"])
        if entry["trail"] == "publication":
            expected = counts.get(entry["audit_log_id"], entry["sequence"])
            if entry["sequence"] != expected:
                wrong.append((position + 1, f"leaves out {entry['audit_log_id']}/{expected}"))
            counts[entry["audit_log_id"]] = entry["sequence"] + 1
        previous = hashes[position] = read["chainhash"]
    return wrong + noted(checkpoints, source, hashes)


def noted(checkpoints, source, hashes):
    """What is wrong with a chain by its checkpoints, and with these."""
    wrong, seen, foreign = [], {}, set()
    for checkpoint in checkpoints:
        # Where nothing reads, the chain has no name, and any may have seen it.
        if source not in (None, checkpoint["source"]):
            foreign.add(checkpoint["source"])
            continue
        seen.setdefault(checkpoint["position"], set()).add(checkpoint["hash"])
    for position, said in sorted(seen.items()):
        if len(said) > 1:
            wrong.append((position + 1, f"is told in two ways by checkpoints: {' and '.join(sorted(said))}"))
        if hashes.get(position) not in said:
            wrong.append((position + 1, "is not what a checkpoint has seen there"))
    return wrong + [(0, f"has checkpoints of another chain: {name}") for name in sorted(foreign)]


def checkpoint(data, key):
    read = load(data)
    signature = read.pop("signature")
    digest = hashlib.sha256(canonical(read).encode()).hexdigest()
    if read["signedby"] != key.id or not key.signed("distribution.audit.checkpoint", digest, signature):
        sys.exit("the checkpoint has no good signature")
    return read


def receipt(data, key):
    read = load(data)
    digest = hashlib.sha256(canonical(read["receipt"]).encode()).hexdigest()
    return read["signedby"] == key.id and key.signed("distribution.receipt", digest, read["signature"])


def verdicts(data, foreign, key):
    """As `verdicts` in tests/evidence/corpus.rs."""
    lines = data.splitlines(keepends=True)
    everywhere = range(len(lines))

    def clean(lines):
        return not chain(b"".join(lines), key)

    def flipped(at):
        return data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1:]

    def swapped(a, b):
        changed = list(lines)
        changed[a], changed[b] = changed[b], changed[a]
        return changed

    return {
        "flipped": [not chain(flipped(at), key) for at in range(len(data))],
        "dropped": [clean(lines[:n] + lines[n + 1:]) for n in everywhere],
        "doubled": [clean(lines[:to] + [lines[n]] + lines[to:]) for n in everywhere for to in everywhere],
        "swapped": [clean(swapped(a, b)) for a in everywhere for b in everywhere],
        "inserted": [clean(lines[:to] + [foreign] + lines[to:]) for to in range(len(lines) + 1)],
        "replaced": [clean(lines[:to] + [foreign] + lines[to + 1:]) for to in everywhere],
    }


def corpus(directory):
    key, chains, tried = Key((directory / "key.pem").read_bytes()), 0, 0
    for path in sorted(directory.glob("*.verdicts")):
        data = path.with_suffix(".jsonl").read_bytes()
        foreign = path.with_suffix(".foreign").read_bytes().splitlines(keepends=True)[0]
        trusted = key if b'"signedby"' in data else None
        assert not chain(data, trusted), path
        said, theirs = verdicts(data, foreign, trusted), json.loads(path.read_text())
        for what in theirs:
            differ = [n for n, pair in enumerate(zip(said[what], theirs[what], strict=True)) if pair[0] != pair[1]]
            assert not differ, f"{path.stem}: {what}: the verdicts differ at {differ[:10]}"
            tried += len(theirs[what])
        # All were found, but for the last entry that is dropped, which takes a checkpoint, and one swapped with itself.
        count = len(data.splitlines())
        assert sum(theirs["dropped"]) == 1 and sum(theirs["swapped"]) == count
        assert not any(any(theirs[what]) for what in ("flipped", "doubled", "inserted", "replaced"))
        chains += 1
    data = (directory / "0.jsonl").read_bytes()
    noted = [checkpoint(path.read_bytes(), key) for path in (directory / "checkpoints").iterdir()]
    lines = data.splitlines(keepends=True)
    assert noted and not chain(data, None, noted) and chain(b"".join(lines[:-1]), None, noted)
    for case in sorted((directory / "noted").iterdir()):
        kinds = json.loads((case / "kinds.json").read_text())
        taken = [checkpoint(path.read_bytes(), key) for path in sorted(case.glob("*/*.json"))]
        wrong = chain(data, None, taken)
        said = {kind for kind, words in NOTED.items() if any(words in what for _, what in wrong)}
        assert said == set(kinds) & set(NOTED) and bool(wrong) == bool(kinds), (case, wrong, kinds)
    paper = (directory / "receipt.json").read_bytes()
    assert receipt(paper, key) and not receipt(paper.replace(b"fail", b"pass"), key)
    assert chains
    print(f"proof of evidence in Python: {chains} chains, {tried} kinds of damage: the same verdicts")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=pathlib.Path)
    parser.add_argument("--key", type=pathlib.Path)
    parser.add_argument("--checkpoint", type=pathlib.Path, action="append", default=[])
    parser.add_argument("--receipt", type=pathlib.Path)
    parser.add_argument("--corpus", type=pathlib.Path)
    options = parser.parse_args()
    if options.corpus:
        return corpus(options.corpus)
    key = Key(options.key.read_bytes()) if options.key else None
    if options.receipt:
        return 0 if key and receipt(options.receipt.read_bytes(), key) else "the receipt is not signed by this key"
    noted = [checkpoint(path.read_bytes(), key) for path in options.checkpoint]
    wrong = chain(options.file.read_bytes(), key, noted)
    for line, what in wrong:
        print(f"line {line} {what}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
