//! From a host's name to addresses that were looked at, which are those that are connected to.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::Error;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::{Range, is_global};

/// Finds the addresses of a host. Whatever it answers is looked at before anything is connected to.
///
/// ```
/// use std::net::IpAddr;
///
/// use distribution_backends::Resolver;
/// use distribution_core::Error;
///
/// struct Fixed(IpAddr);
///
/// #[async_trait::async_trait]
/// impl Resolver for Fixed {
///     async fn addresses(&self, _host: &str) -> Result<Vec<IpAddr>, Error> {
///         Ok(vec![self.0])
///     }
/// }
/// ```
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// All IPv4 and IPv6 addresses of the host, in the order in which they are to be tried.
    ///
    /// # Errors
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if they cannot be found out.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Error>;
}

/// The resolver of the operating system.
pub(super) struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Error> {
        let found = tokio::net::lookup_host((host, 0)).await;
        let found =
            found.map_err(|error| Error::unavailable(format!("the name {host} does not resolve")).because(error))?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// The addresses that a host may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Addresses {
    Global,
    /// Those in any of these ranges.
    Within(Vec<Range>),
}

impl Addresses {
    pub(super) fn check(&self, address: IpAddr) -> Result<(), Outside> {
        let inside = match self {
            Self::Global => is_global(address),
            Self::Within(ranges) => ranges.iter().any(|range| range.holds(address.to_canonical())),
        };
        if inside { Ok(()) } else { Err(Outside { address, allowed: self.clone() }) }
    }
}

/// An address that may not be connected to.
#[derive(Clone, Debug)]
pub(super) struct Outside {
    address: IpAddr,
    allowed: Addresses,
}

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "leads to {}, which is ", self.address)?;
        match &self.allowed {
            Addresses::Global => write!(f, "no global address: have its range allowed as that of a private host"),
            Addresses::Within(ranges) => {
                let ranges: Vec<_> = ranges.iter().map(Range::to_string).collect();
                write!(f, "not in {}", ranges.join(", "))
            }
        }
    }
}

impl std::error::Error for Outside {}

/// The resolver of the client of one host: gives either addresses that are all allowed, or none. What
/// it gives is what the client connects to, so an answer that changes between two questions changes nothing.
pub(super) struct CheckedResolver {
    /// The only name that is resolved.
    pub(super) host: String,
    pub(super) addresses: Addresses,
    pub(super) resolver: Arc<dyn Resolver>,
}

impl CheckedResolver {
    async fn resolve(&self) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let found = self.resolver.addresses(&self.host).await?;
        if found.is_empty() {
            return Err(Error::unavailable("the host has no address").into());
        }
        for address in &found {
            self.addresses.check(*address)?;
        }
        // Port 0 stands for the URL's.
        Ok(found.into_iter().map(|address| SocketAddr::new(address, 0)).collect())
    }
}

/// Shared, because the client's resolver gives out futures that outlive a call.
pub(super) struct SharedResolver(pub(super) Arc<CheckedResolver>);

impl Resolve for SharedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = Arc::clone(&self.0);
        Box::pin(async move {
            if name.as_str() != resolver.host {
                return Err(Error::unavailable("this client is for another host").into());
            }
            Ok(Box::new(resolver.resolve().await?.into_iter()) as Addrs)
        })
    }
}
