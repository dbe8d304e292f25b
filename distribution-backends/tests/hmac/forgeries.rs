//! Nothing but a link that was signed is let through (the cases U1 to U8 of the threat model).

use data_encoding::BASE64URL_NOPAD;
use distribution_backends::{ContentDisposition, HmacSigner};
use distribution_core::{LinkRequest, ObjectKey, UrlSigner};
use futures::executor::block_on;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{BASE, Denied, EXPIRY, KEY, NOW, at, get, key, query, request, signer, verify};

#[test]
fn no_single_bit_can_change() {
    let (signer, query) = (signer(), query(&signer()));
    let key = format!("{}/{KEY}", "long-prefix/".repeat(10).trim_end_matches('/'));
    let long = LinkRequest { key: ObjectKey::parse(key).unwrap(), expires_at: at(EXPIRY) };
    let long = block_on(signer.sign(&long, at(NOW))).unwrap().link.expose().to_owned();
    let long = long.strip_prefix(BASE).unwrap().strip_prefix('/').unwrap().to_owned();
    let mut flipped = 0;
    let named = crate::query(&crate::signer().disposition(|_| ContentDisposition::attachment("Café.mp4")));
    for link in [format!("{KEY}?{query}"), long, format!("{KEY}?{named}")] {
        let (path, query) = link.split_once('?').unwrap();
        assert!(verify(&signer, "GET", path, query, at(NOW)).is_ok());
        let question = path.len();
        for (index, bit) in (0..link.len()).flat_map(|index| (0..8).map(move |bit| (index, bit))) {
            if index == question {
                continue;
            }
            // The eighth bit leaves ASCII: read it as Latin-1.
            let other: String = link
                .bytes()
                .enumerate()
                .map(|(at, byte)| char::from(if at == index { byte ^ (1 << bit) } else { byte }))
                .collect();
            let at_question: usize = other.chars().take(question).map(char::len_utf8).sum();
            let (path, query) = (&other[..at_question], &other[at_question + 1..]);
            assert_eq!(verify(&signer, "GET", path, query, at(NOW)), Err(Denied), "{other}");
            flipped += 1;
        }
    }
    assert!(flipped > 2_000, "{flipped}");
}

#[test]
fn the_parameters_have_one_form() {
    let (signer, query) = (signer(), query(&signer()));
    let parts: Vec<&str> = query.split('&').collect();
    let [d, e, k, r, s] = parts[..] else { panic!("{query}") };
    let mut wrong = vec![
        String::new(),
        "?".into(),
        "&".into(),
        format!("?{query}"),
        format!("&{query}"),
        format!("{query}&"),
        format!("{query}#"),
        format!("{query} "),
        format!("{query}\n"),
        format!("{query}&response-content-type=text/html"),
        format!("response-content-type=text/html&{query}"),
        format!("{query}&{e}"),
        format!("{query}&e=1767999999"),
        format!("{e}&{query}"),
        format!("{query}&{k}"),
        format!("{query}&{d}"),
        format!("{query}&{r}"),
        format!("{query}&{s}"),
        query.replace('&', ";"),
        query.replace('&', "&amp;"),
        query.replace('&', "&&"),
        query.replace('=', "%3D"),
        query.replace('=', "=="),
        query.replace('-', "%2D"),
        query.replace("e=", "e[]="),
        query.to_uppercase(),
        query.to_lowercase(),
        query.repeat(1000),
        "d=&e=&k=&r=&s=".into(),
    ];
    for (a, b) in (0..5).flat_map(|a| (0..a).map(move |b| (a, b))) {
        let mut other = parts.clone();
        other.swap(a, b);
        wrong.push(other.join("&"));
    }
    wrong.extend((1..5).map(|shift| [&parts[shift..], &parts[..shift]].concat().join("&")));
    for one in [d, e, k, r, s] {
        let (name, value) = one.split_once('=').unwrap();
        let others: Vec<&str> = parts.iter().copied().filter(|part| *part != one).collect();
        wrong.push(others.join("&"));
        wrong.push(query.replace(one, &format!("{one}&{one}")));
        wrong.push(query.replace(one, &format!("{}={value}", name.to_uppercase())));
        wrong.push(query.replace(one, &format!("{name}=")));
        wrong.push(query.replace(one, name));
        wrong.push(query.replace(one, value));
    }
    for wrong in wrong {
        assert_eq!(get(&signer, &wrong), Err(Denied), "{wrong}");
    }
}

