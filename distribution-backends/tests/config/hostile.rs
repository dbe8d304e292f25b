//! Whatever stands in the file: no panic, and no secret in what is said of it.

use distribution_backends::Config;
use distribution_core::ErrorKind;

use super::annotated::{annotated, consistent};

const SECRET: &str = "hunter2-hunter2";
/// Of these keys the value is a name or a place, and told where there is none of that name.
const NAMES: [&str; 6] = ["target", "staging", "storage_prefix", "key_template", "hosts", "private_hosts"];

/// The secret in place of each value, one after the other.
#[test]
fn a_secret_in_place_of_any_value_is_not_repeated() {
    let text = consistent();
    let lines: Vec<&str> = text.lines().collect();
    let mut tried = 0;
    for (n, line) in lines.iter().enumerate() {
        let Some((key, _)) = line.split_once(" = ").filter(|(key, _)| !NAMES.contains(key)) else { continue };
        for value in
            [format!("\"{SECRET}\""), format!("[\"{SECRET}\"]"), format!("{{ {key} = \"{SECRET}\" }}"), SECRET.into()]
        {
            let changed = format!("{key} = {value}");
            let mut lines = lines.clone();
            lines[n] = &changed;
            tried += 1;
            if let Err(error) = Config::parse(&lines.join("\n"), "/srv") {
                assert!(!format!("{error} {error:?}").contains(SECRET), "{changed}: {error}");
                let cause = std::error::Error::source(&error).map(|cause| format!("{cause} {cause:?}"));
                assert!(!cause.unwrap_or_default().contains(SECRET), "{changed}");
            }
        }
    }
    assert!(tried > 100, "{tried}");
}

#[test]
fn no_text_makes_it_panic() {
    let mut random = fastrand::Rng::with_seed(5);
    let texts = [annotated().into_bytes(), consistent().into_bytes()];
    for n in 0..500 {
        let mut text = texts[n % 2].clone();
        for _ in 0..random.usize(1..8) {
            let at = random.usize(..text.len());
            match random.u8(..4) {
                0 => drop(text.remove(at)),
                1 => text.insert(at, b"[]{}=\"'.,#\n-1a\xff"[random.usize(..15)]),
                2 => drop(text.drain(at..(at + random.usize(1..200)).min(text.len()))),
                _ => {
                    let piece = text[at..(at + random.usize(1..200)).min(text.len())].to_vec();
                    let to = random.usize(..text.len());
                    text.splice(to..to, piece);
                }
            }
        }
        if let Err(error) = Config::parse(&String::from_utf8_lossy(&text), "/srv") {
            assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Unsupported), "{error}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}
