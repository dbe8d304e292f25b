//! A password of PostgreSQL: of a server that refuses it, repeats it, or is not there.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use distribution_backends::{PostgresConfig, PostgresMetadata};

use crate::canary::{Secrets, canary};
use crate::told::Told;

/// A server that asks for the password in the clear, and refuses it in these words (PostgreSQL 55.7, Message Formats).
fn refusing(words: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut buffer) = (stream.unwrap(), [0; 1024]);
            let _ = stream.read(&mut buffer).unwrap();
            stream.write_all(b"R\0\0\0\x08\0\0\0\x03").unwrap();
            let _ = stream.read(&mut buffer).unwrap();
            let fields = format!("SFATAL\0VFATAL\0C28P01\0M{words}\0D{words}\0\0");
            let length = u32::try_from(fields.len() + 4).unwrap();
            let _ = stream.write_all(&[b"E", &length.to_be_bytes()[..], fields.as_bytes()].concat());
        }
    });
    port
}

#[tokio::test]
async fn a_password_is_shown_nowhere_whatever_comes_of_it() {
    let mut told = Told::new();
    let password = format!("{}/+%@", canary("password"));
    let secrets = Secrets::of(&["password", "in the uri"]).and("written", &password);
    let port = refusing("password authentication failed for user \"publisher\"".into());
    for port in [port, 1] {
        let config = PostgresConfig::from_uri(&format!("postgres://publisher@127.0.0.1:{port}/ops?sslmode=disable"));
        let config = config.unwrap().password(&password).connect_timeout(Duration::from_secs(2));
        told.debug(&config);
        told.refusal(PostgresMetadata::open(config).await);
    }
    let secret = canary("in the uri");
    for uri in [
        format!("postgres://publisher:{secret}@127.0.0.1:{port}/ops?sslmode=disable"),
        format!("postgres://publisher:{secret}@127.0.0.1:1/ops"),
    ] {
        let config = PostgresConfig::from_uri(&uri).unwrap();
        told.debug(&config);
        told.refusal(PostgresMetadata::open(config).await);
    }
    for uri in [
        format!("postgres://publisher:{secret}@h/ops?sslmode={secret}"),
        format!("postgres://publisher@h/ops?password={secret}"),
        format!("postgres://publisher@h/ops?{secret}=1"),
        format!("postgres://publisher:{secret}@h"),
        format!("postgres://{secret}"),
        format!("mysql://publisher:{secret}@h/ops"),
        format!("postgres://publisher:{secret}@h:{secret}/ops"),
        format!("postgres://publisher@h/ops?schema={secret}!"),
    ] {
        told.refusal(PostgresConfig::from_uri(&uri));
    }
    told.holds_none_of(&secrets, &[]);
}