#[test]
fn the_signature_has_one_form() {
    let (signer, query) = (signer(), query(&signer()));
    let (rest, signature) = query.rsplit_once('=').unwrap();
    let mac = data_encoding::BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
    let mut wrong: Vec<String> = [0, 1, 16, 31].map(|len| data_encoding::BASE64URL_NOPAD.encode(&mac[..len])).into();
    wrong.push(data_encoding::BASE64URL_NOPAD.encode(&[&mac[..], &[0]].concat()));
    wrong.push(data_encoding::BASE64URL.encode(&mac));
    wrong.push(data_encoding::HEXLOWER.encode(&mac));
    wrong.push(format!("{signature}A"));
    wrong.push(format!("{signature}\n"));
    wrong.push(format!("{}\n{}", &signature[..20], &signature[20..]));
    wrong.push("A".repeat(43));
    wrong.push("A".repeat(100_000));
    // The last character holds four bits of the signature and two that must be zero.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (head, last) = signature.split_at(42);
    wrong.extend(alphabet.chars().filter(|other| !last.contains(*other)).map(|other| format!("{head}{other}")));
    for wrong in wrong {
        assert_eq!(get(&signer, &format!("{rest}={wrong}")), Err(Denied), "{wrong}");
    }
    // Signatures in the standard alphabet, where that makes a difference.
    let mut others = 0;
    for hour in 10..20 {
        let signed = block_on(signer.sign(&request(&format!("2026-01-05T{hour}:00:00Z")), at(NOW))).unwrap();
        let (rest, signature) = signed.link.expose().split_once('?').unwrap().1.rsplit_once('=').unwrap();
        let standard = signature.replace('-', "+").replace('_', "/");
        assert!(get(&signer, &format!("{rest}={signature}")).is_ok());
        if standard != signature {
            assert_eq!(get(&signer, &format!("{rest}={standard}")), Err(Denied));
            others += 1;
        }
    }
    assert_ne!(others, 0);
}

#[test]
fn the_expiry_has_one_form() {
    let (signer, query) = (signer(), query(&signer()));
    for wrong in [
        "",
        "-1",
        "-1767571200",
        "+1767571200",
        " 1767571200",
        "1767571200 ",
        "01767571200",
        "1767571200.0",
        "1.7e9",
        "1767571200e0",
        "0x695aff00",
        "1_767_571_200",
        "1767571200000",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "99999999999999999999999999",
        "٠",
        "١٧٦٧٥٧١٢٠٠",
        "NaN",
        "null",
        "0",
        "-0",
        "1767571201",
    ] {
        let forged = query.replace("1767571200", wrong);
        assert_eq!(get(&signer, &forged), Err(Denied), "{wrong}");
    }
}

#[test]
fn the_disposition_has_one_form_and_cannot_be_changed() {
    let (plain, named) = (signer(), signer().disposition(|_| ContentDisposition::attachment("Café.mp4")));
    let (plain, named) = (query(&plain), query(&named));
    let name = BASE64URL_NOPAD.encode("Café.mp4".as_bytes());
    assert!(named.starts_with(&format!("d=attachment.{name}&")));
    let own = BASE64URL_NOPAD.encode(b"clip-0123456789ab.mp4");
    let (html, broken) = (BASE64URL_NOPAD.encode(b"x.html"), BASE64URL_NOPAD.encode(b"\xff.mp4"));
    for wrong in [
        "",
        "inline",
        "attachment",
        "Attachment",
        "attachment ",
        "attachment.",
        "inline.",
        "attachment;filename=x",
        "attachment%3B%20filename%3Dx",
        "attachment.Café.mp4",
        "form-data",
        "i",
        "0",
        &format!("inline.{name}"),
        &format!("attachment.{own}"),
        &format!("inline.{own}"),
        &format!("attachment.{html}"),
        &format!("attachment.{broken}"),
        &format!("attachment.{name}="),
        &format!("attachment.{name}A"),
        &format!("attachment..{name}"),
        &format!("attachment.{name}.{name}"),
        &format!("attachment.{}", BASE64URL_NOPAD.encode(b"../x.mp4")),
        &format!("attachment.{}", BASE64URL_NOPAD.encode(b" x\r\ny")),
        &format!("attachment.{}", "A".repeat(100_000)),
    ] {
        for (query, own) in [(&plain, "inline"), (&named, &*format!("attachment.{name}"))] {
            if wrong != own {
                let forged = query.replacen(&format!("d={own}&"), &format!("d={wrong}&"), 1);
                assert_eq!(get(&signer(), &forged), Err(Denied), "{wrong}");
            }
        }
    }
}

