//! A listener that nobody should ever connect to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Counts who connects, and hangs up.
pub(crate) struct Canary {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    /// Its own connections.
    own: AtomicUsize,
}

impl Canary {
    /// At a free port of every address of this machine: 127.0.0.0/8, ::1, 0.0.0.0 and what else it has.
    pub(crate) fn everywhere() -> Self {
        Self::at("[::]:0".parse().unwrap())
    }

    pub(crate) fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).expect("an address that is free");
        let mut address = listener.local_addr().unwrap();
        if address.ip().is_unspecified() {
            address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        thread::spawn(move || {
            for _connection in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { address, accepted, own: AtomicUsize::new(0) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many have connected so far.
    pub(crate) fn hits(&self) -> usize {
        // Connections are accepted in the order in which they are made, so after this one no other is waiting.
        let before = self.accepted.load(Ordering::SeqCst);
        TcpStream::connect(self.address).expect("the canary listens");
        let own = self.own.fetch_add(1, Ordering::SeqCst) + 1;
        let begun = Instant::now();
        while self.accepted.load(Ordering::SeqCst) == before {
            assert!(begun.elapsed() < Duration::from_secs(10), "the canary does not count");
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(20));
        self.accepted.load(Ordering::SeqCst) - own
    }
}

#[test]
fn a_canary_counts_whoever_connects_by_any_address_of_the_machine() {
    let canary = Canary::everywhere();
    assert_eq!(canary.hits(), 0);
    for (n, host) in ["127.0.0.1", "127.127.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"].iter().enumerate() {
        TcpStream::connect(format!("{host}:{}", canary.port())).expect(host);
        assert_eq!(canary.hits(), n + 1, "{host}");
    }
}
