//! A tree of tokens of which parts are cancelled, added and dropped at once, while tasks wait for
//! one or several of them.

use std::future::pending;

use shuttle::future::{block_on, spawn};
use volt::platform::mutation::is_noticed;
use volt::{CancellationToken, join};

use crate::explore;

/// Adds a child and a grandchild, and waits for both.
async fn wait_for_descendants(token: CancellationToken) {
    let child = token.child_token();
    // The child may come to stand under its grandparent.
    drop(token);
    let grandchild = child.child_token();
    join!(child.cancelled(), grandchild.cancelled());
    assert!(child.is_cancelled() && grandchild.is_cancelled());
}

/// Waits for both branches of the tree.
async fn wait_for_both(left: CancellationToken, right: CancellationToken) {
    join!(left.cancelled(), right.cancelled());
    assert!(left.is_cancelled() && right.is_cancelled());
}

async fn work(token: CancellationToken) {
    assert_eq!(token.run_until_cancelled(pending::<()>()).await, None);
    assert!(token.is_cancelled());
}

fn tree_and_joins() {
    let root = CancellationToken::new();
    let (left, right) = (root.child_token(), root.child_token());
    let tasks = [
        spawn(wait_for_descendants(left.clone())),
        spawn(wait_for_descendants(right.clone())),
        spawn(wait_for_both(left.clone(), right.clone())),
        spawn(work(right.clone())),
        spawn(async move {
            left.cancel();
            assert!(left.is_cancelled());
            drop(right);
        }),
        spawn(async move {
            let late = root.child_token();
            root.cancel();
            assert!(root.is_cancelled() && late.is_cancelled());
        }),
    ];
    block_on(async {
        for task in tasks {
            task.await.expect("nobody aborts it");
        }
    });
}

#[test]
fn a_cancelled_tree_wakes_everybody_while_it_changes() {
    explore(tree_and_joins);
}

#[test]
fn orphaned_child_mutant_is_noticed() {
    assert!(is_noticed("token-ignores-its-parent", || explore(tree_and_joins)));
}
