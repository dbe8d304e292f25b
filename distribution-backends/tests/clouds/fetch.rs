//! Links, as those see them who fetch and serve them.

use std::collections::BTreeMap;
#[cfg(feature = "azblob")]
use std::process::Command;

use percent_encoding::percent_decode_str;

/// What plain curl gets: status, headers in lower case, and body.
#[cfg(feature = "azblob")]
pub(crate) fn curl(args: &[&str], url: &str) -> (u16, String, Vec<u8>) {
    let curl = Command::new("curl").args(["-s", "-i", "-g", "--noproxy", "*"]).args(args).arg(url).output().unwrap();
    let end = curl.stdout.windows(4).position(|end| end == b"\r\n\r\n").map_or(curl.stdout.len(), |end| end + 4);
    let (head, body) = curl.stdout.split_at(end);
    let head = String::from_utf8_lossy(head).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, head, body.to_vec())
}

/// What is before the query, and the query's fields. `None` if one stands there twice.
pub(crate) fn parsed(url: &str) -> Option<(&str, BTreeMap<String, String>)> {
    let (place, query) = url.split_once('?')?;
    let mut fields = BTreeMap::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=')?;
        let value = percent_decode_str(value).decode_utf8().ok()?.into_owned();
        if fields.insert(name.to_owned(), value).is_some() {
            return None;
        }
    }
    Some((place, fields))
}
