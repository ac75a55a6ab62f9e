//! Tests of the token, its tree and its futures.

use std::future::{pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use super::*;

#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Count>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn task() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count::default());
    (Arc::clone(&count), Waker::from(count))
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    poll_by(future, Waker::noop())
}

fn poll_by<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

#[test]
fn the_types_go_to_other_threads() {
    fn is_send_and_sync<T: Send + Sync>(_: &T) {}
    let token = CancellationToken::new();
    is_send_and_sync(&token);
    is_send_and_sync(&token.cancelled());
    is_send_and_sync(&token.clone().cancelled_owned());
    is_send_and_sync(&token.run_until_cancelled(ready(7)));
    is_send_and_sync(&token.clone().run_until_cancelled_owned(ready(7)));
    is_send_and_sync(&token.drop_guard());
}

#[test]
fn a_cancellation_reaches_descendants_and_nobody_else() {
    let root = CancellationToken::default();
    let (left, right) = (root.child_token(), root.child_token());
    let below = left.child_token();
    let other = left.clone();
    assert_eq!(format!("{left:?}"), "CancellationToken { is_cancelled: false }");
    other.cancel();
    assert!(left.is_cancelled() && below.is_cancelled());
    assert!(!root.is_cancelled() && !right.is_cancelled());
    left.cancel();
    assert!(left.child_token().is_cancelled());
    root.cancel();
    assert!(right.is_cancelled());
}

#[test]
fn a_token_that_is_dropped_leaves_its_children_to_its_parent() {
    let root = CancellationToken::new();
    let middle = root.child_token();
    let (first, second) = (middle.child_token(), middle.child_token());
    drop(middle);
    let third = root.child_token();
    first.cancel();
    assert!(!second.is_cancelled());
    root.cancel();
    assert!(second.is_cancelled() && third.is_cancelled());
}

#[test]
fn orphans_are_trees_of_their_own() {
    let root = CancellationToken::new();
    let (first, second) = (root.child_token(), root.child_token());
    let below = first.child_token();
    drop(root);
    assert!(!first.is_cancelled());
    let also_below = first.child_token();
    first.cancel();
    assert!(below.is_cancelled() && also_below.is_cancelled());
    assert!(!second.is_cancelled());
    second.cancel();
    assert!(second.is_cancelled());
}

#[test]
fn a_chain_of_any_depth_is_cancelled_and_dropped_without_a_stack() {
    const DEPTH: usize = if cfg!(miri) { 100 } else { 100_000 };
    for is_backwards in [false, true] {
        let mut chain = vec![CancellationToken::new()];
        for depth in 0..DEPTH {
            chain.push(chain[depth].child_token());
        }
        let uncancelled = chain[DEPTH / 2].child_token();
        chain[DEPTH / 2 + 1].cancel();
        assert!(chain[DEPTH].is_cancelled() && !uncancelled.is_cancelled());
        chain[0].cancel();
        assert!(chain.iter().all(CancellationToken::is_cancelled) && uncancelled.is_cancelled());
        if is_backwards {
            while chain.pop().is_some() {}
        }
        drop(chain);
    }
    let mut chain = vec![CancellationToken::new()];
    for depth in 0..DEPTH {
        chain.push(chain[depth].child_token());
    }
    let last = chain.pop().unwrap();
    let root = chain.swap_remove(0);
    drop(chain);
    assert_eq!(root.node.tokens(), 2);
    root.cancel();
    assert!(last.is_cancelled());
}

#[test]
fn nothing_is_left_of_tokens_that_are_dropped() {
    let count = if cfg!(miri) { 100 } else { 1_000_000 };
    let root = CancellationToken::new();
    for _ in 0..count {
        drop(root.child_token());
    }
    assert_eq!(root.node.tokens(), 1);
    // Each takes the place of its parent.
    let mut last = root.child_token();
    for _ in 0..count {
        last = last.child_token();
    }
    assert_eq!(root.node.tokens(), 2);
    root.cancel();
    assert!(last.is_cancelled());
}

