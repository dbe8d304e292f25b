//! What is logged while a link is tried, by whomever and at any level, does not show it.

use std::sync::Mutex;

use crate::server::{Server, status};
use crate::{Disk, SECRET, probe};

struct Heard(Mutex<String>);

static HEARD: Heard = Heard(Mutex::new(String::new()));

impl log::Log for Heard {
    fn enabled(&self, _metadata: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.0.lock().unwrap().push_str(&format!("{} {}: {}\n", record.level(), record.target(), record.args()));
    }

    fn flush(&self) {}
}

#[tokio::test]
async fn no_log_shows_a_link() {
    log::set_logger(&HEARD).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let disk = Disk::of(100);
    let redirect = format!("Location: http://127.0.0.1:1/?{SECRET}\r\n");
    for answer in [status("403 Forbidden", ""), status("302 Found", &redirect), String::new()] {
        let server = Server::saying("127.0.0.1", answer);
        disk.check(&probe(), &server.url(&format!("clip.mp4?{SECRET}"))).await.unwrap_err();
    }
    disk.check(&probe(), &format!("http://127.0.0.1:1/clip.mp4?{SECRET}")).await.unwrap_err();
    let heard = HEARD.0.lock().unwrap();
    assert!(heard.contains("reqwest"), "reqwest logs no more, so this shows nothing:\n{heard}");
    assert!(!heard.contains("canary"), "{heard}");
}
