//! What is logged while a link is tried, by whomever and at any level, does not show it.

use crate::server::{Server, status};
use crate::{Disk, SECRET, a_heard, probe};

#[tokio::test]
async fn no_log_shows_a_link() {
    a_heard::listen();
    let disk = Disk::of(100);
    let redirect = format!("Location: http://127.0.0.1:1/?{SECRET}\r\n");
    for answer in [status("403 Forbidden", ""), status("302 Found", &redirect), String::new()] {
        let server = Server::saying("127.0.0.1", answer);
        disk.check(&probe(), &server.url(&format!("clip.mp4?{SECRET}"))).await.unwrap_err();
    }
    disk.check(&probe(), &format!("http://127.0.0.1:1/clip.mp4?{SECRET}")).await.unwrap_err();
    let heard = String::from_utf8(a_heard::so_far()).unwrap();
    assert!(heard.contains("reqwest"), "reqwest logs no more, so this shows nothing:\n{heard}");
    assert!(!heard.contains("canary"), "{heard}");
}
