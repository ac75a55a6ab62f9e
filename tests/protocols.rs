//! Protocols of other libraries over Volt's streams: TLS, HTTP/1, HTTP/2 and WebSocket. Each
//! program is written once, and run on the real machine and in simulated worlds.
//!
//! In simulation the libraries' random bytes, their clocks and their locks are the machine's:
//! `ring` and `rand` ask for entropy through `getrandom`, which is interposed.
//!
//! The certificate is for `localhost`, its own issuer, and valid from 1970 to 2099, whatever a
//! machine's clock says. Its key is in `tests/protocols`, so it is good for tests alone.

#![cfg(not(any(volt_loom, volt_shuttle)))]

/// Seeds that each program is simulated under.
#[cfg(feature = "sim")]
const SEEDS: std::ops::Range<u64> = 0..20;

/// Declares tests of a program, an `async fn` that takes an `Io`.
macro_rules! protocol {
    ($(#[$attribute:meta])* $name:ident, $program:path) => {
        mod $name {
            use super::*;

            $(#[$attribute])*
            #[test]
            fn real() {
                volt::run($program);
            }

            $(#[$attribute])*
            #[cfg(feature = "sim")]
            #[test]
            fn simulated() {
                let sweep = volt::sim::Sim::builder().sweep($crate::SEEDS);
                let report = sweep.run(|world| async move {
                    world.host("machine").start($program).await.expect("the program ends");
                });
                report.into_result().unwrap_or_else(|failure| panic!("{failure}"));
            }
        }
    };
}

const LOOPBACK: &str = "127.0.0.1:0";

/// Bytes in which every position within 251 differs, so that a loss or an exchange shows.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|position| (position % 251) as u8).collect()
}

#[cfg(unix)]
mod tls {
    use std::sync::Arc;

    use futures_rustls::pki_types::{
        CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName,
    };
    use futures_rustls::rustls::crypto::{CryptoProvider, ring};
    use futures_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
    use futures_rustls::{TlsAcceptor, TlsConnector};
    use volt::Io;
    use volt::io::{AsyncReadExt, AsyncWriteExt, copy};
    use volt::net::{TcpListener, TcpStream};

    const CERTIFICATE: &[u8] = include_bytes!("protocols/certificate.der");
    const KEY: &[u8] = include_bytes!("protocols/key.der");

    fn certificate() -> CertificateDer<'static> {
        CertificateDer::from(CERTIFICATE)
    }

    fn provider() -> Arc<CryptoProvider> {
        Arc::new(ring::default_provider())
    }

    fn acceptor() -> TlsAcceptor {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(KEY));
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    fn connector(roots: RootCertStore) -> TlsConnector {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        TlsConnector::from(Arc::new(config))
    }

    fn name() -> ServerName<'static> {
        ServerName::try_from("localhost").unwrap()
    }

    async fn echo(io: Io) {
        let listener = TcpListener::bind(&io, super::LOOPBACK).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = io.spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let stream = acceptor().accept(stream).await.unwrap();
            let (reader, mut writer) = stream.split();
            let count = copy(reader, &mut writer).await.unwrap();
            writer.close().await.unwrap();
            count
        });

        let mut roots = RootCertStore::empty();
        roots.add(certificate()).unwrap();
        let stream = TcpStream::connect(&io, address).await.unwrap();
        let stream = connector(roots).connect(name(), stream).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let sent = super::pattern(64 * 1024);
        let bytes = sent.clone();
        let writing = io.spawn(async move {
            writer.write_all(&bytes).await.unwrap();
            writer.close().await.unwrap();
        });
        let mut received = Vec::new();
        reader.read_to_end(&mut received).await.unwrap();
        assert!(received == sent);
        writing.await.unwrap();
        assert_eq!(server.await.unwrap(), sent.len() as u64);
    }

    /// A client that trusts nobody ends the handshake, on both sides.
    async fn distrust(io: Io) {
        let listener = TcpListener::bind(&io, super::LOOPBACK).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = io.spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            acceptor().accept(stream).await.is_err()
        });
        let stream = TcpStream::connect(&io, address).await.unwrap();
        let connected = connector(RootCertStore::empty()).connect(name(), stream).await;
        assert!(connected.is_err());
        assert!(server.await.unwrap());
    }

    protocol!(an_echo_of_64_kib_comes_back, echo);
    protocol!(a_certificate_that_nobody_trusts_ends_both_handshakes, distrust);
}

