//! Libraries that were not written for a simulation follow its seed: what they draw replays with
//! the seed and differs between seeds. See also `machine.rs`: hash maps, clocks, sleeps, the locks
//! of std and `parking_lot`.
#![cfg(target_os = "linux")]

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, RootCertStore, ServerConfig, ServerConnection,
};
use volt_sim::{Sim, Strategy, thread};

/// What `f` gives in the run of a seed.
fn under<T: Send + 'static>(seed: u64, f: fn() -> T) -> T {
    let (sender, receiver) = mpsc::channel();
    let sim = Sim::builder().seed(seed).strategy(Strategy::Random).build();
    let report = sim.machine(move || sender.send(f()).expect("somebody asks"));
    report.unwrap_or_else(|failure| panic!("{failure}"));
    receiver.recv().expect("the run has told")
}

/// What `f` gives replays with the seed, and differs between seeds.
#[track_caller]
fn follows_the_seed<T: PartialEq + Send + 'static>(f: fn() -> T) {
    assert!(under(1, f) == under(1, f), "one seed gives two values");
    assert!(under(1, f) != under(2, f), "two seeds give one value");
}

#[test]
fn random_numbers_follow_the_seed() {
    follows_the_seed(rand::random::<u128>);
    // The generator of each thread is its own.
    follows_the_seed(|| {
        let other = thread::spawn(rand::random::<u128>).join().unwrap();
        let own = rand::random::<u128>();
        assert_ne!(own, other);
        (own, other)
    });
}

#[test]
fn random_identifiers_follow_the_seed() {
    follows_the_seed(|| [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()]);
}

#[test]
fn clocks_follow_the_schedule_of_the_seed() {
    /// What the clocks show after work whose length the seed decides.
    fn clocks() -> (Duration, SystemTime) {
        let began = Instant::now();
        let threads = [1_u64, 2, 3].map(|number| {
            thread::spawn(move || {
                for _ in 0..volt_sim::choose(1_000) {
                    thread::yield_now();
                }
                std::thread::sleep(Duration::from_micros(number));
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        (began.elapsed(), SystemTime::now())
    }
    follows_the_seed(clocks);
}

/// For `localhost`, its own issuer, valid from 1970 to 2099; see Volt's `tests/protocols.rs`.
const CERTIFICATE: &[u8] = include_bytes!("../../tests/protocols/certificate.der");
const KEY: &[u8] = include_bytes!("../../tests/protocols/key.der");

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn client() -> ClientConnection {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(CERTIFICATE)).unwrap();
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    ClientConnection::new(Arc::new(config), name).unwrap()
}

fn server() -> ServerConnection {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(KEY));
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(CERTIFICATE)], key)
        .unwrap();
    ServerConnection::new(Arc::new(config)).unwrap()
}

/// Carries what one side has to send to the other, and writes it down.
fn carry<A, B>(from: &mut ConnectionCommon<A>, to: &mut ConnectionCommon<B>, sent: &mut Vec<u8>) {
    let begins = sent.len();
    while from.wants_write() {
        from.write_tls(sent).unwrap();
    }
    let mut bytes = &sent[begins..];
    while !bytes.is_empty() {
        to.read_tls(&mut bytes).unwrap();
        to.process_new_packets().unwrap();
    }
}

/// All bytes of a handshake, of both sides.
fn handshake() -> Vec<u8> {
    let (mut client, mut server) = (client(), server());
    let mut sent = Vec::new();
    while client.is_handshaking() || server.is_handshaking() {
        let before = sent.len();
        carry(&mut client, &mut server, &mut sent);
        carry(&mut server, &mut client, &mut sent);
        assert!(sent.len() > before, "the handshake comes to no end");
    }
    sent
}

#[test]
fn handshakes_follow_the_seed() {
    follows_the_seed(handshake);
}
