//! Signed URLs keep every guarantee of the port, under either policy and kind of key: no waivers.

use std::net::Ipv4Addr;
use std::sync::Arc;

use async_trait::async_trait;
use distribution_backends::CloudFrontSigner;
use distribution_core::{Link, ObjectKey, Timestamp, UrlSigner};
use distribution_testkit::conformance::{Harness, SignerHarness};
use futures::future::BoxFuture;

use crate::edge::{Edge, P256, RSA, Request};

struct Checked {
    edge: Edge,
    stranger: Edge,
    is_custom: bool,
}

impl Checked {
    fn new(kind: &[&str], is_custom: bool) -> Self {
        Self { edge: Edge::new(kind), stranger: Edge::new(kind), is_custom }
    }

    fn signer(&self, edge: &Edge) -> Arc<CloudFrontSigner> {
        let signer = edge.signer();
        let start = Timestamp::from_timestamp(1_767_000_000, 0).unwrap();
        let signer = if self.is_custom { signer.not_before(start).only_from("192.0.2.0/24").unwrap() } else { signer };
        Arc::new(signer)
    }
}

impl Harness for Checked {
    fn run(&self, future: BoxFuture<'_, ()>) {
        futures::executor::block_on(future);
    }
}

#[async_trait]
impl SignerHarness for Checked {
    async fn open(&self) -> Arc<dyn UrlSigner> {
        self.signer(&self.edge)
    }

    async fn stranger(&self) -> Option<Arc<dyn UrlSigner>> {
        Some(self.signer(&self.stranger))
    }

    async fn fetches(&self, method: &str, link: &Link, key: &ObjectKey, now: Timestamp) -> Option<bool> {
        let request = Request { method, link: link.expose(), from: Ipv4Addr::new(192, 0, 2, 77), now };
        Some(self.edge.serves(key.as_str(), request))
    }
}

mod proof_of_a_canned_policy_under_rsa {
    use super::{Checked, RSA};

    distribution_testkit::signer_conformance!(Checked::new(RSA, false));
}

mod proof_of_a_custom_policy_under_rsa {
    use super::{Checked, RSA};

    distribution_testkit::signer_conformance!(Checked::new(RSA, true));
}

mod proof_of_a_canned_policy_under_ecdsa {
    use super::{Checked, P256};

    distribution_testkit::signer_conformance!(Checked::new(P256, false));
}
