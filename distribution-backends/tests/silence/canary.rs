//! Secrets that nobody else has, and the search for them in whatever form.

use std::collections::HashMap;

use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use distribution_core::Checksum;

/// What is looked for: this many bytes of a secret in a row.
const PART: usize = 16;
/// The same of a list of numbers, which need more to be told apart.
const NUMBERS: usize = 48;

/// A secret of 48 letters and digits that is like no other one.
pub(crate) fn canary(name: &str) -> String {
    Checksum::of(name.as_bytes()).hex().chars().take(48).collect()
}

/// What must be seen nowhere, by name.
#[derive(Default)]
pub(crate) struct Secrets {
    parts: HashMap<Vec<u8>, String>,
}

impl Secrets {
    /// Each of these canaries, as it is planted.
    pub(crate) fn of(names: &[&str]) -> Self {
        names.iter().fold(Self::default(), |secrets, name| secrets.and(name, canary(name)))
    }

    /// And this one, in all the forms in which something could write it.
    pub(crate) fn and(mut self, name: &str, secret: impl AsRef<[u8]>) -> Self {
        self.add(name, secret.as_ref());
        self
    }

    pub(crate) fn add(&mut self, name: &str, secret: &[u8]) {
        assert!(secret.len() >= PART, "{name} is too short to be told apart");
        let numbers: Vec<_> = secret.iter().map(u8::to_string).collect();
        // As `{:?}` shows bytes.
        let numbers = numbers.join(", ").into_bytes();
        let parts = forms(secret).into_iter().map(|form| (form, PART)).chain([(numbers, NUMBERS)]);
        for (form, length) in parts {
            self.parts.extend(form.windows(length).map(|part| (part.to_vec(), name.to_owned())));
        }
    }

    /// A private key in PEM: what is between its first and last line, and what that stands for.
    pub(crate) fn and_pem(mut self, name: &str, pem: &str) -> Self {
        let lines: Vec<_> = pem.lines().filter(|line| !line.contains("-----")).collect();
        // What an ECDSA or RSA key begins with is the same in all.
        let der = BASE64.decode(lines.concat().as_bytes()).unwrap();
        self.add(name, &der[36..]);
        self.add(name, &lines.concat().as_bytes()[48..]);
        self
    }

    /// The names of those that are there, with what is around them.
    pub(crate) fn found_in(&self, told: &[u8]) -> Vec<String> {
        let mut found: Vec<(String, String)> = Vec::new();
        // As `{:#?}` breaks lines, they are joined again.
        let told = &[told, &joined(told)].join(&b"\n"[..]);
        let parts = told.windows(PART).enumerate().chain(told.windows(NUMBERS).enumerate());
        for (at, part) in parts {
            let Some(name) = self.parts.get(part) else { continue };
            if !found.iter().any(|(known, _)| known == name) {
                let around = &told[at.saturating_sub(300)..told.len().min(at + 100)];
                found.push((name.clone(), String::from_utf8_lossy(around).into_owned()));
            }
        }
        found.into_iter().map(|(name, around)| format!("{name}, here: …{around}…")).collect()
    }
}

/// With one blank for each run of them.
fn joined(told: &[u8]) -> Vec<u8> {
    let mut joined = told.to_vec();
    joined.iter_mut().filter(|byte| byte.is_ascii_whitespace()).for_each(|byte| *byte = b' ');
    joined.dedup_by(|byte, before| (*byte, *before) == (b' ', b' '));
    joined
}

fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![
        secret.to_vec(),
        HEXLOWER.encode(secret).into_bytes(),
        HEXUPPER.encode(secret).into_bytes(),
        secret.escape_ascii().to_string().into_bytes(),
    ];
    // Within something longer it begins at any of three places, and its first and last characters differ.
    for before in 0..3 {
        let text = [&b"xx"[..before], secret].concat();
        for encoding in [&BASE64, &BASE64URL] {
            let encoded = encoding.encode(&text).into_bytes();
            forms.push(encoded[4..encoded.len() - 4].to_vec());
        }
    }
    forms
}

#[test]
fn a_secret_is_found_in_every_form_and_a_part_of_it_too() {
    let secret = canary("control");
    let secrets = Secrets::of(&["control", "another"]);
    let percent = format!("{}%2F+%3D", secret);
    let basic = BASE64.encode(format!("user:{secret}").as_bytes());
    let all = [
        secret.clone(),
        secret[..PART].to_owned(),
        secret[32..].to_owned(),
        percent,
        basic.clone(),
        BASE64URL.encode(format!("a{secret}").as_bytes()),
        HEXLOWER.encode(secret.as_bytes()),
        HEXUPPER.encode(secret.as_bytes()),
        format!("{:?}", secret.as_bytes()),
        format!("{:#?}", secret.as_bytes()),
        format!("{:?}", serde_json::json!({ "x": secret })),
    ];
    for told in all {
        let told = format!("something before {told} and behind");
        let found = secrets.found_in(told.as_bytes());
        assert!(found.len() == 1 && found[0].starts_with("control, "), "{told}: {found:?}");
    }
    assert!(secrets.found_in(b"nothing of it, not a word, and no sign").is_empty());
    assert!(secrets.found_in(&secret.as_bytes()[..PART - 1]).is_empty());
}
