//! What was taken back: the route says so, whether or not its links are revoked, and of nothing else.

use std::sync::Arc;

use distribution_backends::serve::{AuthenticatedRoute, BearerToken, DownloadRoute};
use distribution_backends::{HmacSigner, LocalDisk, StoredRevocations};
use distribution_core::{ErrorKind, LinksLeft, PublishRequest, Publisher, Reason, TargetName};
use distribution_testkit::{Fault, Op, World, request};

use super::*;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn path(link: &distribution_core::Link) -> String {
    link.expose().strip_prefix("http://media.example").unwrap().to_owned()
}

fn call(concept: &str) -> PublishRequest {
    let mut request = request("clip.mp4", b"approved bytes");
    request.distribution_settings.metadata.concept_id = Some(concept.parse().unwrap());
    request
}

fn publisher(world: &World, signer: HmacSigner) -> Publisher {
    let parts = world.parts(&TargetName::default());
    world.builder("host").target(TargetName::default(), parts.storage, Arc::new(signer)).build().unwrap()
}

#[tokio::test]
async fn a_link_to_what_was_taken_back_says_so() {
    let (world, dir) = (World::new_at(at(NOW)), tempfile::tempdir().unwrap());
    world.stage("clip.mp4", "approved bytes");
    for revocable in [true, false] {
        let signer = || match revocable {
            true => signer(BASE)
                .revocations(Arc::new(StoredRevocations::new(Arc::new(LocalDisk::open(dir.path()).unwrap())))),
            false => signer(BASE),
        };
        let publisher = publisher(&world, signer());
        let storage = || world.parts(&TargetName::default()).storage;
        let route = DownloadRoute::new(storage(), Arc::new(signer()), Arc::new(Stopped))
            .retractions(publisher.clone(), TargetName::default())
            .into_router();
        let route = Router::new().nest_service("/files", route);
        let members = AuthenticatedRoute::new(storage(), Arc::new(BearerToken::new(TOKEN).unwrap()), Arc::new(Stopped))
            .retractions(publisher.clone(), TargetName::default())
            .into_router();
        let members = Router::new().nest_service("/members", members);

        // Two publications have the object.
        let (first, second) = (format!("one-{revocable}"), format!("two-{revocable}"));
        let one = publisher.publish(call(&first)).await.unwrap();
        let two = publisher.publish(call(&second)).await.unwrap();
        assert_eq!(one.storage_location, two.storage_location);
        let old = path(&two.public_url);
        assert_eq!(get(&route, &old, &[]).await.status, StatusCode::OK);

        let why = Reason::parse("a person did not agree").unwrap();
        let left = publisher.retract(&one.audit_log_id, &why).await.unwrap().links_left;
        assert_eq!(left == LinksLeft::Dead, revocable, "{left:?}");
        // It is still the other's, whose next link works.
        let next = path(&publisher.publish(call(&second)).await.unwrap().public_url);
        assert_eq!(get(&route, &next, &[]).await.status, StatusCode::OK);
        let status = get(&route, &old, &[]).await.status;
        assert_eq!(status, if revocable { StatusCode::FORBIDDEN } else { StatusCode::OK });

        publisher.retract(&two.audit_log_id, &why).await.unwrap();
        assert_eq!(publisher.publish(call(&second)).await.unwrap_err().kind(), ErrorKind::Retracted);
        for link in [&old, &next] {
            let gone = get(&route, link, &[]).await;
            assert_eq!(
                (gone.status, gone.body.as_deref()),
                (StatusCode::GONE, Some(&b"this file was taken back\n"[..]))
            );
            // Who forges learns nothing.
            let forged = get(&route, &format!("{link}A"), &[]).await;
            assert_eq!(forged, get(&route, "/files/x", &[]).await);
        }
        let key = old.split_once('?').unwrap().0.strip_prefix("/files").unwrap();
        let bearer = format!("Bearer {TOKEN}");
        assert_eq!(
            get(&members, &format!("/members{key}"), &[("authorization", &bearer)]).await.status,
            StatusCode::GONE
        );
        assert_eq!(get(&members, &format!("/members{key}"), &[]).await.status, StatusCode::UNAUTHORIZED);

        // Where nobody knows, nothing is served, and the reader is to try again.
        world.fail(|effect| (effect.op == Op::MetadataBound).then_some(Fault::LostRequest));
        assert_eq!(get(&route, &next, &[]).await.status, StatusCode::SERVICE_UNAVAILABLE);
        world.heal();
    }
}
