//! Stands between a store and its server, and cuts all connections after so many bytes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    ToServer,
    ToClient,
}

pub(crate) struct Proxy {
    pub(crate) addr: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    state: Mutex<State>,
    /// How often all connections were cut.
    cuts: watch::Sender<u32>,
}

#[derive(Default)]
struct State {
    /// After how many bytes in which direction, over all connections, the cut comes.
    armed: Option<(Direction, usize)>,
    /// What has come through since the arming.
    to_server: usize,
    to_client: usize,
}

impl Proxy {
    pub(crate) async fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { state: Mutex::default(), cuts: watch::channel(0).0 });
        let (accepting, server) = (Arc::clone(&shared), server.to_owned());
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(forward(Arc::clone(&accepting), client, server.clone()));
            }
        });
        Self { addr, shared, task }
    }

    /// Counts from now on, and cuts once, after so many bytes.
    pub(crate) fn arm(&self, cut: Option<(Direction, usize)>) {
        *self.shared.state.lock().unwrap() = State { armed: cut, ..State::default() };
    }

    /// Cuts all connections now.
    pub(crate) fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Whether the cut is still to come.
    pub(crate) fn is_armed(&self) -> bool {
        self.shared.state.lock().unwrap().armed.is_some()
    }

    /// How many bytes have come through since the arming.
    pub(crate) fn bytes(&self, direction: Direction) -> usize {
        let state = self.shared.state.lock().unwrap();
        if direction == Direction::ToServer { state.to_server } else { state.to_client }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    /// How many of these bytes come through before the cut; all of them without one.
    fn count(&self, direction: Direction, bytes: usize) -> Option<usize> {
        let mut state = self.state.lock().unwrap();
        let before = if direction == Direction::ToServer { &mut state.to_server } else { &mut state.to_client };
        let passed = *before;
        *before += bytes;
        match state.armed {
            Some((armed, after)) if armed == direction && passed + bytes >= after => {
                state.armed = None;
                Some(after - passed)
            }
            _ => None,
        }
    }
}

async fn forward(shared: Arc<Shared>, client: TcpStream, server: String) {
    let mut cuts = shared.cuts.subscribe();
    let Ok(server) = TcpStream::connect(server).await else { return };
    // What is cut off arrives before the end of the connection.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        () = copy(&shared, Direction::ToServer, from_client, to_server) => {}
        () = copy(&shared, Direction::ToClient, from_server, to_client) => {}
        _ = cuts.changed() => {}
    }
}

/// Until the end of either side, or the cut.
async fn copy(shared: &Shared, direction: Direction, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let cut = shared.count(direction, read);
        let sent = to.write_all(&buffer[..cut.unwrap_or(read)]).await;
        if cut.is_some() {
            shared.cuts.send_modify(|cuts| *cuts += 1);
        }
        if cut.is_some() || sent.is_err() {
            return;
        }
    }
}