/// Compares a tree of tokens with a plain one, over steps that a counter makes up.
#[test]
fn any_sequence_of_steps_does_what_a_plain_tree_does() {
    struct Plain {
        parent: Option<usize>,
        token: Option<CancellationToken>,
        is_cancelled: bool,
    }

    for seed in 0..if cfg!(miri) { 4 } else { 300_u64 } {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
        let mut below = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % n
        };
        let token = Some(CancellationToken::new());
        let mut nodes = vec![Plain { parent: None, token, is_cancelled: false }];
        for _ in 0..60 {
            let chosen = below(nodes.len());
            let Some(token) = nodes[chosen].token.clone() else { continue };
            match below(8) {
                0 => {
                    token.cancel();
                    for index in chosen..nodes.len() {
                        let parent = nodes[index].parent;
                        let by_parent = parent
                            .is_some_and(|parent| parent >= chosen && nodes[parent].is_cancelled);
                        nodes[index].is_cancelled |= index == chosen || by_parent;
                    }
                }
                1 | 2 => {
                    let parent = nodes[chosen].parent;
                    nodes[chosen].token = None;
                    for node in &mut nodes {
                        if node.parent == Some(chosen) {
                            node.parent = parent;
                        }
                    }
                }
                _ => {
                    let is_cancelled = nodes[chosen].is_cancelled;
                    let token = Some(token.child_token());
                    nodes.push(Plain { parent: Some(chosen), token, is_cancelled });
                }
            }
            for node in &nodes {
                if let Some(token) = &node.token {
                    assert_eq!(token.is_cancelled(), node.is_cancelled, "seed {seed}");
                }
            }
        }
    }
}

/// Notes its number when it is woken.
struct Ordered(usize, Arc<Mutex<Vec<usize>>>);

impl Wake for Ordered {
    fn wake(self: Arc<Ordered>) {
        self.1.lock().unwrap().push(self.0);
    }
}

#[test]
fn all_who_wait_are_woken_once_in_order() {
    let root = CancellationToken::new();
    let order = Arc::new(Mutex::new(Vec::new()));
    let tokens: Vec<CancellationToken> =
        (0..3).map(|number| if number == 0 { root.clone() } else { root.child_token() }).collect();
    // More of each token than are woken in one round.
    let mut waiters: Vec<_> =
        (0..300).map(|index| Box::pin(tokens[index / 100].cancelled())).collect();
    for (index, waiter) in waiters.iter_mut().enumerate() {
        let waker = Waker::from(Arc::new(Ordered(index, Arc::clone(&order))));
        assert!(poll_by(waiter.as_mut(), &waker).is_pending());
    }
    root.cancel();
    assert_eq!(*order.lock().unwrap(), (0..300).collect::<Vec<_>>());
    assert!(waiters.iter_mut().all(|waiter| poll(waiter.as_mut()).is_ready()));
    assert!(waiters.iter_mut().all(|waiter| poll(waiter.as_mut()).is_ready()));
}

#[test]
fn a_future_that_is_dropped_leaves_the_others() {
    for gone in 0..3 {
        let token = CancellationToken::new();
        let tasks: [_; 3] = std::array::from_fn(|_| task());
        let mut waiters: Vec<_> = tasks.iter().map(|_| Box::pin(token.cancelled())).collect();
        for (waiter, (_, waker)) in waiters.iter_mut().zip(&tasks) {
            assert!(poll_by(waiter.as_mut(), waker).is_pending());
        }
        drop(waiters.remove(gone));
        token.cancel();
        for (index, (count, _)) in tasks.iter().enumerate() {
            assert_eq!(count.get(), usize::from(index != gone));
        }
        // Served, and not polled.
        drop(waiters);
    }
    // Not polled at all.
    drop(CancellationToken::new().cancelled());
}

#[test]
fn the_last_waker_counts() {
    let token = CancellationToken::new();
    let ((first, first_waker), (second, second_waker)) = (task(), task());
    let mut waits = pin!(token.cancelled());
    assert!(poll_by(waits.as_mut(), &first_waker).is_pending());
    assert!(poll_by(waits.as_mut(), &second_waker).is_pending());
    drop(first_waker);
    assert_eq!(Arc::strong_count(&first), 1, "the waker that was replaced is kept");
    token.cancel();
    assert_eq!((first.get(), second.get()), (0, 1));
}

/// Does with the tokens whatever it can when it is woken.
struct Reenters(Mutex<Vec<CancellationToken>>, AtomicUsize);

impl Wake for Reenters {
    fn wake(self: Arc<Reenters>) {
        let mut tokens = self.0.lock().unwrap();
        for token in tokens.drain(..) {
            let mut waiter = pin!(Waiter::new(Waker::noop().clone()));
            assert!(token.cancelled_wait(waiter.as_mut()));
            assert!(token.child_token().is_cancelled());
            token.cancel();
        }
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

/// Panics when it is woken.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Panics>) {
        panic!("planned");
    }
}

#[test]
fn wakers_may_panic_and_use_the_tokens() {
    let root = CancellationToken::new();
    let children: Vec<CancellationToken> = (0..3).map(|_| root.child_token()).collect();
    // The last handles of some descendants, which go while the root is cancelled.
    let mut own: Vec<CancellationToken> = (0..40).map(|_| children[2].child_token()).collect();
    own.push(root.clone());
    let reenters = Arc::new(Reenters(Mutex::new(own), AtomicUsize::new(0)));
    let (count, counts) = task();
    let wakers = [Waker::from(Arc::new(Panics)), Waker::from(Arc::clone(&reenters)), counts];
    let mut waiters: Vec<_> = children.iter().map(|child| Box::pin(child.cancelled())).collect();
    for (waiter, waker) in waiters.iter_mut().zip(&wakers) {
        assert!(poll_by(waiter.as_mut(), waker).is_pending());
    }
    root.cancel();
    assert_eq!((reenters.1.load(Ordering::Relaxed), count.get()), (1, 1));
    drop(waiters);
    drop(children);
    assert_eq!(root.node.tokens(), 1);
}

