//! Large files and many slow readers, over a real disk.

use std::fs::{self, File};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use distribution_backends::{LocalDisk, serve};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::wire::Client;
use crate::{BASE, KEY, Stopped, link, signer};

const SIZE: u64 = 10 << 30;
const READERS: usize = 1_000;

/// Memory of this process in KiB, such as `VmRSS` or `VmHWM` (its peak).
fn memory_kib(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn start(dir: &std::path::Path) -> std::net::SocketAddr {
    let disk = LocalDisk::open(dir).unwrap();
    let path = dir.join(KEY);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    File::create(&path).unwrap().set_len(SIZE).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let route = serve::router(Arc::new(disk), Arc::new(signer(BASE)), Arc::new(Stopped));
    let router = Router::new().nest_service("/files", route);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long: by hand, as a process of its own, with --nocapture"]
#[allow(clippy::print_stdout, reason = "it measures")]
async fn ten_gibibytes_take_little_memory() {
    let dir = tempfile::tempdir().unwrap();
    let address = start(dir.path()).await;
    let mut client = Client::connect(address).await;
    let (before, started) = (memory_kib("VmHWM"), Instant::now());
    client.ask("GET", &link(KEY), "").await;
    let (mut left, mut buffer) = (SIZE, vec![0; 1 << 20]);
    while left > 0 {
        let read = client.0.read(&mut buffer).await.unwrap();
        assert_ne!(read, 0, "{left} bytes are missing");
        left -= read as u64;
    }
    let peak = memory_kib("VmHWM");
    println!("10 GiB in {:?}: from {before} to {peak} KiB", started.elapsed());
    assert!(peak < 64 << 10, "{peak} KiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs 2,100 file descriptors: by hand, as a process of its own, with --nocapture"]
#[allow(clippy::print_stdout, reason = "it measures")]
async fn a_thousand_slow_readers_are_held() {
    let dir = tempfile::tempdir().unwrap();
    let address = start(dir.path()).await;
    let before = memory_kib("VmRSS");
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut client = Client::connect(address).await;
        assert!(client.ask("GET", &link(KEY), "").await.starts_with("http/1.1 200 "));
        readers.push(client);
    }
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        for client in &mut readers {
            client.0.read_exact(&mut [0; 1024]).await.unwrap();
        }
    }
    let held = memory_kib("VmHWM");
    // One who comes later is not kept waiting by them.
    let started = Instant::now();
    let mut client = Client::connect(address).await;
    assert!(client.ask("GET", &link(KEY), "Range: bytes=5-9\r\n").await.starts_with("http/1.1 206 "));
    println!("{READERS} slow readers: from {before} to {held} KiB; another one after {:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(5));
    let each = (held - before) / READERS as u64;
    assert!(each < 128, "{each} KiB for each reader");
}