/// A signature counts for the fields as they are divided, and for this version alone.
#[test]
fn nothing_else_under_the_key_is_a_link() {
    let mac = |message: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap();
        mac.update(message.as_bytes());
        BASE64URL_NOPAD.encode(&mac.finalize().into_bytes())
    };
    let link = |message: &str| format!("d=inline&e=1767571200&k=2026-01&r=0&s={}", mac(message));
    let good = format!("distribution-link/v2\nGET\n{BASE}\n{KEY}\ninline\n1767571200\n2026-01\n0");
    assert!(get(&signer(), &link(&good)).is_ok());
    let old = format!("distribution-link/v1\nGET\n{BASE}\n{KEY}\n1767571200\n2026-01");
    let mut wrong = vec![
        link(&old),
        format!("e=1767571200&k=2026-01&s={}", mac(&old)),
        link(&good.replace("v2", "v1")),
        link(&good.replace("GET", "PUT")),
        link(&good.replace("GET", "HEAD")),
        link(&good.replace("\ninline", "")),
        link(&good.replace("/files\nmvp", "\nfiles/mvp")),
        link(&good.replace("/files\nmvp/", "/files/mvp\n")),
        link(&format!("{good}\n")),
        link(""),
    ];
    wrong.extend((0..good.len()).step_by(7).map(|end| link(&good[..end])));
    for wrong in wrong {
        assert_eq!(get(&signer(), &wrong), Err(Denied), "{wrong}");
    }
}

#[test]
fn the_path_has_one_form() {
    let (signer, query) = (signer(), query(&signer()));
    for wrong in [
        "",
        "/",
        "mvp",
        "mvp/",
        "/mvp/clip-0123456789ab.mp4",
        "mvp/clip-0123456789ab.mp4/",
        "mvp/clip-0123456789ab.mp4.",
        "mvp/clip-0123456789ab.mp4 ",
        "mvp/clip-0123456789ab.mp4;x",
        "mvp/clip-0123456789ab.mp4\0",
        "mvp/clip-0123456789ab.mp4\n",
        "mvp/clip-0123456789ab.mp4%00",
        "mvp/clip-0123456789ab.mp",
        "mvp/clip-0123456789ab.MP4",
        "MVP/clip-0123456789ab.mp4",
        "mvp//clip-0123456789ab.mp4",
        "mvp/./clip-0123456789ab.mp4",
        "mvp/../mvp/clip-0123456789ab.mp4",
        "x/../mvp/clip-0123456789ab.mp4",
        "mvp%2Fclip-0123456789ab.mp4",
        "mvp%2fclip-0123456789ab.mp4",
        "mvp/%2e%2e/mvp/clip-0123456789ab.mp4",
        "mvp/clip-0123456789ab%2emp4",
        "mvp/clip%2D0123456789ab.mp4",
        "mvp/%63lip-0123456789ab.mp4",
        "mvp/%2563lip-0123456789ab.mp4",
        "mvp\\clip-0123456789ab.mp4",
        "mvp/clip-0123456789ab-r1.mp4",
        "mvp/clip-0123456789ac.mp4",
        "other/clip-0123456789ab.mp4",
        "mvp/clip\u{2010}0123456789ab.mp4",
        "mvp/cli\u{ff50}-0123456789ab.mp4",
        "files/mvp/clip-0123456789ab.mp4",
    ] {
        assert_eq!(verify(&signer, "GET", wrong, &query, at(NOW)), Err(Denied), "{wrong}");
    }
}

#[test]
fn unknown_and_strange_key_ids_are_denied() {
    let (signer, query) = (signer(), query(&signer()));
    let longest = "k".repeat(4096);
    for id in ["", "2026-02", "unknown", "../", "2026-01 ", "2026%2D01", "2026-01\n", "é", &longest] {
        assert_eq!(get(&signer, &query.replace("k=2026-01", &format!("k={id}"))), Err(Denied), "{id}");
    }
}

#[test]
fn a_link_counts_for_its_base_only() {
    let link = query(&signer());
    for base in [
        "http://media.example/files",
        "https://media.example",
        "https://media.example/file",
        "https://media.example/files/mvp",
        "https://media.example:443/files",
        "https://media.example:8443/files",
        "https://other.example/files",
    ] {
        let other = HmacSigner::new(base, key("2026-01")).unwrap();
        assert_eq!(get(&other, &link), Err(Denied), "{base}");
    }
    // Nor can a part of the base move into the key.
    let other = HmacSigner::new("https://media.example/files/mvp", key("2026-01")).unwrap();
    assert_eq!(verify(&other, "GET", "clip-0123456789ab.mp4", &link, at(NOW)), Err(Denied));
}
