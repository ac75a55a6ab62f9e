//! The bank of `bank.rs`, with its bug, in tasks of a runtime.

use std::sync::Arc;

use volt::Io;
use volt::sync::Mutex;

async fn transfer(from: &Mutex<i64>, to: &Mutex<i64>, amount: i64) {
    let mut payer = from.lock().await;
    let mut payee = to.lock().await;
    *payer -= amount;
    *payee += amount;
}

async fn pay_each_other(io: Io) {
    let (alice, bob) = (Arc::new(Mutex::new(100)), Arc::new(Mutex::new(100)));
    let alice_pays = io.spawn({
        let (alice, bob) = (Arc::clone(&alice), Arc::clone(&bob));
        async move { transfer(&alice, &bob, 30).await }
    });
    let bob_pays = io.spawn({
        let (alice, bob) = (Arc::clone(&alice), Arc::clone(&bob));
        async move { transfer(&bob, &alice, 50).await }
    });
    alice_pays.await.unwrap();
    bob_pays.await.unwrap();
    assert_eq!((*alice.lock().await, *bob.lock().await), (120, 80));
}

// One worker: with two it passes as well, except when it hangs.
#[volt::test(workers = 1)]
async fn transfers_move_money(io: Io) {
    pay_each_other(io).await;
}

#[cfg(feature = "sim")]
#[volt::sim_test(seeds = 1_000)]
#[should_panic(expected = "deadlock")]
async fn transfers_move_money_in_a_world(world: volt::sim::World) {
    world.host("bank").start(pay_each_other).await.unwrap();
}
