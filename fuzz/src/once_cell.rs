//! The cell: one initialiser at a time, the next one when it fails or goes, and one value.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use arbitrary::Arbitrary;
use volt::sync::OnceCell;

use crate::ledger::{Ledger, Message};
use crate::waits::Waits;
use crate::{Index, WAITERS};

/// What is done to the cell.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Operation {
    /// Makes a future of the value, which makes it if need be.
    Begin(Index),
    /// Makes a future of the value, which waits for it alone.
    Watch(Index),
    /// Polls the future.
    Poll(Index),
    /// Drops it.
    Cancel(Index),
    /// Decides whether an initialiser succeeds. Before that it is not done.
    Decide(Index, bool),
    /// Gives the cell its value.
    Set,
}

/// Carries the operations out.
///
/// # Panics
/// If the cell is not as it must be.
pub fn run(operations: &[Operation]) {
    let cell = OnceCell::new();
    let ledger = Ledger::default();
    let mut interpreter = Interpreter {
        cell: &cell,
        ledger: ledger.clone(),
        waits: Waits::default(),
        wants: Default::default(),
        numbers: 0,
        value: None,
        holder: None,
        candidates: VecDeque::new(),
    };
    for operation in operations {
        interpreter.apply(*operation);
        interpreter.check();
    }
    drop(interpreter);
    drop(cell);
    assert_eq!(ledger.count(), 0, "a value is left");
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Failed;

/// Whether an initialiser succeeds, once that is decided.
type Decision = Rc<Cell<Option<bool>>>;

/// What one who waits does.
#[derive(Clone)]
enum Want {
    /// It makes the value of this number, if it may.
    Make(u64, Decision),
    Watch,
}

/// Who has the right to initialise.
#[derive(Clone, Copy)]
struct Holder {
    waiter: usize,
    /// It does not know yet.
    is_new: bool,
}

struct Interpreter<'a> {
    cell: &'a OnceCell<Message>,
    ledger: Ledger,
    /// The futures give the number of the value.
    waits: Waits<'a, Result<u64, Failed>>,
    wants: [Option<Want>; WAITERS],
    numbers: u64,
    value: Option<u64>,
    holder: Option<Holder>,
    /// Who waits for the right, first come, first.
    candidates: VecDeque<usize>,
}

impl Interpreter<'_> {
    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Begin(Index(at)) => {
                if self.waits.is_free(at) {
                    self.begin(at);
                }
            }
            Operation::Watch(Index(at)) => {
                if self.waits.is_free(at) {
                    let value = self.cell.wait();
                    self.waits.begin(at, async move { Ok(value.await.number()) });
                    self.wants[at] = Some(Want::Watch);
                }
            }
            Operation::Poll(Index(at)) => {
                if let Some(want) = self.wants[at].clone() {
                    let polled = self.waits.poll(at);
                    assert_eq!(polled, self.expect(at, &want));
                    if polled.is_ready() {
                        self.wants[at] = None;
                    }
                }
            }
            Operation::Cancel(Index(at)) => {
                self.waits.cancel(at);
                self.wants[at] = None;
                self.candidates.retain(|other| *other != at);
                if self.holder.is_some_and(|holder| holder.waiter == at) {
                    self.pass_on();
                }
            }
            Operation::Decide(Index(at), succeeds) => {
                if let Some(Want::Make(_, decision)) = &self.wants[at] {
                    decision.set(Some(succeeds));
                }
            }
            Operation::Set => {
                let number = self.next_number();
                let is_set = self.cell.set(self.ledger.issue(number)).is_ok();
                assert_eq!(is_set, self.holder.is_none() && self.value.is_none());
                if is_set {
                    self.value = Some(number);
                }
            }
        }
    }

    fn begin(&mut self, at: usize) {
        let number = self.next_number();
        let decision = Decision::default();
        self.wants[at] = Some(Want::Make(number, Rc::clone(&decision)));
        let ledger = self.ledger.clone();
        let made = self.cell.get_or_try_init(move || {
            poll_fn(move |_| match decision.get() {
                None => Poll::Pending,
                Some(true) => Poll::Ready(Ok(ledger.issue(number))),
                Some(false) => Poll::Ready(Err(Failed)),
            })
        });
        self.waits.begin(at, async move { made.await.map(Message::number) });
    }

    /// What a poll must answer.
    fn expect(&mut self, at: usize, want: &Want) -> Poll<Result<u64, Failed>> {
        if let Some(value) = self.value {
            return Poll::Ready(Ok(value));
        }
        let Want::Make(number, decision) = want else { return Poll::Pending };
        match self.holder {
            Some(holder) if holder.waiter != at => {
                if !self.candidates.contains(&at) {
                    self.candidates.push_back(at);
                }
                return Poll::Pending;
            }
            // Whoever comes while nobody has the right overtakes nobody.
            _ => self.holder = Some(Holder { waiter: at, is_new: false }),
        }
        match decision.get() {
            None => Poll::Pending,
            Some(true) => {
                self.holder = None;
                self.value = Some(*number);
                self.candidates.clear();
                Poll::Ready(Ok(*number))
            }
            Some(false) => {
                self.pass_on();
                Poll::Ready(Err(Failed))
            }
        }
    }

    /// Whoever has the right does not make the value.
    fn pass_on(&mut self) {
        let next = self.candidates.pop_front();
        self.holder = next.map(|waiter| Holder { waiter, is_new: true });
    }

    fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn check(&self) {
        assert_eq!(self.cell.get().map(Message::number), self.value);
        assert_eq!(self.ledger.count(), usize::from(self.value.is_some()));
        if let Some(holder) = self.holder
            && holder.is_new
        {
            self.waits.assert_woken(holder.waiter);
        }
        if self.value.is_some() {
            for at in (0..WAITERS).filter(|at| !self.waits.is_free(*at)) {
                self.waits.assert_woken(at);
            }
        }
    }
}
