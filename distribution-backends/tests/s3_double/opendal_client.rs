//! opendal's S3 service against the double.

use std::time::Duration;

use distribution_testkit::s3::{Fault, Op, S3Double};
use opendal::services::S3;
use opendal::{ErrorKind, HttpTransporter, OperationContext, Operator};
use opendal_http_transport_reqwest::ReqwestTransport;

use crate::s3_server::S3Server;
use crate::{ACCESS_KEY, SECRET_KEY, double};

/// Whose bucket has a host that nobody else resolves.
const DOMAIN: &str = "s3.test";

fn client() -> reqwest::Client {
    client_at("127.0.0.1:1")
}

/// A client for which the bucket's host is at this address.
fn client_at(address: &str) -> reqwest::Client {
    // The tests speak no TLS, but reqwest wants to be ready for it.
    let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .resolve(&format!("media.{DOMAIN}"), address.parse().unwrap())
        .build()
        .unwrap()
}

fn operator(endpoint: &str, change: impl Fn(S3) -> S3) -> Operator {
    let service = S3::default()
        .bucket("media")
        .root("/mvp")
        .endpoint(endpoint)
        .region("us-east-1")
        .access_key_id(ACCESS_KEY)
        .secret_access_key(SECRET_KEY)
        .disable_config_load()
        .disable_ec2_metadata();
    let transport = HttpTransporter::new(ReqwestTransport::new(client()));
    Operator::new(change(service)).unwrap().with_context(OperationContext::new().with_http_transport(transport))
}

async fn served() -> (S3Double, S3Server, Operator) {
    let double = double();
    let server = S3Server::start(double.clone()).await;
    let operator = operator(server.endpoint(), |service| service);
    (double, server, operator)
}