mod websocket {
    use async_tungstenite::tungstenite::Message;
    use async_tungstenite::{accept_async, client_async};
    use futures_util::StreamExt;
    use volt::Io;
    use volt::net::{TcpListener, TcpStream};

    async fn echo(io: Io) {
        let listener = TcpListener::bind(&io, super::LOOPBACK).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = io.spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = accept_async(stream).await.unwrap();
            let mut count = 0;
            while let Some(message) = socket.next().await {
                let message = message.unwrap();
                if message.is_text() || message.is_binary() {
                    socket.send(message).await.unwrap();
                    count += 1;
                }
            }
            count
        });

        let stream = TcpStream::connect(&io, address).await.unwrap();
        let (mut socket, _) = client_async("ws://localhost/echo", stream).await.unwrap();
        let large = Message::binary(super::pattern(32 * 1024));
        for message in [Message::text("hello"), large, Message::text("")] {
            socket.send(message.clone()).await.unwrap();
            assert!(socket.next().await.unwrap().unwrap() == message);
        }
        socket.close(None).await.unwrap();
        // What comes now is the answer to the close, and then the end.
        while let Some(message) = socket.next().await {
            assert!(message.unwrap().is_close());
        }
        assert_eq!(server.await.unwrap(), 3);
    }

    protocol!(messages_come_back, echo);
}

#[cfg(feature = "hyper")]
mod http {
    use std::convert::Infallible;

    use http_body_util::{BodyExt, Full};
    use hyper::body::{Bytes, Incoming};
    use hyper::client::conn::{http1 as client_http1, http2 as client_http2};
    use hyper::server::conn::{http1 as server_http1, http2 as server_http2};
    use hyper::service::service_fn;
    use hyper::{Request, Response, Version};
    use volt::Io;
    use volt::compat::hyper::{Executor, Timer};
    use volt::net::{TcpListener, TcpStream};
    use volt::task::try_join_all;

    /// Answers with what it was sent.
    async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let version = request.version();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let mut response = Response::new(Full::new(body));
        *response.version_mut() = version;
        Ok(response)
    }

    fn request(body: Vec<u8>) -> Request<Full<Bytes>> {
        Request::post("http://localhost/echo")
            .header("host", "localhost")
            .body(Full::new(Bytes::from(body)))
            .unwrap()
    }

    async fn check(response: Response<Incoming>, version: Version, sent: &[u8]) {
        assert_eq!(response.version(), version);
        assert!(response.status().is_success());
        let received = response.into_body().collect().await.unwrap().to_bytes();
        assert!(received == sent);
    }

    async fn http1(io: Io) {
        let listener = TcpListener::bind(&io, super::LOOPBACK).await.unwrap();
        let address = listener.local_addr().unwrap();
        let timer = Timer::new(&io);
        let server = io.spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut builder = server_http1::Builder::new();
            builder.timer(timer);
            builder.serve_connection(stream, service_fn(echo)).await.unwrap();
        });
        let stream = TcpStream::connect(&io, address).await.unwrap();
        let (mut sender, connection) = client_http1::handshake(stream).await.unwrap();
        let client = io.spawn(connection);
        for length in [0, 5, 40_000] {
            let sent = super::pattern(length);
            sender.ready().await.unwrap();
            let response = sender.send_request(request(sent.clone())).await.unwrap();
            check(response, Version::HTTP_11, &sent).await;
        }
        drop(sender);
        client.await.unwrap().unwrap();
        server.await.unwrap();
    }

    /// Several requests share the connection.
    async fn http2(io: Io) {
        let listener = TcpListener::bind(&io, super::LOOPBACK).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (executor, timer) = (Executor::new(&io), Timer::new(&io));
        let server = io.spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut builder = server_http2::Builder::new(executor);
            builder.timer(timer);
            builder.serve_connection(stream, service_fn(echo)).await.unwrap();
        });
        let stream = TcpStream::connect(&io, address).await.unwrap();
        let (sender, connection) =
            client_http2::handshake(Executor::new(&io), stream).await.unwrap();
        let client = io.spawn(connection);
        let requests = [0, 5, 40_000, 70_000].map(|length| {
            let mut sender = sender.clone();
            io.spawn(async move {
                let sent = super::pattern(length);
                let response = sender.send_request(request(sent.clone())).await.unwrap();
                check(response, Version::HTTP_2, &sent).await;
            })
        });
        try_join_all(requests).await.unwrap();
        drop(sender);
        client.await.unwrap().unwrap();
        server.await.unwrap();
    }

    protocol!(http1_answers_what_it_was_sent, http1);
    protocol!(http2_answers_several_requests_at_once, http2);
}
