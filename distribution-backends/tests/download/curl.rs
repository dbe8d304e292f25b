//! A client that nobody here wrote: curl.

use std::process::Command;
use std::sync::Arc;

use crate::shelf::{Fault, Shelf};
use crate::wire::{clip, shelf, start};
use crate::{KEY, link};

/// curl's exit code and what it wrote to standard output.
#[allow(clippy::print_stderr, reason = "a test is not skipped in silence")]
async fn curl(args: Vec<String>) -> Option<(i32, Vec<u8>)> {
    let run = move || Command::new("curl").args(["-sS", "--max-time", "60"]).args(args).output();
    match tokio::task::spawn_blocking(run).await.unwrap() {
        Ok(output) => Some((output.status.code().unwrap(), output.stdout)),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "CI needs curl: {error}");
            eprintln!("SKIPPED: there is no curl here: {error}");
            None
        }
    }
}

#[tokio::test]
async fn curl_resumes_a_download_that_broke_off() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("clip.mp4");
    let args = |address, extra: &[&str]| {
        let url = format!("http://{address}{}", link(KEY));
        let output = ["-o".to_owned(), file.to_str().unwrap().to_owned(), url];
        extra.iter().map(|arg| (*arg).to_owned()).chain(output).collect::<Vec<_>>()
    };
    let broken = start(&Arc::new(shelf(Some(Fault::Breaks(3_000_000))))).await;
    let Some((code, _)) = curl(args(broken, &[])).await else { return };
    // 18: partial file; 56: the connection was reset.
    assert!(matches!(code, 18 | 56), "{code}");
    let first = std::fs::metadata(&file).unwrap().len();
    assert!(first > 0 && first <= 3_000_000, "{first}");

    let sound = Arc::new(shelf(None));
    let (code, _) = curl(args(start(&sound).await, &["-C", "-"])).await.unwrap();
    assert_eq!(code, 0);
    assert!(std::fs::read(&file).unwrap() == clip());
    let taken = sound.taken.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(taken, clip().len() as u64 - first, "only what was missing was sent");
}

#[tokio::test]
async fn curl_gets_two_ranges_at_once() {
    let address = start(&Arc::new(Shelf { chunk: 7, ..Shelf::new("0123456789abcdef") })).await;
    let url = format!("http://{address}{}", link(KEY));
    let Some((code, body)) = curl(vec!["-r".into(), "0-1,10-11".into(), url]).await else { return };
    let body = String::from_utf8(body).unwrap();
    assert_eq!(code, 0);
    assert!(body.contains("bytes 0-1/16\r\n\r\n01\r\n") && body.contains("bytes 10-11/16\r\n\r\nab\r\n"), "{body}");
}
