//! Over TLS, with a certificate that a child's environment trusts.

use std::env;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::thread;

use distribution_backends::HttpSource;
use distribution_core::ErrorKind;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use crate::server::file;
use crate::{ALLOWED, Names, everything, names, read};

const PORT: &str = "SSRF_TEST_TLS_PORT";

#[test]
fn the_certificate_is_that_of_the_host_or_nothing_is_asked() {
    let dir = TempDir::new().unwrap();
    let (certificate, key) = (dir.path().join("certificate.pem"), dir.path().join("key.pem"));
    make_certificate(&certificate, &key);
    let port = serve(&certificate, &key);
    assert_passes(&child("tls::child_that_trusts_it", port, &certificate));
    assert_passes(&child("tls::child_that_does_not_trust_it", port, Path::new("")));
}

#[tokio::test]
async fn child_that_trusts_it() {
    let Some(port) = port() else { return };
    assert_eq!(read(&source(ALLOWED, &port), &url(ALLOWED, &port)).await.unwrap().unwrap().1, b"bytes");
    // Another host at the same address.
    let error = read(&source("other.example", &port), &url("other.example", &port)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(everything(&error).contains("certificate"), "{}", everything(&error));
    // The address without its name.
    let error = read(&source("127.0.0.1", &port), &url("127.0.0.1", &port)).await.unwrap_err();
    assert!(everything(&error).contains("certificate"), "{}", everything(&error));
}

#[tokio::test]
async fn child_that_does_not_trust_it() {
    let Some(port) = port() else { return };
    let error = read(&source(ALLOWED, &port), &url(ALLOWED, &port)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(everything(&error).contains("certificate"), "{}", everything(&error));
}

fn source(host: &str, port: &str) -> HttpSource {
    HttpSource::builder()
        .private_host(&format!("{host}:{port}"), &["127.0.0.1/32"])
        .resolver(names(Names::default()))
        .build()
        .unwrap()
}

fn url(host: &str, port: &str) -> String {
    format!("https://{host}:{port}/clip.mp4")
}

fn port() -> Option<String> {
    env::var(PORT).ok()
}

fn child(body: &str, port: u16, trusted: &Path) -> Output {
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", body]).env(PORT, port.to_string()).env_remove("SSL_CERT_DIR");
    if trusted.as_os_str().is_empty() {
        child.env_remove("SSL_CERT_FILE");
    } else {
        child.env("SSL_CERT_FILE", trusted);
    }
    child.output().unwrap()
}

fn assert_passes(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn make_certificate(certificate: &Path, key: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=test", "-addext", "subjectAltName=DNS:media.example"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(key)
        .arg("-out")
        .arg(certificate)
        .output()
        .expect("openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// Answers each request with one file, over TLS.
fn serve(certificate: &Path, key: &Path) -> u16 {
    let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            if stream.read(&mut [0; 4096]).is_ok() {
                let _ = stream.write_all(&file("one", b"bytes"));
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    port
}
