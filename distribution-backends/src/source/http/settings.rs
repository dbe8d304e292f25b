//! What a source may reach, and how long and how much it may take.

use std::sync::Arc;
use std::time::Duration;

use distribution_core::{Error, ErrorKind};

use super::HttpSource;
use super::address::Range;
use super::hosts::{Host, Hosts};
use super::resolve::{Addresses, Resolver, SystemResolver};

/// More redirects than this are not followed.
const REDIRECTS_MAX: u8 = 3;
/// What a file of any size may take, besides its bytes.
const TIME_BASE: Duration = Duration::from_secs(60);

/// Limits of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) size_max: u64,
    pub(super) silence_max: Duration,
    pub(super) time_max: Duration,
    pub(super) bytes_per_sec_min: u64,
    pub(super) redirects_max: u8,
}

impl Settings {
    /// How long the whole of a file of this size may take, from the request to the last byte.
    pub(super) fn time_for(&self, size: u64) -> Duration {
        let moving = Duration::from_secs(size / self.bytes_per_sec_min.max(1));
        self.time_max.min(TIME_BASE.saturating_add(moving))
    }
}

/// Builds an [`HttpSource`], which has an example.
#[must_use]
pub struct HttpSourceBuilder {
    hosts: Result<Vec<Host>, Error>,
    settings: Settings,
    resolver: Arc<dyn Resolver>,
}

impl HttpSourceBuilder {
    pub(super) fn new() -> Self {
        let settings = Settings {
            size_max: 64 << 30,
            silence_max: Duration::from_secs(30),
            time_max: Duration::from_secs(6 * 3600),
            bytes_per_sec_min: 128 << 10,
            redirects_max: 0,
        };
        Self { hosts: Ok(Vec::new()), settings, resolver: Arc::new(SystemResolver) }
    }

    /// Allows `https://` URLs of this host, such as `media.example` (port 443) or `media.example:8443`.
    /// All of its addresses must be global. There are no wildcards.
    pub fn host(self, host: &str) -> Self {
        self.with(Host::parse("https", host, Addresses::Global))
    }

    /// Allows `https://` URLs of a host within your own network: all of its addresses must be in
    /// `ranges`, such as `10.20.0.0/16`, and nowhere else. Make them as narrow as you can: whoever may send
    /// a request or answer for the host's name can have anything in them asked at this port.
    pub fn private_host(self, host: &str, ranges: &[&str]) -> Self {
        self.with(within(ranges).and_then(|within| Host::parse("https", host, within)))
    }

    /// Allows `http://` URLs of a host within your own network, as [`private_host`](Self::private_host)
    /// does. Whoever is on the way can read the file and the URL with any signature in it; not change
    /// the file without being noticed, since its checksum is known.
    pub fn private_host_without_tls(self, host: &str, ranges: &[&str]) -> Self {
        self.with(within(ranges).and_then(|within| Host::parse("http", host, within)))
    }

    /// The largest file, in bytes. 64 GiB unless told.
    pub fn size_max(mut self, bytes: u64) -> Self {
        self.settings.size_max = bytes;
        self
    }

    /// How long the server may be silent. 30 seconds unless told.
    pub fn silence_max(mut self, duration: Duration) -> Self {
        self.settings.silence_max = duration;
        self
    }

    /// How long a file may take in all, while it is asked for and while it is read. 6 hours unless told, and
    /// never more than its size allows: see [`bytes_per_sec_min`](Self::bytes_per_sec_min).
    pub fn time_max(mut self, duration: Duration) -> Self {
        self.settings.time_max = duration;
        self
    }

    /// How fast a file must come at least, on average: one that takes longer than 60 seconds more than
    /// this allows is given up. 128 KiB per second unless told. The time that the storage takes to
    /// write counts.
    pub fn bytes_per_sec_min(mut self, bytes: u64) -> Self {
        self.settings.bytes_per_sec_min = bytes;
        self
    }

