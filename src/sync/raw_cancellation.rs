//! Which tokens a [`CancellationToken`](super::CancellationToken) cancels, and who waits for that.
//!
//! The tokens of a tree stand in one list as pairs of brackets, a child's within its parent's:
//!
//! ```text
//!        root             (root (a (b b) a) (c c) root)
//!       /    \
//!      a      c           a is dropped:  (root (b b) (c c) root)
//!      |                  root is, too:  (b b) (c c)
//!      b
//! ```
//!
//! A new child goes before the closing bracket of its parent. A token that is dropped takes its two
//! brackets out, and its children are its parent's. The descendants of a token are what stands
//! between its brackets. So to add a token, to drop one and to go to the next descendant take the
//! same time however many there are and however deep they stand, and nothing is left of a token
//! that is dropped.
//!
//! ```text
//!   alive ─── cancel, of the token or of one around it ───► cancelled
//! ```
//!
//! Rules:
//! 1. Brackets change under the lock of the tree. So do the marks of those who are cancelled: all
//!    descendants are marked before it is released, and a child of one who is marked is marked when
//!    it is made.
//! 2. A node whose brackets are in the list is there: its destructor takes them out.
//! 3. Whoever cancels marks first and then serves, under the node's lock of its own; a waiter looks
//!    for the mark under that lock before it is queued. So it sees the mark, or is served.
//! 4. A descendant whose waiters are served is taken out. Its own descendants stay: they are
//!    marked, and their turn comes.

#[cfg(all(test, volt_loom))]
mod models;

use std::marker::PhantomPinned;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Poll, Waker};

use crate::platform::mutation::mutation;
use crate::platform::sync::atomic::{AtomicBool, Ordering};
use crate::platform::sync::{Mutex, UnsafeCell};
use crate::waiter::{Outcome, Place, WaitList, Waiter, WakeBatch, discard};

/// One token, however many handles it has: its last handle drops it.
pub(super) struct Node {
    open: Bracket,
    close: Bracket,
    cancelled: AtomicBool,
    waiters: Mutex<WaitList>,
    tree: Arc<Tree>,
    /// Others come to a node while its destructor waits for the lock: a `&mut` to it must not say
    /// that they do not.
    _pinned: PhantomPinned,
}

/// What the tokens that come from one root share, as long as one of them is there.
struct Tree(Mutex<()>);

struct Bracket(UnsafeCell<Links>);

/// Under the lock of the tree.
struct Links {
    previous: Option<NonNull<Bracket>>,
    next: Option<NonNull<Bracket>>,
    /// Whose opening bracket it is; `None` for a closing one.
    opens: Option<NonNull<Node>>,
}

// SAFETY: the brackets are touched under the lock of the tree alone, and what they point to is
// there by rule 2.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

impl Node {
    /// A token without a parent.
    pub(super) fn root() -> Arc<Node> {
        let node = Node::alone(Arc::new(Tree(Mutex::new(()))));
        // SAFETY: nobody else has the tree. The node stays in its `Arc`.
        unsafe {
            node.open.set_opens(&node);
            node.close.insert_before(&node.open);
        }
        node
    }

    /// A token that is cancelled with this one.
    pub(super) fn child(&self) -> Arc<Node> {
        let child = Node::alone(Arc::clone(&self.tree));
        let _locked = self.tree.0.lock();
        if mutation!("token-ignores-its-parent", self.is_cancelled(), false) {
            child.mark();
        } else {
            // SAFETY: the tree is locked. The child stays in its `Arc`.
            unsafe {
                child.open.set_opens(&child);
                self.close.insert_before(&child.open);
                self.close.insert_before(&child.close);
            }
        }
        child
    }

    /// A node in no list.
    fn alone(tree: Arc<Tree>) -> Arc<Node> {
        Arc::new(Node {
            open: Bracket::new(),
            close: Bracket::new(),
            cancelled: AtomicBool::new(false),
            waiters: Mutex::new(WaitList::new()),
            tree,
            _pinned: PhantomPinned,
        })
    }

    #[inline]
    pub(super) fn is_cancelled(&self) -> bool {
        // Acquire: pairs with `mark`: what was done before the cancellation is seen.
        self.cancelled.load(Ordering::Acquire)
    }

    fn mark(&self) {
        // Release: pairs with `is_cancelled`.
        let order = mutation!("token-marks-relaxed", Ordering::Release, Ordering::Relaxed);
        self.cancelled.store(true, order);
    }

    /// Cancels the token and all its descendants.
    pub(super) fn cancel(&self) {
        {
            let _locked = self.tree.0.lock();
            if self.is_cancelled() {
                return;
            }
            // SAFETY: the tree is locked.
            unsafe { self.mark_all() };
        }
        // In rounds: the wakers are called at the end of each, when no lock is held.
        while !self.serve(&mut WakeBatch::new()) {}
        while !self.serve_descendants(&mut WakeBatch::new()) {}
    }

    /// # Safety
    /// The tree is locked.
    unsafe fn mark_all(&self) {
        self.mark();
        let close = NonNull::from(&self.close);
        // SAFETY: the tree is locked.
        let mut next = unsafe { self.open.with(|links| links.next) };
        while let Some(bracket) = next.filter(|bracket| *bracket != close) {
            // SAFETY: rule 2; the tree is locked.
            let opens = unsafe {
                bracket.as_ref().with(|links| {
                    next = links.next;
                    links.opens
                })
            };
            if let Some(node) = opens {
                // SAFETY: rule 2; the tree is locked.
                unsafe { node.as_ref() }.mark();
            }
        }
    }

