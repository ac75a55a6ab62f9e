//! What happens between hosts: how good links are, and what goes wrong on them.

use std::panic::Location;
use std::time::Duration;

use super::Host;
use super::handle::running_world;
use crate::kernel::event::{Operation, OperationKind};
use crate::kernel::network::Lent;
use crate::network::{self, HostId, Net};

/// The longest time that a link may take.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How the packets between two hosts fare. Rates are shares of all packets, from 0 to 1.
///
/// ```
/// use volt_sim::net::Link;
/// use std::time::Duration;
///
/// let slow = Link { latency: Duration::from_millis(80), ..Link::default() };
/// assert_eq!(slow.loss, 0.0);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// The least time that a packet takes.
    pub latency: Duration,
    /// How much longer it may take.
    pub jitter: Duration,
    /// How many packets are lost.
    pub loss: f64,
    /// How many packets arrive twice.
    pub duplicate: f64,
    /// How many packets later ones may overtake.
    pub reorder: f64,
    /// Bytes per second, headers included; `None` is no limit.
    pub bandwidth: Option<u64>,
}

impl Default for Link {
    /// A good local network: 100 to 500 microseconds, nothing lost.
    fn default() -> Link {
        let network::Link { latency, jitter, bandwidth, .. } = network::Link::default();
        Link {
            latency: Duration::from_nanos(latency),
            jitter: Duration::from_nanos(jitter),
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            bandwidth,
        }
    }
}

impl Link {
    #[track_caller]
    fn internal(&self) -> network::Link {
        network::Link {
            latency: nanoseconds("latency", self.latency),
            jitter: nanoseconds("jitter", self.jitter),
            loss: rate("loss of a link", self.loss),
            duplicate: rate("duplicate of a link", self.duplicate),
            reorder: rate("reorder of a link", self.reorder),
            bandwidth: self.bandwidth,
        }
    }
}

#[track_caller]
fn nanoseconds(what: &str, time: Duration) -> u64 {
    assert!(time <= LONGEST, "the {what} of a link is {time:?}, more than {LONGEST:?}");
    time.as_nanos() as u64
}

#[track_caller]
pub(super) fn rate(what: &str, share: f64) -> u32 {
    assert!((0.0..=1.0).contains(&share), "the {what} is {share}, not in 0 to 1");
    (share * f64::from(network::MILLION)).round() as u32
}

/// Cuts the hosts of `a` off from those of `b`: what they send to each other, and what is on its
/// way, is lost. A host cannot be cut off from itself.
///
/// # Panics
/// On an ordinary thread.
///
/// ```
/// use volt_sim::net;
///
/// volt_sim::check(|| {
///     let (a, b) = (net::add_host("a", None).unwrap(), net::add_host("b", None).unwrap());
///     net::partition(&[a], &[b]);
///     net::heal();
/// });
/// ```
#[track_caller]
pub fn partition(a: &[Host], b: &[Host]) {
    change_between(a, b, |net, _, a, b| net.partition(a, b));
}

/// What hosts of `from` send to those of `to`, and what is on its way there, is lost.
///
/// # Panics
/// On an ordinary thread.
///
/// ```
/// use volt_sim::net;
///
/// volt_sim::check(|| {
///     let (a, b) = (net::add_host("a", None).unwrap(), net::add_host("b", None).unwrap());
///     net::partition_one_way(&[a], &[b]); // what b sends still arrives
///     net::heal();
/// });
/// ```
#[track_caller]
pub fn partition_one_way(from: &[Host], to: &[Host]) {
    change_between(from, to, |net, _, from, to| net.partition_one_way(from, to));
}

/// Ends every partition. What was lost stays lost; TCP sends it again.
///
/// # Panics
/// On an ordinary thread.
///
/// ```
/// volt_sim::check(|| volt_sim::net::heal());
/// ```
#[track_caller]
pub fn heal() {
    change(|net, _| net.heal_all());
}

/// How packets between the two hosts fare from now on; with one host twice, over its loopback.
///
/// # Panics
/// If a rate is not from 0 to 1, or a time is longer than a day; on an ordinary thread.
///
/// ```
/// use volt_sim::net::{self, Link};
///
/// volt_sim::check(|| {
///     let (a, b) = (net::add_host("a", None).unwrap(), net::add_host("b", None).unwrap());
///     net::set_link(&a, &b, Link { loss: 0.05, ..Link::default() });
/// });
/// ```
#[track_caller]
pub fn set_link(a: &Host, b: &Host, link: Link) {
    let link = link.internal();
    change_between(std::slice::from_ref(a), std::slice::from_ref(b), |net, _, a, b| {
        net.set_link(a, b, link.clone());
    });
}

/// How packets fare from now on between hosts that have no link of their own and have exchanged
/// none.
///
/// # Panics
/// If a rate is not from 0 to 1, or a time is longer than a day; on an ordinary thread.
///
/// ```
/// use volt_sim::net::{self, Link};
/// use std::time::Duration;
///
/// volt_sim::check(|| {
///     net::set_default_link(Link { latency: Duration::from_millis(20), ..Link::default() });
/// });
/// ```
#[track_caller]
pub fn set_default_link(link: Link) {
    let link = link.internal();
    change(|net, _| net.set_default_link(link));
}

/// Packets between the two hosts, also those on their way, wait from now on.
///
/// # Panics
/// On an ordinary thread.
///
/// ```
/// use volt_sim::net;
///
/// volt_sim::check(|| {
///     let (a, b) = (net::add_host("a", None).unwrap(), net::add_host("b", None).unwrap());
///     net::hold(&a, &b);
///     net::release(&a, &b);
/// });
/// ```
#[track_caller]
pub fn hold(a: &Host, b: &Host) {
    change_between(std::slice::from_ref(a), std::slice::from_ref(b), |net, _, a, b| {
        net.hold(a, b);
    });
}

/// Ends a [`hold`]: the packets that waited arrive in order, after a new latency.
///
/// # Panics
/// On an ordinary thread.
///
/// ```
/// use volt_sim::net;
///
/// volt_sim::check(|| {
///     let (a, b) = (net::add_host("a", None).unwrap(), net::add_host("b", None).unwrap());
///     net::hold(&a, &b);
///     net::release(&a, &b);
/// });
/// ```
#[track_caller]
pub fn release(a: &Host, b: &Host) {
    change_between(std::slice::from_ref(a), std::slice::from_ref(b), |net, lent, a, b| {
        net.release(a, b, lent);
    });
}

/// Changes what happens between each of `a` and each of `b`.
#[track_caller]
fn change_between(a: &[Host], b: &[Host], f: impl Fn(&mut Net, &mut Lent<'_>, HostId, HostId)) {
    let place = Location::caller();
    let numbers = |hosts: &[Host]| -> Vec<HostId> {
        hosts.iter().filter_map(|host| host.enter(place).ok()).map(|(_, id)| id).collect()
    };
    let (a, b) = (numbers(a), numbers(b));
    change(|net, lent| {
        for from in &a {
            for to in &b {
                f(net, lent, *from, *to);
            }
        }
    });
}

#[track_caller]
fn change(f: impl FnOnce(&mut Net, &mut Lent<'_>)) {
    let world = match running_world() {
        Ok(world) => world,
        Err(error) => panic!("the links of a simulation are changed from outside: {error}"),
    };
    let operation = Operation::new(OperationKind::SocketOther, 0, Location::caller());
    world.point(operation);
    world.network(f);
    world.complete(operation, 0);
}