#[tokio::test]
async fn an_object_is_put_once_read_in_ranges_and_deleted() {
    let (double, _server, operator) = served().await;
    let put = || {
        operator
            .write_with("a clip+1 ü.mp4", "0123456789")
            .if_not_exists(true)
            .content_type("video/mp4")
            .content_disposition("attachment")
            .user_metadata([("sha256".to_owned(), "abc".to_owned())])
    };
    put().await.unwrap();
    assert_eq!(put().await.unwrap_err().kind(), ErrorKind::ConditionNotMatch);

    let object = double.object("media", "mvp/a clip+1 ü.mp4").unwrap();
    assert_eq!((&*object.bytes, &*object.headers["content-type"]), (&b"0123456789"[..], "video/mp4"));
    assert_eq!(object.metadata["sha256"], "abc");
    let stat = operator.stat("a clip+1 ü.mp4").await.unwrap();
    assert_eq!((stat.content_length(), stat.etag()), (10, Some(&*object.etag)));

    let part = operator.read_with("a clip+1 ü.mp4").range(2..5).await.unwrap();
    assert_eq!(part.to_vec(), b"234");
    let pinned = operator.read_with("a clip+1 ü.mp4").if_match("\"other\"").await;
    assert_eq!(pinned.unwrap_err().kind(), ErrorKind::ConditionNotMatch);
    assert_eq!((double.bytes_in(), double.bytes_out()), (20, 3));

    operator.delete("a clip+1 ü.mp4").await.unwrap();
    assert_eq!(operator.stat("a clip+1 ü.mp4").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_multipart_upload() {
    let (double, _server, operator) = served().await;
    // opendal cuts no part below 5 MiB.
    let bytes: Vec<u8> = (0..11_u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let chunks = || bytes.chunks(1 << 20).map(<[u8]>::to_vec);
    let mut writer =
        operator.writer_with("clip").if_not_exists(true).content_type("video/mp4").chunk(5 << 20).await.unwrap();
    for chunk in chunks() {
        writer.write(chunk).await.unwrap();
    }
    assert_eq!((double.uploads("media").len(), double.keys("media").len()), (1, 0));
    writer.close().await.unwrap();
    let object = double.object("media", "mvp/clip").unwrap();
    assert!(object.bytes == bytes && object.etag.ends_with("-3\"") && double.uploads("media").is_empty());
    assert_eq!(double.requests(Op::UploadPart), 3);

    // Another writer comes too late, and its upload is aborted.
    let mut late = operator.writer_with("clip").if_not_exists(true).chunk(5 << 20).await.unwrap();
    for chunk in chunks() {
        late.write(chunk).await.unwrap();
    }
    assert_eq!(late.close().await.unwrap_err().kind(), ErrorKind::ConditionNotMatch);
    late.abort().await.unwrap();
    assert!(double.uploads("media").is_empty());

    // A completion that answers 200 with an error in it.
    double.inject(Op::CompleteMultipartUpload, 0, Fault::ErrorInBody { applied: false });
    let mut failing = operator.writer_with("other").if_not_exists(true).chunk(5 << 20).await.unwrap();
    for chunk in chunks() {
        failing.write(chunk).await.unwrap();
    }
    failing.close().await.unwrap_err();
    assert!(double.object("media", "mvp/other").is_none());
}

#[tokio::test]
async fn parts_with_checksums_of_their_own() {
    let double = double();
    let server = S3Server::start(double.clone()).await;
    let operator = operator(server.endpoint(), |service| service.checksum_algorithm("crc32c"));
    let mut writer = operator.writer_with("clip").chunk(5 << 20).await.unwrap();
    writer.write(vec![1; 6 << 20]).await.unwrap();
    writer.close().await.unwrap();
    assert!(!double.object("media", "mvp/clip").unwrap().checksum.unwrap().full_object);
    operator.write("small", "bytes").await.unwrap();
    assert!(double.object("media", "mvp/small").unwrap().checksum.unwrap().full_object);
}

#[tokio::test]
async fn lists_are_paged_and_copies_are_made() {
    let (double, _server, operator) = served().await;
    let names: Vec<String> = (0..8).map(|n| format!("list/{n} & <{n}>")).collect();
    for name in &names {
        operator.write(name, name.clone()).await.unwrap();
    }
    let listed: Vec<_> = operator.list("list/").await.unwrap().iter().map(|entry| entry.path().to_owned()).collect();
    assert_eq!(listed, names);
    assert_eq!(double.requests(Op::ListObjectsV2), 3);
    let top: Vec<_> = operator.list("/").await.unwrap().iter().map(|entry| entry.path().to_owned()).collect();
    assert_eq!(top, ["list/"]);

    operator.copy(&names[0], "copy").await.unwrap();
    assert_eq!(double.object("media", "mvp/copy").unwrap().bytes, names[0].as_bytes());
    operator.delete_iter(names.clone()).await.unwrap();
    assert_eq!(double.keys("media"), ["mvp/copy"]);
    assert_eq!(double.requests(Op::DeleteObjects), 1);
}

#[tokio::test]
async fn a_presigned_link_is_fetched_and_expires() {
    let (double, server, operator) = served().await;
    operator.write("clip", "0123456789").await.unwrap();
    let presigned = operator
        .presign_read_with("clip", Duration::from_secs(60))
        .override_content_disposition("attachment; filename=\"ä clip.mp4\"".replace('ä', "a").as_str())
        .await
        .unwrap();
    let link = presigned.uri().to_string();
    let ask = |link: &str| client().get(link).header("range", "bytes=3-4").send();
    let answer = ask(&link).await.unwrap();
    assert_eq!(answer.status(), 206);
    assert_eq!(answer.headers()["content-disposition"], "attachment; filename=\"a clip.mp4\"");
    assert_eq!(answer.text().await.unwrap(), "34");

    assert_eq!(ask(&link.replace("clip.mp4", "clop.mp4")).await.unwrap().status(), 403);
    assert_eq!(client().put(&link).body("x").send().await.unwrap().status(), 403);
    assert_eq!(client().get(format!("{}/media/mvp/clip", server.endpoint())).send().await.unwrap().status(), 403);
    double.skew(chrono::TimeDelta::seconds(61));
    assert_eq!(ask(&link).await.unwrap().status(), 403);

    // opendal signs what S3 refuses.
    let week = Duration::from_secs(7 * 86_400);
    for (expiry, status) in [(week, 206), (week + Duration::from_secs(1), 400)] {
        let link = operator.presign_read("clip", expiry).await.unwrap().uri().to_string();
        assert_eq!(ask(&link).await.unwrap().status(), status);
    }
}

#[tokio::test]
async fn a_bucket_has_a_host_of_its_own() {
    let double = double().with_domain(DOMAIN);
    let server = S3Server::start(double.clone()).await;
    let address = server.endpoint().strip_prefix("http://").unwrap();
    let endpoint = format!("http://{DOMAIN}:{}", address.split_once(':').unwrap().1);
    let transport = HttpTransporter::new(ReqwestTransport::new(client_at(address)));
    let operator = operator(&endpoint, S3::enable_virtual_host_style)
        .with_context(OperationContext::new().with_http_transport(transport));
    operator.write("a/clip", "bytes").await.unwrap();
    assert_eq!(double.keys("media"), ["mvp/a/clip"]);
    assert_eq!(operator.list("a/").await.unwrap()[0].path(), "a/clip");
    assert!(double.log().iter().all(|request| request.header("host").unwrap().starts_with("media.s3.test:")));
}

#[tokio::test]
async fn a_wrong_secret_and_a_wrong_clock_are_refused() {
    let (double, server, operator) = served().await;
    let wrong = self::operator(server.endpoint(), |service| service.secret_access_key("another"));
    assert_eq!(wrong.write("clip", "x").await.unwrap_err().kind(), ErrorKind::PermissionDenied);
    double.skew(chrono::TimeDelta::minutes(16));
    operator.write("clip", "x").await.unwrap_err();
    let codes: Vec<_> = double.log().iter().map(|request| request.code.unwrap()).collect();
    assert_eq!(codes, ["SignatureDoesNotMatch", "RequestTimeTooSkewed"]);
    assert!(double.keys("media").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racers_have_one_winner_unless_the_server_races() {
    for racy in [false, true] {
        let (double, _server, operator) = served().await;
        if racy {
            double.always(Op::PutObject, Fault::RacyConditions);
        }
        let racers = (0..8).map(|n| {
            let operator = operator.clone();
            async move { operator.write_with("clip", format!("racer {n}")).if_not_exists(true).await.is_ok() }
        });
        let winners = futures::future::join_all(racers).await.into_iter().filter(|won| *won).count();
        assert_eq!(winners > 1, racy, "{winners} winners");
    }
}
