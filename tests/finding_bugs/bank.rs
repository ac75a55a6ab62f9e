//! Accounts with a lock each, and transfers between them. It has a bug.

use volt::sim::sync::Mutex;

struct Account {
    balance: Mutex<i64>,
}

fn account() -> Account {
    Account { balance: Mutex::new(100) }
}

fn transfer(from: &Account, to: &Account, amount: i64) {
    let mut payer = from.balance.lock().unwrap();
    let mut payee = to.balance.lock().unwrap();
    *payer -= amount;
    *payee += amount;
}

#[test]
fn transfers_move_money() {
    let (alice, bob) = (account(), account());
    transfer(&alice, &bob, 30);
    transfer(&bob, &alice, 50);
    assert_eq!(*alice.balance.lock().unwrap(), 120);
    assert_eq!(*bob.balance.lock().unwrap(), 80);
}

#[cfg(feature = "sim")]
#[volt::sim_test(seeds = 1_000)]
#[should_panic(expected = "deadlock")]
fn transfers_move_money_at_once() {
    use volt::sim::sync::Arc;
    use volt::sim::thread;

    let (alice, bob) = (Arc::new(account()), Arc::new(account()));
    let alice_pays = thread::spawn({
        let (alice, bob) = (Arc::clone(&alice), Arc::clone(&bob));
        move || transfer(&alice, &bob, 30)
    });
    transfer(&bob, &alice, 50);
    alice_pays.join().unwrap();
    assert_eq!(*alice.balance.lock().unwrap(), 120);
    assert_eq!(*bob.balance.lock().unwrap(), 80);
}
