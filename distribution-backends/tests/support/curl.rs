//! A client that knows nothing of this library.

use std::process::Command;

/// What plain curl gets: status, headers in lower case, and body.
pub(crate) fn curl(args: &[&str], url: &str) -> (u16, String, Vec<u8>) {
    let curl = Command::new("curl").args(["-s", "-i", "-g", "--noproxy", "*"]).args(args).arg(url).output().unwrap();
    let end = curl.stdout.windows(4).position(|end| end == b"\r\n\r\n").map_or(curl.stdout.len(), |end| end + 4);
    let (head, body) = curl.stdout.split_at(end);
    let head = String::from_utf8_lossy(head).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, head, body.to_vec())
}
