//! The seam: only `src/platform` names threads, clocks, locks, atomics, the operating system or a
//! random source. Everything else names `crate::platform`, or a simulation would not see it.

use crate::names::{Name, names};
use crate::source::{Source, assert_none, load};

/// The crates that only the platform may name.
const CRATES: [&str; 16] = [
    "corosensei",
    "getrandom",
    "io_uring",
    "js_sys",
    "libc",
    "loom",
    "mio",
    "parking_lot",
    "parking_lot_core",
    "rand",
    "rustix",
    "shuttle",
    "signal_hook_registry",
    "socket2",
    "volt_sim",
    "wasm_bindgen",
];

/// What `std::net` has besides sockets.
const ADDRESSES: [&str; 5] = ["AddrParseError", "IpAddr", "Ipv4Addr", "Ipv6Addr", "Shutdown"];

fn is_address(name: &str) -> bool {
    name.starts_with("SocketAddr") || ADDRESSES.contains(&name)
}

/// Whether a path into the standard library stays above the seam. `path` leaves out the crate.
fn is_allowed_in_std(path: &[&str]) -> bool {
    match path {
        ["*", ..] | ["thread" | "fs" | "process", ..] => false,
        ["time", rest @ ..] => rest.first() == Some(&"Duration"),
        ["sync", "Arc" | "Weak", ..] | ["sync", "atomic", "Ordering", ..] => true,
        ["sync", ..] => false,
        ["net", rest @ ..] | ["os", _, "net", rest @ ..] => {
            rest.first().is_some_and(|name| is_address(name))
        }
        ["os", _, "thread" | "fs" | "process", ..] => false,
        _ => true,
    }
}

/// Why `name` may not stand where it does.
fn objection(name: &Name) -> Option<String> {
    let gates = name.scope.gates;
    if gates.test {
        return None;
    }
    let segments: Vec<&str> = name.segments.iter().map(String::as_str).collect();
    let (first, rest) = segments.split_first()?;
    match *first {
        "std" | "core" | "alloc" => {
            if rest.is_empty() && name.bound.as_deref() != Some(*first) {
                return Some(format!("renaming `{first}` hides what is used of it"));
            }
            if is_allowed_in_std(rest) {
                return None;
            }
        }
        "loom" if gates.loom => return None,
        "shuttle" if gates.shuttle => return None,
        "volt_sim" if name.scope.module.first().is_some_and(|top| top == "sim") => return None,
        name if CRATES.contains(&name) || name.starts_with("rand_") => {}
        _ => return None,
    }
    Some(format!("`{}` goes around the seam; name `crate::platform` instead", segments.join("::")))
}

fn breaches(sources: &[Source]) -> Vec<String> {
    let mut breaches = Vec::new();
    for source in sources {
        if source.is_platform() {
            continue;
        }
        for name in names(source) {
            if let Some(objection) = objection(&name) {
                breaches.push(format!("{}: {objection}", source.at(name.line)));
            }
        }
    }
    breaches
}

#[test]
fn only_the_platform_goes_below_the_seam() {
    assert_none(&breaches(&load()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::parse_all;

    fn found(path: &str, text: &str) -> Vec<String> {
        let files = vec![(path.to_owned(), text.to_owned())];
        breaches(&parse_all(files).expect("the sample parses"))
    }

    #[test]
    fn planted_bypasses_are_reported() {
        for text in [
            "use std::thread;",
            "use std::thread::{self, JoinHandle as Handle};",
            "use std::{fmt, sync::{Arc, Mutex}};",
            "use std::{sync::{atomic::AtomicUsize, Weak}};",
            "use std::sync::atomic::{self, Ordering};",
            "use core::sync::atomic::*;",
            "use std::sync::LockResult;",
            "use std::time::{Duration, Instant};",
            "use std::*;",
            "use std as os;",
            "extern crate std as os;",
            "use ::std::net::TcpStream;",
            "use std::os::unix::net::UnixStream;",
            "use std::{fs::File};",
            "fn f() { std::process::abort() }",
            "fn f() { ::std::thread::yield_now() }",
            "fn f(x: &core::sync::atomic::AtomicBool) {}",
            "fn f() -> Vec<std::time::SystemTime> { Vec::new() }",
            "use libc::c_int;",
            "use mio;",
            "use io_uring::IoUring;",
            "use rustix::{fd as descriptor};",
            "pub use socket2::Socket;",
            "type Lock = parking_lot::Mutex<u8>;",
            "fn f() { parking_lot_core::deadlock() }",
            "use rand_chacha::ChaCha8Rng;",
            "fn f() { rand::random::<u8>(); getrandom::fill(&mut []); }",
            "use volt_sim::Kernel;",
            "use corosensei::Coroutine;",
            "use loom::sync::Arc;",
            "#[cfg(volt_loom)] mod m { use shuttle::thread; }",
            "#[cfg(volt_shuttle)] mod m { use loom::thread; }",
            "#[cfg(any(test, unix))] mod m { use std::thread; }",
            "fn f() { println!(\"{:?}\", std::thread::current()); }",
            "macro_rules! m { () => { use std::{fmt, thread}; } }",
            "macro_rules! m { () => { $crate::f(::core :: sync :: atomic :: fence($o)) } }",
        ] {
            let breaches = found("src/net/tcp.rs", text);
            assert!(!breaches.is_empty(), "missed: {text}");
            assert!(breaches[0].starts_with("src/net/tcp.rs:1: "), "{breaches:?}");
        }
    }

    #[test]
    fn what_has_no_place_in_the_machine_is_allowed() {
        for text in [
            "use std::sync::{Arc, Weak, atomic::Ordering}; use core::sync::atomic::Ordering as O;",
            "use std::time::Duration; fn f() { core::time::Duration::from_secs(1); }",
            "use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, SocketAddrV6};",
            "use std::os::unix::net::SocketAddr; use std::os::fd::AsRawFd;",
            "use crate::platform::{thread, sync::Mutex}; fn f() { thread::spawn() }",
            "extern crate alloc; fn f(rand: u8) -> u8 { rand }",
            "//! `std::thread`\n/// [`std::sync::Mutex`] and `mio::Poll`\nfn f() {} // libc::x",
            "#[cfg(test)] mod tests { use std::thread; fn f() { mio::x(); m!(libc::x) } }",
            "impl X { #[cfg(test)] fn f() { std::thread::yield_now() } }",
            "#[cfg(all(test, volt_loom))] mod models { use loom::thread; }",
            "#[cfg(volt_loom)] mod models { use loom::thread; }",
            "#[cfg(volt_shuttle)] mod models { use shuttle::thread; }",
        ] {
            assert_none(&found("src/net/tcp.rs", text));
        }
    }

    #[test]
    fn the_simulation_may_name_its_machine_and_the_platform_anything() {
        let text = "use volt_sim::Kernel;";
        assert_none(&found("src/sim/world.rs", text));
        assert_eq!(found("src/local/mod.rs", text).len(), 1);
        assert_eq!(found("src/sim/world.rs", "use std::thread;").len(), 1);
        assert_none(&found("src/platform/real/mod.rs", "use std::thread; use mio::Poll;"));
    }
}
