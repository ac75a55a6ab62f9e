//! Scenarios: programs against Volt's API, each written once and run on the real platform and in
//! simulation over many seeds.

#![cfg(not(any(volt_loom, volt_shuttle)))]

#[path = "scenarios/harness.rs"]
mod harness;

mod scenarios {
    mod blocking;
    mod by_hand;
    mod cancellation;
    mod channels;
    mod coordination;
    mod files;
    mod giving_up;
    mod groups;
    mod local;
    mod locks;
    mod many_tasks;
    mod misbehaving_peers;
    mod panics;
    mod repeated_runs;
    mod ring_receives;
    mod rings;
    #[cfg(feature = "macros")]
    mod selecting;
    mod shutdown;
    mod shutdown_guards;
    mod spawn_and_join;
    mod stealing;
    mod streams;
    mod tcp;
    mod tcp_setup;
    mod timers;
    mod udp;
    #[cfg(unix)]
    mod unix;
    mod wakes;
}