    /// Serves those who wait for this token; false if there are more than `batch` has room for.
    fn serve(&self, batch: &mut WakeBatch) -> bool {
        let mut waiters = self.waiters.lock();
        let all = Outcome::GIVEN_TO_ALL;
        mutation!("token-cancels-silently", waiters.serve_while(batch, all, |_| true), true)
    }

    /// As [`serve`](Node::serve), for the descendants, which are marked.
    fn serve_descendants(&self, batch: &mut WakeBatch) -> bool {
        let _locked = self.tree.0.lock();
        // SAFETY: the tree is locked.
        while let Some(node) = unsafe { self.first_within() } {
            if !node.serve(batch) {
                return false;
            }
            // SAFETY: the tree is locked.
            unsafe { node.leave() };
        }
        true
    }

    /// The first descendant.
    ///
    /// # Safety
    /// The tree is locked, for as long as the result is used.
    unsafe fn first_within(&self) -> Option<&Node> {
        // SAFETY: the tree is locked; rule 2. Brackets match: the first closing one is its own.
        unsafe {
            let next = self.open.with(|links| links.next)?;
            let opens = next.as_ref().with(|links| links.opens)?;
            Some(opens.as_ref())
        }
    }

    /// Takes the node out of the list, if it is there.
    ///
    /// # Safety
    /// The tree is locked.
    unsafe fn leave(&self) {
        // SAFETY: the tree is locked.
        unsafe {
            self.open.take_out();
            self.close.take_out();
        }
    }

    /// Waits until the token is cancelled.
    #[inline]
    pub(super) fn poll_cancelled<'a>(
        &'a self,
        waiter: Pin<&mut Waiter<'a>>,
        waker: &Waker,
    ) -> Poll<()> {
        if self.is_cancelled() {
            self.end_wait(waiter);
            return Poll::Ready(());
        }
        self.wait(waiter, waker)
    }

    fn wait<'a>(&'a self, waiter: Pin<&mut Waiter<'a>>, waker: &Waker) -> Poll<()> {
        // Cloned and dropped outside the lock.
        let waker = waker.clone();
        let mut waiters = self.waiters.lock();
        // Rule 3.
        if mutation!("token-looks-once", self.is_cancelled(), false) {
            drop(waiters);
            self.end_wait(waiter);
            return Poll::Ready(());
        }
        let unneeded = if waiter.is_in(self) {
            waiters.renew(&waiter, waker)
        } else {
            waiters.push(waiter, self, waker, 0);
            None
        };
        drop(waiters);
        discard(unneeded);
        Poll::Pending
    }

    /// Ends the wait of a waiter, if it waits here.
    pub(super) fn end_wait(&self, waiter: Pin<&mut Waiter<'_>>) {
        if waiter.is_in(self) {
            waiter.cancel();
        }
    }

    /// How many tokens of the tree there are.
    #[cfg(all(test, not(any(volt_loom, volt_shuttle))))]
    pub(super) fn tokens(&self) -> usize {
        Arc::strong_count(&self.tree)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _locked = self.tree.0.lock();
        // SAFETY: the tree is locked.
        unsafe { self.leave() };
    }
}

// SAFETY: `withdraw` removes the waiter. A node begins with a bracket, which is no place.
unsafe impl Place for Node {
    fn withdraw(&self, waiter: &Waiter<'_>) {
        let removed = self.waiters.lock().remove(waiter);
        // Who was served has nothing that another one could use.
        if let Ok(own) = removed {
            discard(own);
        }
    }
}

impl Bracket {
    fn new() -> Bracket {
        Bracket(UnsafeCell::new(Links { previous: None, next: None, opens: None }))
    }

    /// # Safety
    /// The tree is locked, or nobody else has it; and `f` comes to no other bracket.
    unsafe fn with<R>(&self, f: impl FnOnce(&mut Links) -> R) -> R {
        // SAFETY: the caller is alone with the links.
        self.0.with_mut(|links| f(unsafe { &mut *links }))
    }

    /// # Safety
    /// As of [`with`](Bracket::with). The node stays where it is until it has left the list.
    unsafe fn set_opens(&self, node: &Node) {
        // SAFETY: the caller's.
        unsafe { self.with(|links| links.opens = Some(NonNull::from(node))) };
    }

    /// Puts `new`, which is in no list, before this bracket.
    ///
    /// # Safety
    /// As of [`set_opens`](Bracket::set_opens).
    unsafe fn insert_before(&self, new: &Bracket) {
        let link = NonNull::from(new);
        // SAFETY: the tree is locked; rule 2.
        unsafe {
            let previous = self.with(|links| links.previous.replace(link));
            new.with(|links| {
                links.previous = previous;
                links.next = Some(NonNull::from(self));
            });
            if let Some(previous) = previous {
                previous.as_ref().with(|links| links.next = Some(link));
            }
        }
    }

    /// Takes the bracket out of the list, if it is there.
    ///
    /// # Safety
    /// As of [`with`](Bracket::with).
    unsafe fn take_out(&self) {
        // SAFETY: the tree is locked; rule 2.
        unsafe {
            let (previous, next) = self.with(|links| (links.previous.take(), links.next.take()));
            if let Some(previous) = previous {
                previous.as_ref().with(|links| links.next = next);
            }
            if let Some(next) = next {
                next.as_ref().with(|links| links.previous = previous);
            }
        }
    }
}
