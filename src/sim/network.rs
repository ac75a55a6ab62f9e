//! What happens between hosts, which are told by their names.

use volt_sim::net::{self, Link};

use super::World;

/// What happens between hosts. They are told by their names, of which upper and lower case are the
/// same; `world` is the host of the world's own future.
impl World {
    /// Cuts the hosts of `a` off from those of `b`: what they send to each other, and what is on
    /// its way, is lost. A host cannot be cut off from itself.
    ///
    /// # Panics
    /// If there is no host of some name, with the names that there are.
    ///
    /// ```
    /// use std::time::Duration;
    /// use volt::sim::Sim;
    ///
    /// Sim::builder().build().run(|world| async move {
    ///     let nodes = ["a", "b", "c"].map(|name| world.host(name).start(|_| async {}));
    ///     world.partition(["a", "b"], ["c"]);
    ///     world.sleep(Duration::from_secs(30)).await;
    ///     world.heal();
    ///     for node in nodes {
    ///         node.await.unwrap();
    ///     }
    /// }).unwrap();
    /// ```
    #[track_caller]
    pub fn partition(
        &self,
        a: impl IntoIterator<Item = impl AsRef<str>>,
        b: impl IntoIterator<Item = impl AsRef<str>>,
    ) {
        let (a, b) = (self.named_all(a), self.named_all(b));
        net::partition(&a, &b);
    }

    /// Has what the hosts of `from` send to those of `to`, and what is on its way there, be lost;
    /// the other direction stays as it is.
    ///
    /// # Panics
    /// If there is no host of some name, with the names that there are.
    ///
    /// ```
    /// use volt::sim::Sim;
    ///
    /// Sim::builder().build().run(|world| async move {
    ///     let nodes = ["a", "b"].map(|name| world.host(name).start(|_| async {}));
    ///     world.partition_one_way(["a"], [nodes[1].name()]); // what b sends still arrives
    ///     world.heal();
    /// }).unwrap();
    /// ```
    #[track_caller]
    pub fn partition_one_way(
        &self,
        from: impl IntoIterator<Item = impl AsRef<str>>,
        to: impl IntoIterator<Item = impl AsRef<str>>,
    ) {
        let (from, to) = (self.named_all(from), self.named_all(to));
        net::partition_one_way(&from, &to);
    }

    /// Ends every partition. What was lost stays lost; TCP sends it again.
    ///
    /// ```
    /// use volt::sim::Sim;
    ///
    /// Sim::builder().build().run(|world| async move { world.heal() }).unwrap();
    /// ```
    #[track_caller]
    pub fn heal(&self) {
        net::heal();
    }

    /// The link between two hosts; with one host twice, its loopback.
    ///
    /// # Panics
    /// If there is no host of either name, with the names that there are.
    ///
    /// ```
    /// use std::time::Duration;
    /// use volt::sim::{Link, Sim};
    ///
    /// Sim::builder().build().run(|world| async move {
    ///     let nodes = ["near", "far"].map(|name| world.host(name).start(|_| async {}));
    ///     let slow = Link { latency: Duration::from_millis(80), ..Link::default() };
    ///     world.link("near", "far").set(slow);
    ///     for node in nodes {
    ///         node.await.unwrap();
    ///     }
    /// }).unwrap();
    /// ```
    #[track_caller]
    pub fn link(&self, a: &str, b: &str) -> LinkHandle {
        LinkHandle { a: self.named(a), b: self.named(b) }
    }

    /// How packets fare from now on between hosts that have no link of their own and have
    /// exchanged none.
    ///
    /// # Panics
    /// If a rate of the link is not from 0 to 1, or a time is longer than a day.
    ///
    /// ```
    /// use volt::sim::{Link, Sim};
    ///
    /// Sim::builder().build().run(|world| async move {
    ///     world.set_default_link(Link { loss: 0.01, reorder: 0.01, ..Link::default() });
    /// }).unwrap();
    /// ```
    #[track_caller]
    pub fn set_default_link(&self, link: Link) {
        net::set_default_link(link);
    }

    /// Has packets between two hosts wait from now on, those on their way too.
    ///
    /// # Panics
    /// If there is no host of either name, with the names that there are.
    ///
    /// ```
    /// use std::time::Duration;
    /// use volt::sim::Sim;
    ///
    /// Sim::builder().build().run(|world| async move {
    ///     let nodes = ["a", "b"].map(|name| world.host(name).start(|_| async {}));
    ///     world.hold("a", "b");
    ///     world.sleep(Duration::from_secs(1)).await;
    ///     world.release("a", "b");
    ///     for node in nodes {
    ///         node.await.unwrap();
    ///     }
    /// }).unwrap();
    /// ```
    #[track_caller]
    pub fn hold(&self, a: &str, b: &str) {
        net::hold(&self.named(a), &self.named(b));
    }

    /// Ends a [`hold`](World::hold): the packets that waited arrive in order, after a new latency.
    ///
    /// # Panics
    /// If there is no host of either name, with the names that there are.
    ///
    /// ```
    /// use volt::sim::Sim;
    ///
    /// Sim::builder().build().run(|world| async move {
    ///     let node = world.host("a").start(|_| async {});
    ///     world.hold("world", node.name());
    ///     world.release("world", node.name());
    /// }).unwrap();
    /// ```
    #[track_caller]
    pub fn release(&self, a: &str, b: &str) {
        net::release(&self.named(a), &self.named(b));
    }

    #[track_caller]
    fn named_all(&self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<net::Host> {
        let mut hosts = Vec::new();
        // Not `map`: a panic in a closure would be told as one of this line.
        for name in names {
            hosts.push(self.named(name.as_ref()));
        }
        hosts
    }

    /// The host of this name.
    #[track_caller]
    fn named(&self, name: &str) -> net::Host {
        let hosts = self.hosts();
        if let Some(host) = hosts.iter().find(|host| host.name().eq_ignore_ascii_case(name)) {
            return host.clone();
        }
        let names: Vec<String> = hosts.iter().map(|host| format!("{:?}", host.name())).collect();
        drop(hosts);
        panic!("no host has the name {name:?}; the hosts are {}", names.join(", "));
    }
}

/// The link between two hosts of a simulated world: see [`World::link`].
#[derive(Clone, Debug)]
#[must_use = "a link is as it was until `set`"]
pub struct LinkHandle {
    a: net::Host,
    b: net::Host,
}

impl LinkHandle {
    /// How packets between the two hosts fare from now on, in both directions.
    ///
    /// # Panics
    /// If a rate is not from 0 to 1, or a time is longer than a day.
    ///
    /// ```
    /// use volt::sim::{Link, Sim};
    ///
    /// Sim::builder().build().run(|world| async move {
    ///     let node = world.host("a").start(|_| async {});
    ///     let link = world.link("world", node.name());
    ///     link.set(Link { loss: 0.05, ..Link::default() });
    ///     link.set(Link { bandwidth: Some(1 << 20), ..Link::default() });
    /// }).unwrap();
    /// ```
    #[track_caller]
    pub fn set(&self, link: Link) {
        net::set_link(&self.a, &self.b, link);
    }
}