    /// How many redirects are followed, at most 3. None unless told. Each is held to the same rules as
    /// the first URL.
    pub fn redirects_max(mut self, redirects: u8) -> Self {
        self.settings.redirects_max = redirects;
        self
    }

    /// Who finds the addresses of hosts, instead of the operating system.
    pub fn resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = resolver;
        self
    }

    /// The source.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) without a host, for a host or range that is none, a host given
    /// twice, or a limit outside of its bounds; [`Unsupported`](ErrorKind::Unsupported) if the system's
    /// certificates cannot be loaded.
    pub fn build(self) -> Result<HttpSource, Error> {
        let invalid = |message: String| Err(Error::new(ErrorKind::Invalid, message));
        let (hosts, settings) = (self.hosts?, self.settings);
        if hosts.is_empty() {
            return invalid("an HTTP source without a host can read nothing: allow one".to_owned());
        }
        if settings.redirects_max > REDIRECTS_MAX {
            let message = format!("{} redirects are too many: allow at most {REDIRECTS_MAX}", settings.redirects_max);
            return invalid(message);
        }
        if settings.bytes_per_sec_min == 0 || settings.time_max.is_zero() || settings.silence_max.is_zero() {
            return invalid("a rate or time of 0 lets nothing be read: give more".to_owned());
        }
        let with_client = |host: Host| Ok((host.client(&settings, &self.resolver)?, host));
        let hosts = hosts.into_iter().map(with_client).collect::<Result<_, Error>>()?;
        Ok(HttpSource::of(Hosts(hosts), settings))
    }

    /// Adds the host; the first error is kept for `build`.
    fn with(mut self, host: Result<Host, Error>) -> Self {
        self.hosts = self.hosts.and_then(|mut hosts| {
            let host = host?;
            if hosts.iter().any(|other| other.to_string() == host.to_string()) {
                return Err(Error::new(ErrorKind::Invalid, format!("{host} is allowed twice: say it once")));
            }
            hosts.push(host);
            Ok(hosts)
        });
        self
    }
}

fn within(ranges: &[&str]) -> Result<Addresses, Error> {
    if ranges.is_empty() {
        let message = "a private host without a range of addresses can never be asked: name one like 10.20.0.0/16";
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    Ok(Addresses::Within(ranges.iter().map(|range| Range::parse(range)).collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_grows_with_the_size_up_to_its_limit() {
        let builder = HttpSourceBuilder::new().bytes_per_sec_min(1_000).time_max(Duration::from_secs(100));
        let secs = |size| builder.settings.time_for(size).as_secs();
        assert_eq!((secs(0), secs(999), secs(20_000), secs(40_000), secs(u64::MAX)), (60, 60, 80, 100, 100));
    }

    #[test]
    fn mistakes_are_told_when_it_is_built() {
        let built = |builder: HttpSourceBuilder| builder.build().map(|_| ()).map_err(|error| error.kind());
        let new = HttpSourceBuilder::new;
        assert_eq!(built(new().host("media.example").redirects_max(3)), Ok(()));
        assert_eq!(built(new().host("MEDIA.example:443").host("media.example:444")), Ok(()));
        for wrong in [
            new(),
            new().host("media.example").redirects_max(4),
            new().host("media.example").bytes_per_sec_min(0),
            new().host("media.example").time_max(Duration::ZERO),
            new().host("media.example").silence_max(Duration::ZERO),
            new().host("media.example").host("media.example:443"),
            new().host("media.example").private_host("Media.Example", &["10.0.0.0/8"]),
            new().private_host("media.example", &[]),
            new().private_host("media.example", &["10.0.0.0"]),
            new().private_host_without_tls("media.example:", &["10.0.0.0/8"]),
        ] {
            assert_eq!(built(wrong), Err(ErrorKind::Invalid));
        }
        for wrong in
            ["", "*", "*.media.example", "a b", "https://a", "a/", "u@a", "a:b", "a:70000", "0x7f.1", "a\\b", "[::1"]
        {
            assert_eq!(built(new().host(wrong).host("media.example")), Err(ErrorKind::Invalid), "{wrong}");
        }
    }
}
