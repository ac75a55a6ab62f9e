//! The same without the bug: the account with the lower number is locked first.

use volt::sim::sync::{Arc, Mutex};
use volt::sim::thread;

struct Account {
    number: u32,
    balance: Mutex<i64>,
}

fn account(number: u32) -> Arc<Account> {
    Arc::new(Account { number, balance: Mutex::new(100) })
}

fn transfer(from: &Account, to: &Account, amount: i64) {
    assert_ne!(from.number, to.number, "a transfer goes to another account");
    let (mut payer, mut payee);
    if from.number < to.number {
        payer = from.balance.lock().unwrap();
        payee = to.balance.lock().unwrap();
    } else {
        payee = to.balance.lock().unwrap();
        payer = from.balance.lock().unwrap();
    }
    *payer -= amount;
    *payee += amount;
}

fn pay_each_other() {
    let (alice, bob) = (account(1), account(2));
    let alice_pays = thread::spawn({
        let (alice, bob) = (Arc::clone(&alice), Arc::clone(&bob));
        move || transfer(&alice, &bob, 30)
    });
    transfer(&bob, &alice, 50);
    alice_pays.join().unwrap();
    assert_eq!(*alice.balance.lock().unwrap(), 120);
    assert_eq!(*bob.balance.lock().unwrap(), 80);
}

#[test]
fn transfers_move_money_on_real_threads() {
    pay_each_other();
}

#[cfg(feature = "sim")]
#[volt::sim_test(seeds = 1_000)]
fn transfers_move_money_at_once() {
    pay_each_other();
}
