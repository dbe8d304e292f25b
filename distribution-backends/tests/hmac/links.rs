//! What a link is, for how long and under which keys.

use distribution_backends::{ContentDisposition, HmacKey, HmacSigner};
use distribution_core::{ErrorKind, LinkLimits, LinkRequest, ObjectKey, Timestamp, UrlSigner};
use futures::executor::block_on;

use crate::{BASE, Denied, EXPIRY, KEY, NOW, at, get, key, query, request, sign, signer, verify};

#[test]
fn the_format_never_changes() {
    // Computed with Python's hmac module.
    let link = |rest: &str| format!("{BASE}/{KEY}?{rest}");
    assert_eq!(
        sign(&signer()),
        link("d=inline&e=1767571200&k=2026-01&r=0&s=zjkvEBazgEkAkVfw8MNq6SqH7eChAeFEAbJ9XvUWVDM")
    );
    let long: Vec<u8> = (0..100).collect();
    let signer = HmacSigner::new(BASE, HmacKey::new("long", long).unwrap()).unwrap();
    assert_eq!(sign(&signer), link("d=inline&e=1767571200&k=long&r=0&s=BK3qbWlp7_MM59V4qJPVWo8xLKbvttb2a0ScCUfVTbc"));
    let signer = signer.disposition(|_| ContentDisposition::attachment("Café.mp4"));
    assert_eq!(
        sign(&signer),
        link("d=attachment.Q2Fmw6kubXA0&e=1767571200&k=long&r=0&s=m4J0YwRL7BQd4QsZunRxWhs5opB7gkhLBR_wZl6jtoo")
    );
}

#[test]
fn a_link_reads_its_object_by_get_and_head() {
    let (signer, query) = (signer(), query(&signer()));
    let grant = get(&signer, &query).unwrap();
    assert_eq!((grant.key.as_str(), grant.expires_at), (KEY, at(EXPIRY)));
    assert_eq!(grant.disposition, ContentDisposition::inline("clip-0123456789ab.mp4"));
    assert_eq!(verify(&signer, "HEAD", KEY, &query, at(NOW)), Ok(grant));
    for method in ["PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "get", "Head", "GET ", "GET\n", ""]
    {
        assert_eq!(verify(&signer, method, KEY, &query, at(NOW)), Err(Denied), "{method}");
    }
}

#[test]
fn a_link_ends_at_its_expiry() {
    let (signer, query) = (signer(), query(&signer()));
    for (now, works) in [
        ("2026-01-04T23:59:59Z", true),
        ("2026-01-04T23:59:59.999999Z", true),
        ("2026-01-05T00:00:00Z", false),
        ("2026-01-05T00:00:01Z", false),
        ("2036-01-05T00:00:00Z", false),
    ] {
        assert_eq!(verify(&signer, "GET", KEY, &query, at(now)).is_ok(), works, "{now}");
    }
}

#[test]
fn no_link_is_accepted_that_lives_longer_than_a_link_can() {
    let (signer, query) = (signer(), query(&signer()));
    for (now, works) in [
        // 168 hours and 60 seconds before the expiry, and one second more.
        ("2025-12-28T23:59:00Z", true),
        ("2025-12-28T23:58:59Z", false),
        ("1996-01-01T00:00:00Z", false),
    ] {
        assert_eq!(verify(&signer, "GET", KEY, &query, at(now)).is_ok(), works, "{now}");
    }
}

#[test]
fn only_what_the_limits_say_is_signed() {
    let signer = signer();
    assert_eq!(signer.limits(), LinkLimits { valid_hours_min: 1, valid_hours_max: 168 });
    for (expiry, signed) in [
        ("2026-01-02T00:00:01Z", true),
        ("2026-01-09T00:00:00Z", true),
        ("2026-01-09T00:00:01Z", false),
        ("2027-02-06T00:00:00Z", false),
        ("2026-01-02T00:00:00Z", false),
        ("2026-01-02T00:00:00.999Z", false),
        ("2026-01-01T23:59:59Z", false),
        ("1960-01-01T00:00:00Z", false),
    ] {
        match block_on(signer.sign(&request(expiry), at(NOW))) {
            Ok(link) => assert!(signed && link.expires_at == at(expiry), "{expiry}"),
            Err(error) => {
                assert!(!signed, "{expiry}: {error}");
                assert_eq!(error.kind(), ErrorKind::Invalid);
                assert!(error.message().contains("1 to 168 hours"), "{error}");
            }
        }
    }
    for (expires_at, now) in
        [(Timestamp::MAX_UTC, at(NOW)), (at(NOW), Timestamp::MAX_UTC), (Timestamp::MIN_UTC, at(NOW))]
    {
        let link = LinkRequest { key: ObjectKey::parse(KEY).unwrap(), expires_at };
        assert_eq!(block_on(signer.sign(&link, now)).unwrap_err().kind(), ErrorKind::Invalid);
    }
}

#[test]
fn a_link_never_outlives_what_was_asked_for() {
    let signed = block_on(signer().sign(&request("2026-01-05T00:00:00.9Z"), at(NOW))).unwrap();
    assert_eq!(signed.expires_at, at(EXPIRY));
    assert_eq!(signed.limited_by, None);
}

#[test]
fn a_link_says_what_a_browser_does_with_the_file() {
    for disposition in [
        ContentDisposition::inline("clip-0123456789ab.mp4"),
        ContentDisposition::attachment("clip-0123456789ab.mp4"),
        ContentDisposition::inline(""),
        ContentDisposition::attachment("Größe 4€.mp4"),
        ContentDisposition::attachment(".. /\u{202e}\r\nname"),
        ContentDisposition::attachment(format!("{}{}x", "a".repeat(150), " ".repeat(100))),
        ContentDisposition::attachment("é".repeat(300)),
    ] {
        let wanted = disposition.clone();
        let signer = signer().disposition(move |_| wanted.clone());
        // Whoever verifies need not name files as the signer does.
        let grant = get(&crate::signer(), &query(&signer)).unwrap();
        assert_eq!(grant.disposition, disposition);
    }
}

#[test]
fn the_same_end_gives_the_same_link_whenever_it_is_asked_for() {
    let signer = signer().disposition(|key| ContentDisposition::attachment(key.as_str()));
    let first = sign(&signer);
    for now in ["2026-01-02T00:00:00.5Z", "2026-01-03T12:00:00Z", "2026-01-04T23:59:59Z"] {
        let again = block_on(signer.sign(&request(EXPIRY), at(now))).unwrap();
        assert_eq!(again.link.expose(), first, "{now}");
    }
}

#[test]
fn keys_rotate() {
    let secret = |byte: u8| vec![byte; 32];
    let old = || HmacKey::new("old", secret(1)).unwrap();
    let new = || HmacKey::new("new", secret(2)).unwrap();
    let before = HmacSigner::new(BASE, old()).unwrap();
    let during = HmacSigner::new(BASE, new()).unwrap().accept(old()).unwrap();
    let after = HmacSigner::new(BASE, new()).unwrap();

    let (old_link, new_link) = (query(&before), query(&during));
    assert!(new_link.contains("&k=new&"));
    assert!(get(&during, &old_link).is_ok() && get(&during, &new_link).is_ok());
    assert_eq!(get(&after, &old_link), Err(Denied));
    assert!(get(&after, &new_link).is_ok());

    // A key counts under its own id only.
    assert_eq!(get(&during, &old_link.replace("k=old", "k=new")), Err(Denied));
    let renamed = HmacSigner::new(BASE, HmacKey::new("renamed", secret(1)).unwrap()).unwrap();
    assert_eq!(get(&renamed, &old_link.replace("k=old", "k=renamed")), Err(Denied));

    let twice = during.accept(HmacKey::new("new", secret(3)).unwrap()).unwrap_err();
    assert_eq!((twice.kind(), twice.field()), (ErrorKind::Invalid, Some("signing_key.id")));
}

#[test]
fn a_base_has_one_form() {
    let longest = format!("https://media.example/{}", "a/".repeat(600));
    for base in ["HTTPS://Media.Example/files", "https://media.example/files/"] {
        assert_eq!(sign(&HmacSigner::new(base, key("2026-01")).unwrap()), sign(&signer()), "{base}");
    }
    for base in ["http://localhost:8080", "https://media.example/", "http://127.0.0.1:1/a/b", "http://[::1]:80/x"] {
        assert!(HmacSigner::new(base, key("k")).is_ok(), "{base}");
    }
    for base in [
        "",
        "media.example",
        "//media.example",
        "/files",
        "ftp://media.example",
        "file:///files",
        "https:/media.example",
        "https://",
        "https:///files",
        "https://:80",
        "https://media.example:",
        "https://media.example:0",
        "https://media.example:65536",
        "https://media.example:080",
        "https://media.example:+80",
        "https://me dia.example",
        "https://user@media.example",
        "https://user:password@media.example",
        "https://media..example",
        "https://.example",
        "https://media.example/files?x=1",
        "https://media.example?x",
        "https://media.example/files#x",
        "https://media.example//",
        "https://media.example/a//b",
        "https://media.example/../b",
        "https://media.example/a%20b",
        "https://media.example/fil\nes",
        "https://media.example\n",
        "https://média.example",
        "https://[::1",
        "https://[x]",
        "https://[::1]x",
        "https://::1",
        " https://media.example",
        &longest,
    ] {
        let error = HmacSigner::new(base, key("k")).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("base")), "{base}");
        assert!(!error.to_string().contains("password"));
    }
}