#[test]
fn an_owned_future_keeps_its_token() {
    let root = CancellationToken::new();
    let (count, waker) = task();
    let mut waits = Box::pin(root.child_token().cancelled_owned());
    assert!(poll_by(waits.as_mut(), &waker).is_pending());
    assert_eq!(root.node.tokens(), 2);
    root.cancel();
    assert_eq!(count.get(), 1);
    assert!(poll(waits.as_mut()).is_ready());
    drop(waits);
    assert_eq!(root.node.tokens(), 1);
    // One that still waits takes itself out before its token goes.
    let mut waits = Box::pin(CancellationToken::new().cancelled_owned());
    assert!(poll_by(waits.as_mut(), &waker).is_pending());
}

#[test]
fn a_future_runs_until_it_is_ready_or_cancelled() {
    let token = CancellationToken::new();
    assert_eq!(poll(pin!(token.run_until_cancelled(ready(7)))), Poll::Ready(Some(7)));
    let (count, waker) = task();
    let mut runs = pin!(token.run_until_cancelled(pending::<u32>()));
    let mut owned = Box::pin(token.clone().run_until_cancelled_owned(pending::<u32>()));
    assert!(poll_by(runs.as_mut(), &waker).is_pending());
    assert!(poll_by(owned.as_mut(), &waker).is_pending());
    token.cancel();
    assert_eq!(count.get(), 2);
    assert_eq!(poll(runs), Poll::Ready(None));
    assert_eq!(poll(owned.as_mut()), Poll::Ready(None));
    let unpolled = poll_fn(|_| -> Poll<()> { unreachable!("it is cancelled") });
    assert_eq!(poll(pin!(token.run_until_cancelled(unpolled))), Poll::Ready(None));
}

#[test]
fn a_future_may_cancel_what_it_runs_under() {
    let token = CancellationToken::new();
    let (count, waker) = task();
    let mut runs = pin!(token.run_until_cancelled(poll_fn(|_| {
        token.cancel();
        Poll::<()>::Pending
    })));
    assert!(poll_by(runs.as_mut(), &waker).is_pending());
    assert_eq!(count.get(), 1);
    assert_eq!(poll(runs), Poll::Ready(None));
}

#[test]
fn a_guard_cancels_unless_it_is_disarmed() {
    let token = CancellationToken::new();
    drop(token.clone().drop_guard().disarm());
    assert!(!token.is_cancelled());
    let other = token.clone();
    let panicked = catch_unwind(move || {
        let _guard = other.drop_guard();
        panic!("planned");
    });
    assert!(panicked.is_err() && token.is_cancelled());
    assert_eq!(Arc::strong_count(&token.node), 1);
}

#[test]
fn a_waiter_of_the_caller_waits_and_is_cancelled() {
    let (token, other) = (CancellationToken::new(), CancellationToken::new());
    let (count, waker) = task();
    let mut waiter = pin!(Waiter::new(waker));
    token.cancel_cancelled(waiter.as_mut());
    assert!(!token.cancelled_wait(waiter.as_mut()));
    let elsewhere = catch_unwind(AssertUnwindSafe(|| other.cancelled_wait(waiter.as_mut())));
    assert!(elsewhere.is_err());
    token.cancel_cancelled(waiter.as_mut());
    assert!(!other.cancelled_wait(waiter.as_mut()));
    token.cancel();
    assert_eq!(count.get(), 0);
    other.cancel();
    assert_eq!(count.get(), 1);
    assert!(waiter.is_ready() && other.cancelled_wait(waiter.as_mut()));
    // It is free for another token.
    assert!(token.cancelled_wait(waiter.as_mut()));
}

#[test]
fn threads_wait_add_and_drop_while_one_cancels() {
    for _ in 0..if cfg!(miri) { 4 } else { 100 } {
        let root = CancellationToken::new();
        thread::scope(|scope| {
            for _ in 0..3 {
                let root = &root;
                scope.spawn(move || {
                    let child = root.child_token();
                    let below = child.child_token();
                    drop(child);
                    drop(root.child_token());
                    below.blocking_cancelled();
                    assert!(root.is_cancelled());
                });
            }
            root.cancel();
        });
        assert_eq!(root.node.tokens(), 1);
    }
}
