//! Stands between a backend and its server, and lets nothing through when told so.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) struct Proxy {
    pub(crate) addr: SocketAddr,
    cut_off: Arc<AtomicBool>,
    cuts: watch::Sender<u32>,
}

impl Proxy {
    pub(crate) async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let cut_off = Arc::new(AtomicBool::new(false));
        let (cuts, _) = watch::channel(0);
        let proxy = Self { addr, cut_off: Arc::clone(&cut_off), cuts: cuts.clone() };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !cut_off.load(Ordering::SeqCst) {
                    tokio::spawn(forward(client, server.clone(), cuts.subscribe()));
                }
            }
        });
        proxy
    }

    pub(crate) fn cut_off(&self, cut_off: bool) {
        self.cut_off.store(cut_off, Ordering::SeqCst);
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn forward(mut client: TcpStream, server: String, mut cuts: watch::Receiver<u32>) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        _ = cuts.changed() => {}
    }
}