#[test]
fn keys_are_long_enough_and_have_names() {
    for len in [0, 1, 16, 31] {
        let error = HmacKey::new("k", vec![1; len]).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("signing_key.secret")));
    }
    assert!(HmacKey::new("k", vec![1; 32]).is_ok());
    for id in ["", "a b", "a.b", "a/b", "é", "a\n", "a&s=", &"k".repeat(33)] {
        let error = HmacKey::new(id, vec![1; 32]).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("signing_key.id")), "{id}");
    }
    assert!(HmacKey::new("k".repeat(32), vec![1; 32]).is_ok());
}

#[test]
fn nothing_shows_a_secret() {
    let secret = b"CANARY-0123456789-0123456789-0123";
    let old = HmacKey::new("old", *secret).unwrap();
    let key = HmacKey::new("new", *secret).unwrap();
    let mut shown = format!("{key:?} {key:#?}");
    let signer = HmacSigner::new(BASE, key).unwrap().accept(old).unwrap();
    let signed = block_on(signer.sign(&request(EXPIRY), at(NOW))).unwrap();
    let (rest, signature) = signed.link.expose().rsplit_once('=').unwrap();
    let denied = block_on(signer.verify("GET", KEY, rest, at(NOW))).unwrap_err();
    let refused = block_on(signer.sign(&request(NOW), at(NOW))).unwrap_err();
    shown += &format!("{signer:?} {signer:#?} {signed:?} {denied:?} {denied} {refused:?} {refused}");
    let bytes: Vec<String> = secret[..6].iter().map(u8::to_string).collect();
    let encoded = data_encoding::BASE64URL_NOPAD.encode(secret);
    for hidden in ["CANARY", signature, &encoded[..8], &bytes.join(", "), &bytes.join(",\n")] {
        assert!(!shown.contains(hidden), "{hidden} is shown: {shown}");
    }
}
